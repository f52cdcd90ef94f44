//! `[configure]`: arguments, environment and answers of `./configure`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::error::Mistake;
use crate::recipe::place::{Layers, texts};
use crate::recipe::words;

/// `[configure]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    #[serde(default)]
    arguments: Vec<Spanned<String>>,
    #[serde(default)]
    environment: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    cache: BTreeMap<Spanned<String>, String>,
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

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<ConfigureRecipe, Mistake> {
        self.environment.keys().try_for_each(|name| words::variable(name, at))?;
        self.cache.keys().try_for_each(|name| words::is_variable(name, at))?;
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
            arguments: words::arguments(self.arguments, at)?,
            environment: without_places(self.environment),
            cache: without_places(self.cache),
            hidden_headers: texts(self.hidden_headers),
            hidden_libraries: texts(self.hidden_libraries),
        })
    }
}

fn without_places(table: BTreeMap<Spanned<String>, String>) -> BTreeMap<String, String> {
    table.into_iter().map(|(name, value)| (name.into_inner(), value)).collect()
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
