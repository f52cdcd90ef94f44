//! What a Dockerfile is made of, and which choices go together.

use std::collections::BTreeSet;

use super::values::{ContextPath, DebianPackage, Label, ProgramSource, Runtime};
use crate::domain::image::Builder;
use crate::domain::lock::LockForm;
use crate::domain::plan::{Bytecode, LibraryPolicy};
use crate::domain::prefix::{Prefix, PrefixTemplate};
use crate::domain::reference::ImageReference;
use crate::error::{DockerfileError, Result};

/// Names of images, and parts of their tags, that have another C library or another package manager.
const MUSL: [&str; 3] = ["alpine", "busybox", "postmarketos"];
const WITHOUT_APT: [&str; 16] = [
    "almalinux",
    "amazonlinux",
    "archlinux",
    "centos",
    "distroless",
    "fedora",
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
    /// The command line that chose all this, for the reader.
    pub command: String,
    /// The Pythons; the first is `python` and `python3`.
    pub pythons: Vec<PythonStage>,
    /// The template of prefixes, if it is not the default.
    pub prefix: Option<PrefixTemplate>,
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
    /// The command of the image.
    pub cmd: Vec<String>,
}

/// A Python of the images.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PythonStage {
    /// The release with its variant, `3.13.5t`.
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
        check_debian(&self.base)?;
        if let Runtime::Image(runtime) = &self.runtime {
            check_runtime(&self.base, runtime)?;
        }
        let images = [Some(&self.base), self.runtime.image()].into_iter().flatten();
        if let Some(image) = images.into_iter().find(|image| !image.is_fixed()) {
            return Err(DockerfileError::Untagged { image: image.to_string() }.into());
        }
        for (index, python) in self.pythons.iter().enumerate() {
            if let Some(other) = self.pythons[..index].iter().find(|other| other.prefix == python.prefix) {
                let (first, second) = (other.version.clone(), python.version.clone());
                return Err(DockerfileError::SamePrefix { first, second, prefix: python.prefix.to_string() }.into());
            }
        }
        if self.images != Images::Runtime && (self.lock.is_some() || self.app.is_some()) {
            return Err(DockerfileError::BuildImageOfService.into());
        }
        match &self.lock {
            None if !self.build_packages.is_empty() => Err(DockerfileError::NothingToBuild.into()),
            None => Ok(()),
            Some(lock) => self.check_lock(lock),
        }
    }

    /// Returns what has to be in the build context, each once and in order.
    #[must_use]
    pub fn context_files(&self) -> Vec<String> {
        let programs = [Some(&self.pykeel), self.uv.as_ref()].into_iter().flatten();
        let programs = programs.filter_map(|program| match program {
            ProgramSource::File(path) => Some(path.to_string()),
            ProgramSource::Image(_) => None,
        });
        let paths = self.lock.iter().chain(&self.app).chain(&self.artifacts).chain(&self.ca);
        let all: BTreeSet<_> = programs.chain(self.project()).chain(paths.map(ContextPath::to_string)).collect();
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
        image
            .words()
            .any(|word| names.iter().any(|name| word.trim_end_matches(|c: char| !c.is_ascii_lowercase()) == *name))
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

fn check_runtime(base: &ImageReference, runtime: &ImageReference) -> Result<()> {
    if runtime.parts().any(|part| part == "distroless" || part == "chainguard") {
        return Err(DockerfileError::NoShell { image: runtime.to_string() }.into());
    }
    check_debian(runtime)?;
    match (base.release(), runtime.release()) {
        (Some(built), Some(run)) if run.is_before(built) => {
            Err(DockerfileError::OlderRuntime { base: base.to_string(), runtime: runtime.to_string() }.into())
        }
        _ => Ok(()),
    }
}
