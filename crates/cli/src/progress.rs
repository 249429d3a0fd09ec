//! How a transfer goes on: bars on a terminal, docker's lines elsewhere, or JSON.

use crate::fit;
use crate::flags::{Mistake, Read};
use crate::render::size;
use engine::image::{Progress, Step};
use oci::{Descriptor, Digest};
use rustix::fd::BorrowedFd;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bars are drawn anew no more often.
const DRAWN: Duration = Duration::from_millis(80);
/// Columns of a bar.
const BAR: u64 = 30;

/// `--progress`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Bars,
    Plain,
    Json,
    Silent,
}

/// Where it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Output,
    Error,
}

/// What is told of layers, under their digests.
pub(crate) struct Teller {
    style: Style,
    channel: Channel,
    words: &'static Words,
    heading: Mutex<Option<(String, String)>>,
    state: Mutex<State>,
}

/// What a step is called.
pub(crate) struct Words {
    pub(crate) pending: &'static str,
    pub(crate) moving: &'static str,
    pub(crate) exists: &'static str,
    pub(crate) done: &'static str,
}

pub(crate) const PULL: Words = Words {
    pending: "Pulling fs layer",
    moving: "Downloading",
    exists: "Already exists",
    done: "Pull complete",
};

pub(crate) const PUSH: Words =
    Words { pending: "Preparing", moving: "Pushing", exists: "Layer already exists", done: "Pushed" };

#[derive(Default)]
struct State {
    rows: Vec<Row>,
    drawn: Option<Instant>,
    /// Lines on the terminal that are drawn over.
    lines: usize,
}

struct Row {
    layer: Digest,
    size: u64,
    step: Step,
    began: Option<(Instant, u64)>,
    told: Option<Instant>,
}

impl Style {
    /// What was typed, where that fits the stream that is written to.
    pub(crate) fn of(word: Option<&str>, quiet: bool, channel: Channel) -> Read<Self> {
        let is_terminal = rustix::termios::isatty(channel.fd());
        match word.unwrap_or("auto") {
            _ if quiet => Ok(Self::Silent),
            "auto" if is_terminal => Ok(Self::Bars),
            "auto" | "plain" => Ok(Self::Plain),
            "tty" => Ok(Self::Bars),
            "json" | "rawjson" => Ok(Self::Json),
            "quiet" | "none" => Ok(Self::Silent),
            other => {
                Err(Mistake::new(format!("--progress `{other}`: known are auto, tty, plain, json, quiet"))
                    .of_flag())
            }
        }
    }
}

impl Channel {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Output => rustix::stdio::stdout(),
            Self::Error => rustix::stdio::stderr(),
        }
    }

    /// Progress that nobody can read stops nothing.
    fn put(self, text: &str) {
        let _ = match self {
            Self::Output => std::io::stdout().lock().write_all(text.as_bytes()),
            Self::Error => std::io::stderr().lock().write_all(text.as_bytes()),
        };
    }
}

impl Teller {
    pub(crate) fn new(style: Style, channel: Channel, words: &'static Words) -> Self {
        Self { style, channel, words, heading: Mutex::default(), state: Mutex::default() }
    }

    /// A line of its own, `id: status` or without an id.
    pub(crate) fn say(&self, id: Option<&str>, status: &str) {
        match (self.style, id) {
            (Style::Silent, _) => {}
            (Style::Json, Some(id)) => self.json(&serde_json::json!({"status": status, "id": id})),
            (Style::Json, None) => self.json(&serde_json::json!({"status": status})),
            (_, Some(id)) => self.channel.put(&format!("{id}: {status}\n")),
            (_, None) => self.channel.put(&format!("{status}\n")),
        }
    }

    /// What is said before the layers, once it is known that there are some.
    pub(crate) fn head(&self, id: &str, status: String) {
        *self.heading.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.to_owned(), status));
    }

    /// Draws the bars a last time.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        if self.style == Style::Bars {
            self.draw(&mut state);
        }
        *state = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn json(&self, value: &serde_json::Value) {
        self.channel.put(&format!("{value}\n"));
    }

    fn status(&self, step: Step) -> &'static str {
        match step {
            Step::Pending => self.words.pending,
            Step::Exists => self.words.exists,
            Step::Waiting => "Waiting",
            Step::Bytes(_) => self.words.moving,
            Step::Mounted => "Mounted from another repository",
            Step::Done => self.words.done,
        }
    }

    fn tell(&self, row: &mut Row) {
        let is_moving = matches!(row.step, Step::Bytes(_));
        let soon = row.told.is_some_and(|told| told.elapsed() < DRAWN);
        match self.style {
            Style::Plain if !is_moving => {
                self.channel.put(&format!("{}: {}\n", row.layer.short(), self.status(row.step)))
            }
            Style::Json if !is_moving || !soon => {
                let mut value = serde_json::json!({"status": self.status(row.step), "id": row.layer.short()});
                if let Step::Bytes(current) = row.step {
                    value["progressDetail"] = serde_json::json!({"current": current, "total": row.size});
                    row.told = Some(Instant::now());
                }
                self.json(&value);
            }
            _ => {}
        }
    }

    fn draw(&self, state: &mut State) {
        let screen = rustix::termios::tcgetwinsize(self.channel.fd()).ok();
        let width = screen.map_or(80, |screen| usize::from(screen.ws_col).max(20));
        let height = screen.map_or(24, |screen| usize::from(screen.ws_row).max(4));
        let mut text = String::new();
        if state.lines > 0 {
            let _ = write!(text, "\x1b[{}A", state.lines);
        }
        let lines = self.lines(state, height - 1);
        for line in &lines {
            let _ = write!(text, "\r\x1b[2K{}\n", fit::head(line, width - 1));
        }
        // What was drawn before and is no more.
        if lines.len() < state.lines {
            text += "\x1b[J";
        }
        self.channel.put(&text);
        state.lines = lines.len();
        state.drawn = Some(Instant::now());
    }

    /// All layers; of more than the screen has room for, those that move, and how many are over.
    fn lines(&self, state: &State, room: usize) -> Vec<String> {
        if state.rows.len() <= room {
            return state.rows.iter().map(|row| self.row(row)).collect();
        }
        let is_over = |row: &&Row| matches!(row.step, Step::Done | Step::Exists | Step::Mounted);
        let over = state.rows.iter().filter(is_over).count();
        let moving = state.rows.iter().filter(|row| matches!(row.step, Step::Bytes(_))).take(room - 1);
        let summary = format!("{over} of {} layers are here", state.rows.len());
        [summary].into_iter().chain(moving.map(|row| self.row(row))).collect()
    }

    fn row(&self, row: &Row) -> String {
        let status = self.status(row.step);
        let Step::Bytes(at) = row.step else { return format!("{}: {status}", row.layer.short()) };
        let filled = (at * BAR).checked_div(row.size).unwrap_or(BAR).min(BAR) as usize;
        let bar = format!("{}>{}", "=".repeat(filled), " ".repeat(BAR as usize - filled));
        let rate =
            row.began.map(|(began, from)| (at - from) as f64 / began.elapsed().as_secs_f64().max(0.001));
        let rate = rate.map_or_else(String::new, |rate| format!("  {}/s", size(rate as u64)));
        format!("{}: {status} [{bar}] {}/{}{rate}", row.layer.short(), size(at), size(row.size))
    }
}

impl Progress for Teller {
    fn begin(&self, layers: &[Descriptor]) {
        let heading = self.heading.lock().unwrap_or_else(PoisonError::into_inner).take();
        heading.into_iter().for_each(|(id, status)| self.say(Some(&id), &status));
        let mut state = self.lock();
        let row = |layer: &Descriptor| Row {
            layer: layer.digest.clone(),
            size: layer.size,
            step: Step::Pending,
            began: None,
            told: None,
        };
        state.rows = layers.iter().map(row).collect();
        if self.style == Style::Bars {
            self.draw(&mut state);
        }
    }

    fn step(&self, layer: &Digest, step: Step) {
        let mut state = self.lock();
        for row in state.rows.iter_mut().filter(|row| row.layer == *layer) {
            if let (Step::Bytes(at), None) = (step, row.began) {
                row.began = Some((Instant::now(), at));
            }
            row.step = step;
            self.tell(row);
        }
        let soon = state.drawn.is_some_and(|drawn| drawn.elapsed() < DRAWN);
        if self.style == Style::Bars && !(soon && matches!(step, Step::Bytes(_))) {
            self.draw(&mut state);
        }
    }
}
