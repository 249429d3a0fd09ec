//! What could not be kept, counted until there is room to tell it.

use crate::segment::Segment;
use crate::segments;
use rustix::fd::AsFd;

/// What a log has lost in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Bytes.
    pub bytes: u64,
    /// Reads of them.
    pub times: u64,
}

/// What the log in a container's directory says that it lost, by now.
pub fn lost(dir: impl AsFd) -> Lost {
    let newest = || {
        let dir = segments::directory(dir).ok()??;
        let number = segments::numbers(&dir).ok()?.last().copied()?;
        Segment::open(&dir, number).ok()?
    };
    let [bytes, times] = newest().map_or([0; 2], |segment| segment.lost());
    Lost { bytes, times }
}

/// The count of a writer.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    pub(crate) all: Lost,
    /// Not yet told in the log.
    untold: Lost,
    why: Option<std::io::Error>,
}

impl Loss {
    pub(crate) fn of(all: Lost) -> Self {
        Self { all, ..Self::default() }
    }

    pub(crate) fn count(&mut self, bytes: usize, why: Option<std::io::Error>) {
        for lost in [&mut self.all, &mut self.untold] {
            lost.bytes += bytes as u64;
            lost.times += 1;
        }
        self.why = self.why.take().or(why);
    }

    /// The line that tells, if there is something untold.
    pub(crate) fn note(&self) -> Option<String> {
        let Lost { bytes, .. } = self.untold;
        let why = match &self.why {
            Some(why) => why.to_string(),
            None => "the buffer was full".to_owned(),
        };
        (bytes > 0).then(|| format!("[hull: {bytes} bytes of output are missing here: {why}]\n"))
    }

    /// Forgets what was counted since `before`.
    pub(crate) fn uncount(&mut self, before: Lost) {
        self.untold.bytes -= self.all.bytes - before.bytes;
        self.untold.times -= self.all.times - before.times;
        self.all = before;
    }

    pub(crate) fn told(&mut self) {
        self.untold = Lost::default();
        self.why = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_and_counted_for_ever() {
        let mut loss = Loss::of(Lost { bytes: 5, times: 1 });
        assert_eq!(loss.note(), None);
        loss.count(10, Some(std::io::Error::from_raw_os_error(28)));
        loss.count(7, None);
        let note = loss.note().unwrap();
        assert!(note.contains("17 bytes") && note.contains("No space left"), "{note}");
        loss.told();
        assert_eq!((loss.note(), loss.all), (None, Lost { bytes: 22, times: 3 }));
    }
}
