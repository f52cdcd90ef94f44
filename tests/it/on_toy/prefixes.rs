//! Roots and prefixes that others prepared: `install` and `uninstall` write and remove nothing but where they were told
//! to, and take nothing for pykeel's own that another user could have put there.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::level::count;
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, Mounted, check, is_root, run};
use crate::toy_artifact::{artifact, pykeel};

const PREFIX: &str = "opt/myorg/python-3.13";
/// A user that is not the one of the tests.
const SOMEBODY: u32 = 12_345;

/// A root, and beside it a directory that nothing may change.
struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { directory: tempfile::tempdir().expect("a directory") };
        let precious = scene.path("outside").join(PREFIX);
        fs_err::create_dir_all(&precious).expect("a directory");
        fs_err::write(precious.join("file"), "precious").expect("a file");
        fs_err::create_dir(scene.path("root")).expect("a directory");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn prefix(&self) -> PathBuf {
        self.path("root").join(PREFIX)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = pykeel();
        command.args(args).arg("--root").arg(self.path("root"));
        command
    }

    fn install(&self, more: &[&str]) -> Ended {
        run(self.command(&["install", "3.13.5", "--no-build", "--no-sync", "--json"]).args(more))
    }

    fn uninstall(&self) -> Ended {
        run(self.command(&["uninstall", "3.13.5", "--force", "--json"]).args(["--prefix", "/opt/myorg/python-3.13"]))
    }

    /// That what lies outside the root is as it was.
    #[track_caller]
    fn outside_is_untouched(&self) {
        let found = walkdir::WalkDir::new(self.path("outside")).into_iter().map(|entry| entry.expect("an entry"));
        assert_eq!(found.count(), 5);
        let file = self.path("outside").join(PREFIX).join("file");
        assert_eq!(fs_err::read_to_string(file).expect("the file"), "precious");
        let mut beside: Vec<_> = fs_err::read_dir(self.directory.path()).expect("a directory").flatten().collect();
        beside.sort_by_key(fs_err::DirEntry::file_name);
        let names: Vec<_> = beside.iter().map(fs_err::DirEntry::file_name).collect();
        assert_eq!(names, ["outside", "root"]);
    }
}

#[test]
fn links_of_a_root_lead_nowhere_but_into_it() {
    for (link, target) in [
        ("opt", "OUTSIDE/opt"),
        ("opt", "../outside/opt"),
        ("opt", "/outside/opt"),
        ("opt/myorg", "OUTSIDE/opt/myorg"),
        ("opt/myorg", "../../../outside/opt/myorg"),
    ] {
        let scene = Scene::new();
        let link = scene.path("root").join(link);
        fs_err::create_dir_all(link.parent().expect("a parent")).expect("a directory");
        symlink(target.replace("OUTSIDE", &scene.path("outside").display().to_string()), &link).expect("a link");
        let installed = scene.install(&[]).exits(0).json();
        scene.outside_is_untouched();
        let path = PathBuf::from(installed[0]["path"].as_str().expect("a path"));
        assert!(path.starts_with(scene.path("root")) && path.join("bin/python3.13").exists(), "{}", path.display());
        scene.uninstall().exits(0);
        scene.outside_is_untouched();
        assert!(!path.exists());
    }
}

#[test]
fn a_prefix_that_climbs_or_is_a_link_out_of_its_root_is_refused() {
    let scene = Scene::new();
    for prefix in ["/../outside/opt/x", "/opt/../../outside/x", "../outside/x"] {
        scene.install(&["--prefix", prefix]).exits(2).says(&["cannot be a prefix: it has a `..`"]);
        run(&mut scene.command(&["uninstall", "--force", "--prefix", prefix])).exits(2).says(&["it has a `..`"]);
    }
    fs_err::create_dir_all(scene.prefix().parent().expect("a parent")).expect("a directory");
    let target = scene.path("outside").join(PREFIX);
    symlink(&target, scene.prefix()).expect("a link");
    scene.install(&[]).exits(5).says(&["it is a symbolic link"]);
    scene.uninstall().exits(5).says(&["it is a symbolic link"]);
    scene.outside_is_untouched();
    // By force the link goes, and what it led to stays.
    scene.install(&["--force"]).exits(0);
    scene.outside_is_untouched();
    assert!(fs_err::symlink_metadata(scene.prefix()).expect("a prefix").is_dir());
    assert!(scene.prefix().join("bin/python3.13").exists());
}

#[test]
fn force_replaces_a_file_a_pipe_and_an_empty_directory_and_says_what_it_did() {
    let scene = Scene::new();
    fs_err::create_dir_all(scene.prefix().parent().expect("a parent")).expect("a directory");
    fs_err::write(scene.prefix(), "a file").expect("a file");
    scene.install(&[]).exits(5).says(&["it is not a directory", "--force"]);
    assert_eq!(scene.install(&["--force"]).exits(0).json()[0]["placement"], "exchanged");
    fs_err::remove_dir_all(scene.prefix()).expect("the tree");
    check("mkfifo", &[scene.prefix()]);
    scene.install(&[]).exits(5).says(&["it is not a directory"]);
    scene.install(&["--force"]).exits(0);
    fs_err::remove_dir_all(scene.prefix()).expect("the tree");
    fs_err::create_dir(scene.prefix()).expect("a directory");
    let filled = scene.install(&[]).exits(0).says(&["is new"]);
    assert_eq!(filled.json()[0]["placement"], "new");
    assert_eq!(neighbours(&scene.prefix()), ["python-3.13"]);
}

fn neighbours(prefix: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(prefix.parent().expect("a parent")).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A file of an installed prefix that its sums name.
fn own_file(prefix: &Path) -> PathBuf {
    let sums = fs_err::read_to_string(prefix.join("share/pykeel/SHA256SUMS")).expect("the sums");
    let (_, name) = sums
        .lines()
        .find_map(|line| line.split_once("  ").filter(|(_, name)| name.contains("/ssl.py")))
        .expect("a file");
    prefix.join(name)
}

#[test]
fn what_is_there_is_compared_and_not_believed() {
    let scene = Scene::new();
    let digest = format!("sha256:{}", artifact("runtime").digest);
    let pinned = |more: &[&str]| run(scene.command(&["install", &digest, "--no-sync", "--json"]).args(more));
    pinned(&[]).exits(0);
    assert_eq!(pinned(&[]).exits(0).json()[0]["placement"], "already-there");

    // A changed file, a missing one, another link: each is mended, and said.
    let file = own_file(&scene.prefix());
    let text = fs_err::read_to_string(&file).expect("a file");
    fs_err::write(&file, format!("{text}# changed\n")).expect("a file");
    pinned(&[]).exits(0).says(&["was not as it was installed", "was changed; it is replaced"]);
    assert_eq!(fs_err::read_to_string(&file).expect("the file"), text);
    fs_err::remove_file(&file).expect("the file");
    pinned(&[]).exits(0).says(&["is missing; it is replaced"]);
    assert_eq!(fs_err::read_to_string(&file).expect("the file"), text);
    let link = scene.prefix().join("bin/python3");
    fs_err::remove_file(&link).expect("the link");
    symlink("/bin/sh", &link).expect("a link");
    pinned(&[]).exits(0).says(&["bin/python3 was changed"]);
    assert_ne!(fs_err::read_link(&link).expect("a link"), Path::new("/bin/sh"));

    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o666)).expect("a file");
    pinned(&[]).exits(0).says(&["has the mode 666"]);
    assert_eq!(fs_err::metadata(&file).expect("the file").mode() & 0o7777, 0o644);

    // Sums and manifest that agree with the change do not help it.
    let sum = |path: &Path| check("sha256sum", &[path]).split(' ').next().expect("a sum").to_owned();
    let (sums, manifest) =
        (scene.prefix().join("share/pykeel/SHA256SUMS"), scene.prefix().join("share/pykeel/manifest.json"));
    let (old_file, old_sums) = (sum(&file), sum(&sums));
    fs_err::write(&file, format!("{text}# changed\n")).expect("a file");
    let replaced = |path: &Path, from: &str, to: &str| {
        let text = fs_err::read_to_string(path).expect("a text");
        assert!(text.contains(from));
        fs_err::write(path, text.replace(from, to)).expect("a text");
    };
    replaced(&sums, &old_file, &sum(&file));
    replaced(&manifest, &old_sums, &sum(&sums));
    assert_eq!(pinned(&[]).exits(0).json()[0]["placement"], "exchanged");
    assert_eq!(fs_err::read_to_string(&file).expect("the file"), text);
}

#[test]
fn what_pykeel_did_not_put_there_is_not_lost_to_another_artifact() {
    let scene = Scene::new();
    scene.install(&["--flavor", "builder"]).exits(0);
    let package = scene.prefix().join("lib/python3.13/site-packages/demo.py");
    fs_err::create_dir_all(package.parent().expect("a parent")).expect("a directory");
    fs_err::write(&package, "precious").expect("a file");
    // The same artifact is there, whatever else is.
    assert_eq!(scene.install(&["--flavor", "builder"]).exits(0).json()[0]["placement"], "already-there");
    scene.install(&["--flavor", "runtime"]).exits(5).says(&[
        "has 1 file that pykeel did not install",
        "site-packages/demo.py was added",
        "--force",
    ]);
    assert_eq!(fs_err::read_to_string(&package).expect("the file"), "precious");
    // Not even to mend a file of its own.
    let file = own_file(&scene.prefix());
    fs_err::write(&file, "changed").expect("a file");
    scene.install(&["--flavor", "builder"]).exits(5).says(&["site-packages/demo.py was added"]);
    scene.install(&["--flavor", "runtime", "--force"]).exits(0);
    assert!(!package.exists());
}

#[test]
fn what_another_user_put_beside_a_prefix_is_named_and_left_alone() {
    if !is_root() {
        skip!(Missing::Root, "only root can make files of another user");
    }
    for name in [
        ".pykeel-python-3.13.journal",
        ".pykeel-python-3.13.new",
        ".pykeel-python-3.13.removal",
        ".pykeel-python-3.13.old",
    ] {
        let scene = Scene::new();
        scene.install(&[]).exits(0);
        let parent = scene.prefix().parent().expect("a parent").to_owned();
        fs_err::set_permissions(&parent, PermissionsExt::from_mode(0o1777)).expect("a directory");
        // The tree that a journal would bring to the prefix.
        let tree = parent.join(".pykeel-python-3.13.new");
        fs_err::create_dir_all(tree.join("bin")).expect("a directory");
        fs_err::write(tree.join("bin/python3.13"), "not Python").expect("a file");
        if !parent.join(name).exists() {
            fs_err::write(parent.join(name), "").expect("a file");
        }
        for path in [&tree, &parent.join(name)] {
            std::os::unix::fs::lchown(path, Some(SOMEBODY), Some(SOMEBODY)).expect("another user");
        }
        let before = neighbours(&scene.prefix());
        let said = ["pykeel does not use", "it belongs to user 12345, and this is user 0", ".pykeel-python-3.13."];
        scene.install(&["--force"]).exits(5).says(&said);
        scene.uninstall().exits(5).says(&said);
        assert_eq!(neighbours(&scene.prefix()), before);
        assert_eq!(fs_err::metadata(&tree).expect("the tree").uid(), SOMEBODY);
        assert_ne!(fs_err::read(scene.prefix().join("bin/python3.13")).expect("Python"), b"not Python");
    }
}

#[test]
fn a_journal_that_others_may_write_or_that_is_a_link_is_none() {
    let scene = Scene::new();
    scene.install(&[]).exits(0);
    let journal = scene.prefix().parent().expect("a parent").join(".pykeel-python-3.13.journal");
    fs_err::write(&journal, "").expect("a file");
    fs_err::set_permissions(&journal, PermissionsExt::from_mode(0o666)).expect("a file");
    scene.install(&["--force"]).exits(5).says(&["others may write to it (mode 666)"]);
    fs_err::remove_file(&journal).expect("the file");
    symlink(scene.path("outside").join(PREFIX).join("file"), &journal).expect("a link");
    scene.install(&["--force"]).exits(5).says(&["it is not what pykeel makes"]);
    scene.outside_is_untouched();
}

/// What a layer of an image has of a directory does not depend on when it was made.
#[test]
fn directories_on_the_way_to_a_prefix_have_the_same_time_after_each_change() {
    use std::os::unix::fs::MetadataExt as _;
    let scene = Scene::new();
    let time = |name: &str| fs_err::metadata(scene.path("root").join(name)).expect("a directory").mtime();
    fs_err::create_dir_all(scene.path("root/srv")).expect("a directory");
    scene.install(&[]).exits(0);
    assert_eq!((time("opt"), time("opt/myorg")), (0, 0));
    for prefix in ["/opt/myorg/other", "/opt/third", "/srv/python", "/srv/below/python"] {
        scene.install(&["--prefix", prefix]).exits(0);
    }
    assert_eq!((time("opt"), time("opt/myorg"), time("srv/below")), (0, 0, 0));
    // One that was there says when it was changed.
    assert_ne!(time("srv"), 0);
    scene.uninstall().exits(0);
    assert_eq!((time("opt"), time("opt/myorg")), (0, 0));
}

#[test]
fn a_mount_point_is_said_and_stays_as_it_is() {
    let scene = Scene::new();
    let Some(_mounted) = Mounted::tmpfs(&scene.prefix(), "size=1m") else {
        skip!(Missing::Mounts, "nothing can be mounted here");
    };
    for more in [&[][..], &["--force"]] {
        scene.install(more).exits(5).says(&["a file system is mounted at", "unmount it first"]).says_not(&["busy"]);
    }
    assert_eq!(neighbours(&scene.prefix()), ["python-3.13"]);
}

/// A second process swaps a directory on the way for a link that leads out, over and over.
#[test]
fn a_directory_that_becomes_a_link_meanwhile_leads_nowhere() {
    let scene = Scene::new();
    let (opt, link) = (scene.path("root/opt"), scene.path("root/link"));
    fs_err::create_dir_all(opt.join("myorg")).expect("a directory");
    symlink(scene.path("outside/opt"), &link).expect("a link");
    let done = AtomicBool::new(false);
    let mut installed = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &opt, CWD, &link, RenameFlags::EXCHANGE).expect("an exchange");
            }
        });
        // Also when it panics, or the scope would wait for ever.
        let rounds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..count(1000, 60) {
                // Each ends as it may: what counts is where it wrote.
                let ended = if round % 3 == 2 { scene.uninstall() } else { scene.install(&["--force"]) };
                assert!([0, 1, 2, 5].contains(&ended.code), "{}", ended.err);
                installed += u32::from(ended.code == 0);
            }
        }));
        done.store(true, Ordering::Relaxed);
        rounds.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert!(installed > 0, "no round did anything");
    scene.outside_is_untouched();
}
