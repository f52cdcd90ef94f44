//! An entry for other tests, and what two entries and two locks differ in.

use super::*;
use crate::domain::fixtures::manifest;
use crate::domain::plan::tests::plan;
use crate::domain::rebuild::Topic;

/// An entry of a made-up artifact.
pub(crate) fn entry(version: &str) -> (LockedRequest, LockedArtifact) {
    let mut manifest = manifest();
    manifest.compiled_in.insert("mpdecimal".into(), Some("2.5.1".into()));
    manifest.compiled_in.insert("HACL*".into(), None);
    let record = ArtifactRecord {
        name: manifest.name.clone(),
        build_key: manifest.build_key,
        request_key: manifest.request_key,
        digest: Digest::of("tarball"),
        size: 9_042_342,
        manifest_digest: Digest::of(manifest.to_json()),
        debug_digest: None,
        published: 1,
        glibc_floor: manifest.glibc_floor,
    };
    let request = LockedRequest { version: version.parse().unwrap(), flavor: Flavor::Runtime, target: Target::X86_64 };
    (request, LockedArtifact::of(&record, &manifest, &PrefixTemplate::DEFAULT.parse().unwrap()))
}

fn lock(entries: impl IntoIterator<Item = (LockedRequest, LockedArtifact)>) -> PykeelLock {
    PykeelLock { entries: entries.into_iter().collect() }
}

#[test]
fn an_entry_has_the_versions_of_what_is_linked_loaded_and_compiled_in() {
    let (_, artifact) = entry("3.13");
    assert_eq!(artifact.plan.libraries, BTreeMap::from([("openssl".into(), "3.0.1".into())]));
    assert_eq!(artifact.compiled_in, BTreeMap::from([("mpdecimal".into(), "2.5.1".into())]));
    assert_eq!(artifact.version().to_string(), "3.13.5");
    let mut half_upgraded = plan();
    half_upgraded.loaded[0].source_version = "3.0.2".into();
    let described = LockedPlan::of(&half_upgraded, &PrefixTemplate::DEFAULT.parse().unwrap());
    assert_eq!(described.libraries["openssl"], "3.0.1, 3.0.2");
}

#[test]
fn a_version_means_the_request_of_its_words_and_else_the_release() {
    let at = |request: LockedRequest, flavor| LockedRequest { flavor, ..request };
    let (series, artifact) = entry("3.13");
    let (latest, _) = entry("latest");
    let both = lock([(series, artifact.clone()), (latest, artifact.clone())]);
    let meant = |lock: &PykeelLock, text: &str| lock.meant_by(text.parse().unwrap(), Target::X86_64);
    assert_eq!(meant(&both, "3.13"), [series]);
    // Both are the same artifact.
    assert_eq!(meant(&both, "3.13.5"), [latest]);
    assert_eq!(meant(&both, "3.13.4"), []);
    assert_eq!(meant(&both, "3.13.5t"), []);
    assert!(both.meant_by("3.13".parse().unwrap(), Target::Aarch64).is_empty());
    // Here they are not.
    let other = LockedArtifact { digest: Digest::of("other"), ..artifact.clone() };
    let two = lock([(series, artifact.clone()), (latest, other)]);
    assert_eq!(meant(&two, "3.13.5"), []);
    let builder = at(series, Flavor::Builder);
    assert_eq!(meant(&lock([(series, artifact.clone()), (builder, artifact)]), "3.13.5"), [series, builder]);
}

#[test]
fn a_release_answers_what_can_mean_it() {
    for (request, release, expected) in [
        ("3.13", "3.13.5", true),
        ("3.13", "3.14.0", false),
        ("3.13.5", "3.13.5", true),
        ("3.13.5", "3.13.6", false),
        ("latest", "3.14.0", true),
        ("latest", "3.15.0b4", false),
    ] {
        let release = release.parse().unwrap();
        assert_eq!(answers(request.parse().unwrap(), release, Variant::Default), expected, "{request} {release}");
        assert!(!answers(request.parse().unwrap(), release, Variant::Debug));
    }
    assert!(answers("3.13t".parse().unwrap(), "3.13.5".parse().unwrap(), Variant::FreeThreaded));
}

#[test]
fn what_differs_between_two_entries_is_named_once() {
    let (_, before) = entry("3.13");
    let names = |change: &dyn Fn(&mut crate::domain::plan::BuildPlan)| {
        let mut plan = plan();
        change(&mut plan);
        let after = LockedArtifact {
            plan: LockedPlan::of(&plan, &before.plan.options.prefix),
            digest: Digest::of("another"),
            ..before.clone()
        };
        let all = differences(&rows(&before), &rows(&after));
        assert!(all.iter().any(|change| change.name == "sha256"));
        essential(&all).into_iter().map(|change| change.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&|_| {}), ["sha256"]);
    assert_eq!(names(&|plan| plan.request.release = "3.13.7".parse().unwrap()), ["CPython"]);
    assert_eq!(names(&|plan| plan.libraries[0].source_version = "3.0.2".into()), ["OpenSSL"]);
    assert_eq!(names(&|plan| plan.libraries[0].sha256 = Digest::of("rebuilt")), ["library files"]);
    assert_eq!(names(&|plan| plan.toolchain.compiler = "gcc 14".into()), ["compiler"]);
    let linker = |plan: &mut crate::domain::plan::BuildPlan| {
        plan.toolchain.programs.insert("ld".into(), Digest::of("ld"));
    };
    assert_eq!(names(&linker), ["toolchain"]);
    assert_eq!(names(&|plan| plan.configure.push("--x".into())), ["recipe's instructions"]);
    assert_eq!(names(&|plan| plan.provenance.environment.push("sed".into())), ["environment packages"]);
    assert_eq!(names(&|plan| plan.provenance.recipe = None), ["sha256"]);
    assert_eq!(names(&|plan| plan.strip.push("x".into())), ["recipe's instructions"]);
    assert_eq!(names(&|plan| plan.profile = Some(Digest::of("profile"))), ["profile"]);
    let flags = |plan: &mut crate::domain::plan::BuildPlan| {
        plan.request.policies.compiler_variables.insert("CFLAGS".into(), "-O1".into());
        plan.environment.insert("CFLAGS".into(), "-O1".into());
    };
    assert_eq!(names(&flags), ["CFLAGS"]);
    let debug = |plan: &mut crate::domain::plan::BuildPlan| {
        plan.request.policies.debug_files = true;
        plan.strip.push("x".into());
    };
    assert_eq!(names(&debug), ["debug files"]);
    let with_profile = |plan: &mut crate::domain::plan::BuildPlan| {
        plan.request.named_profile = Some(Digest::of("named"));
        plan.strip.push("x".into());
    };
    assert_eq!(names(&with_profile), ["named profile"]);
}

#[test]
fn a_copy_that_is_compiled_in_is_no_library_with_files() {
    let (_, before) = entry("3.13");
    let mut after = before.clone();
    after.compiled_in.insert("expat".into(), "2.7.1".into());
    after.plan.inputs.library_files = Digest::of("other");
    after.plan.inputs.patches = Digest::of("other");
    let all = differences(&rows(&before), &rows(&after));
    let found = essential(&all);
    let names: Vec<&str> = found.iter().map(|difference| difference.name.as_str()).collect();
    assert_eq!(names, ["expat, compiled in", "library files", "patches"]);
    assert_eq!(topics(&found), [Topic::Recipe, Topic::System]);
}

/// A lock chooses the names of its libraries, copies and variables.
#[test]
fn no_name_in_a_lock_hides_another_fact() {
    let (_, mut truth) = entry("3.13");
    truth.plan.libraries.insert("sqlite3".into(), "3.40.1".into());
    let found = |lie: &LockedArtifact| {
        let all = differences(&rows(lie), &rows(&truth));
        all.into_iter().map(|difference| difference.name).collect::<Vec<_>>()
    };
    let mut lie = truth.clone();
    lie.plan.build_key = Digest::of("lie");
    lie.plan.libraries.insert("build key".into(), truth.plan.build_key.to_string());
    assert_eq!(found(&lie), ["build key", "build key (library)"]);
    let mut lie = truth.clone();
    lie.plan.libraries.insert("sqlite".into(), "9".into());
    assert_eq!(found(&lie), ["SQLite"]);
    lie.plan.libraries.insert("sqlite3".into(), "9".into());
    assert_eq!(found(&lie), ["sqlite3 (library)", "sqlite (library)"]);
    let mut lie = truth.clone();
    lie.plan.options.shared = true;
    lie.plan.options.compiler_variables.insert("shared".into(), "false".into());
    assert_eq!(found(&lie), ["shared", "shared (variable)"]);
    // One argument with a space is not two.
    let mut lie = truth.clone();
    lie.plan.options.configure_arguments = vec!["--a --b".into()];
    truth.plan.options.configure_arguments = vec!["--a".into(), "--b".into()];
    assert_eq!(differences(&rows(&lie), &rows(&truth))[0].name, "configure arguments");
}

/// A field that no row shows could differ without a word.
#[test]
fn every_field_of_an_entry_is_in_a_row() {
    let (_, mut entry) = entry("3.13");
    let value = serde_json::to_value(&entry).unwrap();
    let fields = |value: &serde_json::Value| value.as_object().map_or(0, serde_json::Map::len);
    // Release and variant are one row; remotes, a profile, a named profile, arguments and variables are rows if there are any;
    // libraries and copies that are compiled in are a row each.
    let top = fields(&value) - ["variant", "options", "inputs", "libraries", "compiled_in", "remotes"].len();
    let options = fields(&value["options"]) - ["profile", "configure_arguments", "compiler_variables"].len();
    let inputs = fields(&value["inputs"]) - ["profile"].len();
    let copies = fields(&value["libraries"]) + fields(&value["compiled_in"]);
    assert_eq!(rows(&entry).len(), top + options + inputs + copies);
    entry.remotes.insert("https://pythons.test".into());
    assert_eq!(rows(&entry).len(), top + options + inputs + copies + 1);
}

#[test]
fn an_entry_of_a_lock_is_added_changed_or_removed() {
    let (request, artifact) = entry("3.13");
    let one = lock([(request, artifact.clone())]);
    assert!(changes(&one, &one).is_empty());
    let [added] = &changes(&PykeelLock::default(), &one)[..] else { panic!() };
    assert!(added.before.is_none() && added.after.is_some());
    let [removed] = &changes(&one, &PykeelLock::default())[..] else { panic!() };
    assert!(removed.before.is_some() && removed.after.is_none());
    let other = lock([(request, LockedArtifact { size: 1, ..artifact })]);
    let [changed] = &changes(&one, &other)[..] else { panic!() };
    assert_eq!(changed.differences[0].name, "size");
    assert_eq!(changed.request.to_string(), "3.13 (runtime, x86_64-linux-gnu)");
}
