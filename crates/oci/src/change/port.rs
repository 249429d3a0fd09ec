//! Ports of `EXPOSE`, as docker's go-connections reads them.

use super::refuse;
use crate::Result;
use std::net::IpAddr;

/// The ports of `80`, `80/udp`, `8000-8002`: `80/tcp`, …
///
/// As in docker, `[[ip:]host:]container` is taken and checked, and only the container's part is kept: an
/// image has no say in what is published (go-connections, `nat.ParsePortSpec`).
pub(super) fn parse(text: &str) -> Result<Vec<String>> {
    let (ip, host, container) = parts(text);
    let (range, protocol) = split_protocol(container);
    check_ip(ip)?;
    if range.is_empty() {
        return Err(refuse(format!("no port specified: {text}<empty>")));
    }
    let (first, last) = ports(range).ok_or_else(|| refuse(format!("invalid containerPort: {range}")))?;
    check_host(host, range, (first, last))?;
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(refuse(format!("invalid proto: {protocol}")));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Address, host's ports and container's ports; those that are not given are empty.
fn parts(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else { return ("", "", text) };
    let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    (ip, host, container)
}

fn split_protocol(text: &str) -> (&str, String) {
    let mut parts = text.split('/');
    let range = parts.next().unwrap_or_default();
    let protocol = parts.next().filter(|protocol| !protocol.is_empty()).unwrap_or("tcp");
    (range, protocol.to_lowercase())
}

fn check_ip(text: &str) -> Result<()> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if text.is_empty() || bare.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(refuse(format!("invalid IP address: {text}")))
}

/// As many ports of the host as of the container, or any number for a container's one.
fn check_host(text: &str, container: &str, (first, last): (u16, u16)) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let (host_first, host_last) = ports(text).ok_or_else(|| refuse(format!("invalid hostPort: {text}")))?;
    if first != last && last - first != host_last - host_first {
        return Err(refuse(format!(
            "invalid ranges specified for container and host Ports: {container} and {text}"
        )));
    }
    Ok(())
}

fn ports(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}
