//! Servers of syslog: RFC 3164, RFC 5424, and the local form of both.

use crate::line::Piece;
use crate::option::Choice;
use crate::remote::Place;
use crate::{Error, Kind, Result, Stream, Subject, tag};
use jiff::Timestamp;
use std::path::Path;

/// docker's options for it, besides those of all drivers.
pub(crate) const OPTIONS: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "",
    "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// Where the host's own server is.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// RFC 3164 without the host's name.
    Local,
    Rfc3164,
    Rfc5424,
    /// With microseconds.
    Rfc5424Micro,
}

/// A server, and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) place: Place,
    facility: u8,
    format: Format,
}

/// What each message begins with.
#[derive(Debug)]
pub(crate) struct Syslog {
    facility: u8,
    format: Format,
    tag: String,
    host: String,
    pid: u32,
}

fn invalid<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::new(Kind::Invalid, what))
}

impl Address {
    pub(crate) fn of(choice: &Choice) -> Result<Self> {
        let place = place(choice.filled("syslog-address"))?;
        let facility = facility(choice.filled("syslog-facility").unwrap_or("daemon"))?;
        let format = match choice.filled("syslog-format") {
            None => Format::Local,
            Some("rfc3164") => Format::Rfc3164,
            Some("rfc5424") => Format::Rfc5424,
            Some("rfc5424micro") => Format::Rfc5424Micro,
            Some(_) => return invalid("Invalid syslog format"),
        };
        Ok(Self { place, facility, format })
    }
}

fn place(address: Option<&str>) -> Result<Place> {
    let Some(address) = address else {
        let there = LOCAL.iter().find(|path| Path::new(path).exists());
        return Ok(Place::Local(there.unwrap_or(&LOCAL[0]).into()));
    };
    let path = |rest: &str| match std::fs::metadata(rest) {
        Ok(_) => Ok(rest.into()),
        Err(error) => Err(Error::new(Kind::Invalid, format!("syslog-address {address}")).caused_by(error)),
    };
    match address.split_once("://") {
        Some(("unix", rest)) => path(rest).map(Place::Stream),
        Some(("unixgram", rest)) => path(rest).map(Place::Datagram),
        Some(("udp", rest)) => Ok(Place::Udp(with_port(rest))),
        Some(("tcp", rest)) => Ok(Place::Tcp(with_port(rest))),
        Some(("tcp+tls", _)) => {
            let hint = "a local syslog server can pass it on by TLS; or use tcp:// or udp://";
            invalid("syslog over TLS is not available").map_err(|error| error.with_hint(hint))
        }
        _ => invalid(format!("syslog-address should be in form proto://address, got {address}")),
    }
}

fn with_port(host: &str) -> String {
    let bare = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    if bare.contains(':') { host.to_owned() } else { format!("{host}:514") }
}

fn facility(text: &str) -> Result<u8> {
    let named = FACILITIES.iter().position(|name| *name == text && !name.is_empty());
    let number = named.or_else(|| text.parse().ok().filter(|number| *number < FACILITIES.len()));
    number.map_or_else(|| invalid("invalid syslog facility"), |number| Ok(number as u8))
}

impl Syslog {
    pub(crate) fn new(address: &Address, choice: &Choice, subject: &Subject) -> Result<Self> {
        let tag = tag::tag(choice, subject, "{{.ID}}")?;
        let Address { facility, format, .. } = *address;
        Ok(Self { facility, format, tag, host: subject.host.clone(), pid: std::process::id() })
    }

    pub(crate) fn message(&self, time: Timestamp, piece: Piece<'_>) -> Vec<u8> {
        let severity = if piece.stream == Stream::Output { 6 } else { 3 };
        let priority = self.facility * 8 + severity;
        let Self { tag, host, pid, .. } = self;
        let stamp = || time.strftime("%b %e %H:%M:%S");
        let mut message = match self.format {
            Format::Local => format!("<{priority}>{} {tag}[{pid}]: ", stamp()),
            Format::Rfc3164 => format!("<{priority}>{} {host} {tag}[{pid}]: ", stamp()),
            Format::Rfc5424 => format!("<{priority}>1 {time:.0} {host} {tag} {pid} {tag} - "),
            Format::Rfc5424Micro => format!("<{priority}>1 {time:.6} {host} {tag} {pid} {tag} - "),
        }
        .into_bytes();
        message.extend(piece.text);
        message.push(b'\n');
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(format: &str) -> String {
        let options =
            [("syslog-format", format), ("syslog-address", "udp://h"), ("syslog-facility", "local1")];
        let choice = Choice::new("syslog", options.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let address = Address::of(&choice).unwrap();
        assert_eq!(address.place, Place::Udp("h:514".into()));
        let subject = Subject { id: "0123456789abcdef".into(), host: "host".into(), ..Subject::default() };
        let syslog = Syslog { pid: 7, ..Syslog::new(&address, &choice, &subject).unwrap() };
        let piece = Piece { stream: Stream::Error, text: b"line", ends: true, part: None };
        let time = "2026-03-04T05:06:07.123456789Z".parse().unwrap();
        String::from_utf8(syslog.message(time, piece)).unwrap()
    }

    #[test]
    fn messages_are_as_the_formats_have_them() {
        assert_eq!(message(""), "<139>Mar  4 05:06:07 0123456789ab[7]: line\n");
        assert_eq!(message("rfc3164"), "<139>Mar  4 05:06:07 host 0123456789ab[7]: line\n");
        assert_eq!(
            message("rfc5424"),
            "<139>1 2026-03-04T05:06:07Z host 0123456789ab 7 0123456789ab - line\n"
        );
        assert!(message("rfc5424micro").contains(" 2026-03-04T05:06:07.123456Z "));
    }

    #[test]
    fn addresses_have_a_port_by_default() {
        assert_eq!(with_port("[::1]"), "[::1]:514");
        assert_eq!(with_port("[::1]:5"), "[::1]:5");
        assert_eq!(with_port("a:5"), "a:5");
        assert_eq!((facility("3").unwrap(), facility("local7").unwrap()), (3, 23));
        assert!(facility("24").is_err() && facility("").is_err());
    }
}
