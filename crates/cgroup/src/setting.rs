//! A value for a file of a group, and how the kernel shows it back.

use crate::{Error, Kind, Result, files};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// A value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) controller: &'static str,
    pub(crate) file: String,
    pub(crate) value: String,
    pub(crate) shown: Shown,
    pub(crate) absent: Absent,
}

/// How the kernel shows a value after it took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As written.
    Same,
    /// Bytes, rounded down to so many; v1 shows its largest number for -1.
    Chunks(u64),
    /// A list of numbers in its shortest form, e.g. `0-3,7`.
    List,
    /// A line among others, for a device or a key; none where the value means no limit.
    Line,
    /// The first word of the line: the rest was not asked for, e.g. the period of `cpu.max`.
    First,
    /// The value of this key among others, e.g. of `oom_kill_disable`.
    Key(&'static str),
    /// Not at all: the file is write-only or has a form of its own that says the same.
    Unread,
}

impl Shown {
    /// Rounded down to pages.
    pub(crate) const PAGES: Self = Self::Chunks(4096);
}

/// What it means when the group has no such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The limit cannot be held.
    Refused,
    /// Nothing: what was asked is so without the file.
    Fine,
    /// The kernel has the same under another name: file and value.
    Instead(String, String),
}

impl Setting {
    pub(crate) fn new(controller: &'static str, file: &str, value: impl ToString, shown: Shown) -> Self {
        let (file, value) = (file.into(), value.to_string());
        Self { controller, file, value, shown, absent: Absent::Refused }
    }

    /// Where the kernel has no such file, another one is written.
    pub(crate) fn or(mut self, file: &str, value: impl ToString) -> Self {
        self.absent = Absent::Instead(file.into(), value.to_string());
        self
    }

    /// Where the kernel has no such file, nothing is lost.
    pub(crate) fn if_there(mut self, is_fine: bool) -> Self {
        if is_fine {
            self.absent = Absent::Fine;
        }
        self
    }

    /// The same under the name this kernel has; none if there is nothing to write.
    fn on_this_kernel(&self, dir: &OwnedFd) -> Result<Option<Self>> {
        match &self.absent {
            _ if files::is_there(dir, &self.file) => Ok(Some(self.clone())),
            Absent::Fine => Ok(None),
            Absent::Instead(file, value) if files::is_there(dir, file) => {
                Ok(Some(Self { file: file.clone(), value: value.clone(), ..self.clone() }))
            }
            _ => Err(Error::new(Kind::Unsupported, format!("this kernel has no `{}`", self.file))),
        }
    }

    /// Writes the value and checks that the kernel holds it.
    pub(crate) fn apply(&self, dir: &OwnedFd) -> Result<()> {
        match self.put(dir) {
            Err((Errno::NOENT, _)) => {
                self.on_this_kernel(dir)?.map_or(Ok(()), |other| other.put(dir).map_err(|(_, error)| error))
            }
            other => other.map_err(|(_, error)| error),
        }
    }

    fn put(&self, dir: &OwnedFd) -> std::result::Result<(), (Errno, Error)> {
        let refused = |errno: Errno| {
            let in_use =
                (errno == Errno::BUSY).then(|| files::number(dir, "memory.usage_in_bytes")).flatten();
            let what = match in_use {
                Some(bytes) => format!("{}: {bytes} bytes are in use and cannot be taken away", self.what()),
                None => self.what(),
            };
            (errno, Error::new(Kind::of(errno), what).caused_by(errno))
        };
        files::put(dir, &self.file, &self.value).map_err(refused)?;
        if self.shown == Shown::Unread {
            return Ok(());
        }
        let shown = files::get(dir, &self.file).map_err(refused)?;
        if self.is_held(&shown) {
            return Ok(());
        }
        let first = shown.lines().next().unwrap_or_default();
        let what = format!("{}: the kernel holds `{first}`", self.what());
        Err((Errno::OPNOTSUPP, Error::new(Kind::NotHeld, what)))
    }

    fn what(&self) -> String {
        format!("set `{}` to `{}`", self.file, self.value)
    }

    fn is_held(&self, shown: &str) -> bool {
        let (asked, shown) = (self.value.trim(), shown.trim());
        match self.shown {
            Shown::Same => asked == shown || asked == "-1" && shown == "max",
            Shown::Chunks(size) => chunks(asked, size) == chunks(shown, size),
            Shown::List => numbers(asked).is_some() && numbers(asked) == numbers(shown),
            Shown::Line => lines_hold(asked, shown),
            Shown::First => shown.split_whitespace().next() == Some(asked),
            Shown::Key(key) => {
                shown.lines().any(|line| line.strip_prefix(key).is_some_and(|held| held.trim() == asked))
            }
            Shown::Unread => true,
        }
    }

    /// What would bring back the state that is there now; none if it cannot be told.
    fn undo(&self, dir: &OwnedFd) -> Option<Self> {
        let there = self.on_this_kernel(dir).ok()??;
        let shown = files::get(dir, &there.file).ok()?;
        let value = match there.shown {
            Shown::Line => line_now(&there.value, &shown),
            Shown::Key(key) => shown.lines().find_map(|line| line.strip_prefix(key))?.trim().into(),
            _ => shown.trim().to_owned(),
        };
        Some(Self { value, shown: Shown::Unread, ..there })
    }
}

/// Values with the groups they go to.
pub(crate) type Placed<'a> = (&'a OwnedFd, Setting);

/// Applies all. The kernel checks values against each other (a limit of memory and one of memory and swap, a
/// quota and its period and burst), so what it refuses at first is tried again after the others.
pub(crate) fn apply_all(settings: &[Placed<'_>]) -> Result<()> {
    let mut again = Vec::new();
    for (dir, setting) in settings {
        match setting.apply(dir) {
            Err(error) if *error.kind() == Kind::Refused => again.push((dir, setting)),
            other => other?,
        }
    }
    again.into_iter().try_for_each(|(dir, setting)| setting.apply(dir))
}

/// What was there before a change; put back unless kept.
pub(crate) struct Before<'a>(Vec<Placed<'a>>);

impl<'a> Before<'a> {
    pub(crate) fn of(settings: &[Placed<'a>]) -> Self {
        Self(settings.iter().filter_map(|(dir, setting)| Some((*dir, setting.undo(dir)?))).collect())
    }

    pub(crate) fn forget(mut self) {
        self.0.clear();
    }
}

impl Drop for Before<'_> {
    fn drop(&mut self) {
        // Twice, for the order in which the kernel takes them.
        for _ in 0..2 {
            self.0.iter().for_each(|(dir, setting)| _ = setting.apply(dir));
        }
    }
}

/// In chunks of so many bytes; none is no limit.
fn chunks(text: &str, size: u64) -> Option<u64> {
    let chunks = text.parse::<u64>().ok()? / size;
    (chunks < i64::MAX as u64 / 4096 * 4096 / size).then_some(chunks)
}

/// All numbers of a list like `0-2,7`, as Linux writes sets of CPUs; none if it is not one.
pub(crate) fn numbers(list: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in list.split(',').filter(|part| !part.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u32>().ok()?, last.trim().parse::<u32>().ok()?);
        numbers.extend((last < 65_536).then_some(first..=last)?);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

fn line_of<'a>(key: &str, shown: &'a str) -> Option<&'a str> {
    shown.lines().find(|line| line.split_whitespace().next() == Some(key))
}

/// The key is the first word; every further `word` or `key=value` must stand in the line of the same key.
fn lines_hold(asked: &str, shown: &str) -> bool {
    let mut words = asked.split_whitespace();
    let Some(key) = words.next() else { return false };
    // `blkio.bfq.weight` is a number alone.
    let line = line_of(key, shown).unwrap_or_default();
    if words.clone().next().is_none() {
        return key == shown;
    }
    words.all(|word| {
        let unlimited = word == "0" || word.ends_with("=max");
        unlimited || line.split_whitespace().any(|held| held == word)
    })
}

/// The line of the same key as it is now, or one that takes the limit away.
fn line_now(asked: &str, shown: &str) -> String {
    let mut words = asked.split_whitespace();
    let key = words.next().unwrap_or_default();
    if words.clone().next().is_none() {
        return shown.trim().into();
    }
    let none = |word: &str| word.split_once('=').map_or("0".into(), |(key, _)| format!("{key}=max"));
    line_of(key, shown).map_or_else(
        || [key.to_owned()].into_iter().chain(words.map(none)).collect::<Vec<_>>().join(" "),
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(value: &str, shown: Shown, back: &str) -> bool {
        Setting::new("x", "x", value, shown).is_held(back)
    }

    #[test]
    fn bytes_are_held_to_the_page() {
        assert!(holds("10000000", Shown::PAGES, "9998336\n"));
        assert!(!holds("10000000", Shown::PAGES, "4096\n"));
        assert!(holds("-1", Shown::PAGES, "9223372036854771712\n"));
        assert!(holds("3000000", Shown::Chunks(2 << 20), "2097152\n"));
        assert!(!holds("50000000", Shown::PAGES, "9223372036854771712\n"), "kernel memory since 5.16");
    }

    #[test]
    fn lists_are_held_as_sets() {
        assert!(holds("0,1,2", Shown::List, "0-2\n"));
        assert!(!holds("0-3", Shown::List, "0-1\n"));
        assert_eq!(numbers("0-99999999"), None);
    }

    #[test]
    fn a_device_is_held_in_its_line() {
        assert!(holds("8:0 1048576", Shown::Line, "8:16 1\n8:0 1048576\n"));
        assert!(!holds("8:0 1048576", Shown::Line, "8:16 1048576\n"));
        assert!(holds("8:0 rbps=100", Shown::Line, "8:0 rbps=100 wbps=max\n"));
        assert!(holds("500", Shown::Line, "500\n"));
        assert!(!holds("500", Shown::Line, "100\n"));
    }

    #[test]
    fn a_key_and_a_first_word_are_held() {
        assert!(holds("1", Shown::Key("oom_kill_disable"), "oom_kill_disable 1\nunder_oom 0\n"));
        assert!(!holds("1", Shown::Key("oom_kill_disable"), "oom_kill_disable 0\nunder_oom 1\n"));
        assert!(holds("5000", Shown::First, "5000 100000\n"));
    }

    #[test]
    fn a_line_is_undone_to_what_it_was_or_to_no_limit() {
        assert_eq!(line_now("8:0 rbps=100 wiops=7", ""), "8:0 rbps=max wiops=max");
        assert_eq!(line_now("8:0 100", "8:16 3\n8:0 5\n"), "8:0 5");
        assert_eq!(line_now("8:0 100", ""), "8:0 0");
        assert_eq!(line_now("500", "100\n"), "100");
    }
}
