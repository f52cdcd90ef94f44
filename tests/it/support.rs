//! What the tests share: the program, the shared store, and the artifacts of real builds in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

use crate::level::count;

/// The release that is really built, and that most tests look at.
pub const RELEASE: &str = "3.13.5";

/// Others that are really built: of series whose extension modules are made by setup.py, one with
/// distutils reading the recorded variables itself (3.9) and one without.
pub const OLD_RELEASES: [&str; 2] = ["3.9.2", "3.11.2"];

/// Those of them that this run builds: the oldest series, and in the full run all.
pub fn old_releases() -> impl Iterator<Item = &'static str> {
    OLD_RELEASES.into_iter().take(count(OLD_RELEASES.len(), 1))
}

/// The store that all tests share and that outlives them: verified sources and finished artifacts.
pub fn shared_store() -> PathBuf {
    if let Some(path) = std::env::var_os("PYKEEL_TEST_STORE") {
        return PathBuf::from(path);
    }
    let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from).join("pykeel-tests")
}

/// The program, without the variables of the user's environment that it reads.
pub fn pykeel() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pykeel"));
    for name in ["CC", "CFLAGS", "CPPFLAGS", "LDFLAGS"] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PYKEEL_") {
            command.env_remove(name);
        }
    }
    // An empty configuration stands for all that are there.
    command.env("PYKEEL_STORE", shared_store()).env("PYKEEL_CONFIG", "/dev/null");
    command
}

/// A program's end: exit code, standard output, standard error.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            // A signal counts as a shell counts it.
            code: output.status.code().unwrap_or_else(|| {
                128 + std::os::unix::process::ExitStatusExt::signal(&output.status).unwrap_or_default()
            }),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// Checks the exit code, and shows everything if it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Checks that standard error names all of some things.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "`{text}` is not said in:\n{}", self.err);
        }
        self
    }

    /// Checks that standard error names none of some things.
    #[track_caller]
    pub fn says_not(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(!self.err.contains(text), "`{text}` is said in:\n{}", self.err);
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err))
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    match command.output() {
        Ok(output) => output.into(),
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// Runs a program that must succeed, and gives its standard output.
#[track_caller]
pub fn check<S: AsRef<OsStr>>(program: &str, args: &[S]) -> String {
    run(Command::new(program).args(args)).exits(0).out
}

/// An artifact of a real build, as it lies in the shared store.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub name: String,
    pub tarball: PathBuf,
    pub digest: String,
    pub build_key: String,
    pub manifest: Value,
}

impl Artifact {
    /// One of the results of `pykeel build --json`.
    pub fn built(built: &Value) -> Self {
        let text = |key: &str| built[key].as_str().expect(key).to_owned();
        let manifest = fs_err::read(text("manifest")).expect("the manifest");
        Self {
            name: text("name"),
            tarball: text("tarball").into(),
            digest: text("digest"),
            build_key: text("build_key"),
            manifest: serde_json::from_slice(&manifest).expect("JSON"),
        }
    }

    /// The prefix that is compiled in: `/opt/myorg/python-3.13`.
    pub fn prefix(&self) -> &str {
        self.manifest["plan"]["request"]["prefix"].as_str().expect("a prefix")
    }

    /// The name of the interpreter: `python3.13`.
    pub fn python(&self) -> String {
        let release = self.manifest["plan"]["request"]["release"].as_str().expect("a release");
        let (series, _) = release.rsplit_once('.').expect("a release");
        format!("python{series}")
    }
}

/// The artifacts of a real build; none where no mirror has its source. A build that fails is not tried again.
type Build = LazyLock<Option<Vec<Artifact>>, Box<dyn FnOnce() -> Option<Vec<Artifact>> + Send>>;

static BUILDS: LazyLock<BTreeMap<&str, Build>> = LazyLock::new(|| {
    let build_of = |release| (release, Build::new(Box::new(move || build(release))));
    std::iter::once(RELEASE).chain(OLD_RELEASES).map(build_of).collect()
});

/// Builds a release in both flavors, unless the shared store has it.
fn build(release: &str) -> Option<Vec<Artifact>> {
    let ended = run(pykeel().args(["build", release, "--flavor", "all", "--allow-eol", "--json"]));
    if ended.code == 3 {
        eprintln!("{}", ended.err);
        return None;
    }
    Some(ended.exits(0).json().as_array().expect("an array").iter().map(Artifact::built).collect())
}

/// An artifact of [`RELEASE`]. The first test that asks builds it, and all others wait.
pub fn artifact(flavor: &str) -> Artifact {
    artifact_of(RELEASE, flavor).expect("the source of the release that the tests need")
}

/// An artifact of a release that is really built; none where no mirror has its source.
pub fn artifact_of(release: &str, flavor: &str) -> Option<Artifact> {
    let artifacts = BUILDS[release].as_ref()?;
    let wanted = format!("-{flavor}-");
    Some(artifacts.iter().find(|artifact| artifact.name.contains(&wanted)).expect("both flavors").clone())
}

/// Unpacks an artifact's tree (without its top directory) into a new directory.
pub fn unpack(artifact: &Artifact, into: &Path) {
    fs_err::create_dir_all(into).expect("a directory");
    let words = [
        OsStr::new("--zstd"),
        "--strip-components=1".as_ref(),
        "-C".as_ref(),
        into.as_ref(),
        "-xf".as_ref(),
        artifact.tarball.as_ref(),
    ];
    check("tar", &words);
}

/// Whether this process is root, which some tests need to mount and to chroot.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives a command the variables that another one sets and removes.
pub fn take_environment(command: &mut Command, of: &Command) {
    for (name, value) in of.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// Lets a command start another one: it gets the program and its arguments after its own, and its environment.
pub fn start(command: &mut Command, plain: &Command) {
    command.arg(plain.get_program()).args(plain.get_args());
    take_environment(command, plain);
}

/// `faketime` with a date, to be put before a program: of the wall clock alone, or nothing would end.
pub fn at_date(date: &str, plain: &Command) -> Option<Command> {
    let faketime = Path::new("/usr/bin/faketime");
    if !faketime.exists() {
        return None;
    }
    let mut command = Command::new(faketime);
    command.args(["--exclude-monotonic", date]);
    start(&mut command, plain);
    Some(command)
}

/// A file system that is unmounted when it is dropped.
pub struct Mounted(String);

impl Mounted {
    /// Mounts a tmpfs at a new directory, with options such as `size=24m`. None where this process
    /// may not.
    pub fn tmpfs(place: &Path, options: &str) -> Option<Self> {
        fs_err::create_dir_all(place).expect("a directory");
        let text = place.display().to_string();
        let options = format!("mode=755,{options}");
        let mut mount = Command::new("mount");
        let mounted = is_root() && mount.args(["-t", "tmpfs", "-o", &options, "none", &text]).status().ok()?.success();
        mounted.then_some(Self(text))
    }

    /// Mounts it with other options.
    pub fn remount(&self, options: &str) {
        check("mount", &["-o", &format!("remount,{options}"), &self.0]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        check("umount", &[&self.0]);
    }
}

/// Copies an entry from one store to another, and gives its directory there.
pub fn copy_entry(from: &Path, key: &str, to: &Path) -> PathBuf {
    let place = to.join("artifacts");
    fs_err::create_dir_all(&place).expect("a directory");
    check("cp", &["-a".into(), from.join("artifacts").join(key), place.join(key)]);
    place.join(key)
}
