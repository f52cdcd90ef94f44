//! Fault injection in files: stores that are damaged, full, read-only, without exec or on another file
//! system, and unusual environments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, Mounted, at_date, check, is_root, run, start};
use crate::toy::{Behaviour, Toy};
use crate::toy_artifact::{artifact, pykeel, store_with};

/// A name that is not UTF-8.
fn latin1(name: &str) -> OsString {
    OsString::from_vec(name.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect())
}

/// The one file of an entry whose name ends in some way.
fn file_of(entry: &Path, end: &str) -> PathBuf {
    let files = fs_err::read_dir(entry).expect("the entry").map(|file| file.expect("a file").path());
    files.into_iter().find(|path| path.display().to_string().ends_with(end)).expect(end)
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs_err::read(path).expect("the file");
    change(&mut bytes);
    fs_err::write(path, bytes).expect("the file");
}

fn edit_text(path: &Path, from: &str, to: &str) {
    let text = fs_err::read_to_string(path).expect("the file");
    assert!(text.contains(from), "{from} is not in {text}");
    fs_err::write(path, text.replacen(from, to, 1)).expect("the file");
}

/// `pykeel install --no-build` from a store into a prefix.
fn install(store: &Path, prefix: &Path) -> Ended {
    run(pykeel().args(["install", "3.13.5", "--no-build", "--json", "--prefix"]).arg(prefix).env("PYKEEL_STORE", store))
}

/// One way to damage an entry: what it is, the exit code of `install --no-build`, what is said.
type Damage = (fn(&Path), i32, &'static [&'static str]);

const DAMAGES: &[Damage] = &[
    (
        |entry| edit(&file_of(entry, ".tar.zst"), |bytes| bytes.truncate(bytes.len() / 2)),
        4,
        &[".tar.zst", "it is now in"],
    ),
    (|entry| edit(&file_of(entry, ".tar.zst"), |bytes| bytes.truncate(bytes.len() - 1)), 4, &[".tar.zst"]),
    (|entry| edit(&file_of(entry, ".tar.zst"), |bytes| bytes.push(0)), 4, &[".tar.zst"]),
    (|entry| edit(&file_of(entry, ".tar.zst"), Vec::clear), 4, &[".tar.zst", "is damaged"]),
    (|entry| edit(&file_of(entry, ".tar.zst"), |bytes| bytes[7] ^= 1), 4, &[".tar.zst"]),
    (|entry| fs_err::remove_file(file_of(entry, ".tar.zst")).expect("a file"), 4, &[".tar.zst", "it is missing"]),
    (|entry| edit(&file_of(entry, ".manifest.json"), |bytes| bytes.truncate(100)), 4, &[".manifest.json", "SHA-256"]),
    // It would be installed somewhere else.
    (
        |entry| edit_text(&file_of(entry, ".manifest.json"), "/opt/myorg", "/opt/myOrg"),
        4,
        &[".manifest.json", "SHA-256"],
    ),
    (|entry| fs_err::remove_file(file_of(entry, ".manifest.json")).expect("a file"), 4, &["it is missing"]),
    (
        |entry| edit_text(&entry.join("record.json"), "\"glibc_floor\": \"2.", "\"glibc_floor\": \"1."),
        4,
        &["record.json", "does not match the manifest"],
    ),
    // What cannot be found cannot be set aside, and is named.
    (
        |entry| edit(&entry.join("record.json"), |bytes| bytes.truncate(100)),
        2,
        &["record.json is damaged", "no usable artifact"],
    ),
    (|entry| edit(&entry.join("record.json"), Vec::clear), 2, &["record.json is damaged", "pykeel build 3.13.5"]),
    (|entry| edit(&entry.join("record.json"), |bytes| bytes[5] = 0xff), 2, &["record.json is damaged"]),
    (
        |entry| edit_text(&entry.join("record.json"), "\"build_key\": \"", "\"build_key\": \"0"),
        2,
        &["record.json is damaged"],
    ),
    (
        |entry| fs_err::remove_file(entry.join("record.json")).expect("a file"),
        2,
        &["no usable artifact of Python 3.13.5"],
    ),
];

#[test]
fn a_damaged_entry_is_named_set_aside_and_not_installed() {
    let runtime = artifact("runtime");
    for (number, (damage, code, texts)) in DAMAGES.iter().enumerate() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("store");
        let entry = store_with("runtime", &store);
        damage(&entry);
        let prefix = directory.path().join("opt/python");
        let ended = install(&store, &prefix);
        assert_eq!(ended.code, *code, "damage {number}: {}", ended.err);
        ended.exits(*code).says(texts);
        assert!(!prefix.exists(), "damage {number}");
        let beside = prefix.parent().expect("a parent");
        assert!(!beside.exists() || fs_err::read_dir(beside).expect("a directory").next().is_none(), "damage {number}");
        let aside = store.join("damaged");
        assert_eq!(*code == 4, aside.exists(), "damage {number}");
        // The pin says the same as the version does.
        let pin = format!("sha256:{}", runtime.digest);
        run(pykeel().args(["install", &pin, "--prefix"]).arg(&prefix).env("PYKEEL_STORE", &store)).exits(2);
        let listed = run(pykeel().args(["list", "--json"]).env("PYKEEL_STORE", &store)).exits(0);
        assert_eq!(listed.json().as_array().map(Vec::len), Some(0));
        assert_eq!(
            listed.err.contains("record.json is damaged"),
            ended_names_record(texts),
            "damage {number}: {}",
            listed.err
        );
    }
}

/// Whether a damage is one that `list` names: nobody has set it aside.
fn ended_names_record(texts: &[&str]) -> bool {
    texts.contains(&"record.json is damaged")
}

#[test]
fn no_flipped_bit_of_a_record_installs_something_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    let entry = store_with("runtime", &store);
    let record = fs_err::read(entry.join("record.json")).expect("the record");
    for at in (0..record.len()).step_by(13) {
        let mut flipped = record.clone();
        flipped[at] ^= 1 << (at % 7);
        fs_err::create_dir_all(&entry).expect("the entry");
        fs_err::write(entry.join("record.json"), &flipped).expect("the record");
        let prefix = directory.path().join(format!("opt/{at}"));
        let ended = install(&store, &prefix);
        assert!([0, 2, 4].contains(&ended.code), "at {at}: {}", ended.err);
        if ended.code == 0 {
            // The size or the time, which nothing goes by.
            assert_eq!(ended.json()[0]["digest"], artifact("runtime").digest.as_str(), "at {at}");
            fs_err::remove_dir_all(&prefix).expect("a directory");
        }
        assert!(!prefix.exists(), "at {at}");
        if !entry.exists() {
            fs_err::remove_dir_all(store.join("damaged")).expect("a directory");
            store_with("runtime", &store);
        }
    }
}

#[test]
fn a_damaged_entry_is_built_anew() {
    let toy = Toy::new(Behaviour::default());
    let built = toy.build().exits(0).json()[0].clone();
    let entry = toy.store().join("artifacts").join(built["build_key"].as_str().expect("a key"));
    let damages: [fn(&Path); 3] = [
        |entry| edit(&file_of(entry, ".tar.zst"), |bytes| bytes[1000] ^= 1),
        |entry| edit(&file_of(entry, ".manifest.json"), |bytes| bytes.truncate(10)),
        |entry| edit_text(&entry.join("record.json"), "\"request_key\": \"", "\"request_key\": \"0"),
    ];
    for damage in damages {
        damage(&entry);
        let again = toy.build().exits(0).says(&["it is now in", "rebuilding it"]).json()[0].clone();
        assert_eq!((&again["cached"], &again["digest"]), (&false.into(), &built["digest"]));
    }
    assert_eq!(fs_err::read_dir(toy.store().join("damaged")).expect("a directory").count(), 3);
    toy.left_nothing();
}

#[test]
fn lock_files_of_dead_processes_hold_nobody_up() {
    let toy = Toy::new(Behaviour::default());
    let built = toy.build().exits(0).json()[0].clone();
    let key = built["build_key"].as_str().expect("a key").to_owned();
    fs_err::remove_dir_all(toy.store().join("artifacts")).expect("a directory");
    let locks: Vec<PathBuf> = ["locks", "work"]
        .iter()
        .flat_map(|part| fs_err::read_dir(toy.store().join(part)).expect("a directory"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(locks.iter().any(|lock| lock.ends_with(format!("{key}.lock"))), "{locks:?}");
    for lock in locks {
        fs_err::write(&lock, "4194304 a process that is gone\n").expect("a lock");
        check("chmod", &["444", &lock.display().to_string()]);
    }
    fs_err::create_dir(toy.store().join("work/build-gone")).expect("a directory");
    fs_err::write(toy.store().join("work/build-gone.lock"), "4194304").expect("a lock");
    let again = toy.build().exits(0).says_not(&["waiting"]);
    assert_eq!(again.json()[0]["digest"], built["digest"]);
    toy.left_nothing();
}

#[test]
fn a_store_on_another_file_system_is_as_good() {
    let toy = Toy::new(Behaviour::default());
    let plain = toy.build().exits(0).json()[0]["digest"].clone();
    // With a space, so that work is done on the first file system and published to the second.
    let Some(_mounted) = Mounted::tmpfs(&toy.path("other fs"), "size=400m") else {
        skip!(Missing::Mounts, "nothing can be mounted here")
    };
    fs_err::create_dir(toy.path("tmp")).expect("a directory");
    let mut command = toy.build_command();
    command.env("PYKEEL_STORE", toy.path("other fs/store")).env("TMPDIR", toy.path("tmp"));
    command.arg("--out").arg(toy.path("out"));
    let ended = run(&mut command).exits(0).says(&["cannot build below the store"]);
    assert_eq!(ended.json()[0]["digest"], plain);
    let tarball = ended.json()[0]["tarball"].as_str().expect("a path").to_owned();
    assert!(tarball.starts_with(&toy.path("out").display().to_string()));
    let entries = fs_err::read_dir(toy.path("other fs/store/artifacts")).expect("a directory").count();
    assert_eq!(entries, 1);
}

#[test]
fn a_read_only_store_can_be_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("place");
    let Some(mounted) = Mounted::tmpfs(&place, "size=100m") else {
        skip!(Missing::Mounts, "nothing can be mounted here")
    };
    let store = place.join("store");
    store_with("runtime", &store);
    mounted.remount("ro");
    let listed = run(pykeel().args(["list", "--json"]).env("PYKEEL_STORE", &store)).exits(0);
    assert_eq!(listed.json().as_array().map(Vec::len), Some(1));
    let prefix = directory.path().join("opt/python");
    install(&store, &prefix).exits(0);
    check(&prefix.join("bin/python3").display().to_string(), &["-c", "import ssl"]);
    run(pykeel().args(["build", "3.13.5"]).env("PYKEEL_STORE", &store)).exits(5).says(&[
        &store.display().to_string(),
        "Read-only file system",
        "--store",
    ]);
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left() {
    let toy = Toy::new(Behaviour::default());
    let place = toy.path("small");
    // Where it is full depends on the size: pykeel itself says it with 5, and `cp` of the toy's
    // make says it in the excerpt of a failed build.
    let Some(mounted) = Mounted::tmpfs(&place, "size=1m") else {
        skip!(Missing::Mounts, "nothing can be mounted here")
    };
    let build = || run(toy.build_command().env("PYKEEL_STORE", place.join("store")));
    for megabytes in [0, 5, 12, 20] {
        // Some kilobytes at the least, so that there is a store to speak of.
        mounted.remount(&format!("size={}k", 64 + megabytes * 1024));
        let ended = build();
        assert!([1, 5].contains(&ended.code), "{megabytes} MB: {} {}", ended.code, ended.err);
        let ended = ended.says(&["No space left on device", "small"]);
        assert!(ended.code == 1 || ended.err.contains("free some space"), "{}", ended.err);
        let left = walkdir::WalkDir::new(&place).into_iter().filter_map(Result::ok);
        let left: Vec<_> = left
            .filter(|entry| entry.file_name() == "source" || entry.path().extension() == Some("new".as_ref()))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    mounted.remount("size=400m");
    build().exits(0);
}

#[test]
fn a_store_that_is_a_file_or_not_writable_is_said() {
    let toy = Toy::failing();
    let file = toy.path("file");
    fs_err::write(&file, "").expect("a file");
    let ended = run(toy.build_command().env("PYKEEL_STORE", &file));
    assert!(ended.code != 0 && ended.err.contains(&file.display().to_string()), "{}", ended.err);
    if !is_root() {
        skip!(Missing::Root, "only root can become another user");
    }
    let somebody = ["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_pykeel")];
    let ended = run(Command::new("setpriv").args(somebody).args(["recipe", "check"]));
    if ended.code != 0 {
        skip!(Missing::OpenCheckout, "another user cannot run the program where it lies: {}", ended.err);
    }
    let closed = toy.path("closed");
    fs_err::create_dir(&closed).expect("a directory");
    check("chmod", &["755", &toy.path("").display().to_string()]);
    let mut command = Command::new("setpriv");
    command.args(somebody).args(["build", "3.13.5"]);
    command.env("PYKEEL_STORE", closed.join("store")).env_remove("PYKEEL_RECIPES");
    run(&mut command).exits(5).says(&[&closed.display().to_string(), "Permission denied", "--store"]);
}

#[test]
fn a_store_without_exec_has_its_builds_elsewhere() {
    let toy = Toy::new(Behaviour::default());
    let place = toy.path("noexec");
    let Some(_mounted) = Mounted::tmpfs(&place, "size=400m,noexec") else {
        skip!(Missing::Mounts, "nothing can be mounted here")
    };
    fs_err::create_dir(toy.path("tmp")).expect("a directory");
    let mut command = toy.build_command();
    command.env("PYKEEL_STORE", place.join("store")).env("TMPDIR", toy.path("tmp"));
    let ended = run(&mut command).exits(0).says(&["cannot build below the store; the build directory is", "/tmp/"]);
    // What runs Python to verify it says so before it blames the artifact.
    let tarball = ended.json()[0]["tarball"].as_str().expect("a path").to_owned();
    let verify = |what: &Path, temporary: &Path| run(pykeel().arg("verify").arg(what).env("TMPDIR", temporary));
    verify(Path::new(&tarball), &place).exits(5).says(&["cannot run programs in", "noexec", "TMPDIR"]);
    let prefix = place.join("python");
    let store = place.join("store");
    run(toy.command(&["install", "3.13.5", "--no-build", "--prefix"]).arg(&prefix).env("PYKEEL_STORE", store)).exits(0);
    let text = format!("cannot run programs in {}", prefix.display());
    verify(&prefix, &toy.path("tmp")).exits(5).says(&[&text, "noexec"]);
}

/// Takes exec from everywhere a build might go, in a mount namespace of its own, with the program bound to where it
/// can be run.
const WITHOUT_EXEC: &str = r#"
    mount -t tmpfs none /mnt && touch /mnt/pykeel && mount --bind "$1" /mnt/pykeel || exit 77
    for place in /tmp /var/tmp "$2"; do
        mount --bind "$place" "$place" && mount -o remount,bind,noexec "$place" || exit 77
    done
    shift 2
    exec /mnt/pykeel "$@""#;

#[test]
fn no_place_with_exec_is_said_before_anything_is_configured() {
    let toy = Toy::new(Behaviour { configure: "echo configure ran >&2; exit 1", ..Behaviour::default() });
    let plain = toy.build_command();
    let directory = toy.path("").display().to_string();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", WITHOUT_EXEC, "sh"]).arg(plain.get_program()).arg(&directory);
    command.args(plain.get_args()).env("PYKEEL_STORE", toy.store()).env("PYKEEL_RECIPES", toy.path("recipes"));
    command.env("PYKEEL_OPTIMIZE", "none");
    let ended = run(command.env_remove("TMPDIR"));
    if ended.code == 77 || !is_root() {
        skip!(Missing::Mounts, "a mount namespace cannot be made: {}", ended.err);
    }
    let place = format!("cannot run programs in {}", toy.store().join("work").display());
    ended.exits(5).says(&[&place, "noexec", "TMPDIR", "--store DIR"]).says_not(&["configure ran", "fetch"]);
    toy.left_nothing();
}

/// What others than the owner cannot read.
fn closed_to_others(root: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.expect("an entry"));
    let closed = entries.filter(|entry| {
        let wanted = if entry.file_type().is_dir() { 0o005 } else { 0o004 };
        !entry.file_type().is_symlink() && entry.metadata().expect("metadata").mode() & wanted != wanted
    });
    closed.map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_closed_umask_closes_neither_the_store_nor_a_prefix() {
    let toy = Toy::new(Behaviour::default());
    let masked = |plain: &Command| {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 077; exec \"$@\"", "sh"]);
        start(&mut command, plain);
        command
    };
    let plain = toy.build().exits(0).json()[0]["digest"].clone();
    let mut build = toy.build_command();
    build.env("PYKEEL_STORE", toy.path("masked")).arg("--out").arg(toy.path("out"));
    assert_eq!(run(&mut masked(&build)).exits(0).json()[0]["digest"], plain);
    let mut install = toy.command(&["install", "3.13.5", "--no-build", "--prefix"]);
    install.arg(toy.path("deep/opt/python")).env("PYKEEL_STORE", toy.path("masked"));
    run(&mut masked(&install)).exits(0);
    for root in ["masked", "out", "deep"] {
        let closed = closed_to_others(&toy.path(root));
        assert!(closed.is_empty(), "{closed:?}");
    }
}

#[test]
fn a_clock_of_1970_is_said_before_make_goes_by_it_and_does_not_matter_otherwise() {
    let toy = Toy::new(Behaviour { configure: "echo configure ran >&2; exit 1", ..Behaviour::default() });
    let date = "1970-01-02 00:00:00";
    let Some(mut build) = at_date(date, &toy.build_command()) else {
        skip!(Missing::Program("faketime"), "there is no faketime")
    };
    run(&mut build)
        .exits(1)
        .says(&["the system clock says 1970-01-02, but Python-3.13.5.tar.xz was made 2023-11-14", "set the clock"])
        .says_not(&["configure ran"]);
    toy.left_nothing();
    let store = toy.path("old");
    store_with("runtime", &store);
    let mut install = pykeel();
    install.args(["install", "3.13.5", "--no-build", "--prefix"]).arg(toy.path("python")).env("PYKEEL_STORE", &store);
    run(&mut at_date(date, &install).expect("faketime")).exits(0);
    run(&mut at_date(date, pykeel().arg("list").env("PYKEEL_STORE", &store)).expect("faketime")).exits(0);
    run(&mut at_date(date, pykeel().arg("verify").arg(toy.path("python"))).expect("faketime")).exits(0);
}

#[test]
fn a_temporary_directory_with_a_space_or_of_no_language_is_used_or_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let tarball = artifact("runtime").tarball;
    let verify = |temporary: &Path| run(pykeel().arg("verify").arg(&tarball).env("TMPDIR", temporary));
    verify(&directory.path().join("my témp dir/not there yet")).exits(0);
    verify(&directory.path().join(latin1("t\u{ff}"))).exits(2).says(&["the path is not UTF-8"]);
    // Neither the store nor TMPDIR has a path that make takes: there are other places.
    let toy = Toy::new(Behaviour::default());
    let temporary = toy.path("a b");
    fs_err::create_dir(&temporary).expect("a directory");
    let mut command = toy.build_command();
    command.env("PYKEEL_STORE", toy.path("my store")).env("TMPDIR", &temporary);
    run(&mut command).exits(0).says(&["cannot build below the store"]);
    assert_eq!(fs_err::read_dir(&temporary).expect("a directory").count(), 0);
}

#[test]
fn without_a_home_a_store_is_named() {
    let toy = Toy::failing();
    let plain = toy.build_command();
    let bare = |more: &[&OsStr]| {
        let mut command = Command::new(plain.get_program());
        command.args(plain.get_args()).args(more).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("PYKEEL_OPTIMIZE", "none");
        run(command.env("PYKEEL_RECIPES", toy.path("recipes")))
    };
    bare(&[]).exits(2).says(&["XDG_CACHE_HOME", "HOME", "PYKEEL_STORE"]);
    let store = toy.store();
    // It comes to make, which fails.
    bare(&["--store".as_ref(), store.as_os_str()]).exits(1).says(&["make"]);
    toy.left_nothing();
}

#[test]
fn arguments_that_are_not_utf8_are_used_or_named() {
    let wrong = latin1("3.13\u{ff}");
    for args in [["build"].as_slice(), &["install"], &["recipe", "show"]] {
        run(pykeel().args(args).arg(&wrong)).exits(2);
    }
    run(pykeel().args(["build", "3.13", "--prefix"]).arg(latin1("/opt/\u{ff}"))).exits(2);
    run(pykeel().arg(latin1("--\u{ff}"))).exits(2);
    run(pykeel().arg("inspect").arg(latin1("/no/such/\u{ff}.tar.zst")))
        .exits(2)
        .says(&["/no/such/", "there is no such file"]);
    for name in ["CC", "CFLAGS", "LDFLAGS"] {
        let mut command = pykeel();
        command.args(["build", "3.13.5", "--dry-run"]).env(name, latin1("-O\u{ff}"));
        run(&mut command).exits(2).says(&[&format!("{name}: environment variable was not valid unicode")]);
    }

    // Directories may have any name.
    let toy = Toy::new(Behaviour::default());
    let strange = toy.path("").join(latin1("str\u{e4}nge"));
    for (from, to) in [(toy.mirror(), "mirror"), (toy.path("recipes"), "recipes")] {
        fs_err::create_dir_all(&strange).expect("a directory");
        fs_err::rename(from, strange.join(to)).expect("a rename");
    }
    let mut command = pykeel();
    command.args(["build", "3.13.5", "--json", "--offline", "--mirror"]).arg(strange.join("mirror"));
    command.arg("--recipes").arg(strange.join("recipes")).arg("--store").arg(strange.join("store"));
    command.arg("--out").arg(strange.join("out")).args(["--optimize", "none"]);
    let built = run(&mut command).exits(0).json();
    let tarball = built[0]["tarball"].as_str().expect("a path").to_owned();
    assert!(tarball.contains("str\u{fffd}nge/out/cpython-"), "{tarball}");
    let tarball = file_of(&strange.join("out"), ".tar.zst");
    run(pykeel().arg("inspect").arg(&tarball)).exits(0);
    run(pykeel().arg("verify").arg(&tarball)).exits(0);

    let install = |option: &str, place: &Path| {
        let mut command = pykeel();
        command.args(["install", "3.13.5", "--optimize", "none", "--no-build", "--json"]);
        command.arg("--store").arg(strange.join("store"));
        run(command.arg("--recipes").arg(strange.join("recipes")).arg(option).arg(place))
    };
    // CPython itself cannot encode such a path where it loads an extension module.
    install("--prefix", &strange.join("python")).exits(2).says(&["cannot be a prefix", "not UTF-8"]);
    assert!(!strange.join("python").exists());
    let ended = install("--root", &strange.join("root")).exits(0);
    assert!(ended.json()[0]["path"].as_str().is_some_and(|path| path.ends_with("nge/root/opt/myorg/python-3.13")));
    let prefix = strange.join("root/opt/myorg/python-3.13");
    run(pykeel().arg("verify").arg(&prefix)).exits(2).says(&["the path is not UTF-8"]);
}

#[test]
fn a_mirror_that_is_no_plain_file_is_passed_by() {
    let toy = Toy::failing();
    fs_err::remove_file(toy.archive()).expect("the archive");
    check("mkfifo", &[toy.archive()]);
    toy.build().exits(3).says(&["Python-3.13.5.tar.xz is not a file"]);
    for (target, reason) in [("/dev/zero", "is not a file"), ("/no/such", "No such file"), (".", "is not a file")] {
        fs_err::remove_file(toy.archive()).expect("the archive");
        std::os::unix::fs::symlink(target, toy.archive()).expect("a link");
        toy.build().exits(3).says(&[reason]);
    }
    // A hole of a terabyte is not read to its end.
    fs_err::remove_file(toy.archive()).expect("the archive");
    fs_err::File::create(toy.archive()).expect("a file").set_len(1 << 40).expect("a hole");
    toy.build().exits(3).says(&["has 1099511627776 bytes; a source may have at most"]);
    toy.left_nothing();
}
