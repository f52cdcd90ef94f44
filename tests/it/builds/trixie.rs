//! Debian 13 as the build host and as the runtime image.

use std::path::Path;

use serde_json::Value;

use crate::debian::{Root, cannot_enter, made_once, minbase, trixie};
use crate::missing::Missing;
use crate::on_cpython::roots::probe_by;
use crate::on_cpython::system::{WITHOUT_LIBRARIES, works_with_the_listed_packages};
use crate::skip;
use crate::support::{Artifact, RELEASE, artifact, check, pykeel, run, shared_store, unpack};
use crate::toy::Toy;

const PREFIX: &str = "/opt/myorg/python-3.13";

/// A system to build in: what `--install-deps` installs in the first run is kept.
pub(super) fn builder(name: &str, template: &Path, store: &Path, release: &str) -> Root {
    let root = made_once(&format!("pykeel-tests-{name}-builder"), |root| {
        check("cp", &[Path::new("-a"), template, root]);
        let root = Root::at(root.to_owned()).with_pykeel(store);
        // Nothing is there yet, and all of it is said at once.
        let ended = run(&mut root.command(&["pykeel", "build", release, "--allow-eol", "--offline"])).exits(1);
        ended.says(&["openssl/ssl.h", "ffi.h", "make", "gcc", "apt-get update && apt-get install", "zlib1g-dev"]);
    });
    Root::at(root).with_pykeel(store)
}

/// A store for what Debian 13 makes, with the source that the shared store has.
fn store() -> std::path::PathBuf {
    artifact("runtime");
    made_once("pykeel-tests-trixie-store", |store| {
        fs_err::create_dir_all(store).expect("a directory");
        check("cp", &[Path::new("-a"), &shared_store().join("sources"), store]);
    })
}

fn texts(list: &Value, key: &str) -> Vec<String> {
    let texts = list.as_array().expect("a list").iter();
    texts.map(|entry| entry[key].as_str().expect(key).to_owned()).collect()
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5 in a Debian 13"]
fn a_build_on_debian_13_runs_on_debian_13() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let template = match trixie() {
        Ok(template) => template,
        Err((missing, reason)) => skip!(missing, "{reason}"),
    };
    let store = store();
    let builder = builder("trixie", &template, &store, RELEASE);
    let store_text = store.to_str().expect("UTF-8");

    // The real build, both flavors. Verification is a part of it.
    let words = ["pykeel", "--store", store_text, "build", RELEASE, "--flavor", "all", "--install-deps", "--json"];
    let ended = run(&mut builder.command(&words)).exits(0);
    let built: Vec<Artifact> = ended.json().as_array().expect("an array").iter().map(Artifact::built).collect();
    let runtime = built.iter().find(|built| built.name.contains("-runtime-")).expect("both flavors");
    let packages = texts(&runtime.manifest["libraries"], "package");
    assert!(packages.contains(&"libssl3t64".to_owned()), "{packages:?}");

    // It needs nothing of the root but glibc.
    let bare = Root::copy_of(&template);
    for artifact in &built {
        let prefix = bare.path().join(&PREFIX[1..]);
        let _absent = fs_err::remove_dir_all(&prefix);
        unpack(artifact, &prefix);
        probe_by(bare.path(), |words| bare.command(words), artifact, PREFIX, &["tzdata"]);
    }

    // Libraries of the system: names of packages are this release's.
    let toy = Toy::of(runtime, WITHOUT_LIBRARIES);
    let mut words = vec!["env".to_owned()];
    words.extend(
        ["STORE", "RECIPES"]
            .iter()
            .zip([toy.store(), toy.path("recipes")])
            .map(|(name, path)| format!("PYKEEL_{name}={}", path.display())),
    );
    words.extend(["pykeel", "build", RELEASE, "--optimize", "none", "--libraries", "system"].map(str::to_owned));
    words.extend(["--offline", "--json"].map(str::to_owned));
    words.extend(["--mirror".to_owned(), toy.mirror().display().to_string()]);
    let ended = run(&mut builder.command(&words)).exits(0);
    let system = Artifact::built(&ended.json()[0]);
    let listed = system.manifest["runtime_packages"].to_string();
    assert!(listed.contains("\"libssl3t64\"") && !listed.contains("\"libssl3\""), "{listed}");
    works_with_the_listed_packages(&Root::copy_of(&template), &system, &toy.store());

    installs_by_floor(runtime, &store, &template);
}

/// A store with the artifacts of two releases gives each system the one that it can run.
fn installs_by_floor(newer: &Artifact, newer_store: &Path, trixie: &Path) {
    let older = artifact("runtime");
    if older.manifest["glibc_floor"] == newer.manifest["glibc_floor"] {
        skip!(Missing::OlderGlibc, "this host's builds have the floor of Debian 13's");
    }
    let place = tempfile::tempdir().expect("a directory");
    let both = place.path().join("both");
    let alone = place.path().join("alone");
    let take = |artifact: &Artifact, from: &Path, into: &Path| {
        fs_err::create_dir_all(into.join("artifacts")).expect("a directory");
        let entry = Path::new("artifacts").join(&artifact.build_key);
        check("cp", &[Path::new("-a"), &from.join(&entry), &into.join("artifacts")]);
    };
    take(&older, &shared_store(), &both);
    take(newer, newer_store, &both);
    take(newer, newer_store, &alone);
    // A root is known by its glibc alone.
    let root_of = |template: &Path, name: &str| {
        let root = place.path().join(name);
        let library = format!("usr/lib/{}-linux-gnu/libc.so.6", std::env::consts::ARCH);
        fs_err::create_dir_all(root.join(&library).parent().expect("a parent")).expect("a directory");
        fs_err::copy(template.join(&library), root.join(&library)).expect("glibc");
        root
    };
    let install = |store: &Path, root: &Path| {
        let mut command = pykeel();
        command.args(["install", RELEASE, "--no-build", "--json", "--root"]).arg(root).env("PYKEEL_STORE", store);
        run(&mut command)
    };
    let new_root = root_of(trixie, "trixie");
    let old = match minbase() {
        Ok(template) => root_of(&template, "old"),
        Err((missing, reason)) => skip!(missing, "{reason}"),
    };
    assert_eq!(install(&both, &old).exits(0).json()[0]["name"], older.name.as_str());
    // The older one runs on the newer system.
    let mut command = pykeel();
    command.args(["install", &format!("sha256:{}", older.digest), "--json", "--root"]).arg(&new_root);
    run(command.env("PYKEEL_STORE", &both)).exits(0);
    assert_eq!(install(&alone, &new_root).exits(0).json()[0]["name"], newer.name.as_str());
    let floor = newer.manifest["glibc_floor"].as_str().expect("a floor");
    install(&alone, &old).exits(2).says(&[&newer.name, &format!("needs glibc {floor}, and this system has ")]);
    // And it does run there, with its own libraries.
    let root = Root::copy_of(trixie);
    unpack(&older, &root.path().join(&PREFIX[1..]));
    probe_by(root.path(), |words| root.command(words), &older, PREFIX, &["tzdata"]);
}
