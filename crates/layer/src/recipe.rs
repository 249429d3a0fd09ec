//! How a layer's archive is made again, byte for byte, from the layer on disk.
//!
//! A layer holds files; of its archive that leaves the headers with their order and their padding, extensions, members that
//! later ones replaced, and what trails the end. All that is the recipe: written while the layer is unpacked, in the same
//! pass, and small, for headers compress well.
//!
//! ```text
//! "hull recipe 1\n"  zstd of:
//!   L  u32 length, bytes            as they are in the archive
//!   F  u32 length, path             a file's data begins: the next pieces are this file's
//!   D  u64 offset, u64 length       a piece of it
//!   X  u32 length, path, u64 length, bytes     what the file at the path had before it was replaced
//! ```
//!
//! Numbers are little-endian. A path is the member's, cleaned; links in it are followed below the layer's root. Whoever makes the
//! archive again compares its digest with the layer's DiffId: files that were changed are noticed, never sent.

use crate::error::{Error, Kind, Result, corrupt, stream};
use crate::feed::Chunks;
use crate::tree;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

const MAGIC: &[u8; 14] = b"hull recipe 1\n";
/// Bytes of replaced files that a recipe has room for; an archive that replaces more cannot be made again.
const LOST_MAX: u64 = 64 << 20;
/// Literal bytes are handed to the compressor so many at a time.
const LITERAL: usize = 64 << 10;
/// Longest path: what a reader of a recipe believes.
const PATH_MAX: u32 = 1 << 20;

/// A recipe that is written while a layer is unpacked.
pub(crate) struct Recipe {
    out: zstd::stream::write::Encoder<'static, File>,
    literal: Vec<u8>,
    /// The piece under way.
    piece: Option<(u64, u64)>,
    room: u64,
    is_whole: bool,
    failed: Option<io::Error>,
}

/// The same for whoever reads the stream and whoever places files; one thread has both.
pub(crate) type Shared = Rc<RefCell<Option<Recipe>>>;

impl Recipe {
    pub(crate) fn new(file: OwnedFd) -> Result<Self> {
        let mut file = File::from(file);
        file.write_all(MAGIC).map_err(failed)?;
        let out = zstd::stream::write::Encoder::new(file, 1).map_err(failed)?;
        let (literal, piece) = (Vec::with_capacity(LITERAL), None);
        Ok(Self { out, literal, piece, room: LOST_MAX, is_whole: true, failed: None })
    }

    fn literal(&mut self, bytes: &[u8]) {
        self.end_piece();
        self.literal.extend_from_slice(bytes);
        if self.literal.len() >= LITERAL {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            let literal = std::mem::take(&mut self.literal);
            self.put(&[b"L", &(literal.len() as u32).to_le_bytes(), &literal]);
            self.literal = literal;
            self.literal.clear();
        }
    }

    /// A file's data begins.
    pub(crate) fn file(&mut self, path: &[u8]) {
        self.end_piece();
        self.flush();
        self.put(&[b"F", &(path.len() as u32).to_le_bytes(), path]);
    }

    /// What is read next goes to this offset of the file.
    pub(crate) fn piece(&mut self, offset: u64) {
        self.end_piece();
        self.piece = Some((offset, 0));
    }

    /// What is read next is no file's.
    pub(crate) fn end_piece(&mut self) {
        let Some((offset, length)) = self.piece.take() else { return };
        if length > 0 {
            self.flush();
            self.put(&[b"D", &offset.to_le_bytes(), &length.to_le_bytes()]);
        }
    }

    /// A file is about to go whose bytes the archive has.
    pub(crate) fn lose(&mut self, path: &[u8], file: &File) {
        let length = file.metadata().map_or(u64::MAX, |metadata| metadata.len());
        if length > self.room {
            self.is_whole = false;
            return;
        }
        self.room -= length;
        self.end_piece();
        self.flush();
        self.put(&[b"X", &(path.len() as u32).to_le_bytes(), path, &length.to_le_bytes()]);
        let copied = io::copy(&mut file.take(length), &mut self.out);
        match copied {
            Ok(copied) => self.is_whole &= copied == length,
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    fn put(&mut self, parts: &[&[u8]]) {
        if self.failed.is_none() {
            self.failed = parts.iter().try_for_each(|part| self.out.write_all(part)).err();
        }
    }

    /// Whether the archive can be made again by it.
    pub(crate) fn finish(mut self) -> Result<bool> {
        self.end_piece();
        self.flush();
        match self.failed {
            Some(error) => Err(failed(error)),
            None => self.out.finish().map(|_| self.is_whole).map_err(failed),
        }
    }
}

fn failed(error: io::Error) -> Error {
    // A full disk is told as one.
    stream("write a layer's recipe", error)
}

/// The archive's stream, of which all is noted that is no file's data.
pub(crate) struct Recorded {
    pub(crate) chunks: Chunks,
    pub(crate) recipe: Shared,
}

impl Recorded {
    /// Reads to the end; what trails the archive belongs to it.
    pub(crate) fn drain(mut self) {
        while let Ok(length) = self.fill_buf().map(<[u8]>::len) {
            if length == 0 {
                break;
            }
            self.consume(length);
        }
    }
}

impl Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Recorded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.chunks.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        if let Some(recipe) = self.recipe.borrow_mut().as_mut() {
            match &mut recipe.piece {
                Some((_, length)) => *length += n as u64,
                None => recipe.literal(&self.chunks.ahead()[..n]),
            }
        }
        self.chunks.consume(n);
    }
}

/// Makes a layer's archive again, into `out`: `recipe` is what was noted of it, `root` its files.
///
/// # Errors
/// [`Kind::Corrupt`] when the recipe is none, or files are missing or shorter; that they have other bytes only the digest of
/// what is written can tell.
pub fn remake(recipe: &File, root: BorrowedFd<'_>, out: &mut dyn Write) -> Result<()> {
    let lost = lost(recipe)?;
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut source = Source::None;
    let mut buffer = vec![0; 128 << 10];
    let mut steps = Steps::new(recipe)?;
    while let Some(step) = steps.next()? {
        match step {
            Step::Literal(length) => steps.pass(length, out)?,
            Step::Lost(_, length) => steps.pass(length, &mut io::sink())?,
            Step::File(path) => {
                // Only what was replaced is known by how often its name came before.
                let nth = lost.get(&path).map(|_| {
                    let count = seen.entry(path.clone()).or_default();
                    *count += 1;
                    *count - 1
                });
                let before = nth.and_then(|nth| lost.get(&path)?.get(nth)?.as_deref());
                source = match before {
                    Some(bytes) => Source::Lost(bytes),
                    None => Source::Named(path),
                };
            }
            Step::Piece(offset, length) => {
                source = source.opened(root)?;
                source.copy(offset, length, &mut buffer, out)?;
            }
        }
    }
    Ok(())
}

/// Where a file's bytes are.
enum Source<'a> {
    None,
    Lost(&'a [u8]),
    /// Not opened before there is something to read: an empty one may have been replaced.
    Named(Vec<u8>),
    File(File, Vec<u8>),
}

impl Source<'_> {
    fn opened(self, root: BorrowedFd<'_>) -> Result<Self> {
        match self {
            Self::Named(path) => Ok(Self::File(open(root, &path)?, path)),
            other => Ok(other),
        }
    }

    fn copy(&self, offset: u64, length: u64, buffer: &mut [u8], out: &mut dyn Write) -> Result<()> {
        match self {
            Self::None | Self::Named(_) => bad("data of no file"),
            Self::Lost(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX);
                match bytes.get(start..end) {
                    Some(bytes) => out.write_all(bytes).map_err(writing),
                    None => bad("more of a file than there was"),
                }
            }
            Self::File(file, path) => copy(file, path, offset, length, buffer, out),
        }
    }
}

fn copy(
    file: &File,
    path: &[u8],
    mut offset: u64,
    mut left: u64,
    buffer: &mut [u8],
    out: &mut dyn Write,
) -> Result<()> {
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = match file.read_at(&mut buffer[..most], offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(stream("read a layer's file", error)),
            Ok(0) => return corrupt("read", path, "it is shorter than it was"),
            Ok(n) => n,
        };
        out.write_all(&buffer[..n]).map_err(writing)?;
        offset += n as u64;
        left -= n as u64;
    }
    Ok(())
}

/// Below the layer's root, whatever links are on the way.
fn open(root: BorrowedFd<'_>, path: &[u8]) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(root, path, flags, Mode::empty(), resolve);
    file.map(File::from).map_err(|errno| {
        let what = format!("open `{}` of a layer", String::from_utf8_lossy(path).escape_debug());
        Error::new(Kind::Corrupt, what).caused_by(errno)
    })
}

/// By path, for each file that was ever there: what it had, if it was replaced.
type Lost = HashMap<Vec<u8>, Vec<Option<Vec<u8>>>>;

/// What the files that were replaced had, by path, in order; none where the name was another's meanwhile.
fn lost(recipe: &File) -> Result<Lost> {
    let mut lost = Lost::new();
    // How many files of a name there were; names are only kept of those that are replaced, so a first pass finds them.
    let mut names = std::collections::HashSet::new();
    let mut room = LOST_MAX;
    let mut steps = Steps::new(recipe)?;
    while let Some(step) = steps.next()? {
        match step {
            Step::Lost(path, length) => {
                names.insert(path);
                steps.pass(length, &mut io::sink())?;
            }
            Step::Literal(length) => steps.pass(length, &mut io::sink())?,
            _ => {}
        }
    }
    if names.is_empty() {
        return Ok(lost);
    }
    let mut steps = Steps::new(recipe)?;
    while let Some(step) = steps.next()? {
        match step {
            Step::File(path) if names.contains(&path) => lost.entry(path).or_default().push(None),
            Step::Lost(path, length) => {
                room = room
                    .checked_sub(length)
                    .ok_or_else(|| error("more replaced bytes than it has room for"))?;
                let mut bytes = Vec::new();
                steps.pass(length, &mut bytes)?;
                // The last file of the name; a link of that name was no file's data.
                if let Some(last @ None) = lost.get_mut(&path).and_then(|list| list.last_mut()) {
                    *last = Some(bytes);
                }
            }
            Step::Literal(length) => steps.pass(length, &mut io::sink())?,
            _ => {}
        }
    }
    Ok(lost)
}

enum Step {
    Literal(u64),
    File(Vec<u8>),
    Piece(u64, u64),
    Lost(Vec<u8>, u64),
}

/// A recipe, step by step; the bytes of a step are passed on before the next one is read.
struct Steps {
    input: zstd::stream::read::Decoder<'static, BufReader<File>>,
}

impl Steps {
    fn new(recipe: &File) -> Result<Self> {
        let mut file = recipe.try_clone().map_err(reading)?;
        io::Seek::rewind(&mut file).map_err(reading)?;
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(reading)?;
        if magic != *MAGIC {
            return bad("it is none of this version");
        }
        Ok(Self { input: zstd::stream::read::Decoder::new(file).map_err(reading)? })
    }

    fn next(&mut self) -> Result<Option<Step>> {
        let mut tag = [0];
        if self.input.read(&mut tag).map_err(reading)? == 0 {
            return Ok(None);
        }
        Ok(Some(match tag[0] {
            b'L' => Step::Literal(self.short()?.into()),
            b'F' => Step::File(self.path()?),
            b'D' => Step::Piece(self.long()?, self.long()?),
            b'X' => Step::Lost(self.path()?, self.long()?),
            _ => return bad("it has a step that is not known"),
        }))
    }

    fn path(&mut self) -> Result<Vec<u8>> {
        let length = self.short()?;
        if length > PATH_MAX {
            return bad("it has a path that is too long");
        }
        let mut path = vec![0; length as usize];
        self.input.read_exact(&mut path).map_err(reading)?;
        Ok(path)
    }

    fn short(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes).map(|()| u32::from_le_bytes(bytes)).map_err(reading)
    }

    fn long(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes)).map_err(reading)
    }

    fn pass(&mut self, length: u64, out: &mut dyn Write) -> Result<()> {
        let mut out = Marked { out, has_failed: false };
        let passed = io::copy(&mut (&mut self.input).take(length), &mut out);
        match passed {
            Ok(passed) if passed == length => Ok(()),
            Ok(_) => bad("it ends early"),
            Err(error) if out.has_failed => Err(writing(error)),
            Err(error) => Err(reading(error)),
        }
    }
}

/// Tells whose failure it was.
struct Marked<'a> {
    out: &'a mut dyn Write,
    has_failed: bool,
}

impl Write for Marked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).inspect_err(|_| self.has_failed = true)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn reading(error: io::Error) -> Error {
    stream("read a layer's recipe", error)
}

fn writing(error: io::Error) -> Error {
    Error::new(Kind::Io, "write a layer").caused_by(error)
}

fn error(why: &str) -> Error {
    Error::new(Kind::Corrupt, format!("read a layer's recipe: {why}"))
}

fn bad<T>(why: &str) -> Result<T> {
    Err(error(why))
}

/// A regular file that is about to be removed, and those below a directory, noted in the recipe.
pub(crate) fn note_lost(recipe: &Shared, dir: BorrowedFd<'_>, name: &[u8], whole: &[u8]) -> Result<()> {
    if recipe.borrow().is_none() {
        return Ok(());
    }
    let Some(stat) = tree::look(dir, name).map_err(|errno| tree::io("look at a file", errno))? else {
        return Ok(());
    };
    match tree::file_type(&stat) {
        rustix::fs::FileType::RegularFile if stat.st_size > 0 => {
            let file = tree::open_below(dir, name, OFlags::RDONLY)
                .map_err(|errno| tree::io("open a file", errno))?;
            if let Some(recipe) = recipe.borrow_mut().as_mut() {
                recipe.lose(whole, &File::from(file));
            }
            Ok(())
        }
        rustix::fs::FileType::Directory => {
            let inner = tree::open_below(dir, name, OFlags::RDONLY | OFlags::DIRECTORY);
            let inner = inner.map_err(|errno| tree::io("open a directory", errno))?;
            let names = tree::names(&inner, whole)?;
            let below = |name: &Vec<u8>| {
                note_lost(recipe, std::os::fd::AsFd::as_fd(&inner), name, &crate::path::join(whole, name))
            };
            names.iter().try_for_each(below)
        }
        _ => Ok(()),
    }
}
