//! `[library.NAME]`: a library that extension modules link.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use super::modules::ModulesRecipe;
use crate::error::Mistake;
use crate::recipe::place::{Layers, texts};

/// `[library.NAME]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    modules: Vec<Spanned<String>>,
    headers: Vec<String>,
    link: Vec<String>,
    #[serde(default)]
    pkg_config: Vec<String>,
    debian: String,
    fedora: String,
    minimum: Option<WrittenMinimum>,
    #[serde(default)]
    loaded: BTreeMap<Spanned<String>, WrittenLoaded>,
}

/// `library.NAME.minimum` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenMinimum {
    version: Spanned<String>,
    condition: Spanned<String>,
}

/// `[library.NAME.loaded."SONAME"]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenLoaded {
    files: Vec<Spanned<String>>,
    debian: String,
    fedora: String,
}

/// A library that extension modules link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Library {
    /// Its name in the recipe.
    pub name: String,
    /// The extension modules that need it.
    pub modules: Vec<String>,
    /// Headers that must be there.
    pub headers: Vec<String>,
    /// The names it is linked by: `ssl` for `-lssl`.
    pub link: Vec<String>,
    /// The pkg-config modules that configure may see.
    pub pkg_config: Vec<String>,
    /// The Debian and Ubuntu package with the headers.
    pub debian: String,
    /// The Fedora and Red Hat package with the headers.
    pub fedora: String,
    /// The oldest version that the series works with, where that matters.
    pub minimum: Option<Minimum>,
    /// What it and the libraries that it needs load or read by name.
    pub loaded: Vec<Loaded>,
}

/// The oldest version of a library that a series works with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Minimum {
    /// The version.
    pub version: String,
    /// What the preprocessor finds true where the headers are of this version or a later one.
    pub condition: String,
}

/// Files that a library loads or reads by name, which no DT_NEEDED entry shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// The library that does so: `libcrypto.so.3`. On a host without it there is nothing to load.
    pub by: String,
    /// The files, relative to the prefix: `lib/ossl-modules/legacy.so`. On the host they are below a directory of
    /// libraries (`lib`) or of data (`share`).
    pub files: Vec<String>,
    /// The Debian and Ubuntu package with the files, where they are in a package of their own.
    pub debian: String,
    /// The same for Fedora and Red Hat.
    pub fedora: String,
}

/// Checks the libraries of a series, in the order of their names.
pub(in crate::recipe) fn check(
    libraries: BTreeMap<Spanned<String>, Written>,
    modules: &ModulesRecipe,
    at: &Layers<'_>,
) -> Result<Vec<Library>, Mistake> {
    libraries.into_iter().map(|(name, library)| library.check(name, modules, at)).collect()
}

impl Written {
    fn check(self, name: Spanned<String>, modules: &ModulesRecipe, at: &Layers<'_>) -> Result<Library, Mistake> {
        at.name(&name, "-.+")?;
        if let Some(module) = self.modules.iter().find(|module| !modules.required.contains(module.get_ref())) {
            let (name, module_name) = (name.get_ref(), module.get_ref());
            let message = format!("library {name} is for module {module_name}, which `modules.required` does not have");
            return Err(at.error(module, message));
        }
        let minimum = self.minimum.map(|minimum| minimum.check(at)).transpose()?;
        let loaded = self.loaded.into_iter().map(|(by, loaded)| loaded.check(by, at)).collect::<Result<_, _>>()?;
        Ok(Library {
            name: name.into_inner(),
            modules: texts(self.modules),
            headers: self.headers,
            link: self.link,
            pkg_config: self.pkg_config,
            debian: self.debian,
            fedora: self.fedora,
            minimum,
            loaded,
        })
    }
}

impl WrittenMinimum {
    fn check(self, at: &Layers<'_>) -> Result<Minimum, Mistake> {
        for text in [&self.version, &self.condition] {
            if text.get_ref().trim().is_empty() || text.get_ref().contains(char::is_control) {
                return Err(at.error(text, "this is not one line of text"));
            }
        }
        Ok(Minimum { version: self.version.into_inner(), condition: self.condition.into_inner() })
    }
}

impl WrittenLoaded {
    fn check(self, by: Spanned<String>, at: &Layers<'_>) -> Result<Loaded, Mistake> {
        at.name(&by, "-.+")?;
        if let Some(file) = self.files.iter().find(|file| !is_place(file.get_ref())) {
            let message = format!("`{}` is not a path below lib/ or share/", file.get_ref());
            return Err(at.error(file, message));
        }
        Ok(Loaded { by: by.into_inner(), files: texts(self.files), debian: self.debian, fedora: self.fedora })
    }
}

/// Whether a path names a file below `lib` or `share` of the prefix.
fn is_place(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.len() > 1 && ["lib", "share"].contains(&parts[0]) && parts.iter().all(|part| !["", ".", ".."].contains(part))
}

impl Library {
    /// Returns what decides bytes. The contents of headers decide bytes too; the plan names their packages.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { name: _, modules, headers: _, link, pkg_config, debian: _, fedora: _, minimum: _, loaded } = self;
        let loaded: Vec<_> = loaded.iter().map(|Loaded { by, files, .. }| (by, files)).collect();
        json!({ "modules": modules, "link": link, "pkg_config": pkg_config, "loaded": loaded })
    }
}
