//! `pykeel lock`: what it writes, keeps, shows and refuses.

use std::path::{Path, PathBuf};
use std::process::Command;

use pykeel::domain::artifact::ArtifactName;
use pykeel::domain::digest::Digest;
use pykeel::domain::manifest::{MANIFEST_PATH, Manifest};
use pykeel::event::Silent;
use pykeel::store::{CacheStatus, Received, Store};

use super::rebuild::altered_in;
use crate::support::{Ended, check, run};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact;

/// A toy whose artifacts are in a store of its own, in both flavors, and a directory with a `pykeel.lock`.
pub struct Project {
    place: tempfile::TempDir,
    /// A toy of its own, which the test may change; else the one that all tests share.
    own: Option<Toy>,
}

impl Project {
    /// One that no recipe and no source changes of.
    pub fn new() -> Self {
        let project = Self::at(None);
        check("cp", &[Path::new("-a"), &toy_artifact::toy().store(), &project.store()]);
        project
    }

    /// One with a toy of its own.
    pub fn of(behaviour: Behaviour) -> Self {
        let project = Self::at(Some(Toy::new(behaviour)));
        run(project.build(&["build", "3.13.5"]).args(["--flavor", "all"])).exits(0);
        project
    }

    fn at(own: Option<Toy>) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        fs_err::create_dir(place.path().join("project")).expect("a directory");
        Self { place, own }
    }

    /// The same with a lock of `3.13`.
    pub fn locked(self) -> Self {
        self.run(&["lock", "3.13"]).exits(0);
        self
    }

    /// The toy, to be changed.
    pub fn toy(&self) -> &Toy {
        self.own.as_ref().expect("a toy of its own")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.own.as_ref().unwrap_or(toy_artifact::toy()).command(args);
        command.env("PYKEEL_STORE", self.store()).current_dir(self.path("project"));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        run(&mut self.command(args))
    }

    /// A command that may build, and has the source.
    pub fn build(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.args(["--offline", "--mirror"]).arg(self.own.as_ref().unwrap_or(toy_artifact::toy()).mirror());
        command
    }

    pub fn lock(&self) -> PathBuf {
        self.path("project/pykeel.lock")
    }

    pub fn text(&self) -> String {
        fs_err::read_to_string(self.lock()).expect("the lock")
    }

    pub fn write(&self, text: &str) {
        fs_err::write(self.lock(), text).expect("the lock");
    }

    /// Replaces a part of the lock.
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "{from} is not in {text}");
        self.write(&text.replace(from, to));
    }

    /// The value of a key in the first entry.
    pub fn value(&self, key: &str) -> String {
        let text = self.text();
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).expect(key);
        line.split('"').nth(1).expect("a text").to_owned()
    }

    /// Puts another artifact of the request of `runtime` into the store, as a machine with another compiler would have
    /// built it later, and returns its digest.
    pub fn newer(&self) -> String {
        let mut json = Vec::new();
        let made = altered_in(self.place.path(), &self.tarball(), |top| {
            let path = top.join(MANIFEST_PATH);
            let mut manifest: Manifest =
                serde_json::from_slice(&fs_err::read(&path).expect("the manifest")).expect("a manifest");
            manifest.plan.toolchain.compiler = "gcc (of the future) 99.1".into();
            manifest.build_key = manifest.plan.build_key();
            manifest.name = ArtifactName::new(&manifest.plan, manifest.glibc_floor);
            json = manifest.to_json().into_bytes();
            fs_err::write(path, &json).expect("a file");
        });
        let manifest: Manifest = serde_json::from_slice(&json).expect("a manifest");
        let digest = Digest::of(fs_err::read(&made).expect("the tarball"));
        let store = Store::new(self.store());
        let CacheStatus::Miss(lock) =
            store.lookup(manifest.build_key, manifest.request_key, &Silent).expect("the store")
        else {
            panic!("it is there")
        };
        let received = Received { manifest: &json, tarball: made, digest, debug: None, published: 4_000_000_000 };
        store.adopt(lock, received).expect("it is adopted");
        fs_err::remove_dir_all(self.path("altered")).expect("a directory");
        digest.to_string()
    }

    /// What the store has of the flavor `runtime`, which was built first.
    fn runtime(&self) -> serde_json::Value {
        let list = self.run(&["list", "--json"]).exits(0).json();
        let all = list.as_array().expect("a list").iter();
        let is_it = |artifact: &&serde_json::Value| artifact["name"].as_str().expect("a name").contains("-runtime-");
        all.rev().find(is_it).expect("the artifact").clone()
    }

    /// Its tarball.
    fn tarball(&self) -> PathBuf {
        let runtime = self.runtime();
        let text = |key: &str| runtime[key].as_str().expect(key).to_owned();
        self.store().join("artifacts").join(text("build_key")).join(format!("{}.tar.zst", text("name")))
    }

    /// The directory of an artifact in the store.
    pub fn entry(&self, digest: &str) -> PathBuf {
        let is_it = |entry: &Path| {
            let record = fs_err::read_to_string(entry.join("record.json")).unwrap_or_default();
            record.contains(&format!("\"digest\": \"{digest}\""))
        };
        let entries = fs_err::read_dir(self.store().join("artifacts")).expect("the store");
        entries.map(|entry| entry.expect("an entry").path()).find(|entry| is_it(entry)).expect("the artifact")
    }
}

#[test]
fn a_lock_says_what_a_request_means_and_is_the_same_each_time() {
    let project = Project::new();
    let ended = project.run(&["lock", "3.13", "3.13.5", "--flavor", "all"]).exits(0).says(&["pykeel.lock is written"]);
    for word in ["3.13 (runtime, ", "3.13.5 (builder, ", "CPython", "3.13.5", "OpenSSL", "SQLite", "size", "sha256"] {
        assert!(ended.out.contains(word), "{word}: {}", ended.out);
    }
    let text = project.text();
    assert_eq!(text.matches("[[artifact]]").count(), 4, "{text}");
    assert!(text.contains("request = \"3.13\"") && text.contains("release = \"3.13.5\""), "{text}");
    let runtime = project.runtime();
    assert_eq!(project.value("sha256"), runtime["digest"].as_str().expect("a digest"));
    assert_eq!(project.value("build-key"), runtime["build_key"].as_str().expect("a key"));
    // The same words in another order, into another file.
    project.run(&["lock", "--lock", "other.lock", "3.13.5", "3.13", "--flavor", "all"]).exits(0);
    assert_eq!(fs_err::read_to_string(project.path("project/other.lock")).expect("the lock"), text);
    // Again, and nothing is written.
    let before = fs_err::metadata(project.lock()).expect("the lock").modified().expect("a time");
    let ended = project.run(&["lock"]).exits(0);
    assert_eq!(ended.out, "pykeel.lock is up to date\n");
    assert_eq!(fs_err::metadata(project.lock()).expect("the lock").modified().expect("a time"), before);
    project.run(&["lock", "--check"]).exits(0);
}

#[test]
fn what_is_locked_stays_until_it_is_upgraded() {
    let project = Project::new().locked();
    let (text, newer) = (project.text(), project.newer());
    project.run(&["lock"]).exits(0);
    project.run(&["lock", "3.13", "--check"]).exits(0);
    assert_eq!(project.text(), text);

    let ended = project.run(&["lock", "--upgrade", "--check"]).exits(4).says(&["pykeel.lock is out of date"]);
    assert!(ended.out.contains("compiler") && ended.out.contains("gcc (of the future) 99.1"), "{}", ended.out);
    assert!(!ended.out.contains("OpenSSL"), "it is the same: {}", ended.out);
    let ended = project.run(&["lock", "--upgrade", "3.13", "--dry-run", "--json"]).exits(0);
    assert_eq!(project.text(), text);
    let json = ended.json();
    assert_eq!((&json["written"], &json["changes"][0]["after"]["digest"]), (&false.into(), &newer.as_str().into()));
    let compiler = &json["changes"][0]["differences"][0];
    assert_eq!((&compiler["name"], &compiler["after"]), (&"compiler".into(), &"gcc (of the future) 99.1".into()));

    let json = project.run(&["lock", "--upgrade", "--json"]).exits(0).json();
    assert_eq!((&json["written"], &json["entries"][0]["version"]), (&true.into(), &"3.13".into()));
    assert_eq!(project.value("sha256"), newer);
    project.run(&["lock", "--upgrade", "--check"]).exits(0);
}

#[test]
fn an_upgrade_takes_the_newest_release_and_says_how_it_is_built() {
    let project = Project::of(Behaviour::default()).locked();
    project.toy().add_source("3.13.6", Behaviour::default());
    project.toy().write_recipe(|recipe| format!("{recipe}{}", project.toy().row("3.13.6")));
    // The recipes know a newer one, and the lock is as good as before.
    project.run(&["lock", "--check"]).exits(0);
    let text = project.text();
    let words = ["lock", "--upgrade", "--flavor", "all", "--bytecode", "unchecked-hash"];
    let ended = project.run(&["lock", "--upgrade"]).exits(2);
    ended.says(&["the store has no artifact of Python 3.13.6 (runtime) to lock", "it has cpython-3.13.5-", "--build"]);
    project.run(&words).exits(2).says(&["pykeel build 3.13.6 --bytecode unchecked-hash"]);
    assert_eq!(project.text(), text);
    let ended = run(&mut project.build(&["lock", "--upgrade", "3.13", "--build"])).exits(0);
    let row = ended.out.lines().find(|line| line.contains("CPython")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["CPython", "3.13.5", "3.13.6"]);
    assert_eq!(project.value("release"), "3.13.6");
    // Recipes that do not know it yet are no reason to go back.
    project.toy().write_recipe(|recipe| recipe);
    project.run(&["lock", "--upgrade", "--check"]).exits(0).says(&["the newest 3.13 of the recipes is 3.13.5"]);
    project.toy().write_recipe(|recipe| format!("{recipe}{}", project.toy().row("3.13.6")));
    // The command that an error names does it too.
    let ended = project.run(&["lock", "3.13", "--flavor", "builder"]).exits(2);
    ended.says(&["pykeel build 3.13.6 --flavor builder"]);
    run(&mut project.build(&["build", "3.13.6", "--flavor", "builder"])).exits(0);
    project.run(&["lock", "3.13", "--flavor", "builder"]).exits(0);
    assert_eq!(project.text().matches("request = \"3.13\"").count(), 2);
}

#[test]
fn options_that_are_set_count_and_others_are_those_that_are_locked() {
    let project = Project::new().locked();
    let ended = project.run(&["lock", "--bytecode", "unchecked-hash", "--dry-run"]).exits(2);
    ended.says(&["pykeel build 3.13.5 --bytecode unchecked-hash"]);
    run(&mut project.build(&["lock", "3.13", "--build", "--bytecode", "unchecked-hash"])).exits(0);
    assert_eq!(project.value("bytecode"), "unchecked-hash");
    // It stays so without the option, and when it is upgraded.
    for words in [&["lock", "--check"][..], &["lock", "3.13"], &["lock", "--upgrade"]] {
        project.run(words).exits(0);
        assert_eq!(project.value("bytecode"), "unchecked-hash");
    }
    // A file that sets another makes it out of date.
    let config = project.path("pykeel.toml");
    fs_err::write(&config, "bytecode = 'strip'\n").expect("a file");
    let said = "bytecode is strip, locked: unchecked-hash";
    run(project.command(&["lock", "--check", "--config"]).arg(&config)).exits(4).says(&["with other options", said]);
    let ended = run(project.command(&["lock", "--dry-run", "--config"]).arg(&config)).exits(0);
    let row = ended.out.lines().find(|line| line.contains("bytecode")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["bytecode", "unchecked-hash", "strip"]);
}

#[test]
fn whether_something_is_not_locked_is_known_without_a_store() {
    let project = Project::new().locked();
    let check = |words: &[&str]| {
        let mut command = project.command(&["lock", "--check"]);
        run(command.args(words).env("PYKEEL_STORE", project.path("no-store")))
    };
    check(&[]).exits(0);
    check(&["3.13"]).exits(0);
    check(&["3.13.5"]).exits(4).says(&["pykeel.lock has no 3.13.5 (runtime, ", "pykeel lock VERSION"]);
    check(&["3.13", "--flavor", "all"]).exits(4).says(&["pykeel.lock has no 3.13 (builder, "]);
    check(&["--shared"]).exits(4).says(&["with other options", "shared is true, locked: false"]);
    assert!(!project.path("no-store").exists());
}

#[test]
fn entries_of_other_targets_stay() {
    let project = Project::of(Behaviour::default()).locked();
    let here = format!("{}-linux-gnu", std::env::consts::ARCH);
    let there = if here.starts_with("x86") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };
    let text = project.text();
    let other = text[text.find("[[artifact]]").expect("an entry")..].replace(&here, there);
    project.write(&format!("{text}\n{other}"));
    let both = project.text();
    project.toy().add_source("3.13.6", Behaviour::default());
    project.toy().write_recipe(|recipe| format!("{recipe}{}", project.toy().row("3.13.6")));
    let ended = run(&mut project.build(&["lock", "--upgrade", "--build"])).exits(0);
    ended.says(&[&format!("on {there} 3.13 is 3.13.5: lock it on a machine of that kind")]);
    let after = project.text();
    assert_ne!(after, both);
    for part in
        [format!("target = \"{there}\"\nrelease = \"3.13.5\""), format!("target = \"{here}\"\nrelease = \"3.13.6\"")]
    {
        assert!(after.contains(&part), "{part} is not in {after}");
    }
    // To be locked no more is for all.
    project.run(&["lock", "--remove", "3.13"]).exits(0);
    assert!(!project.text().contains("[[artifact]]"), "{}", project.text());
    project.run(&["lock", "--remove", "3.13"]).exits(4).says(&["pykeel.lock has no 3.13"]);
    project.run(&["lock"]).exits(2).says(&["name the versions to lock"]);
}

#[test]
fn one_flavor_can_be_removed() {
    let project = Project::new();
    project.run(&["lock", "3.13", "--flavor", "all"]).exits(0);
    let ended = project.run(&["lock", "--remove", "3.13", "--flavor", "builder"]).exits(0);
    assert!(ended.out.contains("(builder, ") && ended.out.contains(": removed"), "{}", ended.out);
    assert_eq!(project.value("flavor"), "runtime");
    assert_eq!(project.text().matches("[[artifact]]").count(), 1);
    project.run(&["lock", "--remove"]).exits(2);
}

#[test]
fn a_file_that_is_no_lock_is_an_error_with_a_place_and_stays() {
    let project = Project::new().locked();
    let text = project.text();
    let digest = project.value("sha256");
    let changed = |from: &str, to: &str| text.replacen(from, to, 1);
    let (before, after) = text.split_once("\n[artifact.inputs]").expect("a section");
    let cases = [
        (changed("version = 1", "version = 7"), "pykeel.lock:3:11: the lock has format 7"),
        (changed(&digest, &digest[1..]), "is not a SHA-256 digest of 64"),
        (changed(&digest, &digest.to_uppercase()), "pykeel.lock:10:10:"),
        (
            format!("{text}\n{}", &text[text.find("[[artifact]]").expect("an entry")..]),
            "is there twice, first in line 6",
        ),
        (format!("{before}\n<<<<<<< HEAD\n[artifact.inputs]{after}"), ":1: a merge conflict is not resolved"),
        (changed("release = \"3.13.5\"", "release = \"3.12.5\""), "3.12.5 is not what 3.13 can mean"),
        (text[..text.len() / 2].to_owned(), "pykeel.lock:"),
        ("x".repeat(5 << 20), "it is larger than 4 MiB"),
        ("\0".repeat(100), "pykeel.lock:1:101:"),
    ];
    for (wrong, said) in cases {
        project.write(&wrong);
        let commands = [
            &["lock", "--upgrade"][..],
            &["lock", "3.13"],
            &["lock", "--check"],
            &["install", "--locked", "--root", "/no/such/root"],
            &["build", "--locked"],
        ];
        // All read it alike.
        for words in commands.iter().take(if said.contains("format 7") { commands.len() } else { 1 }) {
            project.run(words).exits(2).says(&[said, "help: "]);
        }
        assert_eq!(project.text(), wrong);
    }
    fs_err::remove_file(project.lock()).expect("the lock");
    fs_err::os::unix::fs::symlink(project.path("elsewhere"), project.lock()).expect("a link");
    project.run(&["lock", "3.13"]).exits(2).says(&["pykeel.lock cannot be a lock: it is a symbolic link"]);
    assert!(!project.path("elsewhere").exists());
    fs_err::remove_file(project.lock()).expect("the link");
    fs_err::create_dir(project.lock()).expect("a directory");
    project.run(&["lock", "3.13"]).exits(2).says(&["pykeel.lock cannot be a lock: it is a directory"]);
    fs_err::remove_dir(project.lock()).expect("the directory");
    project.run(&["install", "--locked"]).exits(2).says(&["there is no lock pykeel.lock", "pykeel lock VERSION"]);
    // Nothing is left beside it.
    assert_eq!(fs_err::read_dir(project.path("project")).expect("a directory").count(), 0);
}

#[test]
fn several_that_lock_at_once_lose_nothing() {
    let project = Project::new();
    let wanted = [["3.13", "runtime"], ["3.13", "builder"], ["3.13.5", "runtime"], ["3.13.5", "builder"]];
    let running = wanted.map(|[version, flavor]| {
        let mut command = project.command(&["lock", version, "--flavor", flavor]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("pykeel")
    });
    for mut one in running {
        assert!(one.wait().expect("its end").success());
    }
    assert_eq!(project.text().matches("[[artifact]]").count(), 4);
    let once = project.text();
    fs_err::remove_file(project.lock()).expect("the lock");
    project.run(&["lock", "3.13", "3.13.5", "--flavor", "all"]).exits(0);
    assert_eq!(project.text(), once);
}
