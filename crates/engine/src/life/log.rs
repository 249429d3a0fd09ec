//! What a container wrote: a file of lines as Kubernetes has them (CRI logging format), `TIME STREAM TAG TEXT`; the tag
//! is F for the end of a line and P for a part of one. So bytes are kept as they are, nothing waits in memory for
//! the end of its line, and whoever is killed loses none.

use crate::error::{Error, Kind, Result};
use crate::request::Stream;
use fault::Context;
use jiff::Timestamp;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

/// Where it lies in a container's directory.
const NAME: &str = "log";

/// The longest text of an entry, so that a reader needs little memory: docker cuts there, too.
const LONGEST: usize = 16 << 10;

/// The monitor's end.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    /// Opens it to append to what earlier starts wrote.
    pub(crate) fn open(dir: impl AsFd) -> Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(dir, NAME, flags, Mode::from_raw_mode(0o640));
        file.map(|file| Self(file.into())).or_err(Kind::Failed, || "open the container's log".into())
    }

    /// Appends what was read at one time, in one write.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> std::io::Result<()> {
        let name = if stream == Stream::Stderr { "stderr" } else { "stdout" };
        let mut entries = Vec::with_capacity(bytes.len() + 64);
        let now = Timestamp::now();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            for part in line.chunks(LONGEST) {
                let (text, tag) = part.strip_suffix(b"\n").map_or((part, 'P'), |text| (text, 'F'));
                // RFC 3339 with nine digits always: entries of one time sort as text.
                write!(entries, "{now:.9} {name} {tag} ")?;
                entries.extend_from_slice(text);
                entries.push(b'\n');
            }
        }
        self.0.write_all(&entries)
    }
}

/// An entry as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was read from the container.
    pub time: Timestamp,
    /// Standard output or standard error.
    pub stream: Stream,
    /// The bytes, with the line's end if this is it.
    pub text: Vec<u8>,
}

impl Entry {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(4, |&byte| byte == b' ');
        let time = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let stream = match fields.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let tag = fields.next()?;
        let mut text = fields.next()?.to_vec();
        if tag == b"F" {
            text.push(b'\n');
        }
        Some(Self { time, stream, text })
    }

    fn ends_line(&self) -> bool {
        self.text.ends_with(b"\n")
    }
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Reader(BufReader<File>);

impl Reader {
    /// Opens it at its beginning; none where nothing was ever written.
    pub(crate) fn open(dir: impl AsFd) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat(dir, NAME, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => Ok(None),
            other => {
                let file: OwnedFd = other.or_err(Kind::Failed, || "open the container's log".into())?;
                Ok(Some(Self(BufReader::new(file.into()))))
            }
        }
    }

    /// Goes to where the last `count` lines begin.
    pub(crate) fn skip_to_last(&mut self, count: u64) -> Result<()> {
        let failed = || "read the container's log".to_owned();
        let start = last_lines(self.0.get_mut(), count).or_err(Kind::Failed, failed)?;
        self.0.seek(SeekFrom::Start(start)).or_err(Kind::Failed, failed).map(drop)
    }

    /// The next entry; none at what is the end by now. An entry that is half written is left for later.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let failed = |cause| Error::new(Kind::Failed, "read the container's log").caused_by(cause);
        loop {
            let mut line = Vec::new();
            let length = self.0.read_until(b'\n', &mut line).map_err(failed)?;
            match line.strip_suffix(b"\n") {
                None if length == 0 => return Ok(None),
                None => {
                    self.0.seek_relative(-(length as i64)).map_err(failed)?;
                    return Ok(None);
                }
                // What is no entry was damaged by a crash of the host: the rest is still good.
                Some(line) => match Entry::parse(line) {
                    Some(entry) => return Ok(Some(entry)),
                    None => continue,
                },
            }
        }
    }

    /// To wait for more.
    pub(crate) fn file(&self) -> &File {
        self.0.get_ref()
    }
}

/// Where the last `count` lines begin; entries that are parts belong to the line they are parts of. Read from the end,
/// since logs are long and what is asked for is short.
fn last_lines(file: &mut File, count: u64) -> std::io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let end = file.seek(SeekFrom::End(0))?;
    // The entries after `from`, a whole number of them but for the first.
    let (mut from, mut tail) = (end, Vec::new());
    loop {
        let whole =
            if from == 0 { 0 } else { tail.iter().position(|&b| b == b'\n').map_or(tail.len(), |at| at + 1) };
        if let Some(start) = start_of_last(&tail[whole..], count) {
            return Ok(from + (whole + start) as u64);
        }
        if from == 0 {
            return Ok(0);
        }
        let step = BLOCK.min(from);
        from -= step;
        let mut block = vec![0; step as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut block)?;
        block.append(&mut tail);
        tail = block;
    }
}

/// Where the last `count` lines begin in these entries, if a line before them is there to tell.
fn start_of_last(entries: &[u8], count: u64) -> Option<usize> {
    let mut ends = 0;
    let mut at = entries.len();
    // A last line without an end counts as well.
    let mut is_last = true;
    for entry in entries.split_inclusive(|&byte| byte == b'\n').rev() {
        let ends_line =
            Entry::parse(entry.strip_suffix(b"\n").unwrap_or(entry)).is_some_and(|e| e.ends_line());
        ends += u64::from(ends_line || is_last);
        is_last = false;
        if ends > count {
            return Some(at);
        }
        at -= entry.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dir(name: &str) -> (std::path::PathBuf, File) {
        let path = std::env::temp_dir().join(format!("hull-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        (path.clone(), File::open(path).unwrap())
    }

    fn all(reader: &mut Reader) -> Vec<u8> {
        std::iter::from_fn(|| reader.next().unwrap()).flat_map(|entry| entry.text).collect()
    }

    #[test]
    fn bytes_come_back_as_they_were_written() {
        let (path, dir) = dir("bytes");
        let mut log = Log::open(&dir).unwrap();
        let long = vec![b'x'; 3 * LONGEST + 7];
        let parts: [&[u8]; 5] = [b"one\ntwo", b" more\n\n", &long, b"\n\xff\0 F stdout\n", b"no end"];
        parts.iter().for_each(|part| log.write(Stream::Stdout, part).unwrap());
        let mut reader = Reader::open(&dir).unwrap().unwrap();
        assert_eq!(all(&mut reader), parts.concat());
        log.write(Stream::Stderr, b", then one\n").unwrap();
        let entry = reader.next().unwrap().unwrap();
        assert_eq!((entry.stream, entry.text.as_slice()), (Stream::Stderr, &b", then one\n"[..]));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn half_an_entry_waits_for_the_rest() {
        let (path, dir) = dir("half");
        std::fs::write(path.join(NAME), "2026-01-02T03:04:05.000000006Z stdout F wh").unwrap();
        let mut reader = Reader::open(&dir).unwrap().unwrap();
        assert_eq!(reader.next().unwrap(), None);
        let mut file = File::options().append(true).open(path.join(NAME)).unwrap();
        file.write_all(b"ole\n\0\0\0damaged\n2026-01-02T03:04:05.1Z stderr P x\n").unwrap();
        assert_eq!(all(&mut reader), b"whole\nx");
        std::fs::remove_dir_all(path).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_last_lines_are_those_that_tail_shows(
            lines in prop::collection::vec("[a-z ]{0,40000}", 0..12),
            count in 0u64..14,
            ended: bool,
        ) {
            let (path, dir) = dir("tail");
            let mut text = lines.join("\n");
            if ended && !text.is_empty() { text.push('\n'); }
            let mut log = Log::open(&dir).unwrap();
            text.as_bytes().chunks(10_000).for_each(|part| log.write(Stream::Stdout, part).unwrap());
            let mut reader = Reader::open(&dir).unwrap().unwrap();
            reader.skip_to_last(count).unwrap();
            let pieces: Vec<_> = text.split_inclusive('\n').collect();
            let expected = pieces[pieces.len().saturating_sub(count as usize)..].concat();
            prop_assert_eq!(String::from_utf8(all(&mut reader)).unwrap(), expected);
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}
