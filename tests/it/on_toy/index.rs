//! `pykeel index`, on artifacts of the toy.

use serde_json::Value;

use crate::support::run;
use crate::toy_artifact::{artifact, pykeel, store_with};

/// uv's name of the toy's artifacts.
fn key() -> String {
    format!("cpython-3.13.5-linux-{}-gnu", std::env::consts::ARCH)
}

#[test]
fn the_index_of_a_store_has_the_builder_flavor_and_its_file() {
    let ended = run(pykeel().arg("index")).exits(0).says(&["other artifacts of the same releases (1)"]);
    let index: Value = serde_json::from_str(&ended.out).expect("JSON");
    let (builder, entry) = (artifact("builder"), &index[key()]);
    assert_eq!(entry["sha256"], builder.digest.as_str());
    assert_eq!(entry["url"], format!("file://{}", builder.tarball.display()));
    assert_eq!(entry["build"].as_str().map(str::len), Some(8), "{entry}");
    // With `--json` it is the same.
    assert_eq!(run(pykeel().args(["index", "--json"])).exits(0).json(), index);

    let ended = run(pykeel().args(["index", "--flavor", "runtime", "--url", "https://a.test/{sha256}/{version}"]));
    let url = ended.exits(0).json()[key()]["url"].clone();
    assert_eq!(url, format!("https://a.test/{}/3.13.5", artifact("runtime").digest));
}

#[test]
fn the_index_of_a_directory_has_its_tarballs_whatever_they_are_called() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    fs_err::copy(artifact("runtime").tarball, path("my python.tar.zst")).expect("a copy");
    fs_err::write(path("notes.txt"), "no tarball").expect("a file");
    let mut index = pykeel();
    index.arg("index").arg(place.path()).args(["--url", "https://a.test/{file}"]);
    index.arg("--output").arg(path("uv.json"));
    let ended = run(&mut index).exits(0);
    assert_eq!(ended.out.trim(), path("uv.json").display().to_string());
    let text = fs_err::read_to_string(path("uv.json")).expect("the index");
    let entry = serde_json::from_str::<Value>(&text).expect("JSON")[key()].clone();
    assert_eq!(entry["url"], "https://a.test/my%20python.tar.zst");
    assert_eq!((&entry["sha256"], &entry["build"]), (&artifact("runtime").digest.into(), &Value::Null));

    // The same index again, now that it lies there too.
    run(&mut index).exits(0);
    assert_eq!(fs_err::read_to_string(path("uv.json")).expect("the index"), text);

    // A tarball that is cut is no smaller index, but an error.
    let bytes = fs_err::read(path("my python.tar.zst")).expect("the tarball");
    fs_err::write(path("my python.tar.zst"), &bytes[..bytes.len() / 2]).expect("a file");
    run(&mut index).exits(4).says(&["my python.tar.zst"]);
    assert_eq!(fs_err::read_to_string(path("uv.json")).expect("the index"), text);
}

#[test]
fn an_index_without_entries_and_a_url_that_cannot_work_are_errors() {
    let empty = tempfile::tempdir().expect("a directory");
    run(pykeel().arg("index").arg(empty.path())).exits(2).says(&["no artifact that uv can install"]);
    run(pykeel().arg("index").arg(empty.path().join("none"))).exits(2).says(&["none"]);
    for (url, reason) in [("https://a.test/", "neither {file} nor {sha256}"), ("{file}", "relative URL")] {
        run(pykeel().args(["index", "--url", url])).exits(2).says(&[reason]);
    }
    let store = empty.path().join("store");
    store_with("runtime", &store);
    let mut index = pykeel();
    index.env("PYKEEL_STORE", &store).args(["index", "--flavor", "builder"]);
    run(&mut index).exits(2).says(&["it is of another flavor", "no artifact that uv can install"]);
}
