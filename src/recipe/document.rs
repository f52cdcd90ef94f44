//! A recipe as written: the shape of the TOML file and nothing more.
//!
//! `docs/recipes.md` describes each key for people who write recipes.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::error::Mistake;

/// A file `recipes/3.13.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Document {
    pub series: Spanned<String>,
    pub end_of_life: Option<Spanned<String>>,
    pub source: Source,
    pub configure: Configure,
    pub make: Make,
    pub pgo: Option<Pgo>,
    pub modules: Modules,
    #[serde(default)]
    pub library: Vec<Library>,
    pub flavor: Flavors,
    #[serde(default)]
    pub variant: BTreeMap<Spanned<String>, Variant>,
    #[serde(default)]
    pub patch: Vec<Patch>,
    #[serde(default)]
    pub profile: Vec<Profile>,
    pub release: Vec<Release>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Source {
    pub url: Spanned<String>,
    #[serde(default)]
    pub mirrors: Vec<Spanned<String>>,
    pub pool: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Configure {
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    pub cache: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Make {
    #[serde(default)]
    pub arguments: Vec<String>,
    pub module_link: Spanned<String>,
    #[serde(default)]
    pub install: Vec<String>,
    pub launcher: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Pgo {
    pub compile: String,
    pub link: String,
    pub instrument: String,
    #[serde(default)]
    pub make: Vec<String>,
    #[serde(default)]
    pub freeze: Option<Freeze>,
    pub training: Spanned<Vec<Vec<String>>>,
    pub evaluation_loop: EvaluationLoop,
    pub max_dropped: usize,
    pub max_missing: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Freeze {
    pub targets: Vec<String>,
    pub writes: Vec<Spanned<String>>,
    pub helpers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EvaluationLoop {
    pub data: Spanned<String>,
    pub function: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Profile {
    pub file: Spanned<String>,
    pub sha256: Spanned<String>,
    pub releases: Vec<Spanned<String>>,
    #[serde(default)]
    pub variant: Option<Spanned<String>>,
    pub target: Spanned<String>,
    pub compiler: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Modules {
    pub required: Vec<Spanned<String>>,
    #[serde(default)]
    pub disabled: Vec<Spanned<String>>,
    #[serde(default)]
    pub builtin: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Library {
    pub name: Spanned<String>,
    pub modules: Vec<Spanned<String>>,
    pub headers: Vec<String>,
    pub link: Vec<String>,
    #[serde(default)]
    pub pkg_config: Vec<String>,
    pub debian: String,
    pub fedora: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Flavors {
    pub runtime: Flavor,
    pub builder: Flavor,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Flavor {
    pub strip: Vec<Spanned<String>>,
    pub pip: bool,
    pub externally_managed: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Variant {
    #[serde(default)]
    pub arguments: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Patch {
    pub file: Spanned<String>,
    pub sha256: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Release {
    pub version: Spanned<String>,
    pub xz: Option<Spanned<String>>,
    pub tgz: Option<Spanned<String>>,
    #[serde(default)]
    pub built: bool,
    #[serde(default)]
    pub built_variants: Vec<Spanned<String>>,
}

/// Reads the text of a recipe file.
///
/// # Errors
/// The first key, type or syntax that is wrong, with its place.
pub(super) fn parse(file: &str, text: &str) -> Result<Document, Mistake> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        super::mistake(file, text, offset, error.message().trim())
    })
}
