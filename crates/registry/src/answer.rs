//! What a registry answered.

use serde::Deserialize;
use std::io::Read;
use ureq::Body;
use ureq::http::HeaderMap;

/// An error's document is read no further, bytes.
const REASON_MAX: u64 = 64 * 1024;
/// The words of a stranger are shown no further, characters.
const SHOWN_MAX: usize = 300;

/// A status, its headers and a body that is still to be read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Where it came from, after redirects.
    pub(crate) url: String,
}

/// distribution-spec "Error Codes".
#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<Code>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Content-Length`, bytes.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// At most `most` bytes of the body; nothing where there are more.
    pub(crate) fn bytes(self, most: u64) -> std::io::Result<Option<Vec<u8>>> {
        if self.length().is_some_and(|length| length > most) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.reader().take(most + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= most).then_some(bytes))
    }

    /// The body, without a bound.
    pub(crate) fn reader(self) -> ureq::BodyReader<'static> {
        self.body.into_with_config().limit(u64::MAX).reader()
    }

    /// Reads a short body to its end, so that the connection can be used again.
    pub(crate) fn finish(self) {
        // Nobody is interested any more; a connection that breaks now is just not used again.
        drop(self.bytes(REASON_MAX));
    }

    /// What the registry says in its own words, one line; empty where it says nothing.
    pub(crate) fn reason(self) -> String {
        let status = self.status;
        let bytes = self.bytes(REASON_MAX).ok().flatten().unwrap_or_default();
        let Ok(said) = serde_json::from_slice::<Errors>(&bytes) else { return format!("status {status}") };
        let of_code = |code: &Code| match (code.code.to_lowercase().replace('_', " "), code.message.as_str())
        {
            (code, "") => code,
            (_, message) => message.to_owned(),
        };
        let plain = said.details.or(said.error_description).or(said.error);
        let words = said.errors.iter().map(of_code).chain(plain).collect::<Vec<_>>().join("; ");
        shown(&words)
    }
}

/// A stranger's words, so that they can neither fill a terminal nor draw on it.
pub(crate) fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN_MAX).map(visible).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_strangers_words_are_one_short_line() {
        assert_eq!(shown("a\x1b[2J\nb"), "a [2J b");
        assert_eq!(shown(&"x".repeat(5000)).chars().count(), 301);
    }
}
