//! What a lock says of the Pythons of a Dockerfile.

use std::path::Path;

use super::super::super::args::DockerfileArgs;
use super::super::super::config::Config;
use super::super::super::settings::{Origin, Setting};
use super::super::locked::contradictions;
use crate::domain::plan::{Flavor, LibraryPolicy};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::pykeel_lock::{LockedArtifact, LockedOptions, LockedRequest};
use crate::domain::target::Target;
use crate::domain::version::VersionRequest;
use crate::error::{Error, PykeelLockError, Result};
use crate::event::{Event, Reporter as _};
use crate::export::dockerfile::{ContextPath, PythonStage};
use crate::pykeel_lock::LockFile;

/// What a lock says.
pub(super) struct Locked {
    /// The Pythons, as they were asked for.
    pub(super) pythons: Vec<PythonStage>,
    /// Whose libraries they use.
    pub(super) libraries: LibraryPolicy,
    file: LockFile,
}

impl Locked {
    /// Checks that the lock has headers and pip of some Pythons.
    ///
    /// # Errors
    /// [`PykeelLockError::NotLocked`].
    pub(super) fn check_builder(&self, args: &DockerfileArgs, pythons: &[PythonStage]) -> Result<()> {
        for version in args.python.iter().filter(|version| is_among(**version, pythons)) {
            entry(&self.file, *version, Flavor::Builder)?;
        }
        Ok(())
    }
}

fn is_among(version: VersionRequest, pythons: &[PythonStage]) -> bool {
    pythons.iter().any(|python| python.version == version.to_string())
}

/// Reads the lock in the build context.
///
/// # Errors
/// [`PykeelLockError::NotLocked`] for a version or a flavor that it does not have, [`PykeelLockError::OtherOptions`] if
/// other options are set, and those of reading it; [`Error::Usage`] if the libraries of one are not those of another.
pub(super) fn pythons(args: &DockerfileArgs, lock: &ContextPath, config: &Config) -> Result<Locked> {
    let file = LockFile::read_existing(&args.output.as_deref().unwrap_or(Path::new(".")).join(lock.as_str()))?;
    let (mut pythons, mut of_all): (Vec<PythonStage>, Option<LibraryPolicy>) = (Vec::new(), None);
    for version in &args.python {
        let (request, artifact) = entry(&file, *version, Flavor::Runtime)?;
        let plan = &artifact.plan;
        refuse_other_options(&file, request, &plan.options, config)?;
        if plan.options.prefix.prefix(plan.release, plan.variant).to_string().contains(&plan.release.to_string()) {
            let note =
                format!("the prefix of {version} names its release: make the Dockerfile again when that changes");
            config.reporter.report(Event::Note(note));
        }
        let python = PythonStage {
            version: version.to_string(),
            series: format!("{}{}", plan.release.series(), plan.variant),
            prefix: plan.options.prefix.prefix(plan.release, plan.variant),
        };
        let libraries = plan.options.libraries;
        if *of_all.get_or_insert(libraries) != libraries {
            let reason = format!("of {lock} some Pythons have the libraries of the system, and others do not");
            return Err(Error::Usage(reason));
        }
        if !pythons.contains(&python) {
            pythons.push(python);
        }
    }
    // clap requires a version.
    let libraries = of_all.ok_or_else(|| Error::Usage("no version is named".into()))?;
    Ok(Locked { pythons, libraries, file })
}

/// The entry of a version and a flavor, of this machine's target if there is one.
fn entry(file: &LockFile, version: VersionRequest, flavor: Flavor) -> Result<(LockedRequest, &LockedArtifact)> {
    let lock = file.content();
    let others = Target::ALL.iter().filter(|target| **target != Target::OF_THIS_PROGRAM);
    let mut targets = [&Target::OF_THIS_PROGRAM].into_iter().chain(others);
    let meant = targets.find_map(|target| {
        let meant = lock.meant_by(version, *target);
        meant.into_iter().find(|request| request.flavor == flavor)
    });
    let request = meant.ok_or_else(|| PykeelLockError::NotLocked {
        lock: file.path().to_owned(),
        request: format!("{version} ({flavor})"),
        has: lock.entries.keys().map(ToString::to_string).collect(),
    })?;
    Ok((request, &lock.entries[&request]))
}

fn refuse_other_options(
    file: &LockFile,
    request: LockedRequest,
    locked: &LockedOptions,
    config: &Config,
) -> Result<()> {
    fn take<T: Clone>(setting: &Setting<T>, to: &mut T) {
        if setting.origin != Origin::Default {
            to.clone_from(&setting.value);
        }
    }
    let mut set = locked.clone();
    take::<PrefixTemplate>(&config.settings.prefix, &mut set.prefix);
    take(&config.settings.libraries, &mut set.libraries);
    take(&config.settings.bytecode, &mut set.bytecode);
    let differences = contradictions(&locked.rows(), &set.rows());
    if differences.is_empty() {
        return Ok(());
    }
    let (lock, request) = (file.path().to_owned(), request.to_string());
    Err(PykeelLockError::OtherOptions { lock, request, differences }.into())
}
