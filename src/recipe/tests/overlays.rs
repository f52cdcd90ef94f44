//! What an overlay changes, and what it leaves.

use super::*;

#[test]
fn an_overlay_says_only_what_differs() {
    let sum = "a".repeat(64);
    let patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n";
    let text = format!(
        "extends = \"3.13\"\n\
         remove = [\"variant.d\", 'release.\"3.13.0\"']\n\
         configure.arguments.add = [\"--with-dtrace\"]\n\
         release.\"3.13.5\".built-variants.remove = [\"d\"]\n\
         source.mirrors.add = [\"https://mirror.test/{{file}}\"]\n\
         release.\"3.13.99\" = {{ xz = \"{sum}\" }}\n\
         patch.ours = {{ file = \"3.13/ours.patch\", sha256 = \"{}\" }}\n",
        Digest::of(patch)
    );
    let directory = overlay(&[("3.13.toml", &text)]);
    fs_err::create_dir_all(directory.path().join("patches/3.13")).unwrap();
    fs_err::write(directory.path().join("patches/3.13/ours.patch"), patch).unwrap();
    let (plain, catalog) = (Catalog::load(None).unwrap(), Catalog::load(Some(directory.path())).unwrap());
    let series = "3.13".parse().unwrap();
    let (before, after) = (plain.get(series).unwrap(), catalog.get(series).unwrap());
    assert_eq!(after.file, directory.path().join("3.13.toml").display().to_string());
    let mut expected = before.shared.as_ref().clone();
    expected.configure.arguments.push("--with-dtrace".into());
    expected.source.mirrors.push("https://mirror.test/{file}".into());
    // By name: between `late-threads-hang` and `prefix-of-running-program`.
    expected.patches.insert(2, Patch { file: "3.13/ours.patch".into(), sha256: Digest::of(patch) });
    assert_eq!(*after.shared, expected);
    let versions = |recipe: &Recipe| recipe.releases.iter().map(|row| row.version.to_string()).collect::<Vec<_>>();
    let mut rows = versions(before);
    rows.remove(0);
    rows.push("3.13.99".into());
    assert_eq!(versions(after), rows);
    assert_eq!(after.variants.keys().copied().collect::<Vec<_>>(), [Variant::FreeThreaded]);
    // No other series is another.
    for recipe in plain.recipes().filter(|recipe| recipe.series != series) {
        assert_eq!(catalog.get(recipe.series), Some(recipe));
    }
    assert_eq!(catalog.patches(&release(after, "3.13.99", Variant::Default)).unwrap()[2].text, patch);
    assert_eq!(check_file(&directory.path().join("3.13.toml")).unwrap(), std::slice::from_ref(after));
}

#[test]
fn a_common_file_of_an_overlay_changes_all_series() {
    let common = "extends = \"common\"\nsource.mirrors.add = [\"https://mirror.test/{file}\"]\n";
    let directory =
        overlay(&[("common.toml", common), ("3.12.toml", "extends = \"3.12\"\nend-of-life = \"2028-11\"\n")]);
    let (plain, catalog) = (Catalog::load(None).unwrap(), Catalog::load(Some(directory.path())).unwrap());
    for (before, after) in plain.recipes().zip(catalog.recipes()) {
        assert_eq!(after.shared.source.mirrors, ["https://mirror.test/{file}"], "{}", after.series);
        assert_eq!(after.shared.configure, before.shared.configure);
    }
    assert_eq!(check_file(&directory.path().join("common.toml")).unwrap().len(), plain.recipes().count());

    // Files of its own that its series extend.
    let ours = "extends = \"common\"\n";
    let newest = plain.resolved("3.15".parse().unwrap()).unwrap();
    let series = newest.replacen("series", "extends = \"ours\"\nseries", 1);
    let directory = overlay(&[("ours.toml", ours), ("3.15.toml", &series)]);
    let recipe = |catalog: &Catalog| catalog.get("3.15".parse().unwrap()).unwrap().shared.clone();
    assert_eq!(recipe(&Catalog::load(Some(directory.path())).unwrap()).modules, recipe(&plain).modules);
    let directory = overlay(&[("ours.toml", ours)]);
    let message = Catalog::load(Some(directory.path())).unwrap_err().to_string();
    assert!(message.contains("ours.toml:1:1: it has no `series`, and no recipe extends it"), "{message}");
    let directory = overlay(&[("a.toml", "extends = \"b\"\n"), ("b.toml", "extends = \"a\"\n")]);
    let message = Catalog::load(Some(directory.path())).unwrap_err().to_string();
    assert!(message.contains("extend each other"), "{message}");
    let directory = overlay(&[(
        "3.12.toml",
        "extends = \"3.12\"\nseries = \"3.13\"\nremove = [\"release\", \"profile\"]\n[release]\n",
    )]);
    let message = Catalog::load(Some(directory.path())).unwrap_err().to_string();
    assert!(message.contains("3.12.toml:1:1: the recipe of Python 3.13 has to be named 3.13.toml"), "{message}");
}
