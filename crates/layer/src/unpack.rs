//! The second half of the pipe: members onto the disk.

use crate::Limits;
use crate::attributes::{self, Maker};
use crate::error::{At, Result, corrupt, limit};
use crate::feed::Chunks;
use crate::memory::Share;
use crate::path;
use crate::recipe::{self, Recipe, Recorded};
use crate::tar::member::Meta;
use crate::tar::{Member, Reader, Type};
use crate::tree::{self, Absent, Dir, Tree};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, XattrFlags};
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// The prefix of a whiteout, image-spec layer.md "Whiteouts".
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// aufs's own files; none is data, and of them the specification keeps only [`OPAQUE`].
const AUFS: &[u8] = b".wh..wh.";
/// Marks its directory opaque, image-spec layer.md "Opaque Whiteout".
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry of a table costs beside its bytes: a directory's attributes, the table's own nodes half full, and
/// the allocator's rounding.
const ENTRY: usize = 256;

const EPOCH: rustix::fs::Timespec = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };

/// What unpacking counted.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) entries: u64,
    pub(crate) file_bytes: u64,
    pub(crate) left_out: u64,
    pub(crate) blocks: BTreeSet<u16>,
    pub(crate) implied: Vec<Vec<u8>>,
    pub(crate) links: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) can_be_remade: bool,
}

/// Unpacks the whole stream below `root`, an empty directory.
pub(crate) fn unpack(
    chunks: Chunks,
    root: OwnedFd,
    limits: &Limits,
    recipe: Option<OwnedFd>,
) -> Result<Unpacked> {
    sys::umask::own_zero_umask().map_err(|errno| tree::io("make a umask of this thread's own", errno))?;
    let recipe = Rc::new(RefCell::new(recipe.map(Recipe::new).transpose()?));
    let mut unpack = Unpack::new(root, limits, recipe.clone())?;
    let mut reader = Reader::new(Recorded { chunks, recipe: recipe.clone() }, limits);
    let mut member = Member::default();
    while reader.next(&mut member)? {
        unpack.note_owners(&member.meta);
        unpack.left_out += attributes::leave_out_overlays(&mut member.meta);
        unpack.place(&member, &mut reader)?;
    }
    sys::step!("layer.unpack.entries");
    reader.into_inner().drain();
    let unpacked = unpack.finish()?;
    let can_be_remade = recipe.take().map(Recipe::finish).transpose()?;
    Ok(Unpacked { can_be_remade: can_be_remade.unwrap_or(false), ..unpacked })
}

struct Unpack<'a> {
    /// Memory for what is remembered.
    share: Share,
    tree: Tree<'a>,
    limits: &'a Limits,
    maker: Maker,
    path: Vec<u8>,
    /// Attributes of directories, set last: children change a directory's times, inherit its set-group-id
    /// bit and default ACL. The key is the path.
    dirs: BTreeMap<Vec<u8>, Pending>,
    /// Names that had a whiteout while something other than a directory was there.
    hidden: BTreeSet<Vec<u8>>,
    /// Hard links to what only lower layers have, and their targets.
    links: BTreeMap<Vec<u8>, Vec<u8>>,
    entries: u64,
    file_bytes: u64,
    logical_bytes: u64,
    /// Attributes.
    left_out: u64,
    /// In which 65,536 ids, beyond the first, owners are.
    blocks: BTreeSet<u16>,
    recipe: recipe::Shared,
}

struct Pending {
    meta: Meta,
    is_implied: bool,
}

type Data<'r, 'a> = &'r mut Reader<'a, Recorded>;

impl<'a> Unpack<'a> {
    fn new(root: OwnedFd, limits: &'a Limits, recipe: recipe::Shared) -> Result<Self> {
        let mut this = Self {
            share: limits.memory.take(0, "nothing")?,
            tree: Tree::new(root, limits),
            limits,
            maker: Maker::current(),
            path: Vec::new(),
            dirs: BTreeMap::new(),
            hidden: BTreeSet::new(),
            links: BTreeMap::new(),
            entries: 0,
            file_bytes: 0,
            logical_bytes: 0,
            left_out: 0,
            blocks: BTreeSet::new(),
            recipe,
        };
        this.dirs.insert(Vec::new(), implied());
        Ok(this)
    }

    fn note_owners(&mut self, meta: &Meta) {
        let blocks = [meta.uid, meta.gid].map(|id| (id >> 16) as u16);
        self.blocks.extend(blocks.into_iter().filter(|block| *block > 0));
    }

    fn place(&mut self, member: &Member, data: Data<'_, '_>) -> Result<()> {
        let mut whole = std::mem::take(&mut self.path);
        path::clean(&member.path, &mut whole);
        self.entries += 1;
        let placed = self.place_at(&whole, member, data);
        self.path = whole;
        placed
    }

    fn place_at(&mut self, whole: &[u8], member: &Member, data: Data<'_, '_>) -> Result<()> {
        attributes::check_xattrs(&member.meta, whole)?;
        let (parent, name) = path::split(whole);
        if whole.split(|&b| b == b'/').any(|name| name.starts_with(WHITEOUT)) {
            return self.whiteout(whole, parent, name);
        }
        if whole.is_empty() && member.kind != Type::Directory {
            return corrupt("unpack", whole, "the root is not a directory");
        }
        self.links.remove(whole);
        match member.kind {
            Type::Directory => self.directory(whole, parent, name, member),
            Type::File => self.file(whole, parent, name, member, data),
            Type::HardLink => self.hard_link(whole, parent, name, &member.link),
            _ => self.node(whole, parent, name, member),
        }
    }

    /// The directory `parent`, made if need be.
    fn parent(&mut self, parent: &[u8]) -> Result<Dir> {
        let dir = self.tree.enter(parent, Absent::Make)?;
        while let Some(made) = self.tree.made.pop() {
            self.remember(made, implied())?;
        }
        match dir {
            Some(dir) => Ok(dir),
            None => corrupt("enter", parent, "it does not exist"),
        }
    }

    fn remember(&mut self, dir: Vec<u8>, pending: Pending) -> Result<()> {
        let xattrs = pending.meta.xattrs.iter().map(|(name, value)| name.len() + value.len() + ENTRY);
        self.share
            .grow((ENTRY + dir.len() + xattrs.sum::<usize>()) as u64, "what is known of directories")?;
        self.dirs.insert(dir, pending);
        let count = self.dirs.len() as u64;
        if count > self.limits.directories {
            limit("directories", self.limits.directories, b"")
        } else {
            Ok(())
        }
    }

    fn directory(&mut self, whole: &[u8], parent: &[u8], name: &[u8], member: &Member) -> Result<()> {
        if !whole.is_empty() {
            let dir = self.parent(parent)?;
            self.make_directory(&dir, name, whole)?;
        }
        self.remember(whole.to_vec(), Pending { meta: member.meta.clone(), is_implied: false })
    }

    fn make_directory(&mut self, dir: &Dir, name: &[u8], whole: &[u8]) -> Result<()> {
        // The mode waits for the end, like all attributes: nothing is to be inherited meanwhile.
        let make = || rustix::fs::mkdirat(dir, name, Mode::from(0o755));
        let Err(errno) = make() else { return Ok(()) };
        let there = tree::look(dir, name).at("look at", whole)?;
        match there {
            Some(stat) if tree::file_type(&stat) == FileType::Directory => Ok(()),
            Some(stat) => {
                let hides = tree::is_whiteout(&stat) || self.hidden.contains(whole);
                self.remove(dir, name, whole)?;
                make().at("make directory", whole)?;
                if hides { tree::set_opaque(dir, name, whole) } else { Ok(()) }
            }
            None => Err(errno).at("make directory", whole),
        }
    }

    fn file(
        &mut self,
        whole: &[u8],
        parent: &[u8],
        name: &[u8],
        member: &Member,
        data: Data<'_, '_>,
    ) -> Result<()> {
        self.logical_bytes = self.logical_bytes.saturating_add(member.size);
        if self.logical_bytes > self.limits.total_bytes {
            return limit("bytes in total", self.limits.total_bytes, whole);
        }
        let dir = self.parent(parent)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Maker::first_mode(&member.meta);
        let fd = self.replace(&dir, name, whole, || rustix::fs::openat(&*dir, name, flags, mode))?;
        self.note(|recipe| recipe.file(whole));
        self.write(&fd, member, data, whole)?;
        self.note(Recipe::end_piece);
        self.file_bytes += member.stored;
        self.maker.finish_file(&fd, &member.meta, whole)
    }

    /// Links to what this layer has at `target`, symbolic links themselves included. One whose target only a
    /// lower layer can have is noted: this layer's content must not depend on what it lies on.
    fn hard_link(&mut self, whole: &[u8], parent: &[u8], name: &[u8], target: &[u8]) -> Result<()> {
        let mut clean = Vec::new();
        path::clean(target, &mut clean);
        if clean == whole {
            return corrupt("link", whole, "a hard link to itself");
        }
        let (from_parent, from_name) = path::split(&clean);
        let from = self.tree.enter(from_parent, Absent::Leave)?;
        let Some((from, stat)) = found(from, from_name, &clean)? else {
            return self.note_link(whole, parent, name, clean);
        };
        if tree::file_type(&stat) == FileType::Directory {
            return corrupt("link", whole, "its target is a directory");
        }
        let dir = self.parent(parent)?;
        self.replace(&dir, name, whole, || {
            rustix::fs::linkat(&*from, from_name, &*dir, name, AtFlags::empty())
        })
    }

    /// What an earlier member put there goes.
    fn note_link(&mut self, whole: &[u8], parent: &[u8], name: &[u8], target: Vec<u8>) -> Result<()> {
        let dir = self.parent(parent)?;
        if tree::look(&*dir, name).at("look at", whole)?.is_some_and(|stat| !tree::is_whiteout(&stat)) {
            self.remove(&dir, name, whole)?;
            self.forget(whole);
        }
        // A link to such a link is one to the same file.
        let target = self.links.get(&target).cloned().unwrap_or(target);
        self.share.grow((2 * ENTRY + whole.len() + target.len()) as u64, "what is known of links")?;
        self.links.insert(whole.to_vec(), target);
        Ok(())
    }

    fn node(&mut self, whole: &[u8], parent: &[u8], name: &[u8], member: &Member) -> Result<()> {
        let dir = self.parent(parent)?;
        self.replace(&dir, name, whole, || make_node(&dir, name, member))?;
        let is_link = member.kind == Type::Symlink;
        self.maker.finish_node(&*dir, name, &member.meta, whole, is_link)
    }

    /// Removes what an earlier member put there; its bytes are still the archive's.
    fn remove(&self, dir: &Dir, name: &[u8], whole: &[u8]) -> Result<()> {
        recipe::note_lost(&self.recipe, dir.as_fd(), name, whole)?;
        tree::remove(&**dir, name, whole)
    }

    fn note(&self, note: impl FnOnce(&mut Recipe)) {
        if let Some(recipe) = self.recipe.borrow_mut().as_mut() {
            note(recipe);
        }
    }

    fn write(&self, fd: &OwnedFd, member: &Member, data: Data<'_, '_>, whole: &[u8]) -> Result<()> {
        let Some(map) = &member.sparse else {
            self.note(|recipe| recipe.piece(0));
            return copy(fd, member.stored, data, whole);
        };
        for segment in map {
            rustix::fs::seek(fd, SeekFrom::Start(segment.offset)).at("seek in", whole)?;
            self.note(|recipe| recipe.piece(segment.offset));
            copy(fd, segment.len, data, whole)?;
        }
        rustix::fs::ftruncate(fd, member.size).at("set length of", whole)
    }

    /// Makes something new at a name; what an earlier member put there goes.
    fn replace<T>(
        &mut self,
        dir: &Dir,
        name: &[u8],
        whole: &[u8],
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.remove(dir, name, whole)?;
                self.forget(whole);
                make().at("make", whole)
            }
            made => made.at("make", whole),
        }
    }

    /// A directory may have gone: its descriptors and attributes, and those of all below it, go too.
    fn forget(&mut self, whole: &[u8]) {
        if self.dirs.contains_key(whole) {
            // `0` is the byte after `/`.
            let (from, to) = ([whole, b"/"].concat(), [whole, b"0"].concat());
            let below: Vec<_> = self.dirs.range(from..to).map(|(path, _)| path.clone()).collect();
            below.iter().for_each(|path| drop(self.dirs.remove(path)));
            self.dirs.remove(whole);
        }
        self.tree.forget();
    }

    fn whiteout(&mut self, whole: &[u8], parent: &[u8], name: &[u8]) -> Result<()> {
        if name == OPAQUE && !has_whiteout(parent) {
            return self.opaque(parent);
        }
        if whole.split(|&b| b == b'/').any(|name| name.starts_with(AUFS)) {
            return Ok(());
        }
        let hides = &name[WHITEOUT.len().min(name.len())..];
        if has_whiteout(parent) || matches!(hides, b"" | b"." | b"..") {
            return corrupt("unpack", whole, "not the name of a whiteout");
        }
        self.hide(parent, hides)
    }

    fn opaque(&mut self, dir: &[u8]) -> Result<()> {
        self.parent(dir)?;
        // Reopened for reading: xattrs cannot be set by an O_PATH descriptor.
        let dir_fd = self.parent(dir)?;
        let fd =
            tree::open_below(&*dir_fd, b".", OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", dir)?;
        rustix::fs::fsetxattr(&fd, tree::OPAQUE, b"y", XattrFlags::empty()).at("make opaque", dir)
    }

    /// Whiteouts act on lower layers only, whatever their place among the members (image-spec layer.md):
    /// what this layer itself has of that name stays.
    fn hide(&mut self, parent: &[u8], name: &[u8]) -> Result<()> {
        let whole = path::join(parent, name);
        let dir = self.parent(parent)?;
        match tree::look(&*dir, name).at("look at", &whole)? {
            None => make_whiteout(&dir, name, parent, &whole),
            Some(stat) if tree::file_type(&stat) == FileType::Directory => {
                tree::set_opaque(&*dir, name, &whole)
            }
            Some(_) => {
                self.share.grow((ENTRY + whole.len()) as u64, "what is known of whiteouts")?;
                self.hidden.insert(whole);
                Ok(())
            }
        }
    }

    fn finish(mut self) -> Result<Unpacked> {
        let dirs = std::mem::take(&mut self.dirs);
        let mut implied = Vec::new();
        for (whole, pending) in dirs {
            // One that was reached through a link that has gone is nobody's any more.
            let Some(dir) = self.tree.enter(&whole, Absent::Leave)? else { continue };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let fd = tree::open_below(&*dir, b".", flags).at("open directory", &whole)?;
            attributes::finish_dir(&fd, &pending.meta, &whole)?;
            if pending.is_implied {
                implied.push(whole);
            }
        }
        let links = self.links.into_iter().collect();
        let (entries, file_bytes, left_out, blocks) =
            (self.entries, self.file_bytes, self.left_out, self.blocks);
        Ok(Unpacked { entries, file_bytes, left_out, blocks, implied, links, can_be_remade: false })
    }
}

/// The same on every host and at any time: root's, 0755, of 1970.
fn implied() -> Pending {
    Pending { meta: Meta { mode: 0o755, ..Meta::default() }, is_implied: true }
}

fn has_whiteout(path: &[u8]) -> bool {
    path.split(|&b| b == b'/').any(|name| name.starts_with(WHITEOUT))
}

fn found(dir: Option<Dir>, name: &[u8], whole: &[u8]) -> Result<Option<(Dir, rustix::fs::Stat)>> {
    let Some(dir) = dir.filter(|_| !name.is_empty()) else { return Ok(None) };
    let stat = tree::look(&*dir, name).at("look at", whole)?;
    Ok(stat.filter(|stat| !tree::is_whiteout(stat)).map(|stat| (dir, stat)))
}

fn make_node(dir: &Dir, name: &[u8], member: &Member) -> rustix::io::Result<()> {
    let kind = match member.kind {
        Type::Symlink => return rustix::fs::symlinkat(member.link.as_slice(), &**dir, name),
        Type::CharDevice => FileType::CharacterDevice,
        Type::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let device = rustix::fs::makedev(member.device.0, member.device.1);
    rustix::fs::mknodat(&**dir, name, kind, Maker::first_mode(&member.meta), device)
}

/// The directory gets an empty `trusted.overlay.origin` too: without it, overlayfs takes a directory that
/// only one layer has for one without whiteouts, and lists them (ovl_get_inode, OVL_WHITEOUTS). Empty
/// means "origin unknown" (ovl_get_fh), so that it says nothing else.
fn make_whiteout(dir: &Dir, name: &[u8], parent: &[u8], whole: &[u8]) -> Result<()> {
    rustix::fs::mknodat(&**dir, name, FileType::CharacterDevice, Mode::empty(), 0)
        .at("make whiteout", whole)?;
    let epoch = rustix::fs::Timestamps { last_access: EPOCH, last_modification: EPOCH };
    rustix::fs::utimensat(&**dir, name, &epoch, AtFlags::SYMLINK_NOFOLLOW).at("set times of", whole)?;
    let fd =
        tree::open_below(&**dir, b".", OFlags::RDONLY | OFlags::DIRECTORY).at("open directory", parent)?;
    rustix::fs::fsetxattr(&fd, "trusted.overlay.origin", b"", XattrFlags::empty()).at("mark", parent)
}

fn copy(fd: &OwnedFd, mut len: u64, data: Data<'_, '_>, whole: &[u8]) -> Result<()> {
    while len > 0 {
        let piece = data.data()?;
        let piece = &piece[..piece.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
        let n = match rustix::io::write(fd, piece) {
            Err(Errno::INTR) => continue,
            written => written.at("write", whole)?,
        };
        data.consume(n);
        len -= n as u64;
    }
    Ok(())
}
