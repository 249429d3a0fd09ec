//! Names to addresses without the libc: `/etc/hosts`, then the servers of `/etc/resolv.conf`.
//!
//! A static binary's getaddrinfo(3) loads NSS modules of the libc it was built with, which another host does not have.
//! resolv.conf(5): `nameserver`, `search`, `domain`, `options ndots timeout attempts`. Each server is asked for A and AAAA over UDP,
//! and over TCP when the answer was cut. Aliases are followed in what one answer brings, as recursive servers give them.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Addresses of a name that are tried, at most.
const ADDRESSES: usize = 16;
/// A chain of aliases is followed no further.
const ALIASES: usize = 16;
/// resolv.conf(5): MAXNS.
const SERVERS: usize = 3;

/// Where names are looked up.
#[derive(Debug, Clone)]
pub(crate) struct Dns {
    hosts: PathBuf,
    resolv: PathBuf,
}

impl Default for Dns {
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), resolv: "/etc/resolv.conf".into() }
    }
}

/// What `resolv.conf` says.
#[derive(Debug, PartialEq, Eq)]
struct Conf {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    timeout: Duration,
    attempts: usize,
}

/// Why there is no address.
#[derive(Debug)]
enum Failure {
    /// All servers that answered say so.
    NoSuchName,
    /// None answered in a way one can go by.
    NoAnswer(String),
}

impl Resolver for Dns {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let until = timeout.not_zero().map(|left| Instant::now() + *left);
        let found = self.look_up(host, until).map_err(|why| failed(host, why))?;
        let family = config.ip_family();
        let wanted = family.keep_wanted(found.into_iter().map(|address| SocketAddr::new(address, port)));
        let mut addresses = self.empty();
        wanted.take(ADDRESSES).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

fn failed(host: &str, why: Failure) -> ureq::Error {
    let why = match why {
        Failure::NoSuchName => format!("look up `{host}`: no such host"),
        Failure::NoAnswer(why) => format!("look up `{host}`: {why}"),
    };
    ureq::Error::Other(why.into())
}

impl Dns {
    fn look_up(&self, host: &str, until: Option<Instant>) -> Result<Vec<IpAddr>, Failure> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let known = in_hosts(&read(&self.hosts), bare);
        if !known.is_empty() {
            return Ok(known);
        }
        // RFC 6761 section 6.3.
        if bare == "localhost" || bare.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()]);
        }
        let conf = Conf::parse(&read(&self.resolv));
        let mut failure = Failure::NoSuchName;
        for name in conf.candidates(bare) {
            match conf.ask(&name, until) {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) | Err(Failure::NoSuchName) => {}
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }
}

/// hosts(5).
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let named = lines.filter_map(|mut words| {
        let address = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
    });
    named.take(ADDRESSES).collect()
}

impl Conf {
    fn parse(text: &str) -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                Some("search" | "domain") => {
                    conf.search = words.map(|word| word.trim_end_matches('.').to_owned()).collect()
                }
                Some("options") => words.for_each(|option| conf.set(option)),
                _ => {}
            }
        }
        conf.servers.truncate(SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push(local);
        }
        conf
    }

    fn set(&mut self, option: &str) {
        let Some((name, value)) = option.split_once(':') else { return };
        let Ok(value) = value.parse::<u64>() else { return };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30)),
            "attempts" => self.attempts = value.clamp(1, 5) as usize,
            _ => {}
        }
    }

    /// The names to be tried, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(whole) = host.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let below =
            self.search.iter().filter(|domain| !domain.is_empty()).map(|domain| format!("{host}.{domain}"));
        let dots = host.bytes().filter(|byte| *byte == b'.').count();
        let own = [host.to_owned()];
        if dots >= self.ndots { own.into_iter().chain(below).collect() } else { below.chain(own).collect() }
    }

    fn ask(&self, name: &str, until: Option<Instant>) -> Result<Vec<IpAddr>, Failure> {
        let mut why = String::from("no name server answers");
        for _ in 0..self.attempts {
            for server in &self.servers {
                let left = until.map_or(self.timeout, |until| {
                    until.saturating_duration_since(Instant::now()).min(self.timeout)
                });
                if left.is_zero() {
                    return Err(Failure::NoAnswer("no answer in time".into()));
                }
                match both(*server, name, left) {
                    Err(Failure::NoAnswer(said)) => why = format!("name server {server}: {said}"),
                    other => return other,
                }
            }
        }
        Err(Failure::NoAnswer(why))
    }
}

fn server(word: &str) -> Option<SocketAddr> {
    let (address, scope) =
        word.split_once('%').map_or((word, None), |(address, scope)| (address, Some(scope)));
    match (address.parse().ok()?, scope) {
        (IpAddr::V6(address), Some(scope)) => {
            let index = scope.parse().ok()?;
            Some(std::net::SocketAddrV6::new(address, 53, 0, index).into())
        }
        (address, _) => Some(SocketAddr::new(address, 53)),
    }
}

/// IPv4 first: hosts that have an address of the other family and no way out by it are common.
fn both(server: SocketAddr, name: &str, left: Duration) -> Result<Vec<IpAddr>, Failure> {
    let four = question(server, name, TYPE::A, left)?;
    match question(server, name, TYPE::AAAA, left) {
        Ok(six) => Ok(four.into_iter().chain(six).collect()),
        Err(_) if !four.is_empty() => Ok(four),
        Err(failure) => Err(failure),
    }
}

fn question(server: SocketAddr, name: &str, kind: TYPE, left: Duration) -> Result<Vec<IpAddr>, Failure> {
    let told = |error: std::io::Error| Failure::NoAnswer(error.to_string());
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| told(errno.into()))?;
    let id = u16::from_ne_bytes(id);
    let asked = Name::new(name).map_err(|_| Failure::NoSuchName)?;
    let mut query = Packet::new_query(id);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    query.questions.push(Question::new(asked.clone(), QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    let query = query.build_bytes_vec().map_err(|error| Failure::NoAnswer(error.to_string()))?;
    let answer = by_udp(server, &query, id, &asked, left).map_err(told)?;
    let answer = match is_cut(&answer) {
        true => by_tcp(server, &query, left).map_err(told)?,
        false => answer,
    };
    addresses(&answer, id, &asked)
}

fn is_cut(answer: &[u8]) -> bool {
    Packet::parse(answer).is_ok_and(|packet| packet.has_flags(PacketFlag::TRUNCATION))
}

/// From a socket that only hears the server, and only what answers the question.
fn by_udp(
    server: SocketAddr,
    query: &[u8],
    id: u16,
    name: &Name<'_>,
    left: Duration,
) -> std::io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.send(query)?;
    let until = Instant::now() + left;
    let mut buffer = vec![0; 4096];
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(rest))?;
        let length = socket.recv(&mut buffer).map_err(in_time)?;
        if Packet::parse(&buffer[..length]).is_ok_and(|packet| answers(&packet, id, name)) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

fn in_time(error: std::io::Error) -> std::io::Error {
    if error.kind() == std::io::ErrorKind::WouldBlock { std::io::ErrorKind::TimedOut.into() } else { error }
}

/// RFC 7766: the length before the message.
fn by_tcp(server: SocketAddr, query: &[u8], left: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, left)?;
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))?;
    stream.write_all(&(query.len() as u16).to_be_bytes())?;
    stream.write_all(query)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn answers(packet: &Packet<'_>, id: u16, name: &Name<'_>) -> bool {
    let same = |question: &Question<'_>| question.qname.to_string().eq_ignore_ascii_case(&name.to_string());
    packet.id() == id && packet.has_flags(PacketFlag::RESPONSE) && packet.questions.first().is_none_or(same)
}

/// Those of the name, by way of its aliases.
fn addresses(answer: &[u8], id: u16, asked: &Name<'_>) -> Result<Vec<IpAddr>, Failure> {
    let packet = Packet::parse(answer).map_err(|error| Failure::NoAnswer(error.to_string()))?;
    if !answers(&packet, id, asked) {
        return Err(Failure::NoAnswer("answers another question".into()));
    }
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Err(Failure::NoSuchName),
        other => return Err(Failure::NoAnswer(format!("{other:?}"))),
    }
    let lower = |name: &Name<'_>| name.to_string().to_lowercase();
    let mut name = lower(asked);
    for _ in 0..ALIASES {
        let of_name = || packet.answers.iter().filter(|record| lower(&record.name) == name);
        let found: Vec<IpAddr> = of_name().filter_map(|record| address(&record.rdata)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let alias = of_name().find_map(|record| match &record.rdata {
            RData::CNAME(alias) => Some(lower(&alias.0)),
            _ => None,
        });
        match alias {
            Some(alias) => name = alias,
            None => return Ok(found),
        }
    }
    Err(Failure::NoAnswer("an alias that leads to itself".into()))
}

fn address(data: &RData<'_>) -> Option<IpAddr> {
    match data {
        RData::A(a) => Some(Ipv4Addr::from(a.address).into()),
        RData::AAAA(a) => Some(std::net::Ipv6Addr::from(a.address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
