//! `inspect`: one artifact or prefix, and the comparison of two.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{artifact, check, copy_entry, pykeel, run, shared_store, unpack};
use crate::toy::{Behaviour, Toy};

/// File names that would break what does not take care.
pub fn hostile_names() -> Vec<OsString> {
    let names: [&[u8]; 6] = [
        b"<img src=x onerror=\"document.title='evil'\">",
        b"q\"uo'te&",
        b"line\nbreak",
        b"\x1b[31mred",
        b"\xffbytes",
        b"<!--<script>",
    ];
    names.map(|name| OsString::from_vec(name.to_vec())).into()
}

/// The text of `inspect` of some arguments.
#[track_caller]
fn text(args: &[&OsStr]) -> String {
    run(pykeel().arg("inspect").args(args)).exits(0).out
}

#[track_caller]
fn json(args: &[&OsStr]) -> Value {
    run(pykeel().args(["inspect", "--json"]).args(args)).exits(0).json()
}

/// The SHA-256 of each file, by path.
fn sums(inspected: &Value) -> BTreeMap<String, String> {
    let text = |file: &Value, key: &str| file[key].as_str().expect(key).to_owned();
    inspected["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| (text(file, "path"), text(file, "sha256")))
        .collect()
}

/// The bytes of a part.
fn bytes(inspected: &Value, part: &str) -> u64 {
    let parts = inspected["sizes"]["parts"].as_array().expect("parts");
    parts.iter().find(|size| size["part"] == part).map_or(0, |size| size["bytes"].as_u64().expect("bytes"))
}

#[test]
fn an_artifact_is_told_file_by_file() {
    let builder = artifact("builder");
    let inspected = json(&[builder.tarball.as_ref()]);
    assert_eq!(inspected["tarball"]["sha256"], builder.digest.as_str());
    assert_eq!(inspected["tarball"]["size"], fs_err::metadata(&builder.tarball).expect("a file").len());
    // The same by another road: the artifact's own sums.
    let member = "python-3.13/share/pykeel/SHA256SUMS";
    let own = check("tar", &["--zstd".as_ref(), "-xOf".as_ref(), builder.tarball.as_os_str(), member.as_ref()]);
    let own: BTreeMap<String, String> =
        own.lines().filter_map(|line| line.split_once("  ")).map(|(sum, path)| (path.into(), sum.into())).collect();
    let mut found = sums(&inspected);
    assert!(found.remove("share/pykeel/manifest.json").is_some() && found.remove("share/pykeel/SHA256SUMS").is_some());
    assert_eq!(found, own);
    // And by the manifest's own count, which is coarser.
    let recorded = &builder.manifest["sizes"];
    let metadata = bytes(&inspected, "metadata");
    assert_eq!(inspected["sizes"]["bytes"].as_u64(), recorded["bytes"].as_u64().map(|bytes| bytes + metadata));
    for part in ["interpreter", "modules", "site-packages", "headers", "licenses"] {
        assert_eq!(Some(bytes(&inspected, part)), recorded["parts"][part].as_u64(), "{part}");
    }
    let library = bytes(&inspected, "stdlib") + bytes(&inspected, "config") + bytes(&inspected, "libraries");
    let coarse = ["stdlib", "libraries"].map(|part| recorded["parts"][part].as_u64().expect(part));
    assert_eq!(library, coarse.iter().sum::<u64>());
    assert_eq!(inspected["sizes"]["links"].as_u64(), Some(recorded_links(&builder.manifest)));
}

fn recorded_links(manifest: &Value) -> u64 {
    manifest["links"].as_object().expect("links").len() as u64
}

#[test]
fn text_names_the_large_things() {
    let runtime = artifact("runtime");
    let told = text(&[runtime.tarball.as_ref()]);
    for expected in [
        runtime.name.as_str(),
        &format!("sha256:{}", runtime.digest),
        "libcrypto.so.3  libssl3 3.",
        "standard library, ",
        "encodings",
        "bin/python3.13",
        "% of that",
    ] {
        assert!(told.contains(expected), "{expected}:\n{told}");
    }
    let short = text(&[runtime.tarball.as_ref(), "--top".as_ref(), "0".as_ref()]);
    assert!(!short.contains("largest files") && !short.contains("encodings"), "{short}");
    assert!(!told.contains('\u{1b}'), "nothing is coloured where nobody looks");
}

#[test]
fn every_form_of_an_artifact_holds_the_same() {
    let runtime = artifact("runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let zst = json(&[runtime.tarball.as_ref()]);
    let tar = directory.path().join(format!("{}.tar", runtime.name));
    check("zstd", &["-dq".as_ref(), "-o".as_ref(), tar.as_os_str(), runtime.tarball.as_os_str()]);
    for (format, packer) in [("xz", "xz"), ("gz", "gzip")] {
        // The fastest setting, so that these are other bytes than pykeel's own.
        check(packer, &["-1k".as_ref(), tar.as_os_str()]);
        let tarball = tar.with_extension(format!("tar.{format}"));
        let other = json(&[tarball.as_ref()]);
        assert_eq!((&other["files"], &other["sizes"]), (&zst["files"], &zst["sizes"]), "{format}");
        assert_eq!(other["tarball"]["format"], format);
        assert_ne!(other["tarball"]["sha256"], zst["tarball"]["sha256"]);
    }
    let prefix = directory.path().join("prefix");
    unpack(&runtime, &prefix);
    let installed = json(&[prefix.as_ref()]);
    assert_eq!((&installed["files"], &installed["sizes"]), (&zst["files"], &zst["sizes"]));
    assert_eq!(installed["tarball"], Value::Null);
    // By name, in a store that has these two alone: the one that tests share has more of the same version.
    let store = directory.path().join("store");
    for artifact in [&runtime, &artifact("builder")] {
        copy_entry(&shared_store(), &artifact.build_key, &store);
    }
    let named = |args: &[&str]| {
        run(pykeel().args(["inspect", "--json"]).args(args).env("PYKEEL_STORE", &store)).exits(0).json()
    };
    let digest = format!("sha256:{}", runtime.digest);
    for name in ["3.13.5", "3.13", "latest", &digest] {
        assert_eq!(named(&[name]), zst, "{name}");
    }
    assert_eq!(named(&["3.13", "--flavor", "builder"])["manifest"], artifact("builder").manifest);
    // What is there by a name comes before a version.
    fs_err::create_dir(directory.path().join("3.13")).expect("a directory");
    run(pykeel().args(["inspect", "3.13"]).current_dir(&directory)).exits(2).says(&["3.13", "manifest.json"]);
}

#[test]
fn what_is_not_in_the_store_or_there_twice_is_said() {
    let toy = Toy::of(&artifact("runtime"), Behaviour::default());
    let inspect = |what: &str| run(&mut toy.command(&["inspect", what]));
    inspect("3.13").exits(2).says(&["Python 3.13", "it is empty", "pykeel build 3.13"]);
    inspect(&format!("sha256:{}", "0".repeat(64))).exits(2).says(&["no artifact 0000", "pykeel list"]);
    inspect("sha256:abc").exits(2).says(&["`abc`", "64"]);
    inspect("nonsense").exits(2).says(&["nonsense", "there is no such file"]);
    toy.build().exits(0);
    inspect("3.13").exits(0);
    inspect("3.13.4").exits(2).says(&["Python 3.13.4", "it has cpython-3.13.5-"]);
    inspect("3.13t").exits(2).says(&["Python 3.13t"]);
    run(toy.build_command().args(["--bytecode", "unchecked-hash"])).exits(0);
    let ended = inspect("3.13").exits(2).says(&["Python 3.13 is ambiguous: 2 artifacts", "by its digest"]);
    let digests: Vec<&str> =
        ended.err.lines().filter_map(|line| line.trim().split_once("  ")).map(|(digest, _)| digest).collect();
    assert_eq!(digests.len(), 2, "{}", ended.err);
    // Each of them is one to take.
    let parts = |what: &str| run(&mut toy.command(&["inspect", what, "--json"])).exits(0).json();
    let bytecode = digests.iter().filter(|digest| bytes(&parts(digest), "bytecode") > 5_000_000).count();
    assert_eq!(bytecode, 1);
    let compared = run(&mut toy.command(&["inspect", digests[1], digests[0], "--json"])).exits(0).json();
    assert_eq!(compared["plan"], json!([{"name": "bytecode", "before": "strip", "after": "unchecked-hash"}]));
    assert_eq!(compared["files"]["removed"], json!([]));
    let added = compared["files"]["added"].as_array().expect("files");
    let caches = added.iter().filter(|file| file["path"].as_str().is_some_and(|path| path.contains("/__pycache__/")));
    assert_eq!(caches.count(), added.len());
}

#[test]
fn a_damaged_tarball_of_the_store_is_said() {
    let toy = Toy::new(Behaviour::default());
    let built = toy.build().exits(0).json();
    let tarball = PathBuf::from(built[0]["tarball"].as_str().expect("a path"));
    // Another tarball that is whole, in its place: nothing but the digest tells.
    fs_err::copy(artifact("runtime").tarball, &tarball).expect("a file");
    run(&mut toy.command(&["inspect", "3.13"])).exits(4).says(&["has the SHA-256", ", expected "]);
    let bytes = fs_err::read(&tarball).expect("a file");
    fs_err::write(&tarball, &bytes[..bytes.len() / 2]).expect("a file");
    run(pykeel().arg("inspect").arg(&tarball)).exits(4).says(&["is damaged"]);
}

/// The runtime artifact as an installed prefix, with something changed.
fn changed_prefix(directory: &Path, change: impl FnOnce(&Path)) -> PathBuf {
    let prefix = directory.join("prefix");
    unpack(&artifact("runtime"), &prefix);
    change(&prefix);
    prefix
}

#[test]
fn two_artifacts_are_compared() {
    let (runtime, builder) = (artifact("runtime"), artifact("builder"));
    let both: [&OsStr; 2] = [runtime.tarball.as_ref(), builder.tarball.as_ref()];
    let compared = json(&both);
    assert_eq!(compared["same"], false);
    let fields: Vec<_> = compared["plan"].as_array().expect("fields").iter().map(|field| &field["name"]).collect();
    assert_eq!(fields, ["externally_managed", "flavor", "pip", "static_library", "strip"]);
    assert_eq!((&compared["libraries"], &compared["modules"]["added"]), (&json!([]), &json!([])));
    let values: Vec<_> = compared["sysconfig"].as_array().expect("values").iter().map(|value| &value["name"]).collect();
    assert_eq!(values, ["BLDLIBRARY", "INSTSONAME", "LDLIBRARY", "LIBPL", "LIBRARY", "STATIC_LIBPYTHON"]);
    let (before, after) = (sums(&json(&both[..1])), sums(&json(&both[1..])));
    let paths = |list: &Value| -> Vec<String> {
        let path =
            |file: &Value| file["path"].as_str().or_else(|| file["after"]["path"].as_str()).expect("a path").to_owned();
        let mut paths: Vec<String> = list.as_array().expect("files").iter().map(path).collect();
        paths.sort();
        paths
    };
    let only = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| -> Vec<String> {
        a.keys().filter(|path| !b.contains_key(*path)).cloned().collect()
    };
    assert_eq!(paths(&compared["files"]["added"]), only(&after, &before));
    assert_eq!(paths(&compared["files"]["removed"]), only(&before, &after));
    let changed: Vec<String> = before
        .iter()
        .filter(|(path, sum)| after.get(*path).is_some_and(|other| other != *sum))
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(paths(&compared["files"]["changed"]), changed);
    let told = text(&both);
    assert!(
        told.contains("flavor") && told.contains("runtime -> builder") && told.contains("site-packages  "),
        "{told}"
    );
    // An artifact and itself, also as it is installed.
    let directory = tempfile::tempdir().expect("a directory");
    let prefix = changed_prefix(directory.path(), |_| {});
    assert_eq!(json(&[runtime.tarball.as_ref(), prefix.as_ref()])["same"], true);
    assert!(text(&[prefix.as_ref(), runtime.tarball.as_ref()]).contains("the same files"));
}

#[test]
fn a_prefix_that_was_changed_is_told_from_its_artifact() {
    let runtime = artifact("runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let names = hostile_names();
    let prefix = changed_prefix(directory.path(), |prefix| {
        let stdlib = prefix.join("lib/python3.13");
        for name in &names {
            fs_err::write(stdlib.join(name), "new").expect("a file");
        }
        fs_err::remove_file(stdlib.join("this.py")).expect("a file");
        let sysconfig = stdlib.join("_sysconfigdata__linux_x86_64-linux-gnu.py");
        let before = fs_err::read_to_string(&sysconfig).expect("a file");
        let after = before.replace("'AR': 'ar'", "'AR': 'gcc-ar'").replace("'ALIGNOF_LONG': 8,\n", "");
        assert_ne!(before, after);
        fs_err::write(&sysconfig, after).expect("a file");
    });
    let both: [&OsStr; 2] = [runtime.tarball.as_ref(), prefix.as_ref()];
    let compared = json(&both);
    let changes = json!([
        {"name": "ALIGNOF_LONG", "before": 8, "after": null},
        {"name": "AR", "before": "ar", "after": "gcc-ar"},
    ]);
    assert_eq!(compared["sysconfig"], changes);
    assert_eq!(compared["plan"], json!([]));
    assert_eq!(compared["files"]["removed"][0]["path"], "lib/python3.13/this.py");
    assert_eq!(compared["files"]["added"].as_array().map(Vec::len), Some(names.len()));
    let told = text(&both);
    assert!(told.contains("AR            ar -> gcc-ar"), "{told}");
    assert!(told.contains("line\\nbreak") && told.contains("\\u{1b}[31mred") && told.contains("\\xFFbytes"), "{told}");
    assert!(!told.contains('\u{1b}'));
}

#[test]
fn a_sysconfig_that_is_no_literal_is_not_run() {
    let runtime = artifact("runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let file = "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py";
    let prefix = changed_prefix(directory.path(), |prefix| {
        fs_err::write(prefix.join(file), "# x\nbuild_time_vars = {\n 'A': open('/tmp/evil', 'w')}\n").expect("a file");
    });
    let compare = || run(pykeel().arg("inspect").arg(&runtime.tarball).arg(&prefix));
    compare().exits(4).says(&[file, "line 3", "a string or an integer", "open("]);
    fs_err::remove_file(prefix.join(file)).expect("a file");
    compare().exits(4).says(&["0 files _sysconfigdata*.py"]);
    // Alone it can be looked at all the same.
    run(pykeel().arg("inspect").arg(&prefix)).exits(0);
}

#[test]
fn a_page_is_the_same_every_time_and_needs_one_artifact() {
    let runtime = artifact("runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let page = |name: &str, what: &OsStr| {
        let path = directory.path().join(name);
        run(pykeel().args(["inspect", "--html"]).arg(&path).arg(what)).exits(0).says(&[name]);
        fs_err::read(path).expect("a page")
    };
    let digest = format!("sha256:{}", runtime.digest);
    assert_eq!(page("deep/a.html", runtime.tarball.as_ref()), page("b.html", digest.as_ref()));
    run(pykeel().args(["inspect", "--html", "x.html", "3.13", "3.13"]))
        .exits(2)
        .says(&["--html", "cannot be used with"]);
    let closed = Path::new("/proc/nowhere/x.html");
    let ended = run(pykeel().args(["inspect", &digest, "--html"]).arg(closed));
    assert!(ended.code != 0 && ended.err.contains("/proc/nowhere"), "{}", ended.err);
    assert_eq!(OsStr::from_bytes(ended.out.as_bytes()), "");
}
