//! `[hardening]`: the flags that make attacks on the interpreter and its modules harder. Extension modules that users
//! build do not get them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::domain::target::Target;
use crate::error::Mistake;
use crate::recipe::place::Layers;

/// `[hardening]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(in crate::recipe) struct Written {
    compile: String,
    target: BTreeMap<Spanned<String>, String>,
    frame_pointers: String,
    link: String,
    make: Vec<String>,
    make_static: Vec<String>,
}

/// The flags of `--hardening full`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HardeningRecipe {
    /// The options of the compiler.
    pub compile: String,
    /// Further ones of each target.
    pub target: BTreeMap<Target, String>,
    /// The options of the compiler that keep frame pointers, for profilers.
    pub frame_pointers: String,
    /// The options of the linker.
    pub link: String,
    /// Arguments of make, which replace those of other sections with the same variable.
    pub make: Vec<String>,
    /// Further ones, unless libpython is a shared library.
    pub make_static: Vec<String>,
}

impl Written {
    pub(in crate::recipe) fn check(self, at: &Layers<'_>) -> Result<HardeningRecipe, Mistake> {
        let target = self.target.into_iter();
        Ok(HardeningRecipe {
            compile: self.compile,
            target: target.map(|(name, flags)| Ok((at.parsed(&name)?, flags))).collect::<Result<_, Mistake>>()?,
            frame_pointers: self.frame_pointers,
            link: self.link,
            make: self.make,
            make_static: self.make_static,
        })
    }
}

impl HardeningRecipe {
    /// Returns the options of the compiler for a target.
    #[must_use]
    pub fn compiler_options(&self, target: Target) -> String {
        let target = self.target.get(&target).map_or("", String::as_str);
        let words = [&self.compile, target, &self.frame_pointers];
        words.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Returns what decides bytes.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { compile, target, frame_pointers, link, make, make_static } = self;
        json!({
            "compile": compile,
            "target": target,
            "frame_pointers": frame_pointers,
            "link": link,
            "make": [make, make_static],
        })
    }
}
