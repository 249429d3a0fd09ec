//! `logs`: what a container wrote.

use crate::Caller;
use crate::edge::{Done, Failure};
use crate::flags::{Mistake, Syntax, Typed, switch, value};
use engine::Kind;
use engine::life::{Entry, LogRequest, LogStream, log_moment};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::Write;

pub(super) const LOGS: Syntax = Syntax {
    name: "logs",
    rest: "CONTAINER",
    about: "What a container wrote.",
    flags: &[
        switch("follow", "Go on until it ends").or('f'),
        value("tail", "N", "Only the last N lines, or all").or('n'),
        value("since", "TIME", "Only from a time on, or for a while back: 10m"),
        value("until", "TIME", "Only before a time"),
        switch("timestamps", "When each line was written").or('t'),
        switch("details", "The labels and variables that its --log-opt name"),
    ],
    examples: &["hull logs -f --tail 20 NAME", "hull logs --since 2026-01-02T15:04:05Z NAME"],
    words: (1, 1),
    stops: false,
};

pub(super) fn logs(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let request = LogRequest {
        follow: typed.is_on("follow"),
        tail: typed.filled("tail").and_then(tail),
        since: moment(typed, "since")?,
        until: moment(typed, "until")?,
    };
    let name = &typed.words[0];
    let details = typed.is_on("details").then(|| engine.log_details(name)).transpose()?;
    let details = details.map(|details| shown(&details) + " ");
    let mut page = Page { times: typed.is_on("timestamps"), details, begins: [true; 3] };
    engine.logs(name, &request, &mut |entry| page.show(entry))?;
    Ok(0)
}

/// As docker does, whatever is no number of lines is all.
fn tail(text: &str) -> Option<u64> {
    text.parse::<i64>().ok().and_then(|count| u64::try_from(count).ok())
}

fn moment(typed: &Typed, flag: &str) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = typed.filled(flag) else { return Ok(None) };
    let wrong = |error: engine::Error| Mistake::new(format!("invalid value for {flag:?}: {error}"));
    Ok(Some(log_moment(text).map_err(wrong)?))
}

fn shown(details: &BTreeMap<String, String>) -> String {
    let each = details.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
    each.collect::<Vec<_>>().join(",")
}

/// As in the query of an address, which is what docker does.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Lines as they are shown, each stream's on a stream of ours.
struct Page {
    times: bool,
    details: Option<String>,
    /// The next entry of standard output, of standard error, of what was lost, begins a line.
    begins: [bool; 3],
}

impl Page {
    fn show(&mut self, entry: &Entry) -> engine::Result<()> {
        let written = if self.times || self.details.is_some() {
            put(entry.stream, &self.lines(entry))
        } else {
            put(entry.stream, &entry.text)
        };
        written.map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::BrokenPipe => Kind::OutputClosed,
                _ => Kind::Failed,
            };
            engine::Error::new(kind, "write the log").caused_by(error)
        })
    }

    /// With what stands before each.
    fn lines(&mut self, entry: &Entry) -> Vec<u8> {
        let begins = &mut self.begins[entry.stream as usize - 1];
        let mut text = Vec::with_capacity(entry.text.len() * 2);
        let time = format!("{:.9} ", entry.time);
        for line in entry.text.split_inclusive(|&byte| byte == b'\n') {
            if *begins {
                text.extend(time.bytes().filter(|_| self.times));
                text.extend(self.details.iter().flat_map(|details| details.bytes()));
            }
            text.extend(line);
            *begins = line.ends_with(b"\n");
        }
        text
    }
}

fn put(stream: LogStream, text: &[u8]) -> std::io::Result<()> {
    let put = |to: &mut dyn Write| to.write_all(text).and_then(|()| to.flush());
    match stream {
        LogStream::Output => put(&mut std::io::stdout().lock()),
        _ => put(&mut std::io::stderr().lock()),
    }
}
