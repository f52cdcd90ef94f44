//! What a Dockerfile is made of, and which choices go together.

use std::collections::BTreeSet;

use super::values::{ContextPath, DebianPackage, ProgramSource, Runtime};
use crate::domain::image::{Builder, Label};
use crate::domain::lock::LockForm;
use crate::domain::plan::{Bytecode, LibraryPolicy};
use crate::domain::prefix::{Prefix, PrefixTemplate};
use crate::domain::reference::ImageReference;
use crate::error::{DockerfileError, PrefixError, Result};

/// Names of images, and parts of their tags, that have another C library or another package manager.
const MUSL: [&str; 3] = ["alpine", "busybox", "postmarketos"];
const WITHOUT_APT: [&str; 17] = [
    "almalinux",
    "amazonlinux",
    "archlinux",
    "centos",
    "distroless",
    "fedora",
    "fedora-minimal",
    "leap",
    "nixos",
    "opensuse",
    "oraclelinux",
    "photon",
    "rockylinux",
    "scratch",
    "sles",
    "tumbleweed",
    "wolfi-base",
];

/// What a Dockerfile is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// The command line that chooses all this again, for the reader.
    pub command: String,
    /// The Pythons; the first is `python` and `python3`.
    pub pythons: Vec<PythonStage>,
    /// The template of prefixes, if it is not the default.
    pub prefix: Option<PrefixTemplate>,
    /// The lock of the Pythons. It says what else there is to choose of them.
    pub locked: Option<ContextPath>,
    /// Whether a series past its end of life is wanted.
    pub allow_eol: bool,
    /// The image that everything is built on.
    pub base: ImageReference,
    /// What the Pythons run in.
    pub runtime: Runtime,
    /// Where their libraries come from.
    pub libraries: LibraryPolicy,
    /// Their bytecode.
    pub bytecode: Bytecode,
    /// The lock of the application.
    pub lock: Option<ContextPath>,
    /// The code of the application.
    pub app: Option<ContextPath>,
    /// The packages that what is in the lock is built with.
    pub build_packages: Vec<DebianPackage>,
    /// The packages that the application runs with.
    pub run_packages: Vec<DebianPackage>,
    /// What builds the images.
    pub builder: Builder,
    /// Where pykeel comes from.
    pub pykeel: ProgramSource,
    /// Where uv comes from.
    pub uv: Option<ProgramSource>,
    /// A store of finished artifacts in the build context.
    pub artifacts: Option<ContextPath>,
    /// Certificates to trust.
    pub ca: Vec<ContextPath>,
    /// Labels of the images.
    pub labels: Vec<Label>,
    /// Which images it makes.
    pub images: Images,
    /// The command of the image that is run, if it is not Python itself.
    pub cmd: Option<Vec<String>>,
}

/// A Python of the images.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PythonStage {
    /// The release with its variant, `3.13.5t`; of a Python in a lock, the request: `3.13t`.
    pub version: String,
    /// The series with its variant, `3.13t`.
    pub series: String,
    /// Where it is.
    #[serde(serialize_with = "as_text")]
    pub prefix: Prefix,
}

fn as_text<S: serde::Serializer>(prefix: &Prefix, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(prefix)
}

/// Something that has to be in the build context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContextFile {
    /// Its path.
    pub path: String,
    /// The path of that in it which the builder gets.
    pub sent: String,
}

/// Which images a Dockerfile makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// The one that is run.
    Runtime,
    /// The one that others are built with: headers, pip and a compiler.
    Build,
    /// Both: a pair.
    Both,
}

impl Choices {
    /// Checks that the choices go together.
    ///
    /// # Errors
    /// The [`DockerfileError`] of the first rule that is broken.
    pub fn check(&self) -> Result<()> {
        check_shell(&self.base)?;
        check_debian(&self.base)?;
        if let Runtime::Image(runtime) = &self.runtime {
            check_runtime(&self.base, runtime)?;
        }
        let images = [Some(&self.base), self.runtime.image()].into_iter().flatten();
        if let Some(image) = images.into_iter().find(|image| !image.is_fixed()) {
            return Err(DockerfileError::Untagged { image: image.to_string() }.into());
        }
        let named = |python: &PythonStage| (python.version.clone(), python.prefix.as_path().to_owned());
        if let Some(error) = PrefixError::of_overlaps(&self.pythons.iter().map(named).collect::<Vec<_>>()) {
            return Err(error.into());
        }
        if let Some(label) = self.labels.iter().find(|label| label.value.contains('\\')) {
            return Err(DockerfileError::Unquotable { label: format!("{}={}", label.key, label.value) }.into());
        }
        if self.images != Images::Runtime && (self.lock.is_some() || self.app.is_some()) {
            return Err(DockerfileError::BuildImageOfService.into());
        }
        let without_runtime = [
            (self.cmd.is_some(), "a command is of the image that is run"),
            (!self.run_packages.is_empty(), "packages to run with are for the image that is run"),
        ];
        if self.images == Images::Build
            && let Some((_, reason)) = without_runtime.into_iter().find(|(is_chosen, _)| *is_chosen)
        {
            return Err(DockerfileError::NothingRuns { reason }.into());
        }
        let without_lock = [
            (!self.build_packages.is_empty(), "packages to build with are for what a lock lists"),
            (self.uv.is_some(), "uv installs what a lock lists"),
        ];
        match &self.lock {
            None => match without_lock.into_iter().find(|(is_chosen, _)| *is_chosen) {
                Some((_, reason)) => Err(DockerfileError::NoLock { reason }.into()),
                None => Ok(()),
            },
            Some(lock) => self.check_lock(lock),
        }
    }

    /// Returns what has to be in the build context, each once and in order.
    #[must_use]
    pub fn context_files(&self) -> Vec<ContextFile> {
        let whole = |path: String| ContextFile { sent: path.clone(), path };
        let programs = [Some(&self.pykeel), self.uv.as_ref()].into_iter().flatten();
        let programs = programs.filter_map(|program| match program {
            ProgramSource::File(path) => Some(path.to_string()),
            ProgramSource::Image(_) => None,
        });
        let paths = self.lock.iter().chain(&self.locked).chain(&self.app).chain(&self.ca).map(ContextPath::to_string);
        // A store has sources and logs too, which would be sent each time.
        let artifacts = self.artifacts.iter().map(ContextPath::to_string);
        let artifacts = artifacts.map(|path| ContextFile { sent: format!("{path}/artifacts"), path });
        let all: BTreeSet<_> = programs.chain(self.project()).chain(paths).map(whole).chain(artifacts).collect();
        all.into_iter().collect()
    }

    /// Returns the project that a `uv.lock` belongs to, which uv reads too.
    pub(super) fn project(&self) -> Option<String> {
        let lock = self.lock.as_ref().filter(|lock| lock.form() == Some(LockForm::Uv));
        lock.map(|lock| lock.beside("pyproject.toml"))
    }

    fn check_lock(&self, lock: &ContextPath) -> Result<()> {
        let path = lock.to_string();
        let Some(form) = lock.form() else { return Err(DockerfileError::NotALock { path }.into()) };
        if form != LockForm::Requirements && self.uv.is_none() {
            return Err(DockerfileError::NoUv { path }.into());
        }
        Ok(())
    }
}

/// Returns what Pythons run in unless somebody chooses: the same release, without documentation if there is such an
/// image.
#[must_use]
pub fn runtime_for(base: &ImageReference) -> Runtime {
    Runtime::Image(base.slim().unwrap_or_else(|| base.clone()))
}

/// Returns where the libraries come from: the choice, if it can be, else the system's if it is the builder's own release,
/// whose package manager then brings their updates.
///
/// # Errors
/// [`DockerfileError::OtherLibraries`] if the system's were chosen for another release, or for no system.
pub fn libraries(base: &ImageReference, runtime: &Runtime, chosen: Option<LibraryPolicy>) -> Result<LibraryPolicy> {
    let (is_same, is_other) = match runtime {
        // It gets the libraries of the builder's system, whichever they are.
        Runtime::Scratch => (false, false),
        Runtime::Image(runtime) => match (base.release(), runtime.release()) {
            (Some(base), Some(runtime)) => (base == runtime, base != runtime),
            _ => (base == runtime, false),
        },
    };
    match chosen {
        Some(LibraryPolicy::System) if is_other => {
            Err(DockerfileError::OtherLibraries { base: base.to_string(), runtime: runtime.to_string() }.into())
        }
        Some(chosen) => Ok(chosen),
        None if is_same => Ok(LibraryPolicy::System),
        None => Ok(LibraryPolicy::Bundle),
    }
}

fn check_debian(image: &ImageReference) -> Result<()> {
    let is_named = |names: &[&str]| {
        let is_one = |word: &str| {
            let word = word.trim_end_matches(|c: char| !c.is_ascii_lowercase());
            names.contains(&word)
        };
        // `alpine/git` and `fedora/httpd` are made of these.
        image.words().chain(image.parts()).any(is_one)
    };
    let reason = if is_named(&MUSL) {
        "it has musl, and CPython is built for glibc"
    } else if is_named(&WITHOUT_APT) || image.name().starts_with("ubi") {
        "it has no apt, which the Dockerfile installs packages with"
    } else {
        return Ok(());
    };
    Err(DockerfileError::NotDebian { image: image.to_string(), reason }.into())
}

/// Refuses an image in which no command can run.
fn check_shell(image: &ImageReference) -> Result<()> {
    if image.parts().any(|part| part == "distroless" || part == "chainguard") {
        return Err(DockerfileError::NoShell { image: image.to_string() }.into());
    }
    Ok(())
}

fn check_runtime(base: &ImageReference, runtime: &ImageReference) -> Result<()> {
    check_shell(runtime)?;
    check_debian(runtime)?;
    match (base.release(), runtime.release()) {
        (Some(built), Some(run)) if run.has_older_glibc_than(&built) => {
            Err(DockerfileError::OlderRuntime { base: base.to_string(), runtime: runtime.to_string() }.into())
        }
        _ => Ok(()),
    }
}
