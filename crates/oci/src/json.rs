//! How Go reads JSON, where serde is stricter: images in the wild were written by Go.

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// Members that hull does not know, kept so that writing a document again loses nothing.
pub(crate) type Extra = BTreeMap<String, serde_json::Value>;

/// `null` is the same as an absent member (Go leaves the field at its zero).
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// An empty string is the same as an absent member (Go's `omitempty`).
pub(crate) fn empty_is_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()))
}

/// A list of words, or one word alone as docker before 1.10 wrote it (moby's `strslice`).
pub(crate) fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Words {
        Many(Vec<String>),
        One(String),
    }
    Ok(Option::<Words>::deserialize(from)?.map(|words| match words {
        Words::Many(words) => words,
        Words::One(word) => vec![word],
    }))
}

/// Go's `map[string]struct{}`, a set: `{"80/tcp":{}}`.
pub(crate) mod set {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(set: &BTreeSet<String>, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Empty {}
        to.collect_map(set.iter().map(|name| (name, Empty {})))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, IgnoredAny>>::deserialize(from)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

/// For `skip_serializing_if`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// JSON as Go's `json.Marshal` writes it, from JSON that is valid: no white space between tokens, and
/// what HTML or JavaScript could take amiss as an escape.
pub(crate) fn go_form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\r' if !quoted => continue,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    out
}
