//! The plugin for pyenv: with a small pyenv of these tests' own, which calls python-build as pyenv 2.8.1 does, and with
//! pyenv's repository where `PYKEEL_TEST_PYENV` names a directory that has it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::on_toy::python_build::{prepared, script};
use crate::support::{Ended, check, run};
use crate::toy::{Behaviour, COUNTED, Toy};

/// A root of pyenv with the plugin, and a toy that it builds.
struct Pyenv {
    toy: Toy,
    program: PathBuf,
    root: PathBuf,
}

impl Pyenv {
    /// The small one, and pyenv itself if it is at hand.
    fn each() -> Vec<Self> {
        let mut each = vec![Self::new(None)];
        match std::env::var_os("PYKEEL_TEST_PYENV") {
            Some(directory) => each.push(Self::new(Some(Path::new(&directory)))),
            None => eprintln!("PYKEEL_TEST_PYENV names no pyenv: the small one alone is tried"),
        }
        each
    }

    fn new(of: Option<&Path>) -> Self {
        let toy = Toy::new(Behaviour { configure: COUNTED, ..Behaviour::default() });
        let root = toy.path("pyenv");
        let program = match of {
            None => {
                fs_err::create_dir_all(root.join("plugins")).expect("a directory");
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pyenv/pyenv")
            }
            Some(directory) => {
                check("cp", &[Path::new("-a"), directory, &root]);
                root.join("bin/pyenv")
            }
        };
        for place in ["bin", "pyenv/versions"] {
            fs_err::create_dir_all(toy.path(place)).expect("a directory");
        }
        fs_err::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pykeel"), toy.path("bin/pykeel")).expect("a link");
        // As docs/from-pyenv.md says.
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/pyenv-plugin");
        fs_err::os::unix::fs::symlink(plugin, root.join("plugins/zz-pykeel")).expect("a link");
        Self { toy, program, root }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = prepared(&self.toy, self.toy.other(&self.program));
        command.env_remove("PYENV_BUILD_ROOT");
        command.args(args).env("PATH", format!("{}:/usr/bin:/bin", self.toy.path("bin").display()));
        command.env("PYENV_ROOT", &self.root).env("HOME", self.toy.path("home"));
        command
    }

    fn pyenv(&self, args: &[&str]) -> Ended {
        run(&mut self.command(args))
    }

    fn is_small(&self) -> bool {
        !self.root.join("libexec").exists()
    }

    fn prefix(&self, name: &str) -> PathBuf {
        self.root.join("versions").join(name)
    }
}

#[test]
fn pyenv_installs_lists_and_uninstalls() {
    for pyenv in Pyenv::each() {
        let list = pyenv.pyenv(&["install", "--list"]).exits(0).out;
        for name in ["3.13.5", "3.13.5t", "3.9.2"] {
            assert!(list.lines().any(|line| line.trim() == name), "{list}");
        }
        // The toy's series has one release, and pyenv's own list has more.
        let newest = if pyenv.is_small() { "3.13:latest" } else { "3.13.5" };
        pyenv.pyenv(&["install", newest]).exits(0).says(&["Installed Python-3.13.5 to"]);
        assert!(pyenv.prefix("3.13.5").join("bin/python").exists());
        pyenv.pyenv(&["install", "-s", "3.13.5"]).exits(0).says_not(&["Install"]);
        pyenv.pyenv(&["install", "-f", "3.13.5"]).exits(0).says(&["Installed Python-3.13.5 to"]);
        assert!(pyenv.pyenv(&["versions"]).exits(0).out.contains("3.13.5"));
        let of_version = |args: &[&str]| run(pyenv.command(args).env("PYENV_VERSION", "3.13.5")).exits(0).out;
        let python = pyenv.prefix("3.13.5").join("bin/python");
        assert_eq!(of_version(&["which", "python"]).trim(), python.display().to_string());
        assert_eq!(
            of_version(&["exec", "python", "-I", "-c", "import sys; print(sys.prefix)"]).trim(),
            pyenv.prefix("3.13.5").display().to_string()
        );

        // From the store nothing is built, and so no directory is kept.
        pyenv.pyenv(&["uninstall", "-f", "3.13.5"]).exits(0);
        assert!(!pyenv.prefix("3.13.5").exists());
        pyenv.pyenv(&["install", "-kv", "3.13.5"]).exits(0);
        assert_eq!(pyenv.toy.runs(), 1);
        assert!(!pyenv.root.join("sources").exists());
        pyenv.pyenv(&["install", "3.13.77"]).exits(2).says(&["definition not found: 3.13.77", "pyenv install --list'"]);
        assert!(!pyenv.prefix("3.13.77").exists());
    }
}

#[test]
fn the_directory_of_a_build_is_kept_where_pyenv_says() {
    for pyenv in Pyenv::each() {
        pyenv.pyenv(&["install", "-k", "3.13.5"]).exits(0);
        let kept = walkdir::WalkDir::new(pyenv.root.join("sources/3.13.5")).into_iter().flatten();
        assert!(kept.into_iter().any(|entry| entry.file_name() == "Makefile"));
    }
}

#[test]
fn a_hook_and_a_patch_of_pyenv_work() {
    for pyenv in Pyenv::each() {
        let ran = pyenv.toy.path("hook-ran");
        let (hook, line) = if pyenv.is_small() {
            (pyenv.root.join("hook"), format!("touch {}\n", ran.display()))
        } else {
            let hook = pyenv.root.join("pyenv.d/install/pykeel-test.bash");
            (hook, format!("before_install 'touch {}'\n", ran.display()))
        };
        script(&hook, &line);
        let patch = "diff --git a/Modules/x b/Modules/x\n--- /dev/null\n+++ b/Modules/x\n@@ -0,0 +1 @@\n+x\n";
        let file = pyenv.toy.path("x.patch");
        fs_err::write(&file, patch).expect("a file");
        let mut command = pyenv.command(&["install", "-p", "3.13.5"]);
        run(command.stdin(fs_err::File::open(&file).expect("a file").into_file())).exits(0);
        assert!(ran.exists());
        let manifest = fs_err::read_to_string(pyenv.prefix("3.13.5").join("share/pykeel/manifest.json"));
        assert!(manifest.expect("a manifest").contains("standard-input.patch"));
    }
}

#[test]
fn the_plugin_says_that_there_is_no_pykeel() {
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/pyenv-plugin/bin/python-build");
    let mut command = Command::new(&plugin);
    run(command.arg("--version").env("PATH", "/usr/bin:/bin").env_remove("PYKEEL")).exits(1).says(&["no pykeel"]);
    let named = run(command.env("PYKEEL", env!("CARGO_BIN_EXE_pykeel"))).exits(0);
    assert!(named.out.starts_with("python-build "), "{}", named.out);
}
