//! Tokens: distribution-spec "Token Authentication", docker's OAuth2 variant, RFC 6749.

use crate::challenge::Bearer;
use crate::credential::Login;
use crate::error::{Error, Kind, Result, refusal};
use crate::http::{Ask, Http};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::time::{Duration, Instant};
use ureq::http::Method;

/// A token service's answer is read no further, bytes.
const ANSWER_MAX: u64 = 1024 * 1024;
/// distribution-spec: a token without a term is good for a minute.
const TERM: u64 = 60;
/// A token is not used in its last moments, seconds.
const MARGIN: u64 = 5;

/// A token and how long it can be used.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) until: Instant,
    /// Stands for the password at the next time, where that was asked for.
    pub(crate) refresh: Option<String>,
}

#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// What a token is for.
pub(crate) struct Wish<'a> {
    pub(crate) bearer: &'a Bearer,
    pub(crate) scopes: &'a [String],
    pub(crate) login: Option<&'a Login>,
    pub(crate) insecure: bool,
    /// Whether a token that stands for the password is wanted, too.
    pub(crate) offline: bool,
}

/// A token from the service that the registry named.
pub(crate) fn fetch(http: &Http, wish: &Wish<'_>) -> Result<Token> {
    let realm = &wish.bearer.realm;
    let what = format!("get a token from `{}`", crate::answer::shown(realm));
    let is_safe = realm.starts_with("https://")
        || realm.starts_with("http://") && (wish.insecure || wish.login.is_none());
    if !is_safe {
        return Err(Error::new(Kind::Refused, format!("{what}: credentials are not sent there unencrypted")));
    }
    let ask = match wish.login {
        Some(Login::Identity { token }) => posted(wish, token),
        Some(Login::Password { user, password }) => {
            let account = format!("&account={}", encode(user));
            asked(wish, &account).with("authorization", basic(user, password))
        }
        None => asked(wish, ""),
    };
    let answer = http.ask(&ask, &what)?;
    if answer.status != 200 {
        return Err(refusal(answer, &what));
    }
    read(answer.bytes(ANSWER_MAX), &what)
}

fn read(bytes: std::io::Result<Option<Vec<u8>>>, what: &str) -> Result<Token> {
    let bytes = bytes.map_err(|error| Error::new(Kind::Unreachable, what).caused_by(error))?;
    let bytes = bytes.ok_or_else(|| {
        Error::new(Kind::Limit, format!("{what}: an answer of more than {ANSWER_MAX} bytes"))
    })?;
    let bad = |why: &str| Error::new(Kind::Refused, what.to_owned()).caused_by(why.to_owned());
    let answered: Answered = serde_json::from_slice(&bytes).map_err(|_| bad("the answer is no token"))?;
    let value = answered.token.filter(|token| !token.is_empty()).or(answered.access_token);
    let value = value.filter(|token| is_word(token)).ok_or_else(|| bad("the answer has no token"))?;
    let term = Duration::from_secs(answered.expires_in.unwrap_or(TERM).max(TERM) - MARGIN);
    let until =
        Instant::now().checked_add(term).unwrap_or_else(|| Instant::now() + Duration::from_secs(TERM));
    Ok(Token { value, until, refresh: answered.refresh_token.filter(|token| !token.is_empty()) })
}

/// Fit for a header.
fn is_word(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn asked(wish: &Wish<'_>, rest: &str) -> Ask {
    let service = wish.bearer.service.iter().map(|service| format!("service={}", encode(service)));
    let scopes = wish.scopes.iter().map(|scope| format!("scope={}", encode(scope)));
    let offline = wish.offline.then(|| "offline_token=true&client_id=hull".to_owned());
    let query = service.chain(scopes).chain(offline).collect::<Vec<_>>().join("&");
    let joint = if wish.bearer.realm.contains('?') { '&' } else { '?' };
    Ask::new(Method::GET, format!("{}{joint}{query}{rest}", wish.bearer.realm), wish.insecure)
}

fn posted(wish: &Wish<'_>, token: &str) -> Ask {
    let service = encode(wish.bearer.service.as_deref().unwrap_or_default());
    let scope = encode(&wish.scopes.join(" "));
    let body = format!(
        "grant_type=refresh_token&service={service}&client_id=hull&scope={scope}&refresh_token={}",
        encode(token)
    );
    let mut ask = Ask::new(Method::POST, wish.bearer.realm.clone(), wish.insecure);
    ask.body = body.into_bytes();
    ask.with("content-type", "application/x-www-form-urlencoded")
}

/// RFC 7617.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// RFC 3986 section 2.1: everything but the unreserved.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            other => encoded += &format!("%{other:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_under_either_name_and_its_term_is_bounded() {
        let read = |text: &str| read(Ok(Some(text.as_bytes().to_vec())), "w");
        assert_eq!(read(r#"{"token":"a"}"#).unwrap().value, "a");
        assert_eq!(
            read(r#"{"access_token":"b","token":"","refresh_token":"r"}"#).unwrap().refresh.as_deref(),
            Some("r")
        );
        assert!(read(r#"{"token":"a","expires_in":18446744073709551615}"#).is_ok());
        assert!(read(r#"{"token":"a\nb"}"#).is_err());
        assert!(read("[]").unwrap_err().line().contains("no token"));
    }

    #[test]
    fn words_are_encoded_for_a_query() {
        assert_eq!(encode("repository:a/b:pull,push"), "repository%3Aa%2Fb%3Apull%2Cpush");
    }
}
