//! `[modules]`: the closed list of extension modules.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::error::Mistake;
use crate::recipe::place::{Layers, texts};

/// `[modules]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    required: Vec<Spanned<String>>,
    #[serde(default)]
    disabled: Vec<Spanned<String>>,
    #[serde(default)]
    builtin: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// The extension modules of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModulesRecipe {
    /// The closed list of those in `lib-dynload`, sorted.
    pub required: Vec<String>,
    /// Those of the source that are turned off, in the order of `Modules/Setup.local`.
    pub disabled: Vec<String>,
    /// Those that are linked into the interpreter, and the source file of each below `Modules/`.
    pub builtin: BTreeMap<String, String>,
}

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<ModulesRecipe, Mistake> {
        let mut seen = BTreeSet::new();
        for name in self.required.iter().chain(&self.disabled).chain(self.builtin.keys()) {
            at.name(name, "")?;
            if !seen.insert(name.get_ref()) {
                return Err(at.error(name, format!("module {} is listed twice", name.get_ref())));
            }
        }
        for source in self.builtin.values() {
            // It becomes a line of Modules/Setup.local, where further words would be options of the compiler.
            let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
            let file = source.get_ref();
            if !file.strip_suffix(".c").is_some_and(|stem| !stem.is_empty() && stem.chars().all(sound)) {
                return Err(at.error(source, format!("`{file}` is not a C file below Modules/")));
            }
        }
        let mut required = texts(self.required);
        required.sort_unstable();
        let builtin = self.builtin.into_iter().map(|(name, file)| (name.into_inner(), file.into_inner())).collect();
        Ok(ModulesRecipe { required, disabled: texts(self.disabled), builtin })
    }
}

impl ModulesRecipe {
    /// Returns what decides bytes.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { required, disabled, builtin } = self;
        json!({ "required": required, "disabled": disabled, "builtin": builtin })
    }
}
