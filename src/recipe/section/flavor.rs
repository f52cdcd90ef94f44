//! `[flavor.runtime]` and `[flavor.builder]`: what each flavor keeps.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::error::Mistake;
use crate::recipe::place::{Layers, texts};

/// `[flavor]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    runtime: WrittenFlavor,
    builder: WrittenFlavor,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenFlavor {
    strip: Vec<Spanned<String>>,
    pip: bool,
    externally_managed: Option<String>,
}

/// The flavors of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flavors {
    /// `runtime`.
    pub runtime: FlavorRecipe,
    /// `builder`.
    pub builder: FlavorRecipe,
}

/// What a flavor drops and adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlavorRecipe {
    /// Globs, relative to the prefix, of what is left out, sorted; `{stdlib}` is `lib/python3.13`.
    pub strip: Vec<String>,
    /// Whether pip is installed.
    pub pip: bool,
    /// The message of the `EXTERNALLY-MANAGED` file, where there is one.
    pub externally_managed: Option<String>,
}

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<Flavors, Mistake> {
        Ok(Flavors { runtime: self.runtime.check(at)?, builder: self.builder.check(at)? })
    }
}

impl WrittenFlavor {
    fn check(self, at: &Layers<'_>) -> Result<FlavorRecipe, Mistake> {
        for pattern in &self.strip {
            at.glob(pattern, &pattern.get_ref().replace("{stdlib}", "lib"))?;
        }
        let mut strip = texts(self.strip);
        strip.sort_unstable();
        Ok(FlavorRecipe { strip, pip: self.pip, externally_managed: self.externally_managed })
    }
}

impl Flavors {
    /// Returns what decides bytes.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { runtime, builder } = self;
        json!({ "runtime": runtime.deciding(), "builder": builder.deciding() })
    }
}

impl FlavorRecipe {
    fn deciding(&self) -> Value {
        let Self { strip, pip, externally_managed } = self;
        json!({ "strip": strip, "pip": pip, "externally_managed": externally_managed })
    }
}
