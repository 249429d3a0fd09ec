//! One request: time limits, tries, rests between them, redirects.

use crate::answer::Answer;
use crate::dns::Dns;
use crate::error::{Error, Kind, Result, from_ureq, kind_of};
use crate::proxy::Proxies;
use crate::trust::Trust;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};
use ureq::http::{Method, Request, Uri};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector, TcpConnector};
use ureq::{Agent, SendBody};

/// docker follows as many.
const REDIRECTS: usize = 10;

/// How long one waits for a registry, and how often one asks again.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Without a byte, before and in an answer.
    pub silence: Duration,
    /// Tries of one request.
    pub tries: u32,
    /// Before the second try; each further rest is twice as long.
    pub rest: Duration,
    /// The longest rest, also where a registry asks for a longer one.
    pub longest_rest: Duration,
    /// For all tries of one request together; after that no further one begins.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            silence: Duration::from_secs(60),
            tries: 5,
            rest: Duration::from_millis(250),
            longest_rest: Duration::from_secs(60),
            whole: Duration::from_secs(300),
        }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the host need not prove who it is.
    pub(crate) insecure: bool,
}

impl Ask {
    pub(crate) fn new(method: Method, url: String, insecure: bool) -> Self {
        Self { method, url, headers: Vec::new(), body: Vec::new(), insecure }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self
    }

    fn build<B>(&self, body: B) -> std::result::Result<Request<B>, ureq::Error> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Ok(request.body(body)?)
    }
}

/// Connections, by host.
#[derive(Debug, Default)]
pub(crate) struct Http {
    pub(crate) trust: Trust,
    pub(crate) proxies: Proxies,
    pub(crate) patience: Patience,
    agents: Mutex<HashMap<(String, bool), Agent>>,
}

impl Http {
    pub(crate) fn new(trust: Trust, proxies: Proxies, patience: Patience) -> Self {
        Self { trust, proxies, patience, agents: Mutex::default() }
    }

    /// One try, one answer, whatever its status; redirects are answers.
    pub(crate) fn once(&self, ask: &Ask, what: &str) -> Result<std::result::Result<Answer, ureq::Error>> {
        let agent = self.agent(&ask.url, ask.insecure)?;
        let answered = match ask.body.is_empty() && !sends_a_body(&ask.method) {
            true => ask.build(()).and_then(|request| agent.run(request)),
            false => ask.build(ask.body.as_slice()).and_then(|request| agent.run(request)),
        };
        let _ = what;
        Ok(answered.map(|answer| answer_of(answer, &ask.url)))
    }

    /// One try with a body that is read as it is sent: `length` bytes, or chunks where nobody knows.
    pub(crate) fn stream(
        &self,
        ask: &Ask,
        body: &mut dyn Read,
        length: Option<u64>,
        what: &str,
    ) -> Result<Answer> {
        let agent = self.agent(&ask.url, ask.insecure)?;
        let mut ask = ask.clone();
        ask.headers.extend(length.map(|length| ("content-length", length.to_string())));
        let answered = ask.build(SendBody::from_reader(body)).and_then(|request| agent.run(request));
        answered.map(|answer| answer_of(answer, &ask.url)).map_err(|error| from_ureq(error, what))
    }

    /// Asks until there is an answer that another try would not change; only for what may be asked twice.
    pub(crate) fn ask(&self, ask: &Ask, what: &str) -> Result<Answer> {
        let until = Instant::now() + self.patience.whole;
        let mut tried = 0;
        loop {
            tried += 1;
            let is_last = tried >= self.patience.tries || Instant::now() >= until;
            let rest = match self.followed(ask, what)? {
                Ok(answer) if is_last || !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => self.rest_after(&answer, tried),
                Err(error) if is_last || kind_of(&error) != Kind::Unreachable || is_final(&error) => {
                    return Err(from_ureq(error, what));
                }
                Err(_) => self.rest(tried),
            };
            std::thread::sleep(rest);
        }
    }

    /// One try, and where it leads. Credentials stay with the host they are for; what began encrypted stays so.
    fn followed(&self, ask: &Ask, what: &str) -> Result<std::result::Result<Answer, ureq::Error>> {
        let mut ask = ask.clone();
        for _ in 0..=REDIRECTS {
            let answer = match self.once(&ask, what)? {
                Ok(answer) if is_redirect(answer.status) => answer,
                other => return Ok(other),
            };
            let Some(place) = answer.header("location").map(str::to_owned) else { return Ok(Ok(answer)) };
            let next = resolve_url(&ask.url, &place, what)?;
            answer.finish();
            if is_downgrade(&ask.url, &next) {
                let what =
                    format!("{what}: redirected from `{}` to `{}`, which is not encrypted", ask.url, next);
                return Err(Error::new(Kind::Refused, what));
            }
            if authority(&ask.url) != authority(&next) {
                ask = ask.without("authorization");
                ask.insecure = false;
            }
            ask.url = next;
        }
        Err(Error::new(Kind::Limit, format!("{what}: more than {REDIRECTS} redirects")))
    }

    /// Twice as long each time, and a random half of it, so that many clients do not come back at once.
    pub(crate) fn rest(&self, tried: u32) -> Duration {
        let whole =
            self.patience.rest.saturating_mul(1 << (tried - 1).min(10)).min(self.patience.longest_rest);
        let mut byte = [0; 1];
        let random = rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::empty())
            .map_or(255, |_| byte[0]);
        whole / 2 + whole.mul_f64(f64::from(random) / 512.0)
    }

    /// `Retry-After`, RFC 9110 section 10.2.3: seconds or a date.
    fn rest_after(&self, answer: &Answer, tried: u32) -> Duration {
        let asked = answer.header("retry-after").and_then(retry_after);
        asked.map_or_else(|| self.rest(tried), |asked| asked.min(self.patience.longest_rest))
    }

    fn agent(&self, url: &str, insecure: bool) -> Result<Agent> {
        let key = (origin(url), insecure);
        let mut agents = self.agents.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let agent = self.make_agent(url, insecure)?;
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    fn make_agent(&self, url: &str, insecure: bool) -> Result<Agent> {
        let invalid = |_| Error::new(Kind::Invalid, format!("`{url}` is no URL"));
        let uri: Uri = url.parse().map_err(invalid)?;
        let (scheme, host) = (uri.scheme_str().unwrap_or("https"), uri.host().unwrap_or_default());
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("hull/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(self.patience.connect))
            .timeout_per_read(Some(self.patience.silence))
            .timeout_per_write(Some(self.patience.silence))
            .timeout_await_100(Some(Duration::from_secs(1)))
            .input_buffer_size(128 * 1024)
            .output_buffer_size(128 * 1024)
            .max_idle_connections_per_host(8)
            .proxy(self.proxies.of(scheme, host, port)?)
            .tls_config(
                self.trust.of(uri.authority().map_or(host, |authority| authority.as_str()), insecure)?,
            )
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(RustlsConnector::default());
        Ok(Agent::with_parts(config, connector, Dns::default()))
    }
}

fn answer_of(answer: ureq::http::Response<ureq::Body>, url: &str) -> Answer {
    let (parts, body) = answer.into_parts();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body, url: url.to_owned() }
}

fn sends_a_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// What may be otherwise in a moment.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Nobody listens there, or there is no such name: a moment later neither.
fn is_final(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        ureq::Error::HostNotFound | ureq::Error::Other(_) | ureq::Error::Timeout(ureq::Timeout::Connect) => {
            true
        }
        _ => false,
    }
}

fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    let date = SystemTime::from(date);
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Scheme, host and port.
fn origin(url: &str) -> String {
    let after = url.find("://").map_or(0, |at| at + 3);
    url[..after + url[after..].find('/').unwrap_or(url.len() - after)].to_owned()
}

/// Host and port.
pub(crate) fn authority(url: &str) -> String {
    let origin = origin(url);
    origin.split_once("://").map_or(origin.clone(), |(scheme, host)| match (scheme, host.rsplit_once(':')) {
        ("https", None) => format!("{host}:443"),
        ("http", None) => format!("{host}:80"),
        _ => host.to_owned(),
    })
}

pub(crate) fn is_downgrade(from: &str, to: &str) -> bool {
    from.starts_with("https:") && !to.starts_with("https:")
}

/// A `Location`, RFC 9110 section 10.2.2, as seen from a URL.
pub(crate) fn resolve_url(base: &str, place: &str, what: &str) -> Result<String> {
    let place = place.trim();
    let scheme = base.split_once("://").map_or("https", |(scheme, _)| scheme);
    let url = match place {
        _ if place.starts_with("http://") || place.starts_with("https://") => place.to_owned(),
        _ if place.starts_with("//") => format!("{scheme}:{place}"),
        _ if place.starts_with('/') => origin(base) + place,
        _ if place.starts_with('?') => base.split('?').next().unwrap_or(base).to_owned() + place,
        _ => {
            let path = base.split('?').next().unwrap_or(base);
            let end = path.rfind('/').filter(|slash| *slash >= origin(base).len()).unwrap_or(path.len());
            format!("{}/{place}", &path[..end])
        }
    };
    let is_url = url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some()) && !url.contains('@');
    if !is_url || place.contains("://") && !place.starts_with("http") {
        let shown = crate::answer::shown(place);
        return Err(Error::new(Kind::Refused, format!("{what}: the registry points to `{shown}`")));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_from_where_one_is() {
        let at = |place: &str| resolve_url("https://r.example:5000/v2/a/blobs/x?y=1", place, "w");
        assert_eq!(at("/v2/b").unwrap(), "https://r.example:5000/v2/b");
        assert_eq!(at("http://o.example/c").unwrap(), "http://o.example/c");
        assert_eq!(at("//o.example/c").unwrap(), "https://o.example/c");
        assert_eq!(at("?z=2").unwrap(), "https://r.example:5000/v2/a/blobs/x?z=2");
        assert_eq!(at("z").unwrap(), "https://r.example:5000/v2/a/blobs/z");
        for bad in ["ftp://x/y", "http://user:pw@x/", "http://", "https://[::1"] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_host_is_known_with_and_without_its_usual_port() {
        assert_eq!(authority("https://a.example/x"), authority("https://a.example:443/y"));
        assert_ne!(authority("https://a.example/x"), authority("http://a.example/x"));
    }

    #[test]
    fn a_rest_is_as_asked_and_grows_otherwise() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:00:10 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
        let http = Http::default();
        let (first, fourth) = (http.rest(1), http.rest(4));
        assert!(
            first >= http.patience.rest / 2
                && first <= http.patience.rest
                && fourth >= 4 * http.patience.rest
        );
        assert!(http.rest(500) <= http.patience.longest_rest);
    }
}
