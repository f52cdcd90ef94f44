//! `python-build` with a real Python: what a user of pyenv finds in the prefix.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::{RELEASE, artifact, check, pykeel, run};

#[test]
fn a_prefix_in_a_home_has_what_a_user_of_pyenv_expects() {
    let _built = artifact("builder");
    let home = tempfile::tempdir().expect("a directory");
    let prefix = home.path().join(".pyenv/versions").join(RELEASE);
    let mut command = pykeel();
    command.args(["python-build", RELEASE]).arg(&prefix).env("HOME", home.path());
    for name in ["CONFIGURE_OPTS", "PYTHON_CFLAGS", "PYTHON_LDFLAGS", "PYTHON_BUILD_DEFINITIONS", "PYTHON_BUILD_ROOT"] {
        command.env_remove(name);
    }
    let start = Instant::now();
    // The tests share an artifact with a static libpython.
    let ended =
        run(command.env("PYTHON_CONFIGURE_OPTS", "--disable-shared --enable-optimizations --with-lto")).exits(0);
    eprintln!("from the store in {:.2} s", start.elapsed().as_secs_f64());
    let said = format!("Installing Python-{RELEASE}...\nInstalled Python-{RELEASE} to {}\n", prefix.display());
    assert_eq!(ended.err, said);

    for file in ["python", "python3", "pip", "pip3", "pydoc", "python-config", "python3-config"] {
        assert!(prefix.join("bin").join(file).exists(), "{file}");
    }
    assert!(prefix.join("share/man/man1/python3.1").exists());
    let of = |program: &str, args: &[&str]| {
        let program = prefix.join("bin").join(program);
        run(Command::new(program).args(args).env_clear().env("PATH", "/usr/bin:/bin")).exits(0).out
    };
    let here = prefix.display().to_string();
    assert_eq!(
        of("python", &["-c", "import sys; print(sys.prefix, sys.base_prefix)"]).trim(),
        format!("{here} {here}")
    );
    assert!(of("pip", &["--version"]).contains(&here));
    assert!(of("pydoc", &["zlib"]).contains("zlib"));
    let includes = of("python-config", &["--includes"]);
    assert!(includes.contains(&format!("-I{here}/include/python3.13")), "{includes}");

    // An extension module is compiled against it, and a venv is made of it.
    let source = home.path().join("x.c");
    fs_err::write(&source, EXTENSION).expect("a file");
    let module = home.path().join("x.so");
    let include = includes.split_whitespace().next().expect("a flag");
    check("gcc", &[Path::new("-shared"), Path::new("-fPIC"), Path::new(include), &source, Path::new("-o"), &module]);
    let import = format!("import sys; sys.path.insert(0, '{}'); import x; print(x.__name__)", home.path().display());
    assert_eq!(of("python", &["-c", &import]).trim(), "x");
    of("python", &["-m", "venv", &home.path().join("venv").display().to_string()]);
    assert!(home.path().join("venv/bin/pip").exists());
}

const EXTENSION: &str = "#include <Python.h>\n\
    static struct PyModuleDef x = { PyModuleDef_HEAD_INIT, \"x\", 0, -1, 0 };\n\
    PyMODINIT_FUNC PyInit_x(void) { return PyModule_Create(&x); }\n";
