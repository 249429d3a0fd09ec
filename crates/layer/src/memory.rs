//! Memory that an archive decides about: decoders' windows, and tables that grow with it. All layers that are
//! unpacked at once share one [`Memory`], so that together they stay below what the caller grants.

use crate::error::{Error, Kind, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// So many bytes for all who have a clone of it.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    /// What was granted.
    granted: u64,
    /// What can ever be free: what is kept for good is not.
    most: u64,
    free: u64,
}

/// Some of it, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    bytes: u64,
}

impl Memory {
    /// So many bytes.
    pub fn of(bytes: u64) -> Self {
        let state = Mutex::new(State { granted: bytes, most: bytes, free: bytes });
        Self(Arc::new(Pool { state, freed: Condvar::new() }))
    }

    /// Takes some for as long as this memory is used at all: what others wait for is less from now on.
    ///
    /// # Errors
    /// [`Kind::Memory`] when it is not free now.
    pub fn keep(&self, bytes: u64, what: &str) -> Result<()> {
        let mut state = self.state();
        if bytes > state.free {
            return Err(state.refuse(bytes, what));
        }
        state.most -= bytes;
        state.free -= bytes;
        Ok(())
    }

    /// Waits until so much is free.
    ///
    /// # Errors
    /// [`Kind::Memory`] when that can never be.
    pub(crate) fn take(&self, bytes: u64, what: &str) -> Result<Share> {
        let mut state = self.state();
        while bytes > state.free {
            if bytes > state.most {
                return Err(state.refuse(bytes, what));
            }
            state = self.0.freed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.free -= bytes;
        Ok(Share { memory: self.clone(), bytes })
    }

    /// All that can ever be free.
    pub(crate) fn most(&self) -> u64 {
        self.state().most
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn refuse(&self, bytes: u64, what: &str) -> Error {
        let what =
            format!("{what} needs {bytes} bytes of memory, and of {} there are {}", self.granted, self.most);
        Error::new(Kind::Memory, what)
    }
}

impl Share {
    /// Takes more, at once or not at all: who holds some must not wait for others who do.
    pub(crate) fn grow(&mut self, bytes: u64, what: &str) -> Result<()> {
        let mut state = self.memory.state();
        if bytes > state.free {
            return Err(state.refuse(self.bytes + bytes, what));
        }
        state.free -= bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.state().free += self.bytes;
        self.memory.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_what_is_taken_waits_and_for_more_than_there_is_does_not() {
        let memory = Memory::of(100);
        let mut first = memory.take(60, "one").unwrap();
        assert_eq!(*memory.take(101, "two").unwrap_err().kind(), Kind::Memory);
        assert_eq!(*first.grow(41, "one").unwrap_err().kind(), Kind::Memory);
        let second = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| memory.take(60, "two").unwrap());
            drop(first);
            waiting.join().unwrap()
        });
        assert_eq!(memory.state().free, 40);
        drop(second);
        memory.keep(30, "three").unwrap();
        assert!(memory.take(71, "four").is_err() && memory.take(70, "four").is_ok());
    }
}
