//! Recipes: how each series of CPython is downloaded, verified, patched, configured and compiled.
//!
//! `files` finds a recipe file and all that it extends, `merge` merges them, and `place` has the file,
//! line and column of each value. `section` has each section as written and as checked, `document` the
//! whole as written, and `checked` the [`Recipe`] that comes of it. `render` writes a merged recipe
//! as one file, `pin` writes a profile into one, and `catalog` finds the recipe a user asks for.

mod catalog;
mod checked;
mod document;
mod files;
mod merge;
mod pin;
mod place;
mod render;
mod section;
#[cfg(test)]
mod tests;
mod words;

pub use catalog::{Catalog, PatchText, check_file};
pub use checked::{Recipe, ReleaseRecipe, SeriesRecipe};
pub use pin::{Pinned, pin};
pub use section::configure::ConfigureRecipe;
pub use section::flavor::{FlavorRecipe, Flavors};
pub use section::hardening::HardeningRecipe;
pub use section::library::{Library, Loaded, Minimum};
pub use section::make::MakeRecipe;
pub use section::modules::ModulesRecipe;
pub use section::patch::Patch;
pub use section::pgo::Pgo;
pub use section::profile::PinnedProfile;
pub use section::release::ReleaseRow;
pub use section::source::SourceRecipe;

use crate::error::Mistake;

impl Recipe {
    /// Reads and checks the text of a recipe file, which may extend those compiled in.
    ///
    /// # Errors
    /// [`Mistake`] for the first mistake, with file, line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistake> {
        let files = files::Files::with_text(file, text);
        let (table, layers) = files.merged(&files::stem(std::path::Path::new(file)))?;
        Ok(document::check(table, &layers)?.recipe)
    }
}
