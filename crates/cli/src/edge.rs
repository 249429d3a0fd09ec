//! Where errors become words and exit codes; the only place that prints them.

use crate::flags::Mistake;
use std::error::Error as _;
use std::io::Write;

/// Why a command ended without its own exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Typed wrong.
    Mistake(Mistake),
    /// Went wrong.
    Engine(engine::Error),
    /// Nobody reads standard output any more: no error, and nothing more to say.
    OutputClosed,
    /// Standard output or a file refused.
    Output(std::io::Error),
}

/// The exit code of a command that did its work.
pub(crate) type Done = Result<i32, Failure>;

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self::Mistake(mistake)
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }
}

/// docker's exit codes: 125 to 127 of a run that did not come to its program's own; 125 for a flag typed
/// wrong; what a shell shows of SIGPIPE where nobody reads any more; 1 for everything else.
pub(crate) fn code_of(failure: &Failure, is_run: bool) -> i32 {
    match failure {
        Failure::Engine(error) if is_run => engine::exit_code(error),
        Failure::Mistake(mistake) if mistake.is_flag => 125,
        Failure::OutputClosed => engine::OUTPUT_CLOSED,
        _ => 1,
    }
}

/// Tells the user, once: what, why, and what to do about it.
pub(crate) fn tell(failure: &Failure) {
    match failure {
        Failure::OutputClosed => {}
        Failure::Engine(error) if *error.kind() == engine::Kind::OutputClosed => {}
        Failure::Output(error) => print(&format!("error: write the output\ncaused by: {error}\n")),
        Failure::Mistake(mistake) => print(&text(&mistake.what, &[], mistake.hint.as_deref())),
        Failure::Engine(error) => {
            let mut causes = Vec::new();
            let mut source = error.source();
            while let Some(cause) = source {
                causes.push(cause.to_string());
                source = cause.source();
            }
            print(&text(&error.to_string(), &causes, error.hint()));
        }
    }
}

fn text(what: &str, causes: &[String], hint: Option<&str>) -> String {
    let mut text = format!("error: {}\n", one_line(what));
    causes.iter().for_each(|cause| text += &format!("caused by: {}\n", one_line(cause)));
    hint.iter().for_each(|hint| text += &format!("hint: {}\n", one_line(hint)));
    text
}

/// What was typed, or read from an archive, moves neither the lines nor the cursor of a terminal.
fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// A line the user should know and need not act on.
pub(crate) fn warn(line: &str) {
    print(&format!("warning: {}\n", one_line(line)));
}

/// What was done, beside standard output.
pub(crate) fn say(line: &str) {
    print(&format!("{}\n", one_line(line)));
}

/// In one write, so that lines of several commands do not mix. Whoever closed standard error is not told.
fn print(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
