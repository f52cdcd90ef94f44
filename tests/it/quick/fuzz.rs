//! The short run of fuzzing: every file of the corpus, and mutations of it from a fixed seed.
//! `docs/testing.md` describes the long run.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How many changed files each function gets.
const CASES: u32 = 1500;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(target);
    let entries = fs_err::read_dir(directory).expect("the corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs_err::read(path).expect("a file"))).collect()
}

/// What is done to a file: bytes are set, a part goes, a part is put in again elsewhere.
#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index, usize),
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Put(prop::sample::Index, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), prop_oneof![Just(0), Just(0xff), any::<u8>()]).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), 1usize..600).prop_map(|(at, length)| Change::Cut(at, length)),
        (at(), at(), 1usize..600).prop_map(|(from, to, length)| Change::Copy(from, to, length)),
        (at(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Put(at, bytes)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at.index(length)] = *byte,
            Change::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Change::Cut(at, cut) => drop(bytes.drain(at.index(length)..(at.index(length) + cut).min(length))),
            Change::Copy(from, to, copied) => {
                let from = from.index(length);
                let part = bytes[from..(from + copied).min(length)].to_vec();
                let to = to.index(length);
                bytes.splice(to..to, part);
            }
            Change::Put(at, put) => {
                let at = at.index(length);
                bytes.splice(at..at, put.iter().copied());
            }
        }
    }
    bytes
}

#[track_caller]
fn run(target: &str) {
    let (_, function) = pykeel::fuzz::TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    for (path, bytes) in &corpus {
        eprintln!("{}", path.display());
        function(bytes);
    }
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let inputs = (any::<prop::sample::Index>(), prop::collection::vec(change(), 1..6));
    let result = runner.run(&inputs, |(file, changes)| {
        // A panic is a failure, and proptest looks for the smallest input that has it.
        function(&changed(corpus[file.index(corpus.len())].1.clone(), &changes));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{target}: {error}");
    }
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs_err::read_to_string(root.join("fuzz/Cargo.toml")).expect("the manifest");
    for (name, _) in pykeel::fuzz::TARGETS {
        let program = fs_err::read_to_string(root.join(format!("fuzz/fuzz_targets/{name}.rs"))).expect("the program");
        assert!(program.contains(&format!("pykeel::fuzz::{name}(bytes)")), "{program}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(corpus(name).len() > 1, "{name}");
    }
    let seeds =
        |target: &str, name: &str| fs_err::read(root.join("tests/data/fuzz").join(target).join(name)).expect(name);
    // Seeds that were refused at once would lead nowhere.
    let recipe = String::from_utf8(seeds("recipe", "small.toml")).expect("text");
    pykeel::recipe::Recipe::parse("small.toml", &recipe).expect("a recipe");
    let overlay = String::from_utf8(seeds("recipe", "overlay.toml")).expect("text");
    pykeel::recipe::Recipe::parse("3.13.toml", &overlay).expect("a recipe");
    serde_json::from_slice::<pykeel::domain::manifest::Manifest>(&seeds("manifest", "small.json")).expect("a manifest");
    serde_json::from_slice::<pykeel::domain::artifact::ArtifactRecord>(&seeds("manifest", "record.json"))
        .expect("a record");
    let lock = pykeel::pykeel_lock::parse_bytes("whole.lock", &seeds("pykeel_lock", "whole.lock")).expect("a lock");
    assert_eq!(lock.entries.len(), 2);
    pykeel::sys::elf::parse(&seeds("elf", "library.so")).expect("a library");
    let provided = pykeel::sys::elf::defined_glibc(&seeds("elf", "versions.so")).expect("a library");
    assert_eq!(provided.expect("a version").to_string(), "2.34");
    for name in ["gnu.tar", "pax.tar"] {
        let directory = tempfile::tempdir().expect("a directory");
        pykeel::sys::archive::unpack(name, &seeds("archive", name)[..], directory.path()).expect(name);
    }
}

#[test]
fn recipes() {
    run("recipe");
}

#[test]
fn locks() {
    run("pykeel_lock");
}

#[test]
fn versions() {
    run("version");
}

#[test]
fn manifests() {
    run("manifest");
}

#[test]
fn archives() {
    run("archive");
}

#[test]
fn elf_files() {
    run("elf");
}

#[test]
fn relocated_files() {
    run("relocate");
}

#[test]
fn roots() {
    run("root");
}

#[test]
fn stores() {
    run("store");
}
