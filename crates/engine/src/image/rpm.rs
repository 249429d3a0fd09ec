//! rpm's database as a SQLite file, read as far as it takes to list packages.
//!
//! sqlite.org/fileformat2.html: pages of B-trees; the table `Packages(hnum INTEGER PRIMARY KEY, blob BLOB)`, whose blobs are rpm headers
//! (rpm.org "RPM package file structure", header): an index of tags and the data they point into. Whatever does not add up ends
//! the reading: a stranger wrote it.

use std::collections::BTreeMap;

/// RPMTAG_NAME, VERSION, RELEASE, EPOCH, ARCH.
const TAGS: [u32; 5] = [1000, 1001, 1002, 1003, 1022];
/// B-trees are no deeper.
const DEPTH: usize = 20;

/// The packages with their versions; none where it is no database of rpm's.
pub(super) fn packages(file: &[u8]) -> Option<BTreeMap<String, String>> {
    let pages = Pages::of(file)?;
    let mut root = None;
    pages.walk(1, DEPTH, &mut |row| {
        let record = record(row)?;
        // type, name, tbl_name, rootpage, sql
        if record.get(1).is_some_and(|name| *name == b"Packages")
            && record.first().is_some_and(|kind| *kind == b"table")
        {
            root = record.get(3).map(|page| number(page));
        }
        Some(())
    })?;
    let mut packages = BTreeMap::new();
    pages.walk(u32::try_from(root?).ok()?, DEPTH, &mut |row| {
        let record = record(row)?;
        let (name, version) = header(record.get(1)?)?;
        // Keys of signers are kept as packages of that name.
        if !name.starts_with("rpm gpg-pubkey") {
            packages.insert(name, version);
        }
        Some(())
    })?;
    Some(packages)
}

struct Pages<'a> {
    file: &'a [u8],
    size: usize,
    /// Bytes of a page that belong to it.
    usable: usize,
}

impl<'a> Pages<'a> {
    fn of(file: &'a [u8]) -> Option<Self> {
        if !file.starts_with(b"SQLite format 3\0") {
            return None;
        }
        let size = match u16::from_be_bytes(file.get(16..18)?.try_into().ok()?) {
            1 => 65536,
            size => usize::from(size),
        };
        let usable = size.checked_sub(usize::from(*file.get(20)?))?;
        (size >= 512 && usable >= 480).then_some(Self { file, size, usable })
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        let start = (number as usize).checked_sub(1)?.checked_mul(self.size)?;
        self.file.get(start..start.checked_add(self.size)?)
    }

    /// Each row of a table's B-tree.
    fn walk(&self, number: u32, depth: usize, each: &mut dyn FnMut(&[u8]) -> Option<()>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let page = self.page(number)?;
        let head = if number == 1 { 100 } else { 0 };
        let kind = *page.get(head)?;
        let cells = usize::from(be16(page, head + 3)?);
        let pointers = head + if kind == 5 { 12 } else { 8 };
        for cell in 0..cells {
            let at = usize::from(be16(page, pointers + 2 * cell)?);
            match kind {
                5 => self.walk(be32(page, at)?, depth, each)?,
                13 => each(&self.row(page, at)?)?,
                _ => return None,
            }
        }
        if kind == 5 { self.walk(be32(page, head + 8)?, depth, each) } else { Some(()) }
    }

    /// A leaf's cell: what does not fit is on a chain of other pages.
    fn row(&self, page: &[u8], at: usize) -> Option<Vec<u8>> {
        let (length, at) = varint(page, at)?;
        let (_, at) = varint(page, at)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.file.len())?;
        let most = self.usable - 35;
        if length <= most {
            return Some(page.get(at..at + length)?.to_vec());
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let rest = least + (length - least) % (self.usable - 4);
        let here = if rest <= most { rest } else { least };
        let mut row = page.get(at..at + here)?.to_vec();
        let mut next = be32(page, at + here)?;
        while row.len() < length {
            let page = self.page(next)?;
            let more = (length - row.len()).min(self.usable - 4);
            row.extend_from_slice(page.get(4..4 + more)?);
            next = be32(page, 0)?;
        }
        Some(row)
    }
}

/// The columns of a row, as bytes.
fn record(row: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, mut at) = varint(row, 0)?;
    let head = usize::try_from(head).ok()?;
    let mut data = head;
    let mut columns = Vec::new();
    while at < head {
        let (kind, next) = varint(row, at)?;
        at = next;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        columns.push(row.get(data..data.checked_add(length)?)?);
        data += length;
    }
    Some(columns)
}

/// Name and version of an rpm header.
fn header(blob: &[u8]) -> Option<(String, String)> {
    let (entries, length) = (be32(blob, 0)? as usize, be32(blob, 4)? as usize);
    let data = blob.get(8 + entries.checked_mul(16)?..)?;
    let data = data.get(..length.min(data.len()))?;
    let mut found: [Option<String>; 5] = Default::default();
    for entry in 0..entries {
        let at = 8 + 16 * entry;
        let (tag, kind, offset) = (be32(blob, at)?, be32(blob, at + 4)?, be32(blob, at + 8)? as usize);
        let Some(place) = TAGS.iter().position(|wanted| *wanted == tag) else { continue };
        found[place] = match kind {
            4 => Some(be32(data, offset)?.to_string()),
            6 => {
                let text = data.get(offset..)?;
                let end = text.iter().position(|byte| *byte == 0)?;
                Some(String::from_utf8_lossy(&text[..end]).into_owned())
            }
            _ => None,
        };
    }
    let [name, version, release, epoch, arch] = found;
    let epoch = epoch.map_or_else(String::new, |epoch| format!("{epoch}:"));
    let arch = arch.map_or_else(String::new, |arch| format!(".{arch}"));
    Some((format!("rpm {}{arch}", name?), format!("{epoch}{}-{}", version?, release?)))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// One to nine bytes; where it ends.
fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for count in 0..9 {
        let byte = *bytes.get(at)?;
        at += 1;
        if count == 8 {
            return Some((value << 8 | u64::from(byte), at));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rpm_header(name: &str, version: &str) -> Vec<u8> {
        let data = format!("{name}\0{version}\x001.fc\0x86_64\0");
        let offsets = [0, name.len() + 1, name.len() + version.len() + 2, name.len() + version.len() + 7];
        let mut blob = Vec::new();
        blob.extend(4_u32.to_be_bytes());
        blob.extend((data.len() as u32).to_be_bytes());
        for (tag, offset) in [1000_u32, 1001, 1002, 1022].iter().zip(offsets) {
            [*tag, 6, offset as u32, 1].iter().for_each(|number| blob.extend(number.to_be_bytes()));
        }
        blob.extend(data.as_bytes());
        blob
    }

    #[test]
    fn a_header_gives_name_and_version() {
        let told = header(&rpm_header("bash", "5.2")).unwrap();
        assert_eq!(told, ("rpm bash.x86_64".to_owned(), "5.2-1.fc".to_owned()));
    }

    /// As SQLite itself, by Python's module, writes it; blobs that need several pages among them.
    #[test]
    fn a_database_of_sqlite_is_read() {
        let mut script = String::from(
            "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1])\nc.execute('create table Other(a)')\nc.execute('create table Packages(hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)')\n",
        );
        for number in 0..300 {
            let mut blob = rpm_header(&format!("p{number}"), "1");
            blob.resize(blob.len() + number * 40, 0);
            let hex: String = blob.iter().map(|byte| format!("{byte:02x}")).collect();
            script +=
                &format!("c.execute('insert into Packages(blob) values(?)',(bytes.fromhex('{hex}'),))\n");
        }
        script += "c.commit()\n";
        let path = std::env::temp_dir().join(format!("hull-rpm-{}.sqlite", std::process::id()));
        let (source, database) = (path.with_extension("py"), path.display().to_string());
        std::fs::write(&source, script).unwrap();
        let done = std::process::Command::new("python3").arg(&source).arg(&database).status().unwrap();
        assert!(done.success());
        let bytes = std::fs::read(&path).unwrap();
        [&source, &path].iter().for_each(|path| std::fs::remove_file(path).unwrap());
        let found = packages(&bytes).unwrap();
        assert_eq!((found.len(), found["rpm p299.x86_64"].as_str()), (300, "1-1.fc"));
        assert!(packages(&bytes[..bytes.len() / 2]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            if bytes.len() > 24 {
                bytes[..16].copy_from_slice(b"SQLite format 3\0");
                bytes[16..18].copy_from_slice(&512_u16.to_be_bytes());
            }
            let _ = packages(&bytes);
            let _ = header(&bytes);
        }
    }
}
