//! `[profile]`: the profiles that are pinned, by release, target and compiler.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use super::release::ReleaseRow;
use crate::domain::digest::Digest;
use crate::domain::profile::CompilerVersion;
use crate::domain::target::Target;
use crate::domain::version::{Release, Selector, Variant, VersionRequest};
use crate::error::Mistake;
use crate::recipe::place::Layers;

/// A table by names that have a place.
type Named<T> = BTreeMap<Spanned<String>, T>;
/// `[profile]` as written: release with its variant, target, compiler.
pub(in crate::recipe) type Table = Named<Named<Named<Written>>>;

/// A row of `[profile]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    file: Spanned<String>,
    sha256: Spanned<String>,
}

/// A profile that a recipe pins for a release, a target and a compiler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinnedProfile {
    /// The file below `profiles/`.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// The release it is for; it was recorded with that one or with another of the series.
    pub release: Release,
    /// The variant it is for.
    pub variant: Variant,
    /// The target of the interpreter that recorded it.
    pub target: Target,
    /// The compiler that can read it.
    pub compiler: CompilerVersion,
}

/// Checks the profiles that a series pins, each with the offset of its digest.
pub(in crate::recipe) fn check(
    table: &Table,
    optimises: bool,
    known: &[ReleaseRow],
    at: &Layers<'_>,
) -> Result<Vec<(PinnedProfile, usize)>, Mistake> {
    let mut profiles = Vec::new();
    for (version, by_target) in table {
        let (release, variant) = released(version, known, at)?;
        for (target, by_compiler) in by_target {
            let target: Target = at.parsed(target)?;
            for (compiler, row) in by_compiler {
                if !optimises {
                    return Err(at.error(compiler, "a profile is pinned, but the recipe has no [pgo]"));
                }
                let file = row.file.get_ref();
                if Path::new(file).file_name() != Some(file.as_ref()) {
                    return Err(at.error(&row.file, format!("`{file}` is not the name of a file")));
                }
                let (sha256, compiler) = (at.parsed(&row.sha256)?, at.parsed(compiler)?);
                let profile = PinnedProfile { file: file.clone(), sha256, release, variant, target, compiler };
                profiles.push((profile, row.sha256.span().start));
            }
        }
    }
    Ok(profiles)
}

/// The release and the variant that a key such as `3.13.5t` names.
fn released(version: &Spanned<String>, known: &[ReleaseRow], at: &Layers<'_>) -> Result<(Release, Variant), Mistake> {
    let request: VersionRequest = at.parsed(version)?;
    let Selector::Release(release) = request.selector else {
        let message = format!("`{}` is not a release such as 3.13.5 or 3.13.5t", version.get_ref());
        return Err(at.error(version, message));
    };
    if !known.iter().any(|row| row.version == release) {
        return Err(at.error(version, format!("there is no release {release}")));
    }
    Ok((release, request.variant))
}

impl PinnedProfile {
    /// Returns what decides bytes: its target, its compiler and its contents.
    pub(in crate::recipe) fn deciding(&self) -> Value {
        let Self { file: _, sha256, release: _, variant: _, target, compiler } = self;
        json!({ "sha256": sha256, "target": target, "compiler": compiler })
    }
}
