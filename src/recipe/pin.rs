//! Pinning: writes a profile into the text of a recipe and leaves the rest of it as it is.

use std::collections::BTreeSet;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use crate::domain::profile::Profile;
use crate::domain::version::Variant;

/// The text of a recipe that pins a profile.
#[derive(Debug)]
pub struct Pinned {
    /// The text.
    pub text: String,
    /// The files below `profiles/` that it pinned before and pins no more.
    pub unpinned: BTreeSet<String>,
}

/// The files that some rows pin.
fn files(rows: &ArrayOfTables) -> BTreeSet<String> {
    rows.iter().filter_map(|row| row.get("file")?.as_str()).map(str::to_owned).collect()
}

/// Pins a profile for the release that it was recorded with, in the place of one that was pinned for
/// the same release, variant, target and compiler. `file` is its name below `profiles/`.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn pin(text: &str, file: &str, profile: &Profile) -> Result<Pinned, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let manifest = &profile.manifest;
    let item = document.entry("profile").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let rows = item.as_array_of_tables_mut().ok_or("`profile` is not a list of tables")?;
    let before = files(rows);
    let (release, target, compiler) =
        (manifest.release.to_string(), manifest.target.to_string(), manifest.compiler.to_string());
    for row in rows.iter_mut() {
        let says = |key: &str, text: &str| row.get(key).and_then(Item::as_str) == Some(text);
        let variant = row.get("variant").and_then(Item::as_str).unwrap_or_default();
        if variant != manifest.variant.name() || !says("target", &target) || !says("compiler", &compiler) {
            continue;
        }
        if let Some(releases) = row.get_mut("releases").and_then(Item::as_array_mut) {
            releases.retain(|other| other.as_str() != Some(&release));
            releases.fmt();
        }
    }
    rows.retain(|row| row.get("releases").and_then(Item::as_array).is_none_or(|releases| !releases.is_empty()));
    let mut row = Table::new();
    row.insert("file", value(file));
    row.insert("sha256", value(profile.digest.to_string()));
    row.insert("releases", value(Array::from_iter([release])));
    if manifest.variant != Variant::Default {
        row.insert("variant", value(manifest.variant.name()));
    }
    row.insert("target", value(target));
    row.insert("compiler", value(compiler));
    rows.push(row);
    let unpinned = &before - &files(rows);
    Ok(Pinned { text: document.to_string(), unpinned })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::plan::SourceSums;
    use crate::domain::profile::{DataVersion, PROFILE_FORMAT, ProfileManifest};
    use crate::domain::target::Target;
    use crate::recipe::Recipe;

    const REAL: &str = include_str!("../../recipes/3.12.toml");

    fn profile(release: &str, variant: Variant, compiler: &str) -> Profile {
        Profile {
            digest: Digest::of(format!("{release}{variant}{compiler}")),
            manifest: ProfileManifest {
                format: PROFILE_FORMAT,
                release: release.parse().unwrap(),
                variant,
                target: Target::X86_64,
                source: SourceSums { xz: None, tgz: None },
                patches: Vec::new(),
                compiler: compiler.parse().unwrap(),
                compiler_line: String::new(),
                data_version: DataVersion(*b"B22*"),
                flags: BTreeMap::new(),
                training: Vec::new(),
                scripts: BTreeMap::new(),
            },
            data: BTreeMap::new(),
        }
    }

    #[test]
    fn a_pinned_profile_is_the_one_of_the_release_and_nothing_else_changes() {
        let one = profile("3.12.6", Variant::Default, "gcc 12.2");
        let other = profile("3.12.6", Variant::Default, "gcc 14.2");
        let text = pin(REAL, "a.tar.xz", &one).unwrap().text;
        assert!(text.starts_with(REAL.trim_end()), "the recipe is there as it was");
        let text = pin(&text, "b.tar.xz", &other).unwrap().text;
        let recipe = Recipe::parse("r.toml", &text).unwrap();
        let row = recipe.releases.iter().find(|row| row.version.to_string() == "3.12.6").unwrap();
        let release = recipe.release(row, Variant::Default).unwrap();
        let pinned = |compiler: &str| {
            release.pinned_profile(Target::X86_64, compiler.parse().unwrap()).map(|pinned| pinned.sha256)
        };
        assert_eq!(pinned("gcc 12.2"), Some(one.digest));
        assert_eq!(pinned("gcc 14.2"), Some(other.digest));
        assert_eq!(pinned("gcc 13.2"), None);
        assert_eq!(release.pinned_profile(Target::Aarch64, "gcc 12.2".parse().unwrap()), None);
    }

    #[test]
    fn pinning_again_replaces() {
        let one = profile("3.12.6", Variant::Default, "gcc 12.2");
        let again = Profile { digest: Digest::of("again"), ..one.clone() };
        let Pinned { text, unpinned } = pin(&pin(REAL, "a.tar.xz", &one).unwrap().text, "b.tar.xz", &again).unwrap();
        assert_eq!(unpinned, BTreeSet::from(["a.tar.xz".to_owned()]));
        assert!(!text.contains(&one.digest.to_string()) && text.contains(&again.digest.to_string()));
        assert_eq!(text.matches("[[profile]]").count(), 1);
        assert!(pin("x = ", "a", &one).is_err());
        // For another release the same file stays, and stays pinned.
        let both = pin(REAL, "a.tar.xz", &one).unwrap().text.replace("[\"3.12.6\"]", "[\"3.12.6\", \"3.12.7\"]");
        let Pinned { text, unpinned } = pin(&both, "b.tar.xz", &again).unwrap();
        assert!(unpinned.is_empty() && text.contains("[\"3.12.7\"]") && text.contains("a.tar.xz"), "{text}");
    }
}
