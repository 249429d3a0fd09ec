//! What lies in an archive: documents in memory, layers where they can be read or unpacked already.

use super::intake::Intake;
use super::{from_io, from_layer, source, with_space_hint};
use crate::error::{Error, Kind, Result};
use layer::{Applied, Compression, Decoder};
use oci::Digest;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// Documents are kept in memory, at most so large each; together they share it with the decoders of layers.
const DOCUMENT: u64 = 8 << 20;

/// So many commas in one document: what is made of it takes some hundred bytes for each, at worst.
const VALUES: usize = 100_000;

/// What a member costs beside its name and bytes: entries of tables.
const MEMBER: u64 = 256;

/// All headers of one member, those of extensions included: `tar` reads a long name whole, however long it is.
const HEADERS: u64 = 1 << 20;

/// Enough of a member to tell what it is: a header of tar.
const HEAD: usize = 512;

/// The members of an archive by their names, cleaned.
pub(super) struct Archive<'a> {
    intake: &'a Intake<'a>,
    documents: HashMap<String, Vec<u8>>,
    /// Members too large for a document: no harm until one is needed.
    oversized: HashSet<String>,
    layers: HashMap<String, Member>,
    links: HashMap<String, String>,
    file: Option<File>,
}

/// A member that is no document.
pub(super) enum Member {
    /// Bytes of the archive's file.
    At { offset: u64, size: u64 },
    /// A file of a layout directory.
    File(PathBuf),
    /// Of a stream: what came of it when it passed. It may not have been a layer at all.
    Passed(Box<Result<Applied>>),
}

impl<'a> Archive<'a> {
    fn new(intake: &'a Intake<'a>) -> Self {
        let (documents, oversized, layers, links) = Default::default();
        Self { intake, documents, oversized, layers, links, file: None }
    }

    /// Looks through an archive's file by seeking; a compressed one is a stream.
    pub(super) fn of_file(intake: &'a Intake<'a>, path: &Path, tell: fn(&str)) -> Result<Self> {
        let what = || format!("read `{}`", path.display());
        let mut file = source::open_file(path, tell)?;
        let mut head = [0; HEAD];
        let length = read_head(&mut file, &mut head).map_err(|error| from_io(error, what()))?;
        let seekable = file.seek(SeekFrom::Start(0)).is_ok();
        if !seekable || Compression::detect(&head[..length]) != Compression::None {
            // What was read of a pipe does not come again; of a file nothing has gone.
            let read = if seekable { 0 } else { length };
            return Self::of_stream(intake, head[..read].chain(file), &what());
        }
        let mut archive = Self::new(intake);
        let mut end = 0;
        let (metered, allowance) = Metered::new(BufReader::new(&file));
        let mut tar = tar::Archive::new(metered);
        let mut entries = tar.entries_with_seek().map_err(|error| corrupt(error, what()))?;
        while let Some(entry) = allowance.granted(HEADERS, || entries.next()) {
            let mut entry = entry.map_err(|error| corrupt(cut_short(error), what()))?;
            let at = Member::At { offset: entry.raw_file_position(), size: entry.size() };
            end = entry.raw_file_position().saturating_add(entry.size());
            let at = |_: &mut dyn Read, _: &str| at;
            archive.take(&mut entry, at).map_err(|error| corrupt(error, what()))?;
        }
        // Seeking past the end of a file is no error, see lseek(2).
        let length = file.metadata().map_err(|error| from_io(error, what()))?.len();
        if end > length {
            let cut = format!("the archive is cut short: a member ends at byte {end} of {length}");
            return Err(corrupt(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, cut), what()));
        }
        archive.file = Some(file);
        Ok(archive)
    }

    /// Takes a stream as it comes: whatever looks like a layer is unpacked, since it will not come again.
    pub(super) fn of_stream(intake: &'a Intake<'a>, stream: impl Read, what: &str) -> Result<Self> {
        let decoded = decode(intake, stream, what)?;
        let mut archive = Self::new(intake);
        let (metered, allowance) = Metered::new(decoded);
        let mut tar = tar::Archive::new(metered);
        let mut entries = tar.entries().map_err(|error| corrupt(error, what.to_owned()))?;
        while let Some(entry) = allowance.granted(HEADERS, || entries.next()) {
            let mut entry = entry.map_err(|error| corrupt(cut_short(error), what.to_owned()))?;
            let unpack = |bytes: &mut dyn Read, name: &str| {
                Member::Passed(Box::new(intake.ingest(bytes, &format!("layer `{name}`"))))
            };
            archive
                .take(&mut entry, unpack)
                .and_then(|()| drain(&mut entry))
                .map_err(|error| corrupt(error, what.to_owned()))?;
        }
        // Whoever writes into a pipe is not to be told that it broke, and a compressed stream ends with its sum.
        drain(&mut tar.into_inner()).map_err(|error| corrupt(error, what.to_owned()))?;
        Ok(archive)
    }

    fn take<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        member: impl FnOnce(&mut dyn Read, &str) -> Member,
    ) -> std::io::Result<()> {
        let Some(name) = clean(&entry.path()?) else { return Ok(()) };
        self.charge(name.len() as u64 + MEMBER)?;
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {}
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let hard = entry.header().entry_type() == tar::EntryType::Link;
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                let from = if hard {
                    PathBuf::new()
                } else {
                    Path::new(&name).parent().unwrap_or(Path::new("")).to_owned()
                };
                let target = clean(&from.join(target));
                self.charge(target.as_ref().map_or(0, String::len) as u64)?;
                self.links.extend(target.map(|target| (name, target)));
                return Ok(());
            }
            _ => return Ok(()),
        }
        let mut head = vec![0; HEAD];
        let length = read_head(entry, &mut head)?;
        head.truncate(length);
        if is_layer(&head) {
            let mut whole = std::io::Cursor::new(head).chain(entry);
            let member = member(&mut whole, &name);
            self.layers.insert(name, member);
            return Ok(());
        }
        self.hold(name, head, entry)
    }

    fn hold(&mut self, name: String, mut bytes: Vec<u8>, rest: &mut impl Read) -> std::io::Result<()> {
        rest.take(DOCUMENT).read_to_end(&mut bytes)?;
        let values = bytes.iter().filter(|byte| **byte == b',').count();
        if bytes.len() as u64 > DOCUMENT || values > VALUES {
            self.oversized.insert(name);
            return Ok(());
        }
        bytes.shrink_to_fit(); // most are smaller than the head they were told by
        self.charge(bytes.len() as u64)?;
        self.documents.insert(name, bytes);
        Ok(())
    }

    /// Counts what is held in memory.
    fn charge(&mut self, bytes: u64) -> std::io::Result<()> {
        self.intake
            .memory()
            .keep(bytes, "what is known of the archive's members")
            .map_err(std::io::Error::other)
    }

    /// An OCI layout directory.
    pub(super) fn of_directory(intake: &'a Intake<'a>, path: &Path) -> Result<Self> {
        let mut archive = Self::new(intake);
        let top = ["index.json", "oci-layout", "manifest.json", "repositories"].map(|name| path.join(name));
        let blobs = std::fs::read_dir(path.join("blobs")).into_iter().flatten().flatten();
        let blobs =
            blobs.flat_map(|algorithm| std::fs::read_dir(algorithm.path()).into_iter().flatten().flatten());
        for file in top.into_iter().filter(|file| file.exists()).chain(blobs.map(|blob| blob.path())) {
            let name = file.strip_prefix(path).ok().and_then(clean);
            let read = open_regular(&file)
                .and_then(|opened| archive.take_file(name.unwrap_or_default(), &file, opened));
            read.map_err(|error| from_io(error, format!("read `{}`", file.display())))?;
        }
        Ok(archive)
    }

    fn take_file(&mut self, name: String, path: &Path, mut file: File) -> std::io::Result<()> {
        let mut head = vec![0; HEAD];
        let length = read_head(&mut file, &mut head)?;
        head.truncate(length);
        if is_layer(&head) {
            self.layers.insert(name, Member::File(path.to_owned()));
            return Ok(());
        }
        self.hold(name, head, &mut file)
    }

    /// Was it a stream, whose layers were unpacked before it was known which are wanted?
    pub(super) fn is_stream(&self) -> bool {
        self.layers.values().any(|member| matches!(member, Member::Passed(_)))
    }

    /// A document, if there is one of this name.
    pub(super) fn document(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(self.resolve(name)).map(Vec::as_slice)
    }

    /// A document that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<&[u8]> {
        self.document(name).ok_or_else(|| match self.oversized.contains(self.resolve(name)) {
            true => Error::new(
                Kind::Limit,
                format!("`{name}` is larger than {DOCUMENT} bytes, or has more than {VALUES} values"),
            ),
            false => Error::new(Kind::Corrupt, format!("the archive lacks `{name}`")),
        })
    }

    /// Unpacks a layer, or says what came of it when it passed.
    pub(super) fn layer(&self, name: &str) -> Result<Applied> {
        let what = format!("layer `{}`", self.resolve(name));
        match self.layers.get(self.resolve(name)) {
            Some(Member::Passed(result)) => match &**result {
                Ok(applied) => Ok(applied.clone()),
                Err(error) => Err(self.intake.with_memory_hint(with_space_hint(
                    Error::new(*error.kind(), format!("unpack {what}")).caused_by(crate::error::chain(error)),
                ))),
            },
            _ => self.intake.ingest(self.open(name)?, &what),
        }
    }

    /// Keeps a layer as it came; its digest.
    pub(super) fn keep(&self, name: &str) -> Result<Digest> {
        match self.layers.get(self.resolve(name)) {
            Some(Member::Passed(_)) => self.layer(name).map(|applied| applied.digest),
            _ => self.intake.keep(self.open(name)?, &format!("layer `{}`", self.resolve(name))),
        }
    }

    /// Whether a layer, which must be there, was unpacked when it passed.
    pub(super) fn has_passed(&self, name: &str) -> Result<bool> {
        let own = self.resolve(name);
        match self.layers.get(own) {
            Some(member) => Ok(matches!(member, Member::Passed(_))),
            None if self.document(own).is_some_and(<[u8]>::is_empty) => Ok(false),
            None => Err(lacks_layer(own)),
        }
    }

    /// A layer's bytes as they came; none when it passed, and was no layer.
    pub(super) fn layer_size(&self, name: &str) -> Result<Option<u64>> {
        let own = self.resolve(name);
        match self.layers.get(own) {
            Some(Member::At { size, .. }) => Ok(Some(*size)),
            Some(Member::Passed(done)) => {
                Ok(done.as_ref().as_ref().ok().map(|applied| applied.compressed_size))
            }
            Some(Member::File(path)) => std::fs::metadata(path)
                .map(|file| Some(file.len()))
                .map_err(|error| from_io(error, format!("look at layer `{own}`"))),
            None => self.has_passed(own).map(|_| Some(0)),
        }
    }

    /// A layer's bytes, of what did not pass.
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        let name = self.resolve(name);
        match (self.layers.get(name), &self.file) {
            (Some(Member::At { offset, size }), Some(file)) => {
                Ok(Box::new(Section { file, offset: *offset, left: *size }))
            }
            (Some(Member::File(path)), _) => {
                let file =
                    open_regular(path).map_err(|error| from_io(error, format!("open layer `{name}`")))?;
                Ok(Box::new(file))
            }
            // docker takes a layer of no bytes at all for an empty one (moby issue 18170).
            _ if self.document(name).is_some_and(<[u8]>::is_empty) => Ok(Box::new(std::io::empty())),
            _ => Err(lacks_layer(name)),
        }
    }

    /// Old archives name the same layer twice by links.
    fn resolve<'n>(&'n self, name: &'n str) -> &'n str {
        let mut name = name.trim_start_matches("./");
        for _ in 0..8 {
            let Some(target) = self.links.get(name) else { break };
            name = target;
        }
        name
    }
}

fn lacks_layer(name: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the archive lacks layer `{name}`"))
}

/// A file of a layout, which others may have made: a fifo would be waited for, a device never ends.
fn open_regular(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no regular file")),
    }
}

/// Some bytes of a file, read at their place: several readers at once do not disturb each other.
struct Section<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.file.read_at(&mut buffer[..most], self.offset)?;
        if length == 0 && most > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}

/// A reader of which no more can be read than is allowed at the moment.
struct Metered<R> {
    input: R,
    allowance: Allowance,
}

/// How much may be read, seen from outside the reader.
#[derive(Clone)]
struct Allowance(Rc<Cell<u64>>);

impl<R> Metered<R> {
    fn new(input: R) -> (Self, Allowance) {
        let allowance = Allowance(Rc::new(Cell::new(u64::MAX)));
        (Self { input, allowance: allowance.clone() }, allowance)
    }
}

impl Allowance {
    /// Does something that may read so many bytes; afterwards there is no bound again.
    fn granted<T>(&self, bytes: u64, read: impl FnOnce() -> T) -> T {
        self.0.set(bytes);
        let done = read();
        self.0.set(u64::MAX);
        done
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.allowance.0.get();
        if left == 0 {
            return Err(too_large(format!("the headers of a member are longer than {HEADERS} bytes")));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.input.read(&mut buffer[..most])?;
        self.allowance.0.set(left - length as u64);
        Ok(length)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.input.seek(to)
    }
}

/// The tar crate's words for what becomes of any file that is no archive, in ours.
fn cut_short(error: std::io::Error) -> std::io::Error {
    let told = error.to_string();
    let what = match () {
        () if told == "failed to read entire block" => "it is no tar archive, or one that is cut short",
        () if told.starts_with("numeric field was not a number") => "it is no tar archive, or a damaged one",
        () => return error,
    };
    std::io::Error::new(error.kind(), what)
}

fn drain(input: &mut impl Read) -> std::io::Result<()> {
    std::io::copy(input, &mut std::io::sink()).map(drop)
}

fn too_large(what: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::FileTooLarge, what)
}

/// Inflates a stream by what it begins with.
fn decode<'a>(intake: &Intake<'_>, mut stream: impl Read + 'a, what: &str) -> Result<impl Read + 'a> {
    let mut head = vec![0; Compression::HEAD];
    let length = read_head(&mut stream, &mut head).map_err(|error| corrupt(error, what.to_owned()))?;
    head.truncate(length);
    let came = Rc::new(Cell::new(0));
    let whole = Counted { input: std::io::Cursor::new(head.clone()).chain(stream), count: came.clone() };
    let buffered = BufReader::with_capacity(256 << 10, whole);
    let decoder = Decoder::for_good(buffered, &head, intake.memory())
        .map_err(|error| intake.with_memory_hint(from_layer(error, what.to_owned())))?;
    Ok(Swelling { input: decoder, came, out: 0, limits: intake.limits().clone() })
}

/// A reader that says how much was read.
struct Counted<R> {
    input: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.count.set(self.count.get() + length as u64);
        Ok(length)
    }
}

/// What is inflated, within the bounds of a layer: what is in no layer costs as much time.
struct Swelling<R> {
    input: R,
    came: Rc<Cell<u64>>,
    out: u64,
    limits: layer::Limits,
}

impl<R: Read> Read for Swelling<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.out += length as u64;
        let layer::Limits { ratio, ratio_from, .. } = self.limits;
        if self.out > ratio_from && self.out / self.came.get().max(1) > ratio {
            return Err(too_large(format!(
                "more than the limit of {ratio} bytes for each that came (ratio)"
            )));
        }
        Ok(length)
    }
}

fn read_head(input: &mut impl Read, head: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < head.len() {
        match input.read(&mut head[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

/// Compressed, or a header of tar by its sum; an empty layer is nothing but zeros.
fn is_layer(head: &[u8]) -> bool {
    if Compression::detect(head) != Compression::None {
        return true;
    }
    let Ok(header) = <&[u8; HEAD]>::try_from(head) else { return false };
    let counted = || header[..148].iter().chain(&[b' '; 8]).chain(&header[156..]);
    // Some old writers summed signed bytes.
    let sums: [i32; 2] =
        [counted().map(|&b| i32::from(b)).sum(), counted().map(|&b| i32::from(b as i8)).sum()];
    let field = String::from_utf8_lossy(&header[148..156]);
    let stated = i32::from_str_radix(field.trim_matches(['\0', ' ']), 8).ok();
    stated.is_some_and(|stated| sums.contains(&stated)) || header.iter().all(|byte| *byte == 0)
}

/// A member's name without `.` and leading slashes; none for one with `..`.
fn clean(path: &Path) -> Option<String> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop().then_some(())?;
            }
            _ => {}
        }
    }
    clean.into_os_string().into_string().ok()
}

fn corrupt(error: std::io::Error, what: String) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<layer::Error>());
    match (error.raw_os_error(), inner.map(layer::Error::kind)) {
        (Some(_), _) => from_io(error, what),
        (None, Some(layer::Kind::Memory)) => Error::new(Kind::Memory, what).caused_by(error),
        (None, _) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Error::new(Kind::Limit, what).caused_by(error)
        }
        (None, _) => Error::new(Kind::Corrupt, what).caused_by(error),
    }
}
