//! docker's `json-file`: a line of JSON for each line, in files that its users' tools read.

use crate::hull::Limits;
use crate::line::Piece;
use crate::pack::Packer;
use crate::{Entry, Kind, Result, Stream, failed, hull, segments};
use fault::Context;
use jiff::Timestamp;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

/// The name of the file that is written to.
pub(crate) fn name(id: &str) -> String {
    format!("{id}-json.log")
}

/// That of one that was rotated out, the newest being 1.
fn rotated(id: &str, number: usize, packed: bool) -> String {
    format!("{}.{number}{}", name(id), if packed { ".gz" } else { "" })
}

/// A line of the file, as docker orders it.
#[derive(Serialize)]
struct Row<'a> {
    log: &'a str,
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attrs: Option<&'a BTreeMap<String, String>>,
    time: Timestamp,
}

/// Open to be written; there is a file from the first byte on.
#[derive(Debug)]
pub(crate) struct Writer {
    limits: Limits,
    container: OwnedFd,
    id: String,
    attributes: BTreeMap<String, String>,
    open: Option<(OwnedFd, File, u64)>,
    packer: Option<Packer>,
}

impl Writer {
    pub(crate) fn new(
        container: BorrowedFd<'_>,
        id: &str,
        limits: Limits,
        attributes: BTreeMap<String, String>,
    ) -> std::io::Result<Self> {
        let container = container.try_clone_to_owned()?;
        Ok(Self { limits, container, id: id.to_owned(), attributes, open: None, packer: None })
    }

    /// One piece, as a row at the end of `rows`.
    pub(crate) fn row(&self, rows: &mut Vec<u8>, time: Timestamp, piece: Piece<'_>) {
        let mut text = String::from_utf8_lossy(piece.text).into_owned();
        text.extend(piece.ends.then_some('\n'));
        let attrs = Some(&self.attributes).filter(|attributes| !attributes.is_empty());
        let row = Row { log: &text, stream: piece.stream.name(), attrs, time };
        let json = serde_json::to_string(&row).unwrap_or_default();
        rows.extend(as_go(json).bytes());
        rows.push(b'\n');
    }

    /// Appends rows, in one write unless a file gets full; what there is no room for is cut off again.
    pub(crate) fn write(&mut self, mut rows: &[u8]) -> std::io::Result<()> {
        while !rows.is_empty() {
            // One that an earlier writer left full is followed by another at once.
            while self.open.as_ref().is_none_or(|(_, _, size)| *size >= self.limits.size) {
                self.next()?;
            }
            let Some((_, file, size)) = &mut self.open else { return Ok(()) };
            // As docker has it: the row with which a file is full is still in it.
            let room = usize::try_from(self.limits.size - *size).unwrap_or(usize::MAX);
            let end = rows.get(room.saturating_sub(1)..).and_then(|rest| memchr::memchr(b'\n', rest));
            let (now, later) = rows.split_at(end.map_or(rows.len(), |end| room - 1 + end + 1));
            if let Err(error) = file.write_all(now) {
                let _ = file.set_len(*size);
                return Err(error);
            }
            *size += now.len() as u64;
            rows = later;
        }
        Ok(())
    }

    /// Opens the file, or the next one.
    fn next(&mut self) -> std::io::Result<()> {
        let dir = match self.open.take() {
            None => hull::make_directory(&self.container)?,
            Some((dir, file, _)) => {
                self.rotate(&dir, &file)?;
                dir
            }
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(openat(&dir, name(&self.id), flags, Mode::from_raw_mode(0o640))?);
        let size = whole(&mut file)?;
        self.open = Some((dir, file, size));
        Ok(())
    }

    fn rotate(&mut self, dir: &OwnedFd, file: &File) -> std::io::Result<()> {
        if self.limits.files < 2 {
            return file.set_len(0);
        }
        // One that is being packed keeps its name until it is.
        self.packer = None;
        let last = self.limits.files - 1;
        for packed in [false, true] {
            let _ = unlinkat(dir, rotated(&self.id, last, packed), AtFlags::empty());
            for number in (1..last).rev() {
                let (old, new) = (rotated(&self.id, number, packed), rotated(&self.id, number + 1, packed));
                let _ = renameat(dir, old, dir, new);
            }
        }
        renameat(dir, name(&self.id), dir, rotated(&self.id, 1, false))?;
        if self.limits.packs {
            let id = self.id.clone();
            self.packer = Packer::start(dir.as_fd(), |dir| {
                for number in 1..=last {
                    let _ = pack(dir, &id, number);
                }
            });
        }
        Ok(())
    }
}

/// Half a row, that a writer left who was killed, is cut off.
fn whole(file: &mut File) -> std::io::Result<u64> {
    let size = file.metadata()?.len();
    let from = last_rows(file, size, 0)?;
    if from < size {
        file.set_len(from)?;
    }
    Ok(from)
}

fn pack(dir: BorrowedFd<'_>, id: &str, number: usize) -> std::io::Result<()> {
    let (plain, packed) = (rotated(id, number, false), rotated(id, number, true));
    let mut from = File::from(openat(dir, &plain, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?);
    let draft = format!("{packed}.new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let to = File::from(openat(dir, &draft, flags, Mode::from_raw_mode(0o640))?);
    let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
    std::io::copy(&mut from, &mut encoder)?;
    encoder.finish()?.sync_data()?;
    renameat(dir, &draft, dir, &packed)?;
    Ok(unlinkat(dir, &plain, AtFlags::empty())?)
}

/// Go's JSON escapes what HTML could take for its own.
fn as_go(json: String) -> String {
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return json;
    }
    let pairs = [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ];
    pairs.iter().fold(json, |json, (from, to)| json.replace(from, to))
}

/// Where the last rows begin, of which `size` bytes are looked at; with none, where the last whole row ends.
fn last_rows(file: &mut File, size: u64, count: u64) -> std::io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let (mut to, mut ends, mut block) = (size, 0, Vec::new());
    while to > 0 {
        let from = to.saturating_sub(BLOCK);
        block.resize((to - from) as usize, 0);
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut block)?;
        for at in memchr::memrchr_iter(b'\n', &block) {
            if ends == count {
                return Ok(from + at as u64 + 1);
            }
            ends += 1;
        }
        to = from;
    }
    Ok(0)
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    time: Timestamp,
}

/// Reads rows from the oldest file to the newest.
pub(crate) struct Reader {
    dir: OwnedFd,
    id: String,
    file: Option<Source>,
    /// Files that were packed and are read before all others.
    since: Option<Timestamp>,
    /// Half a row.
    rest: Vec<u8>,
}

/// A file, by its inode where it can still grow.
enum Source {
    Packed(BufReader<Box<dyn Read>>, usize),
    Plain(BufReader<File>, u64),
}

impl Reader {
    pub(crate) fn open(container: impl AsFd, id: &str) -> Result<Option<Self>> {
        let dir = segments::directory(container).or_err(Kind::Failed, failed("open the container's log"))?;
        Ok(dir.map(|dir| Self { dir, id: id.to_owned(), file: None, since: None, rest: Vec::new() }))
    }

    pub(crate) fn since(&mut self, time: Timestamp) {
        self.since = Some(time);
    }

    /// docker counts rows.
    pub(crate) fn tail(&mut self, count: u64) -> Result<()> {
        let mut look = || -> std::io::Result<()> {
            let mut wanted = count;
            for number in 0..=self.files()?.last().copied().unwrap_or(0) {
                let Some(file) = self.source(number)? else { continue };
                let (source, rows) = last_of(file, wanted)?;
                self.file = Some(source);
                wanted -= rows.min(wanted);
                if wanted == 0 {
                    break;
                }
            }
            Ok(())
        };
        look().or_err(Kind::Failed, failed("read the container's log"))
    }

    pub(crate) fn next(&mut self, entry: &mut Entry) -> Result<bool> {
        self.advance(entry).or_err(Kind::Failed, failed("read the container's log"))
    }

    fn advance(&mut self, entry: &mut Entry) -> std::io::Result<bool> {
        loop {
            if let Some(file) = &mut self.file {
                file.read_row(&mut self.rest)?;
                if self.rest.ends_with(b"\n") {
                    let row = serde_json::from_slice::<Shown>(&self.rest);
                    self.rest.clear();
                    // What is no row was damaged by a crash of the host: the rest is still good.
                    match row {
                        Ok(row) if self.since.is_none_or(|since| row.time >= since) => {
                            *entry = row.entry();
                            return Ok(true);
                        }
                        _ => continue,
                    }
                }
            }
            match self.after()? {
                Some(next) => {
                    self.rest.clear();
                    self.file = Some(next);
                }
                None => return Ok(false),
            }
        }
    }

    /// Numbers of files there are, 0 being the one that is written to, the newest first.
    fn files(&self) -> std::io::Result<Vec<usize>> {
        let mut all = Vec::new();
        let base = name(&self.id);
        for entry in rustix::fs::Dir::read_from(&self.dir)? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            let Some(rest) = file.strip_prefix(&base) else { continue };
            let rest = rest.strip_suffix(".gz").unwrap_or(rest);
            match rest.strip_prefix('.') {
                None if rest.is_empty() => all.push(0),
                number => all.extend(number.and_then(|number| number.parse::<usize>().ok())),
            }
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn source(&self, number: usize) -> std::io::Result<Option<Source>> {
        let open = |name: String| {
            openat(&self.dir, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
        };
        let plain = if number == 0 { name(&self.id) } else { rotated(&self.id, number, false) };
        match open(plain) {
            Ok(file) => {
                let file = File::from(file);
                let inode = file.metadata()?.ino();
                return Ok(Some(Source::Plain(BufReader::with_capacity(64 << 10, file), inode)));
            }
            Err(Errno::NOENT) if number > 0 => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        match open(rotated(&self.id, number, true)) {
            Ok(file) => {
                let unpacked: Box<dyn Read> = Box::new(flate2::read::MultiGzDecoder::new(File::from(file)));
                Ok(Some(Source::Packed(BufReader::new(unpacked), number)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The file after the one that is read; none while that is the newest.
    fn after(&mut self) -> std::io::Result<Option<Source>> {
        let files = self.files()?;
        let after = match &mut self.file {
            None => files.last().copied(),
            Some(Source::Packed(_, number)) => files.iter().rev().copied().find(|other| other < number),
            Some(Source::Plain(file, inode)) => {
                let inode = *inode;
                if shrunk(file)? {
                    return Ok(None);
                }
                let mut place = None;
                for number in files.iter().copied() {
                    if let Some(Source::Plain(_, other)) = self.source(number)? {
                        if other == inode {
                            place = Some(number);
                            break;
                        }
                        place = place.or(Some(number + 1));
                    }
                }
                place.and_then(|place| files.iter().rev().copied().find(|other| *other < place))
            }
        };
        after.map_or(Ok(None), |number| self.source(number))
    }
}

/// One that was emptied to be written again is read from its beginning.
fn shrunk(file: &mut BufReader<File>) -> std::io::Result<bool> {
    let is = file.get_ref().metadata()?.len() < file.stream_position()?;
    if is {
        file.seek(SeekFrom::Start(0))?;
    }
    Ok(false)
}

/// The file at its last rows, and how many they are.
fn last_of(source: Source, count: u64) -> std::io::Result<(Source, u64)> {
    match source {
        Source::Plain(file, inode) => {
            let mut file = file.into_inner();
            let size = file.metadata()?.len();
            let from = last_rows(&mut file, size, count)?;
            file.seek(SeekFrom::Start(from))?;
            let mut file = BufReader::with_capacity(64 << 10, file);
            // Without a beginning before it, there may have been fewer.
            let rows = if from > 0 || count == 0 { count } else { count_rows(&mut file)? };
            file.seek(SeekFrom::Start(from))?;
            Ok((Source::Plain(file, inode), rows))
        }
        Source::Packed(mut file, number) => {
            let mut all = Vec::new();
            file.read_to_end(&mut all)?;
            let ends: Vec<_> = memchr::memchr_iter(b'\n', &all).collect();
            let skipped = ends.len().saturating_sub(count as usize);
            let from = skipped.checked_sub(1).map_or(0, |last| ends[last] + 1);
            let rest: Box<dyn Read> = Box::new(std::io::Cursor::new(all.split_off(from)));
            Ok((Source::Packed(BufReader::new(rest), number), (ends.len() - skipped) as u64))
        }
    }
}

fn count_rows(file: &mut impl BufRead) -> std::io::Result<u64> {
    let mut rows = 0;
    loop {
        let block = file.fill_buf()?;
        if block.is_empty() {
            return Ok(rows);
        }
        rows += memchr::memchr_iter(b'\n', block).count() as u64;
        let length = block.len();
        file.consume(length);
    }
}

impl Source {
    fn read_row(&mut self, row: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Packed(file, _) => file.read_until(b'\n', row),
            Self::Plain(file, _) => file.read_until(b'\n', row),
        }
    }
}

impl Shown {
    fn entry(self) -> Entry {
        let stream = if self.stream == "stderr" { Stream::Error } else { Stream::Output };
        Entry { time: self.time, stream, text: self.log.into_bytes() }
    }
}
