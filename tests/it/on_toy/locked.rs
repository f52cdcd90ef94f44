//! `install --locked` and `build --locked`: exactly what the lock says, or an error that names what is different.

use std::path::{Path, PathBuf};

use super::lock::Project;
use crate::level::count;
use crate::support::{Ended, check, run};
use crate::toy::Behaviour;

/// Installs what is locked into a new root, and returns it.
fn root(project: &Project) -> PathBuf {
    let root = project.path("root");
    let _absent = fs_err::remove_dir_all(&root);
    fs_err::create_dir(&root).expect("a directory");
    root
}

/// `install --locked` without building.
fn install(project: &Project, more: &[&str]) -> Ended {
    let mut command = project.command(&["install", "--locked", "--no-build", "--no-sync", "--json", "--root"]);
    run(command.arg(root(project)).args(more))
}

/// Whether anything was installed.
fn is_installed(project: &Project) -> bool {
    project.path("root/opt/myorg/python-3.13").exists()
}

/// The sums of all files of an installation.
fn installed(project: &Project) -> String {
    let prefix = project.path("root/opt/myorg/python-3.13");
    check(
        "sh",
        &["-c".as_ref(), "cd \"$0\" && find . -type f | sort | xargs -d '\\n' sha256sum".as_ref(), prefix.as_os_str()],
    )
}

#[test]
fn a_newer_artifact_of_the_request_is_not_what_is_locked() {
    let project = Project::new().locked();
    let locked = project.value("sha256");
    let newer = project.newer();
    let mut unlocked = project.command(&["install", "3.13", "--no-build", "--json", "--root"]);
    assert_eq!(run(unlocked.arg(root(&project))).exits(0).json()[0]["digest"], newer.as_str());
    // By its words, by the release, and without any.
    for words in [&["3.13"][..], &["3.13.5"], &[]] {
        assert_eq!(install(&project, words).exits(0).json()[0]["digest"], locked.as_str());
    }
    let built = project.run(&["build", "--locked", "--json"]).exits(0).json();
    assert_eq!((&built[0]["digest"], &built[0]["cached"]), (&locked.as_str().into(), &true.into()));
    install(&project, &["3.14"]).exits(4).says(&["pykeel.lock has no 3.14", "3.13 (runtime", "pykeel lock VERSION"]);
    install(&project, &["3.13t"]).exits(4);
    let digest = format!("sha256:{locked}");
    install(&project, &[&digest]).exits(2).says(&["`--locked` takes versions"]);
    project.run(&["install", "3.13", "--lock", "x.lock"]).exits(2).says(&["--locked"]);
}

#[test]
fn what_the_store_lacks_comes_from_a_remote_that_has_the_locked_digest() {
    let project = Project::new().locked();
    let locked = project.value("sha256");
    let remote = format!("file://{}", project.path("remote").display());
    project.run(&["push", &format!("sha256:{locked}"), &remote]).exits(0);
    // The remote has a newer one of the same request too.
    let newer = project.newer();
    project.run(&["push", &format!("sha256:{newer}"), &remote]).exits(0);
    for command in ["install", "build"] {
        fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
        let ended = if command == "install" {
            install(&project, &["--remotes", &remote])
        } else {
            project.run(&["build", "--locked", "--json", "--remotes", &remote])
        };
        assert_eq!(ended.exits(0).says(&["pull", &remote]).json()[0]["digest"], locked.as_str());
    }
    fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    fs_err::remove_file(project.path("remote").join(format!("artifacts/{locked}.json"))).expect("the offer");
    install(&project, &["--remotes", &remote]).exits(4).says(&["the store does not have the artifact of 3.13"]);
    assert!(!is_installed(&project));
}

#[test]
fn the_flavor_is_that_which_is_locked() {
    let project = Project::new();
    project.run(&["lock", "3.13", "--flavor", "builder"]).exits(0);
    let name = |ended: Ended| ended.exits(0).json()[0]["name"].as_str().expect("a name").to_owned();
    assert!(name(install(&project, &[])).contains("-builder-"));
    install(&project, &["3.13", "--flavor", "runtime"]).exits(4).says(&["has no 3.13 (runtime, "]);
    project.run(&["lock", "3.13", "--flavor", "runtime"]).exits(0);
    assert!(name(install(&project, &[])).contains("-runtime-"));
    assert!(name(install(&project, &["--flavor", "builder"])).contains("-builder-"));
    assert_eq!(project.run(&["build", "--locked", "--json"]).exits(0).json().as_array().map(Vec::len), Some(2));
}

#[test]
fn options_that_are_set_have_to_be_the_locked_ones() {
    let project = Project::new().locked();
    for command in ["install", "build"] {
        let ended = project.run(&[command, "--locked", "--bytecode", "unchecked-hash", "--shared"]).exits(4);
        ended.says(&[
            "pykeel.lock has 3.13 (runtime, ",
            "with other options",
            "bytecode is unchecked-hash, locked: strip",
            "shared is true, locked: false",
        ]);
    }
    install(&project, &["--bytecode", "strip"]).exits(0);
    let mut other = project.command(&["install", "--locked", "--root"]);
    run(other.arg(root(&project)).env("PYKEEL_LIBRARIES", "system")).exits(4).says(&["libraries is system"]);
    // What a compiler reads means nothing to an installation.
    run(other.env_remove("PYKEEL_LIBRARIES").env("CFLAGS", "-O1")).exits(0);
}

#[test]
fn what_the_store_lacks_is_built_if_it_comes_out_the_same() {
    let project = Project::new();
    project.run(&["lock", "3.13", "--flavor", "all"]).exits(0);
    let locked = project.value("sha256");
    fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    let ended = install(&project, &[]).exits(4);
    ended.says(&["the store does not have the artifact of 3.13 (runtime, ", &locked, "pykeel build --locked"]);
    assert!(!is_installed(&project));
    let built = run(&mut project.build(&["build", "--locked", "--json"])).exits(0).json();
    assert_eq!(built[0]["digest"], locked.as_str());
    assert_eq!((built.as_array().map(Vec::len), &built[0]["cached"]), (Some(2), &false.into()));
    install(&project, &[]).exits(0);
    // And by `install`.
    fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    let mut command = project.build(&["install", "--locked", "--json"]);
    let ended = run(command.arg("--root").arg(root(&project))).exits(0);
    assert_eq!(ended.json()[0]["digest"], locked.as_str());
}

#[test]
fn a_build_with_another_plan_is_refused_before_it_starts() {
    let project = Project::of(Behaviour::default()).locked();
    fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    let refused = |words: &[&str]| {
        let ended = run(&mut project.build(words)).exits(4).says_not(&[" configure  ", " unpack  "]);
        ended.says(&["3.13 (runtime, ", "of pykeel.lock cannot be built here: the build plan is different"])
    };
    // The user's flags.
    run(project.build(&["build", "--locked"]).env("CFLAGS", "-O1"))
        .exits(4)
        .says(&["CFLAGS is -O1, locked: none", "set CC, CFLAGS"])
        .says_not(&["recipe's instructions"]);
    // The recipe.
    project.toy().write_recipe(|recipe| recipe.replacen("arguments = [", "arguments = [\n  \"--with-dtrace\",", 1));
    refused(&["build", "--locked"]).says(&["recipe's instructions is ", "--recipes DIR"]);
    refused(&["build", "--locked", "--dry-run"]);
    refused(&["install", "--locked", "--root", "/no/such/root"]);
    project.toy().write_recipe(|recipe| recipe);
    project.run(&["build", "--locked", "--dry-run"]).exits(0);
    // The machine: as if the lock came from another one.
    let (text, compiler) = (project.text(), project.value("compiler"));
    let key = project.value("build-key");
    let other_key = |text: &str| text.replace(&key, &"0".repeat(64));
    project.write(&other_key(&text.replace(&compiler, "gcc (of the past) 4.9")));
    refused(&["build", "--locked"]).says(&[
        &format!("compiler is {compiler}, locked: gcc (of the past) 4.9"),
        "rebuild it on the system that it was built on",
        "pykeel lock --upgrade --build",
    ]);
    let version = text.lines().find(|line| line.starts_with("openssl = ")).expect("a library").to_owned();
    project.write(&other_key(&text.replace(&version, "openssl = \"1.0.2\"")));
    refused(&["build", "--locked"]).says(&["OpenSSL is ", ", locked: 1.0.2"]);
    // The same key, and a version that is not true.
    project.write(&text.replace(&version, "openssl = \"1.0.2\""));
    refused(&["build", "--locked"]).says(&["OpenSSL is ", ", locked: 1.0.2"]);
    // The release.
    project.write(&other_key(&text.replace("release = \"3.13.5\"", "release = \"3.13.4\"")));
    refused(&["build", "--locked"]).says(&["no recipe here has 3.13.4"]);
    assert!(!project.store().join("artifacts").exists());
}

#[test]
fn a_build_that_comes_out_otherwise_is_not_the_locked_one() {
    let install_stamp = "od -An -N16 -tx1 /dev/urandom | sed 's/^/# /' > lib/python3.13/stamp.py";
    let project = Project::of(Behaviour { install: install_stamp, ..Behaviour::default() }).locked();
    let locked = project.value("sha256");
    fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    let said = [&locked[..], "the build of 3.13 (runtime, ", "is not the artifact in pykeel.lock"];
    run(&mut project.build(&["build", "--locked"])).exits(4).says(&said);
    // Now the store has it, and it is as little the locked one as before.
    run(&mut project.build(&["build", "--locked"])).exits(4).says(&said);
    let mut command = project.build(&["install", "--locked"]);
    run(command.arg("--root").arg(root(&project))).exits(4).says(&said);
    assert!(!is_installed(&project));
    install(&project, &[]).exits(4).says(&["differs: sha256 is "]);
}

#[test]
fn what_the_store_has_instead_is_named() {
    let project = Project::new().locked();
    let locked = project.value("sha256");
    project.newer();
    fs_err::remove_dir_all(project.entry(&locked)).expect("the entry");
    let ended = install(&project, &[]).exits(4);
    ended.says(&[&locked, "cpython-3.13.5-", "differs: compiler is gcc (of the future) 99.1, locked: "]);
    assert!(!is_installed(&project));
}

#[test]
fn what_a_lock_says_beside_the_digest_has_to_be_true() {
    let project = Project::new().locked();
    let text = project.text();
    let openssl = text.lines().find(|line| line.starts_with("openssl = ")).expect("a library").to_owned();
    let key = project.value("build-key");
    for (from, to, said) in [
        (openssl.as_str(), "openssl = \"9.9.9\"", "OpenSSL is "),
        (&key, &"0".repeat(64), "build key is "),
        ("glibc-floor = \"2", "glibc-floor = \"3", "glibc floor is "),
        ("bytecode = \"strip\"", "bytecode = \"unchecked-hash\"", "bytecode is strip, locked: unchecked-hash"),
        ("/opt/myorg/python-{series}{variant}", "/opt/other/{series}", "prefix is /opt/myorg/python-3.13"),
        ("size = ", "size = 1", "size is "),
    ] {
        project.write(&text);
        project.edit(from, to);
        for words in [&["install", "--locked", "--no-build", "--root", "/no/such/root"][..], &["build", "--locked"]] {
            project.run(words).exits(4).says(&["what pykeel.lock says of 3.13 (runtime, ", "is not true of", said]);
        }
    }
    // A digest that nothing has.
    project.write(&text);
    let digest = project.value("sha256");
    let other = format!("{}{}", if digest.starts_with('0') { '1' } else { '0' }, &digest[1..]);
    project.edit(&digest, &other);
    install(&project, &[]).exits(4).says(&["the store does not have", &other]);
    assert!(!is_installed(&project));
}

/// The file of an entry with an ending.
fn file(entry: &Path, ending: &str) -> PathBuf {
    let files = fs_err::read_dir(entry).expect("an entry").map(|file| file.expect("a file").path());
    files.into_iter().find(|file| file.display().to_string().ends_with(ending)).expect(ending)
}

#[test]
fn an_entry_that_only_says_it_is_the_locked_one_is_not_installed() {
    // The tarball of another artifact in the place of the locked one; another entry that has the locked digest in its
    // record; and both, under the name of the locked entry.
    let forge: [fn(&Path, &Path, &str, &str); 3] = [
        |entry, other, _, _| {
            fs_err::copy(file(other, ".tar.zst"), file(entry, ".tar.zst")).expect("a copy");
        },
        |entry, other, locked, newer| {
            let record = fs_err::read_to_string(other.join("record.json")).expect("the record");
            fs_err::write(other.join("record.json"), record.replace(newer, locked)).expect("the record");
            fs_err::remove_dir_all(entry).expect("the entry");
        },
        |_, other, locked, newer| {
            let record = fs_err::read_to_string(other.join("record.json")).expect("the record");
            fs_err::write(other.join("record.json"), record.replace(newer, locked)).expect("the record");
        },
    ];
    for (index, forge) in forge.iter().enumerate() {
        let project = Project::new().locked();
        let (locked, newer) = (project.value("sha256"), project.newer());
        let whole = install(&project, &[]).exits(0);
        assert_eq!(whole.json()[0]["digest"], locked.as_str());
        let expected = installed(&project);
        forge(&project.entry(&locked), &project.entry(&newer), &locked, &newer);
        let digest = format!("sha256:{locked}");
        for _ in 0..2 {
            let mut pinned = project.command(&["install", &digest, "--no-sync", "--json", "--root"]);
            let pinned = run(pinned.arg(root(&project)));
            if pinned.code == 0 {
                assert_eq!(installed(&project), expected, "{index}");
            } else {
                assert!([2, 4].contains(&pinned.code) && !is_installed(&project), "{index}: {}", pinned.err);
            }
            let ended = install(&project, &[]);
            if ended.code == 0 {
                assert_eq!(installed(&project), expected, "{index}");
            } else {
                assert!(ended.code == 4 && !is_installed(&project), "{index}: {}", ended.err);
            }
        }
        // A build makes the locked one, whatever the store says.
        let mut command = project.build(&["build", "--locked", "--json"]);
        let built = run(&mut command);
        if built.code == 0 {
            install(&project, &[]).exits(0);
            assert_eq!(installed(&project), expected, "{index}");
        } else {
            built.exits(4);
        }
    }
}

#[test]
fn no_change_of_the_store_leads_to_another_installed_byte() {
    let project = Project::new().locked();
    let locked = project.value("sha256");
    let newer = project.newer();
    install(&project, &[]).exits(0);
    let expected = installed(&project);
    let store = project.path("whole-store");
    check("cp", &[Path::new("-a"), &project.store(), &store]);
    let mut number = 0x9e37_79b9_u64;
    for _ in 0..count(200, 20) {
        fs_err::remove_dir_all(project.store()).expect("the store");
        check("cp", &[Path::new("-a"), &store, &project.store()]);
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chosen = usize::try_from(number >> 33).expect("a number");
        let ending = ["record.json", ".manifest.json", ".tar.zst"][chosen % 3];
        let (path, other) = (file(&project.entry(&locked), ending), file(&project.entry(&newer), ending));
        let bytes = fs_err::read(&path).expect("a file");
        let at = chosen / 3 % bytes.len();
        let changed = match chosen / 7 % 4 {
            0 => fs_err::read(other).expect("a file"),
            1 => bytes[..at].to_vec(),
            _ => {
                let mut bytes = bytes;
                bytes[at] ^= 1 << (chosen % 8);
                bytes
            }
        };
        fs_err::write(&path, changed).expect("a file");
        let ended = install(&project, &[]);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        if ended.code == 0 {
            assert_eq!(installed(&project), expected, "{}", path.display());
        } else {
            assert!([1, 2, 4, 5].contains(&ended.code), "{}", ended.err);
            assert!(!is_installed(&project), "{}", path.display());
        }
    }
}
