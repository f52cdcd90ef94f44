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
        Ok(Library {
            name: name.into_inner(),
            modules: texts(self.modules),
            headers: self.headers,
            link: self.link,
            pkg_config: self.pkg_config,
            debian: self.debian,
            fedora: self.fedora,
        })
    }
}

impl Library {
    /// Returns what decides bytes. The contents of headers decide bytes too; the plan names their packages.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { name: _, modules, headers: _, link, pkg_config, debian: _, fedora: _ } = self;
        json!({ "modules": modules, "link": link, "pkg_config": pkg_config })
    }
}
