//! The program that fills an environment: uv if it is there, else the pip of the Python.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::lock::Lock;
use crate::error::{Result, VenvError};
use crate::sys::log::BuildLog;
use crate::sys::process::{Spec, of_user};
use crate::sys::toolchain::find_local_program;

/// A program that installs distributions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Installer {
    /// uv, at this path.
    Uv(PathBuf),
    /// The pip of this interpreter.
    Pip(PathBuf),
}

/// What is installed, and where.
pub(super) struct Installation<'a> {
    /// Requirements with hashes, or a `pylock.toml`.
    pub(super) lock: &'a Path,
    /// The interpreter of the environment.
    pub(super) python: &'a Path,
    /// The time of what is built, in seconds since 1970.
    pub(super) epoch: u64,
}

impl Installer {
    /// Returns uv if it is in a directory of the system or in `/usr/local/bin`, else the pip of a Python.
    ///
    /// # Errors
    /// [`VenvError::NoUv`] if the lock is one that only uv reads, and there is none.
    pub(super) fn find(lock: &Lock, python: &Path) -> Result<Self> {
        match (find_local_program("uv"), lock) {
            (Some(uv), _) => Ok(Self::Uv(uv)),
            (None, Lock::Requirements(_)) => Ok(Self::Pip(python.to_owned())),
            (None, Lock::Pylock(path) | Lock::Uv(path)) => Err(VenvError::NoUv { path: path.clone() }.into()),
        }
    }

    /// Returns its name.
    #[must_use]
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Uv(_) => "uv",
            Self::Pip(_) => "pip",
        }
    }

    /// Installs what a lock lists into the environment of an interpreter. What has no wheel is built with the headers of
    /// its Python.
    ///
    /// # Errors
    /// Those of [`BuildLog::run`], with what it said.
    pub(super) fn install(&self, what: &Installation<'_>, log: &BuildLog<'_>) -> Result<()> {
        let spec = match self {
            Self::Uv(uv) => Spec::new(uv).args(["pip", "install", "--no-progress", "--python"]).arg(what.python),
            Self::Pip(own) => Spec::new(own).args(["-I", "-m", "pip", "--python"]).arg(what.python).args([
                "install",
                "--no-compile",
                "--no-warn-script-location",
            ]),
        };
        let spec = spec.args(["--require-hashes", "--requirement"]).arg(what.lock);
        log.run(&spec.environment(environment(of_user(std::env::vars_os()), what.epoch)), |_| {})
    }

    /// Downloads or builds a wheel of each distribution that a lock lists.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    pub(super) fn wheels(lock: &Path, python: &Path, into: &Path, epoch: u64, log: &BuildLog<'_>) -> Result<()> {
        let spec = Spec::new(python)
            .args(["-I", "-m", "pip", "wheel", "--require-hashes", "--requirement"])
            .arg(lock)
            .arg("--wheel-dir")
            .arg(into);
        log.run(&spec.environment(environment(of_user(std::env::vars_os()), epoch)), |_| {})
    }
}

/// Writes what a `uv.lock` says about the project's dependencies as requirements with hashes, without the project itself
/// and what only its developers need.
///
/// # Errors
/// As [`Installer::install`].
pub(super) fn export(uv: &Path, lock: &Path, into: &Path, log: &BuildLog<'_>) -> Result<()> {
    let project = lock.parent().unwrap_or(Path::new("/"));
    let spec = Spec::new(uv)
        .args(["export", "--frozen", "--no-dev", "--no-emit-project", "--no-progress", "-q", "--project"])
        .arg(project)
        .args(["--format", "requirements-txt", "-o"])
        .arg(into)
        .environment(environment(of_user(std::env::vars_os()), 0));
    log.run(&spec, |_| {})
}

/// The user's settings of the installers, proxies and compilers, and what makes two installations the same.
pub(super) fn environment(user: BTreeMap<String, OsString>, epoch: u64) -> BTreeMap<String, OsString> {
    // Those of another Python, and of another place to install to.
    let others = ["VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"];
    let of_another = |name: &str| name.starts_with("PYTHON") || others.contains(&name);
    let mut environment: BTreeMap<String, OsString> = user.into_iter().filter(|(name, _)| !of_another(name)).collect();
    for (name, value) in [
        ("LC_ALL", "C.UTF-8"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_ROOT_USER_ACTION", "ignore"),
        // A hard link to the cache would change with it, and is lost in a layer.
        ("UV_LINK_MODE", "copy"),
        // Who installed it, from where and when, would differ.
        ("UV_NO_INSTALLER_METADATA", "1"),
        ("UV_PYTHON_DOWNLOADS", "never"),
    ] {
        environment.insert(name.to_owned(), value.into());
    }
    environment.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.to_string().into());
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installer_gets_the_users_settings_and_none_of_another_python() {
        let user = [
            "PATH",
            "UV_INDEX_URL",
            "PIP_INDEX_URL",
            "https_proxy",
            "PYTHONPATH",
            "VIRTUAL_ENV",
            "PIP_TARGET",
            "PIP_USER",
        ];
        let user = user.into_iter().map(|name| (name.to_owned(), "x".into())).collect();
        let environment = environment(user, 7);
        for kept in ["PATH", "UV_INDEX_URL", "PIP_INDEX_URL", "https_proxy"] {
            assert_eq!(environment[kept], "x");
        }
        assert!(
            ["PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_USER"].iter().all(|name| !environment.contains_key(*name))
        );
        assert_eq!((&environment["SOURCE_DATE_EPOCH"], &environment["UV_LINK_MODE"]), (&"7".into(), &"copy".into()));
    }
}
