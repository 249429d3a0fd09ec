//! The caller's terminal while a container has it.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::termios::{OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// A terminal in raw mode; as it was before once this is dropped.
#[derive(Debug)]
pub(crate) struct Raw<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Raw<'a> {
    /// Puts the terminal in raw mode, if it is one: keys reach the container, Ctrl-C as well.
    pub(crate) fn enter(terminal: BorrowedFd<'a>) -> Option<Self> {
        let before = isatty(terminal).then(|| tcgetattr(terminal).ok())??;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Drain, &raw).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// The size of the first of the descriptors that is a terminal.
pub(crate) fn size_of(candidates: &[BorrowedFd<'_>]) -> Option<Winsize> {
    candidates.iter().find_map(|fd| tcgetwinsize(fd.as_fd()).ok()).filter(|size| size.ws_col > 0)
}
