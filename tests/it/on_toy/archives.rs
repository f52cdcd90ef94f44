//! Fault injection in archives: hostile ones given to `inspect` and `verify`, in a store that is
//! installed from, and as a source with the right sum. `src/sys/archive/hostile.rs` has each kind.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use pykeel::domain::digest::Digest;
use tar::{EntryType, Header};

use crate::support::{Ended, run};
use crate::toy::Toy;
use crate::toy_artifact::{artifact, pykeel, store_with};

fn header(kind: EntryType, name: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(size);
    // As it is: the crate itself would refuse the worst.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

/// Makes the content of an entry, which may have no end.
type Content<'a> = &'a dyn Fn() -> Box<dyn io::Read>;

/// A compressed archive that is being written.
type Builder = tar::Builder<xz2::write::XzEncoder<Vec<u8>>>;

/// A `.tar.zst` of headers with contents.
fn tarball(path: &Path, entries: &[(Header, Content<'_>)]) {
    let file = fs_err::File::create(path).expect("a file");
    let mut encoder = zstd::Encoder::new(file, 1).expect("an encoder");
    for (header, content) in entries {
        encoder.write_all(header.as_bytes()).expect("a header");
        io::copy(&mut content(), &mut encoder).expect("a content");
    }
    encoder.write_all(&[0; 1024]).expect("an end");
    encoder.finish().expect("a tarball");
}

fn nothing() -> Box<dyn io::Read> {
    Box::new(io::empty())
}

/// Runs pykeel with 600 MB of address space, and a directory that only it writes to.
fn limited(args: &[&str], what: &Path, scratch: &Path) -> Ended {
    fs_err::create_dir_all(scratch).expect("a directory");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 600000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_pykeel")]);
    run(command.args(args).arg(what).env("TMPDIR", scratch).env("PYKEEL_STORE", scratch.join("store")))
}

#[test]
fn hostile_artifacts_are_refused_by_name_and_leave_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("evil.tar.zst");
    let scratch = directory.path().join("scratch");
    let gigabytes = || -> Box<dyn io::Read> { Box::new(io::repeat(0).take(1100 << 20)) };
    let long = || -> Box<dyn io::Read> { Box::new(io::repeat(b'a').take(900 << 20)) };
    let link = |target: &str| {
        let mut header = header(EntryType::Symlink, "top/link", 0);
        header.as_gnu_mut().expect("GNU").linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        header
    };
    let cases: Vec<(&str, Vec<(Header, Content<'_>)>)> = vec![
        (
            "a name or a header that does not end",
            vec![(header(EntryType::GNULongName, "././@LongLink", 900 << 20), &long)],
        ),
        ("unpacks to more than", vec![(header(EntryType::Directory, "top/", 1100 << 20), &gigabytes)]),
        ("leads out of the archive", vec![(header(EntryType::Regular, "top/../../evil", 0), &nothing)]),
        ("leads out of the archive", vec![(header(EntryType::Regular, "/tmp/evil", 0), &nothing)]),
        ("leads out of the archive", vec![(link("/etc"), &nothing)]),
        ("is a hard link", vec![(header(EntryType::Link, "top/hard", 0), &nothing)]),
        ("is a device", vec![(header(EntryType::Char, "top/device", 0), &nothing)]),
        (
            "two directories at its top",
            vec![
                (header(EntryType::Directory, "top/", 0), &nothing),
                (header(EntryType::Directory, "other/", 0), &nothing),
            ],
        ),
    ];
    for (reason, entries) in &cases {
        tarball(&path, entries);
        for command in ["inspect", "verify"] {
            limited(&[command], &path, &scratch).exits(4).says(&["evil.tar.zst", reason, "do not use it"]);
            assert_eq!(fs_err::read_dir(&scratch).expect("a directory").count(), 0, "{command} left something");
        }
    }
}

#[test]
fn a_tarball_that_was_cut_is_damaged_wherever_that_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cut.tar.zst");
    let scratch = directory.path().join("scratch");
    let whole = fs_err::read(artifact("runtime").tarball).expect("the tarball");
    for part in [0, 3, 100, whole.len() / 3, whole.len() - 1] {
        fs_err::write(&path, &whole[..part]).expect("a file");
        limited(&["verify"], &path, &scratch).exits(4).says(&["cut.tar.zst is damaged", "again"]);
        assert_eq!(fs_err::read_dir(&scratch).expect("a directory").count(), 0);
    }
    fs_err::write(&path, [&whole[..], b"and more"].concat()).expect("a file");
    limited(&["verify"], &path, &scratch).exits(4).says(&["cut.tar.zst is damaged"]);
    fs_err::write(&path, [&whole[..], &whole[..]].concat()).expect("a file");
    limited(&["verify"], &path, &scratch).exits(4).says(&["data after its end"]);
}

#[test]
fn a_hostile_artifact_in_the_store_is_not_installed() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    let entry = store_with("runtime", &store);
    let name = artifact("runtime").tarball;
    let place = entry.join(name.file_name().expect("a name"));
    tarball(
        &place,
        &[
            (header(EntryType::Symlink, "python-3.13/lib", 0), &nothing),
            (header(EntryType::Regular, "python-3.13/../../evil", 4), &|| Box::new(&b"evil"[..])),
        ],
    );
    // Whoever wrote it there wrote its sum too.
    let mut record: serde_json::Value =
        serde_json::from_slice(&fs_err::read(entry.join("record.json")).expect("the record")).expect("JSON");
    record["digest"] = Digest::of(fs_err::read(&place).expect("the tarball")).to_string().into();
    fs_err::write(entry.join("record.json"), record.to_string()).expect("the record");
    let prefix = directory.path().join("opt/python");
    let mut command = pykeel();
    command.args(["install", "3.13.5", "--no-build", "--prefix"]).arg(&prefix).env("PYKEEL_STORE", &store);
    run(&mut command).exits(4).says(&["leads out of the archive", "it is now in"]);
    assert_eq!(fs_err::read_dir(directory.path().join("opt")).expect("a directory").count(), 0);
    assert!(!directory.path().join("evil").exists());
}

#[test]
fn a_hostile_source_with_the_right_sum_is_refused_all_the_same() {
    let toy = Toy::failing();
    let source = |write: &dyn Fn(&mut Builder)| {
        let mut builder = tar::Builder::new(xz2::write::XzEncoder::new(Vec::new(), 0));
        write(&mut builder);
        let bytes = builder.into_inner().and_then(xz2::write::XzEncoder::finish).expect("an archive");
        fs_err::write(toy.archive(), bytes).expect("a file");
        toy.write_recipe(|text| text);
        let ended = toy.build().exits(4).says(&["Python-3.13.5.tar.xz", "do not use it"]);
        toy.left_nothing();
        ended
    };
    source(&|builder| {
        let mut header = header(EntryType::Symlink, "", 0);
        builder.append_link(&mut header, "Python-3.13.5/Lib", "/etc").expect("an entry");
    })
    .says(&["leads out of the archive, to /etc"]);
    source(&|builder| {
        for _ in 0..100_001 {
            builder.append(&header(EntryType::Regular, "Python-3.13.5/a", 0), io::empty()).expect("an entry");
        }
    })
    .says(&["occurs twice"]);
    source(&|builder| {
        let deep = format!("Python-3.13.5/{}", "d/".repeat(100_000));
        builder.append_data(&mut header(EntryType::Directory, "", 0), deep, io::empty()).expect("an entry");
    })
    .says(&["longer than 1024 bytes"]);
}
