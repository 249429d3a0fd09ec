//! What is damaged and was passed over: told to whoever opened the store.

use crate::disk;
use crate::error::{Kind, Result};
use crate::root::Store;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Tells each thing once, however often it is met.
#[derive(Debug)]
pub(crate) struct Notices {
    tell: fn(&str),
    told: Mutex<BTreeSet<String>>,
}

impl Default for Notices {
    fn default() -> Self {
        Self::to(|_| {})
    }
}

impl Notices {
    pub(crate) fn to(tell: fn(&str)) -> Self {
        Self { tell, told: Mutex::default() }
    }

    /// `path` is relative to the root.
    pub(crate) fn damaged(&self, path: &str) {
        let is_new = self.told.lock().is_ok_and(|mut told| told.insert(path.into()));
        if is_new {
            (self.tell)(&format!(
                "`{path}` in the store is damaged and was passed over; `hull system check` tells more"
            ));
        }
    }
}

/// What could be read of a directory of records.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) whole: Vec<T>,
    /// Something was passed over.
    pub(crate) damaged: bool,
}

impl Store {
    /// Reads all records of a directory with `read`. What is gone meanwhile is left out, what is corrupt
    /// told and passed over.
    pub(crate) fn read_all<T>(&self, dir: &str, read: impl Fn(&str) -> Result<Option<T>>) -> Result<Read<T>> {
        let mut all = Read { whole: Vec::new(), damaged: false };
        for name in disk::sorted_names(self.root(), dir)? {
            match read(&name) {
                Err(error) if *error.kind() == Kind::Corrupt => {
                    self.notices.damaged(&format!("{dir}/{name}"));
                    all.damaged = true;
                }
                one => all.whole.extend(one?),
            }
        }
        Ok(all)
    }
}
