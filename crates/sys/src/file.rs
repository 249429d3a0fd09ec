//! Files read in whole.

use rustix::fd::AsFd;
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
