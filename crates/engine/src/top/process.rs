//! What procfs says of a process: proc_pid_stat(5), proc_pid_status(5), proc_pid_cmdline(5).

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::Pid;

/// USER_HZ, on every architecture hull runs on.
const TICKS: u64 = 100;

/// A passwd file larger than this names nobody.
const LARGEST: u64 = 1 << 20;

/// A process at one moment.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) foreground: i32,
    pub(super) state: char,
    pub(super) flags: u64,
    pub(super) uid: u32,
    pub(super) real_uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    pub(super) command: String,
    pub(super) cpu_ticks: u64,
    pub(super) started_ticks: u64,
    pub(super) virtual_kib: u64,
    pub(super) resident_kib: u64,
    pub(super) priority: i64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    pub(super) processor: u64,
    locked: bool,
    terminal: u64,
}

impl Process {
    /// None where it is gone.
    pub(super) fn read(pid: Pid) -> Option<Self> {
        let pid = pid.as_raw_nonzero().get();
        let file = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).ok();
        let stat = String::from_utf8_lossy(&file("stat")?).into_owned();
        let status = String::from_utf8_lossy(&file("status")?).into_owned();
        let mut process = Self { pid, ..Self::of_stat(&stat)? };
        process.take_status(&status);
        process.command = process.words(&file("cmdline").unwrap_or_default());
        Some(process)
    }

    fn of_stat(text: &str) -> Option<Self> {
        let (name, rest) = (text.split_once('(')?.1).rsplit_once(')')?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        // By its number in the manual page, where the state is the third.
        let number =
            |field: usize| fields.get(field - 3).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let count = |field| number(field).max(0) as u64;
        let id = |field| number(field) as i32;
        Some(Self {
            name: printable(name),
            state: fields.first()?.chars().next()?,
            parent: id(4),
            group: id(5),
            session: id(6),
            terminal: count(7),
            foreground: id(8),
            flags: count(9),
            cpu_ticks: count(14) + count(15),
            priority: number(18),
            nice: number(19),
            threads: count(20),
            started_ticks: count(22),
            virtual_kib: count(23) / 1024,
            resident_kib: count(24) * (rustix::param::page_size() as u64 / 1024),
            processor: count(39),
            ..Self::default()
        })
    }

    fn take_status(&mut self, text: &str) {
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        let id =
            |key, place| line(key).split_whitespace().nth(place).and_then(|id| id.parse().ok()).unwrap_or(0);
        (self.real_uid, self.uid, self.gid) = (id("Uid:", 0), id("Uid:", 1), id("Gid:", 1));
        self.locked = id("VmLck:", 0) > 0;
    }

    /// One that has no words any more is named as the kernel names it.
    fn words(&self, cmdline: &[u8]) -> String {
        let text = String::from_utf8_lossy(cmdline);
        let text = printable(&text.trim_end_matches('\0').replace('\0', " "));
        match (text.is_empty(), self.state) {
            (true, 'Z') => format!("[{}] <defunct>", self.name),
            (true, _) => format!("[{}]", self.name),
            _ => text,
        }
    }

    /// Pseudo-terminals have the major numbers 136 to 143, see devices.txt of the kernel's documentation.
    pub(super) fn terminal(&self) -> String {
        let (major, minor) =
            (self.terminal >> 8 & 0xfff, self.terminal & 0xff | self.terminal >> 12 & 0xfff00);
        match major {
            136..=143 => format!("pts/{}", (major - 136) << 8 | minor),
            4 if minor < 64 => format!("tty{minor}"),
            _ => "?".into(),
        }
    }

    /// With the letters of ps(1), "PROCESS STATE CODES".
    pub(super) fn state_in_full(&self) -> String {
        let letters = [
            (self.nice < 0, '<'),
            (self.nice > 0, 'N'),
            (self.locked, 'L'),
            (self.session == self.pid, 's'),
            (self.threads > 1, 'l'),
            (self.foreground == self.group, '+'),
        ];
        let letters = letters.into_iter().filter(|(is, _)| *is).map(|(_, letter)| letter);
        std::iter::once(self.state).chain(letters).collect()
    }
}

/// What a process calls itself moves no cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What processes are told by: the host's clock and memory, the container's ids and accounts.
#[derive(Debug)]
pub(super) struct Host {
    now: Timestamp,
    uptime: f64,
    memory_kib: u64,
    users: Vec<[u32; 3]>,
    groups: Vec<[u32; 3]>,
    accounts: Vec<(u32, String)>,
}

impl Host {
    /// By the container's first process.
    pub(super) fn look(first: Option<Pid>) -> Self {
        let system = rustix::system::sysinfo();
        let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        let uptime = text.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
        let map = |name| first.map_or_else(Vec::new, |pid| map_of(pid, name));
        Self {
            now: Timestamp::now(),
            uptime,
            memory_kib: system.totalram * u64::from(system.mem_unit) / 1024,
            users: map("uid_map"),
            groups: map("gid_map"),
            accounts: first.map_or_else(Vec::new, accounts_of),
        }
    }

    /// Seconds.
    pub(super) fn age(&self, process: &Process) -> f64 {
        (self.uptime - process.started_ticks as f64 / TICKS as f64).max(0.0)
    }

    pub(super) fn began(&self, process: &Process) -> Timestamp {
        let age = SignedDuration::try_from_secs_f64(self.age(process)).unwrap_or_default();
        self.now.checked_sub(age).unwrap_or(self.now)
    }

    /// Percent of one CPU in its whole life.
    pub(super) fn cpu(&self, process: &Process) -> f64 {
        let age = self.age(process);
        let used = process.cpu_ticks as f64 / TICKS as f64;
        if age > 0.0 { used * 100.0 / age } else { 0.0 }
    }

    /// Percent of the host's memory.
    pub(super) fn share(&self, process: &Process) -> f64 {
        process.resident_kib as f64 * 100.0 / self.memory_kib.max(1) as f64
    }

    /// A user's id as the container has it.
    pub(super) fn inside(&self, id: u32) -> u32 {
        inside(&self.users, id)
    }

    pub(super) fn group_inside(&self, id: u32) -> u32 {
        inside(&self.groups, id)
    }

    pub(super) fn user(&self, id: u32) -> String {
        let id = self.inside(id);
        let account = self.accounts.iter().find(|(own, _)| *own == id);
        account.map_or_else(|| if id == 0 { "root".into() } else { id.to_string() }, |(_, name)| name.clone())
    }
}

fn inside(map: &[[u32; 3]], id: u32) -> u32 {
    let line = map.iter().find(|[_, host, size]| id.checked_sub(*host).is_some_and(|at| at < *size));
    line.map_or(id, |[inside, host, _]| inside + (id - host))
}

/// Lines of user_namespaces(7).
fn map_of(pid: Pid, name: &str) -> Vec<[u32; 3]> {
    let text = std::fs::read_to_string(format!("/proc/{}/{name}", pid.as_raw_nonzero())).unwrap_or_default();
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some([next()?, next()?, next()?])
    };
    text.lines().filter_map(line).collect()
}

/// The container's passwd(5), read below its root.
fn accounts_of(pid: Pid) -> Vec<(u32, String)> {
    let root = format!("/proc/{}/root", pid.as_raw_nonzero());
    let root = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let text = root.and_then(|root| sys::file::read_below(&root, "etc/passwd", LARGEST));
    let text = text.ok().flatten().unwrap_or_default();
    let line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, printable(name)))
    };
    String::from_utf8_lossy(&text).lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "12 (a) b\n(c) S 1 12 11 34816 -1 4194560 1 2 3 4 50 150 0 0 20 5 2 0 777 2048000 25 9";
        let process = Process::of_stat(stat).unwrap();
        assert_eq!((process.name.as_str(), process.state, process.parent), ("a) b?(c", 'S', 1));
        assert_eq!((process.cpu_ticks, process.virtual_kib, process.threads), (200, 2000, 2));
        assert_eq!((process.terminal(), process.state_in_full()), ("pts/0".into(), "SNl".into()));
        assert_eq!(process.words(b"sh\0-c\0\x1b[2J\0"), "sh -c ?[2J");
        assert_eq!(process.words(b""), "[a) b?(c]");
    }

    #[test]
    fn ids_are_those_inside() {
        let map = [[0, 70_000, 10], [1000, 5, 1]];
        assert_eq!([70_003, 5, 99].map(|id| inside(&map, id)), [3, 1000, 99]);
    }
}
