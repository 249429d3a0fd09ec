//! The columns of ps(1), "STANDARD FORMAT SPECIFIERS".

use super::process::{Host, Process};
use crate::error::{Error, Kind, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `-f`
pub(super) const FULL: &str = "user=UID,pid,ppid,c,stime,tname=TTY,time,cmd";
/// `u`
pub(super) const USERS: &str = "user,pid,%cpu,%mem,vsz,rss,tname=TTY,stat,stime=START,bsdtime,args";
/// `-l`
pub(super) const LONG: &str = "f,s,uid,pid,ppid,c,pri,ni,sz,tname=TTY,time,ucmd=CMD";
/// `-j`
pub(super) const JOBS: &str = "pid,pgid,sid,tname=TTY,time,ucmd=CMD";

type Show = fn(&Process, &Host) -> String;

/// A heading, and what stands below it.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) title: String,
    show: Show,
}

impl Column {
    pub(super) fn show(&self, process: &Process, host: &Host) -> String {
        (self.show)(process, host)
    }
}

/// Names, their heading, and what stands below it.
#[rustfmt::skip]
const KNOWN: &[(&[&str], &str, Show)] = &[
    (&["pid", "tgid"], "PID", |p, _| p.pid.to_string()),
    (&["ppid"], "PPID", |p, _| p.parent.to_string()),
    (&["pgid", "pgrp"], "PGID", |p, _| p.group.to_string()),
    (&["sid", "sess", "session"], "SID", |p, _| p.session.to_string()),
    (&["tpgid"], "TPGID", |p, _| p.foreground.to_string()),
    (&["user", "euser", "uname"], "USER", |p, h| h.user(p.uid)),
    (&["ruser"], "RUSER", |p, h| h.user(p.real_uid)),
    (&["uid", "euid"], "UID", |p, h| h.inside(p.uid).to_string()),
    (&["gid", "egid"], "GID", |p, h| h.group_inside(p.gid).to_string()),
    (&["c", "cp"], "C", |p, h| format!("{:.0}", h.cpu(p).floor())),
    (&["pcpu", "%cpu"], "%CPU", |p, h| format!("{:.1}", h.cpu(p))),
    (&["pmem", "%mem"], "%MEM", |p, h| format!("{:.1}", h.share(p))),
    (&["vsz", "vsize"], "VSZ", |p, _| p.virtual_kib.to_string()),
    (&["rss", "rssize", "rsz"], "RSS", |p, _| p.resident_kib.to_string()),
    (&["sz"], "SZ", |p, _| (p.virtual_kib / 4).to_string()),
    (&["tty", "tt"], "TT", |p, _| p.terminal()),
    (&["tname"], "TTY", |p, _| p.terminal()),
    (&["stat"], "STAT", |p, _| p.state_in_full()),
    (&["s", "state"], "S", |p, _| p.state.to_string()),
    (&["stime", "start_time"], "STIME", |p, h| since(h.began(p))),
    (&["start"], "STARTED", |p, h| since(h.began(p))),
    (&["lstart"], "STARTED", |p, h| utc(h.began(p), "%a %b %e %H:%M:%S %Y")),
    (&["etime"], "ELAPSED", |p, h| elapsed(h.age(p) as u64)),
    (&["etimes"], "ELAPSED", |p, h| (h.age(p) as u64).to_string()),
    (&["time", "cputime"], "TIME", |p, _| cpu_time(p.cpu_ticks / 100)),
    (&["bsdtime"], "TIME", |p, _| format!("{}:{:02}", p.cpu_ticks / 6000, p.cpu_ticks / 100 % 60)),
    (&["cmd"], "CMD", |p, _| p.command.clone()),
    (&["args", "command"], "COMMAND", |p, _| p.command.clone()),
    (&["comm", "ucmd", "ucomm"], "COMMAND", |p, _| p.name.clone()),
    (&["ni", "nice"], "NI", |p, _| p.nice.to_string()),
    (&["pri"], "PRI", |p, _| (39 - p.priority).to_string()),
    (&["psr"], "PSR", |p, _| p.processor.to_string()),
    (&["nlwp", "thcount"], "NLWP", |p, _| p.threads.to_string()),
    (&["f", "flag", "flags"], "F", |p, _| format!("{:x}", p.flags >> 6 & 0x7)),
];

/// Columns by name, each with a heading of its own where one is given: `pid,comm=WHAT`.
pub(super) fn list(text: &str) -> Result<Vec<Column>> {
    let names = text.split([',', ' ']).filter(|name| !name.is_empty());
    names.map(one).collect()
}

fn one(text: &str) -> Result<Column> {
    let (name, own) = text.split_once('=').map_or((text, None), |(name, own)| (name, Some(own)));
    let known = KNOWN.iter().find(|(names, ..)| names.contains(&name));
    let Some((_, title, show)) = known else {
        let all: Vec<_> = KNOWN.iter().map(|(names, ..)| names[0]).collect();
        return Err(Error::new(Kind::Invalid, format!("unknown column of ps: '{name}'"))
            .with_hint(format!("known are {}", all.join(" "))));
    };
    Ok(Column { title: own.unwrap_or(title).to_owned(), show: *show })
}

/// The time of a day, of what began today; then the day, and at last the year.
fn since(began: Timestamp) -> String {
    let age = Timestamp::now().as_second() - began.as_second();
    let year = |time: Timestamp| utc(time, "%Y");
    match age {
        ..86_400 => utc(began, "%H:%M"),
        _ if year(began) == year(Timestamp::now()) => utc(began, "%b%d"),
        _ => year(began),
    }
}

fn utc(time: Timestamp, format: &str) -> String {
    time.to_zoned(TimeZone::system()).strftime(format).to_string()
}

/// `[days-][hours:]minutes:seconds`
fn elapsed(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    match (minutes / 60 / 24, minutes / 60 % 24) {
        (0, 0) => format!("{minutes:02}:{seconds:02}"),
        (0, hours) => format!("{hours:02}:{:02}:{seconds:02}", minutes % 60),
        (days, hours) => format!("{days}-{hours:02}:{:02}:{seconds:02}", minutes % 60),
    }
}

/// The same, with hours always.
fn cpu_time(seconds: u64) -> String {
    if seconds < 3600 { format!("00:{}", elapsed(seconds)) } else { elapsed(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_ps() {
        assert_eq!(elapsed(59), "00:59");
        assert_eq!(elapsed(3_600 + 61), "01:01:01");
        assert_eq!(elapsed(90_061), "1-01:01:01");
        assert_eq!((cpu_time(0), cpu_time(90_061)), ("00:00:00".into(), "1-01:01:01".into()));
    }
}
