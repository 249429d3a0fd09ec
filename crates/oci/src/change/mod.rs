//! `--change` of `import` and `commit`: Dockerfile instructions that alter a configuration.
//!
//! ```text
//! ["ENV A=1", "CMD [\"sh\"]"] ──parse──▶ Changes ──apply──▶ ContainerConfig
//! ```
//!
//! As docker does, the texts are read as lines of one Dockerfile (moby's `BuildFromConfig`): comments
//! and continued lines count, a later instruction sees what an earlier one set, and variables come
//! from the configuration's environment.

mod apply;
mod glob;
mod health;
mod parse;
mod port;
pub mod word;

use crate::{ContainerConfig, Error, Healthcheck, Kind, Result};

/// What docker takes with `--change`.
pub const INSTRUCTIONS: &[&str] = &[
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Instructions to apply in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<Instruction>);

/// One instruction. Words are as typed: quotes and variables are resolved on application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// `CMD`
    Cmd(Command),
    /// `ENTRYPOINT`; nothing in it clears the image's.
    Entrypoint(Command),
    /// `ENV`
    Env(Vec<(String, String)>),
    /// `EXPOSE`
    Expose(Vec<String>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(Vec<(String, String)>),
    /// `ONBUILD`, with what follows it.
    OnBuild(String),
    /// `STOPSIGNAL`
    StopSignal(String),
    /// `USER`
    User(String),
    /// `VOLUME`
    Volume(Vec<String>),
    /// `WORKDIR`
    Workdir(String),
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `["a", "b"]`: the arguments themselves.
    Exec(Vec<String>),
    /// A line for the shell.
    Shell(String),
}

impl Changes {
    /// Reads the values of `--change`. Fails as docker does: `RUN is not a valid change command`.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self> {
        let text: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let lines = parse::logical_lines(&text.join("\n"));
        if lines.is_empty() && !texts.is_empty() {
            return Err(refuse("file with no instructions"));
        }
        lines.iter().map(|line| parse::instruction(line)).collect::<Result<_>>().map(Self)
    }

    /// Alters a configuration. It is left as it was when an instruction cannot be applied: a variable
    /// that must be set and is not, no port, no signal.
    pub fn apply(&self, config: &mut ContainerConfig) -> Result<()> {
        *config = apply::all(&self.0, config.clone())?;
        Ok(())
    }
}

fn refuse(what: impl Into<String>) -> Error {
    Error::new(Kind::Change, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(from: ContainerConfig, texts: &[&str]) -> ContainerConfig {
        let mut config = from;
        Changes::parse(texts).unwrap().apply(&mut config).unwrap();
        config
    }

    fn new(texts: &[&str]) -> ContainerConfig {
        changed(ContainerConfig::default(), texts)
    }

    fn reason(text: &str) -> String {
        let mut config = ContainerConfig::default();
        match Changes::parse(&[text]) {
            Ok(changes) => changes.apply(&mut config).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| word.to_string()).collect())
    }

    #[test]
    fn commands_have_two_forms() {
        assert_eq!(new(&[r#"CMD ["a", "b c"]"#]).cmd, words(&["a", "b c"]));
        assert_eq!(new(&["cmd echo  $HOME 'x y'"]).cmd, words(&["/bin/sh", "-c", "echo  $HOME 'x y'"]));
        assert_eq!(new(&["CMD []"]).cmd, words(&[]));
        assert_eq!(new(&["CMD"]).cmd, words(&["/bin/sh", "-c"]));
        assert_eq!(new(&[r#"CMD ["a" b"#]).cmd, words(&["/bin/sh", "-c", r#"["a" b"#]));
        let shell = ContainerConfig { shell: words(&["/bin/bash", "-ec"]), ..Default::default() };
        assert_eq!(changed(shell, &["ENTRYPOINT run"]).entrypoint, words(&["/bin/bash", "-ec", "run"]));
        assert_eq!(
            reason("CMD [1]"),
            "when using JSON array syntax, arrays must be comprised of strings only"
        );
    }

    #[test]
    fn a_new_entry_point_drops_the_command_of_the_image_alone() {
        let image = ContainerConfig { cmd: words(&["old"]), entrypoint: words(&["e"]), ..Default::default() };
        let config = changed(image.clone(), &[r#"ENTRYPOINT ["x"]"#]);
        assert_eq!((config.entrypoint, config.cmd), (words(&["x"]), None));
        let config = changed(image.clone(), &["CMD [\"new\"]", r#"ENTRYPOINT ["x"]"#]);
        assert_eq!(config.cmd, words(&["new"]));
        assert_eq!(changed(image.clone(), &["ENTRYPOINT []"]).entrypoint, None);
        assert_eq!(changed(image, &["ENTRYPOINT"]).entrypoint, None);
    }

    #[test]
    fn env_takes_both_forms_and_replaces_in_place() {
        let image = ContainerConfig { env: vec!["A=1".into(), "B=2".into()], ..Default::default() };
        let config = changed(image.clone(), &[r#"ENV A=x C="y z" D='$A' E=a\ b"#]);
        assert_eq!(config.env, ["A=x", "B=2", "C=y z", "D=$A", "E=a b"]);
        assert_eq!(changed(image.clone(), &["ENV B two  words = $A"]).env, ["A=1", "B=two  words = 1"]);
        // The value before the instruction counts, and the next line sees the new one.
        assert_eq!(changed(image, &["ENV A=9 B=$A", "ENV C=$A"]).env, ["A=9", "B=1", "C=9"]);
        assert_eq!(new(&["ENV A="]).env, ["A="]);
        assert_eq!(reason("ENV A"), "ENV must have two arguments");
        assert_eq!(reason("ENV"), "ENV requires at least one argument");
        assert_eq!(reason("ENV =x"), "ENV names can not be blank");
        assert_eq!(
            reason("ENV A=b c"),
            r#"Syntax error - can't find = in "c". Must be of the form: name=value"#
        );
    }

    #[test]
    fn variables_have_defaults_and_errors() {
        let image = ContainerConfig { env: vec!["A=b/c.d".into(), "E=".into()], ..Default::default() };
        for (word, value) in [
            ("${A}", "b/c.d"),
            ("$A-$X.", "b/c.d-."),
            ("${X:-y}", "y"),
            ("${E:-y}", "y"),
            ("${E-y}", ""),
            ("${A:+z}", "z"),
            ("${X+z}", ""),
            ("'$A'", "$A"),
            ("\"$A\"", "b/c.d"),
            (r"\$A", "$A"),
            ("${X:-${A}}", "b/c.d"),
            ("${A#*/}", "c.d"),
            ("${A%.*}", "b/c"),
            ("${A/c/x}", "b/x.d"),
            ("$", "$"),
            ("${A##*[./]}", "b/c.d"),
            ("${A//?/x}", "xxxxx"),
        ] {
            assert_eq!(changed(image.clone(), &[&format!("USER {word}")]).user, value, "{word}");
        }
        assert_eq!(reason("USER ${X:?no X}"), "failed to process \"${X:?no X}\": X: no X");
        assert_eq!(reason("USER ${X"), "failed to process \"${X\": unsupported modifier () in substitution");
        assert_eq!(
            reason("USER \"x"),
            "failed to process \"\\\"x\": unexpected end of statement while looking for matching double-quote"
        );
    }

    #[test]
    fn labels_are_added_and_replaced() {
        let config = new(&[r#"LABEL a=1 "b c"="d e""#, "LABEL a two words", "LABEL f=$NONE"]);
        let labels: Vec<_> = config.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(labels, ["a=two words", "b c=d e", "f="]);
    }

    #[test]
    fn ports_get_their_protocol() {
        let config = new(&["EXPOSE 80 53/UDP 8000-8002/tcp", "ENV P=1 2", "EXPOSE 9/sctp"]
            .map(|t| if t.starts_with("ENV") { "ENV P 7 8" } else { t }));
        let ports: Vec<_> = config.exposed_ports.iter().map(String::as_str).collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp", "9/sctp"]);
        assert_eq!(new(&["ENV P 7 8", "EXPOSE $P"]).exposed_ports.len(), 2);
        let kept = new(&["EXPOSE 8080:80 127.0.0.1:81:82/udp [::1]::83 ::1:9:84 7000-7005:85 1-2:86-87"]);
        let ports: Vec<_> = kept.exposed_ports.iter().map(String::as_str).collect();
        assert_eq!(ports, ["80/tcp", "82/udp", "83/tcp", "84/tcp", "85/tcp", "86/tcp", "87/tcp"]);
        assert_eq!(reason("EXPOSE h:80:80"), "invalid IP address: h");
        assert_eq!(reason("EXPOSE x:80"), "invalid hostPort: x");
        assert_eq!(reason("EXPOSE 80:"), "no port specified: 80:<empty>");
        assert_eq!(
            reason("EXPOSE 1-3:80-81"),
            "invalid ranges specified for container and host Ports: 80-81 and 1-3"
        );
        assert_eq!(reason("EXPOSE x"), "invalid containerPort: x");
        assert_eq!(reason("EXPOSE 80/icmp"), "invalid proto: icmp");
        assert_eq!(reason("EXPOSE 70000"), "invalid containerPort: 70000");
        assert_eq!(reason("EXPOSE 9-8"), "invalid containerPort: 9-8");
        assert_eq!(reason("EXPOSE"), "EXPOSE requires at least one argument");
    }

    #[test]
    fn paths_users_and_signals() {
        let config = new(&[
            "WORKDIR /a/b",
            "WORKDIR ../c/./d",
            r#"VOLUME ["/v 1", "/w"]"#,
            "VOLUME /x /y",
            "USER  u:g ",
            "STOPSIGNAL SIGINT",
        ]);
        assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/a/c/d", "u:g"));
        assert_eq!(config.volumes.iter().map(String::as_str).collect::<Vec<_>>(), ["/v 1", "/w", "/x", "/y"]);
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(new(&["WORKDIR x"]).working_dir, "/x");
        assert_eq!(reason("WORKDIR"), "WORKDIR requires exactly one argument");
        assert_eq!(reason("STOPSIGNAL FOO"), "invalid signal: `FOO`");
        assert_eq!(reason(r#"VOLUME [""]"#), "VOLUME specified can not be an empty string");
    }

    #[test]
    fn triggers_are_kept_as_typed() {
        assert_eq!(new(&["ONBUILD  RUN a  $b", "onbuild CMD x"]).on_build, ["RUN a  $b", "CMD x"]);
        assert_eq!(reason("ONBUILD onbuild RUN x"), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
        assert_eq!(reason("ONBUILD FROM x"), "FROM isn't allowed as an ONBUILD trigger");
        assert_eq!(reason("ONBUILD"), "ONBUILD requires at least one argument");
    }

    #[test]
    fn health_checks_have_flags() {
        let of = |text| new(&[text]).healthcheck.unwrap();
        let check = of(
            "HEALTHCHECK --interval=5m --timeout=3s --retries=2 --start-period=1s --start-interval=10ms CMD curl -f x || exit 1",
        );
        assert_eq!(check.test, ["CMD-SHELL", "curl -f x || exit 1"]);
        assert_eq!((check.interval, check.timeout, check.retries), (300_000_000_000, 3_000_000_000, 2));
        assert_eq!((check.start_period, check.start_interval), (1_000_000_000, 10_000_000));
        assert_eq!(of(r#"HEALTHCHECK CMD ["a"]"#).test, ["CMD", "a"]);
        assert_eq!(of("HEALTHCHECK none").test, ["NONE"]);
        assert_eq!(reason("HEALTHCHECK"), "HEALTHCHECK requires at least one argument");
        assert_eq!(reason("HEALTHCHECK NONE x"), "HEALTHCHECK NONE takes no arguments");
        assert_eq!(reason("HEALTHCHECK CMD"), "Missing command after HEALTHCHECK CMD");
        assert_eq!(reason("HEALTHCHECK x y"), r#"Unknown type "X" in HEALTHCHECK (try CMD)"#);
        assert_eq!(
            reason("HEALTHCHECK --interval=1us CMD x"),
            r#"Interval "interval" cannot be less than 1ms"#
        );
        assert_eq!(reason("HEALTHCHECK --retries=-1 CMD x"), "--retries cannot be negative (-1)");
        assert_eq!(reason("HEALTHCHECK --foo=1 CMD x"), "unknown flag: --foo");
        assert_eq!(reason("HEALTHCHECK --interval CMD x"), "missing a value on flag: --interval");
    }

    #[test]
    fn only_dockers_instructions_are_taken() {
        for text in ["RUN x", "FROM x", "SHELL [\"x\"]", "MAINTAINER x", "COPY a b", "FNORD"] {
            let name = text.split(' ').next().unwrap();
            assert_eq!(reason(text), format!("{name} is not a valid change command"));
        }
        assert_eq!(reason("CMD --x y"), "unknown flag: --x");
        assert_eq!(reason(" # nothing"), "file with no instructions");
        assert_eq!(Changes::parse::<&str>(&[]).unwrap(), Changes::default());
    }

    #[test]
    fn lines_are_continued_and_comments_skipped() {
        assert_eq!(new(&["# a\nENV A=1 \\\n  # b\n\n  B=2\nUSER x"]).env, ["A=1", "B=2"]);
        assert_eq!(new(&["ENV A=1 \\  \n B=2"]).env, ["A=1", "B=2"]);
    }

    #[test]
    fn nothing_is_altered_when_a_later_instruction_fails() {
        let mut config = ContainerConfig::default();
        let changes = Changes::parse(&["USER x", "EXPOSE x"]).unwrap();
        assert!(changes.apply(&mut config).is_err());
        assert_eq!(config, ContainerConfig::default());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(name in prop::sample::select(INSTRUCTIONS), rest in "[\\PC\n]{0,30}") {
            if let Ok(changes) = Changes::parse(&[format!("{name} {rest}")]) {
                let _ = changes.apply(&mut ContainerConfig::default());
            }
        }

        #[test]
        fn any_word_is_answered(text in "[$\\{\\}:?#%/*a'\"\\\\ -]{0,16}") {
            let _ = word::expand(&text, &["a=b a".to_string()]);
        }
    }
}
