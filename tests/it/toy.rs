//! A toy source: an archive that is shaped as CPython's and whose "compilation" copies a finished
//! tree. All of pykeel's own stages then run for real in about a second, so that each can be
//! interrupted, starved and fed wrong things many times. [`toy_tree`] says what the tree holds;
//! [`Toy::of`] takes the tree of a real build instead.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pykeel::domain::artifact::Format;
use pykeel::domain::digest::Digest;
use pykeel::domain::version::Series;
use pykeel::recipe::Catalog;
use pykeel::sys::archive;

use crate::support::{Artifact, Ended, check, pykeel, run, take_environment, unpack};
use crate::toy_tree::toy_tree;

/// A command of configure by which [`Toy::runs`] counts.
pub const COUNTED: &str = "echo ran >> @toy@/runs";

/// What the toy's make does besides copying. In commands `@toy@` is the toy's own directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behaviour {
    /// Shell commands of configure.
    pub configure: &'static str,
    /// Shell commands of `make all`.
    pub all: &'static str,
    /// Shell commands of `make install`, after copying, in the prefix's directory.
    pub install: &'static str,
    /// `Python/ceval.c`: make compiles it to `./python`, after it froze a module.
    pub program: &'static str,
}

/// How make compiles the program, and what it freezes for it. Each run of the freezing is a line of
/// a file in the toy's directory.
const PROGRAM_RULES: &str = "\
python: Python/frozen.o Python/ceval.o
\t$(CC) $(LDFLAGS_NODIST) -o $@ Python/ceval.o
Python/ceval.o: Python/ceval.c
\t$(CC) -O2 $(CFLAGS) $(CFLAGS_NODIST) -c -o $@ Python/ceval.c
libpython3.13.a: Python/ceval.o
\trm -f $@ && gcc-ar rcsD $@ Python/ceval.o
Python/frozen.o: Python/frozen_modules/getpath.h
\ttouch $@
Python/frozen_modules/getpath.h:
\tmkdir -p Python/frozen_modules && echo frozen > $@ && echo frozen >> @toy@/frozen.log
";

/// A source archive in a directory that is a mirror, a recipe that names its sum, and a store.
pub struct Toy {
    directory: tempfile::TempDir,
}

impl Toy {
    /// A toy whose make copies the toy's own tree: it needs no build of CPython.
    pub fn new(behaviour: Behaviour) -> Self {
        Self::new_in(tempfile::tempdir().expect("a directory"), behaviour)
    }

    /// The same in a certain directory.
    pub fn new_in(directory: tempfile::TempDir, behaviour: Behaviour) -> Self {
        let toy = Self::without_tree_in(directory, behaviour);
        check("cp", &[Path::new("-a"), toy_tree(), &toy.path("real")]);
        toy
    }

    /// A toy whose make copies the tree of a real artifact, for what only a real Python can show.
    pub fn of(artifact: &Artifact, behaviour: Behaviour) -> Self {
        let toy = Self { directory: tempfile::tempdir().expect("a directory") };
        let real = toy.path("real");
        unpack(artifact, &real);
        // pykeel writes that itself.
        fs_err::remove_dir_all(real.join("share/pykeel")).expect("a directory");
        toy.add_source("3.13.5", behaviour);
        toy.write_recipe(|recipe| recipe);
        toy
    }

    /// A toy whose make fails at once, for what comes before: that make ran shows that all of it
    /// went well.
    pub fn failing() -> Self {
        Self::without_tree(Behaviour { all: "exit 1", ..Behaviour::default() })
    }

    /// A toy that has nothing to install, for what make does before it fails.
    pub fn without_tree(behaviour: Behaviour) -> Self {
        Self::without_tree_in(tempfile::tempdir().expect("a directory"), behaviour)
    }

    fn without_tree_in(directory: tempfile::TempDir, behaviour: Behaviour) -> Self {
        let toy = Self { directory };
        toy.add_source("3.13.5", behaviour);
        toy.write_recipe(|recipe| recipe);
        toy
    }

    /// Adds a source archive of a release. A recipe has to name its sum before it can be built.
    pub fn add_source(&self, release: &str, behaviour: Behaviour) {
        let source = self.path(&format!("source-{release}"));
        fs_err::create_dir_all(source.join("Modules")).expect("a directory");
        let here = self.directory.path().display().to_string();
        let placed = |commands: &str| commands.replace("@toy@", &here);
        let Behaviour { configure, all, install, program } = behaviour;
        write_script(&source.join("configure"), &format!("#!/bin/sh\nset -e\n{}\n", placed(configure)));
        let mut made = "";
        if !program.is_empty() {
            fs_err::create_dir_all(source.join("Python")).expect("a directory");
            fs_err::write(source.join("Python/ceval.c"), program).expect("a file");
            made = "python";
        }
        let prefix = "$(DESTDIR)/opt/myorg/python-3.13";
        let real = self.path("real");
        let real = real.display();
        let makefile = format!(
            ".PHONY: all install\nall: {made}\n\t@{}\n{}\ninstall:\n\t@mkdir -p {prefix} && cp -a {real}/. {prefix}/\n\t@cd {prefix} && {}\n",
            or_true(&placed(all)),
            placed(PROGRAM_RULES),
            or_true(&placed(install))
        );
        fs_err::write(source.join("Makefile"), makefile).expect("a file");
        fs_err::create_dir_all(self.mirror()).expect("a directory");
        let file = fs_err::File::create(self.archive_of(release)).expect("a file");
        let top = format!("Python-{release}");
        let (mut file, ()) =
            archive::encode(Format::Xz, file, |writer| archive::pack(&source, &top, 1_700_000_000, writer))
                .expect("an archive");
        file.flush().expect("a file");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn mirror(&self) -> PathBuf {
        self.path("mirror")
    }

    pub fn archive(&self) -> PathBuf {
        self.archive_of("3.13.5")
    }

    fn archive_of(&self, release: &str) -> PathBuf {
        self.mirror().join(format!("Python-{release}.tar.xz"))
    }

    /// The row of a recipe for a release whose source was added.
    pub fn row(&self, release: &str) -> String {
        let sum = Digest::of(fs_err::read(self.archive_of(release)).expect("the archive"));
        format!("\"{release}\" = {{ xz = \"{sum}\" }}\n")
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Writes the recipe that names the toy's sum, with some further change.
    pub fn write_recipe(&self, change: impl FnOnce(String) -> String) {
        // The rows and patches of the real recipe are of the real source.
        let whole =
            Catalog::load(None).expect("the recipes").resolved(Series { major: 3, minor: 13 }).expect("a recipe");
        let (shared, _) = whole.split_once("\n[patch]\n").expect("patches come before profiles and releases");
        let text = format!("# The toy's.\n\n{shared}\n[release]\n{}", self.row("3.13.5"));
        fs_err::create_dir_all(self.path("recipes")).expect("a directory");
        fs_err::write(self.path("recipes/3.13.toml"), change(text)).expect("a file");
    }

    /// A command of pykeel on the toy.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = pykeel();
        command.args(args).env("PYKEEL_STORE", self.store()).env("PYKEEL_RECIPES", self.path("recipes"));
        // Without an evaluation loop there is nothing to train.
        let program = fs_err::read_to_string(self.path("source-3.13.5/Python/ceval.c")).unwrap_or_default();
        if !program.contains("_PyEval_EvalFrameDefault") {
            command.env("PYKEEL_OPTIMIZE", "none");
        }
        command
    }

    /// Another program, or pykeel under another name, in the environment of [`command`](Self::command).
    pub fn other(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        take_environment(&mut command, &self.command(&[]));
        command
    }

    /// How often configure ran, if [`Behaviour::configure`] has [`COUNTED`].
    pub fn runs(&self) -> usize {
        fs_err::read_to_string(self.path("runs")).unwrap_or_default().lines().count()
    }

    /// `pykeel build` of the toy.
    pub fn build_command(&self) -> Command {
        self.build_of(&["3.13.5"])
    }

    /// `pykeel build` of some versions.
    pub fn build_of(&self, versions: &[&str]) -> Command {
        let mut command = self.command(&["build", "--json", "--offline", "--mirror"]);
        command.arg(self.mirror()).args(versions);
        command
    }

    pub fn build(&self) -> Ended {
        run(&mut self.build_command())
    }

    /// That nothing half-made is left: no work directory, no temporary file, no partial download.
    #[track_caller]
    pub fn left_nothing(&self) {
        let left: Vec<PathBuf> = walkdir::WalkDir::new(self.store())
            .into_iter()
            .filter_map(Result::ok)
            .map(walkdir::DirEntry::into_path)
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let in_work = path.parent().is_some_and(|parent| parent.ends_with("work"));
                (in_work && path.is_dir())
                    || name.ends_with(".new")
                    || name.ends_with(".part")
                    || name.starts_with(".pykeel")
            })
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn or_true(commands: &str) -> &str {
    if commands.is_empty() { "true" } else { commands }
}

fn write_script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::write(path, text).expect("a file");
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a file");
}
