//! A connection to systemd's manager.
//!
//! By hand and not by a crate: zbus is made around an async executor, rustbus around a nix of years ago, and this
//! is a call and its answer.

use super::message::{Call, FIXED, Heard, Kind, Value, sizes};
use crate::{Error, Kind as ErrorKind, Result};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A unit starts and stops in milliseconds, but the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

const MANAGER: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";

/// Whose systemd.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Manager {
    /// The system's.
    System,
    /// A user's.
    User {
        /// `XDG_RUNTIME_DIR`
        runtime: Option<PathBuf>,
        /// `DBUS_SESSION_BUS_ADDRESS`
        address: Option<String>,
    },
}

impl Manager {
    /// Where to reach it, best first: its own socket, then the bus; true for the bus.
    fn sockets(&self) -> Vec<(PathBuf, bool)> {
        match self {
            Self::System => {
                vec![("/run/systemd/private".into(), false), ("/run/dbus/system_bus_socket".into(), true)]
            }
            Self::User { runtime, address } => {
                let own = runtime.iter().map(|runtime| (runtime.join("systemd/private"), false));
                let bus = address.as_deref().and_then(path_of).map(|path| (path, true));
                let usual = runtime.iter().map(|runtime| (runtime.join("bus"), true));
                own.chain(bus).chain(usual).collect()
            }
        }
    }
}

/// `unix:path=/run/user/1000/bus,guid=…`, the first address that is a path. What is escaped is bytes in hex.
fn path_of(address: &str) -> Option<PathBuf> {
    let path = |one: &str| {
        let pairs = one.strip_prefix("unix:")?.split(',');
        pairs.filter_map(|pair| pair.strip_prefix("path=")).map(unescape).next()
    };
    address.split(';').find_map(path).map(PathBuf::from)
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&part.as_bytes()[2..]);
            }
            None => bytes.extend(format!("%{part}").as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A connection to a manager.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Jobs that ended while something else was waited for.
    ended: Vec<(String, String)>,
}

/// What a call came to.
pub(super) enum Answer {
    Done(Heard),
    /// The name of the error, and its words.
    Refused(String, String),
}

impl Bus {
    /// # Errors
    /// [`ErrorKind::Unsupported`] where no systemd listens.
    pub(super) fn connect(manager: &Manager) -> Result<Self> {
        let mut tried = Vec::new();
        for (path, is_bus) in manager.sockets() {
            match Self::open(&path, is_bus) {
                Ok(bus) => return Ok(bus),
                Err(cause) => tried.push(format!("`{}`: {cause}", path.display())),
            }
        }
        let whose = if *manager == Manager::System { "the system's" } else { "the user's" };
        let cause = if tried.is_empty() { "no address of its bus is known".into() } else { tried.join("; ") };
        Err(Error::new(ErrorKind::Unsupported, format!("reach {whose} systemd")).caused_by(cause))
    }

    fn open(path: &Path, is_bus: bool) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut bus = Self { stream, serial: 0, ended: Vec::new() };
        bus.authenticate()?;
        let end = Instant::now() + PATIENCE;
        if is_bus {
            let bus_itself = "org.freedesktop.DBus";
            bus.call_to(bus_itself, "/org/freedesktop/DBus", bus_itself, "Hello", &[], end)?;
            let rule = format!("type='signal',interface='{INTERFACE}',member='JobRemoved'");
            let rule = [Value::Text(rule)];
            bus.call_to(bus_itself, "/org/freedesktop/DBus", bus_itself, "AddMatch", &rule, end)?;
        }
        bus.call_to(MANAGER, OBJECT, INTERFACE, "Subscribe", &[], end)?;
        Ok(bus)
    }

    /// Without naming an id, so that the socket's credentials count: an id of ours may mean nothing outside our
    /// user namespace.
    fn authenticate(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        let (first, second) = (self.line()?, self.line()?);
        match (first.starts_with("DATA"), second.starts_with("OK")) {
            (true, true) => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "the bus does not let us in")),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && line.len() < 1024 {
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Calls the manager.
    pub(super) fn call(&mut self, member: &str, arguments: &[Value]) -> Result<Answer> {
        let end = Instant::now() + PATIENCE;
        self.call_to(MANAGER, OBJECT, INTERFACE, member, arguments, end)
            .map_err(|cause| failed(member, cause))
    }

    fn call_to(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        arguments: &[Value],
        end: Instant,
    ) -> io::Result<Answer> {
        self.serial += 1;
        let serial = self.serial;
        let call = Call { destination, path, interface, member, arguments };
        self.stream.write_all(&call.write(serial))?;
        loop {
            let heard = self.hear(end)?;
            match heard.kind {
                Kind::Return if heard.answers == serial => return Ok(Answer::Done(heard)),
                Kind::Error if heard.answers == serial => {
                    return Ok(Answer::Refused(heard.error.clone(), heard.one_text().unwrap_or_default()));
                }
                _ => self.note(&heard),
            }
        }
    }

    fn note(&mut self, heard: &Heard) {
        if heard.kind == Kind::Signal && heard.member == "JobRemoved" {
            self.ended.extend(heard.job());
        }
    }

    /// Waits for the end of a job: `done`, `canceled`, `timeout`, `failed`, `dependency` or `skipped`.
    pub(super) fn await_job(&mut self, job: &str) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some((_, result)) = self.ended.iter().find(|(ended, _)| ended == job) {
                return Ok(result.clone());
            }
            let heard = self.hear(end).map_err(|cause| failed("wait for a job", cause))?;
            self.note(&heard);
        }
    }

    fn hear(&mut self, end: Instant) -> io::Result<Heard> {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left))?;
        let mut fixed = [0; FIXED];
        self.stream.read_exact(&mut fixed)?;
        let (fields, body) = sizes(&fixed)?;
        let mut rest = vec![0; fields + body];
        self.stream.read_exact(&mut rest)?;
        let body = rest.split_off(fields);
        Heard::read(fixed[1], &rest, body)
    }
}

fn failed(what: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Kernel, format!("ask systemd: {what}")).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path() {
        assert_eq!(path_of("unix:path=/run/user/7/bus,guid=ab").unwrap(), Path::new("/run/user/7/bus"));
        assert_eq!(path_of("tcp:host=x;unix:abstract=y;unix:path=/a%20b%2fc").unwrap(), Path::new("/a b/c"));
        assert_eq!(path_of("unix:abstract=y"), None);
    }

    #[test]
    fn without_systemd_the_reason_is_told() {
        let nowhere = Manager::User { runtime: Some("/nonexistent".into()), address: None };
        let error = Bus::connect(&nowhere).unwrap_err();
        assert_eq!(
            (*error.kind(), error.to_string()),
            (ErrorKind::Unsupported, "reach the user's systemd".into())
        );
    }
}
