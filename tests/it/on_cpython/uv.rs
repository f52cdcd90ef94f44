//! uv, with an index that `pykeel index` wrote.

use std::process::Command;

use crate::missing::Missing;
use crate::skip;
use crate::support::{artifact, copy_entry, pykeel, run, shared_store, unpack};

const UV: &str = "uv==0.13.9";

#[test]
fn uv_installs_what_the_index_names_and_makes_environments_of_it() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    let builder = artifact("builder");
    unpack(&builder, &path("builder"));
    let mut pip = Command::new(path("builder").join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(path("tools")).arg(UV);
    let fetched = run(&mut pip);
    if fetched.code != 0 {
        skip!(Missing::PackageIndex, "{UV} cannot be fetched: {}", fetched.err);
    }

    copy_entry(&shared_store(), &builder.build_key, &path("store"));
    let mut index = pykeel();
    index.env("PYKEEL_STORE", path("store")).arg("index").arg("--output").arg(path("index.json"));
    run(&mut index).exits(0);

    let uv = |words: &[&str]| {
        let mut command = Command::new(path("tools").join("bin/uv"));
        command.env_clear().env("HOME", place.path()).env("PATH", "/usr/bin:/bin").current_dir(place.path());
        command.env("UV_PYTHON_DOWNLOADS_JSON_URL", format!("file://{}", path("index.json").display()));
        command.args(["--no-config", "--python-preference", "only-managed", "--cache-dir"]).arg(path("cache"));
        command.args(words);
        run(&mut command)
    };
    uv(&["python", "install", "3.13", "--no-bin"]).exits(0);
    uv(&["venv", "--python", "3.13", "environment"]).exits(0);
    let says = "import sys, ssl, sqlite3, sysconfig; print(sys.base_prefix); print(sysconfig.get_path('include'))";
    let ended = uv(&["run", "--no-project", "--python", "3.13", "python", "-c", says]).exits(0);
    let managed = place.path().join(".local/share/uv/python");
    assert!(ended.out.starts_with(&managed.display().to_string()), "{}", ended.out);
    assert!(ended.out.trim_end().ends_with("/include/python3.13"), "{}", ended.out);
    let python = path("environment").join("bin/python");
    let ended = run(Command::new(python).args(["-c", "import sys; print(sys.prefix != sys.base_prefix)"])).exits(0);
    assert_eq!(ended.out, "True\n");

    // A tarball with another digest is refused by uv.
    let text = fs_err::read_to_string(path("index.json")).expect("the index");
    fs_err::write(path("index.json"), text.replace(&builder.digest, &"0".repeat(64))).expect("a file");
    let ended = uv(&["python", "install", "3.13", "--reinstall", "--no-bin"]);
    assert!(ended.code != 0 && ended.err.contains("ash mismatch"), "{}", ended.err);
}
