//! Entry points for fuzzing, one for each format of untrusted bytes. `fuzz/` runs them under libFuzzer, and
//! `tests/it/quick/fuzz.rs` runs them on the corpus and on mutations of it. They panic if something is wrong. They are not
//! part of the interface; `docs/testing.md` says how to run them.

use std::fmt::{Debug, Display};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::str::FromStr;

use crate::audit::check::image::{Image, LayerBudget};
use crate::audit::check::{self, Standards};
use crate::domain::artifact::{ArtifactName, ArtifactRecord, Format, GlibcVersion};
use crate::domain::digest::Digest;
use crate::domain::manifest::{MANIFEST_PATH, Manifest};
use crate::domain::prefix::Prefix;
use crate::domain::target::Target;
use crate::domain::version::{Release, Series, VersionRequest};
use crate::error::Result;
use crate::event::Silent;
use crate::prefix::install::{Durability, InstallOptions, NewPython, install, install_new};
use crate::prefix::site::Destination;
use crate::prefix::uninstall::{OtherFiles, uninstall};
use crate::recipe::Recipe;
use crate::stages::relocate;
use crate::store::{CacheStatus, Publication, Store};
use crate::sys::{self, ar, archive, elf, fs};

/// A function that takes untrusted bytes and panics if something is wrong.
pub type Function = fn(&[u8]);

/// All entry points, by name.
pub const TARGETS: &[(&str, Function)] = &[
    ("pykeel_lock", pykeel_lock),
    ("recipe", recipe),
    ("version", version),
    ("manifest", manifest),
    ("archive", archive),
    ("elf", elf),
    ("image", image),
    ("relocate", relocate),
    ("root", root),
    ("store", store),
];

/// A lock: what is read is written so that it is read again, and a mistake has a place in the text.
pub fn pykeel_lock(bytes: &[u8]) {
    match crate::pykeel_lock::parse_bytes("pykeel.lock", bytes) {
        Ok(lock) => {
            let text = crate::pykeel_lock::render(&lock);
            let again = crate::pykeel_lock::parse("pykeel.lock", &text);
            assert_eq!(again.as_ref(), Ok(&lock), "{text}");
        }
        Err(error) => {
            let lines = String::from_utf8_lossy(bytes).matches('\n').count() + 1;
            assert!(error.line >= 1 && error.line <= lines && error.column >= 1, "{error}");
        }
    }
}

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
    let _may_be_refused = elf::linkage(bytes);
}

/// An archive of an image: it is judged, or refused as an image.
///
/// # Panics
/// Also if no temporary file can be created.
pub fn image(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a file");
    match Image::read(file.path(), LayerBudget { bytes: 1 << 24, entries: 10_000, ..LayerBudget::USUAL }) {
        Ok(image) => drop(check::judge("fuzzed", &image, &Standards::default(), &[])),
        Err(error) => assert!([2, 4].contains(&error.code()), "{error}"),
    }
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

/// A store of whose entry some files were changed: what is installed from it is what was published, or nothing. Each four
/// bytes are a change: of which file, what, where, and to what.
///
/// # Panics
/// Also if no temporary directory can be created.
pub fn store(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let store = Store::new(place.path().join("store"));
    let manifest = publish(&store, place.path()).expect("nothing was changed yet");
    let prefix = place.path().join("python");
    let whole = install_from(&store, &manifest, &prefix).map(|()| snapshot(&prefix)).expect("nothing was changed yet");
    std::fs::remove_dir_all(&prefix).expect("the prefix");
    let entry = store.root().join("artifacts").join(manifest.build_key.to_string());
    for change in bytes.chunks_exact(4).take(16) {
        change_file(&entry, change);
    }
    match install_from(&store, &manifest, &prefix) {
        Ok(()) => assert_eq!(snapshot(&prefix), whole, "other bytes were installed"),
        Err(_) => assert!(!prefix.exists(), "something was installed in spite of an error"),
    }
}

/// Publishes a small artifact.
fn publish(store: &Store, place: &Path) -> Result<Manifest> {
    let text = include_str!("../tests/data/fuzz/manifest/small.json");
    let mut manifest: Manifest = serde_json::from_str(text).map_err(std::io::Error::from)?;
    // Keys are those of the plan, or the entry is refused as it is.
    manifest.build_key = manifest.plan.build_key();
    manifest.request_key = manifest.plan.request_key();
    manifest.name = ArtifactName::new(&manifest.plan, manifest.glibc_floor);
    let tree = place.join("tree");
    fs::write_in_place(&tree.join(MANIFEST_PATH), manifest.to_json())?;
    fs::write_in_place(&tree.join("lib/os.py"), "pass\n")?;
    let top = manifest.plan.request.prefix.name();
    let (packed, ()) =
        sys::archive::encode(Format::Zst, Vec::new(), |writer| sys::archive::pack(&tree, top, 0, writer))?;
    let tarball = place.join("x.tar.zst");
    fs::write_in_place(&tarball, &packed)?;
    match store.lookup(manifest.build_key, manifest.request_key, &Silent)? {
        CacheStatus::Miss(lock) => {
            let digest = Digest::of(&packed);
            store.publish(lock, Publication { manifest: &manifest, tarball, digest, debug: None })?;
        }
        CacheStatus::Hit(_) => {}
    }
    Ok(manifest)
}

/// Installs the artifact of a plan into an empty place.
fn install_from(store: &Store, manifest: &Manifest, prefix: &Path) -> Result<()> {
    let CacheStatus::Hit(artifact) = store.lookup(manifest.build_key, manifest.request_key, &Silent)? else {
        return Err(std::io::Error::from(std::io::ErrorKind::NotFound).into());
    };
    let destination = Destination { root: None, prefix: prefix.to_owned() };
    let options = InstallOptions { force: false, durability: Durability::Unsynced };
    install(&artifact, &destination, options, &Silent).map(drop)
}

/// Changes a file of a directory as four bytes say. What cannot be changed is left out.
fn change_file(directory: &Path, change: &[u8]) {
    let [which, what, at, value] = change else { return };
    let Ok(found) = std::fs::read_dir(directory) else { return };
    let mut files: Vec<_> = found.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let (Some(file), Some(other)) =
        (files.get(usize::from(*which) % files.len().max(1)), files.get(usize::from(*value) % files.len().max(1)))
    else {
        return;
    };
    let bytes = std::fs::read(file).unwrap_or_default();
    let at = usize::from(*at) * bytes.len() / 256;
    let _no_matter = match what % 7 {
        0 => std::fs::write(file, &bytes[..at]),
        1 | 2 if !bytes.is_empty() => {
            let mut changed = bytes;
            changed[at] = *value;
            std::fs::write(file, changed)
        }
        3 => std::fs::remove_file(file).and_then(|()| symlink(other, file)),
        4 => std::fs::remove_file(file).and_then(|()| std::fs::create_dir(file)),
        5 => std::fs::copy(other, file).map(drop),
        _ => std::fs::remove_file(file),
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
