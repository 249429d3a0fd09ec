//! A value for a file of a group, and how the kernel shows it back.

use crate::{Error, Kind, Result, files};
use rustix::fd::AsFd;

/// A value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) controller: String,
    pub(crate) file: String,
    pub(crate) value: String,
    pub(crate) shown: Shown,
}

/// How the kernel shows a value after it took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As written.
    Same,
    /// Bytes, rounded down to pages; v1 shows its largest number for -1.
    Pages,
    /// A list of numbers in its shortest form, e.g. `0-3,7`.
    List,
    /// A line among others, for a device or a key; none where the value means no limit.
    Line,
    /// Not at all: the file is write-only or has a form of its own that says the same.
    Unread,
}

impl Setting {
    pub(crate) fn new(controller: &str, file: &str, value: impl ToString, shown: Shown) -> Self {
        Self { controller: controller.into(), file: file.into(), value: value.to_string(), shown }
    }

    /// `pids.max`, which v1 and v2 have alike; 0 and less is no limit.
    pub(crate) fn pids(limit: i64) -> Self {
        let limit = if limit > 0 { limit.to_string() } else { "max".into() };
        Self::new("pids", "pids.max", limit, Shown::Same)
    }

    /// Writes the value and checks that the kernel holds it.
    pub(crate) fn apply(&self, dir: impl AsFd) -> Result<()> {
        let what = || format!("set `{}` to `{}`", self.file, self.value);
        files::put(&dir, &self.file, &self.value).map_err(|errno| match errno {
            rustix::io::Errno::NOENT => {
                Error::new(Kind::Unsupported, format!("this kernel has no `{}`", self.file))
            }
            errno => Error::new(Kind::Kernel, what()).caused_by(errno),
        })?;
        if self.shown == Shown::Unread {
            return Ok(());
        }
        let shown = files::get(&dir, &self.file)
            .map_err(|errno| Error::new(Kind::Kernel, what()).caused_by(errno))?;
        match self.is_held(&shown) {
            true => Ok(()),
            false => {
                let first = shown.lines().next().unwrap_or_default();
                Err(Error::new(Kind::NotHeld, format!("{}: the kernel holds `{first}`", what())))
            }
        }
    }

    fn is_held(&self, shown: &str) -> bool {
        let (asked, shown) = (self.value.trim(), shown.trim());
        match self.shown {
            Shown::Same => asked == shown || asked == "-1" && shown == "max",
            Shown::Pages => pages(asked) == pages(shown),
            Shown::List => numbers(asked).is_some() && numbers(asked) == numbers(shown),
            Shown::Line => lines_hold(asked, shown),
            Shown::Unread => true,
        }
    }
}

/// In pages of 4 KiB; none is no limit.
fn pages(text: &str) -> Option<u64> {
    let pages = text.parse::<u64>().ok()? / 4096;
    (pages < i64::MAX as u64 / 4096).then_some(pages)
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

/// The key is the first word; every further `word` or `key=value` must stand in the line of the same key.
fn lines_hold(asked: &str, shown: &str) -> bool {
    let mut words = asked.split_whitespace();
    let Some(key) = words.next() else { return false };
    let line = shown.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap_or_default();
    words.all(|word| {
        let unlimited = word == "0" || word.ends_with("=max");
        unlimited || line.split_whitespace().any(|held| held == word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(value: &str, shown: Shown, back: &str) -> bool {
        Setting::new("x", "x", value, shown).is_held(back)
    }

    #[test]
    fn bytes_are_held_to_the_page() {
        assert!(holds("10000000", Shown::Pages, "9998336\n"));
        assert!(!holds("10000000", Shown::Pages, "4096\n"));
        assert!(holds("-1", Shown::Pages, "9223372036854771712\n"));
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
    }
}
