//! `WWW-Authenticate`: RFC 9110 section 11.6.1, and distribution's token authentication.

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request, RFC 7617.
    Basic,
    /// A token of this service, RFC 6750.
    Bearer(Bearer),
}

/// Where tokens are to be had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bearer {
    /// The URL of the token service.
    pub(crate) realm: String,
    pub(crate) service: Option<String>,
    pub(crate) scope: Option<String>,
}

impl Challenge {
    /// The best of the challenges in a header's value: a token rather than the password itself.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = split(text);
        let bearer = all.iter().find(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let bearer = bearer.and_then(|(_, parameters)| Bearer::of(parameters));
        let is_basic = all.iter().any(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
        bearer.map(Self::Bearer).or(is_basic.then_some(Self::Basic))
    }
}

type Parameters = Vec<(String, String)>;

impl Bearer {
    fn of(parameters: &Parameters) -> Option<Self> {
        let get = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        Some(Self { realm: get("realm")?, service: get("service"), scope: get("scope") })
    }
}

/// The schemes of the value, each with its parameters.
fn split(text: &str) -> Vec<(String, Parameters)> {
    let mut rest = text;
    let mut all: Vec<(String, Parameters)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return all;
        }
        let after = after.trim_start();
        match (after.strip_prefix('='), all.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = value_of(value.trim_start());
                parameters.push((word.to_owned(), value));
                rest = after;
            }
            (Some(_), None) => return all,
            (None, _) => {
                all.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// RFC 9110 section 5.6.2.
fn token(text: &str) -> (&str, &str) {
    let is_mark = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    text.split_at(text.find(|c| !is_mark(c)).unwrap_or(text.len()))
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut marks = quoted.char_indices();
    while let Some((at, mark)) = marks.next() {
        match mark {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(marks.next().map(|(_, next)| next)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let (service, scope) = (service.map(Into::into), scope.map(Into::into));
        Some(Challenge::Bearer(Bearer { realm: realm.into(), service, scope }))
    }

    #[test]
    fn what_registries_say_is_understood() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let pull = Some("repository:a/b:pull,push");
        assert_eq!(
            Challenge::parse(hub),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"), pull)
        );
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("basic"), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Basic realm=x, bearer Realm = \"y\""), bearer("y", None, None));
        assert_eq!(Challenge::parse(r#"Bearer realm="a\"b",error="x""#), bearer("a\"b", None, None));
        assert_eq!(Challenge::parse("Bearer service=x"), None);
        assert_eq!(Challenge::parse("Negotiate"), None);
    }

    proptest! {
        #[test]
        fn any_value_is_answered(text in any::<String>()) {
            let _ = Challenge::parse(&text);
        }

        #[test]
        fn marks_in_any_order_are_answered(text in "[a-zB =,\"\\\\]{0,40}") {
            let _ = Challenge::parse(&text);
        }
    }
}
