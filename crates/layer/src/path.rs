//! Paths inside a layer: bytes, relative, without `.`, `..` or doubled slashes. The root is empty.

/// Writes `path` into `clean` lexically, as docker and containerd do: `..` never leads above the root.
pub(crate) fn clean(path: &[u8], clean: &mut Vec<u8>) {
    clean.clear();
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => clean.truncate(split(clean).0.len()),
            name => push(clean, name),
        }
    }
}

/// Appends a component.
pub(crate) fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// The parent directory and the last component.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.iter().rposition(|&b| b == b'/').map_or((b"", path), |at| (&path[..at], &path[at + 1..]))
}

/// `dir/name`, or `name` in the root.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(dir.len() + 1 + name.len());
    path.extend_from_slice(dir);
    push(&mut path, name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_above_the_root() {
        let mut out = Vec::new();
        for (path, is) in [
            ("./a//b/", "a/b"),
            ("/etc/passwd", "etc/passwd"),
            ("../../etc", "etc"),
            ("a/../../b/./c", "b/c"),
            (".", ""),
            ("/", ""),
            ("a/..", ""),
        ] {
            clean(path.as_bytes(), &mut out);
            assert_eq!(out, is.as_bytes(), "{path}");
        }
    }
}
