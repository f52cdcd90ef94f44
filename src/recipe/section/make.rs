//! `[make]`: arguments of make and of `make install`, and how extension modules are linked.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::domain::launcher::Launcher;
use crate::error::Mistake;
use crate::recipe::place::Layers;

/// `[make]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    #[serde(default)]
    arguments: Vec<String>,
    module_link: Spanned<String>,
    #[serde(default)]
    install: Vec<String>,
    launcher: Option<Spanned<String>>,
}

/// The arguments of make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MakeRecipe {
    /// The arguments of `make all`.
    pub arguments: Vec<String>,
    /// The make variable that links extension modules, with `{flags}` for the linker's flags.
    pub module_link: String,
    /// Further arguments of `make install`.
    pub install: Vec<String>,
    /// The launcher of compilers, unless the user chose one. It decides no byte.
    pub launcher: Launcher,
}

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<MakeRecipe, Mistake> {
        let link = self.module_link;
        if !link.get_ref().contains('=') || !link.get_ref().contains("{flags}") {
            return Err(at.error(&link, "`module-link` is NAME=VALUE with `{flags}` in the value"));
        }
        Ok(MakeRecipe {
            arguments: self.arguments,
            module_link: link.into_inner(),
            install: self.install,
            launcher: self.launcher.map_or(Ok(Launcher::None), |name| at.parsed(&name))?,
        })
    }
}

impl MakeRecipe {
    /// Returns what decides bytes.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { arguments, module_link, install, launcher: _ } = self;
        json!({ "arguments": arguments, "module_link": module_link, "install": install })
    }
}
