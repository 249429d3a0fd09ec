//! Ports of `EXPOSE`, as docker's go-connections reads them.

use super::refuse;
use crate::Result;

/// The ports of `80`, `80/udp`, `8000-8002`: `80/tcp`, …
///
/// Docker also takes `host:container` here and forgets the host's part; hull does not pretend.
pub(super) fn parse(text: &str) -> Result<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = if protocol.is_empty() { "tcp".into() } else { protocol.to_lowercase() };
    let (first, last) = ports(range).ok_or_else(|| refuse(format!("invalid containerPort: {range}")))?;
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(refuse(format!("invalid proto: {protocol}")));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn ports(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}
