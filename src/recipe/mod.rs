//! Recipes: how each series of CPython is downloaded, verified, patched, configured and compiled.
//!
//! [`document`] is a recipe as somebody wrote it, [`validate`] turns it into a [`Recipe`] that holds
//! together, and [`catalog`] finds the one that a user asks for.

mod catalog;
mod document;
mod validate;

pub use catalog::{Catalog, PatchText};
pub use validate::{FlavorRecipe, Library, Patch, Recipe, ReleaseRecipe, ReleaseRow, SourceRecipe};

/// A mistake in a recipe, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct RecipeError {
    /// The recipe file, as the user can open it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl RecipeError {
    /// An error at a byte offset of the text.
    fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
            message: message.into(),
        }
    }
}
