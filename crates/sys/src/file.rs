//! Files read in whole.

use rustix::fd::AsFd;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::{read, retry_on_intr};

/// The rest of a file, from its position; `size` bytes are what it probably has, and one read more finds the end.
///
/// # Errors
/// Of read(2), but EINTR.
pub fn read_whole(file: impl AsFd, size: usize) -> rustix::io::Result<Vec<u8>> {
    let mut bytes = vec![0; size + 1];
    let mut filled = 0;
    loop {
        match retry_on_intr(|| read(&file, &mut bytes[filled..]))? {
            0 => break bytes.truncate(filled),
            length => filled += length,
        }
        if filled == bytes.len() {
            bytes.resize(filled * 2, 0);
        }
    }
    Ok(bytes)
}

/// A plain file below a root that is not ours, of at most `most` bytes; none where there is none such. Links are followed
/// in the root only, and whatever is no plain file is neither read nor waited for.
///
/// # Errors
/// Of fstat(2) and read(2); that it cannot be opened is none.
pub fn read_below(root: impl AsFd, path: &str, most: u64) -> rustix::io::Result<Option<Vec<u8>>> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = openat2(root, path, flags, Mode::empty(), resolve) else { return Ok(None) };
    let stat = fstat(&file)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    match FileType::from_raw_mode(stat.st_mode).is_file() && size <= most {
        true => read_whole(&file, size as usize).map(Some),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_whatever_its_size_was_thought_to_be() {
        let path = std::env::temp_dir().join(format!("hull-read-whole-{}", std::process::id()));
        let text: Vec<u8> = (0..=255).cycle().take(5000).collect();
        std::fs::write(&path, &text).unwrap();
        for size in [0, 1, 4999, 5000, 5001, 9000] {
            assert_eq!(read_whole(std::fs::File::open(&path).unwrap(), size).unwrap(), text, "{size}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
