//! Where errors and warnings go: standard error, and the file of `--log`, as logrus writes them.

use std::fs::File;
use std::io::{IsTerminal, Write};

/// The form of a line in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// Where lines go, and which.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) file: Option<File>,
    pub(crate) format: Format,
    pub(crate) debug: bool,
}

impl Log {
    /// What ended the command: in the log, and in plain words on standard error where that is another place.
    pub(crate) fn error(&self, what: &str) {
        self.line("error", what);
        if self.file.is_some() {
            let _ = writeln!(std::io::stderr(), "{what}");
        }
    }

    /// What could not be done as asked.
    pub(crate) fn warn(&self, what: &str) {
        self.line("warning", what);
    }

    /// Only with `--debug`.
    pub(crate) fn debug(&self, what: &str) {
        if self.debug {
            self.line("debug", what);
        }
    }

    /// In one write each, so that lines of several commands do not mix.
    fn line(&self, level: &str, what: &str) {
        let line = match self.format {
            Format::Json => json(level, what),
            Format::Text if self.file.is_none() && std::io::stderr().is_terminal() => {
                format!("{}[0000] {what}\n", &level.to_uppercase()[..4])
            }
            Format::Text => format!("time={:?} level={level} msg={what:?}\n", now()),
        };
        let _ = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

fn json(level: &str, what: &str) -> String {
    format!("{}\n", serde_json::json!({"level": level, "msg": what, "time": now()}))
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_of_json_has_what_engines_read() {
        let line: serde_json::Value = serde_json::from_str(&super::json("error", "a \"b\"\n")).unwrap();
        assert_eq!(line["level"], "error");
        assert_eq!(line["msg"], "a \"b\"\n");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }
}
