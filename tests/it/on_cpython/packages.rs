//! Packages that are compiled from source with the `builder` flavor, and used with the `runtime` flavor: both trees
//! are moved. They come from an index of Python packages and of Rust crates.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::missing::Missing;
use crate::skip;
use crate::support::{artifact, check, run, unpack};

/// The packages that are compiled. sqlite-vec, which `sqlite3` loads, exists as a wheel only.
const COMPILED: [&str; 5] = ["cffi==2.1.1", "greenlet==3.5.6", "lxml==6.1.3", "psycopg2==2.9.13", "uwsgi==2.0.31"];
const WHEEL: &str = "sqlite-vec==0.1.9";

/// Uses each package. It prints nothing unless one fails.
const USES: &str = r"
import sqlite3, sys
assert sys.prefix != sys.base_prefix, sys.prefix

import cffi
ffi = cffi.FFI()
ffi.cdef('size_t strlen(const char *);')
assert ffi.dlopen(None).strlen(b'four') == 4

import greenlet
there = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch('switched'))
assert there.switch() == 'switched'

from lxml import etree
assert etree.fromstring('<a><b>text</b></a>').xpath('string(//b)') == 'text'

import psycopg2, psycopg2.extensions
assert psycopg2.extensions.parse_dsn('host=x port=1') == {'host': 'x', 'port': '1'}
try:
    psycopg2.connect('host=127.0.0.1 port=1 connect_timeout=1')
except psycopg2.OperationalError as error:
    assert 'refused' in str(error), error

import sqlite_vec
database = sqlite3.connect(':memory:')
database.enable_load_extension(True)
sqlite_vec.load(database)
assert database.execute('SELECT vec_length(?)', ['[1, 2, 3]']).fetchone() == (3,)

# After libpq, which has the system's OpenSSL.
import ssl
ssl.create_default_context()
";

/// What uWSGI serves: where its Python lies, and whether extension modules load.
const SERVICE: &str = "
import sys, ssl, sqlite3
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [f'{sys.prefix} {sys.base_prefix}'.encode()]
";

const CRATE: &str = r#"
[package]
name = "embedding"
version = "0.0.0"
edition = "2021"

[dependencies]
pyo3 = "=0.30.1"
"#;

const EMBEDS: &str = r#"
use pyo3::prelude::*;

fn main() -> PyResult<()> {
    Python::initialize();
    Python::attach(|python| {
        let module = python.import("math")?;
        let root: i32 = module.getattr("isqrt")?.call1((1764,))?.extract()?;
        python.import("ssl")?;
        println!("{root}");
        Ok(())
    })
}
"#;

/// A program in Rust whose libpython is the tree's: the static library, or a shared one.
pub fn embeds_in_rust(tree: &Path, is_shared: bool) {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    fs_err::create_dir(path("src")).expect("a directory");
    fs_err::write(path("Cargo.toml"), CRATE).expect("a file");
    fs_err::write(path("src/main.rs"), EMBEDS).expect("a file");
    let cargo = |word: &str| {
        let mut command = Command::new("cargo");
        command.current_dir(place.path()).env("CARGO_TARGET_DIR", path("target"));
        command.env("PYO3_PYTHON", tree.join("bin/python3")).arg(word);
        if is_shared {
            // As python3-config says: cargo has no search path of its own for libraries at run time.
            command.env("RUSTFLAGS", format!("-Clink-arg=-Wl,-rpath,{}", tree.join("lib").display()));
        } else {
            // Extension modules find what is in the program, as in the interpreter.
            command.env("RUSTFLAGS", "-Clink-arg=-Wl,-export-dynamic");
        }
        command
    };
    let fetched = run(&mut cargo("fetch"));
    if fetched.code != 0 {
        skip!(Missing::PackageIndex, "crates cannot be fetched: {}", fetched.err);
    }
    run(&mut cargo("build")).exits(0);
    let program = path("target/debug/embedding");
    assert_eq!(run(Command::new(&program).env_clear().env("PYTHONHOME", tree)).exits(0).out, "42\n");
    assert_eq!(check("ldd", &[&program]).contains("libpython"), is_shared);
}

/// The trees of both flavors, in a directory that goes with the value.
struct Trees {
    place: tempfile::TempDir,
}

impl Trees {
    fn unpacked() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        for flavor in ["builder", "runtime"] {
            unpack(&artifact(flavor), &place.path().join(flavor));
        }
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().canonicalize().expect("the directory").join(name)
    }

    /// A command of a flavor's interpreter.
    fn python(&self, flavor: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.path(flavor).join("bin/python3"));
        command.current_dir(self.place.path()).args(words);
        command
    }
}

/// What uWSGI answers at a socket that it has yet to make.
fn served(mut uwsgi: Command, socket: &Path) -> String {
    let mut server = uwsgi.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("uWSGI");
    let mut answer = String::new();
    for _ in 0..100 {
        if let Ok(mut stream) = UnixStream::connect(socket) {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a request");
            stream.read_to_string(&mut answer).expect("an answer");
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    server.kill().expect("an end");
    let said = server.wait_with_output().expect("uWSGI").stderr;
    assert!(!answer.is_empty(), "{}", String::from_utf8_lossy(&said));
    answer
}

#[test]
#[ignore = "scripts/test --full: compiles packages"]
fn packages_that_the_builder_compiled_serve_the_runtime() {
    let trees = Trees::unpacked();
    let mut fetch = trees.python("builder", &["-m", "pip", "download", "--quiet", "--no-deps", WHEEL]);
    let fetched = run(&mut fetch);
    if fetched.code != 0 {
        skip!(Missing::PackageIndex, "{WHEEL} cannot be fetched: {}", fetched.err);
    }
    for package in COMPILED {
        let (name, _) = package.split_once("==").expect("a version");
        let compile = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-binary", name, "--wheel-dir", ".", package];
        run(&mut trees.python("builder", &compile)).exits(0);
    }

    run(&mut trees.python("runtime", &["-m", "venv", "--without-pip", "environment"])).exits(0);
    let environment = trees.path("environment");
    let install = ["-m", "pip", "--python", "environment/bin/python", "install", "--quiet", "--find-links", ".", WHEEL];
    run(trees.python("builder", &install).args(COMPILED)).exits(0);
    run(Command::new(environment.join("bin/python")).args(["-I", "-c", USES])).exits(0);

    fs_err::write(trees.path("service.py"), SERVICE).expect("a file");
    let socket = trees.path("socket");
    let mut uwsgi = Command::new(environment.join("bin/uwsgi"));
    uwsgi.current_dir(trees.place.path()).arg("--home").arg(&environment).arg("--http-socket").arg(&socket);
    uwsgi.args(["--wsgi-file", "service.py", "--need-app", "--master", "--die-on-term"]);
    let answer = served(uwsgi, &socket);
    let expected = format!("{} {}", environment.display(), trees.path("runtime").display());
    assert!(answer.ends_with(&expected), "{answer}");
}

#[test]
#[ignore = "scripts/test --full: compiles a program in Rust"]
fn a_program_in_rust_embeds_python() {
    embeds_in_rust(&Trees::unpacked().path("builder"), false);
}
