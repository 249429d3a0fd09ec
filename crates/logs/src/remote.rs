//! Servers that take a message at a time, and may be slow, full or gone: nothing here waits for them but the first
//! connection. What waits is for whoever polls: a socket, and a moment.

use crate::loss::Loss;
use crate::option::Mode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with, sockopt,
};
use std::collections::VecDeque;
use std::io::{ErrorKind, Result};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a message that blocks may wait: once. After that its server has to take messages at once again.
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

/// The same with its name looked up, once: a look-up may take long.
#[derive(Debug)]
enum Address {
    Local(PathBuf),
    Unix(PathBuf, SocketType),
    Host(SocketAddr, SocketType),
}

impl Place {
    fn look_up(self) -> Result<Address> {
        Ok(match self {
            Self::Local(path) => Address::Local(path),
            Self::Datagram(path) => Address::Unix(path, SocketType::DGRAM),
            Self::Stream(path) => Address::Unix(path, SocketType::STREAM),
            Self::Udp(to) => Address::Host(first(&to)?, SocketType::DGRAM),
            Self::Tcp(to) => Address::Host(first(&to)?, SocketType::STREAM),
        })
    }
}

fn first(to: &str) -> Result<SocketAddr> {
    to.to_socket_addrs()?.next().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}

impl Address {
    /// A socket that is connected, or will be when it can be written to.
    fn connect(&self) -> rustix::io::Result<OwnedFd> {
        match self {
            Self::Local(path) => unix(path, SocketType::DGRAM).or_else(|_| unix(path, SocketType::STREAM)),
            Self::Unix(path, kind) => unix(path, *kind),
            Self::Host(address, kind) => {
                let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                let socket = socket(family, *kind)?;
                match connect(&socket, address) {
                    Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
                    Err(errno) => Err(errno),
                }
            }
        }
    }
}

fn unix(path: &Path, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let socket = socket(AddressFamily::UNIX, kind)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn socket(family: AddressFamily, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// A server, and what it has not taken yet.
#[derive(Debug)]
pub(crate) struct Remote {
    address: Address,
    channel: Option<OwnedFd>,
    /// When it was last connected, or that was tried.
    tried: Instant,
    /// Nothing has gone through since it was connected again.
    is_new: bool,
    mode: Mode,
    /// Messages that wait, and the bytes of them.
    queue: VecDeque<Vec<u8>>,
    held: usize,
    /// How much of the first has gone.
    gone: usize,
    /// Since when the first waits.
    since: Option<Instant>,
    /// It did not take a message in time, and none since.
    stuck: bool,
    pub(crate) loss: Loss,
}

impl Remote {
    /// Reaches it; waits until it answers, where it is one that answers.
    pub(crate) fn open(place: Place, mode: Mode) -> Result<Self> {
        let address = place.look_up()?;
        let channel = address.connect()?;
        answered(&channel)?;
        Ok(Self {
            address,
            channel: Some(channel),
            tried: Instant::now(),
            is_new: false,
            mode,
            queue: VecDeque::new(),
            held: 0,
            gone: 0,
            since: None,
            stuck: false,
            loss: Loss::default(),
        })
    }

    /// Sends a message, or keeps it for later, or counts it.
    pub(crate) fn send(&mut self, message: Vec<u8>) {
        if !self.has_room(&message) {
            self.flush();
        }
        if !self.has_room(&message) {
            return self.loss.count(message.len(), None);
        }
        self.held += message.len();
        self.queue.push_back(message);
        self.flush();
    }

    fn has_room(&self, message: &[u8]) -> bool {
        let most = match self.mode {
            Mode::Blocking if self.stuck => 0,
            // Whoever brings messages looks at `is_behind`, and does not bring the next.
            Mode::Blocking => usize::MAX,
            Mode::NonBlocking(most) => most,
        };
        self.queue.is_empty() || self.held + message.len() <= most
    }

    /// Sends what can go at once.
    pub(crate) fn flush(&mut self) {
        while let Some(message) = self.queue.front() {
            let whole = message.len();
            match push(self.channel.as_ref(), &message[self.gone..]) {
                Ok(length) => self.went(length, whole),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => return self.wait(),
                Err(errno @ Errno::MSGSIZE) => self.lose(0, errno.into()),
                Err(errno) => {
                    if !self.reconnect() {
                        return self.give_up(errno.into());
                    }
                }
            }
        }
        self.since = None;
    }

    fn went(&mut self, length: usize, whole: usize) {
        (self.stuck, self.is_new, self.since) = (false, false, None);
        self.gone += length;
        if self.gone == whole {
            self.gone = 0;
            self.queue.pop_front();
            self.held -= whole;
        }
    }

    fn wait(&mut self) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.stuck || since.elapsed() >= PATIENCE {
            self.give_up(ErrorKind::TimedOut.into());
        }
    }

    /// What nobody takes is lost where nothing may be held; of a stream's message the rest has to follow its beginning.
    fn give_up(&mut self, why: std::io::Error) {
        if self.mode != Mode::Blocking {
            return;
        }
        self.stuck = true;
        let mut why = Some(why);
        while self.queue.len() > usize::from(self.gone > 0) {
            self.lose(self.queue.len() - 1, why.take().unwrap_or_else(|| ErrorKind::TimedOut.into()));
        }
    }

    fn lose(&mut self, place: usize, why: std::io::Error) {
        if let Some(message) = self.queue.remove(place) {
            self.held -= message.len();
            self.loss.count(message.len(), Some(why));
        }
    }

    /// A server that was started again: what was half sent is sent anew. One that does not help is not tried again
    /// at once.
    fn reconnect(&mut self) -> bool {
        let was_of_use = self.channel.take().is_some() && !self.is_new;
        if !was_of_use && self.tried.elapsed() < PAUSE {
            return false;
        }
        (self.tried, self.is_new, self.gone) = (Instant::now(), true, 0);
        self.channel = self.address.connect().ok();
        self.channel.is_some()
    }

    /// What becomes writable when more of what waits can go.
    pub(crate) fn awaited(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().filter(|_| !self.queue.is_empty()).map(AsFd::as_fd)
    }

    /// When to try again at the latest.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        match &self.channel {
            None => Some(self.tried + PAUSE),
            Some(_) => self.since.filter(|_| self.is_behind()).map(|since| since + PATIENCE),
        }
    }

    /// Nothing more may be brought until this is over.
    pub(crate) fn is_behind(&self) -> bool {
        self.mode == Mode::Blocking && !self.stuck && !self.queue.is_empty()
    }

    /// Nothing more comes: what waits is given time, and no more than that.
    pub(crate) fn close(&mut self) {
        self.mode = Mode::Blocking;
        self.since = None;
        self.flush();
    }

    /// The end of it: what has not gone is lost.
    pub(crate) fn finish(&mut self) {
        self.close();
        while !self.queue.is_empty() {
            self.lose(0, ErrorKind::TimedOut.into());
        }
    }
}

/// A stream's connection may take a while to be there.
fn answered(channel: &OwnedFd) -> Result<()> {
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    if poll(&mut [PollFd::new(channel, PollFlags::OUT)], Some(&patience))? == 0 {
        // A server of datagrams that is full is there.
        return match sockopt::socket_type(channel)? {
            SocketType::STREAM => Err(ErrorKind::TimedOut.into()),
            _ => Ok(()),
        };
    }
    Ok(sockopt::socket_error(channel)??)
}

/// Bytes that went at once.
fn push(channel: Option<&OwnedFd>, bytes: &[u8]) -> rustix::io::Result<usize> {
    send(channel.ok_or(Errno::NOTCONN)?, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixListener};

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
            remote.flush();
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

    /// Polls as a monitor does, until nothing waits or `done`.
    fn attend(remote: &mut Remote, mut done: impl FnMut(&Remote) -> bool) {
        while !done(remote) {
            let patience = remote.due().map(|due| due.saturating_duration_since(Instant::now()));
            let patience = patience.unwrap_or(Duration::from_secs(60)) + Duration::from_millis(1);
            let patience =
                Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
            let socket = remote.awaited().map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::OUT));
            poll(&mut socket.into_iter().collect::<Vec<_>>(), Some(&patience)).unwrap();
            remote.flush();
        }
    }

    #[test]
    fn what_is_held_goes_when_there_is_room_and_nobody_writes() {
        let path = place("drains");
        let listener = UnixListener::bind(&path).unwrap();
        for mode in [Mode::Blocking, Mode::NonBlocking(100 << 20)] {
            let mut remote = Remote::open(Place::Stream(path.clone()), mode).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            (0..4000u32).for_each(|number| remote.send(number.to_le_bytes().repeat(1000)));
            assert!(remote.awaited().is_some(), "16 MB are more than a socket holds");
            assert_eq!(remote.is_behind(), mode == Mode::Blocking);
            let reader = std::thread::spawn(move || {
                let mut all = vec![0; 16_000_000];
                std::io::Read::read_exact(&mut server, &mut all).map(|()| all)
            });
            attend(&mut remote, |remote| remote.queue.is_empty());
            let all = reader.join().unwrap().unwrap();
            let numbers = all.chunks(4000).map(|each| u32::from_le_bytes(each[..4].try_into().unwrap()));
            assert!(numbers.eq(0..4000), "in order, and whole");
            assert_eq!((remote.loss.all.times, remote.is_behind(), remote.due()), (0, false, None));
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn who_takes_nothing_is_waited_for_once() {
        let path = place("stuck");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut remote = Remote::open(Place::Datagram(path.clone()), Mode::Blocking).unwrap();
        (0..2000u32).for_each(|number| remote.send(number.to_le_bytes().repeat(25)));
        assert!(remote.is_behind() && remote.loss.all.times == 0);
        attend(&mut remote, |remote| !remote.is_behind());
        let lost = remote.loss.all.times;
        assert!(lost > 1000, "{lost}");
        remote.send(vec![0; 100]);
        assert_eq!((remote.is_behind(), remote.loss.all.times), (false, lost + 1), "at once");
        let mut buffer = [0; 200];
        server.recv(&mut buffer).unwrap();
        remote.send(vec![0; 100]);
        assert_eq!(remote.loss.all.times, lost + 1, "it takes again");
        remote.finish();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_server_that_comes_later_gets_what_was_held() {
        let path = place("later");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut remote = Remote::open(Place::Datagram(path.clone()), Mode::NonBlocking(1000)).unwrap();
        drop(server);
        std::fs::remove_file(&path).unwrap();
        remote.send(b"here".to_vec());
        assert!(remote.awaited().is_none() && remote.due().is_some());
        let server = UnixDatagram::bind(&path).unwrap();
        attend(&mut remote, |remote| remote.queue.is_empty());
        assert_eq!(server.recv(&mut [0; 10]).unwrap(), 4);
        std::fs::remove_file(path).unwrap();
    }
}
