//! `--bytecode`, `--libraries` and `--debug-files`: what each leaves in an artifact.

use std::path::Path;

use serde_json::Value;

use crate::support::{artifact, check, run};
use crate::toy::{Behaviour, Toy};

/// Builds a toy with some options, and gives what it came to and its manifest.
fn build(toy: &Toy, store: &str, options: &[&str]) -> (Value, Value) {
    let mut command = toy.build_command();
    command.args(options).env("PYKEEL_STORE", toy.path(store));
    let built = run(&mut command).exits(0).json()[0].clone();
    let manifest = fs_err::read(built["manifest"].as_str().expect("a path")).expect("the manifest");
    (built, serde_json::from_slice(&manifest).expect("JSON"))
}

fn entries(tarball: &Value) -> Vec<String> {
    check("tar", &["-tf", tarball.as_str().expect("a path")]).lines().map(str::to_owned).collect()
}

/// Those of some names that have an extension.
fn with_extension<'a>(names: &'a [String], extension: &str) -> Vec<&'a String> {
    names.iter().filter(|name| Path::new(name).extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn bytecode_is_kept_out_or_comes_back_the_same_every_time() {
    let toy = Toy::of(&artifact("runtime"), Behaviour::default());
    let (stripped, _) = build(&toy, "a", &[]);
    assert!(!entries(&stripped["tarball"]).iter().any(|name| name.contains("__pycache__")));
    let (first, manifest) = build(&toy, "a", &["--bytecode", "unchecked-hash"]);
    let (second, _) = build(&toy, "another/store", &["--bytecode", "unchecked-hash"]);
    assert_eq!(first["digest"], second["digest"]);
    assert_ne!(first["build_key"], stripped["build_key"]);
    assert!(manifest["sizes"]["parts"]["bytecode"].as_u64() > Some(5_000_000), "{manifest}");
    let names = entries(&first["tarball"]);
    let modules = with_extension(&names, "py").len();
    let caches = with_extension(&names, "pyc");
    assert_eq!(caches.len(), modules, "one cache for each module");
    assert!(caches.iter().all(|name| name.ends_with(".cpython-313.pyc")), "level 0 alone");
    let tree = toy.path("tree");
    fs_err::create_dir(&tree).expect("a directory");
    check("tar", &[Path::new("-C"), &tree, Path::new("-xf"), Path::new(first["tarball"].as_str().expect("a path"))]);
    let cache = fs_err::read(tree.join("python-3.13/lib/python3.13/__pycache__/ssl.cpython-313.pyc")).expect("a cache");
    // PEP 552: bit 0 says by hash, bit 1 that it is checked.
    assert_eq!(cache[4..8], [1, 0, 0, 0]);
    let names_prefix = memchr::memmem::find(&cache, b"/opt/myorg/python-3.13/lib/python3.13/ssl.py").is_some();
    assert!(names_prefix, "tracebacks name the compiled prefix");
}

#[test]
fn libraries_of_the_system_are_listed_and_not_copied() {
    let toy = Toy::of(&artifact("runtime"), Behaviour { install: "rm lib/lib*.so*", ..Behaviour::default() });
    let (built, manifest) = build(&toy, "store", &["--libraries", "system"]);
    assert!(!entries(&built["tarball"]).iter().any(|name| name.contains("/lib/lib")));
    assert_eq!(manifest["libraries"], serde_json::json!([]));
    let packages: Vec<_> =
        manifest["runtime_packages"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(packages.contains(&"ca-certificates") && packages.contains(&"tzdata"), "{packages:?}");
    let member = "python-3.13/share/pykeel/runtime-packages.txt";
    let listed = check("tar", &["-xOf", built["tarball"].as_str().expect("a path"), member]);
    assert_eq!(listed.lines().collect::<Vec<_>>(), packages);
    assert!(!entries(&artifact("runtime").tarball.to_str().into()).contains(&member.to_owned()));
    let shown = run(toy.command(&["inspect"]).arg(built["tarball"].as_str().expect("a path"))).exits(0).out;
    assert!(shown.contains("libcrypto.so.3  ") && shown.contains(&packages.join(" ")), "{shown}");
    if Path::new("/etc/debian_version").exists() {
        assert!(packages.iter().any(|package| package.starts_with("libssl")), "{packages:?}");
        assert!(packages.iter().all(|package| !package.contains(':')), "{packages:?}");
        // Each is a package that apt knows by that name.
        for package in packages {
            check("dpkg-query", &["--show", package]);
        }
    }
}

#[test]
fn debug_information_is_kept_aside() {
    let toy = Toy::new(Behaviour::default());
    let (plain, _) = build(&toy, "store", &[]);
    let (built, _) = build(&toy, "store", &["--debug-files"]);
    assert_ne!(built["build_key"], plain["build_key"]);
    assert_eq!(plain["debug"], Value::Null);
    let names = entries(&built["debug"]);
    assert!(names.contains(&"python-3.13/bin/python3.13.debug".to_owned()), "{names:?}");
    assert!(names.iter().any(|name| name.contains("lib-dynload/_ssl.")), "{names:?}");
    assert!(with_extension(&entries(&built["tarball"]), "debug").is_empty());
}

/// What CPython 3.14 and later install besides, written by the toy's own Python as their make does:
/// with the compiled prefix, and with a path of the build.
const DESCRIPTIONS: &str = "bin/python3.13 -I -B -c \"\
    import importlib, json, os, sysconfig; \
    data = importlib.import_module(sysconfig._get_sysconfigdata_name()).build_time_vars; \
    prefix, library = data['prefix'], 'lib/python3.13/'; \
    write = lambda name, content: json.dump(content, open(library + name, 'w'), indent=2); \
    write('_sysconfig_vars__linux_.json', dict(data, projectbase=os.getcwd() + '/bin')); \
    write('build-details.json', dict(schema_version='1.0', base_prefix=prefix, \
        base_interpreter=prefix + '/bin/python3.13', c_api=dict(headers=prefix + '/include/python3.13')))\"";

#[test]
fn descriptions_of_the_build_go_where_the_tree_goes() {
    let toy = Toy::of(&artifact("runtime"), Behaviour { install: DESCRIPTIONS, ..Behaviour::default() });
    // The build verifies them at its prefix and elsewhere.
    let (built, _) = build(&toy, "store", &[]);
    let tree = toy.path("tree");
    fs_err::create_dir(&tree).expect("a directory");
    check("tar", &[Path::new("-C"), &tree, Path::new("-xf"), Path::new(built["tarball"].as_str().expect("a path"))]);
    let read = |name: &str| -> Value {
        let text = fs_err::read(tree.join("python-3.13/lib/python3.13").join(name)).expect("a file");
        serde_json::from_slice(&text).expect("JSON")
    };
    let details = read("build-details.json");
    assert_eq!(details["base_prefix"], "../..");
    assert_eq!(details["base_interpreter"], "./bin/python3.13");
    // The flavor has no headers.
    assert_eq!(details.get("c_api"), None);
    let values = read("_sysconfig_vars__linux_.json");
    assert_eq!(values["prefix"], "/opt/myorg/python-3.13");
    assert_eq!(values["projectbase"], "/opt/myorg/python-3.13/bin");
}

#[test]
fn descriptions_that_do_not_hold_are_findings() {
    // Of a Python that is not this one, and not the one that the literal dict describes.
    let install = "echo '{\"base_prefix\": \"/usr\", \"base_interpreter\": \"/usr/bin/python3\"}' \
                   > lib/python3.13/build-details.json; \
                   echo '{\"prefix\": \"/usr\"}' > lib/python3.13/_sysconfig_vars__linux_.json";
    let toy = Toy::of(&artifact("runtime"), Behaviour { install, ..Behaviour::default() });
    toy.build().exits(4).says(&["sysconfig:build-details", "has absolute paths", "sysconfig:vars-json"]);
}
