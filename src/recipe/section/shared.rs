//! `[shared]`: how libpython is built as a shared library, which `--shared` asks for.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::error::Mistake;
use crate::recipe::place::Layers;
use crate::recipe::words;

/// `[shared]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(in crate::recipe) struct Written {
    configure: Vec<Spanned<String>>,
    compile: String,
    program_link: String,
}

/// How a build with `--shared` differs from one without it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SharedRecipe {
    /// Further arguments of configure.
    pub configure: Vec<String>,
    /// Further options of the compiler, also when it links.
    pub compile: String,
    /// Further options of the linker for the interpreter, as make and the shell read them.
    pub program_link: String,
}

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<SharedRecipe, Mistake> {
        let Self { configure, compile, program_link } = self;
        Ok(SharedRecipe { configure: words::arguments(configure, at)?, compile, program_link })
    }
}

impl SharedRecipe {
    /// Returns what decides bytes.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { configure, compile, program_link } = self;
        json!({ "configure": configure, "compile": compile, "program_link": program_link })
    }
}
