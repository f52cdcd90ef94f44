//! SIGKILL at moments spread over `install`, `uninstall`, `build` and `cache prune`, on a plain file system and on an
//! overlay of a lower layer, where nothing can be exchanged and no directory of the layer below renamed: the prefix is
//! whole, or it is absent and the next command says so, and the same command then ends well. 200 kills in the full run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::level::{count, kill_at_moments};
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, check, is_root, run};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact::{artifact, directory_until_next_run, pykeel, store_with};

/// How often each command is killed on each file system: 2 x 4 x 25 are 200.
fn kills() -> u32 {
    count(25, 4)
}

/// A directory with a store of both flavors and a root in which `builder` is installed.
struct Ground {
    directory: PathBuf,
    is_overlay: bool,
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.is_overlay {
            check("umount", &[self.place()]);
        }
    }
}

impl Ground {
    /// On the file system of the tests.
    fn plain() -> Self {
        let directory = directory_until_next_run("kills-").keep();
        let ground = Self { directory, is_overlay: false };
        ground.fill();
        ground
    }

    /// The same as the lower layer of an overlay. None where none can be mounted.
    fn overlay() -> Option<Self> {
        let mut ground = Self::plain();
        let lower = ground.directory.join("lower");
        fs_err::rename(ground.place(), &lower).expect("a directory");
        for name in ["place", "upper", "work"] {
            fs_err::create_dir(ground.directory.join(name)).expect("a directory");
        }
        let layer = |name: &str| ground.directory.join(name).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", layer("lower"), layer("upper"), layer("work"));
        let place = layer("place");
        let mounted = is_root()
            && Command::new("mount")
                .args(["-t", "overlay", "-o", &options, "none", &place])
                .status()
                .is_ok_and(|status| status.success());
        ground.is_overlay = mounted;
        mounted.then_some(ground)
    }

    fn place(&self) -> PathBuf {
        self.directory.join("place")
    }

    fn fill(&self) {
        for flavor in ["runtime", "builder"] {
            store_with(flavor, &self.place().join("store"));
        }
        self.install("builder").exits(0);
    }

    fn prefix(&self) -> PathBuf {
        self.place().join("root/opt/myorg/python-3.13")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = pykeel();
        command.args(args).env("PYKEEL_STORE", self.place().join("store")).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn in_root(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.arg("--root").arg(self.place().join("root"));
        command
    }

    fn installing(&self, flavor: &str) -> Command {
        self.in_root(&["install", "3.13.5", "--no-build", "--no-sync", "--force", "--flavor", flavor])
    }

    fn install(&self, flavor: &str) -> Ended {
        run(self.installing(flavor).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// That nothing is left beside the prefix.
    #[track_caller]
    fn is_tidy(&self) {
        let parent = self.prefix();
        let entries = fs_err::read_dir(parent.parent().expect("a parent")).expect("a directory");
        let hidden = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
        assert_eq!(hidden.count(), 0);
    }
}

#[track_caller]
fn is_whole(prefix: &Path) {
    let script = "cd \"$1\" && sha256sum --quiet -c share/pykeel/SHA256SUMS";
    check("sh", &["-c", script, "sh", &prefix.display().to_string()]);
}

/// Whether an interrupted run left a note for the next one.
fn is_noted(prefix: &Path, what: &str) -> bool {
    prefix.with_file_name(format!(".pykeel-python-3.13.{what}")).exists()
}

fn installations(ground: &Ground) {
    let prefix = ground.prefix();
    ground.install("runtime").exits(0);
    let start = || {
        let flavor = if prefix.join("include").exists() { "runtime" } else { "builder" };
        ground.installing(flavor).spawn().expect("pykeel")
    };
    kill_at_moments(
        kills(),
        start,
        || (),
        || {
            if !is_noted(&prefix, "journal") {
                is_whole(&prefix);
                return;
            }
            // The new tree is complete, and the next command brings it to its place.
            let ended = ground.install("runtime").exits(0).says(&["an interrupted installation of", "was completed"]);
            drop(ended);
            is_whole(&prefix);
        },
    );
    ground.install("builder").exits(0);
    ground.is_tidy();
}

fn removals(ground: &Ground) {
    let prefix = ground.prefix();
    let start = || {
        let words = ["uninstall", "3.13.5", "--force", "--prefix", "/opt/myorg/python-3.13"];
        ground.in_root(&words).spawn().expect("pykeel")
    };
    let again = || drop(ground.install("builder").exits(0));
    kill_at_moments(kills(), start, again, || {
        let noted = is_noted(&prefix, "removal") || (is_noted(&prefix, "old") && !prefix.exists());
        if prefix.exists() && !noted {
            is_whole(&prefix);
        }
        let ended = ground.install("builder").exits(0);
        if noted {
            ended.says(&["an interrupted removal of", "was completed"]);
        }
        is_whole(&prefix);
    });
    ground.is_tidy();
}

fn prunings(ground: &Ground) {
    let start = || ground.command(&["cache", "prune", "--all"]).spawn().expect("pykeel");
    let again = || {
        for flavor in ["runtime", "builder"] {
            let _pruned =
                fs_err::remove_dir_all(ground.place().join("store/artifacts").join(artifact(flavor).build_key));
            store_with(flavor, &ground.place().join("store"));
        }
        // So that there is something to do for some time.
        let sources = ground.place().join("store/sources");
        fs_err::create_dir_all(&sources).expect("a directory");
        for number in 0..1000 {
            fs_err::write(sources.join(format!("{number:064x}")), "x").expect("a file");
        }
    };
    again();
    kill_at_moments(kills(), start, again, || {
        // What is still listed can be installed.
        let listed =
            run(ground.command(&["list", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped())).exits(0).json();
        for entry in listed.as_array().expect("an array") {
            let digest = format!("sha256:{}", entry["digest"].as_str().expect("a digest"));
            run(&mut ground.in_root(&["install", &digest, "--no-sync", "--force"])).exits(0);
            is_whole(&ground.prefix());
        }
        again();
    });
    run(&mut ground.command(&["cache", "prune", "--all"])).exits(0);
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_prefix_or_says_that_it_is_absent() {
    let ground = Ground::plain();
    installations(&ground);
    removals(&ground);
    prunings(&ground);
}

#[test]
fn so_it_does_over_a_lower_layer_where_nothing_can_be_exchanged() {
    let Some(ground) = Ground::overlay() else {
        skip!(if is_root() { Missing::Mounts } else { Missing::Root }, "no overlay can be mounted here");
    };
    installations(&ground);
    removals(&ground);
    prunings(&ground);
}

#[test]
fn a_kill_at_any_moment_of_a_build_leaves_whole_entries_of_a_store_on_an_overlay() {
    let Some(ground) = Ground::overlay() else {
        skip!(if is_root() { Missing::Mounts } else { Missing::Root }, "no overlay can be mounted here");
    };
    let toy = Toy::new(Behaviour::default());
    let whole = toy.build().exits(0).json()[0]["digest"].clone();
    let store = ground.place().join("store");
    let building = || {
        let mut command = toy.build_command();
        command.env("PYKEEL_STORE", &store);
        command
    };
    let start = || building().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel");
    let reset = || fs_err::remove_dir_all(store.join("artifacts")).expect("a directory");
    kill_at_moments(kills(), start, reset, || {
        let listed =
            run(ground.command(&["list", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped())).exits(0).json();
        let keys = ["runtime", "builder"].map(|flavor| artifact(flavor).digest);
        let digests = listed.as_array().expect("an array").iter().map(|entry| entry["digest"].clone());
        assert!(digests.into_iter().all(|digest| digest == whole || keys.iter().any(|key| digest == key.as_str())));
    });
    assert_eq!(run(&mut building()).exits(0).json()[0]["digest"], whole);
}
