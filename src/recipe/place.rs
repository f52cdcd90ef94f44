//! The places of values in the files of a recipe.
//!
//! The files are numbered through as if they were one text, the base first: a byte offset names the
//! file and the place in it. So every value keeps its place when files are merged.

use std::fmt::Display;
use std::str::FromStr;

use toml::Spanned;

use crate::error::Mistake;

/// One of the files that a recipe is made of.
#[derive(Debug)]
pub(super) struct Layer<'t> {
    /// The file, as the user can open it.
    pub(super) file: String,
    /// Its text.
    pub(super) text: &'t str,
    /// The offset of its first byte.
    pub(super) start: usize,
}

/// The files of a recipe: the base first, the requested file last.
#[derive(Debug)]
pub(super) struct Layers<'t>(pub(super) Vec<Layer<'t>>);

impl Layers<'_> {
    /// The requested file.
    pub(super) fn file(&self) -> &str {
        self.0.last().map(|layer| layer.file.as_str()).unwrap_or_default()
    }

    /// The files, as the user can open them.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|layer| layer.file.as_str())
    }

    /// A mistake at an offset, named with the file that the offset is in.
    pub(super) fn mistake(&self, offset: usize, message: impl Into<String>) -> Mistake {
        let layer = self.0.iter().rev().find(|layer| layer.start <= offset).or(self.0.first());
        match layer {
            Some(layer) => Mistake::at(&layer.file, layer.text, offset - layer.start, message),
            None => Mistake::at("", "", 0, message),
        }
    }

    /// A mistake at a value.
    pub(super) fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> Mistake {
        self.mistake(at.span().start, message)
    }

    /// Parses a text as a type whose error says what was expected.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, text: &Spanned<String>) -> Result<T, Mistake> {
        text.get_ref().parse().map_err(|error: T::Err| self.error(text, error.to_string()))
    }

    /// Refuses what is not a name of letters, digits, `_` and the characters of `more`.
    pub(super) fn name(&self, name: &Spanned<String>, more: &str) -> Result<(), Mistake> {
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
        if !name.get_ref().is_empty() && name.get_ref().chars().all(sound) {
            return Ok(());
        }
        let name_is = name.get_ref();
        Err(self.error(name, format!("`{name_is}` is not a name of letters, digits and the characters _{more}")))
    }

    /// Refuses what is not a glob. `text` is the pattern with its placeholders filled in.
    pub(super) fn glob<T>(&self, at: &Spanned<T>, text: &str) -> Result<(), Mistake> {
        globset::Glob::new(text).map(|_| ()).map_err(|error| self.error(at, error.to_string()))
    }
}

/// The texts without their places.
pub(super) fn texts(list: Vec<Spanned<String>>) -> Vec<String> {
    list.into_iter().map(Spanned::into_inner).collect()
}
