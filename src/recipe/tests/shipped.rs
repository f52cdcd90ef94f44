//! The recipes compiled in.

use super::*;

#[test]
fn the_own_recipe_is_sound() {
    let catalog = Catalog::load(None).unwrap();
    let recipe = catalog.get("3.13".parse().unwrap()).unwrap();
    assert_eq!(recipe.newest().unwrap().version.to_string(), "3.13.18");
    let variants: Vec<_> = recipe.variants.keys().map(|variant| variant.name()).collect();
    assert_eq!(variants, ["t", "d"]);
    // A module with a library of its own names it, or preflight would miss a header.
    let linked: BTreeSet<_> = recipe.shared.libraries.iter().flat_map(|library| &library.modules).collect();
    for module in ["_ssl", "_hashlib", "_sqlite3", "zlib", "_bz2", "_lzma", "_ctypes", "_curses", "readline", "_uuid"] {
        assert!(linked.contains(&module.to_owned()), "{module}");
    }
    assert_eq!(recipe.shared.source.pool.as_deref(), Some("python3.13"));
}

#[test]
fn every_series_is_the_same_read_from_its_whole_text() {
    let catalog = Catalog::load(None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for recipe in catalog.recipes() {
        let text = catalog.resolved(recipe.series).unwrap();
        assert!(!text.contains("extends"), "{text}");
        fs_err::write(directory.path().join(format!("{}.toml", recipe.series)), &text).unwrap();
    }
    let again = Catalog::load(Some(directory.path())).unwrap();
    for recipe in catalog.recipes() {
        let read = again.get(recipe.series).unwrap();
        assert_eq!(Recipe { file: recipe.file.clone(), ..read.clone() }, *recipe);
        assert_eq!(again.resolved(recipe.series).unwrap(), catalog.resolved(recipe.series).unwrap());
    }
}

#[test]
fn every_recipe_is_sound_and_lists_its_releases_in_order() {
    let catalog = Catalog::load(None).unwrap();
    assert!(catalog.recipes().count() >= 7);
    for recipe in catalog.recipes() {
        let series = recipe.series;
        assert!(recipe.end_of_life.is_some(), "{series}");
        let text = RECIPES.get_file(format!("{series}.toml")).unwrap().contents_utf8().unwrap();
        let rows = text
            .lines()
            .skip_while(|line| *line != "[release]")
            .filter_map(|line| line.strip_prefix('"')?.split_once("\" = {"));
        let versions: Vec<Release> = rows.map(|(version, _)| version.parse().unwrap()).collect();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{series}: {versions:?}");
        assert_eq!(versions, recipe.releases.iter().map(|row| row.version).collect::<Vec<_>>());
    }
}

#[test]
fn every_file_that_is_there_belongs_to_a_series() {
    let files = Files::read(None).unwrap();
    let mut used = BTreeSet::new();
    for (name, _) in files.series() {
        used.extend(files.merged(name).unwrap().1.files().map(str::to_owned));
    }
    let all: BTreeSet<_> = files.names().into_iter().map(|name| format!("recipes/{name}.toml")).collect();
    assert_eq!(used, all);
}

#[test]
fn the_recipes_say_each_thing_once() {
    let texts: Vec<&str> = RECIPES
        .files()
        .filter(|file| file.path().extension() == Some("toml".as_ref()))
        .map(|file| file.contents_utf8().unwrap())
        .collect();
    let says = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).filter(says).collect();
    let unique: BTreeSet<_> = lines.iter().collect();
    // In percent: 17 of 20.
    assert!(unique.len() * 100 >= lines.len() * 85, "{} of {} lines are unique", unique.len(), lines.len());
}

#[test]
fn the_newest_series_need_few_lines() {
    for (name, text) in [
        ("3.14.toml", include_str!("../../../recipes/3.14.toml")),
        ("3.15.toml", include_str!("../../../recipes/3.15.toml")),
    ] {
        assert!(text.contains("extends = \"common\"\n"), "{name}");
        assert!(text.lines().count() <= 60, "{name}: {} lines", text.lines().count());
    }
}

#[test]
fn every_patch_that_is_there_belongs_to_a_recipe() {
    let catalog = Catalog::load(None).unwrap();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for patch in catalog.recipes().flat_map(|recipe| &recipe.shared.patches) {
        *used.entry(&patch.file).or_default() += 1;
    }
    let mut texts = BTreeMap::new();
    for directory in catalog::PATCHES.dirs() {
        for file in directory.files() {
            let name = file.path().to_str().unwrap();
            let count = used.get(name).copied().unwrap_or_default();
            assert!(count > 0, "no recipe uses patches/{name}");
            assert_eq!(count > 1, name.starts_with("common/"), "{name} serves {count} series");
            let text = file.contents_utf8().unwrap();
            // Where the hunks lie in each series does not matter: they are looked for.
            let hunks: Vec<&str> = text.lines().map(|line| if line.starts_with("@@ ") { "@@" } else { line }).collect();
            assert_eq!(texts.insert(hunks, name), None, "{name} is there twice");
            let prose = text.split("--- a/").next().unwrap_or_default();
            assert!(prose.lines().filter(|line| !line.is_empty()).count() > 1, "{name} does not say why it exists");
        }
    }
}

#[test]
fn a_sum_is_of_one_release_alone() {
    let mut seen = BTreeMap::new();
    for recipe in Catalog::load(None).unwrap().recipes() {
        for row in &recipe.releases {
            for sum in [row.sums.xz, row.sums.tgz].into_iter().flatten() {
                assert_eq!(seen.insert(sum, row.version), None, "{} has the sum of another", row.version);
            }
        }
    }
}

#[test]
fn the_profiles_are_small_enough_to_be_compiled_in() {
    let sizes = RECIPES.get_dir("profiles").unwrap().files().map(|file| file.contents().len());
    assert!(sizes.sum::<usize>() <= 8_000_000);
}

#[test]
fn a_release_without_a_profile_has_that_of_the_nearest_one() {
    let rows = "\"3.12.1\".x86_64-linux-gnu.\"gcc 12.2\" = { file = \"a\", sha256 = \"@a\" }\n\
                \"3.12.6\".x86_64-linux-gnu.\"gcc 12.2\" = { file = \"b\", sha256 = \"@b\" }\n\
                \"3.12.6\".x86_64-linux-gnu.\"gcc 14.2\" = { file = \"c\", sha256 = \"@c\" }\n";
    let rows = ["a", "b", "c"]
        .iter()
        .fold(rows.to_owned(), |text, name| text.replace(&format!("@{name}"), &Digest::of(name).to_string()));
    let text = include_str!("../../../recipes/3.12.toml");
    let (before, after) = text.split_once("[release]\n").unwrap();
    let before = before.split("[profile]\n").next().unwrap();
    let recipe = Recipe::parse("3.12.toml", &format!("{before}[profile]\n{rows}\n[release]\n{after}")).unwrap();
    let files = |version: &str, variant| {
        let row = recipe.releases.iter().find(|row| row.version.to_string() == version).unwrap();
        let profiles = recipe.release(row, variant).unwrap().profiles;
        let mut files: Vec<String> = profiles.into_iter().map(|profile| profile.file).collect();
        files.sort_unstable();
        files
    };
    assert_eq!(files("3.12.1", Variant::Default), ["a", "c"]);
    assert_eq!(files("3.12.3", Variant::Default), ["a", "c"]);
    assert_eq!(files("3.12.7", Variant::Default), ["b", "c"]);
    assert_eq!(files("3.12.7", Variant::Debug), [""; 0]);
}
