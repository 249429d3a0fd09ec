//! Another name for a container that is there.

use crate::Engine;
use crate::error::{Error, Kind, Result, from_store};
use store::Name;

impl Engine {
    /// Gives a container another name, whether it runs or not.
    ///
    /// # Errors
    /// [`Kind::Conflict`] where the name is its own or another's.
    pub fn rename(&self, text: &str, name: &str) -> Result<()> {
        if text.is_empty() || name.is_empty() {
            return Err(Error::new(Kind::Invalid, "neither old nor new names may be empty"));
        }
        let (container, _) = self.container(text)?;
        let name: Name = name.trim_start_matches('/').parse().map_err(from_store)?;
        if container.record.name == name {
            let what = "renaming a container with the same name as its current name";
            return Err(Error::new(Kind::Conflict, what));
        }
        let old = self.store.rename(&container, &name).map_err(from_store)?;
        self.report(self.event_of(&container, "rename").with("oldName", format!("/{old}")));
        Ok(())
    }
}
