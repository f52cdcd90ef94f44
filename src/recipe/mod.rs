//! Recipes: how each series of CPython is downloaded, verified, patched, configured and compiled.
//!
//! `document` is a recipe as somebody wrote it, `validate` turns it into a [`Recipe`] that holds
//! together, and `catalog` finds the one that a user asks for.

mod catalog;
mod document;
mod pin;
mod validate;

pub use catalog::{Catalog, PatchText, compiled_in};
pub use pin::pin;
pub use validate::{
    FlavorRecipe, Freeze, Library, Patch, Pgo, PinnedProfile, Recipe, ReleaseRecipe, ReleaseRow, SourceRecipe,
};

use crate::error::Mistake;

/// A mistake at a byte offset of a recipe's text.
fn mistake(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Mistake {
    Mistake::at(file, text, offset, message)
}
