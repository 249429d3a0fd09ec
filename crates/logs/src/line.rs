//! Lines, for drivers that take one at a time: cut where docker cuts them.

use crate::Stream;
use memchr::memchr;

/// The longest piece of a line.
const LONGEST: usize = 16 << 10;

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) stream: Stream,
    /// Without the line's end.
    pub(crate) text: &'a [u8],
    /// The line ends here.
    pub(crate) ends: bool,
    /// Of a line in several pieces: which line, and which piece of it, from 1 on.
    pub(crate) part: Option<(u64, u32)>,
}

/// What has no end yet, for each stream.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    held: [Held; 3],
    /// Lines that came in pieces.
    lines: u64,
}

#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    /// Pieces that were given of this line.
    given: u32,
    line: u64,
}

impl Cutter {
    /// Gives every piece that is whole by now.
    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
        while !bytes.is_empty() {
            let held = &mut self.held[stream.place()];
            let room = LONGEST - held.bytes.len();
            let end = memchr(b'\n', &bytes[..bytes.len().min(room + 1)]);
            let taken = end.unwrap_or(bytes.len().min(room));
            let (text, rest) = bytes.split_at(taken);
            bytes = &rest[usize::from(end.is_some())..];
            let is_full = held.bytes.len() + text.len() == LONGEST;
            if end.is_none() && !is_full {
                held.bytes.extend_from_slice(text);
            } else if held.bytes.is_empty() {
                self.piece(stream, text, end.is_some(), give);
            } else {
                held.bytes.extend_from_slice(text);
                self.give(stream, end.is_some(), give);
            }
        }
    }

    /// Gives what is held back, as pieces of lines that do not end.
    pub(crate) fn finish(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        for stream in Stream::ALL {
            if !self.held[stream.place()].bytes.is_empty() {
                self.give(stream, false, give);
            }
        }
    }

    fn give(&mut self, stream: Stream, ends: bool, give: &mut dyn FnMut(Piece<'_>)) {
        let mut text = std::mem::take(&mut self.held[stream.place()].bytes);
        self.piece(stream, &text, ends, give);
        text.clear();
        self.held[stream.place()].bytes = text;
    }

    fn piece(&mut self, stream: Stream, text: &[u8], ends: bool, give: &mut dyn FnMut(Piece<'_>)) {
        let held = &mut self.held[stream.place()];
        if held.given == 0 && !ends {
            self.lines += 1;
            held.line = self.lines;
        }
        let is_part = held.given > 0 || !ends;
        held.given += u32::from(is_part);
        give(Piece { stream, text, ends, part: is_part.then_some((held.line, held.given)) });
        if ends {
            held.given = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Seen = (Vec<u8>, bool, Option<(u64, u32)>);

    fn cut(parts: &[&[u8]]) -> Vec<Seen> {
        let (mut cutter, mut seen) = (Cutter::default(), Vec::new());
        let mut give = |piece: Piece<'_>| seen.push((piece.text.to_vec(), piece.ends, piece.part));
        parts.iter().for_each(|part| cutter.feed(Stream::Output, part, &mut give));
        cutter.finish(&mut give);
        seen
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_are_numbered() {
        let long = [&[b'x'; 2 * LONGEST + 5][..], b"\nshort\n"].concat();
        let seen = cut(&[&long, b"no end"]);
        let shape: Vec<_> = seen.iter().map(|(text, ends, part)| (text.len(), *ends, *part)).collect();
        let expected = [
            (LONGEST, false, Some((1, 1))),
            (LONGEST, false, Some((1, 2))),
            (5, true, Some((1, 3))),
            (5, true, None),
            (6, false, Some((2, 1))),
        ];
        assert_eq!(shape, expected);
    }

    #[test]
    fn a_line_of_just_the_longest_length_is_one_piece() {
        let line = [&[b'x'; LONGEST][..], b"\n"].concat();
        assert_eq!(cut(&[&line]).len(), 1);
    }

    proptest! {
        #[test]
        fn pieces_are_the_bytes_however_they_come(
            bytes in prop::collection::vec(prop_oneof![9 => Just(b'a'), 1 => Just(b'\n')], 0..50_000),
            at in 1usize..30_000,
        ) {
            let parts: Vec<_> = bytes.chunks(at).collect();
            let mut whole = Vec::new();
            for (text, ends, _) in cut(&parts) {
                prop_assert!(text.len() <= LONGEST);
                whole.extend(text);
                if ends { whole.push(b'\n'); }
            }
            prop_assert_eq!(whole, bytes);
        }
    }
}
