//! Listing images, and what docker's filters mean.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use crate::events::Event;
use jiff::Timestamp;
use oci::{ImageId, Reference};
use store::{Image, ImageRemoval, Removed, RemovedImage, Tag};

/// One line of a list: an image under one of its names.
#[derive(Debug, Clone)]
pub struct Row {
    /// The image.
    pub image: Image,
    /// The name, if it has one.
    pub name: Option<Reference>,
    /// When it was built, by its own word; else when it came here.
    pub created: Timestamp,
}

/// `--filter`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `dangling=true|false`
    Dangling(bool),
    /// `label=KEY` or `label=KEY=VALUE`
    Label(String, Option<String>),
    /// `before=IMAGE`
    Before(String),
    /// `since=IMAGE`
    Since(String),
    /// `until=TIME`
    Until(Timestamp),
    /// `reference=PATTERN`
    Reference(String),
}

impl Filter {
    /// Understands `key=value`.
    pub fn new(key: &str, value: &str) -> Result<Self> {
        let invalid = |what: String| {
            let hint = "known are dangling, label, before, since, until, reference";
            Err(Error::new(Kind::Invalid, what).with_hint(hint))
        };
        match key {
            "dangling" => match value {
                "true" | "1" => Ok(Self::Dangling(true)),
                "false" | "0" => Ok(Self::Dangling(false)),
                _ => invalid(format!("invalid filter 'dangling={value}'")),
            },
            "label" => Ok(match value.split_once('=') {
                Some((key, value)) => Self::Label(key.into(), Some(value.into())),
                None => Self::Label(value.into(), None),
            }),
            "before" => Ok(Self::Before(value.into())),
            "since" => Ok(Self::Since(value.into())),
            "until" => moment(value).map(Self::Until),
            "reference" => Ok(Self::Reference(value.into())),
            _ => invalid(format!("invalid filter '{key}'")),
        }
    }

    fn pattern(&self) -> Option<&str> {
        match self {
            Self::Reference(pattern) => Some(pattern),
            _ => None,
        }
    }
}

impl Row {
    fn is_named(&self, pattern: &str) -> bool {
        self.name.as_ref().is_some_and(|name| matches(pattern, name))
    }
}

/// A time, or so long ago as a Go duration says.
pub fn moment(text: &str) -> Result<Timestamp> {
    let seconds = || text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let ago = || {
        let ns = oci::duration::parse(text).ok()?;
        Timestamp::now().checked_sub(jiff::SignedDuration::from_nanos(ns)).ok()
    };
    let moment = text.parse().ok().or_else(seconds).or_else(ago);
    moment.ok_or_else(|| {
        Error::new(Kind::Invalid, format!("invalid filter 'until={text}': no time and no duration"))
    })
}

impl Engine {
    /// All images that pass every filter, newest first; one with several names several times.
    pub fn images(&self, filters: &[Filter]) -> Result<Vec<Row>> {
        self.bury()?;
        let tags = self.store.tags().map_err(from_store)?;
        let mut rows = Vec::new();
        for image in self.store.images().map_err(from_store)? {
            let created = created(&image);
            let mut names: Vec<_> = names_of(&tags, image.id());
            let tagged: Vec<_> =
                names.iter().filter(|name| name.tag().is_some()).map(Reference::name).collect();
            // The digest by which it was pulled is shown beside its tag.
            names.retain(|name| name.tag().is_some() || !tagged.contains(&name.name()));
            let names = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
            rows.extend(names.into_iter().map(|name| Row { image: image.clone(), name, created }));
        }
        for filter in filters {
            self.narrow(&mut rows, filter)?;
        }
        let patterns: Vec<_> = filters.iter().filter_map(Filter::pattern).collect();
        if !patterns.is_empty() {
            rows.retain(|row| patterns.iter().any(|pattern| row.is_named(pattern)));
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.created));
        Ok(rows)
    }

    fn narrow(&self, rows: &mut Vec<Row>, filter: &Filter) -> Result<()> {
        let time_of = |name: &str| self.store.resolve(name).map(|image| created(&image)).map_err(from_store);
        match filter {
            Filter::Dangling(dangling) => rows.retain(|row| row.name.is_none() == *dangling),
            Filter::Label(key, value) => rows.retain(|row| has_label(row, key, value.as_deref())),
            Filter::Before(name) => {
                let time = time_of(name)?;
                rows.retain(|row| row.created < time);
            }
            Filter::Since(name) => {
                let time = time_of(name)?;
                rows.retain(|row| row.created > time);
            }
            Filter::Until(time) => rows.retain(|row| row.created < *time),
            // One of them is enough.
            Filter::Reference(_) => {}
        }
        Ok(())
    }

    /// Gives an image a further name.
    pub fn tag(&self, image: &str, name: &str) -> Result<()> {
        let name: Reference = name.parse().map_err(|error: oci::Error| error.map_kind(|_| Kind::Invalid))?;
        if name.digest().is_some() {
            return Err(Error::new(Kind::Invalid, "refusing to create a tag with a digest reference"));
        }
        if name.familiar_name() == "sha256" {
            let why = "refusing to create an ambiguous tag using digest algorithm as name";
            return Err(Error::new(Kind::Invalid, why));
        }
        let _shared = self.store.share().map_err(from_store)?;
        let image = self.store.resolve(image).map_err(from_store)?;
        let name = name.with_default_tag();
        self.store.tag(image.id(), &name).map_err(from_store)?;
        self.report(Event::of_image(&image, "tag", name.familiar()));
        Ok(())
    }

    /// Removes a name of an image, and with the last name the image.
    pub fn remove_image(&self, text: &str, force: bool) -> Result<RemovedImage> {
        self.bury()?;
        let image = self.store.resolve(text).map_err(from_store)?;
        self.check_unmounted(image.id())?;
        let done = self.store.remove_image(text, ImageRemoval { force }).map_err(from_store)?;
        let event = |action| Event::of_image(&image, action, image.id());
        self.report_all(done.removed.iter().filter_map(|removed| match removed {
            Removed::Untagged(_) => Some(event("untag")),
            Removed::Deleted(_) => Some(event("delete")),
            Removed::DeletedLayer(_) => None,
        }));
        Ok(done)
    }

    /// An image by name, id or beginning of an id.
    pub fn image(&self, text: &str) -> Result<Image> {
        self.store.resolve(text).map_err(from_store)
    }
}

pub(super) fn names_of(tags: &[Tag], id: &ImageId) -> Vec<Reference> {
    tags.iter().filter(|tag| tag.image == *id).map(|tag| tag.name.clone()).collect()
}

pub(crate) fn created(image: &Image) -> Timestamp {
    let own = image.config().ok().and_then(|config| config.created?.parse().ok());
    own.unwrap_or(image.record.added)
}

fn has_label(row: &Row, key: &str, value: Option<&str>) -> bool {
    let Ok(config) = row.image.config() else { return false };
    config.config.labels.get(key).is_some_and(|label| value.is_none_or(|value| label == value))
}

/// docker's `path.Match` on the familiar name, with and without its tag.
fn matches(pattern: &str, name: &Reference) -> bool {
    [name.familiar(), name.familiar_name()].iter().any(|text| glob(pattern.as_bytes(), text.as_bytes()))
}

/// `*` and `?` stop at a slash; `[a-z]` and `\x` as in Go's path.Match.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            glob(rest, text) || matches!(text, [c, more @ ..] if *c != b'/' && glob(pattern, more))
        }
        ([b'?', rest @ ..], [c, more @ ..]) => *c != b'/' && glob(rest, more),
        ([b'[', set @ ..], [c, more @ ..]) => class(set, *c).is_some_and(|rest| glob(rest, more)),
        ([b'\\', c, rest @ ..], [d, more @ ..]) => c == d && glob(rest, more),
        ([c, rest @ ..], [d, more @ ..]) => c == d && glob(rest, more),
        _ => false,
    }
}

/// What follows a class, if the byte is in it.
fn class(set: &[u8], byte: u8) -> Option<&[u8]> {
    let end = set.iter().skip(1).position(|c| *c == b']')? + 1;
    let (members, rest) = (&set[..end], &set[end + 1..]);
    let (negated, members) = members.strip_prefix(b"^").map_or((false, members), |members| (true, members));
    let mut found = false;
    let mut at = 0;
    while at < members.len() {
        let range = at + 2 < members.len() && members[at + 1] == b'-';
        let last = if range { members[at + 2] } else { members[at] };
        found |= (members[at]..=last).contains(&byte);
        at += if range { 3 } else { 1 };
    }
    (found != negated).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gos() {
        let name = |text: &str| text.parse::<Reference>().unwrap().with_default_tag();
        assert!(matches("bus*", &name("busybox")));
        assert!(matches("busybox:l*", &name("busybox")));
        assert!(!matches("*", &name("a/b")), "a star stops at a slash");
        assert!(matches("?/[a-c]", &name("a/b")) && !matches("?/[^a-c]", &name("a/b")));
    }

    #[test]
    fn filters_are_understood_or_refused() {
        assert_eq!(Filter::new("label", "a=b").unwrap(), Filter::Label("a".into(), Some("b".into())));
        assert!(Filter::new("until", "24h").is_ok() && Filter::new("until", "x").is_err());
        assert!(Filter::new("nope", "1").is_err() && Filter::new("dangling", "").is_err());
    }
}
