//! `hull export`.

use crate::Caller;
use crate::edge::Done;
use crate::flags::{Mistake, Syntax, Typed, value};
use engine::Engine;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open, unlink};
use std::fs::File;
use std::path::Path;

pub(super) const SYNTAX: Syntax = Syntax {
    name: "export",
    rest: "CONTAINER",
    about: "A container's files as a tar stream, without what is mounted in it.",
    flags: &[value("output", "FILE", "Write to a file, not to standard output").or('o')],
    examples: &["hull export NAME | hull import - IMAGE"],
    words: (1, 1),
    stops: false,
};

pub(super) fn export(typed: &Typed, caller: &Caller) -> Done {
    let engine = caller.look()?;
    let name = &typed.words[0];
    match typed.filled("output") {
        Some(path) => to_file(&engine, name, Path::new(path))?,
        None if rustix::termios::isatty(rustix::stdio::stdout()) => {
            let what = "cowardly refusing to save to a terminal. Use the -o flag or redirect";
            return Err(Mistake::new(what).into());
        }
        None => engine.export(name, std::io::stdout())?,
    }
    Ok(0)
}

/// Whole or not at all: it has its name when all is in it.
fn to_file(engine: &Engine, name: &str, path: &Path) -> Result<(), crate::edge::Failure> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !dir.is_dir() {
        let what = format!("invalid output path: directory {:?} does not exist", dir.display().to_string());
        return Err(Mistake::new(what).into());
    }
    match path.metadata() {
        Ok(there) if there.is_dir() => {
            return Err(Mistake::new(format!("`{}` is a directory", path.display())).into());
        }
        // A fifo, a device: written to as it is.
        Ok(there) if !there.is_file() => {
            let file = File::options().write(true).open(path)?;
            return Ok(engine.export(name, file)?);
        }
        _ => {}
    }
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = match open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        // A file system without such.
        Err(_) => return Ok(engine.export(name, File::create(path)?)?),
    };
    engine.export(name, &file)?;
    let magic = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let _ = unlink(path);
    linkat(CWD, magic, CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(std::io::Error::from)?;
    Ok(())
}
