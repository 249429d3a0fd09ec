//! `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, as values; Go's rules (golang.org/x/net/http/httpproxy), as docker's users set them.

use crate::error::{Error, Kind, Result};
use std::net::IpAddr;

/// What the environment says of proxies.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `http:`.
    pub http: Option<String>,
    /// For `https:`.
    pub https: Option<String>,
    /// Hosts that are reached without: names, `.domains`, addresses, networks, each with a port perhaps, or `*`.
    pub none: Option<String>,
}

impl Proxies {
    /// The one for a URL's scheme and host; never one for this host itself.
    pub(crate) fn of(&self, scheme: &str, host: &str, port: u16) -> Result<Option<ureq::Proxy>> {
        let proxy = if scheme == "https" { &self.https } else { &self.http };
        let proxy = proxy.as_deref().filter(|proxy| !proxy.is_empty() && !self.spares(host, port));
        let invalid = |error| {
            Error::new(Kind::Invalid, format!("use proxy `{}`", without_password(proxy))).caused_by(error)
        };
        proxy.map(|proxy| ureq::Proxy::new(proxy).map_err(|error: ureq::Error| invalid(error))).transpose()
    }

    fn spares(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_lowercase();
        let address = host.parse::<IpAddr>().ok();
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        let list = self.none.as_deref().unwrap_or_default();
        list.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .any(|entry| matches(entry, &host, address, port))
    }
}

fn without_password(proxy: Option<&str>) -> &str {
    let proxy = proxy.unwrap_or_default();
    proxy.rsplit_once('@').map_or(proxy, |(_, place)| place)
}

fn matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let network = network.parse::<IpAddr>().ok().zip(bits.parse().ok());
        return network.zip(address).is_some_and(|((network, bits), address)| holds(network, bits, address));
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => (name, digits.parse().ok()),
        _ => (entry, None),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').to_lowercase();
    if wanted.is_some_and(|wanted: u16| wanted != port) {
        return false;
    }
    if let Ok(own) = name.parse::<IpAddr>() {
        return address == Some(own);
    }
    match name.trim_start_matches('*').strip_prefix('.') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn holds(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let wide = |address: IpAddr| match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    };
    let ((network, length), (address, other)) = (wide(network), wide(address));
    let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
    length == other && bits <= length && network & mask == address & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_spared_as_go_has_it() {
        let none = "10.0.0.0/8, example.com,.only.sub, 192.168.1.1,with.port:8080,fd00::/8";
        let proxies = Proxies { none: Some(none.into()), ..Proxies::default() };
        for (host, port, spared) in [
            ("10.1.2.3", 80, true),
            ("11.1.2.3", 80, false),
            ("example.com", 443, true),
            ("a.example.com", 443, true),
            ("badexample.com", 443, false),
            ("only.sub", 443, false),
            ("x.only.sub", 443, true),
            ("192.168.1.1", 1, true),
            ("with.port", 8080, true),
            ("with.port", 80, false),
            ("[fd00::1]", 80, true),
            ("[fe00::1]", 80, false),
            ("localhost", 80, true),
            ("127.0.0.9", 80, true),
        ] {
            assert_eq!(proxies.spares(host, port), spared, "{host}:{port}");
        }
        assert!(Proxies { none: Some("*".into()), ..Proxies::default() }.spares("x", 1));
    }

    #[test]
    fn a_proxys_password_is_not_told() {
        let proxies = Proxies { https: Some("ftp://user:secret@x".into()), ..Proxies::default() };
        let error = proxies.of("https", "y", 443).unwrap_err();
        assert!(!error.line().contains("secret"), "{}", error.line());
    }
}
