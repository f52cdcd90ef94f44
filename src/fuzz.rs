//! Entry points for fuzzing, one for each format of untrusted bytes. `fuzz/` runs them under libFuzzer, and
//! `tests/it/quick/fuzz.rs` runs them on the corpus and on mutations of it. They panic if something is wrong. They are not
//! part of the interface; `docs/testing.md` says how to run them.

use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;

use crate::domain::artifact::{ArtifactName, ArtifactRecord, Format, GlibcVersion};
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::domain::prefix::Prefix;
use crate::domain::target::Target;
use crate::domain::version::{Release, Series, VersionRequest};
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
