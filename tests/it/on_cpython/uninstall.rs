//! `uninstall` removes all that pykeel installed, and nothing else.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::missing::Missing;
use crate::on_cpython::install::Site;
use crate::skip;
use crate::support::{Ended, check, is_root, run};

/// Everything is below a root of its own: what is installed on the system stays out of this.
struct Place {
    site: Site,
}

impl Place {
    fn new() -> Self {
        let place = Self { site: Site::new() };
        place.install(&[]);
        place
    }

    fn root(&self) -> PathBuf {
        self.site.path("out")
    }

    fn prefix(&self) -> PathBuf {
        self.root().join("opt/myorg/python-3.13")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.site.command(args);
        command.arg("--root").arg(self.root());
        command
    }

    fn install(&self, more: &[&str]) {
        run(self.command(&["install", "3.13.5", "--no-build"]).args(more)).exits(0);
    }

    fn uninstall(&self, args: &[&str]) -> Ended {
        run(self.command(&["uninstall", "--json"]).args(args))
    }

    /// A copy of the prefix that says it is another release.
    fn pretend(&self, to: &Path, release: &str) {
        fs_err::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        check("cp", &["-a".as_ref(), self.prefix().as_os_str(), to.as_os_str()]);
        let path = to.join("share/pykeel/manifest.json");
        let text = fs_err::read_to_string(&path).expect("the manifest");
        fs_err::write(&path, text.replace("cpython-3.13.5-", &format!("cpython-{release}-"))).expect("the manifest");
    }
}

#[test]
fn a_prefix_goes_whole_and_nothing_else_does() {
    let place = Place::new();
    let beside = place.root().join("opt/myorg/other");
    fs_err::write(&beside, "").expect("a file");
    // Running Python leaves caches, and they are nobody's.
    check(&place.prefix().join("bin/python3").display().to_string(), &["-c", "import json"]);
    fs_err::create_dir_all(place.prefix().join("lib/python3.13/__pycache__")).expect("a directory");
    fs_err::write(place.prefix().join("lib/python3.13/__pycache__/json.pyc"), "").expect("a file");
    let dry = place.uninstall(&["3.13", "--dry-run"]).exits(0).json();
    assert_eq!(dry[0]["outcome"], "would-be-removed");
    assert!(place.prefix().exists());
    let gone = place.uninstall(&["3.13"]).exits(0).json();
    assert_eq!(gone[0]["outcome"], "removed");
    assert_eq!(gone[0]["path"].as_str(), place.prefix().to_str());
    assert!(gone[0]["name"].as_str().is_some_and(|name| name.starts_with("cpython-3.13.5-")));
    assert!(gone[0]["size"].as_u64().is_some_and(|size| size > 1_000_000));
    assert_eq!(place.site.neighbours("out/opt/myorg"), ["other"]);
    place.uninstall(&["3.13"]).exits(2).says(&["Python 3.13 is not installed at", "opt/myorg/python-3.13"]);
    run(&mut place.site.command(&["uninstall", "3.13", "--root", "/no/such/root"])).exits(2).says(&["not installed"]);
    // It can be installed again.
    place.install(&[]);
    place.uninstall(&["3.13.5"]).exits(0);
}

#[test]
fn what_somebody_added_or_changed_is_not_lost_unasked() {
    let place = Place::new();
    let added = place.prefix().join("lib/python3.13/site-packages/demo.py");
    fs_err::write(&added, "precious").expect("a file");
    fs_err::write(place.prefix().join("lib/python3.13/colorsys.py"), "ONE = 1\n").expect("a file");
    symlink("/etc/passwd", place.prefix().join("bin/link")).expect("a link");
    for index in 0..20 {
        fs_err::write(place.prefix().join(format!("share/{index}")), "").expect("a file");
    }
    let ended = place.uninstall(&["3.13"]).exits(5).says(&[
        "has 23 files that pykeel did not install",
        "bin/link was added",
        "lib/python3.13/colorsys.py was changed",
        "site-packages/demo.py was added",
        "and 13 more",
        "--force",
    ]);
    assert!(ended.out.is_empty());
    assert_eq!(fs_err::read_to_string(&added).expect("the file"), "precious");
    // A prefix whose sums are gone cannot be told from one with files of others.
    fs_err::remove_file(place.prefix().join("share/pykeel/SHA256SUMS")).expect("the sums");
    place.uninstall(&["3.13"]).exits(5).says(&["SHA256SUMS is missing"]);
    let gone = place.uninstall(&["3.13", "--force"]).exits(0).json();
    assert_eq!(gone[0]["outcome"], "removed");
    assert!(!place.prefix().exists());
}

#[test]
fn what_pykeel_did_not_make_is_not_removed_even_by_force() {
    let place = Place::new();
    let opt = place.root().join("opt/myorg");
    fs_err::create_dir_all(opt.join("foreign")).expect("a directory");
    fs_err::write(opt.join("foreign/file"), "precious").expect("a file");
    symlink(place.prefix(), opt.join("link")).expect("a link");
    fs_err::write(opt.join("file"), "").expect("a file");
    fs_err::create_dir_all(opt.join("empty")).expect("a directory");
    for (name, reason) in
        [("foreign", "it has no share/pykeel"), ("link", "symbolic link"), ("file", "not a directory")]
    {
        let ended = place.uninstall(&["--force", "--prefix", &format!("/opt/myorg/{name}")]);
        ended.exits(5).says(&[name, "cannot be removed", "pykeel did not install it", reason]);
    }
    place.uninstall(&["--prefix", "/opt/myorg/empty"]).exits(2).says(&["is not installed"]);
    assert_eq!(place.site.neighbours("out/opt/myorg"), ["empty", "file", "foreign", "link", "python-3.13"]);
    assert!(place.prefix().join("bin/python3").exists() && opt.join("foreign/file").exists());
}

#[test]
fn the_version_has_to_be_the_one_that_is_there() {
    let place = Place::new();
    let there = "3.13.5 at /opt/myorg/python-3.13";
    place.uninstall(&["3.13.4"]).exits(2).says(&["Python 3.13.4 is not installed", there]);
    place.uninstall(&["3.13t"]).exits(2).says(&["Python 3.13t is not installed", there]);
    place.uninstall(&["3.12", "--prefix", "/opt/myorg/python-3.13"]).exits(2).says(&["Python 3.12", there]);
    place.uninstall(&["latest"]).exits(2).says(&["name the version"]);
    place.uninstall(&[]).exits(2).says(&["VERSION"]);
    // All are looked at before the first goes.
    place.uninstall(&["3.13", "3.13t"]).exits(2);
    assert!(place.prefix().exists());
}

#[test]
fn the_prefix_template_says_where_a_version_is() {
    let place = Place::new();
    let prefix = |release: &str| place.root().join(format!("srv/{release}/python"));
    place.pretend(&prefix("3.13.4"), "3.13.4");
    place.pretend(&prefix("3.13.5"), "3.13.5");
    let uninstall = |version: &str| {
        let mut command = place.command(&["uninstall", "--force", "--json", version]);
        run(command.env("PYKEEL_PREFIX", "/srv/{version}/python"))
    };
    uninstall("3.13").exits(2).says(&["is ambiguous", "/srv/3.13.4/python", "/srv/3.13.5/python"]);
    uninstall("3.13.4").exits(0);
    uninstall("3.13.4").exits(2).says(&["3.13.5 at /srv/3.13.5/python"]);
    uninstall("3.13").exits(0);
    assert!(!prefix("3.13.4").exists() && !prefix("3.13.5").exists() && place.prefix().exists());
}

#[test]
fn an_interrupted_removal_is_completed_by_the_next_run() {
    let place = Place::new();
    let beside = |ending: &str| place.root().join(format!("opt/myorg/.pykeel-python-3.13.{ending}"));
    // Killed after it was renamed.
    fs_err::rename(place.prefix(), beside("old")).expect("a rename");
    let dry = place.uninstall(&["3.13", "--dry-run"]).exits(0).json();
    assert_eq!((dry[0]["outcome"].as_str(), dry[0]["name"].as_str()), (Some("would-be-removed"), None));
    assert!(beside("old").exists());
    let ended = place.uninstall(&["3.13"]).exits(0).says(&["an interrupted removal", "was completed"]);
    assert_eq!(ended.json()[0]["outcome"], "completed");
    assert!(place.site.neighbours("out/opt/myorg").is_empty());
    // Killed while it was removed file by file, without its manifest already; `install` ends it too.
    for by_install in [false, true] {
        place.install(&[]);
        fs_err::remove_dir_all(place.prefix().join("share/pykeel")).expect("a directory");
        fs_err::write(beside("removal"), "").expect("a file");
        if by_install {
            place.install(&[]);
            assert_eq!(place.site.neighbours("out/opt/myorg"), ["python-3.13"]);
        } else {
            place.uninstall(&["3.13"]).exits(0);
            assert!(place.site.neighbours("out/opt/myorg").is_empty());
        }
    }
}

#[test]
fn what_is_mounted_in_a_prefix_is_not_emptied() {
    if !is_root() {
        skip!(Missing::Root, "only root can mount");
    }
    let place = Place::new();
    let inside = place.prefix().join("lib/python3.13/site-packages");
    let text = inside.display().to_string();
    if !Command::new("mount").args(["-t", "tmpfs", "none", &text]).status().is_ok_and(|status| status.success()) {
        skip!(Missing::Mounts, "nothing can be mounted here");
    }
    fs_err::write(inside.join("precious"), "").expect("a file");
    let ended = place.uninstall(&["3.13", "--force"]);
    let kept = inside.join("precious").exists();
    check("umount", &[&text]);
    ended.exits(5).says(&["a file system is mounted at ", &text]);
    assert!(kept && place.prefix().join("bin/python3").exists());
}

#[test]
fn a_prefix_of_a_lower_layer_goes_too() {
    if !is_root() {
        skip!(Missing::Root, "only root can mount an overlay");
    }
    let place = Place::new();
    for name in ["upper", "work", "merged"] {
        fs_err::create_dir_all(place.site.path(name)).expect("a directory");
    }
    let path = |name: &str| place.site.path(name).display().to_string();
    let options = format!("lowerdir={},upperdir={},workdir={}", path("out"), path("upper"), path("work"));
    let merged = path("merged");
    if !Command::new("mount")
        .args(["-t", "overlay", "-o", &options, "none", &merged])
        .status()
        .is_ok_and(|status| status.success())
    {
        skip!(Missing::Mounts, "no overlay can be mounted here");
    }
    let ended = run(&mut place.site.command(&["uninstall", "3.13", "--json", "--root", &merged]));
    let left = place.site.neighbours("merged/opt/myorg");
    check("umount", &[&merged]);
    ended.exits(0).says(&["removed file by file"]);
    assert!(left.is_empty(), "{left:?}");
}
