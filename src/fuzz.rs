//! Entry points for fuzzing, one for each format of untrusted bytes. `fuzz/` runs them under libFuzzer, and
//! `tests/it/quick/fuzz.rs` runs them on the corpus and on mutations of it. They panic if something is wrong. They are not
//! part of the interface; `docs/testing.md` says how to run them.

use std::fmt::{Debug, Display};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::str::FromStr;

use crate::domain::artifact::{ArtifactName, ArtifactRecord, Format, GlibcVersion};
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::prefix::Prefix;
use crate::domain::target::Target;
use crate::domain::version::{Release, Series, VersionRequest};
use crate::event::Silent;
use crate::prefix::install::{Durability, InstallOptions, NewPython, install_new};
use crate::prefix::site::Destination;
use crate::prefix::uninstall::{OtherFiles, uninstall};
use crate::recipe::Recipe;
use crate::stages::relocate;
use crate::sys::{ar, archive, elf};

/// A function that takes untrusted bytes and panics if something is wrong.
pub type Function = fn(&[u8]);

/// All entry points, by name.
pub const TARGETS: &[(&str, Function)] = &[
    ("recipe", recipe),
    ("version", version),
    ("manifest", manifest),
    ("archive", archive),
    ("elf", elf),
    ("relocate", relocate),
    ("root", root),
];

/// A recipe file: a recipe that parses can be used, and a mistake has a place in the text.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Recipe::parse("3.13.toml", text) {
        Ok(recipe) => {
            for row in &recipe.releases {
                for variant in recipe.variants.keys() {
                    let release = recipe.release(row, *variant).expect("the variant is in the recipe");
                    assert_eq!(release.digest(), release.clone().digest());
                }
            }
            assert_eq!(recipe.newest().is_some(), !recipe.releases.is_empty());
        }
        Err(error) => {
            // A position after the last line is one past the end. Other files are those that it extends.
            assert!(error.line >= 1, "{error}");
            assert!(error.file != "3.13.toml" || error.line <= text.matches('\n').count() + 1, "{error}");
            assert!(error.column >= 1, "{error}");
        }
    }
}

/// Versions, and every other identifier: an identifier that parses survives printing and parsing.
pub fn version(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    survives_printing::<VersionRequest>(text);
    survives_printing::<Release>(text);
    survives_printing::<Series>(text);
    survives_printing::<Prefix>(text);
    survives_printing::<GlibcVersion>(text);
    survives_printing::<ArtifactName>(text);
    survives_printing::<Target>(text);
    survives_printing::<Digest>(text);
}

fn survives_printing<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        assert!(printed.parse::<T>().is_ok_and(|again| again == value), "{text:?} is printed as {printed:?}");
    }
}

/// A manifest or the record of a store's entry.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) {
        let json = manifest.to_json();
        assert_eq!(serde_json::from_str::<Manifest>(&json).expect("it was written just now"), manifest);
        assert_eq!(manifest.plan.build_key(), manifest.plan.clone().build_key());
        assert_eq!(manifest.plan.request_key(), manifest.plan.request_key());
    }
    if let Ok(record) = serde_json::from_slice::<ArtifactRecord>(bytes) {
        let json = serde_json::to_string(&record).expect("it is plain data");
        assert_eq!(serde_json::from_str::<ArtifactRecord>(&json).expect("it was written just now"), record);
    }
}

/// A tarball, compressed or not: nothing is written outside the directory that it is unpacked into.
///
/// # Panics
/// Also if no temporary directory can be created.
pub fn archive(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let into = directory.path().join("into");
    std::fs::create_dir(&into).expect("a directory");
    let format = match bytes {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Format::Zst),
        [0xfd, b'7', b'z', ..] => Some(Format::Xz),
        [0x1f, 0x8b, ..] => Some(Format::Gz),
        _ => None,
    };
    let unpacked = match format {
        Some(format) => match archive::decoder(format, bytes) {
            Ok(reader) => archive::unpack("fuzzed", reader, &into),
            Err(_) => return,
        },
        None => archive::unpack("fuzzed", bytes, &into),
    };
    let beside = std::fs::read_dir(directory.path()).expect("the directory").count();
    assert_eq!(beside, 1, "something was written beside it");
    if let Err(error) = unpacked {
        assert_eq!(error.code(), 4, "{error}");
    }
}

/// An ELF file.
pub fn elf(bytes: &[u8]) {
    let _may_be_refused = elf::parse(bytes);
    let _may_be_refused = ar::objects(bytes);
    let _may_be_refused = elf::defined_glibc(bytes);
}

/// Files of a prefix: scripts, pkg-config files, recorded variables and pip's records. The first byte
/// chooses the path of the file.
pub fn relocate(bytes: &[u8]) {
    const PATHS: [&str; 4] =
        ["bin/script", "lib/pkgconfig/python.pc", "lib/python3.13/_sysconfigdata.py", "lib/python3.13/config/x.py"];
    let Some((first, rest)) = bytes.split_first() else { return };
    relocate::try_rewriting(Path::new(PATHS[usize::from(*first) % PATHS.len()]), rest);
}

/// A root file system with links, files and modes of any kind: an installation and a removal there change nothing
/// outside it. Each three bytes make an entry: what it is, where, and where to.
///
/// # Panics
/// Also if no temporary directory can be created.
pub fn root(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (root, outside) = (place.path().join("root"), place.path().join("outside"));
    for directory in [&root, &outside.join("opt/myorg/python-3.13/lib")] {
        std::fs::create_dir_all(directory).expect("a directory");
    }
    std::fs::write(outside.join("opt/myorg/python-3.13/lib/os.py"), "precious").expect("a file");
    for entry in bytes.chunks_exact(3).take(64) {
        make_entry(&root, &outside, entry);
    }
    let before = snapshot(&outside);
    let manifest = br#"{"name": "cpython-3.13.5-x86_64-linux-gnu-glibc2.35-runtime-000000000000", "build_key":
        "0000000000000000000000000000000000000000000000000000000000000000"}"#;
    let new = NewPython {
        build_key: Digest::of(bytes),
        is_unchanged: &|_| Ok(false),
        unpack: &|directory| {
            directory.make_directories(Path::new("share/pykeel"))?;
            Ok(directory.make_file(Path::new("share/pykeel/manifest.json"), 0o644)?.write_all(manifest)?)
        },
    };
    let destination = Destination { root: Some(root), prefix: "/opt/myorg/python-3.13".into() };
    let force = bytes.len().is_multiple_of(2);
    let options = InstallOptions { force, durability: Durability::Unsynced };
    let _may_be_refused = install_new(&new, &destination, options, &Silent);
    assert_eq!(snapshot(&outside), before, "an installation changed what is outside");
    let _may_be_refused = uninstall(&destination, OtherFiles::Remove, &Silent);
    assert_eq!(snapshot(&outside), before, "a removal changed what is outside");
}

/// Makes an entry of a root as three bytes say. What cannot be made is left out.
fn make_entry(root: &Path, outside: &Path, entry: &[u8]) {
    const PATHS: [&str; 12] = [
        "opt",
        "opt/myorg",
        "opt/myorg/python-3.13",
        "opt/myorg/python-3.13/lib",
        "opt/myorg/python-3.13/share",
        "opt/myorg/python-3.13/share/pykeel",
        "opt/myorg/.pykeel-python-3.13.new",
        "opt/myorg/.pykeel-python-3.13.old",
        "opt/myorg/.pykeel-python-3.13.journal",
        "opt/myorg/.pykeel-python-3.13.removal",
        "usr",
        "usr/opt",
    ];
    let [what, path, to] = entry else { return };
    let path = root.join(PATHS[usize::from(*path) % PATHS.len()]);
    // Nothing is made through a link: it would be made outside.
    if path.ancestors().take_while(|above| *above != root).any(Path::is_symlink) {
        return;
    }
    let inner = PATHS[usize::from(*to) % PATHS.len()];
    let _no_matter = match what % 8 {
        0 | 1 => std::fs::create_dir_all(&path),
        2 => std::fs::write(&path, [*to]),
        3 => symlink(outside.join(inner), &path),
        4 => symlink(outside, &path),
        5 => symlink(Path::new("../../../../outside").join(inner), &path),
        6 => symlink(Path::new("/").join(inner), &path),
        _ => std::fs::set_permissions(&path, std::fs::Permissions::from_mode(u32::from(*to) | 0o500)),
    };
}

/// Everything in a directory: paths, kinds, modes, times and the bytes of files.
fn snapshot(directory: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(directory).sort_by_file_name().into_iter();
    let shown = |entry: walkdir::DirEntry| {
        let metadata = entry.metadata().expect("its metadata");
        let bytes = if metadata.is_file() { std::fs::read(entry.path()).expect("a file") } else { Vec::new() };
        format!(
            "{} {:o} {:?} {bytes:?}",
            entry.path().display(),
            metadata.mode(),
            metadata.modified().expect("its time")
        )
    };
    entries.map(|entry| shown(entry.expect("an entry"))).collect()
}
