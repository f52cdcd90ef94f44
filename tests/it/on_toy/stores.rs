//! Stores that others could have written to: what is not the owner's is not used, what an entry says about itself is
//! compared with its plan, and no link in a store is followed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use pykeel::domain::plan::BuildPlan;
use pykeel::sys::distro::Distro;

use crate::level::count;
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, check, is_root, run};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact::{artifact, pykeel, store_with};

/// A user that is not the one of the tests.
const SOMEBODY: u32 = 12_345;

/// A store with the runtime artifact, and a root to install into.
struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { directory: tempfile::tempdir().expect("a directory") };
        store_with("runtime", &scene.path("store"));
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn entry(&self) -> PathBuf {
        self.path("store/artifacts").join(artifact("runtime").build_key)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = pykeel();
        command.args(args).env("PYKEEL_STORE", self.path("store"));
        command
    }

    fn install(&self) -> Ended {
        let root = self.path("root");
        run(self.command(&["install", "3.13.5", "--no-build", "--no-sync", "--force", "--root"]).arg(root))
    }

    /// The sums of all files of the installed prefix.
    fn installed(&self) -> String {
        let prefix = self.path("root/opt/myorg/python-3.13");
        check(
            "sh",
            &[
                "-c".as_ref(),
                "cd \"$1\" && find . -type f -exec sha256sum {} + | sort".as_ref(),
                "sh".as_ref(),
                prefix.as_os_str(),
            ],
        )
    }
}

#[test]
fn a_store_of_another_user_or_open_to_others_is_not_used() {
    let scene = Scene::new();
    let store = scene.path("store");
    let commands = [
        &["list"][..],
        &["cache", "list"],
        &["cache", "prune", "--all"],
        &["install", "3.13.5", "--no-build", "--root", "/no/such/root"],
        &["build", "3.13.5", "--offline"],
    ];
    for directory in [store.clone(), store.join("artifacts")] {
        fs_err::set_permissions(&directory, PermissionsExt::from_mode(0o777)).expect("a directory");
        for words in commands {
            let said = format!("pykeel does not use {}: everybody may write to it (mode 777)", directory.display());
            run(&mut scene.command(words)).exits(5).says(&[&said, "chmod go-w"]);
        }
        fs_err::set_permissions(&directory, PermissionsExt::from_mode(0o755)).expect("a directory");
    }
    if !is_root() {
        skip!(Missing::Root, "only root can give a directory away");
    }
    std::os::unix::fs::chown(&store, Some(SOMEBODY), None).expect("another user");
    for words in commands {
        run(&mut scene.command(words)).exits(5).says(&["it belongs to user 12345, and this is user 0", "chown"]);
    }
    // Who runs pykeel by sudo is trusted with it anyway.
    run(scene.command(&["list"]).env("SUDO_UID", SOMEBODY.to_string())).exits(0);
    std::os::unix::fs::chown(&store, Some(0), Some(SOMEBODY)).expect("another group");
    fs_err::set_permissions(&store, PermissionsExt::from_mode(0o2775)).expect("a directory");
    run(&mut scene.command(&["list"])).exits(5).says(&["group 12345 may write to it (mode 2775)"]);
}

#[test]
fn a_store_that_one_may_not_read_is_not_an_empty_one() {
    if !is_root() {
        skip!(Missing::Root, "only root can become another user");
    }
    let scene = Scene::new();
    fs_err::set_permissions(scene.path(""), PermissionsExt::from_mode(0o755)).expect("a directory");
    let somebody = ["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_pykeel")];
    if run(Command::new("setpriv").args(somebody).args(["recipe", "check"])).code != 0 {
        skip!(Missing::OpenCheckout, "another user cannot run the program where it lies");
    }
    for closed in ["store", "store/artifacts"] {
        fs_err::set_permissions(scene.path(closed), PermissionsExt::from_mode(0o700)).expect("a directory");
        for words in [&["list"][..], &["cache", "list"], &["install", "3.13.5", "--no-build", "--root", "/no/root"]] {
            let mut command = Command::new("setpriv");
            command
                .args(somebody)
                .args(words)
                .env("PYKEEL_STORE", scene.path("store"))
                .env("PYKEEL_CONFIG", "/dev/null");
            run(&mut command).exits(5).says(&["Permission denied", &scene.path("store").display().to_string()]);
        }
        fs_err::set_permissions(scene.path(closed), PermissionsExt::from_mode(0o755)).expect("a directory");
    }
}

#[test]
fn a_link_in_a_store_is_not_followed() {
    let toy = Toy::new(Behaviour::default());
    toy.build().exits(0);
    let precious = toy.path("precious");
    let logs = fs_err::read_dir(toy.store().join("logs")).expect("a directory");
    let log = logs.map(|entry| entry.expect("a log").path()).next().expect("a log");
    let locks = fs_err::read_dir(toy.store().join("locks")).expect("a directory");
    let locks = locks.map(|entry| entry.expect("a lock").path());
    let source = fs_err::read_dir(toy.store().join("sources")).expect("a directory").next().expect("a source");
    let source = source.expect("a source").path();
    let part = PathBuf::from(format!("{}.part", source.display()));
    for planted in locks.chain([log, part]) {
        // So that all of it is done again.
        let _absent = fs_err::remove_dir_all(toy.store().join("artifacts"));
        let _absent = fs_err::remove_file(&source);
        let _absent = fs_err::remove_file(&planted);
        fs_err::write(&precious, "precious").expect("a file");
        symlink(&precious, &planted).expect("a link");
        let ended = toy.build();
        assert_eq!(fs_err::read_to_string(&precious).expect("the file"), "precious", "{}", planted.display());
        // What is pykeel's to make is made anew; else it is named.
        if ended.code != 0 {
            ended.exits(5).says(&["it is not a regular file", &planted.display().to_string()]);
        }
        fs_err::remove_file(&planted).unwrap_or_default();
        toy.build().exits(0);
    }
    // Nor is a directory.
    for name in ["artifacts", "sources", "logs", "locks"] {
        let (there, elsewhere) = (toy.store().join(name), toy.path("elsewhere"));
        fs_err::rename(&there, &elsewhere).expect("a directory");
        symlink(&elsewhere, &there).expect("a link");
        toy.build().exits(5).says(&[&there.display().to_string(), "it is a symbolic link"]);
        fs_err::remove_file(&there).expect("the link");
        fs_err::rename(&elsewhere, &there).expect("a directory");
    }
}

/// Replaces a text in a file of the entry.
fn replaced(path: &Path, from: &str, to: &str) {
    let text = fs_err::read_to_string(path).expect("a text");
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs_err::write(path, text.replace(from, to)).expect("a text");
}

fn sum(path: &Path) -> String {
    check("sha256sum", &[path]).split(' ').next().expect("a sum").to_owned()
}

#[test]
fn what_an_entry_says_of_itself_is_compared_with_its_plan() {
    let name = artifact("runtime").name;
    // The prefix, with the digest in the record to match.
    let scene = Scene::new();
    let (record, manifest) = (scene.entry().join("record.json"), scene.entry().join(format!("{name}.manifest.json")));
    let before = sum(&manifest);
    replaced(&manifest, "/opt/myorg/python-3.13\"", "/opt/other/python-3.13\"");
    replaced(&record, &before, &sum(&manifest));
    scene.install().exits(4).says(&["its keys are not those of its plan"]);
    assert!(!scene.path("root/opt/other").exists());

    // The version of a library, likewise: only the manifest in the tarball counts.
    let scene = Scene::new();
    let (record, manifest) = (scene.entry().join("record.json"), scene.entry().join(format!("{name}.manifest.json")));
    let before = sum(&manifest);
    replaced(&manifest, "\"package_checksum\": \"md5:", "\"package_checksum\": \"md5:0");
    replaced(&record, &before, &sum(&manifest));
    scene.install().exits(4).says(&["its manifest is not the one beside it in the store"]);
    assert!(!scene.path("root/opt/myorg/python-3.13").exists());

    // Another request that is said to lead to it.
    let scene = Scene::new();
    let system = ["install", "3.13.5", "--no-build", "--libraries", "system", "--root", "/no/root"];
    let keys: Vec<String> = ["bundle", "system"].map(|policy| request_key(&scene, policy)).into();
    fs_err::write(scene.entry().join("requests"), format!("{}\n", keys[1])).expect("a file");
    run(&mut scene.command(&system)).exits(2).says(&["the store has no usable artifact"]);
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn an_artifact_with_the_systems_libraries_is_for_the_release_that_it_was_built_on() {
    let Some(here) = Distro::read(Path::new("/")).release else {
        skip!(Missing::Apt, "this system is no release of Debian or Ubuntu")
    };
    let toy = Toy::new(Behaviour::default());
    for policy in ["system", "bundle"] {
        run(toy.build_command().args(["--libraries", policy])).exits(0);
    }
    let install = |release: &str, policy: &str| {
        let root = tempfile::tempdir().expect("a directory");
        fs_err::create_dir(root.path().join("etc")).expect("a directory");
        fs_err::write(root.path().join("etc/os-release"), release).expect("a file");
        let words = ["install", "3.13.5", "--no-build", "--libraries", policy, "--root"];
        run(toy.command(&words).arg(root.path()))
    };
    let same = format!("ID={}\nVERSION_ID=\"{}\"\n", here.distro, here.number);
    let other = "ID=debian\nVERSION_ID=\"10\"\n";
    // Debian's next release has no number, and the root of an installation may have no file at all.
    for unknown in [&same, "ID=debian\n", ""] {
        install(unknown, "system").exits(0);
    }
    install(other, "system").exits(2).says(&[&format!("uses the libraries of {here}, and this system is Debian 10")]);
    install(other, "bundle").exits(0);
}

/// The request key of a build with a library policy.
fn request_key(scene: &Scene, policy: &str) -> String {
    let words = ["build", "3.13.5", "--dry-run", "--json", "--offline", "--libraries", policy];
    let plan = run(&mut scene.command(&words)).exits(0).json();
    let plan: BuildPlan = serde_json::from_value(plan[0].clone()).expect("a plan");
    plan.request_key().to_string()
}

/// A change of one file of an entry.
fn damage(path: &Path, beside: &Path, number: u64) {
    let bytes = fs_err::read(path).expect("a file");
    let at = usize::try_from(number / 7).expect("a number") % bytes.len().max(1);
    match number % 7 {
        0 => fs_err::write(path, &bytes[..at]).expect("a file"),
        1 | 2 => {
            let mut changed = bytes;
            changed[at] ^= 1 << (number % 8);
            fs_err::write(path, changed).expect("a file");
        }
        3 => fs_err::remove_file(path).expect("a file"),
        4 => {
            fs_err::remove_file(path).expect("a file");
            symlink(beside, path).expect("a link");
        }
        5 => {
            fs_err::copy(beside, path).expect("a copy");
        }
        _ => {
            fs_err::remove_file(path).expect("a file");
            fs_err::create_dir(path).expect("a directory");
        }
    }
}

#[test]
fn no_change_of_a_file_of_an_entry_leads_to_another_installed_byte() {
    let scene = Scene::new();
    scene.install().exits(0);
    let whole = scene.installed();
    let mut number = 0x9e37_79b9_u64;
    for _ in 0..count(400, 40) {
        fs_err::remove_dir_all(scene.path("store")).expect("the store");
        store_with("runtime", &scene.path("store"));
        let files = fs_err::read_dir(scene.entry()).expect("an entry").map(|entry| entry.expect("a file").path());
        let mut files: Vec<PathBuf> = files.collect();
        files.sort();
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chosen = usize::try_from(number >> 33).expect("a number");
        let (path, beside) = (&files[chosen % files.len()], &files[(chosen / 7) % files.len()]);
        damage(path, beside, number >> 20);
        fs_err::remove_dir_all(scene.path("root")).expect("the root");
        let ended = scene.install();
        assert!([0, 1, 2, 4, 5].contains(&ended.code) && !ended.err.contains("panicked"), "{}", ended.err);
        if ended.code == 0 {
            assert_eq!(scene.installed(), whole, "{}", path.display());
        } else {
            assert!(!scene.path("root/opt/myorg/python-3.13").exists(), "{}", path.display());
        }
        fs_err::create_dir_all(scene.path("root")).expect("a root");
    }
}
