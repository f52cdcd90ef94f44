//! Recipes: how each series of CPython is downloaded, verified, patched, configured and compiled.
//!
//! `document` is a recipe as somebody wrote it, `checked` is a [`Recipe`] that holds together,
//! `validate` makes the one of the other, and `catalog` finds the one that a user asks for.

mod catalog;
mod checked;
mod document;
mod pin;
mod validate;

pub use catalog::{Catalog, PatchText, compiled_in};
pub use checked::{
    FlavorRecipe, Freeze, Library, Patch, Pgo, PinnedProfile, Recipe, ReleaseRecipe, ReleaseRow, SourceRecipe,
};
pub use pin::{Pinned, pin};

use crate::error::Mistake;

/// A mistake at a byte offset of a recipe's text.
fn mistake(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Mistake {
    Mistake::at(file, text, offset, message)
}
