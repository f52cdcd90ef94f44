//! Where `python-build` installs, builds, and looks: prefixes, work directories, configuration files, and other users.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::python_build::{path, python_build, script, toy};
use crate::missing::Missing;
use crate::skip;
use crate::support::{Mounted, check, is_root, run, start};
use crate::toy::{Behaviour, Toy};

#[test]
fn a_prefix_that_cannot_be_had_is_refused_before_anything_is_built() {
    let toy = toy();
    let refused = |prefix: &str, texts: &[&str]| {
        let ended = run(&mut python_build(&toy, &["3.13.5", prefix])).exits(1).says(texts);
        ended.says_not(&["BUILD FAILED", "Installing"]);
        assert_eq!(toy.runs(), 0);
    };
    fs_err::create_dir(toy.path("full")).expect("a directory");
    fs_err::write(toy.path("full/file"), "").expect("a file");
    fs_err::os::unix::fs::symlink("full", toy.path("link")).expect("a link");
    refused(&path(&toy, "full"), &["was not installed by pykeel", "pyenv uninstall"]);
    refused(&path(&toy, "full/file"), &["it is not a directory"]);
    refused(&path(&toy, "link"), &["it is a symbolic link"]);
    refused(&path(&toy, "full/file/below"), &["not a directory"]);
    refused("..", &["was not installed by pykeel"]);
    // A slash at its end does not lead through a link.
    refused(&format!("{}/", path(&toy, "link")), &["link was not installed by pykeel: it is a symbolic link"]);
    // What another user put beside it is neither completed nor removed.
    if is_root() {
        fs_err::create_dir(toy.path(".pykeel-3.13.5.new")).expect("a directory");
        check("chown", &["65534", &path(&toy, ".pykeel-3.13.5.new")]);
        refused(&path(&toy, "3.13.5"), &["it belongs to user 65534"]);
        fs_err::remove_dir(toy.path(".pykeel-3.13.5.new")).expect("a directory");
    }
    if let Some(_mounted) = Mounted::tmpfs(&toy.path("mounted"), "size=1m") {
        refused(&path(&toy, "mounted"), &["a file system is mounted at"]);
    }
    if let Some(mounted) = Mounted::tmpfs(&toy.path("closed"), "size=1m") {
        mounted.remount("ro");
        refused(&path(&toy, "closed/3.13.5"), &["Read-only file system", "help: name a directory of another"]);
        refused(&path(&toy, "closed/new/3.13.5"), &["Read-only file system"]);
    } else {
        skip!(Missing::Mounts, "only root can mount a read-only file system");
    }
}

#[test]
fn another_user_has_the_artifact_from_roots_store_where_that_user_may_write() {
    if !is_root() {
        skip!(Missing::Root, "only root can become another user");
    }
    let somebody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let pykeel = [env!("CARGO_BIN_EXE_pykeel"), "recipe", "check"];
    let tried = run(Command::new("setpriv").args(somebody).args(pykeel));
    if tried.code != 0 {
        skip!(Missing::OpenCheckout, "another user cannot run the program where it lies: {}", tried.err);
    }
    let toy = toy();
    check("chmod", &["755", &path(&toy, "")]);
    run(&mut python_build(&toy, &["3.13.5", &path(&toy, "of-root")])).exits(0);
    fs_err::create_dir(toy.path("home")).expect("a directory");
    check("chown", &["65534", &path(&toy, "home")]);
    let ask = |prefix: &str| {
        let mut command = Command::new("setpriv");
        start(command.args(somebody), &python_build(&toy, &["3.13.5", prefix]));
        run(command.env("HOME", toy.path("home")))
    };
    ask(&path(&toy, "home/.pyenv/versions/3.13.5")).exits(0).says(&["Installed Python-3.13.5"]);
    // Nobody can write there, and nothing has to be written.
    ask(&path(&toy, "of-root")).exits(0).says(&["Installed Python-3.13.5"]);
    ask(&path(&toy, "closed")).exits(1).says(&["Permission denied", "name a directory that you may write to"]);
    assert_eq!(toy.runs(), 1);
}

#[test]
fn packages_in_a_prefix_are_not_lost() {
    let toy = toy();
    let prefix = path(&toy, "prefix");
    run(&mut python_build(&toy, &["3.13.5", &prefix])).exits(0);
    let package = toy.path("prefix/lib/python3.13/site-packages/mine.py");
    fs_err::write(&package, "x = 1\n").expect("a file");
    // The same artifact is there, whatever was added.
    run(&mut python_build(&toy, &["3.13.5", &prefix])).exits(0);
    let mut other = python_build(&toy, &["3.13.5", &prefix]);
    run(other.env("PYTHON_CFLAGS", "-DX=1")).exits(1).says(&["site-packages/mine.py", "they would be lost"]);
    assert!(package.exists());
    // Nothing was built for it.
    assert_eq!(toy.runs(), 1);
}

#[test]
fn a_prefix_is_the_one_that_is_named_whatever_is_in_its_name() {
    let toy = toy();
    fs_err::create_dir(toy.path("here")).expect("a directory");
    for (named, at) in [
        ("{version} of {series}", "here/{version} of {series}"),
        ("trailing/", "here/trailing"),
        ("../new/deep", "new/deep"),
        ("./a//b", "here/a/b"),
    ] {
        let mut command = python_build(&toy, &["3.13.5", named]);
        let ended = run(command.current_dir(toy.path("here"))).exits(0);
        assert!(toy.path(at).join("bin/python").exists(), "{}", ended.err);
        let last = Path::new(named).file_name().expect("a name").to_string_lossy().into_owned();
        ended.says(&["Installed Python-3.13.5 to /", &last]);
    }
    assert_eq!(toy.runs(), 1);
}

#[test]
fn a_place_for_builds_that_others_can_replace_is_refused() {
    let toy = toy();
    fs_err::create_dir(toy.path("open")).expect("a directory");
    fs_err::set_permissions(toy.path("open"), std::fs::Permissions::from_mode(0o777)).expect("a directory");
    for name in ["TMPDIR", "PYTHON_BUILD_BUILD_PATH"] {
        let mut command = python_build(&toy, &["3.13.5", &path(&toy, "prefix")]);
        let ended = run(command.env(name, toy.path("open/below"))).exits(1);
        ended.says(&["open: everybody may write to it (mode 777), so the work directory /"]);
        assert!(!toy.path("open/below").exists());
        // One that is missing is made, as by python-build.
        let mut command = python_build(&toy, &["3.13.5", &path(&toy, name)]);
        run(command.env(name, toy.path("closed").join(name))).exits(0);
    }
    assert_eq!(toy.runs(), 1);
}

#[test]
fn a_configuration_that_is_ignored_is_said_in_the_lines_of_python_build() {
    if !is_root() {
        skip!(Missing::Root, "only root can give a file away");
    }
    let toy = toy();
    let open = toy.path("open");
    fs_err::create_dir(&open).expect("a directory");
    fs_err::set_permissions(&open, std::fs::Permissions::from_mode(0o1777)).expect("a directory");
    fs_err::write(open.join("pykeel.toml"), "prefix = '/opt/evil'\n").expect("a file");
    check("chown", &["65534", &open.join("pykeel.toml").display().to_string()]);
    let mut command = python_build(&toy, &["3.13.5", &path(&toy, "prefix")]);
    let ended = run(command.env_remove("PYKEEL_CONFIG").env("HOME", toy.path("home")).current_dir(&open)).exits(0);
    let first = ended.err.lines().next().unwrap_or_default();
    assert!(first.starts_with("python-build: warning: ignoring ") && first.contains("PYKEEL_CONFIG"), "{first}");
}

#[test]
fn what_is_damaged_in_the_store_is_said_in_the_lines_of_python_build() {
    let toy = toy();
    run(&mut python_build(&toy, &["3.13.5", &path(&toy, "one")])).exits(0);
    let entries = walkdir::WalkDir::new(toy.store().join("artifacts")).into_iter().flatten();
    let tarball = entries.map(walkdir::DirEntry::into_path).find(|path| path.to_string_lossy().ends_with(".tar.zst"));
    fs_err::write(tarball.expect("an artifact"), "damaged").expect("a file");
    let ended = run(&mut python_build(&toy, &["3.13.5", &path(&toy, "two")])).exits(0);
    assert!(ended.err.contains("; it is now in "), "{}", ended.err);
    for line in ended.err.lines() {
        let known = ["python-build: ", "Downloading ", "-> ", "Installing ", "Installed "];
        assert!(known.iter().any(|start| line.starts_with(start)), "{line}");
    }
}

#[test]
fn who_waits_for_the_build_of_another_process_says_so() {
    let configure = "touch @toy@/started; n=0; while [ ! -e @toy@/go ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; \
                     echo ran >> @toy@/runs";
    let toy = Toy::new(Behaviour { configure, ..Behaviour::default() });
    let begin = |prefix: &str| {
        let mut command = python_build(&toy, &["3.13.5", &path(&toy, prefix)]);
        command.stdout(Stdio::null()).stderr(Stdio::from(
            fs_err::File::create(toy.path(prefix).with_extension("lines")).expect("a file").into_file(),
        ));
        command.spawn().expect("a process")
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_mins(1), "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let lines = |prefix: &str| fs_err::read_to_string(toy.path(prefix).with_extension("lines")).unwrap_or_default();
    let mut first = begin("one");
    until("the first one configures", &|| toy.path("started").exists());
    let mut second = begin("two");
    until("the second one waits", &|| lines("two").contains("python-build: waiting for the build "));
    fs_err::write(toy.path("go"), "").expect("a file");
    assert!(first.wait().expect("its end").success() && second.wait().expect("its end").success());
    assert_eq!(toy.runs(), 1, "{}", lines("two"));
}

#[test]
fn a_program_that_is_none_is_named_and_no_unknown_definition() {
    let toy = toy();
    script(&toy.path("pb/python-build"), "#!/bin/sh\nexit 7\n");
    fs_err::set_permissions(toy.path("pb/python-build"), std::fs::Permissions::from_mode(0o644)).expect("a file");
    for (named, reason) in [("pb", "it is a directory"), ("pb/python-build", "this user may not run it")] {
        let mut command = python_build(&toy, &["pypy3.10-7.3.12", &path(&toy, "prefix")]);
        run(command.env("PYKEEL_PYTHON_BUILD", toy.path(named))).exits(1).says(&["PYKEEL_PYTHON_BUILD=/", reason]);
    }
}
