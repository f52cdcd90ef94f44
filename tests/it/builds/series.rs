//! The older series: their recipes build, the result runs at its prefix and elsewhere, and every
//! patch applies to its sources.

use std::path::Path;
use std::process::Command;

use pykeel::error::Error;
use pykeel::event::Silent;
use pykeel::recipe::Catalog;
use pykeel::stages::fetch::{FetchOptions, Mirror};
use pykeel::stages::{fetch, patch, unpack};
use pykeel::store::Store;
use pykeel::sys::http::Limits;
use pykeel::sys::process::System;

use crate::builds::other_pool::{self, mirror_with};
use crate::missing::{Missing, skipped};
use crate::on_cpython::roots::{BARE_ROOT_LACKS, bare_root, probe, probe_at};
use crate::skip;
use crate::support::{Artifact, artifact_of, is_root, old_releases, pykeel, run, shared_store, unpack as unpack_into};

/// The releases whose sources every Debian mirror carries for years; the others may be out of reach.
const HAVE_TO_BE_THERE: [&str; 2] = ["3.11.2", "3.13.5"];

/// An artifact, or none where no mirror has its source.
fn built(release: &str, flavor: &str) -> Option<Artifact> {
    let artifact = artifact_of(release, flavor);
    if artifact.is_none() {
        assert!(!HAVE_TO_BE_THERE.contains(&release), "the source of {release} has to be there");
        skipped(Some(Missing::Source("a release")), &format!("no mirror has the source of Python {release}"));
    }
    artifact
}

#[test]
fn old_series_run_in_a_root_that_holds_nothing_but_glibc_and_elsewhere_in_it() {
    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    for release in old_releases() {
        for flavor in ["runtime", "builder"] {
            let Some(artifact) = built(release, flavor) else { continue };
            let root = bare_root();
            probe(root.path(), &artifact, BARE_ROOT_LACKS);
            let prefix = "/srv/ein Pythön";
            unpack_into(&artifact, &root.path().join(&prefix[1..]));
            fs_err::remove_dir_all(root.path().join(&artifact.prefix()[1..])).expect("a directory");
            probe_at(root.path(), &artifact, prefix, BARE_ROOT_LACKS);
        }
    }
}

#[test]
fn old_series_pass_verification_and_say_what_they_are() {
    for release in old_releases() {
        for flavor in ["runtime", "builder"] {
            let Some(artifact) = built(release, flavor) else { continue };
            run(pykeel().arg("verify").arg(&artifact.tarball)).exits(0);
            assert!(artifact.name.starts_with(&format!("cpython-{release}-")), "{}", artifact.name);
            let modules = artifact.manifest["modules"].as_array().expect("a list");
            let has = |name: &str| modules.iter().any(|module| module == name);
            assert!(has("_ssl") && has("_ctypes") && has("_sqlite3"), "{modules:?}");
            // GNU readline is GPL, and 3.9 knows no other.
            assert_eq!(has("readline"), release != "3.9.2");
            for left_out in ["_gdbm", "_dbm", "nis", "_tkinter", "_crypt", "_testcapi"] {
                assert!(!has(left_out), "{left_out}");
            }
            let needed: Vec<_> = artifact.manifest["libraries"].as_array().expect("a list").iter().collect();
            assert!(needed.iter().all(|library| !library["soname"].as_str().expect("a name").contains("readline")));
        }
    }
}

const EXTENSION: &str = r#"
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "answers", NULL, 0, methods};
PyMODINIT_FUNC PyInit_answers(void) { return PyModule_Create(&module); }
"#;

const SETUP: &str = "
from distutils.core import Extension, setup
setup(name='answers', version='1', ext_modules=[Extension('answers', ['answers.c'])])
";

/// What both modules say that distutils and setuptools build with.
const VALUES: &str = "
import sysconfig, distutils.sysconfig
ours, theirs = sysconfig.get_config_vars(), distutils.sysconfig.get_config_vars()
for name in ('INCLUDEPY', 'LIBDIR', 'LIBPL', 'BINDIR', 'LIBDEST', 'prefix', 'CONFIG_ARGS', 'LDSHARED', 'CFLAGS'):
    assert ours[name] == theirs[name], (name, ours[name], theirs[name])
    print(name, ours[name])
print(distutils.sysconfig.get_python_inc(), distutils.sysconfig.get_python_lib())
";

#[test]
fn distutils_of_a_moved_installation_builds_extension_modules() {
    for release in old_releases() {
        let Some(artifact) = built(release, "builder") else { continue };
        let place = tempfile::tempdir().expect("a directory");
        let moved = place.path().join("moved");
        unpack_into(&artifact, &moved);
        let python = moved.join("bin").join(artifact.python());
        let compiled = artifact.prefix();
        let in_place = |args: &[&str]| {
            let mut command = Command::new(&python);
            command.args(["-W", "ignore"]).args(args).current_dir(place.path());
            command.env_clear().env("PATH", "/usr/bin:/bin").env("PYTHONDONTWRITEBYTECODE", "1");
            run(&mut command)
        };

        let values = in_place(&["-c", VALUES]).exits(0).out;
        assert!(!values.contains(compiled), "{values}");
        assert!(values.contains(&format!("INCLUDEPY {}/include/", moved.display())), "{values}");

        fs_err::write(place.path().join("answers.c"), EXTENSION).expect("a file");
        fs_err::write(place.path().join("setup.py"), SETUP).expect("a file");
        let commands = in_place(&["setup.py", "build_ext", "--inplace"]).exits(0).out;
        assert!(commands.contains(&format!("-I{}/include/", moved.display())), "{commands}");
        assert!(!commands.contains(compiled), "{commands}");
        // What users link prefers none of the prefix's libraries.
        assert!(!commands.contains("rpath") && !commands.contains(".rsp"), "{commands}");
        let answer = in_place(&["-c", "import answers; print(answers.answer())"]).exits(0);
        assert_eq!(answer.out, "42\n");

        // setuptools is there as ensurepip brings it to these series, and pip builds with it.
        fs_err::remove_dir_all(place.path().join("build")).expect("a directory");
        let target = place.path().join("target");
        let target_text = target.display().to_string();
        let install =
            ["-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-cache-dir", "--target", &target_text];
        in_place(&[&install[..], &["."]].concat()).exits(0);
        let answer =
            format!("import sys; sys.path.insert(0, {target_text:?}); import answers; print(answers.__file__)");
        let file = in_place(&["-I", "-c", &answer]).exits(0).out;
        assert!(Path::new(file.trim()).starts_with(&target), "{file}");
    }
}

#[test]
fn every_patch_fits_every_source_that_can_be_had() {
    let catalog = Catalog::load(None).expect("the recipes");
    let store = Store::new(shared_store());
    let mirrors: Vec<Mirror> =
        std::env::var_os("PYKEEL_MIRROR").iter().map(|text| Mirror::parse(text).expect("a mirror")).collect();
    let mut fitted = Vec::new();
    for recipe in catalog.recipes() {
        for row in &recipe.releases {
            let release = row.version.to_string();
            let (_, recipe) = catalog.find(release.parse().expect("a version")).expect("its recipe");
            let mut mirrors = mirrors.clone();
            if other_pool::RELEASES.contains(&release.as_str())
                && let Some(directory) = mirror_with(&release)
            {
                mirrors.push(Mirror::parse(directory.as_os_str()).expect("a mirror"));
            }
            // What this project has built is looked for everywhere, the rest where nothing is waited for.
            let options = FetchOptions { mirrors, offline: !row.built, limits: Limits::default(), copies: None };
            let source = match fetch::fetch(&recipe, &options, &store, &System, &Silent) {
                Ok(source) => source,
                Err(Error::SourceUnavailable { .. }) if !row.built => continue,
                Err(Error::SourceUnavailable { .. }) if !HAVE_TO_BE_THERE.contains(&release.as_str()) => {
                    let reason = format!("no mirror has the source of Python {release}");
                    skipped(Some(Missing::Source("a release")), &reason);
                    continue;
                }
                Err(error) => panic!("{release}: {error}"),
            };
            let work = tempfile::tempdir().expect("a directory");
            let tree = unpack::unpack(&source, work.path()).expect("a source");
            let patches = catalog.patches(&recipe).expect("the patches");
            patch::apply(tree, &patches).unwrap_or_else(|error| panic!("{release}: {error}"));
            fitted.push(release);
        }
    }
    assert!(HAVE_TO_BE_THERE.iter().all(|release| fitted.iter().any(|fitted| fitted == release)), "{fitted:?}");
}

#[test]
fn a_series_past_its_end_of_life_says_since_when_and_how_to_have_it_all_the_same() {
    for (series, day) in [("3.9", "2025-10-31"), ("3.10", "2026-10-31")] {
        let ended = run(pykeel().args(["build", series, "--dry-run"])).exits(2);
        ended.says(&[&format!("Python {series} is past its end of life ({day})"), "--allow-eol"]);
        let ended = run(pykeel().args(["build", series, "--dry-run", "--allow-eol", "--json"])).exits(0);
        assert_eq!(ended.json()[0]["request"]["prefix"], format!("/opt/myorg/python-{series}"));
    }
}
