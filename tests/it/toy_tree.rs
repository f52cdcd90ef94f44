//! What the toy's `make install` leaves: a tree that is shaped as CPython's. Its interpreter and its
//! extension modules are small programs in C, so that all checks of ELF files have something to
//! look at; `tests/data/toy/toy.sh` answers what pykeel asks a Python.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pykeel::domain::digest::Digest;
use pykeel::recipe::{Catalog, ReleaseRecipe};

use crate::support::check;

const PYTHON: &str = include_str!("../data/toy/python.c");
const MODULE: &str = include_str!("../data/toy/module.c");
const SCRIPT: &str = include_str!("../data/toy/toy.sh");

/// The modules of the toy's standard library; the toy's Python imports each of them when it is verified.
const MODULES: [&str; 25] = [
    "abc",
    "argparse",
    "ast",
    "base64",
    "bisect",
    "calendar",
    "codecs",
    "colorsys",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "heapq",
    "inspect",
    "io",
    "os",
    "random",
    "re",
    "shutil",
    "socket",
    "sqlite3",
    "ssl",
    "this",
    "typing",
];

/// What lies elsewhere in the tree: what a flavor strips, and what has to be rewritten.
const FILES: [(&str, &str); 16] = [
    ("bin/pydoc3.13", "#!/opt/myorg/python-3.13/bin/python3.13\nimport pydoc\n"),
    ("bin/idle3.13", "#!/opt/myorg/python-3.13/bin/python3.13\nimport idlelib\n"),
    ("bin/python3.13-config", "#!/bin/sh\necho /opt/myorg/python-3.13\n"),
    ("include/python3.13/Python.h", "/* Python.h */\n"),
    ("lib/pkgconfig/python-3.13.pc", "prefix=/opt/myorg/python-3.13\nlibdir=${prefix}/lib\nLibs: -L${libdir}\n"),
    (
        "lib/pkgconfig/python-3.13-embed.pc",
        "prefix=/opt/myorg/python-3.13\nlibdir=${prefix}/lib\nLibs: -L${libdir} -lpython3.13\n",
    ),
    ("lib/python3.13/Makefile", "prefix= /opt/myorg/python-3.13\n"),
    ("lib/python3.13/LICENSE.txt", "A licence.\n"),
    ("lib/python3.13/asyncio/__init__.py", "\"\"\"A package.\"\"\"\n"),
    ("lib/python3.13/email/__init__.py", "\"\"\"A package.\"\"\"\n"),
    ("lib/python3.13/email/architecture.rst", "A text.\n"),
    ("lib/python3.13/ensurepip/__init__.py", "\"\"\"It is there before a flavor strips it.\"\"\"\n"),
    ("lib/python3.13/idlelib/__init__.py", "\n"),
    ("lib/python3.13/site-packages/README.txt", "A directory for packages.\n"),
    ("lib/python3.13/test/__init__.py", "\n"),
    ("share/man/man1/python3.13.1", ".TH PYTHON 1\n"),
];

/// How everything is compiled and linked that pykeel's checks look at.
const HARDENED: [&str; 5] =
    ["-Wl,-z,relro,-z,now", "-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", BRANCH_PROTECTION];
const BRANCH_PROTECTION: &str =
    if cfg!(target_arch = "x86_64") { "-fcf-protection" } else { "-mbranch-protection=standard" };

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs_err::write(path, text).expect("a file");
}

fn cc(words: &[&str]) {
    check("gcc", words);
}

/// The recipe whose modules it has.
fn recipe() -> ReleaseRecipe {
    let catalog = Catalog::load(None).expect("the recipes");
    catalog.find("3.13.5".parse().expect("a version")).expect("the recipe").1
}

/// Compiles each module of the recipe, linked to the libraries that the recipe names for it, and lists those that are
/// built in.
fn link_modules(root: &Path, source: &Path) {
    let recipe = recipe();
    let of_recipe = recipe.shared.modules.builtin.keys().map(String::as_str);
    let builtin: Vec<&str> = ["_io", "builtins", "sys", "time"].into_iter().chain(of_recipe).collect();
    write(root, "lib/python3.13/toy-builtin-modules", &format!("{}\n", builtin.join("\n")));
    let source = source.join("module.c").display().to_string();
    let machine = std::env::consts::ARCH;
    for name in &recipe.shared.modules.required {
        let file = format!("lib/python3.13/lib-dynload/{name}.cpython-313-{machine}-linux-gnu.so");
        let defined = format!("-DNAME={name}");
        let output = root.join(file).display().to_string();
        let of_module = recipe.shared.libraries.iter().filter(|library| library.modules.contains(name));
        let linked: Vec<String> = of_module.flat_map(|library| &library.link).map(|link| format!("-l{link}")).collect();
        let mut words = vec!["-shared", "-fPIC", &defined, "-o", &output, &source];
        words.extend(HARDENED);
        words.extend(["-Wl,--disable-new-dtags", "-Wl,-rpath,$ORIGIN/../..", "-Wl,--no-as-needed"]);
        words.extend(linked.iter().map(String::as_str));
        words.push("-lc");
        cc(&words);
    }
}

fn make(root: &Path, source: &Path) {
    for (name, text) in FILES {
        write(root, name, text);
    }
    for name in MODULES {
        // Long enough that a tree of them is not written in no time.
        let body = format!("# {name}: a line of the toy's standard library.\n").repeat(2000);
        write(root, &format!("lib/python3.13/{name}.py"), &format!("\"\"\"The module {name}.\"\"\"\n{body}"));
    }
    write(root, "lib/python3.13/toy-modules", &format!("{}\n", MODULES.join("\n")));
    write(root, "lib/python3.13/toy.sh", SCRIPT);
    for script in ["bin/pydoc3.13", "bin/idle3.13", "bin/python3.13-config"] {
        check("chmod", &[Path::new("755"), &root.join(script)]);
    }
    fs_err::create_dir_all(root.join("lib/python3.13/lib-dynload")).expect("a directory");
    fs_err::write(source.join("python.c"), PYTHON).expect("a file");
    fs_err::write(source.join("module.c"), MODULE).expect("a file");
    let python = root.join("bin/python3.13").display().to_string();
    let source_of_python = source.join("python.c").display().to_string();
    cc(&[&["-fPIE", "-pie", "-rdynamic", "-o", &python, &source_of_python], &HARDENED[..]].concat());
    for (link, target) in [("python3", "python3.13"), ("pydoc3", "pydoc3.13")] {
        fs_err::os::unix::fs::symlink(target, root.join("bin").join(link)).expect("a link");
    }
    link_modules(root, source);
    archive_library(root, source);
}

/// The static library, and the copy of it that make installs besides.
fn archive_library(root: &Path, source: &Path) {
    let directory = root.join(format!("lib/python3.13/config-3.13-{}-linux-gnu", std::env::consts::ARCH));
    fs_err::create_dir_all(&directory).expect("a directory");
    fs_err::rename(root.join("lib/python3.13/Makefile"), directory.join("Makefile")).expect("a file");
    fs_err::write(source.join("main.c"), "int Py_RunMain(void) { return 0; }\n").expect("a file");
    let [code, object] = ["main.c", "main.o"].map(|name| source.join(name).display().to_string());
    cc(&["-O1", "-c", "-o", &object, &code]);
    for library in [directory.join("libpython3.13.a"), root.join("lib/libpython3.13.a")] {
        check("ar", &["rcsD", &library.display().to_string(), &object]);
    }
}

/// The tree, which is made once and kept in cargo's directory for the files of tests.
pub fn toy_tree() -> &'static Path {
    static TREE: LazyLock<PathBuf> = LazyLock::new(|| {
        // Another compiler, other libraries or another recipe make another tree.
        let system = check("sh", &["-c", "gcc --version; /sbin/ldconfig -p"]);
        let recipe = recipe().digest().to_string();
        let input = [PYTHON, MODULE, SCRIPT, include_str!("toy_tree.rs"), &system, &recipe].concat();
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let tree = place.join(format!("toy-{}", &Digest::of(input).to_string()[..16]));
        if !tree.exists() {
            let work = tempfile::tempdir_in(place).expect("a directory");
            let root = work.path().join("tree");
            make(&root, work.path());
            // Another run of the tests may have made it meanwhile.
            if let Err(error) = fs_err::rename(&root, &tree) {
                assert!(tree.exists(), "{error}");
            }
        }
        tree
    });
    &TREE
}
