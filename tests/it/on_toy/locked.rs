//! `install --locked` and `build --locked`: exactly what the lock says, or an error that names what is different.

use std::path::{Path, PathBuf};

use pykeel::sys::distro::Distro;

use super::lock::Project;
use crate::level::count;
use crate::missing::Missing;
use crate::skip;
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
pub fn install(project: &Project, more: &[&str]) -> Ended {
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
    // One entry has both flavors, another one has not.
    project.run(&["lock", "3.13.5", "--flavor", "runtime"]).exits(0);
    for words in [&["install", "--locked", "--no-build"][..], &["build", "--locked"]] {
        let mut command = project.command(words);
        run(command.args(["--flavor", "builder"])).exits(4).says(&["has no 3.13.5 (builder, "]);
    }
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
    refused(&["install", "--locked", "--root", &root(&project).display().to_string()]);
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
    // A library whose name is that of another fact, with the value that is true of that one.
    project.write(&text);
    project.edit(&key, &"0".repeat(64));
    project.edit("[artifact.libraries]\n", &format!("[artifact.libraries]\n\"build key\" = \"{key}\"\n"));
    install(&project, &[]).exits(4).says(&["is not true of", "build key is ", "build key (library) is none"]);
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
        // In the last case the store has the locked one too. Else nothing has it, and what was looked at is set aside.
        let expected_codes = if index == 2 { [(0, 0), (0, 0)] } else { [(4, 4), (2, 4)] };
        for (by_digest, by_lock) in expected_codes {
            let mut pinned = project.command(&["install", &digest, "--no-build", "--no-sync", "--json", "--root"]);
            for (code, command) in [(by_digest, None), (by_lock, Some(()))] {
                let ended = match command {
                    None => run(pinned.arg(root(&project))),
                    Some(()) => install(&project, &[]),
                };
                ended.exits(code);
                assert_eq!(is_installed(&project), code == 0, "{index}");
                assert!(code != 0 || installed(&project) == expected, "{index}");
            }
        }
        // A build makes the locked one, whatever the store says.
        run(&mut project.build(&["build", "--locked", "--json"])).exits(0);
        install(&project, &[]).exits(0);
        assert_eq!(installed(&project), expected, "{index}");
    }
}

/// Damages an artifact so that only whoever reads the whole tarball sees it.
fn damage(project: &Project, digest: &str) {
    let tarball = file(&project.entry(digest), ".tar.zst");
    let mut bytes = fs_err::read(&tarball).expect("the tarball");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(tarball, bytes).expect("the tarball");
}

#[test]
fn a_damaged_artifact_is_replaced_from_a_remote_or_by_a_build() {
    let project = Project::new().locked();
    let locked = project.value("sha256");
    install(&project, &[]).exits(0);
    let expected = installed(&project);
    let remote = format!("file://{}", project.path("remote").display());
    let digest = format!("sha256:{locked}");
    project.run(&["push", &digest, &remote]).exits(0);
    for words in [
        &["install", "--locked", "--no-build"][..],
        &["install", &digest, "--no-build"],
        &["install", "3.13.5", "--no-build"],
    ] {
        damage(&project, &locked);
        let mut command = project.command(words);
        let ended = run(command.args(["--json", "--remotes", &remote, "--root"]).arg(root(&project))).exits(0);
        assert_eq!(ended.json()[0]["digest"], locked.as_str());
        assert_eq!(ended.json()[0]["remote"], remote.as_str());
        ended.says(&["it is now in "]);
        assert_eq!(installed(&project), expected);
    }
    damage(&project, &locked);
    let built = project.run(&["build", "--locked", "--json", "--remotes", &remote]).exits(0).json();
    assert_eq!((&built[0]["digest"], &built[0]["remote"]), (&locked.as_str().into(), &remote.as_str().into()));
    // Without a remote.
    damage(&project, &locked);
    install(&project, &[]).exits(4).says(&["it is now in ", "the store does not have the artifact of 3.13"]);
    assert!(!is_installed(&project));
    run(&mut project.build(&["build", "--locked"])).exits(0);
    damage(&project, &locked);
    let mut command = project.build(&["install", "--locked", "--json"]);
    let ended = run(command.arg("--root").arg(root(&project))).exits(0).says(&["it is now in "]);
    assert_eq!(ended.json()[0]["digest"], locked.as_str());
    assert_eq!(installed(&project), expected);
}

#[test]
fn what_the_store_says_of_an_artifact_is_not_blamed_on_the_lock() {
    let project = Project::new().locked();
    let locked = project.value("sha256");
    let remote = format!("file://{}", project.path("remote").display());
    project.run(&["push", &format!("sha256:{locked}"), &remote]).exits(0);
    let record = project.entry(&locked).join("record.json");
    let text = fs_err::read_to_string(&record).expect("the record");
    fs_err::write(&record, text.replace("\"size\": ", "\"size\": 1")).expect("the record");
    let ended = install(&project, &["--remotes", &remote]).exits(0);
    let ended = ended.says(&["the store says something else of it", "it is now in "]);
    assert_eq!(ended.json()[0]["remote"], remote.as_str());
}

#[test]
fn an_artifact_for_another_release_of_the_distribution_is_not_installed() {
    let Some(here) = Distro::read(Path::new("/")).release else {
        skip!(Missing::Apt, "this system is no release of Debian or Ubuntu")
    };
    let project = Project::new();
    run(&mut project.build(&["lock", "3.13", "--build", "--libraries", "system"])).exits(0);
    let remote = format!("file://{}", project.path("remote").display());
    project.run(&["push", &format!("sha256:{}", project.value("sha256")), &remote]).exits(0);
    let other = || {
        let root = root(&project);
        fs_err::create_dir(root.join("etc")).expect("a directory");
        fs_err::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=\"10\"\n").expect("a file");
        root
    };
    let refused = |words: &[&str]| {
        let mut command = project.command(words);
        let ended = run(command.args(["--no-build", "--remotes", &remote, "--root"]).arg(other())).exits(2);
        ended.says(&[&format!("uses the libraries of {here}, and this system is Debian 10")]);
        assert!(!is_installed(&project));
    };
    install(&project, &[]).exits(0);
    refused(&["install", "--locked"]);
    for words in [&["install", "--locked"][..], &["install", "3.13", "--libraries", "system"]] {
        // As it comes from a remote.
        fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
        refused(words);
    }
    // What is put into the store may be for any system.
    project.run(&["build", "--locked"]).exits(0);
}

#[test]
fn an_entry_that_cannot_be_built_here_keeps_no_other_from_it() {
    let project = Project::new();
    project.run(&["lock", "3.13", "--flavor", "all"]).exits(0);
    let locked = project.value("sha256");
    let text = project.text();
    let (first, second) = text.split_at(text.rfind("[[artifact]]").expect("an entry"));
    let compiler = project.value("compiler");
    project.write(&format!("{first}{}", second.replace(&compiler, "gcc (of the past) 4.9")));
    fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    let ended = run(&mut project.build(&["build", "--locked", "--json"])).exits(1);
    let ended = ended.says(&["(builder, ", "cannot be built here", "locked: gcc (of the past) 4.9"]);
    let built = ended.json();
    assert_eq!((built.as_array().map(Vec::len), &built[0]["digest"]), (Some(1), &locked.as_str().into()));
    let plans = run(&mut project.build(&["build", "--locked", "--dry-run", "--json"])).exits(1).json();
    assert_eq!(plans.as_array().map(Vec::len), Some(1));
}

#[test]
fn destinations_are_looked_at_before_anything_is_built() {
    let project = Project::new().locked();
    fs_err::remove_dir_all(project.store().join("artifacts")).expect("the store");
    let foreign = root(&project);
    fs_err::create_dir_all(foreign.join("opt/myorg/python-3.13")).expect("a directory");
    fs_err::write(foreign.join("opt/myorg/python-3.13/mine"), "").expect("a file");
    let mut command = project.build(&["install", "--locked"]);
    run(command.arg("--root").arg(&foreign))
        .exits(5)
        .says(&["was not installed by pykeel"])
        .says_not(&[" configure  ", " unpack  "]);
    assert!(!project.store().join("artifacts").exists());
    // Two artifacts for one prefix.
    let project = Project::new().locked();
    project.newer();
    project.run(&["lock", "3.13.5"]).exits(0);
    install(&project, &[]).exits(2).says(&["3.13 (runtime, ", "3.13.5 (runtime, ", "opt/myorg/python-3.13"]);
    let digests: Vec<String> =
        project.text().lines().filter_map(|line| line.strip_prefix("sha256 = ")).map(str::to_owned).collect();
    let words: Vec<String> = digests.iter().map(|digest| format!("sha256:{}", digest.trim_matches('"'))).collect();
    let mut command = project.command(&["install", &words[0], &words[1], "--root"]);
    run(command.arg(root(&project))).exits(2).says(&["opt/myorg/python-3.13"]);
    assert!(!is_installed(&project));
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
