//! The recipe files that there are, compiled in and of an overlay, and which extends which.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use toml::Spanned;
use toml::de::DeTable;

use super::merge::{self, EXTENDS};
use super::place::{Layer, Layers};
use crate::domain::version::Series;
use crate::error::{Error, Mistake, Result};

/// The recipes compiled in, with their profiles and training scripts.
pub(super) static RECIPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/recipes");

/// A file as it was found.
#[derive(Debug)]
struct File {
    /// Its path, for messages.
    name: String,
    bytes: Cow<'static, [u8]>,
}

/// A file that was parsed.
struct Parsed<'a> {
    /// Its name in `extends`.
    name: String,
    file: &'a File,
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

/// All files `NAME.toml`, by name: those compiled in, and those of an overlay.
#[derive(Debug, Default)]
pub(super) struct Files {
    compiled_in: BTreeMap<String, File>,
    overlay: BTreeMap<String, File>,
}

impl Files {
    /// The files compiled in, and the `*.toml` of a directory.
    ///
    /// # Errors
    /// [`Error::Unreadable`]: the directory or a file in it cannot be read.
    pub(super) fn read(overlay: Option<&Path>) -> Result<Self> {
        let mut files = Self::compiled_in();
        let Some(directory) = overlay else { return Ok(files) };
        for entry in fs_err::read_dir(directory).map_err(Error::Unreadable)? {
            let path = entry?.path();
            if is_toml(&path) {
                files.overlay.insert(stem(&path), read(&path)?);
            }
        }
        Ok(files)
    }

    /// The files compiled in, and one text over them.
    pub(super) fn with_text(name: &str, text: &str) -> Self {
        let mut files = Self::compiled_in();
        let file = File { name: name.to_owned(), bytes: text.as_bytes().to_vec().into() };
        files.overlay.insert(stem(Path::new(name)), file);
        files
    }

    fn compiled_in() -> Self {
        let file = |file: &'static include_dir::File<'_>| {
            let name = format!("recipes/{}", file.path().display());
            (stem(file.path()), File { name, bytes: file.contents().into() })
        };
        let compiled_in = RECIPES.files().filter(|file| is_toml(file.path())).map(file).collect();
        Self { compiled_in, overlay: BTreeMap::new() }
    }

    /// The names of all files, each once.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.compiled_in.keys().chain(self.overlay.keys()).map(String::as_str).collect()
    }

    /// The names that are series.
    pub(super) fn series(&self) -> impl Iterator<Item = (&str, Series)> {
        self.names().into_iter().filter_map(|name| Some((name, name.parse().ok()?)))
    }

    /// The files of the overlay: the name, and the file as the user can open it.
    pub(super) fn overlaid(&self) -> impl Iterator<Item = (&str, &str)> {
        self.overlay.iter().map(|(name, file)| (name.as_str(), file.name.as_str()))
    }

    /// A file and all that it extends, merged; the file itself is the last layer.
    ///
    /// # Errors
    /// [`Mistake`] for the first mistake in one of them.
    pub(super) fn merged(&self, name: &str) -> Result<(Spanned<DeTable<'_>>, Layers<'_>), Mistake> {
        let mut chain = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next =
            self.overlay.get(name).or_else(|| self.compiled_in.get(name)).map(|file| (name.to_owned(), file));
        while let Some((name, file)) = next {
            let text = std::str::from_utf8(&file.bytes).map_err(|_| not_utf8(&file.name))?;
            let table = DeTable::parse(text).map_err(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                Mistake::at(&file.name, text, offset, error.message().trim())
            })?;
            seen.insert(&file.name);
            let parsed = Parsed { name, file, text, table };
            next = self.extended(&parsed, &seen)?;
            chain.push(parsed);
        }
        let (mut layers, mut tables, mut start) = (Vec::new(), Vec::new(), 0);
        for Parsed { file, text, table, .. } in chain.into_iter().rev() {
            layers.push(Layer { file: file.name.clone(), text, start });
            tables.push(table);
            start += text.len() + 1;
        }
        let layers = Layers(layers);
        Ok((merge::merge(tables, &layers)?, layers))
    }

    /// The file that a file extends.
    fn extended(&self, parsed: &Parsed<'_>, seen: &BTreeSet<&str>) -> Result<Option<(String, &File)>, Mistake> {
        let Parsed { name, file, text, table } = parsed;
        let Some(value) = table.get_ref().get(EXTENDS) else { return Ok(None) };
        let mistake = |message: String| Mistake::at(&file.name, text, value.span().start, message);
        let base = value.get_ref().as_str().ok_or_else(|| mistake("`extends` is the name of a recipe file".into()))?;
        if base != name && base.parse::<Series>().is_ok() && name.parse::<Series>().is_ok() {
            return Err(mistake(format!("`{base}` is another series: what both share belongs into a file of its own")));
        }
        // A file of the overlay that extends its own name changes the one compiled in.
        let upper = self.overlay.get(base).filter(|_| base != name);
        let Some(found) = upper.or_else(|| self.compiled_in.get(base)) else {
            let names: Vec<_> = self.names().into_iter().filter(|other| *other != name).collect();
            return Err(mistake(format!("there is no recipe file `{base}`; there are {}", names.join(", "))));
        };
        if seen.contains(found.name.as_str()) {
            return Err(mistake(format!("`{name}` and `{base}` extend each other")));
        }
        Ok(Some((base.to_owned(), found)))
    }
}

/// `3.13` of `recipes/3.13.toml`.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

fn read(path: &PathBuf) -> Result<File> {
    let bytes = fs_err::read(path).map_err(Error::Unreadable)?;
    Ok(File { name: path.display().to_string(), bytes: bytes.into() })
}

fn not_utf8(file: &str) -> Mistake {
    Mistake { file: file.to_owned(), line: 1, column: 1, message: "the file is not UTF-8".into() }
}
