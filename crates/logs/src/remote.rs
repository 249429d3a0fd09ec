//! Servers that take a message at a time, and may be slow, full or gone: the container does not wait for them for ever.

use crate::loss::Loss;
use crate::option::Mode;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::net::{SendFlags, send, sockopt};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a message that blocks is waited for: once. After that its server has to take messages at once again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between attempts to reach a server that is gone.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A socket of datagrams, or if it is none, of a stream.
    Local(PathBuf),
    /// `unixgram://`
    Datagram(PathBuf),
    /// `unix://`
    Stream(PathBuf),
    /// `HOST:PORT`
    Udp(String),
    /// `HOST:PORT`
    Tcp(String),
}

#[derive(Debug)]
enum Channel {
    Datagram(UnixDatagram),
    Udp(UdpSocket),
    Stream(UnixStream),
    Tcp(TcpStream),
}

impl Place {
    fn connect(&self) -> Result<Channel> {
        match self {
            Self::Local(path) => {
                Self::Datagram(path.clone()).connect().or_else(|_| Self::Stream(path.clone()).connect())
            }
            Self::Datagram(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Channel::Datagram(socket))
            }
            Self::Stream(path) => UnixStream::connect(path).map(Channel::Stream),
            Self::Udp(to) => {
                let address = resolve(to)?;
                let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(address)?;
                Ok(Channel::Udp(socket))
            }
            Self::Tcp(to) => TcpStream::connect_timeout(&resolve(to)?, PATIENCE).map(Channel::Tcp),
        }
    }
}

fn resolve(to: &str) -> Result<std::net::SocketAddr> {
    to.to_socket_addrs()?.next().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagram(socket) => socket.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
            Self::Stream(socket) => socket.as_fd(),
            Self::Tcp(socket) => socket.as_fd(),
        }
    }
}

/// A server, and what it has not taken yet.
#[derive(Debug)]
pub(crate) struct Remote {
    place: Place,
    channel: Option<Channel>,
    tried: Instant,
    mode: Mode,
    /// Messages that wait, and the bytes of them.
    queue: VecDeque<Vec<u8>>,
    held: usize,
    /// How much of the first has gone.
    gone: usize,
    /// It did not take a message in time, and none since.
    stuck: bool,
    pub(crate) loss: Loss,
}

impl Remote {
    /// Reaches it.
    pub(crate) fn open(place: Place, mode: Mode) -> Result<Self> {
        let channel = Some(place.connect()?);
        let (queue, loss) = (VecDeque::new(), Loss::default());
        Ok(Self { place, channel, tried: Instant::now(), mode, queue, held: 0, gone: 0, stuck: false, loss })
    }

    /// Sends a message, or keeps it for later, or counts it.
    pub(crate) fn send(&mut self, message: Vec<u8>) {
        let most = match self.mode {
            Mode::Blocking => 0,
            Mode::NonBlocking(most) => most,
        };
        if !self.queue.is_empty() && self.held + message.len() > most {
            self.flush(false);
        }
        if !self.queue.is_empty() && self.held + message.len() > most {
            return self.loss.count(message.len(), None);
        }
        self.held += message.len();
        self.queue.push_back(message);
        let waits = self.mode == Mode::Blocking && !self.stuck;
        self.flush(waits);
    }

    /// Sends what waits. Without waiting, or with patience.
    pub(crate) fn flush(&mut self, waits: bool) {
        while let Some(message) = self.queue.front() {
            let result = match &self.channel {
                Some(channel) => push(channel, &message[self.gone..], waits),
                None => Err(ErrorKind::NotConnected.into()),
            };
            match result {
                Ok(length) => {
                    self.stuck = false;
                    self.gone += length;
                    if self.gone == message.len() {
                        self.next();
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.give_up(waits, None),
                Err(error) => {
                    if !self.reconnect() {
                        return self.give_up(true, Some(error));
                    }
                }
            }
        }
    }

    fn next(&mut self) {
        self.gone = 0;
        if let Some(message) = self.queue.pop_front() {
            self.held -= message.len();
        }
    }

    /// What nobody takes is lost where nothing may be held; of a stream's message the rest has to follow its beginning.
    fn give_up(&mut self, waited: bool, why: Option<Error>) {
        self.stuck |= waited;
        if self.mode == Mode::Blocking && self.gone == 0 && !self.queue.is_empty() {
            let length = self.queue.front().map_or(0, Vec::len);
            self.next();
            self.loss.count(length, why.or_else(|| Some(ErrorKind::TimedOut.into())));
        }
    }

    /// A server that was started again. At most once in a while, and what was half sent is sent anew.
    fn reconnect(&mut self) -> bool {
        if self.channel.is_none() && self.tried.elapsed() < PAUSE {
            return false;
        }
        self.tried = Instant::now();
        self.gone = 0;
        let was = self.channel.take();
        self.channel = self.place.connect().ok();
        // A refusal that a new connection does not help against is not tried again at once.
        was.is_some() && self.channel.is_some()
    }

    /// The end: what waits is sent, with patience.
    pub(crate) fn finish(&mut self) {
        self.mode = Mode::Blocking;
        while !self.queue.is_empty() {
            let before = self.queue.len();
            self.flush(!self.stuck);
            if self.queue.len() == before {
                break;
            }
        }
        let rest: usize = self.queue.drain(..).map(|message| message.len()).sum();
        if rest > 0 {
            self.loss.count(rest, Some(ErrorKind::TimedOut.into()));
        }
    }
}

/// Bytes that went.
fn push(channel: &Channel, bytes: &[u8], waits: bool) -> Result<usize> {
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, !waits);
    if waits {
        sockopt::set_socket_timeout(channel, sockopt::Timeout::Send, Some(PATIENCE))?;
    }
    match send(channel, bytes, flags) {
        // A queue of datagrams that is full, see unix(7) and udp(7).
        Err(rustix::io::Errno::NOBUFS) => Err(ErrorKind::WouldBlock.into()),
        sent => Ok(sent?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("hull-remote-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn what_is_not_taken_is_held_up_to_a_size_and_then_counted() {
        let path = place("held");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut remote = Remote::open(Place::Datagram(path.clone()), Mode::NonBlocking(10_000)).unwrap();
        (0..2000u32).for_each(|number| remote.send(number.to_le_bytes().repeat(25)));
        let lost = remote.loss.all;
        assert!(lost.times > 1000 && lost.bytes == lost.times * 100, "{lost:?}");
        server.set_nonblocking(true).unwrap();
        let (mut got, mut buffer) = (Vec::new(), [0; 200]);
        loop {
            while server.recv(&mut buffer).is_ok() {
                got.push(u32::from_le_bytes(buffer[..4].try_into().unwrap()));
            }
            if remote.queue.is_empty() {
                break;
            }
            remote.flush(false);
        }
        assert_eq!(got.len() as u64 + lost.times, 2000);
        assert!(got.is_sorted(), "in order");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_server_that_was_started_again_is_found_again() {
        let path = place("again");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut remote = Remote::open(Place::Datagram(path.clone()), Mode::Blocking).unwrap();
        drop(server);
        std::fs::remove_file(&path).unwrap();
        let server = UnixDatagram::bind(&path).unwrap();
        remote.send(b"here".to_vec());
        let mut buffer = [0; 10];
        assert_eq!(server.recv(&mut buffer).unwrap(), 4);
        assert_eq!(remote.loss.all.times, 0);
        std::fs::remove_file(path).unwrap();
    }
}
