//! What drivers say of a container besides its lines: a tag, and labels and variables that were chosen.

use crate::option::{Choice, Config, Driver};
use crate::{Error, Kind, Result};
use fault::Context;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The container a log is of.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// 64 digits.
    pub id: String,
    /// Without a slash.
    pub name: String,
    /// Of its image, `sha256:` and 64 digits.
    pub image_id: String,
    /// The image as the user wrote it.
    pub image_name: String,
    /// Entry point and arguments.
    pub command: Vec<String>,
    /// `NAME=value`
    pub env: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The host's name.
    pub host: String,
}

impl Subject {
    /// Twelve digits.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// docker's names in a tag's template.
    fn value(&self) -> Value {
        json!({
            "ID": self.short_id(),
            "FullID": self.id,
            "Name": self.name,
            "ImageID": self.image_id.get(..12).unwrap_or(&self.image_id),
            "ImageFullID": self.image_id,
            "ImageName": self.image_name,
            "Command": self.command.join(" "),
            "Hostname": self.host,
            "DaemonName": "hull",
            "ContainerID": self.id,
            "ContainerName": format!("/{}", self.name),
            "ContainerImageID": self.image_id,
            "ContainerImageName": self.image_name,
            "ContainerLabels": self.labels,
            "ContainerEnv": self.env,
        })
    }
}

/// The tag: `--log-opt tag=TEMPLATE`, or the driver's own template.
pub(crate) fn tag(choice: &Choice, subject: &Subject, default: &str) -> Result<String> {
    let text = choice.filled("tag").unwrap_or(default);
    let rendered = template::Template::parse(text).and_then(|tag| tag.render_strict(&subject.value()));
    rendered.or_err(Kind::Invalid, || format!("invalid log opt tag={text}"))
}

/// The labels and variables that `labels`, `labels-regex`, `env` and `env-regex` choose.
pub(crate) fn attributes(choice: &Choice, subject: &Subject) -> Result<BTreeMap<String, String>> {
    let env: BTreeMap<_, _> = subject
        .env
        .iter()
        .filter_map(|text| text.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut chosen = BTreeMap::new();
    for (all, names, pattern) in [(&subject.labels, "labels", "labels-regex"), (&env, "env", "env-regex")] {
        let names = choice.filled(names).into_iter().flat_map(|names| names.split(','));
        let named = names.filter_map(|name| all.get_key_value(name));
        chosen.extend(named.map(|(name, value)| (name.clone(), value.clone())));
        if let Some(pattern) = expression(choice, pattern)? {
            let matching = all.iter().filter(|(name, _)| pattern.is_match(name));
            chosen.extend(matching.map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    Ok(chosen)
}

/// What `hull logs --details` shows: with docker's lines of JSON a tag that was asked for, too.
pub fn details(config: &Config, subject: &Subject) -> Result<BTreeMap<String, String>> {
    let mut details = attributes(&config.choice, subject)?;
    if config.driver == Driver::JsonFile && config.choice.filled("tag").is_some() {
        details.insert("tag".to_owned(), tag(&config.choice, subject, "")?);
    }
    Ok(details)
}

pub(crate) fn expression(choice: &Choice, name: &str) -> Result<Option<Regex>> {
    let compile = |text: &str| {
        Regex::new(text).map_err(|error| {
            Error::new(Kind::Invalid, format!("invalid log opt {name}={text}")).caused_by(error)
        })
    };
    choice.filled(name).map(compile).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        let labels = [("app", "web"), ("tier", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        Subject {
            id: "0123456789abcdef".into(),
            name: "n".into(),
            image_name: "bb".into(),
            env: vec!["A=1".into(), "AB=2".into(), "C=3".into(), "BARE".into()],
            labels: labels.into(),
            ..Subject::default()
        }
    }

    fn chosen(options: &[(&str, &str)]) -> String {
        let choice =
            Choice::new("json-file", options.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        let chosen = attributes(&choice, &subject()).unwrap();
        chosen.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn what_is_named_or_matches_is_chosen() {
        assert_eq!(chosen(&[]), "");
        assert_eq!(chosen(&[("labels", "app,none"), ("env", "C")]), "C=3,app=web");
        assert_eq!(chosen(&[("env-regex", "^A"), ("labels-regex", "i")]), "A=1,AB=2,tier=1");
    }

    #[test]
    fn a_tag_is_a_template_of_dockers_names() {
        let tag = |text: &str| {
            let choice = Choice::new("syslog", [("tag".to_owned(), text.to_owned())]);
            tag(&choice, &subject(), "{{.ID}}")
        };
        assert_eq!(tag("").unwrap(), "0123456789ab");
        assert_eq!(tag("{{.Name}}/{{.ImageName}}").unwrap(), "n/bb");
        assert!(tag("{{.Nothing}}").is_err() && tag("{{").is_err());
    }
}
