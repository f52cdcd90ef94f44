//! `cache list` and `cache prune`: what the store holds, what is pruned, and that what is in use stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pykeel::event::Silent;
use pykeel::sys::lock::Lock;
use serde_json::Value;

use crate::on_cpython::install::Site;
use crate::support::{artifact, run};
use crate::toy::{Behaviour, Toy};

/// A store with both artifacts, what they were made of, and what builds leave behind.
struct Cache {
    site: Site,
}

/// A digest of nothing that is there.
const UNKNOWN: &str = "1111111111111111111111111111111111111111111111111111111111111111";

impl Cache {
    fn new() -> Self {
        let cache = Self { site: Site::new() };
        let runtime = artifact("runtime");
        let source = runtime.manifest["plan"]["source"]["xz"].as_str().expect("a sum").to_owned();
        let key = &runtime.build_key[..12];
        for (path, content) in [
            (format!("sources/{source}"), "known"),
            (format!("sources/{UNKNOWN}"), "unknown"),
            (format!("sources/{UNKNOWN}.part"), "half"),
            (format!("logs/cpython-3.13.5-{key}.log"), "a log"),
            ("logs/cpython-3.13.5-222222222222.log".to_owned(), "of a failure"),
            (format!("artifacts/{UNKNOWN}.new/x.tar.zst"), "half"),
            (format!("damaged/{UNKNOWN}-1700000000/record.json"), "{"),
            ("work/turn.lock".to_owned(), ""),
            ("work/build-dead.lock".to_owned(), ""),
            ("work/build-dead/source/a.c".to_owned(), "int a;"),
            ("work/build-kept.lock".to_owned(), ""),
            ("work/build-kept.kept".to_owned(), ""),
            ("work/build-kept/source/a.c".to_owned(), "int a;"),
        ] {
            cache.write(&path, content);
        }
        cache
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.path("store").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs_err::write(path, content).expect("a file");
    }

    fn list(&self) -> Value {
        run(&mut self.site.command(&["cache", "list", "--json"])).exits(0).json()
    }

    fn prune(&self, more: &[&str]) -> Value {
        run(self.site.command(&["cache", "prune", "--json"]).args(more)).exits(0).json()
    }

    /// Lets the last use of an artifact be some days ago.
    fn age(&self, build_key: &str, days: u64) {
        let path = self.path(&format!("artifacts/{build_key}/record.json"));
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let seconds = then.duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
        let text = fs_err::read_to_string(&path).expect("a record");
        let mut json: Value = serde_json::from_str(&text).expect("JSON");
        json["published"] = seconds.into();
        fs_err::write(&path, json.to_string()).expect("a record");
        fs_err::File::options().write(true).open(&path).expect("a record").file().set_modified(then).expect("a time");
    }
}

fn names(entries: &Value) -> BTreeSet<String> {
    let entries = entries.as_array().expect("an array").iter();
    entries.map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn size_of(path: &Path) -> u64 {
    let files = walkdir::WalkDir::new(path).into_iter().filter_map(Result::ok);
    files.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

#[test]
fn everything_is_listed_with_what_refers_to_it() {
    let cache = Cache::new();
    let (runtime, builder) = (artifact("runtime"), artifact("builder"));
    let listed = cache.list();
    assert_eq!(listed["store"].as_str(), cache.path("").to_str().map(|path| path.trim_end_matches('/')));
    let entry = |name: &str| {
        let entries = listed["entries"].as_array().expect("an array");
        entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{name} in {listed}")).clone()
    };
    let first = entry(&runtime.name);
    assert_eq!(first["kind"], "artifact");
    assert_eq!(first["size"], size_of(&cache.path(&format!("artifacts/{}", runtime.build_key))));
    assert_eq!(first["needed_by"][0], "install");
    let source = entry("Python-3.13.5.tar.xz");
    let needed_by: BTreeSet<_> =
        source["needed_by"].as_array().expect("an array").iter().filter_map(Value::as_str).collect();
    assert_eq!(needed_by, [runtime.name.as_str(), builder.name.as_str()].into());
    assert_eq!(
        entry(&format!("cpython-3.13.5-{}.log", &runtime.build_key[..12]))["needed_by"][0],
        runtime.name.as_str()
    );
    for (name, kind) in [
        (UNKNOWN, "source"),
        ("cpython-3.13.5-222222222222.log", "log"),
        ("build-dead", "work"),
        (&format!("{UNKNOWN}.new"), "partial"),
        (&format!("{UNKNOWN}.part"), "partial"),
        (&format!("{UNKNOWN}-1700000000"), "damaged"),
    ] {
        assert_eq!(
            (entry(name)["kind"].as_str(), entry(name)["needed_by"].as_array().map(Vec::len)),
            (Some(kind), Some(0))
        );
    }
    assert_eq!(entry("build-kept")["needed_by"][0], "--keep-build");
    assert_eq!(entry(&format!("{UNKNOWN}-1700000000"))["last_used"], 1_700_000_000);
    let sizes: u64 =
        listed["entries"].as_array().expect("an array").iter().filter_map(|entry| entry["size"].as_u64()).sum();
    assert_eq!(listed["size"], sizes);
    // Looking makes nothing.
    let empty = cache.site.path("no-store");
    run(cache.site.command(&["cache", "list"]).env("PYKEEL_STORE", &empty)).exits(0);
    assert!(!empty.exists());
}

#[test]
fn pruning_removes_what_nothing_refers_to_and_says_what_was_freed() {
    let cache = Cache::new();
    let before = cache.list();
    let expected = set(&[
        UNKNOWN,
        &format!("{UNKNOWN}.new"),
        &format!("{UNKNOWN}.part"),
        &format!("{UNKNOWN}-1700000000"),
        "cpython-3.13.5-222222222222.log",
        "build-dead",
    ]);
    let dry = cache.prune(&["--dry-run"]);
    assert_eq!((names(&dry["removed"]), &dry["dry_run"]), (expected.clone(), &Value::Bool(true)));
    assert_eq!(cache.list(), before);
    let pruned = cache.prune(&[]);
    assert_eq!(names(&pruned["removed"]), expected);
    assert!(names(&pruned["skipped"]).is_empty());
    let after = cache.list();
    let size = |value: &Value| value["size"].as_u64().expect("a size");
    assert_eq!(size(&before) - size(&after), pruned["freed"].as_u64().expect("a size"));
    assert_eq!(size(&pruned), size(&after));
    assert!(names(&after["entries"]).is_disjoint(&expected));
    for path in [format!("sources/{UNKNOWN}"), format!("artifacts/{UNKNOWN}.new"), "work/build-dead.lock".into()] {
        assert!(!cache.path(&path).exists(), "{path}");
    }
    assert!(cache.path("work/build-kept/source/a.c").exists());
    assert!(names(&cache.prune(&["--unused"])["removed"]).is_empty());
    let ended = run(&mut cache.site.command(&["cache", "prune"])).exits(0);
    assert!(ended.out.contains("0 B freed"), "{}", ended.out);
    // What is left installs.
    cache.site.install(&cache.site.path("python"), &[]).exits(0);
}

#[test]
fn an_artifact_that_a_newer_one_stands_for_goes_with_its_log() {
    let cache = Cache::new();
    let runtime = artifact("runtime");
    cache.prune(&[]);
    // The same request, built before with another toolchain: another build key, an older date.
    let old = "3".repeat(64);
    let (from, to) = (cache.path(&format!("artifacts/{}", runtime.build_key)), cache.path(&format!("artifacts/{old}")));
    crate::support::check("cp", &["-a", from.to_str().expect("a path"), to.to_str().expect("a path")]);
    let write = |change: &dyn Fn(&mut Value)| {
        let text = fs_err::read_to_string(from.join("record.json")).expect("a record");
        let mut record: Value = serde_json::from_str(&text).expect("JSON");
        record["build_key"] = old.as_str().into();
        record["published"] = 1_700_000_000.into();
        change(&mut record);
        fs_err::write(to.join("record.json"), record.to_string()).expect("a record");
    };
    cache.write("logs/cpython-3.13.5-333333333333.log", "");
    // It runs where the newer one does not.
    write(&|record| record["glibc_floor"] = "2.0".into());
    assert!(names(&cache.prune(&[])["removed"]).is_empty());
    write(&|_| {});
    let pruned = cache.prune(&[]);
    assert_eq!(names(&pruned["removed"]), set(&[&runtime.name, "cpython-3.13.5-333333333333.log"]));
    assert!(!to.exists() && from.exists());
}

#[test]
fn a_source_that_an_unreadable_manifest_may_name_stays() {
    let cache = Cache::new();
    let runtime = artifact("runtime");
    let manifest = cache.path(&format!("artifacts/{}/{}.manifest.json", runtime.build_key, runtime.name));
    fs_err::write(&manifest, "{").expect("a file");
    assert!(!names(&cache.prune(&[])["removed"]).contains(UNKNOWN));
    fs_err::remove_dir_all(cache.path(&format!("artifacts/{}", runtime.build_key))).expect("a directory");
    assert!(names(&cache.prune(&[])["removed"]).contains(UNKNOWN));
}

#[test]
fn age_and_size_decide_where_they_are_asked_to() {
    let cache = Cache::new();
    cache.prune(&[]);
    let (runtime, builder) = (artifact("runtime"), artifact("builder"));
    cache.age(&runtime.build_key, 40);
    cache.age(&builder.build_key, 20);
    assert!(names(&cache.prune(&["--older-than", "41d"])["removed"]).is_empty());
    assert_eq!(names(&cache.prune(&["--older-than", "5w", "--dry-run"])["removed"]), set(&[&runtime.name]));
    // Use makes it young again.
    cache.site.install(&cache.site.path("python"), &[]).exits(0);
    assert!(names(&cache.prune(&["--older-than", "30d"])["removed"]).is_empty());
    // The other is now the least recently used.
    let max = format!("{}B", cache.list()["size"].as_u64().expect("a size") - 1);
    let pruned = cache.prune(&["--max-size", &max]);
    assert_eq!(names(&pruned["removed"]), set(&[&builder.name]));
    assert!(names(&cache.prune(&["--max-size", "1GiB"])["removed"]).is_empty());
    let command = |args: &[&str]| run(cache.site.command(&["cache", "prune"]).args(args)).exits(2);
    command(&["--older-than", "soon"]).says(&["--older-than"]);
    command(&["--max-size", "much"]).says(&["--max-size"]);
    command(&["--all", "--unused"]).says(&["cannot be used with"]);
    let left = cache.prune(&["--all"]);
    assert_eq!(left["size"], 0);
    assert!(cache.list()["entries"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn what_somebody_uses_stays_and_is_named() {
    let cache = Cache::new();
    let (runtime, builder) = (artifact("runtime"), artifact("builder"));
    let source = runtime.manifest["plan"]["source"]["xz"].as_str().expect("a sum").to_owned();
    // One is being installed, one being built, a source being unpacked, a log written to.
    let reader = Lock::share(&cache.path(&format!("artifacts/{}/record.json", runtime.build_key)), "", &Silent);
    let maker = Lock::try_acquire(&cache.path(&format!("locks/{}.lock", builder.build_key)));
    let unpacker = Lock::share(&cache.path(&format!("sources/{source}")), "", &Silent);
    let writer = Lock::try_acquire(&cache.path(&format!("locks/222222222222{}.lock", "0".repeat(52))));
    let work = Lock::try_acquire(&cache.path("work/build-kept.lock"));
    let held = (reader.unwrap().unwrap(), maker.unwrap().unwrap(), unpacker.unwrap().unwrap());
    let held_too = (writer.unwrap().unwrap(), work.unwrap().unwrap());
    let in_use =
        set(&[&runtime.name, &builder.name, "Python-3.13.5.tar.xz", "cpython-3.13.5-222222222222.log", "build-kept"]);
    let listed = cache.list();
    let entries = listed["entries"].as_array().expect("an array").iter();
    let used: BTreeSet<_> = entries
        .filter(|entry| entry["in_use"] == true)
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(used, in_use);
    let pruned = cache.prune(&["--all"]);
    assert!(names(&pruned["removed"]).is_disjoint(&in_use));
    assert_eq!(names(&cache.list()["entries"]), in_use);
    drop((held, held_too));
    assert_eq!(names(&cache.prune(&["--all"])["removed"]), in_use);
}

#[test]
fn a_build_and_its_log_outlive_a_prune_in_its_midst() {
    let directory = tempfile::tempdir().expect("a directory");
    let (report, store) = (directory.path().join("pruned.json"), directory.path().join("store"));
    let prune = format!(
        "{} cache prune --all --json --store {} > {}",
        env!("CARGO_BIN_EXE_pykeel"),
        store.display(),
        report.display()
    );
    // The text lives as long as the program, as the toy's behaviours do.
    let toy = Toy::new(Behaviour { all: prune.leak(), ..Behaviour::default() });
    let first = run(toy.build_command().env("PYKEEL_STORE", &store)).exits(0).json();
    let pruned: Value = serde_json::from_slice(&fs_err::read(&report).expect("a report")).expect("JSON");
    // What was kept to spare the next build work is all that went.
    let removed = pruned["removed"].as_array().expect("a list");
    assert!(removed.iter().all(|entry| entry["kind"] == "intermediate"), "{pruned}");
    assert_eq!(fs_err::read_dir(store.join("logs")).expect("a directory").count(), 1);
    assert_eq!(fs_err::read_dir(store.join("sources")).expect("a directory").count(), 1);
    // What is done is nobody's any more.
    let mut command = toy.command(&["cache", "prune", "--all", "--json"]);
    let ended = run(command.env("PYKEEL_STORE", &store)).exits(0).json();
    assert!(names(&ended["removed"]).contains(first[0]["name"].as_str().expect("a name")));
    let listed = run(toy.command(&["list", "--json"]).env("PYKEEL_STORE", &store)).exits(0).json();
    assert!(listed.as_array().is_some_and(Vec::is_empty), "{listed}");
}
