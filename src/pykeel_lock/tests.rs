use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::pykeel_lock::tests::entry;
use crate::domain::pykeel_lock::{LockedArtifact, LockedRequest, MOST_REMOTES};
use crate::domain::target::Target;
use crate::event::Silent;
use crate::store::remote::Address;

fn lock() -> PykeelLock {
    let (request, artifact) = entry("3.13");
    let (latest, _) = entry("latest");
    let arm = LockedRequest { target: Target::Aarch64, ..request };
    PykeelLock { entries: [(request, artifact.clone()), (latest, artifact.clone()), (arm, artifact)].into() }
}

/// The mistake in a text of a lock, without the name of the file.
fn mistake(text: &str) -> String {
    let error = parse("pykeel.lock", text).expect_err(text).to_string();
    error.strip_prefix("pykeel.lock:").expect("the file").to_owned()
}

#[test]
fn a_lock_is_a_text_for_people() {
    let (request, mut artifact) = entry("3.13");
    artifact.remotes = ["oci://registry.test/team/python".into(), "file:///srv/pythons".into()].into();
    insta::assert_snapshot!(render(&PykeelLock { entries: [(request, artifact)].into() }));
}

#[test]
fn what_is_written_is_read_again() {
    let text = render(&lock());
    assert_eq!(parse("pykeel.lock", &text).unwrap(), lock());
    // As of a time when locks said nothing of remotes.
    assert!(!text.contains("remotes"));
    // Git may have changed the ends of the lines.
    assert_eq!(parse("pykeel.lock", &text.replace('\n', "\r\n")).unwrap(), lock());
    assert_eq!(parse("pykeel.lock", &render(&PykeelLock::default())).unwrap(), PykeelLock::default());
}

#[test]
fn a_mistake_has_a_place_and_a_reason() {
    let text = render(&lock());
    let line = |wanted: &str| text.lines().position(|line| line.starts_with(wanted)).unwrap() + 1;
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        mistake(&text.replacen(from, to, 1))
    };
    assert_eq!(
        edited("version = 1", "version = 2"),
        "3:11: the lock has format 2, and this pykeel reads format 1 only"
    );
    assert!(mistake("").contains("missing field `version`"));
    assert!(edited("version = 1", "version = \"1\"").starts_with("3:11: invalid type"));
    let digest = crate::domain::digest::Digest::of("tarball").to_string();
    for wrong in [&digest[1..], &digest.to_uppercase(), &format!("sha256:{digest}")] {
        let place = format!("{}:10: `{wrong}` is not a SHA-256 digest", line("sha256"));
        assert!(edited(&digest, wrong).starts_with(&place), "{}", edited(&digest, wrong));
    }
    let other = edited("request = \"3.13\"", "request = \"3.14\"");
    assert!(other.ends_with(":11: 3.13.5 is not what 3.14 can mean"), "{other}");
    assert!(edited("release = \"3.13.5\"", "release = \"3.13\"").contains("`3.13` is not a release such as 3.13.5"));
    assert!(edited("flavor = ", "flavour = ").contains("unknown field `flavour`"));
    let remotes = |list: &str| edited("[artifact.options]", &format!("remotes = [{list}]\n\n[artifact.options]"));
    let line_of_remotes = line("[artifact.options]");
    let secret = remotes("\"file:///srv\", \"https://me:secret@x.test\"");
    assert_eq!(secret, format!("{line_of_remotes}:27: remote https://x.test/: it has a user or a password in it"));
    let consent = remotes("\"oci+insecure://x.test/y\"");
    assert_eq!(
        consent,
        format!(
            "{line_of_remotes}:12: remote oci+insecure://x.test/y: a lock cannot consent to http: the configuration can"
        )
    );
    assert!(remotes("\"file:///a\", \"file:///a\"").ends_with(":25: the remote is there twice"));
    let many = (0..=MOST_REMOTES).map(|number| format!("\"file:///{number}\"")).collect::<Vec<_>>().join(", ");
    assert!(remotes(&many).ends_with("an entry has more than 16 remotes"));
    assert!(edited("size = 9042342\n", "").contains("missing field `size`"));
    assert!(edited("size = 9042342", "size = -1").contains("-1"));
    let twice = edited(
        "request = \"3.13\"\nflavor = \"runtime\"\ntarget = \"aarch64",
        "request = \"3.13\"\nflavor = \"runtime\"\ntarget = \"x86_64",
    );
    assert!(twice.contains("3.13 (runtime, x86_64-linux-gnu) is there twice, first in line"), "{twice}");
    let key = format!("build-key = \"{}\"", lock().entries.values().next().unwrap().plan.build_key);
    let other = format!("build-key = \"{}\"", "0".repeat(64));
    assert!(edited(&key, &other).contains("has this digest with another build key"));
}

#[test]
fn what_git_left_of_two_versions_is_named() {
    let text = render(&lock());
    let (before, after) = text.split_once("\n[artifact.inputs]").unwrap();
    for (marker, line) in [("<<<<<<< HEAD", 1), ("=======", 1), (">>>>>>> branch", 1), ("||||||| base", 1)] {
        let conflict = format!("{before}\n{marker}\n[artifact.inputs]{after}");
        let place = before.matches('\n').count() + 1 + line;
        assert_eq!(mistake(&conflict), format!("{place}:1: a merge conflict is not resolved: keep one of its sides"));
    }
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    let error = parse_bytes("pykeel.lock", b"version = 1\n# \xff").unwrap_err();
    assert_eq!((error.line, error.column), (2, 3));
}

#[test]
fn what_is_no_regular_file_of_a_fair_size_is_no_lock() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs_err::write(path("real"), render(&lock())).unwrap();
    fs_err::create_dir(path("directory")).unwrap();
    fs_err::os::unix::fs::symlink(path("real"), path("link")).unwrap();
    fs_err::os::unix::fs::symlink(path("nowhere"), path("broken")).unwrap();
    fs_err::File::create(path("huge")).unwrap().set_len(LARGEST + 1).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
    for (name, reason) in [
        ("directory", "it is a directory"),
        ("link", "it is a symbolic link"),
        ("broken", "it is a symbolic link"),
        ("huge", "it is larger than 4 MiB"),
        ("pipe", "it is not a regular file"),
    ] {
        for error in
            [LockFile::read(&path(name)), LockFile::read_to_write(&path(name), &Silent)].map(Result::unwrap_err)
        {
            assert_eq!(error.to_string(), format!("{} cannot be a lock: {reason}", path(name).display()));
            assert_eq!(error.code(), 2);
        }
    }
    let nowhere = LockFile::read_to_write(&path("no/such.lock"), &Silent).unwrap_err().to_string();
    assert!(nowhere.ends_with("no is not a directory"), "{nowhere}");
    let absent = LockFile::read_existing(&path("nothing")).unwrap_err();
    assert!(matches!(absent, Error::PykeelLock(PykeelLockError::Absent { .. })), "{absent}");
    assert!(LockFile::read(&path("nothing")).unwrap().content().entries.is_empty());
}

#[test]
fn a_lock_that_somebody_changed_meanwhile_is_not_written() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("pykeel.lock");
    let file = LockFile::read_to_write(&path, &Silent).unwrap();
    file.write(&lock()).unwrap();
    drop(file);
    assert_eq!(fs_err::read_to_string(&path).unwrap(), render(&lock()));
    let file = LockFile::read_to_write(&path, &Silent).unwrap();
    fs_err::write(&path, "mine").unwrap();
    let error = file.write(&PykeelLock::default()).unwrap_err();
    assert_eq!((error.code(), fs_err::read_to_string(&path).unwrap().as_str()), (5, "mine"));
    fs_err::remove_file(&path).unwrap();
    assert_eq!(file.write(&PykeelLock::default()).unwrap_err().code(), 5);
    assert_eq!(fs_err::read_dir(place.path()).unwrap().count(), 0);
}

/// A text that may need quotes, escapes or several lines in TOML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.+~:-]{1,12}", "\\PC{0,12}", "[\"'\\\\\n\t#=\\[\\]\u{1b}\u{7f}]{0,6}"]
}

fn any_entry() -> impl Strategy<Value = (LockedRequest, LockedArtifact)> {
    let requests = ["latest", "3.13", "3.13.5"].map(str::to_owned);
    let maps = || prop::collection::btree_map(text(), text(), 0..4);
    let lists = || prop::collection::vec(text(), 0..3);
    let facts = (text(), any::<bool>(), any::<bool>(), 0..i64::MAX as u64);
    let remotes = prop::collection::btree_set("(https|file)://[a-z]{0,3}/[a-z%]{0,2}", 0..4);
    let remotes = remotes.prop_map(|all| all.into_iter().filter(|text| Address::of_lock(text).is_ok()).collect());
    (prop::sample::select(requests.to_vec()), maps(), maps(), maps(), (lists(), remotes), facts).prop_map(
        |(version, libraries, compiled_in, variables, (arguments, remotes), (compiler, shared, debug_files, size))| {
            let (request, mut artifact) = entry(&version);
            artifact.plan.libraries = libraries;
            artifact.plan.inputs.compiler = compiler;
            artifact.plan.inputs.profile = shared.then(|| crate::domain::digest::Digest::of("profile"));
            artifact.plan.options.profile = debug_files.then(|| crate::domain::digest::Digest::of("named"));
            artifact.plan.options.compiler_variables = variables;
            artifact.plan.options.configure_arguments = arguments;
            (artifact.plan.options.shared, artifact.plan.options.debug_files) = (shared, debug_files);
            (artifact.size, artifact.compiled_in) = (size, compiled_in);
            artifact.remotes = remotes;
            (request, artifact)
        },
    )
}

proptest! {
    #[test]
    fn a_lock_survives_its_file(entries in prop::collection::vec(any_entry(), 0..4)) {
        let lock = PykeelLock { entries: BTreeMap::from_iter(entries) };
        let text = render(&lock);
        let read = parse("pykeel.lock", &text);
        prop_assert_eq!(read.as_ref(), Ok(&lock), "{}", text);
        prop_assert_eq!(render(&read.unwrap()), text);
    }

    #[test]
    fn no_text_panics(text in "(\\[\\[artifact\\]\\]\n|[a-z-]{1,9} = (\"[a-z0-9.]{0,9}\"|[0-9]{1,3}|\\[\\])\n|<<<<<<< x\n|\\PC{0,9}){0,9}") {
        if let Err(error) = parse("pykeel.lock", &text) {
            prop_assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1);
        }
    }
}
