//! Programs that embed Python: linked with what the `builder` flavor says, and run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Artifact, artifact, check, is_root, run, unpack};

/// Its prefix is the first argument; it runs the second.
const PROGRAM: &str = r"
#include <Python.h>
int main(int argc, char **argv)
{
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    PyStatus status = PyConfig_SetBytesString(&config, &config.home, argv[1]);
    if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
    if (argc != 3 || PyStatus_Exception(status)) Py_ExitStatusException(status);
    return PyRun_SimpleString(argv[2]) || Py_FinalizeEx() < 0;
}
";

/// Extension modules with and without a library, and a thread.
const CODE: &str = "
import ctypes, math, ssl, sqlite3, sys, threading
thread = threading.Thread(target=lambda: print(sys.prefix, math.isqrt(1764), ssl.OPENSSL_VERSION[:7]))
thread.start()
thread.join()";

const CMAKE: &str = "
cmake_minimum_required(VERSION 3.18)
project(embedding C)
find_package(Python3 3.13 EXACT REQUIRED COMPONENTS Interpreter Development.Embed)
add_executable(embedding embedding.c)
target_link_libraries(embedding Python3::Python m)
set_target_properties(embedding PROPERTIES ENABLE_EXPORTS ON)
message(STATUS \"found ${Python3_LIBRARIES}\")
";

/// Compiles and links with the words that a program of the tree prints.
fn linked(tree: &Path, place: &Path) -> PathBuf {
    let config = tree.join("bin/python3-config").display().to_string();
    let [cflags, ldflags] = ["--cflags", "--ldflags"].map(|option| check(&config, &["--embed", option]));
    let (source, program) = (place.join("embedding.c"), place.join("embedding"));
    fs_err::write(&source, PROGRAM).expect("a file");
    let mut command = Command::new("gcc");
    command.args(cflags.split_whitespace()).arg(&source).arg("-o").arg(&program).args(ldflags.split_whitespace());
    run(&mut command).exits(0);
    program
}

/// Runs the program without any variable that names a directory of libraries.
fn runs(program: &Path, tree: &Path) {
    let mut command = Command::new(program);
    let ended = run(command.arg(tree).arg(CODE).env_clear()).exits(0);
    assert_eq!(ended.out, format!("{} 42 OpenSSL\n", tree.display()), "{}", ended.err);
}

/// Links and runs the program from a tree that was moved.
pub fn embeds_in_a_moved_tree(artifact: &Artifact) {
    let place = tempfile::tempdir().expect("a directory");
    let place = place.path().canonicalize().expect("a directory");
    let tree = place.join("moved");
    unpack(artifact, &tree);
    runs(&linked(&tree, &place), &tree);
}

#[test]
fn a_program_embeds_a_moved_python() {
    embeds_in_a_moved_tree(&artifact("builder"));
}

#[test]
fn a_program_embeds_a_python_at_its_prefix() {
    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    let builder = artifact("builder");
    let place = tempfile::tempdir().expect("a directory");
    let moved = place.path().join("moved");
    unpack(&builder, &moved);
    let program = linked(&moved, place.path());
    // Without a home it finds the compiled prefix, which it has in the root.
    let root = super::roots::bare_root();
    unpack(&builder, &root.path().join(&builder.prefix()[1..]));
    fs_err::copy(&program, root.path().join("embedding")).expect("a copy");
    let mut command = super::roots::in_root();
    let ended = run(command.arg(root.path()).args(["/embedding", builder.prefix(), CODE])).exits(0);
    assert_eq!(ended.out, format!("{} 42 OpenSSL\n", builder.prefix()), "{}", ended.err);
}

#[test]
fn cmake_finds_a_moved_python() {
    if !Path::new("/usr/bin/cmake").exists() {
        skip!(Missing::Program("cmake"), "cmake is not installed");
    }
    let place = tempfile::tempdir().expect("a directory");
    let place = place.path().canonicalize().expect("a directory");
    let tree = place.join("moved");
    unpack(&artifact("builder"), &tree);
    fs_err::write(place.join("embedding.c"), PROGRAM).expect("a file");
    fs_err::write(place.join("CMakeLists.txt"), CMAKE).expect("a file");
    let build = place.join("build");
    let root = format!("-DPython3_ROOT_DIR={}", tree.display());
    let words = [Path::new("-S"), &place, Path::new("-B"), &build, Path::new(&root)];
    let said = check("cmake", &words);
    assert!(said.contains(&format!("found {}/lib/", tree.display())), "{said}");
    check("cmake", &[Path::new("--build"), &build]);
    runs(&build.join("embedding"), &tree);
}

#[test]
fn the_runtime_flavor_promises_no_library() {
    let place = tempfile::tempdir().expect("a directory");
    let tree = place.path().join("moved");
    unpack(&artifact("runtime"), &tree);
    let code = "import sysconfig; print([sysconfig.get_config_var(name) for name in \
                ('LIBRARY', 'LDLIBRARY', 'LIBPL', 'STATIC_LIBPYTHON', 'Py_ENABLE_SHARED')])";
    let python = tree.join("bin/python3").display().to_string();
    assert_eq!(check(&python, &["-I", "-c", code]), "['', '', '', 0, 0]\n");
    let libraries = walkdir::WalkDir::new(&tree).into_iter().filter_map(Result::ok);
    let of_python = libraries.filter(|entry| entry.file_name().to_string_lossy().starts_with("libpython"));
    assert_eq!(of_python.count(), 0);
}

#[test]
fn the_builder_flavor_has_every_name_and_its_manual_page() {
    let place = tempfile::tempdir().expect("a directory");
    let tree = place.path().join("moved");
    unpack(&artifact("builder"), &tree);
    for name in ["python", "python3", "python-config", "python3-config", "pydoc", "pydoc3", "pip", "pip3"] {
        assert!(tree.join("bin").join(name).is_file(), "{name}");
    }
    assert!(tree.join("share/man/man1/python3.13.1").is_file());
    let library = tree.join("lib/libpython3.13.a");
    assert!(library.is_symlink() && library.is_file());
}
