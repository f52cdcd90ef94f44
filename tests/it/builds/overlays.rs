//! The overlays of docs/recipes.md that turn modules on.

use std::path::Path;

use crate::support::{Artifact, RELEASE, artifact, check, pykeel, run, unpack};

/// Returns an overlay of docs/recipes.md: the block after the comment that names it.
fn documented(name: &str) -> String {
    let docs = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes.md")).expect("the docs");
    let (_, rest) = docs.split_once(&format!("<!-- overlay: {name} -->\n```toml\n")).expect("the overlay");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// Builds with a documented overlay, and returns what the built Python prints.
fn says(overlay: &str, libraries: &str, code: &str) -> String {
    // Then its source is in the store.
    artifact("runtime");
    let place = tempfile::tempdir().expect("a directory");
    fs_err::write(place.path().join("3.13.toml"), documented(overlay)).expect("a recipe");
    let words = ["--optimize", "none", "--libraries", libraries, "--offline", "--json", "--recipes"];
    let built = run(pykeel().args(["build", RELEASE]).args(words).arg(place.path())).exits(0).json();
    let tree = place.path().join("tree");
    unpack(&Artifact::built(&built[0]), &tree);
    check(&tree.join("bin/python3").display().to_string(), &["-I", "-B", "-c", code]).trim().to_owned()
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5 with tkinter"]
fn tkinter_can_be_turned_on() {
    let code = "
import json, sys, tkinter
with open(sys.prefix + '/share/pykeel/manifest.json') as manifest:
    print(tkinter.Tcl().eval('expr 6 * 7'), tkinter.TkVersion, *json.load(manifest)['compiled_in'])";
    // Tk needs the system's libexpat, and pyexpat still has its own.
    assert_eq!(says("tkinter", "system", code), "42 8.6 expat hacl-star mpdecimal");
}

#[test]
#[ignore = "scripts/test --full: builds 3.13.5 with dbm.gnu"]
fn gdbm_can_be_turned_on() {
    let code = "
import dbm.gnu, tempfile
with tempfile.TemporaryDirectory() as place, dbm.gnu.open(place + '/x', 'c') as database:
    database['key'] = 'value'
    print(database['key'].decode())
with open('/proc/self/maps') as maps:
    print({line.split()[-1].rpartition('/')[2] for line in maps if 'libgdbm' in line and '/tree/lib/' in line})";
    assert_eq!(says("gdbm", "bundle", code), "value\n{'libgdbm.so.6'}");
}
