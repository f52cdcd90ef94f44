//! The recipes of all series, as far as can be told without their sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::level;
use crate::support::{pykeel, run};
use crate::toy::{Behaviour, Toy};

/// What `list --all` says, by series.
fn rows() -> BTreeMap<String, Vec<Value>> {
    let rows = run(pykeel().args(["list", "--all", "--json"])).exits(0).json();
    let mut by_series = BTreeMap::<String, Vec<Value>>::new();
    for row in rows.as_array().expect("an array") {
        by_series.entry(text(row, "series")).or_default().push(row.clone());
    }
    by_series
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().expect(key).to_owned()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    value[key].as_array().expect(key).iter().map(|text| text.as_str().expect(key).to_owned()).collect()
}

/// The plans of the newest and the oldest release of a series, in the full run of every one, and of
/// the newest in each variant.
fn plans(rows: &[Value]) -> Vec<Value> {
    let all = || rows.iter().collect::<Vec<_>>();
    let ends = || rows.first().into_iter().chain(rows.get(1..).and_then(<[Value]>::last)).collect::<Vec<_>>();
    let of_run = if level::is_full() { all() } else { ends() };
    let newest = rows.first().expect("a release");
    let variants = texts(newest, "variants").into_iter().map(|variant| format!("{}{variant}", text(newest, "version")));
    let versions: Vec<String> = of_run.into_iter().map(|row| text(row, "version")).chain(variants).collect();
    let ended = run(pykeel().arg("build").args(&versions).args(["--dry-run", "--allow-eol", "--json"])).exits(0);
    let plans = ended.json().as_array().expect("an array").clone();
    assert_eq!(plans.len(), versions.len(), "one plan for each of {versions:?}");
    plans
}

#[test]
fn every_release_has_a_plan_and_so_has_each_variant() {
    let mut plans_of_all = 0;
    let mut distinct = BTreeSet::new();
    for (series, rows) in rows() {
        let free_threaded = series.split_once('.').expect("a series").1.parse::<u8>().expect("a number") >= 13;
        for plan in plans(&rows) {
            let (release, variant) = (text(&plan["request"], "release"), text(&plan["request"], "variant"));
            assert_eq!(plan["request"]["prefix"], format!("/opt/myorg/python-{series}{variant}"));
            let configure = texts(&plan, "configure");
            let has = |argument: &str| configure.iter().any(|given| given == argument);
            assert_eq!(has("--disable-gil"), variant == "t", "{release}{variant}");
            assert_eq!(has("--with-pydebug"), variant == "d", "{release}{variant}");
            assert!(free_threaded || variant != "t", "{release}{variant}");
            // What is linked is what the modules need, and none of it is GPL.
            let linked: Vec<String> =
                plan["libraries"].as_array().expect("a list").iter().map(|library| text(library, "soname")).collect();
            let links = |name: &str| linked.iter().any(|soname| soname.starts_with(&format!("{name}.so")));
            let builds = |name: &str| texts(&plan, "modules").iter().any(|module| module == name);
            assert!(links("libssl") && links("libcrypto") && links("libsqlite3"), "{release}: {linked:?}");
            assert_eq!(builds("_zstd"), links("libzstd"), "{release}: {linked:?}");
            assert!(!links("libreadline") && !links("libgdbm"), "{release}: {linked:?}");
            plans_of_all += 1;
            distinct.insert(plan.to_string());
        }
    }
    assert_eq!(distinct.len(), plans_of_all, "two releases have one plan");
    assert!(plans_of_all >= level::count(50, 20), "{plans_of_all}");
}

#[test]
fn a_missing_header_of_a_newer_series_is_named_with_its_package() {
    // As on a machine without it: a recipe that wants a header which no package has.
    let directory = tempfile::tempdir().expect("a directory");
    let headers = "headers.remove = [\"zdict.h\"]\nheaders.add = [\"zdict-that-is-not-there.h\"]";
    let recipe = format!("extends = \"3.14\"\n[library.zstd]\n{headers}\n");
    fs_err::write(directory.path().join("3.14.toml"), recipe).expect("a file");
    let ended = run(pykeel().args(["build", "3.14", "--dry-run", "--recipes"]).arg(directory.path())).exits(1);
    ended.says(&["zdict-that-is-not-there.h", "libzstd-dev"]);
}

#[test]
fn a_series_means_its_newest_release_that_is_no_pre_release() {
    for (series, rows) in rows() {
        let newest = rows.iter().find(|row| row["pre_release"] == false).expect("a release");
        let shown = run(pykeel().args(["recipe", "show", &series, "--json"])).exits(0).json();
        assert_eq!(shown["version"], newest["version"], "{series}");
    }
    let pre_releases: Vec<String> = rows()
        .into_values()
        .flatten()
        .filter(|row| row["pre_release"] == true)
        .map(|row| text(&row, "version"))
        .collect();
    assert_eq!(pre_releases, ["3.15.0b4"]);
}

#[test]
fn an_overlay_says_only_what_differs_and_has_artifacts_of_its_own() {
    let plan = |arguments: &[&str]| {
        let mut command = pykeel();
        command.args(["build", "3.13.5", "--dry-run", "--optimize", "none", "--json"]).args(arguments);
        run(&mut command).exits(0).json()[0].clone()
    };
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("UTF-8");
    let recipe = |text: &str| fs_err::write(directory.path().join("3.13.toml"), text).expect("a file");
    let standard = plan(&[]);
    recipe("extends = \"3.13\"\nlibrary.zlib.debian = \"zlib-dev\"\n# A comment.\npgo.max-dropped = 1\n");
    assert_eq!(plan(&["--recipes", path]), standard, "a hint decides nothing");
    recipe("extends = \"3.13\"\nconfigure.arguments.add = [\"--with-dtrace\"]\n");
    let other = plan(&["--recipes", path]);
    let mut expected = texts(&standard, "configure");
    let place = expected.iter().position(|argument| argument.starts_with("ac_cv")).expect("an answer");
    expected.insert(place, "--with-dtrace".into());
    assert_eq!(texts(&other, "configure"), expected);
    // What the user has to copy is what the program prints.
    let whole = run(pykeel().args(["recipe", "show", "3.13t", "--toml"])).exits(0);
    recipe(&whole.out);
    assert_eq!(plan(&["--recipes", path]), standard);
    run(pykeel().args(["recipe", "show", "3.13", "--toml", "--json"])).exits(2).says(&["--toml", "--json"]);
    run(pykeel().args(["recipe", "show", "3.13.99", "--toml"])).exits(2).says(&["no recipe for Python 3.13.99"]);
    // The place of a mistake is in the file that says it.
    recipe("extends = \"3.13\"\n\nconfigure.arguments.remove = [\"--with-dtrace\"]\n");
    let place = format!("{path}/3.13.toml:3:31: the inherited `configure.arguments` does not have it");
    run(pykeel().args(["list", "--all", "--recipes", path])).exits(2).says(&[&place]);
}

#[test]
fn a_profile_is_saved_into_an_overlay_that_says_only_what_differs() {
    let program = crate::on_toy::profiles::PROGRAM;
    let toy = Toy::without_tree(Behaviour { program, ..Behaviour::default() });
    let file = toy.path("recipes/3.13.toml");
    // The patches and profiles of the real recipe are of the real source.
    let differs = format!("extends = \"3.13\"\nremove = [\"patch\", \"profile\"]\nrelease.{}", toy.row("3.13.5"));
    fs_err::write(&file, &differs).expect("a file");
    let train = || {
        let mut command = toy.command(&["train", "3.13.5", "--save", "--json", "--offline", "--mirror"]);
        run(command.arg(toy.mirror())).exits(0).json()["saved"].as_str().expect("a path").to_owned()
    };
    let saved = train();
    let name = Path::new(&saved).file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let text = fs_err::read_to_string(&file).expect("a file");
    assert!(text.starts_with(&differs) && text.contains("\n[profile]\n\"3.13.5\".") && text.contains(&name), "{text}");
    run(toy.command(&["recipe", "check"]).arg(&file)).exits(0);
    let shown = run(&mut toy.command(&["recipe", "show", "3.13.5", "--json"])).exits(0).json();
    assert_eq!(shown["profiles"][0]["file"], name);
    assert_eq!(shown["patches"], serde_json::json!([]));
    // Trained with another task it is another file in the same line.
    let other = text.replacen("remove", "pgo.training.add = [[\"{training}/services.py\", \"1\"]]\nremove", 1);
    fs_err::write(&file, other).expect("a file");
    let again = train();
    assert!(again != saved && !Path::new(&saved).exists(), "{again}");
    let text = fs_err::read_to_string(&file).expect("a file");
    assert!(text.matches("x86_64-linux-gnu").count() <= 1 && !text.contains(&name), "{text}");
    // What is pinned is what is there.
    fs_err::write(&again, "other").expect("a file");
    let line = text.lines().position(|line| line.contains("sha256")).expect("the line") + 1;
    let place = format!("3.13.toml:{line}:");
    run(toy.command(&["recipe", "check"]).arg(&file)).exits(2).says(&[&place, "its SHA-256 is to be"]);
}

#[test]
fn what_no_plan_could_name_is_refused() {
    let toy = Toy::failing();
    let ended = run(toy.build_command().env("CFLAGS", "-O2 -march=native")).exits(2);
    ended.says(&["CFLAGS has `-march=native`", "-march=x86-64-v3"]);
    // What an administrator told configure for the prefix is not read.
    let toy_without = Toy::without_tree(Behaviour {
        configure: "test \"$CONFIG_SITE\" = /dev/null || exit 7",
        all: "echo configured; exit 1",
        ..Behaviour::default()
    });
    toy_without.build().exits(1).says(&["configured"]);
    // A header that somebody put there by hand.
    let header = toy.path("own.h");
    fs_err::write(&header, "").expect("a file");
    toy.write_recipe(|recipe| recipe.replace("openssl/ssl.h", header.to_str().expect("UTF-8")));
    toy.build().exits(4).says(&["own.h: no package owns it, and the build uses it", "remove it"]);
}

#[test]
fn an_artifact_that_a_changed_recipe_would_build_the_same_is_installed_once_a_build_says_so() {
    let toy = Toy::new(Behaviour::default());
    let digest = |ended: crate::support::Ended| ended.exits(0).json()[0]["digest"].clone();
    let standard = digest(toy.build());
    let install =
        |root: &str| run(toy.command(&["install", "3.13.5", "--no-build", "--no-sync", "--root"]).arg(toy.path(root)));
    install("before").exits(0);
    // It is of the other flavor alone.
    toy.write_recipe(|recipe| recipe.replace("pip = true", "pip = false"));
    install("unknown").exits(2).says(&["the store has no usable artifact of Python 3.13.5"]);
    assert_eq!(digest(toy.build()), standard, "nothing was built");
    install("known").exits(0);
}

#[test]
fn an_overlay_with_one_more_argument_never_gets_the_standard_artifact() {
    let toy = Toy::new(Behaviour::default());
    let key = |ended: &crate::support::Ended| ended.json()[0]["build_key"].clone();
    let standard = toy.build().exits(0);
    let install =
        || run(toy.command(&["install", "3.13.5", "--no-build", "--no-sync", "--root"]).arg(toy.path("root")));
    install().exits(0);
    toy.write_recipe(|recipe| {
        assert!(recipe.contains("\narguments = [\n"), "{recipe}");
        recipe.replacen("\narguments = [\n", "\narguments = [\n  \"--enable-something\",\n", 1)
    });
    install().exits(2).says(&["no usable artifact of Python 3.13.5"]);
    assert_ne!(key(&toy.build().exits(0)), key(&standard));
    install().exits(0);
}
