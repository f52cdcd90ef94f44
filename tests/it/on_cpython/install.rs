//! `install` is atomic: into an empty place, over an existing prefix, beside others, into other roots.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::level::{count, kill_at_moments};
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, artifact, check, is_root, pykeel, run, shared_store, unpack};

/// A store of its own with copies of the real artifacts, and a place to install to.
pub struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        // The artifacts are in the shared store before its entries are copied.
        artifact("runtime");
        let directory = tempfile::tempdir().expect("a directory");
        // Only these: a store that is older than the code holds more.
        for flavor in ["runtime", "builder"] {
            let key = artifact(flavor).build_key;
            let place = directory.path().join("store/artifacts");
            fs_err::create_dir_all(&place).expect("a directory");
            check("cp", &["-a".into(), shared_store().join("artifacts").join(&key), place.join(&key)]);
        }
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = pykeel();
        command.args(args).env("PYKEEL_STORE", self.path("store"));
        command
    }

    /// `pykeel install 3.13.5 --prefix …` from the store alone.
    pub fn install(&self, prefix: &Path, more: &[&str]) -> Ended {
        run(self.command(&["install", "3.13.5", "--no-build", "--json", "--prefix"]).arg(prefix).args(more))
    }

    /// What lies beside a prefix, hidden or not.
    pub fn neighbours(&self, name: &str) -> Vec<String> {
        let mut names: Vec<_> = fs_err::read_dir(self.path(name))
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn runs(prefix: &Path) {
    let out = check(
        &prefix.join("bin/python3").display().to_string(),
        &["-I", "-c", "import ssl, sqlite3, sys; print(sys.prefix)"],
    );
    assert_eq!(Path::new(out.trim()), fs_err::canonicalize(prefix).expect("a path"));
}

#[test]
fn an_installation_is_new_then_there_then_replaced() {
    let site = Site::new();
    let prefix = site.path("opt/python-3.13");
    assert_eq!(site.install(&prefix, &[]).exits(0).json()[0]["placement"], "new");
    runs(&prefix);
    assert_eq!(site.install(&prefix, &[]).exits(0).json()[0]["placement"], "already-there");
    // Another artifact of pykeel's takes its place without being asked twice.
    assert_eq!(site.install(&prefix, &["--flavor", "builder"]).exits(0).json()[0]["placement"], "exchanged");
    runs(&prefix);
    assert!(prefix.join("include").exists());
    assert_eq!(site.install(&prefix, &["--force"]).exits(0).json()[0]["placement"], "exchanged");
    assert!(!prefix.join("include").exists());
    assert_eq!(site.neighbours("opt"), ["python-3.13"]);
    run(site.command(&["verify"]).arg(&prefix)).exits(0);
    // What another version of pykeel made is pykeel's, whatever else its manifest says.
    let path = prefix.join("share/pykeel/manifest.json");
    let text = fs_err::read_to_string(&path).expect("the manifest");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    manifest["build_key"] = "0".repeat(64).into();
    manifest["plan"] = serde_json::json!({"another": "version"});
    fs_err::write(&path, manifest.to_string()).expect("the manifest");
    assert_eq!(site.install(&prefix, &[]).exits(0).json()[0]["placement"], "exchanged");
}

#[test]
fn an_artifact_can_be_pinned_by_its_digest() {
    let site = Site::new();
    let builder = artifact("builder");
    let prefix = site.path("pinned");
    let pin = format!("sha256:{}", builder.digest);
    let ended = run(site.command(&["install", &pin, "--json", "--prefix"]).arg(&prefix)).exits(0);
    assert_eq!(ended.json()[0]["name"].as_str(), Some(builder.name.as_str()));
    let absent = format!("sha256:{}", "0".repeat(64));
    run(site.command(&["install", &absent, "--prefix"]).arg(&prefix))
        .exits(2)
        .says(&["no artifact 0000", "pykeel list"]);
}

#[test]
fn another_root_gets_the_compiled_prefix() {
    let site = Site::new();
    run(site.command(&["install", "3.13.5", "--no-build", "--root"]).arg(site.path("out"))).exits(0);
    runs(&site.path("out/opt/myorg/python-3.13"));
    assert_eq!(site.neighbours("out"), ["opt"]);
}

#[test]
fn a_prefix_with_a_space_and_another_letter_works() {
    let site = Site::new();
    let prefix = site.path("mein Pythön/3.13");
    site.install(&prefix, &["--flavor", "builder"]).exits(0);
    runs(&prefix);
    let ended = run(site.command(&["verify"]).arg(&prefix)).exits(0);
    assert!(!ended.out.contains("failed"), "{}", ended.out);
}

#[test]
fn what_pykeel_did_not_make_is_not_replaced() {
    let site = Site::new();
    let prefix = site.path("opt/precious");
    fs_err::create_dir_all(&prefix).expect("a directory");
    fs_err::write(prefix.join("file"), "precious").expect("a file");
    site.install(&prefix, &[]).exits(5).says(&["precious", "was not installed by pykeel", "--force"]);
    assert_eq!(fs_err::read_to_string(prefix.join("file")).expect("the file"), "precious");
    assert_eq!(site.neighbours("opt"), ["precious"]);
    // A damaged manifest is no permission either.
    fs_err::create_dir_all(prefix.join("share/pykeel")).expect("a directory");
    fs_err::write(prefix.join("share/pykeel/manifest.json"), "{}").expect("a file");
    site.install(&prefix, &[]).exits(5).says(&["its manifest cannot be read"]);
    site.install(&prefix, &["--force"]).exits(0);
    runs(&prefix);
    assert!(!prefix.join("file").exists());
    // An empty directory, as `mkdir` or a volume leaves it, is nobody's.
    let empty = site.path("opt/empty");
    fs_err::create_dir(&empty).expect("a directory");
    site.install(&empty, &[]).exits(0);
    // A link is not followed to wherever it leads.
    let link = site.path("opt/link");
    std::os::unix::fs::symlink(&empty, &link).expect("a link");
    site.install(&link, &[]).exits(5).says(&["symbolic link"]);
    let file = site.path("opt/file");
    fs_err::write(&file, "").expect("a file");
    site.install(&file, &[]).exits(5).says(&["not a directory"]);
}

#[test]
fn a_damaged_artifact_is_set_aside_and_the_prefix_stays_as_it_was() {
    let site = Site::new();
    let prefix = site.path("opt/python-3.13");
    site.install(&prefix, &["--flavor", "builder"]).exits(0);
    let runtime = artifact("runtime");
    let tarball =
        site.path("store/artifacts").join(&runtime.build_key).join(runtime.tarball.file_name().expect("a name"));
    let mut bytes = fs_err::read(&tarball).expect("the tarball");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&tarball, &bytes).expect("the tarball");
    site.install(&prefix, &[]).exits(4).says(&[&runtime.name, "it is now in"]);
    runs(&prefix);
    assert!(prefix.join("include").exists(), "the old Python is gone");
    assert_eq!(site.neighbours("opt"), ["python-3.13"]);
    assert_eq!(fs_err::read_dir(site.path("store/damaged")).expect("a directory").count(), 1);
    site.install(&prefix, &[]).exits(2).says(&[
        "no usable artifact of Python 3.13.5",
        "it has cpython-3.13.5-",
        "pykeel build 3.13.5",
    ]);
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_python() {
    let site = Site::new();
    let prefix = site.path("opt/python-3.13");
    site.install(&prefix, &[]).exits(0);
    let start = || {
        // Whichever flavor is not there, or there would be nothing to do.
        let flavor = if prefix.join("include").exists() { "runtime" } else { "builder" };
        let mut command = site.command(&["install", "3.13.5", "--no-build", "--flavor", flavor, "--prefix"]);
        command.arg(&prefix).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel")
    };
    // Whatever is there is whole: its own sums say so.
    let script = "cd \"$1\" && sha256sum --quiet -c share/pykeel/SHA256SUMS";
    let is_whole = || {
        check("sh", &["-c", script, "sh", &prefix.display().to_string()]);
    };
    kill_at_moments(count(80, 16), start, || (), is_whole);
    site.install(&prefix, &["--flavor", "builder"]).exits(0);
    assert_eq!(site.neighbours("opt"), ["python-3.13"]);
    runs(&prefix);
}

#[test]
fn two_installations_at_once_end_with_one_whole_python() {
    let site = Site::new();
    let prefix = site.path("opt/python-3.13");
    let start = |flavor: &str| {
        site.command(&["install", "3.13.5", "--no-build", "--flavor", flavor, "--prefix"])
            .arg(&prefix)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pykeel")
    };
    for child in [start("runtime"), start("builder"), start("runtime")] {
        Ended::from(child.wait_with_output().expect("pykeel")).exits(0);
    }
    run(site.command(&["verify"]).arg(&prefix)).exits(0);
    assert_eq!(site.neighbours("opt"), ["python-3.13"]);
}

#[test]
fn an_overlay_of_a_lower_layer_is_replaced_without_an_exchange_and_a_broken_one_repaired() {
    if !is_root() {
        skip!(Missing::Root, "only root can mount an overlay");
    }
    let site = Site::new();
    let lower = site.path("layers/lower");
    site.install(&lower.join("opt/python-3.13"), &["--flavor", "builder"]).exits(0);
    for name in ["layers/upper", "layers/work", "merged", "tmpfs"] {
        fs_err::create_dir_all(site.path(name)).expect("a directory");
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        site.path("layers/upper").display(),
        site.path("layers/work").display()
    );
    let merged = site.path("merged").display().to_string();
    if !Command::new("mount")
        .args(["-t", "overlay", "-o", &options, "none", &merged])
        .status()
        .is_ok_and(|status| status.success())
    {
        skip!(Missing::Mounts, "no overlay can be mounted here");
    }
    let prefix = site.path("merged/opt/python-3.13");
    let ended = site.install(&prefix, &[]);
    let whole = prefix.join("bin/python3.13").exists() && !prefix.join("include").exists();
    let neighbours = site.neighbours("merged/opt");
    // What a kill between removing and renaming leaves: no prefix, a whole new tree, a journal.
    fs_err::rename(&prefix, site.path("merged/opt/.pykeel-python-3.13.new")).expect("a rename");
    fs_err::write(site.path("merged/opt/.pykeel-python-3.13.journal"), "").expect("a file");
    let repaired = site.install(&prefix, &[]);
    let after = site.neighbours("merged/opt");
    check("umount", &[&merged]);
    let ended = ended.exits(0).says(&["this file system cannot exchange directories"]);
    assert_eq!(ended.json()[0]["placement"], "replaced");
    assert!(whole);
    assert_eq!(neighbours, ["python-3.13"]);
    let repaired = repaired.exits(0).says(&["an interrupted installation", "was completed"]);
    assert_eq!(repaired.json()[0]["placement"], "already-there");
    assert_eq!(after, ["python-3.13"]);
}

#[test]
fn a_place_that_is_full_or_not_writable_is_named_and_keeps_what_it_has() {
    if !is_root() {
        skip!(Missing::Root, "only root can mount a small file system and become another user");
    }
    let site = Site::new();
    let place = site.path("small");
    fs_err::create_dir(&place).expect("a directory");
    let text = place.display().to_string();
    if !Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=40m,mode=755", "none", &text])
        .status()
        .is_ok_and(|status| status.success())
    {
        skip!(Missing::Mounts, "nothing can be mounted here");
    }
    let prefix = place.join("python-3.13");
    let first = site.install(&prefix, &[]);
    // The second does not fit beside the first.
    let second = site.install(&prefix, &["--flavor", "builder"]);
    let neighbours = site.neighbours("small");
    let manifest = prefix.join("share/pykeel/manifest.json").exists();
    check("mount", &["-o", "remount,ro", &text]);
    let third = site.install(&prefix, &["--flavor", "builder"]);
    check("umount", &[&text]);
    first.exits(0);
    second.exits(5).says(&["No space left on device", "small"]);
    assert_eq!(neighbours, ["python-3.13"]);
    assert!(manifest);
    third.exits(5).says(&["Read-only file system", "small"]);
}

#[test]
fn a_newer_glibc_than_the_host_has_is_not_installed() {
    let site = Site::new();
    // There is no root with an older C library at hand. So the store's record says that the artifact
    // needs a newer one, which is in its name.
    for entry in fs_err::read_dir(site.path("store/artifacts")).expect("a directory") {
        let record = entry.expect("an entry").path().join("record.json");
        let text = fs_err::read_to_string(&record).expect("a record");
        let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let floor = format!("glibc{}-", json["glibc_floor"].as_str().expect("a floor"));
        json["name"] = json["name"].as_str().expect("a name").replace(&floor, "glibc2.999-").into();
        json["glibc_floor"] = "2.999".into();
        fs_err::write(&record, json.to_string()).expect("a record");
    }
    site.install(&site.path("opt/python"), &[]).exits(2).says(&["needs glibc 2.999", "pykeel build"]);
}

#[test]
fn what_use_adds_is_not_held_against_a_prefix_and_what_is_lost_is() {
    let site = Site::new();
    let prefix = site.path("opt/python-3.13");
    site.install(&prefix, &["--flavor", "builder"]).exits(0);
    // A console script and a package, as pip leaves them.
    fs_err::write(prefix.join("bin/demo"), format!("#!{}/bin/python3.13\nraise SystemExit(1)\n", prefix.display()))
        .expect("a file");
    fs_err::write(prefix.join("lib/python3.13/site-packages/demo.py"), "").expect("a file");
    run(site.command(&["verify"]).arg(&prefix)).exits(0);
    fs_err::remove_file(prefix.join("bin/python3")).expect("a link");
    fs_err::write(prefix.join("lib/python3.13/strange.py"), "").expect("a file");
    fs_err::write(prefix.join("lib/python3.13/colorsys.py"), "ONE_THIRD = 1\n").expect("a file");
    // The host has one too, so `import zlib` works here, and would not elsewhere.
    fs_err::remove_file(prefix.join("lib/libz.so.1")).expect("a library");
    run(site.command(&["verify"]).arg(&prefix)).exits(4).says(&[
        "bin/python3 is missing",
        "strange.py is not part of the artifact",
        "colorsys.py was changed",
        "lib/libz.so.1 is missing",
        "needs libz.so.1",
    ]);
}

#[test]
fn a_tarball_holds_the_artifact_and_nothing_else() {
    let site = Site::new();
    let runtime = artifact("runtime");
    let tree = site.path("tree");
    unpack(&runtime, &tree.join("python-3.13"));
    fs_err::write(tree.join("python-3.13/bin/evil"), "#!/bin/sh\n").expect("a file");
    let tarball = site.path("changed.tar.gz");
    check("tar", &[Path::new("-C"), &tree, Path::new("-czf"), &tarball, Path::new("python-3.13")]);
    run(site.command(&["verify"]).arg(&tarball)).exits(4).says(&["bin/evil is not part of the artifact"]);
}
