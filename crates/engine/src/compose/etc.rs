//! The container's own `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`.

use crate::request::{Network, RunRequest};
use std::fmt::Write;

/// `/etc/hostname`
pub fn hostname_file(hostname: &str) -> String {
    format!("{hostname}\n")
}

const HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// `/etc/hosts`: with the host's network the host's own, else docker's; then `--add-host`. A container that
/// joins another's network is given that one's file instead.
pub fn hosts_file(request: &RunRequest, hosts: Option<&[u8]>) -> Vec<u8> {
    let mut file = match (&request.isolation.network, hosts) {
        (Network::Host, Some(hosts)) => hosts.to_vec(),
        _ => HOSTS.as_bytes().to_vec(),
    };
    if !file.is_empty() && !file.ends_with(b"\n") {
        file.push(b'\n');
    }
    for (name, address) in &request.files.add_hosts {
        file.extend_from_slice(format!("{address}\t{name}\n").as_bytes());
    }
    file
}

/// What docker falls back to where the host names only servers of its own loopback: Google's.
const SERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// `/etc/resolv.conf`: the host's, with `--dns`, `--dns-search`, `--dns-option` in place of its own. With a
/// network of its own a container can't reach servers on the host's loopback, so that these are left out.
pub fn resolv_file(request: &RunRequest, hosts: &[u8]) -> String {
    let (files, hosts) = (&request.files, String::from_utf8_lossy(hosts));
    let is_hosts = request.isolation.network == Network::Host;
    let asks = !files.dns.is_empty() || !files.dns_search.is_empty() || !files.dns_options.is_empty();
    if is_hosts && !asks {
        return hosts.into_owned();
    }
    let mut file = String::new();
    for server in servers(request, &hosts, is_hosts) {
        let _ = writeln!(file, "nameserver {server}"); // to a String: cannot fail
    }
    let search = chosen(&files.dns_search, &hosts, &["search", "domain"]);
    let search: Vec<&str> = search.into_iter().filter(|domain| *domain != ".").collect();
    line(&mut file, "search", &search);
    line(&mut file, "options", &chosen(&files.dns_options, &hosts, &["options"]));
    file
}

fn servers(request: &RunRequest, hosts: &str, is_hosts: bool) -> Vec<String> {
    if !request.files.dns.is_empty() {
        return request.files.dns.iter().map(|server| server.to_string()).collect();
    }
    let servers = lines(hosts, "nameserver").filter_map(|rest| rest.split_whitespace().next());
    let reachable: Vec<String> =
        servers.filter(|one| is_hosts || !is_loopback(one)).map(String::from).collect();
    match reachable.is_empty() && !is_hosts {
        true => SERVERS.map(String::from).into(),
        false => reachable,
    }
}

fn is_loopback(server: &str) -> bool {
    let address = server.split('%').next().unwrap_or(server);
    address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The request's words, else those of the host's last line of that name: resolv.conf(5).
fn chosen<'a>(asked: &'a [String], hosts: &'a str, names: &[&str]) -> Vec<&'a str> {
    if !asked.is_empty() {
        return asked.iter().map(String::as_str).collect();
    }
    let last = hosts.lines().rev().find_map(|line| names.iter().find_map(|name| after(line, name)));
    last.unwrap_or_default().split_whitespace().collect()
}

fn lines<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| after(line, name))
}

fn after<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.trim().strip_prefix(name).filter(|rest| rest.starts_with([' ', '\t']))
}

fn line(file: &mut String, name: &str, words: &[&str]) {
    if !words.is_empty() {
        let _ = writeln!(file, "{name} {}", words.join(" ")); // to a String: cannot fail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(network: Network) -> RunRequest {
        let mut request = RunRequest::default();
        request.isolation.network = network;
        request
    }

    const RESOLV: &[u8] = b"# by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.1\ndomain old.example\n\
        search a.example b.example\noptions edns0 trust-ad\n";

    #[test]
    fn hosts_are_dockers_or_the_hosts() {
        let mut own = request(Network::None);
        own.files.add_hosts = vec![("db".into(), [192, 0, 2, 7].into())];
        let text = String::from_utf8(hosts_file(&own, Some(b"10.0.0.1 host"))).unwrap();
        assert_eq!(text, format!("{HOSTS}192.0.2.7\tdb\n"));
        own.isolation.network = Network::Host;
        assert_eq!(hosts_file(&own, Some(b"10.0.0.1 host")), b"10.0.0.1 host\n192.0.2.7\tdb\n");
        assert_eq!(hosts_file(&request(Network::Host), None), HOSTS.as_bytes());
    }

    #[test]
    fn the_hosts_network_has_the_hosts_resolver() {
        assert_eq!(resolv_file(&request(Network::Host), RESOLV).as_bytes(), RESOLV);
        let mut asked = request(Network::Host);
        asked.files.dns_options = vec!["ndots:2".into()];
        let expected =
            "nameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch a.example b.example\noptions ndots:2\n";
        assert_eq!(resolv_file(&asked, RESOLV), expected);
    }

    #[test]
    fn an_own_network_does_not_reach_the_hosts_loopback() {
        let own = request(Network::None);
        let rest = "search a.example b.example\noptions edns0 trust-ad\n";
        assert_eq!(resolv_file(&own, RESOLV), format!("nameserver 192.0.2.1\n{rest}"));
        assert_eq!(resolv_file(&own, b"nameserver ::1\n"), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        assert_eq!(resolv_file(&own, b""), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        let mut asked = request(Network::None);
        asked.files.dns = vec![[127, 0, 0, 1].into()];
        asked.files.dns_search = vec![".".into()];
        assert_eq!(resolv_file(&asked, b"search x\n"), "nameserver 127.0.0.1\n");
    }
}
