//! Races: concurrent commands on the same store or prefix each succeed or name the reason, and leave
//! whole files.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::level::count;
use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, check, is_root, run, start};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact::{artifact, pykeel};

/// How often two commands run against each other.
fn rounds() -> usize {
    count(12, 4)
}

/// Runs a command over and over until some other work has ended, and gives all its ends.
fn meanwhile<T>(mut command: impl FnMut() -> Command + Send, work: impl FnOnce() -> T) -> (T, Vec<Ended>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut ends = Vec::new();
            while !done.load(Ordering::Relaxed) {
                ends.push(run(&mut command()));
            }
            ends
        });
        // Also when it panics, or the scope would wait for ever.
        let value = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        let value = value.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (value, others.join().expect("the other command"))
    })
}

/// That a prefix is whole, by its own sums.
#[track_caller]
fn is_whole(prefix: &Path) {
    let words =
        ["-c", "cd \"$1\" && sha256sum --quiet -c share/pykeel/SHA256SUMS", "sh", &prefix.display().to_string()];
    check("sh", &words);
}

#[test]
fn a_build_and_a_pruning_do_not_disturb_each_other() {
    let toy = Toy::new(Behaviour::default());
    let prune = || toy.command(&["cache", "prune", "--all"]);
    let (digests, prunings) = meanwhile(prune, || {
        (0..rounds()).map(|_| toy.build().exits(0).json()[0]["digest"].clone()).collect::<Vec<_>>()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    for pruning in prunings {
        pruning.exits(0);
    }
    // What a pruning took is made again, and what it left is whole.
    assert_eq!(toy.build().exits(0).json()[0]["digest"], digests[0]);
    toy.left_nothing();
}

#[test]
fn an_installation_and_a_pruning_do_not_disturb_each_other() {
    let toy = Toy::new(Behaviour::default());
    let root = toy.path("root");
    let prune = || toy.command(&["cache", "prune", "--all"]);
    let install = || {
        let mut command = toy.command(&["install", "3.13.5", "--force", "--no-sync", "--offline", "--mirror"]);
        command.arg(toy.mirror()).arg("--root").arg(&root);
        command
    };
    let ((), prunings) = meanwhile(prune, || {
        for _ in 0..rounds() {
            // What is pruned away before it is held is built anew.
            run(&mut install()).exits(0);
            is_whole(&root.join("opt/myorg/python-3.13"));
        }
    });
    for pruning in prunings {
        pruning.exits(0);
    }
    assert!(!toy.store().join("damaged").exists(), "nothing was taken for damaged");
}

#[test]
fn an_installation_and_an_uninstallation_leave_all_of_it_or_nothing() {
    artifact("runtime");
    let root = tempfile::tempdir().expect("a directory");
    let prefix = root.path().join("opt/myorg/python-3.13");
    let command = |args: &[&str]| {
        let mut command = pykeel();
        command.args(args).arg("--root").arg(root.path());
        command
    };
    let uninstall = || command(&["uninstall", "3.13"]);
    let ((), removals) = meanwhile(uninstall, || {
        for _ in 0..rounds() {
            run(&mut command(&["install", "3.13.5", "--no-build", "--no-sync"])).exits(0);
        }
    });
    let removed = removals.iter().filter(|ended| ended.code == 0).count();
    for removal in removals {
        // It may come when nothing is there.
        assert!([0, 2].contains(&removal.code), "{}", removal.err);
    }
    assert!(removed > 0, "no removal ever met an installation");
    if prefix.exists() {
        is_whole(&prefix);
        run(&mut uninstall()).exits(0);
    }
    let left: Vec<_> = fs_err::read_dir(root.path().join("opt/myorg")).expect("a directory").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Two systems that share a directory: each has mounted it where it likes.
#[test]
fn builders_that_share_a_store_under_different_paths_do_the_work_once() {
    if !is_root() || !run(Command::new("unshare").args(["-m", "true"])).err.is_empty() {
        skip!(Missing::Mounts, "no mount namespace can be made here");
    }
    let toy = Toy::new(Behaviour::default());
    let shared = toy.path("shared");
    fs_err::create_dir(&shared).expect("a directory");
    let script = "mount --bind \"$1\" \"$2\" && shift 1 && store=$1 && shift && PYKEEL_STORE=$store exec \"$@\"";
    let builds: Vec<_> = ["first/place", "second"]
        .map(|name| {
            let place = toy.path(name);
            fs_err::create_dir_all(&place).expect("a directory");
            let mut command = Command::new("unshare");
            command.args(["-m", "sh", "-c", script, "sh"]).arg(&shared).arg(&place);
            start(&mut command, &toy.build_command());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare")
        })
        .into_iter()
        .map(|child| Ended::from(child.wait_with_output().expect("unshare")).exits(0).json())
        .collect();
    let made = builds.iter().filter(|built| built[0]["cached"] == false).count();
    assert_eq!(made, 1);
    assert_eq!(builds[0][0]["digest"], builds[1][0]["digest"]);
}
