//! `[patch]`: a patch by its subject, its file and its digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::domain::digest::Digest;
use crate::error::Mistake;
use crate::recipe::place::Layers;

/// A row of `[patch]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    file: Spanned<String>,
    sha256: Spanned<String>,
}

/// A patch by its name below `patches/` and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// `3.13/name.patch`.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
}

/// Checks the patches of a series, in the order of their subjects, each with the offset of its digest.
pub(in crate::recipe) fn check(
    patches: &BTreeMap<Spanned<String>, Written>,
    at: &Layers<'_>,
) -> Result<Vec<(Patch, usize)>, Mistake> {
    patches
        .iter()
        .map(|(subject, patch)| {
            at.name(subject, "-.")?;
            Ok((patch.check(at)?, patch.sha256.span().start))
        })
        .collect()
}

impl Written {
    fn check(&self, at: &Layers<'_>) -> Result<Patch, Mistake> {
        let file = self.file.get_ref();
        if file.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            let message = format!("`{file}` is not a name below patches/ such as 3.13/name.patch");
            return Err(at.error(&self.file, message));
        }
        Ok(Patch { file: file.clone(), sha256: at.parsed(&self.sha256)? })
    }
}

impl Patch {
    /// Returns what decides bytes. The name is recorded in the artifact.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { file, sha256 } = self;
        json!({ "file": file, "sha256": sha256 })
    }
}
