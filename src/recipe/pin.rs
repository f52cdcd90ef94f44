//! Pinning: writes a profile into the text of a recipe and leaves the rest of it as it is.

use std::collections::BTreeSet;

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::domain::profile::Profile;

/// The text of a recipe that pins a profile.
#[derive(Debug)]
pub struct Pinned {
    /// The text.
    pub text: String,
    /// The files below `profiles/` that it pinned before and pins no more.
    pub unpinned: BTreeSet<String>,
}

/// Pins a profile for the release that it was recorded with. It replaces the one that is pinned for
/// the same release, variant, target and compiler. `file` is its name below `profiles/`.
///
/// # Errors
/// The reason why the text cannot be changed.
pub fn pin(text: &str, file: &str, profile: &Profile) -> Result<Pinned, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let manifest = &profile.manifest;
    let before = files(document.get("profile"));
    let (version, target) = (format!("{}{}", manifest.release, manifest.variant), manifest.target.to_string());
    let root = document.as_table_mut();
    let profiles = below(root, "profile", false)?;
    let row = below(below(profiles, &version, true)?, &target, true)?;
    let mut pinned = InlineTable::new();
    pinned.insert("file", file.into());
    pinned.insert("sha256", profile.digest.to_string().into());
    row.insert(&manifest.compiler.to_string(), Item::Value(Value::InlineTable(pinned)));
    let unpinned = &before - &files(document.get("profile"));
    Ok(Pinned { text: document.to_string(), unpinned })
}

/// Returns the table of a name in another one, and creates it if there is none: `dotted` is written as a part
/// of the keys in it.
fn below<'t>(table: &'t mut dyn TableLike, name: &str, dotted: bool) -> Result<&'t mut dyn TableLike, String> {
    let new = || {
        let mut table = Table::new();
        table.set_dotted(dotted);
        Item::Table(table)
    };
    let item = table.entry(name).or_insert_with(new);
    item.as_table_like_mut().ok_or_else(|| format!("`{name}` is not a table"))
}

/// The files that `[profile]` or a table in it names.
fn files(item: Option<&Item>) -> BTreeSet<String> {
    let Some(table) = item.and_then(Item::as_table_like) else { return BTreeSet::new() };
    match table.get("file").and_then(Item::as_str) {
        Some(file) => BTreeSet::from([file.to_owned()]),
        None => table.iter().flat_map(|(_, item)| files(Some(item))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::plan::SourceSums;
    use crate::domain::profile::{DataVersion, PROFILE_FORMAT, ProfileManifest};
    use crate::domain::target::Target;
    use crate::domain::version::Variant;
    use crate::recipe::Recipe;

    /// A real recipe that pins no profile.
    static REAL: LazyLock<String> = LazyLock::new(|| {
        let text = include_str!("../../recipes/3.12.toml");
        let (before, after) = text.split_once("[profile]\n").unwrap();
        format!("{before}{}", &after[after.find("[release]").unwrap()..])
    });

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
        let text = pin(&REAL, "a.tar.xz", &one).unwrap().text;
        assert!(text.starts_with(REAL.trim_end()), "the recipe is there as it was");
        let row = format!(
            "\"3.12.6\".x86_64-linux-gnu.\"gcc 12.2\" = {{ file = \"a.tar.xz\", sha256 = \"{}\" }}",
            one.digest
        );
        assert!(text.ends_with(&format!("\n[profile]\n{row}\n")), "{text}");
        let text = pin(&text, "b.tar.xz", &other).unwrap().text;
        let recipe = Recipe::parse("3.12.toml", &text).unwrap();
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
        let Pinned { text, unpinned } = pin(&pin(&REAL, "a.tar.xz", &one).unwrap().text, "b.tar.xz", &again).unwrap();
        assert_eq!(unpinned, BTreeSet::from(["a.tar.xz".to_owned()]));
        assert!(!text.contains(&one.digest.to_string()) && text.contains(&again.digest.to_string()));
        assert_eq!(text.matches("gcc 12.2").count(), 1);
        assert!(pin("x = ", "a", &one).is_err() && pin("profile = 1", "a", &one).is_err());
        // The file stays while it is pinned for another release.
        let both = format!("{}\n", pin(&REAL, "a.tar.xz", &one).unwrap().text).replace(
            "[profile]\n",
            &format!(
                "[profile]\n\"3.12.7\".x86_64-linux-gnu.\"gcc 12.2\" = {{ file = \"a.tar.xz\", sha256 = \"{}\" }}\n",
                one.digest
            ),
        );
        let Pinned { text, unpinned } = pin(&both, "b.tar.xz", &again).unwrap();
        assert!(unpinned.is_empty() && text.contains("a.tar.xz"), "{text}");
        Recipe::parse("3.12.toml", &text).unwrap();
    }

    #[test]
    fn an_overlay_that_says_nothing_else_takes_the_place_of_the_profile_compiled_in() {
        let mut one = profile("3.13.5", Variant::Default, "gcc 12.2");
        let text = pin("extends = \"3.13\"\n", "a.tar.xz", &one).unwrap().text;
        one.manifest.variant = Variant::FreeThreaded;
        let text = pin(&text, "t.tar.xz", &one).unwrap().text;
        let recipe = Recipe::parse("3.13.toml", &text).unwrap();
        let row = recipe.releases.iter().find(|row| row.version.to_string() == "3.13.5").unwrap();
        let files = |variant| {
            let release = recipe.release(row, variant).unwrap();
            let of_compiler = release.profiles.iter().filter(|pinned| pinned.compiler.to_string() == "gcc 12.2");
            of_compiler.map(|pinned| pinned.file.clone()).collect::<Vec<_>>()
        };
        assert_eq!(files(Variant::Default), ["a.tar.xz"]);
        assert_eq!(files(Variant::FreeThreaded), ["t.tar.xz"]);
        assert_eq!(files(Variant::Debug), [""; 0]);
    }
}
