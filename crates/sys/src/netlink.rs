//! Network links and addresses by rtnetlink(7).

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// A conversation with the network namespace that the caller was in when it began, whatever it has joined since.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name there.
    pub name: String,
}

/// An address of a link, with all that is needed to give it to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The link's number.
    pub index: u32,
    /// IFA_F_*
    pub flags: u32,
    /// RT_SCOPE_*; 0 is the universe.
    pub scope: u8,
    family: u8,
    prefix: u8,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// IFA_F_PERMANENT: somebody set it, and it does not expire.
    pub const PERMANENT: u32 = 0x80;
}

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const CREATE_NEW: u16 = 0x600;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_FLAGS: u16 = 8;
/// IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY
const KEPT: [u16; 4] = [1, 2, 4, 9];
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `struct nlmsghdr`
const HEADER: usize = 16;

impl Netlink {
    /// Begins one with the caller's present namespace.
    pub fn open() -> Result<Self> {
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).map(Self)
    }

    /// All links.
    pub fn links(&self) -> Result<Vec<Link>> {
        let messages = self.ask(GET_LINK, DUMP, &info(0, 0))?;
        Ok(messages.iter().filter_map(|body| link(body)).collect())
    }

    /// The addresses of all links, of every family.
    pub fn addresses(&self) -> Result<Vec<Address>> {
        let messages = self.ask(GET_ADDRESS, DUMP, &[0; 8])?;
        Ok(messages.iter().filter_map(|body| address(body)).collect())
    }

    /// Brings a link up or down.
    pub fn set_up(&self, index: u32, up: bool) -> Result<()> {
        self.ask(NEW_LINK, ACK, &info(index, if up { UP } else { 0 })).map(drop)
    }

    /// Moves a link into a namespace, under a name there; `%d` in it becomes a number. It goes down and loses its
    /// addresses.
    ///
    /// # Errors
    /// EEXIST when the name is taken there, EINVAL for a link that may not move.
    pub fn move_link(&self, index: u32, namespace: impl AsFd, name: &str) -> Result<()> {
        let mut body = info(index, 0);
        body[12..16].fill(0); // no flag is changed
        let number = namespace.as_fd().as_raw_fd();
        attribute(&mut body, IFLA_NET_NS_FD, &number.to_ne_bytes());
        attribute(&mut body, IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
        self.ask(NEW_LINK, ACK, &body).map(drop)
    }

    /// Gives a link an address that another had.
    pub fn add_address(&self, index: u32, address: &Address) -> Result<()> {
        let mut body = vec![address.family, address.prefix, 0, address.scope];
        body.extend(index.to_ne_bytes());
        for (kind, value) in &address.attributes {
            attribute(&mut body, *kind, value);
        }
        self.ask(NEW_ADDRESS, ACK | CREATE_NEW, &body).map(drop)
    }

    /// Sends a request and gives the bodies of the answer.
    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<Vec<u8>>> {
        const REQUEST: u16 = 1;
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST | flags).to_ne_bytes());
        message.extend([0; 8]); // sequence and port: one request at a time
        message.extend(body);
        send(&self.0, &message, SendFlags::empty())?;
        let mut bodies = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let (_, length) = recv(&self.0, &mut *buffer, RecvFlags::TRUNC)?;
            if length > buffer.len() {
                return Err(Errno::MSGSIZE);
            }
            if read_messages(&buffer[..length], &mut bodies)? {
                return Ok(bodies);
            }
        }
    }
}

/// Takes the messages of one datagram apart; true at the end of the answer.
fn read_messages(mut rest: &[u8], bodies: &mut Vec<Vec<u8>>) -> Result<bool> {
    while rest.len() >= HEADER {
        let length = number(rest, 0) as usize;
        let kind = u16::from_ne_bytes([rest[4], rest[5]]);
        let body = rest.get(HEADER..length).ok_or(Errno::PROTO)?;
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let error = number(body.get(..4).ok_or(Errno::PROTO)?, 0) as i32;
                return if error == 0 { Ok(true) } else { Err(Errno::from_raw_os_error(-error)) };
            }
            _ => bodies.push(body.to_vec()),
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

const UP: u32 = 1;

/// `struct ifinfomsg`, that changes IFF_UP to what is given.
fn info(index: u32, flags: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(if index == 0 { 0 } else { UP }.to_ne_bytes());
    body
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend((4 + value.len() as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn link(body: &[u8]) -> Option<Link> {
    let index = number(body.get(4..8)?, 0);
    let (_, name) = attributes(body.get(16..)?).find(|(kind, _)| *kind == IFLA_IFNAME)?;
    Some(Link { index, name: String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(name)).into_owned() })
}

fn address(body: &[u8]) -> Option<Address> {
    let [family, prefix, flags, scope] = *body.first_chunk()?;
    let index = number(body.get(4..8)?, 0);
    let all = || attributes(body.get(8..).unwrap_or_default());
    let wide = all().find(|(kind, value)| *kind == IFA_FLAGS && value.len() == 4);
    let flags = wide.map_or(flags.into(), |(_, value)| number(value, 0));
    let kept = all().filter(|(kind, _)| KEPT.contains(kind)).map(|(kind, value)| (kind, value.to_vec()));
    Some(Address { index, flags, scope, family, prefix, attributes: kept.collect() })
}

/// The attributes that follow a message's fixed part.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d] = *rest.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    })
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
