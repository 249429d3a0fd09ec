//! Names of units: `slice:prefix:name` in `cgroupsPath`, as runc and crun read it.

use crate::{Error, Kind, Result};
use std::path::PathBuf;

/// A transient unit that holds a container's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The slice it lies in, e.g. `system.slice` or `machine-a.slice`.
    pub slice: String,
    /// Its name, e.g. `hull-4f3c.scope`.
    pub name: String,
}

impl Unit {
    /// `slice:prefix:name`. An empty slice is `default`; an empty prefix leaves the name alone.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for another form, and for slices that systemd cannot have.
    pub fn parse(path: &str, default: &str) -> Result<Self> {
        let invalid = |why: &str| Error::new(Kind::Invalid, format!("cgroupsPath `{path}`: {why}"));
        let parts: Vec<_> = path.split(':').collect();
        let [slice, prefix, name] = parts[..] else {
            return Err(invalid("with systemd it must be of the form `slice:prefix:name`"));
        };
        if name.is_empty() || path.contains('/') {
            return Err(invalid("not the name of a unit"));
        }
        let slice = if slice.is_empty() { default } else { slice };
        expand(slice)?;
        if name.ends_with(".slice") {
            return Err(invalid("a slice holds no processes"));
        }
        let unit = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        Ok(Self { slice: slice.to_owned(), name: unit })
    }

    /// Its path below the manager's own group.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a slice that systemd cannot have.
    pub fn path(&self) -> Result<PathBuf> {
        Ok(expand(&self.slice)?.join(&self.name))
    }
}

/// `a-b.slice` lies in `a.slice`, see systemd.slice(5): the path is `a.slice/a-b.slice`. `-.slice` is the root.
pub fn expand(slice: &str) -> Result<PathBuf> {
    let invalid = || Error::new(Kind::Invalid, format!("`{slice}` is no name of a slice"));
    let stem = slice.strip_suffix(".slice").filter(|stem| !stem.is_empty() && !stem.contains('/'));
    let stem = stem.ok_or_else(invalid)?;
    if stem == "-" {
        return Ok(PathBuf::new());
    }
    if stem.split('-').any(str::is_empty) {
        return Err(invalid());
    }
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    Ok(ends.map(|end| format!("{}.slice", &stem[..end])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn slices_lie_in_slices() {
        assert_eq!(expand("test-a-b.slice").unwrap(), Path::new("test.slice/test-a.slice/test-a-b.slice"));
        assert_eq!(expand("-.slice").unwrap(), Path::new(""));
        for slice in ["", ".slice", "a", "a--b.slice", "-a.slice", "a-.slice", "x/a.slice", "a.slice/"] {
            assert!(expand(slice).is_err(), "{slice}");
        }
    }

    #[test]
    fn a_path_names_a_unit() {
        let unit = |path| Unit::parse(path, "system.slice").map(|unit| (unit.slice, unit.name)).ok();
        let is = |slice: &str, name: &str| Some((slice.to_owned(), name.to_owned()));
        assert_eq!(unit("machine.slice:libpod:4f"), is("machine.slice", "libpod-4f.scope"));
        assert_eq!(unit(":runc:4f"), is("system.slice", "runc-4f.scope"));
        assert_eq!(unit("a-b.slice::4f"), is("a-b.slice", "4f.scope"));
        for path in
            ["/a/b", "a:b", "a.slice:b:", "a:b:c", "a.slice:b:c/d", "a.slice:b:c:d", "a.slice::b.slice"]
        {
            assert_eq!(unit(path), None, "{path}");
        }
    }

    #[test]
    fn a_unit_has_a_path() {
        let unit = Unit::parse("a-b.slice:x:4f", "").unwrap();
        assert_eq!(unit.path().unwrap(), Path::new("a.slice/a-b.slice/x-4f.scope"));
    }
}
