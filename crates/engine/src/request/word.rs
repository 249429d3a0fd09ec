//! Words of a closed set, signals, keys, addresses, and files of `NAME=value` lines.

use super::{Error, Kind, Pull, Result, Stream, invalid};
use std::net::IpAddr;
use std::str::FromStr;

impl FromStr for Pull {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "missing" | "" => Ok(Self::Missing),
            "never" => Ok(Self::Never),
            "always" => Ok(Self::Always),
            _ => invalid(format!(
                "invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\""
            )),
        }
    }
}

impl FromStr for Stream {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "stdin" => Ok(Self::Stdin),
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            _ => invalid("valid streams are STDIN, STDOUT and STDERR"),
        }
    }
}

/// The number of a signal: `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
pub fn signal(text: &str) -> Result<i32> {
    oci::signal::parse(text).map(i32::from).or_else(|_| invalid(format!("invalid signal: {text}")))
}

/// `--detach-keys`: `ctrl-p,ctrl-q`, letters, as the bytes a terminal sends; empty for no keys.
pub fn detach_keys(text: &str) -> Result<Vec<u8>> {
    text.split(',').filter(|_| !text.is_empty()).map(key).collect()
}

fn key(text: &str) -> Result<u8> {
    let wrong = || invalid(format!("Unknown character: '{text}'"));
    match (text.strip_prefix("ctrl-"), text.as_bytes()) {
        (Some(control), _) => match control.as_bytes() {
            [letter @ b'a'..=b'z'] => Ok(letter - b'a' + 1),
            b"@" => Ok(0),
            [letter @ (b'[' | b'\\' | b']' | b'^' | b'_')] => Ok(letter - b'[' + 27),
            _ => wrong(),
        },
        (None, [byte]) if byte.is_ascii() => Ok(*byte),
        _ => wrong(),
    }
}

/// `--add-host NAME:ADDRESS` or `NAME=ADDRESS`, an IPv6 one in brackets if wanted.
pub fn host_address(text: &str) -> Result<(String, IpAddr)> {
    // The first separator: an IPv6 address has colons of its own.
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    // A blank or the end of a line in it would make it more than one name: hosts(5).
    let is_name =
        |name: &str| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    let Some((name, address)) = parts.filter(|(name, _)| is_name(name)) else {
        return invalid(format!("bad format for add-host: {text:?}"));
    };
    if address == "host-gateway" {
        let words = "`host-gateway` is not available yet: it names the host on a bridge network";
        return Err(Error::new(Kind::NotYet, words));
    }
    let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match plain.parse() {
        Ok(address) => Ok((name.into(), address)),
        Err(_) => invalid(format!("invalid IP address in add-host: {address:?}")),
    }
}

/// `--dns-search DOMAIN`; `.` for none.
pub fn dns_search(text: &str) -> Result<String> {
    let trimmed = text.trim_matches(' ');
    let domain = trimmed.strip_suffix('.').unwrap_or(trimmed);
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let has_letter = domain.bytes().any(|byte| byte.is_ascii_alphabetic());
    match trimmed == "." || has_letter && domain.len() < 255 && domain.split('.').all(is_label) {
        true => Ok(if trimmed == "." { trimmed } else { domain }.into()),
        false => invalid(format!("{text} is not a valid domain")),
    }
}

/// What becomes part of a line of a file: no character in it may end the line.
pub fn one_line(text: &str) -> Result<String> {
    match text.contains(char::is_control) {
        true => invalid("it contains control characters"),
        false => Ok(text.into()),
    }
}

/// `--label KEY[=VALUE]`, a file's line or a flag; the value is empty where there is none.
pub fn label(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let name = key.trim_start();
    match name {
        "" => invalid(format!("invalid label '{text}': empty name")),
        _ if name.contains(char::is_whitespace) => invalid(format!("label '{name}' contains whitespaces")),
        _ => Ok((key.into(), value.into())),
    }
}

/// The lines of an `--env-file` or `--label-file` as docker reads them: `NAME=value` verbatim, or a
/// bare `NAME`; `#` begins a comment only at the start of a line. `file` is named in errors.
pub fn pairs<'a>(file: &str, bytes: &'a [u8]) -> Result<Vec<(&'a str, Option<&'a str>)>> {
    // Editors on Windows begin UTF-8 with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut pairs = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let Ok(line) = std::str::from_utf8(line) else {
            return invalid(format!("env file {file} contains invalid utf8 bytes at line {}", at + 1));
        };
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if !line.is_empty() && !line.starts_with('#') {
            pairs.push(pair(line)?);
        }
    }
    Ok(pairs)
}

fn pair(line: &str) -> Result<(&str, Option<&str>)> {
    let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
    if name.contains(char::is_whitespace) {
        return invalid(format!("variable '{name}' contains whitespaces"));
    }
    match name {
        "" => invalid(format!("no variable name on line '{line}'")),
        _ => Ok((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("RTMAX", 64),
            ("SIGPOLL", 29),
            ("SYS", 31),
        ] {
            assert_eq!(signal(text).ok(), Some(number), "{text}");
        }
        for text in ["", "0", "65", "SIG", "SIGFOO", "RTMIN-1", "RTMIN+99", "-9", "RTMIN+"] {
            assert_eq!(signal(text).unwrap_err().to_string(), format!("invalid signal: {text}"));
        }
    }

    #[test]
    fn keys_are_the_bytes_a_terminal_sends() {
        assert_eq!(detach_keys("ctrl-p,ctrl-q").unwrap(), [16, 17]);
        assert_eq!(detach_keys("a,ctrl-@,ctrl-[,ctrl-\\,ctrl-_").unwrap(), [b'a', 0, 27, 28, 31]);
        assert_eq!(detach_keys("").unwrap(), [0; 0]);
        for text in ["ctrl-", "ctrl-A", "ctrl-!", "ab", "a,", "ö"] {
            assert!(detach_keys(text).unwrap_err().to_string().starts_with("Unknown character"), "{text}");
        }
    }

    #[test]
    fn hosts_have_addresses() {
        for text in ["db:10.0.0.1", "db=10.0.0.1"] {
            assert_eq!(host_address(text).unwrap(), ("db".into(), "10.0.0.1".parse().unwrap()));
        }
        for text in ["db:::1", "db=[::1]", "db:[::1]"] {
            assert_eq!(host_address(text).unwrap().1, "::1".parse::<IpAddr>().unwrap(), "{text}");
        }
        assert!(host_address("db").unwrap_err().to_string().starts_with("bad format for add-host"));
        assert!(host_address(":1.2.3.4").unwrap_err().to_string().starts_with("bad format for add-host"));
        assert!(
            host_address("db:1.2.3").unwrap_err().to_string().starts_with("invalid IP address in add-host")
        );
        assert_eq!(host_address("db:host-gateway").unwrap_err().kind(), &Kind::NotYet);
    }

    #[test]
    fn no_name_of_a_host_adds_a_line() {
        for name in ["a b", "a\nb", "a\tb", "a\u{85}b", "a\u{1}b"] {
            assert!(host_address(&format!("{name}:1.2.3.4")).is_err(), "{name:?}");
        }
        assert!(one_line("a b").is_ok() && one_line("a\nnameserver 6.6.6.6").is_err());
    }

    #[test]
    fn search_domains_are_domains() {
        for (text, domain) in [(".", "."), ("a.b.", "a.b"), (" x-1.Example ", "x-1.Example")] {
            assert_eq!(dns_search(text).unwrap(), domain);
        }
        for text in
            ["", "a..b", "a_b", "-a", "a-", "12", "a\nnameserver 6.6.6.6", "a b", "..", &"a".repeat(255)]
        {
            let told = dns_search(text).unwrap_err().to_string();
            assert_eq!(told, format!("{text} is not a valid domain"));
        }
    }

    #[test]
    fn labels_have_a_name() {
        assert_eq!(label("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(label("a").unwrap(), ("a".into(), String::new()));
        assert_eq!(label("=x").unwrap_err().to_string(), "invalid label '=x': empty name");
        assert_eq!(label("").unwrap_err().to_string(), "invalid label '': empty name");
        assert_eq!(label("a b=1").unwrap_err().to_string(), "label 'a b' contains whitespaces");
    }

    #[test]
    fn files_of_pairs_are_read_as_docker_reads_them() {
        let text = b"\xef\xbb\xbfA=1\n# no\n\n   B=two words \nC\r\nD=\nE='q' # kept\n";
        let read = pairs("f", text).unwrap();
        let want = [
            ("A", Some("1")),
            ("B", Some("two words ")),
            ("C", None),
            ("D", Some("")),
            ("E", Some("'q' # kept")),
        ];
        assert_eq!(read, want);
        assert_eq!(pairs("f", b"=x").unwrap_err().to_string(), "no variable name on line '=x'");
        assert_eq!(pairs("f", b"A B=x").unwrap_err().to_string(), "variable 'A B' contains whitespaces");
        assert!(pairs("f", b"A\xff=x").unwrap_err().to_string().contains("invalid utf8 bytes at line 1"));
    }

    #[test]
    fn words_outside_their_set_are_refused() {
        assert_eq!("always".parse::<Pull>().unwrap(), Pull::Always);
        assert!(
            "sometimes"
                .parse::<Pull>()
                .unwrap_err()
                .to_string()
                .starts_with("invalid pull option: 'sometimes'")
        );
        assert_eq!("STDIN".parse::<Stream>().unwrap(), Stream::Stdin);
        assert!("x".parse::<Stream>().is_err());
    }
}
