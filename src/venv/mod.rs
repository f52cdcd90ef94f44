//! The environment of an application: a virtual environment at its final path, filled from a lock, without pip, and the
//! same every time. It is made in a builder, with a Python that has headers, and copied into a runtime that has the same
//! Python without them.

mod installer;
mod lock;
mod needs;
mod repair;
mod wheels;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use lock::Lock;
pub use needs::{Lacking, Missing};
pub use repair::{Platform, Repaired};

use self::installer::{Installation, Installer};
use self::repair::Repair;
use crate::domain::manifest::Manifest;
use crate::domain::plan::Flavor;
use crate::error::{Error, Result, VenvError};
use crate::event::staged;
use crate::store::artifact::read_manifest;
use crate::sys::directory::{self, Directory};
use crate::sys::fs;
use crate::sys::log::BuildLog;
use crate::sys::process::{Outcome, Spec};
use crate::sys::stamp;

/// What to make, and of what.
#[derive(Debug)]
pub struct Request<'a> {
    /// The lock.
    pub lock: &'a Lock,
    /// The prefix of a Python of the flavor `builder`.
    pub prefix: &'a Path,
    /// Where the environment is, now and at run time.
    pub at: &'a Path,
    /// The directory that gets a wheel of each distribution, and a lock of these.
    pub wheels: Option<&'a Path>,
    /// The platform for which wheels are repaired, if they are.
    pub repair: Option<Platform>,
    /// The root file system that it will run in.
    pub runtime: Option<&'a Path>,
    /// Whether an environment that is there is replaced.
    pub force: bool,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// Where it is.
    pub path: PathBuf,
    /// The release of its Python, with the variant.
    pub python: String,
    /// The program that filled it.
    pub installer: &'static str,
    /// The distributions in it, `name version` each.
    pub packages: Vec<String>,
    /// The number of files.
    pub files: u64,
    /// Their size in bytes.
    pub size: u64,
    /// The lock of the wheels that were kept.
    pub wheels: Option<PathBuf>,
    /// The wheels that were repaired.
    pub repaired: Vec<Repaired>,
    /// What the runtime's root lacks; `None` if there was none to look at.
    pub lacking: Option<Lacking>,
}

/// Makes an environment. After an error nothing is left of it, and what it was to replace is there.
///
/// # Errors
/// - [`Error::Venv`] if the Python is not of the flavor `builder`, if something is at its place, or if the lock needs uv
///   and there is none;
/// - [`Error::NotAnArtifact`] if pykeel did not install the Python;
/// - [`VenvError::NoTools`] if wheels are to be repaired, and the programs for it cannot be had;
/// - [`Error::Command`] if the environment cannot be made or filled, with what the installer said;
/// - [`Error::Spawn`], [`Error::Io`], [`Error::Interrupted`].
pub fn make(request: &Request<'_>, log: &BuildLog<'_>) -> Result<Environment> {
    let reporter = log.reporter();
    let manifest = read_manifest(request.prefix)?;
    require_builder(&manifest, request.prefix)?;
    let python = request.prefix.join(manifest.plan.interpreter());
    let installer = Installer::find(request.lock, &python)?;
    let old = clear(request)?;
    let mut half = HalfMade { path: request.at, old, is_whole: false };
    let scratch = fs::temporary_directory_in(&std::env::temp_dir(), "pykeel-venv-")?;
    let lock = plain_lock(request.lock, &installer, scratch.path(), log)?;
    // Two of one lock are the same at any time.
    let epoch = manifest.source_date_epoch;
    staged(
        reporter,
        "venv",
        request.at.display().to_string(),
        || create(&python, request.at, log),
        |()| String::new(),
    )?;
    let own = request.at.join("bin/python");
    let base = Base { python: &python, manifest: &manifest, scratch: scratch.path() };
    let filled = fill(request, &base, &installer, &lock, log)?;
    let packages = Path::new(&manifest.plan.stdlib()).join("site-packages");
    staged(
        reporter,
        "bytecode",
        "",
        || compile(&own, &request.at.join(&packages), epoch, log),
        |()| "unchecked-hash".into(),
    )?;
    let (files, size) = stamp::normalise(request.at, epoch, |_, usual| usual)?;
    let lacking = match request.runtime {
        None => None,
        Some(root) => Some(needs::lacking(request.at, request.prefix, root, manifest.plan.request.target)?),
    };
    half.is_whole = true;
    Ok(Environment {
        path: request.at.to_owned(),
        python: format!("{}{}", manifest.name.release(), manifest.name.variant()),
        installer: installer.name(),
        packages: distributions(&request.at.join(&packages))?,
        files,
        size,
        wheels: filled.kept,
        repaired: filled.repaired,
        lacking,
    })
}

/// The Python of an environment, and a directory for what is made on the way.
struct Base<'a> {
    python: &'a Path,
    manifest: &'a Manifest,
    scratch: &'a Path,
}

/// What an environment was filled with.
struct Filled {
    /// The lock of wheels that were kept.
    kept: Option<PathBuf>,
    repaired: Vec<Repaired>,
}

/// Installs what a lock lists into an environment, by way of wheels if they are kept or repaired.
fn fill(
    request: &Request<'_>,
    base: &Base<'_>,
    installer: &Installer,
    lock: &Path,
    log: &BuildLog<'_>,
) -> Result<Filled> {
    let (epoch, reporter) = (base.manifest.source_date_epoch, log.reporter());
    let (mut repaired, mut of_wheels) = (Vec::new(), None);
    if request.wheels.is_some() || request.repair.is_some() {
        let directory = base.scratch.join("wheels");
        let made = || wheels::make(lock, base.python, &directory, epoch, log);
        let mut made = staged(reporter, "wheels", "", made, |made| made.len().to_string())?;
        if let Some(platform) = request.repair {
            let stdlib = base.manifest.plan.stdlib();
            let (python, runtime, target) = (base.python, request.runtime, base.manifest.plan.request.target);
            let repair = Repair { platform, python, stdlib: Path::new(&stdlib), runtime, target, epoch };
            let run = || repair.run(&made, &base.scratch.join("repair"), log);
            (made, repaired) = staged(reporter, "repair", "", run, |(made, repaired)| {
                format!("{} of {}", repaired.len(), made.len())
            })?;
        }
        let own = base.scratch.join("repaired");
        of_wheels = Some(wheels::keep(&made, request.wheels.unwrap_or(&own))?);
    }
    let lock = of_wheels.as_deref().unwrap_or(lock);
    let own = request.at.join("bin/python");
    let install = || installer.install(&Installation { lock, python: &own, epoch }, log);
    let detail = format!("with {}", installer.name());
    staged(reporter, "packages", detail.clone(), install, |()| detail.clone())?;
    Ok(Filled { kept: of_wheels.filter(|_| request.wheels.is_some()), repaired })
}

/// Refuses a Python that cannot build: an optional extension module would fall away without a word.
fn require_builder(manifest: &Manifest, prefix: &Path) -> Result<()> {
    if manifest.name.flavor() == Flavor::Builder {
        return Ok(());
    }
    let (flavor, version) = (manifest.name.flavor().to_string(), manifest.plan.short_version());
    Err(VenvError::NotABuilder { prefix: prefix.to_owned(), flavor, version }.into())
}

/// Sees that nothing is where the environment is to be. Returns where the one is that was there.
fn clear(request: &Request<'_>) -> Result<Option<PathBuf>> {
    let at = request.at;
    let path = at.to_owned();
    if !at.is_absolute() {
        return Err(VenvError::NotAbsolute { path }.into());
    }
    match std::fs::symlink_metadata(at) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(fs::with_path(at, error).into()),
        Ok(found) if found.is_dir() && fs_err::read_dir(at)?.next().is_none() => {}
        Ok(found) if !found.is_dir() || !at.join("pyvenv.cfg").is_file() => {
            return Err(VenvError::Taken { path }.into());
        }
        Ok(_) if !request.force => return Err(VenvError::Exists { path }.into()),
        Ok(_) => return set_aside(at),
    }
    let parent = at.parent().unwrap_or(Path::new("/"));
    // Directories that are made here have the same time each time, as those of prefixes.
    Directory::in_root(Path::new("/"), parent, directory::Missing::Make)?;
    Ok(None)
}

/// Renames an environment that is replaced, so that it is not lost if there will be no other. Where the file system cannot,
/// as an overlay cannot rename a directory of a lower layer, it is removed.
fn set_aside(at: &Path) -> Result<Option<PathBuf>> {
    let mut name = OsString::from(".pykeel-");
    name.push(at.file_name().unwrap_or_default());
    name.push(".old");
    let old = at.with_file_name(name);
    // An interrupted run left it.
    fs::remove_tree(&old)?;
    match std::fs::rename(at, &old) {
        Ok(()) => Ok(Some(old)),
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => fs::remove_tree(at).map(|()| None),
        Err(error) => Err(fs::with_path(at, error).into()),
    }
}

/// Returns requirements with hashes, or a `pylock.toml`.
fn plain_lock(lock: &Lock, installer: &Installer, scratch: &Path, log: &BuildLog<'_>) -> Result<PathBuf> {
    match (lock, installer) {
        (Lock::Uv(path), Installer::Uv(uv)) => {
            let exported = scratch.join("requirements.txt");
            installer::export(uv, path, &exported, log)?;
            Ok(exported)
        }
        (Lock::Requirements(path) | Lock::Pylock(path) | Lock::Uv(path), _) => Ok(path.clone()),
    }
}

fn create(python: &Path, at: &Path, log: &BuildLog<'_>) -> Result<()> {
    log.run(&Spec::new(python).args(["-I", "-m", "venv", "--without-pip"]).arg(at), |_| {})
}

/// Byte-compiles the packages, at their final path, which bytecode carries. What does not compile is a file that nothing
/// imports, such as a template.
fn compile(python: &Path, packages: &Path, epoch: u64, log: &BuildLog<'_>) -> Result<()> {
    let spec = Spec::new(python)
        .args(["-I", "-m", "compileall", "-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash"])
        .arg(packages)
        .variable("SOURCE_DATE_EPOCH", epoch.to_string());
    let mut said = String::new();
    let outcome = log.runner().run(&spec, &mut |_, line| {
        said.push_str(line);
        said.push('\n');
    })?;
    match outcome {
        Outcome::Exited(status) if matches!(status.code(), Some(0 | 1)) => Ok(()),
        _ => Err(Error::Command { command: spec.command_line(), status: outcome.to_string(), output: said, log: None }),
    }
}

/// The distributions in a directory of packages, sorted.
fn distributions(packages: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(packages)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".dist-info"));
        found.extend(stem.and_then(|stem| stem.rsplit_once('-')).map(|(name, version)| format!("{name} {version}")));
    }
    found.sort();
    Ok(found)
}

/// An environment that is being made. Dropping it removes the one that it replaces, or what there is of it, and puts the
/// other one back.
struct HalfMade<'a> {
    path: &'a Path,
    old: Option<PathBuf>,
    is_whole: bool,
}

impl Drop for HalfMade<'_> {
    fn drop(&mut self) {
        let replaced = if self.is_whole { self.old.as_deref() } else { Some(self.path) };
        // The error that led here counts, or the environment that is there. The next run removes or names what is left.
        let _later = replaced.map(fs::remove_tree);
        if let Some(old) = self.old.as_ref().filter(|_| !self.is_whole) {
            let _later = std::fs::rename(old, self.path);
        }
    }
}
