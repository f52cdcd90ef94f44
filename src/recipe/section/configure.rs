//! `[configure]`: arguments, environment and answers of `./configure`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::error::Mistake;
use crate::recipe::place::Layers;

/// `[configure]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    cache: BTreeMap<String, String>,
    #[serde(default)]
    hidden_headers: Vec<Spanned<String>>,
    #[serde(default)]
    hidden_libraries: Vec<Spanned<String>>,
}

/// The arguments and the environment of configure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigureRecipe {
    /// The arguments, without `--prefix`; those of the variant are at the end.
    pub arguments: Vec<String>,
    /// The environment of configure and make.
    pub environment: BTreeMap<String, String>,
    /// Results of configure checks, so that configure does not test the machine.
    pub cache: BTreeMap<String, String>,
    /// Headers that the build does not find, whether the host has them or not: `readline/readline.h`.
    pub hidden_headers: Vec<String>,
    /// Libraries that it does not find: `readline` of `-lreadline`.
    pub hidden_libraries: Vec<String>,
}

/// The variables that pykeel or the user sets.
const RESERVED_VARIABLES: &[&str] = &[
    "PATH",
    "LC_ALL",
    "TZ",
    "HOME",
    "CONFIG_SITE",
    "PYTHONHASHSEED",
    "PYTHON_FOR_REGEN",
    "SOURCE_DATE_EPOCH",
    "PKG_CONFIG_LIBDIR",
    "CC",
    "CFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
];

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<ConfigureRecipe, Mistake> {
        // A variable that pykeel itself sets would be overridden in silence.
        for name in self.environment.keys() {
            if RESERVED_VARIABLES.contains(&name.get_ref().as_str()) {
                return Err(at.error(name, format!("a recipe cannot set {}", name.get_ref())));
            }
        }
        let is_plain = |name: &str| {
            let part = |part: &str| !part.is_empty() && part != "." && part != "..";
            name.split('/').all(part) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._+-".contains(&b))
        };
        for name in &self.hidden_headers {
            if !is_plain(name.get_ref()) {
                return Err(at.error(name, "this is not the name of a header, such as readline/readline.h"));
            }
        }
        for name in &self.hidden_libraries {
            if !is_plain(name.get_ref()) || name.get_ref().contains('/') {
                return Err(at.error(name, "this is not the name of a library, such as readline for -lreadline"));
            }
        }
        Ok(ConfigureRecipe {
            arguments: self.arguments,
            environment: self.environment.into_iter().map(|(name, value)| (name.into_inner(), value)).collect(),
            cache: self.cache,
            hidden_headers: self.hidden_headers.into_iter().map(Spanned::into_inner).collect(),
            hidden_libraries: self.hidden_libraries.into_iter().map(Spanned::into_inner).collect(),
        })
    }
}

impl ConfigureRecipe {
    /// Returns what decides bytes.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { arguments, environment, cache, hidden_headers, hidden_libraries } = self;
        json!({
            "arguments": arguments,
            "environment": environment,
            "cache": cache,
            "hidden": [hidden_headers, hidden_libraries],
        })
    }
}
