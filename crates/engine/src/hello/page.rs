//! The page: facts set in a dozen lines of at most 80 columns.

use super::facts::{Facts, Limit, Range, Root};
use std::fmt::Write;

/// Columns of the page.
const WIDTH: usize = 80;
/// Columns of the names at the left.
const NAME: usize = 15;

const UNREAD: &str = "could not be read";

/// Bits of a capability set by number, see capabilities(7).
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The whole page, ending with a newline.
pub(crate) fn set(facts: &Facts) -> String {
    let mut page =
        String::from("\n  Hello from a hull container. What isolates it, as its kernel tells just now:\n\n");
    for (name, words) in lines(facts) {
        put(&mut page, name, &words);
    }
    page.push_str(
        "\n  Next:  mmdebstrap --variant=minbase bookworm - | hull import - debian:bookworm\n         \
         hull run -it --rm debian:bookworm bash\n\n",
    );
    page
}

fn lines(facts: &Facts) -> Vec<(&'static str, String)> {
    vec![
        ("process", process(facts)),
        ("host name", facts.hostname.clone().unwrap_or_else(|| UNREAD.into())),
        ("namespaces", namespaces(&facts.namespaces)),
        ("users", users(facts)),
        ("network", network(facts.interfaces.as_deref())),
        ("memory", limit(facts.memory, size)),
        ("cpus", limit(facts.cpu, cpus)),
        ("processes", limit(facts.pids, |n| n.to_string())),
        ("root", root(facts.root.as_ref())),
        ("capabilities", capabilities(facts)),
        ("system calls", seccomp(facts.seccomp)),
        ("privileges", privileges(facts.no_new_privs)),
    ]
}

/// One name and its words, broken between words and indented below each other.
fn put(page: &mut String, name: &str, words: &str) {
    let mut lead = format!("  {name:<NAME$}");
    let mut column = lead.len();
    page.push_str(&lead);
    for (at, word) in words.split(' ').enumerate() {
        if at > 0 && column + 1 + word.len() > WIDTH {
            lead = " ".repeat(2 + NAME);
            let _ = write!(page, "\n{lead}{word}");
            column = lead.len() + word.len();
        } else {
            let gap = if at > 0 { " " } else { "" };
            let _ = write!(page, "{gap}{word}");
            column += gap.len() + word.len();
        }
    }
    page.push('\n');
}

fn process(facts: &Facts) -> String {
    let own = facts.namespaces.iter().any(|(name, own)| *name == "pid" && *own == Some(true));
    match (facts.pid, own) {
        (None, _) => UNREAD.into(),
        (Some(1), true) => "pid 1: the first process here, and it sees no other system's".into(),
        (Some(pid), true) => format!("pid {pid} in a pid namespace of its own"),
        (Some(pid), false) => format!("pid {pid}, among the host's processes"),
    }
}

fn namespaces(all: &[(&'static str, Option<bool>)]) -> String {
    let having = |own| all.iter().filter(|(_, o)| *o == own).map(|(name, _)| *name).collect::<Vec<_>>();
    let (own, shared, unread) = (having(Some(true)), having(Some(false)), having(None));
    let groups = [("", own.clone()), ("the host's: ", shared), ("not readable: ", unread)];
    let told = groups.iter().filter(|(_, names)| !names.is_empty());
    let told: Vec<String> = told.map(|(note, names)| format!("{note}{}", names.join(" "))).collect();
    format!("{} of {} its own: {}", own.len(), all.len(), told.join("; "))
}

fn users(facts: &Facts) -> String {
    let (Some(uid), Some(map)) = (facts.uid, &facts.uid_map) else { return UNREAD.into() };
    let name = if uid == 0 { "root".to_owned() } else { format!("user {uid}") };
    let covers = |range: &&Range| uid >= range.inside && uid - range.inside < range.size;
    match map.iter().find(covers) {
        None => format!("{name} here has no id on the host"),
        Some(range) if range.host == range.inside => format!("{name} here is {name} on the host as well"),
        Some(range) => {
            let host = range.host + (uid - range.inside);
            let count: u64 = map.iter().map(|range| u64::from(range.size)).sum();
            format!("{name} here is nobody outside: id {host} of the host; {count} ids mapped")
        }
    }
}

fn network(interfaces: Option<&[String]>) -> String {
    match interfaces {
        None => UNREAD.into(),
        Some([]) => "no interface".into(),
        Some([lo]) if lo == "lo" => "interface lo alone: nothing goes in or out".into(),
        Some(names) => format!("interfaces {}", names.join(" ")),
    }
}

fn limit(limit: Limit<u64>, words: impl Fn(u64) -> String) -> String {
    match limit {
        Limit::Unknown => UNREAD.into(),
        Limit::None => "no limit".into(),
        Limit::At(value) => format!("at most {}", words(value)),
    }
}

fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes.is_multiple_of(*unit) => format!("{} {name}", bytes / unit),
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

fn cpus(thousandths: u64) -> String {
    let text = format!("{:.3}", thousandths as f64 / 1000.0);
    format!("{} of a second of CPU per second", text.trim_end_matches('0').trim_end_matches('.'))
}

fn root(root: Option<&Root>) -> String {
    let Some(root) = root else { return UNREAD.into() };
    let layers = match root.layers {
        0 => String::new(),
        1 => " of 1 layer".into(),
        n => format!(" of {n} layers"),
    };
    let writes = match (root.writable, root.kind.as_str()) {
        (false, _) => "read-only",
        (true, "overlay") => "writable: changes go to a layer of this container",
        (true, _) => "writable",
    };
    format!("{}{layers}, {writes}", root.kind)
}

fn capabilities(facts: &Facts) -> String {
    let Some(set) = facts.capabilities else { return UNREAD.into() };
    let all = facts.last_capability.map_or(CAPABILITIES.len() as u32, |last| last + 1);
    match (set.count_ones(), all) {
        (0, _) => format!("none of {all}: root here may not do more than any user"),
        (count, all) if count == all => format!("all {all}: this container is privileged"),
        (count, all) if 2 * count > all => {
            format!("{count} of {all}: all but {}", names(!set & ((1 << all) - 1)).join(" "))
        }
        (count, all) => format!("{count} of {all}: {}", names(set).join(" ")),
    }
}

fn names(set: u64) -> Vec<String> {
    let name = |bit: usize| CAPABILITIES.get(bit).map_or_else(|| bit.to_string(), |name| (*name).to_owned());
    (0..64).filter(|bit| set >> bit & 1 == 1).map(name).collect()
}

/// The modes of seccomp(2) as `/proc/self/status` numbers them.
fn seccomp(mode: Option<u32>) -> String {
    match mode {
        None => UNREAD.into(),
        Some(0) => "not filtered".into(),
        Some(1) => "strict: read, write and exit alone".into(),
        Some(_) => "filtered: what containers do not need is refused".into(),
    }
}

fn privileges(no_new: Option<bool>) -> String {
    match no_new {
        None => UNREAD.into(),
        Some(true) => "no new ones: set-uid programs gain nothing".into(),
        Some(false) => "set-uid programs work, within the users and capabilities above".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{Captured, v1, v2};
    use super::*;

    fn page(source: &Captured) -> String {
        set(&Facts::read(source))
    }

    #[test]
    fn the_page_of_a_default_container_is_this_one() {
        let expected = "
  Hello from a hull container. What isolates it, as its kernel tells just now:

  process        pid 1: the first process here, and it sees no other system's
  host name      3f2a9c0d11be
  namespaces     7 of 8 its own: user mnt pid net ipc uts cgroup; the host's:
                 time
  users          root here is nobody outside: id 1879048192 of the host; 65536
                 ids mapped
  network        interface lo alone: nothing goes in or out
  memory         at most 64 MiB
  cpus           at most 1.5 of a second of CPU per second
  processes      no limit
  root           overlay of 3 layers, writable: changes go to a layer of this
                 container
  capabilities   14 of 41: chown dac_override fowner fsetid kill setgid setuid
                 setpcap net_bind_service net_raw sys_chroot mknod audit_write
                 setfcap
  system calls   filtered: what containers do not need is refused
  privileges     set-uid programs work, within the users and capabilities above

  Next:  mmdebstrap --variant=minbase bookworm - | hull import - debian:bookworm
         hull run -it --rm debian:bookworm bash

";
        assert_eq!(page(&v2()), expected);
    }

    #[test]
    fn every_page_fits_eighty_columns() {
        let mut privileged = Facts::read(&v2());
        privileged.capabilities = Some((1 << 41) - 2);
        let pages = [page(&v1()), page(&v2()), page(&Captured(Vec::new())), set(&privileged)];
        assert!(pages.iter().flat_map(|page| page.lines()).all(|line| line.len() <= WIDTH), "{pages:#?}");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(page(&Captured(Vec::new())).matches(UNREAD).count(), 11);
    }

    #[test]
    fn a_container_that_shares_says_so() {
        let page = page(&v1());
        for words in
            ["user 1000 on the host as well", "none of 41", "not filtered", "read-only", "no new ones"]
        {
            assert!(page.contains(words), "{words} in {page}");
        }
    }
}
