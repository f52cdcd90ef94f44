//! Ubuntu's releases as build hosts and as runtime images. Each builds the Python whose source its own pool has.

use pykeel::recipe::Catalog;

use crate::builds::other_pool::mirror_with;
use crate::builds::trixie::builder;
use crate::debian::{Root, cannot_enter, made_once, ubuntu};
use crate::missing::Missing;
use crate::on_cpython::roots::probe_by;
use crate::skip;
use crate::support::{Artifact, pykeel, run};

/// A release of Ubuntu.
struct Host {
    codename: &'static str,
    /// The Python that it has.
    release: &'static str,
    /// The package of its OpenSSL.
    openssl: &'static str,
    /// Further words of each build.
    words: &'static [&'static str],
}

/// 22.04. Its Python has reached its end of life, and no recipe pins a profile for it.
const JAMMY: Host =
    Host { codename: "jammy", release: "3.10.12", openssl: "libssl3", words: &["--allow-eol", "--optimize", "none"] };
/// 24.04, the first whose packages have names with `t64`.
const NOBLE: Host = Host { codename: "noble", release: "3.12.3", openssl: "libssl3t64", words: &[] };
/// 26.04.
const RESOLUTE: Host = Host { codename: "resolute", release: "3.14.4", openssl: "libssl3t64", words: &[] };

fn builds_and_runs_in(host: &Host) {
    let Host { codename, release, openssl, words } = host;
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let template = match ubuntu(codename) {
        Ok(template) => template,
        Err((missing, reason)) => skip!(missing, "{reason}"),
    };
    let Some(mirror) = mirror_with(release) else {
        skip!(Missing::Source("a release of Ubuntu's"), "no site has the source of {release} any more");
    };
    let store = made_once(&format!("pykeel-tests-{codename}-store"), |store| {
        fs_err::create_dir_all(store).expect("a directory");
    });
    let mirror = mirror.to_str().expect("UTF-8");
    let system = builder(codename, &template, &store, release).bind(mirror, mirror);
    let build = |more: &[&str]| -> Vec<Artifact> {
        let store = store.to_str().expect("UTF-8");
        let all = ["pykeel", "--store", store, "build", release, "--install-deps", "--json", "--mirror", mirror];
        // Verification is a part of it.
        let ended = run(&mut system.command(&[&all[..], words, more].concat())).exits(0);
        assert!(!ended.err.contains("no profile is pinned"), "{}", ended.err);
        ended.json().as_array().expect("an array").iter().map(Artifact::built).collect()
    };

    // Bundled libraries: it needs nothing of the root but glibc.
    let bundled = build(&["--flavor", "all"]);
    assert_eq!(bundled.len(), 2);
    let bare = Root::copy_of(&template);
    for artifact in &bundled {
        // A recipe pins a profile for its compiler, and a build without one says so in the words above.
        let profile = artifact.manifest["plan"]["profile"].as_str().map(str::to_owned);
        assert_eq!(profile.is_some(), !words.contains(&"none"), "{}", artifact.name);
        assert!(profile.is_none_or(|profile| pinned(release).contains(&profile)), "{}", artifact.name);
        let libraries = artifact.manifest["libraries"].as_array().expect("a list");
        assert!(libraries.iter().any(|library| library["package"] == *openssl), "{libraries:?}");
        runs_in(&bare, artifact);
    }

    // The system's libraries: packages have this release's names.
    let linked = build(&["--libraries", "system"]);
    let packages = linked[0].manifest["runtime_packages"].as_array().expect("a list");
    assert!(packages.iter().any(|package| package == openssl), "{packages:?}");
    let root = Root::copy_of(&template);
    let list: Vec<&str> = packages.iter().map(|package| package.as_str().expect("a name")).collect();
    let list = list.join(" ");
    root.check(&format!("apt-get update -q && apt-get install -qy --no-install-recommends {list}"));
    runs_in(&root, &linked[0]);
}

/// The digests of the profiles that the recipe of a release pins.
fn pinned(release: &str) -> Vec<String> {
    let catalog = Catalog::load(None).expect("the recipes");
    let (_, recipe) = catalog.find(release.parse().expect("a release")).expect("a recipe");
    recipe.profiles.iter().map(|profile| profile.sha256.to_string()).collect()
}

/// Installs an artifact into a root, and runs the checks there.
fn runs_in(root: &Root, artifact: &Artifact) {
    run(pykeel().arg("install").arg(&artifact.tarball).args(["--force", "--root"]).arg(root.path())).exits(0);
    probe_by(root.path(), |words| root.command(words), artifact, artifact.prefix(), &["tzdata", "/dev/shm"]);
}

#[test]
#[ignore = "scripts/test --full: builds 3.10.12 in an Ubuntu 22.04"]
fn ubuntu_22_04_builds_and_runs_its_own_release() {
    builds_and_runs_in(&JAMMY);
}

#[test]
#[ignore = "scripts/test --full: builds 3.12.3 in an Ubuntu 24.04"]
fn ubuntu_24_04_builds_and_runs_its_own_release() {
    builds_and_runs_in(&NOBLE);
}

#[test]
#[ignore = "scripts/test --full: builds 3.14.4 in an Ubuntu 26.04"]
fn ubuntu_26_04_builds_and_runs_its_own_release() {
    builds_and_runs_in(&RESOLUTE);
}
