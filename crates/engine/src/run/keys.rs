//! The keys that detach from a terminal.

/// Watches what is typed for the detach keys.
///
/// They are reserved: there is nothing to detach from yet, and they do not reach the container, so that no habit
/// breaks when there is. Keys that only begin like them are passed on.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    sequence: &'a [u8],
    /// How many of them were typed in a row.
    typed: usize,
}

impl<'a> Keys<'a> {
    /// Watches for a sequence; an empty one is never typed.
    pub(crate) fn new(sequence: &'a [u8]) -> Self {
        Self { sequence, typed: 0 }
    }

    /// Takes the sequence out of what was just typed. True if it was in there.
    pub(crate) fn hold_back(&mut self, typed: &mut Vec<u8>) -> bool {
        if self.sequence.is_empty() {
            return false;
        }
        let mut passed = Vec::with_capacity(typed.len() + self.typed);
        let whole = typed.iter().filter(|&&key| self.take(key, &mut passed)).count();
        *typed = passed;
        whole > 0
    }

    /// One key. True if it is the last of the sequence.
    fn take(&mut self, key: u8, passed: &mut Vec<u8>) -> bool {
        if key == self.sequence[self.typed] {
            self.typed = (self.typed + 1) % self.sequence.len();
            return self.typed == 0;
        }
        passed.extend(&self.sequence[..self.typed]);
        self.typed = usize::from(key == self.sequence[0]);
        passed.extend((self.typed == 0).then_some(key));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(pieces: &[&[u8]]) -> (Vec<u8>, usize) {
        let mut keys = Keys::new(&[16, 17]);
        let (mut passed, mut whole) = (Vec::new(), 0);
        for piece in pieces {
            let mut typed = piece.to_vec();
            whole += usize::from(keys.hold_back(&mut typed));
            passed.extend(typed);
        }
        (passed, whole)
    }

    #[test]
    fn the_detach_keys_do_not_reach_the_container() {
        assert_eq!(type_in(&[b"a\x10\x11b"]), (b"ab".into(), 1));
        assert_eq!(type_in(&[b"a\x10", b"\x11b"]), (b"ab".into(), 1));
    }

    #[test]
    fn keys_that_only_begin_like_them_do() {
        assert_eq!(type_in(&[b"\x10x"]), (b"\x10x".into(), 0));
        assert_eq!(type_in(&[b"\x10\x10\x11"]), (b"\x10".into(), 1));
        assert_eq!(type_in(&[b"\x10", b"\x10x"]), (b"\x10\x10x".into(), 0));
    }

    #[test]
    fn without_a_sequence_everything_is_passed_on() {
        let mut typed = b"\x10\x11".to_vec();
        assert!(!Keys::new(&[]).hold_back(&mut typed));
        assert_eq!(typed, b"\x10\x11");
    }
}
