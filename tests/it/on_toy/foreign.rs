//! `pykeel install TARBALL`: a tarball that was built elsewhere is checked, and then installed.

use std::path::{Path, PathBuf};

use pykeel::domain::artifact::Format;
use pykeel::domain::digest::Digest;
use pykeel::stages::package;
use serde_json::Value;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Artifact, Ended, run, start};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact::{artifact, pykeel, store_with};

/// A directory with an empty store, a root, and the tarball of the toy.
struct Scene {
    directory: tempfile::TempDir,
    tarball: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let original = artifact("runtime").tarball;
        let tarball = directory.path().join(original.file_name().expect("a name"));
        fs_err::copy(original, &tarball).expect("a file");
        Self { directory, tarball }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn install(&self, tarball: &Path, args: &[&str]) -> Ended {
        let mut command = pykeel();
        command.env("PYKEEL_STORE", self.path("store")).args(["install", "--json", "--root"]).arg(self.path("root"));
        run(command.arg(tarball).args(args))
    }

    /// That nothing was installed, and nothing entered the store.
    fn is_untouched(&self) {
        assert!(!self.path("root/opt/myorg/python-3.13").exists());
        assert!(!self.path("store/artifacts").exists());
    }
}

#[test]
fn a_tarball_is_installed_in_each_format_and_stays_out_of_the_store() {
    let scene = Scene::new();
    let digest = artifact("runtime").digest;
    for format in [Format::Zst, Format::Xz, Format::Gz] {
        let name = scene.tarball.display().to_string().replace(".tar.zst", &format!(".tar.{format}"));
        if format != Format::Zst {
            package::repack(&scene.tarball, format, fs_err::File::create(&name).expect("a file")).expect("a tarball");
        }
        let installed = scene.install(Path::new(&name), &["--force"]).exits(0).json();
        assert_eq!(installed[0]["digest"], digest, "{format}");
        assert!(!scene.path("store/artifacts").exists());
    }
    let prefix = scene.path("root/opt/myorg/python-3.13");
    assert!(prefix.join("bin/python3.13").exists());
    // What is there already is not installed again, and `--prefix` moves it.
    let again = scene.install(&scene.tarball, &[]).exits(0).json();
    assert_eq!(again[0]["placement"], "already-there");
    let moved = scene.install(&scene.tarball, &["--prefix", "/srv/py"]).exits(0).json();
    assert_eq!(moved[0]["path"], scene.path("root/srv/py").display().to_string());
    assert!(scene.tarball.exists());
}

#[test]
fn a_damaged_or_foreign_tarball_changes_nothing() {
    let scene = Scene::new();
    let whole = fs_err::read(&scene.tarball).expect("a tarball");
    let wrong = scene.path("wrong.tar.zst");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for bytes in [&whole[..whole.len() / 2], &flipped, b"no archive", b""] {
        fs_err::write(&wrong, bytes).expect("a file");
        scene.install(&wrong, &[]).exits(4).says(&["wrong.tar.zst"]);
        scene.is_untouched();
    }
    scene.install(&scene.path("none.tar.zst"), &[]).exits(2).says(&["none.tar.zst", "there is no such file"]);
    scene.install(&scene.path("root"), &[]).exits(2).says(&["is not an artifact"]);
    scene.is_untouched();
}

#[test]
fn a_tarball_that_was_packed_again_with_a_change_is_refused() {
    let scene = Scene::new();
    let repacked = |change: &str| {
        let tree = scene.path("tree");
        let script = format!(
            "rm -rf '{tree}' && mkdir '{tree}' && cd '{tree}' && tar --zstd -xf '{tarball}' && cd python-3.13 && {change} && \
             cd .. && tar --zstd -cf '{out}' *",
            tree = tree.display(),
            tarball = scene.tarball.display(),
            out = scene.path("changed.tar.zst").display(),
        );
        crate::support::check("sh", &["-c", &script]);
        scene.install(&scene.path("changed.tar.zst"), &[])
    };
    repacked("echo 'x = 1' >> lib/python3.13/os.py").exits(4).says(&["lib/python3.13/os.py was changed"]);
    repacked("touch lib/more").exits(4).says(&["lib/more is not part of the artifact"]);
    repacked("rm share/pykeel/manifest.json").exits(2).says(&["is not an artifact of pykeel", "manifest.json"]);
    let edit = "sed -i 's/\"shared\": false/\"shared\": true/' share/pykeel/manifest.json";
    repacked(edit).exits(4).says(&["key is not the plan's"]);
    repacked("cd .. && mv python-3.13 other && cd other").exits(4).says(&["top directory is other"]);
    scene.is_untouched();
}

/// Makes the artifact of a store's entry one of a pykeel that wrote other manifests.
fn of_another_format(entry: &Path, name: &str) {
    let manifest = entry.join(format!("{name}.manifest.json"));
    let text = fs_err::read_to_string(&manifest).expect("a manifest").replace("\"loaded\":", "\"other\":");
    let format = format!("\"format\": {}", pykeel::domain::plan::FORMAT);
    assert!(text.contains("\"other\":") && text.contains(&format), "{text}");
    let text = text.replace(&format, "\"format\": 1");
    fs_err::write(&manifest, &text).expect("a file");
    let path = entry.join("record.json");
    let mut record: Value = serde_json::from_slice(&fs_err::read(&path).expect("a record")).expect("JSON");
    record["manifest_digest"] = Digest::of(text).to_string().into();
    fs_err::write(&path, record.to_string()).expect("a file");
}

#[test]
fn an_artifact_of_another_format_does_not_stand_in_the_way_of_one_that_can_be_read() {
    let toy = Toy::new(Behaviour::default());
    let older = Artifact::built(&toy.build().exits(0).json()[0]);
    of_another_format(older.tarball.parent().expect("a directory"), &older.name);
    let inspect = || run(&mut toy.command(&["inspect", "3.13.5", "--json"]));
    inspect().exits(2).says(&["made in format 1"]);
    // One that this pykeel makes, in the same store.
    let newer = store_with("runtime", &toy.store());
    let inspected = inspect().exits(0).says(&["ignoring an artifact of Python 3.13.5", &older.name, "format 1"]).json();
    assert_eq!(inspected["manifest"]["build_key"], newer.file_name().expect("a name").to_str().expect("UTF-8"));
}

#[test]
fn a_root_with_another_copy_of_a_bundled_library_is_noted() {
    let scene = Scene::new();
    let manifest = artifact("runtime").manifest;
    let bundled = manifest["libraries"].as_array().expect("an array");
    let target = manifest["plan"]["request"]["target"].as_str().expect("a target");
    let place = scene.path("root/usr/lib").join(target);
    fs_err::create_dir_all(&place).expect("a directory");
    let name = |index: usize| bundled[index]["soname"].as_str().expect("a name");
    // One copy is another, and one is the same: the host has what the toy was built with.
    fs_err::write(place.join(name(0)), "another").expect("a file");
    fs_err::copy(Path::new("/usr/lib").join(target).join(name(1)), place.join(name(1))).expect("a file");
    let ended = scene.install(&scene.tarball, &[]).exits(0);
    let ended = ended.says(&["other copies of bundled libraries", name(0), "--libraries system"]);
    let copies = ended.json()[0]["other_copies"].clone();
    assert_eq!(copies.as_array().map(Vec::len), Some(1), "{copies}");
    assert_eq!((&copies[0]["soname"], &copies[0]["package"]), (&name(0).into(), &serde_json::Value::Null));

    // Of a prefix in another root, the libraries of that root count, and of a tarball those of this system.
    let verify = |path: &Path| run(pykeel().args(["verify", "--json"]).arg(path));
    let verified = verify(&scene.path("root/opt/myorg/python-3.13"));
    assert_eq!(verified.json()["other_copies"], copies);
    assert_eq!(verify(&scene.tarball).json()["other_copies"], serde_json::json!([]));
    let mut in_root = pykeel();
    in_root.args(["verify", "--json", "--root"]).arg(scene.path("root")).arg(&scene.tarball);
    assert_eq!(run(&mut in_root).json()["other_copies"], copies);
    run(pykeel().args(["verify", "--root", "/no/such/root"]).arg(&scene.tarball)).exits(1).says(&["/no/such/root"]);
}

#[test]
fn without_mount_namespaces_a_build_says_what_it_did_not_verify() {
    // As in most containers: a new user namespace that allows no mount namespace in it.
    const SCRIPT: &str = "echo 0 > /proc/sys/user/max_mnt_namespaces && exec \"$@\"";
    let within = |command: &std::process::Command| {
        let mut outer = std::process::Command::new("unshare");
        outer.args(["--user", "--map-root-user", "sh", "-c", SCRIPT, "sh"]);
        start(&mut outer, command);
        run(&mut outer)
    };
    if within(&std::process::Command::new("true")).code != 0 {
        skip!(Missing::Mounts, "there are no user namespaces");
    }
    let toy = Toy::new(Behaviour::default());
    let ended = within(&toy.build_command()).exits(0);
    ended.says(&[
        "checks passed, 1 skipped (at its prefix: this system allows no mount namespace (No space left on device); ",
        "Python ran as root: this user namespace has no other user; without its own mount namespace",
    ]);
}
