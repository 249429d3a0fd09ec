//! The network of a process, from `/proc/PID/net`.

use super::process::Process;
use super::value::{Network, Owner};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a process reaches.
pub(super) fn seen(process: &Process, owner: Owner) -> Network {
    let interfaces = interfaces(&process.text("net/dev"));
    let mut addresses = addresses(&process.text("net/fib_trie"));
    addresses.extend(addresses6(&process.text("net/if_inet6")));
    let has_route = has_route(&process.text("net/route"), &process.text("net/ipv6_route"));
    let listens = if owner == Owner::Host { Vec::new() } else { listening(process) };
    let reach = reach(owner, &interfaces, has_route).to_owned();
    Network { reach, interfaces, addresses, has_route, listens }
}

/// Of a container that does not run.
pub(super) fn wanted(owner: Owner, mode: &str) -> Network {
    let only = ["lo".to_owned()];
    let reach = match mode {
        "none" | "" => reach(owner, &only, false),
        _ if owner == Owner::Own => "a network of its own",
        _ => reach(owner, &[], true),
    };
    Network { reach: reach.to_owned(), ..Network::default() }
}

fn reach(owner: Owner, interfaces: &[String], has_route: bool) -> &'static str {
    match owner {
        Owner::Host => "all that the host reaches, and the host's own ports",
        _ if interfaces.iter().all(|name| name == "lo") => "nothing: it has only its own loopback",
        _ if has_route => "its own network, and what is routed from there",
        _ => "its own network, and no further",
    }
}

/// Two lines of headings, then `name: counters`.
fn interfaces(dev: &str) -> Vec<String> {
    dev.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// Leaves of the routing trie that are `/32 host LOCAL` are the host's own addresses.
fn addresses(fib_trie: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = "";
    for line in fib_trie.lines().map(str::trim) {
        match line.strip_prefix("|-- ") {
            Some(address) => last = address,
            None if line == "/32 host LOCAL" && !found.iter().any(|one| one == last) => {
                found.push(last.to_owned())
            }
            None => {}
        }
    }
    found
}

/// 32 digits, then number, length, scope, flags, name.
fn addresses6(if_inet6: &str) -> Vec<String> {
    let line = |line: &str| {
        let digits = line.split_whitespace().next()?;
        Some(Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?).to_string())
    };
    if_inet6.lines().filter_map(line).collect()
}

/// A way to everywhere that does not lead to `lo`.
fn has_route(route: &str, route6: &str) -> bool {
    let v4 = route.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    let is_v6 = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.len() > 9 && words[0].bytes().all(|digit| digit == b'0') && words[1] == "00" && words[9] != "lo"
    };
    v4 || route6.lines().any(is_v6)
}

/// Sockets of TCP that listen (state 0A), and of UDP that are bound (07).
fn listening(process: &Process) -> Vec<String> {
    let files = [
        ("tcp", "net/tcp", "0A"),
        ("tcp", "net/tcp6", "0A"),
        ("udp", "net/udp", "07"),
        ("udp", "net/udp6", "07"),
    ];
    let mut all: Vec<_> =
        files.iter().flat_map(|(name, file, state)| sockets(name, &process.text(file), state)).collect();
    all.dedup();
    all
}

fn sockets(protocol: &str, table: &str, state: &str) -> Vec<String> {
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().take(4).collect();
        let (address, port) = words.get(1)?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (words.get(3) == Some(&state)).then(|| Some(format!("{protocol} {}:{port}", address_of(address)?)))?
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// Words of 32 bits in the machine's own order.
fn address_of(digits: &str) -> Option<String> {
    let word = |at: usize| u32::from_str_radix(digits.get(at * 8..at * 8 + 8)?, 16).ok();
    if digits.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).to_string());
    }
    let mut bytes = [0; 16];
    for (at, chunk) in bytes.chunks_mut(4).enumerate() {
        chunk.copy_from_slice(&word(at)?.to_ne_bytes());
    }
    Some(format!("[{}]", Ipv6Addr::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_local_leaves() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n     |-- 10.0.0.5\n        /32 host LOCAL\n";
        assert_eq!(addresses(trie), ["10.0.0.5"]);
        assert_eq!(addresses6("00000000000000000000000000000001 01 80 10 80       lo\n"), ["::1"]);
    }

    #[test]
    fn who_listens_is_found_by_the_socket_tables() {
        let v4 = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0100007F:1F91 00000000:0000 01 0\n";
        assert_eq!(sockets("tcp", v4, "0A"), ["tcp 127.0.0.1:8080"]);
        let v6 = "  sl  local_address\n   0: 00000000000000000000000001000000:0050 0:0 0A 0\n";
        assert_eq!(sockets("tcp", v6, "0A"), ["tcp [::1]:80"]);
    }

    #[test]
    fn a_default_route_is_a_way_out() {
        assert!(has_route("Iface Destination\neth0\t00000000\t0100000A\n", ""));
        assert!(!has_route("Iface Destination\neth0\t0000000A\t00000000\n", ""));
        let lo = format!("{0} 00 {0} 00 {0} ffffffff 1 0 00200200 lo", "0".repeat(32));
        assert!(!has_route("", &lo) && has_route("", &lo.replace("lo", "eth0")));
    }
}
