//! Repairs wheels: copies the libraries into them that the place where they are installed may lack. auditwheel does it
//! for wheels that were built here, up to the libraries that its policies take for granted; a root file system may lack
//! those too, also for wheels of an index.

mod granted;
mod tools;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use self::tools::{Site, Tools};
use crate::domain::target::Target;
use crate::error::Result;
use crate::sys::log::BuildLog;
use crate::sys::process::Spec;

/// The platform that a repaired wheel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// The oldest glibc that the wheel works with.
    Auto,
    /// glibc 2.N and later.
    Manylinux(u32),
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            // auditwheel knows the policies of each processor by their whole names only.
            Self::Manylinux(minor) => write!(f, "manylinux_2_{minor}_{}", std::env::consts::ARCH),
        }
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let minor = text.strip_prefix("manylinux_2_").map(|rest| {
            let of_machine = format!("_{}", std::env::consts::ARCH);
            rest.strip_suffix(of_machine.as_str()).unwrap_or(rest)
        });
        match minor.map(str::parse) {
            Some(Ok(minor)) => Ok(Self::Manylinux(minor)),
            _ => Err("expected auto or manylinux_2_NN, with the oldest glibc that it is for".to_owned()),
        }
    }
}

/// A wheel that was repaired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The name of the new wheel.
    pub wheel: String,
    /// The libraries in it that auditwheel would have taken for granted, and the root file system lacks.
    pub granted: Vec<&'static str>,
}

/// How wheels are repaired.
pub(super) struct Repair<'a> {
    /// What they are for.
    pub(super) platform: Platform,
    /// An interpreter that has pip.
    pub(super) python: &'a Path,
    /// The directory of its standard library, relative to its prefix.
    pub(super) stdlib: &'a Path,
    /// The root file system that they will run in.
    pub(super) runtime: Option<&'a Path>,
    /// The processor and the C library.
    pub(super) target: Target,
    /// The time of what is written, in seconds since 1970.
    pub(super) epoch: u64,
}

impl Repair<'_> {
    /// Repairs those of some wheels that need it, in an empty directory. Returns all wheels, in the same order, and
    /// what was repaired. The same wheels give the same bytes.
    ///
    /// # Errors
    /// [`VenvError::NoTools`](crate::error::VenvError::NoTools); [`Error::Command`](crate::error::Error::Command) with
    /// what auditwheel said; [`Error::Io`](crate::error::Error::Io).
    pub(super) fn run(
        &self,
        wheels: &[PathBuf],
        scratch: &Path,
        log: &BuildLog<'_>,
    ) -> Result<(Vec<PathBuf>, Vec<Repaired>)> {
        let (mut all, mut repaired) = (Vec::new(), Vec::new());
        let mut tools = None;
        fs_err::create_dir_all(scratch)?;
        for (number, wheel) in wheels.iter().enumerate() {
            let tree = scratch.join(format!("{number}.tree"));
            let unpack = Spec::new(self.python).args(["-I", "-m", "zipfile", "-e"]).arg(wheel).arg(&tree);
            log.run(&unpack, |_| {})?;
            let needs = granted::needs(&tree, self.target)?;
            let granted = match self.runtime {
                Some(root) => needs.lacking(root, self.target)?,
                None => std::collections::BTreeSet::new(),
            };
            // One of an index has its libraries already, but for those.
            if !needs.has_elf || (granted.is_empty() && !is_built_here(wheel)) {
                all.push(wheel.clone());
                continue;
            }
            let tools = match &mut tools {
                Some(tools) => tools,
                empty => empty.insert(self.tools(scratch.join("tools"), log)?),
            };
            let new = tools.repair(wheel, &granted, &scratch.join(number.to_string()), log)?;
            if new != *wheel {
                let wheel = new.file_name().unwrap_or_default().to_string_lossy().into_owned();
                repaired.push(Repaired { wheel, granted: granted.into_iter().collect() });
            }
            all.push(new);
        }
        Ok((all, repaired))
    }

    fn tools(&self, directory: PathBuf, log: &BuildLog<'_>) -> Result<Tools> {
        let Self { platform, python, stdlib, epoch, .. } = *self;
        Tools::install(Site { python, stdlib, directory, platform, epoch }, log)
    }
}

/// Whether a wheel was built on this machine, without a promise where it works: no index takes such a name.
fn is_built_here(wheel: &Path) -> bool {
    let name = wheel.file_stem().unwrap_or_default().to_string_lossy();
    name.rsplit('-').next().is_some_and(|platforms| platforms.split('.').any(|platform| platform.starts_with("linux_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_named_by_its_glibc() {
        let arch = std::env::consts::ARCH;
        for (text, platform) in [
            ("auto", Platform::Auto),
            ("manylinux_2_28", Platform::Manylinux(28)),
            (&format!("manylinux_2_28_{arch}"), Platform::Manylinux(28)),
        ] {
            assert_eq!(text.parse(), Ok(platform));
            assert_eq!(platform.to_string().parse(), Ok(platform));
        }
        for wrong in ["linux_x86_64", "manylinux_2_", "manylinux2014", "manylinux_2_28_sparc", "musllinux_1_2", ""] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_built_here_is_told_from_what_an_index_has() {
        assert!(is_built_here(Path::new("/w/markupsafe-3.0.3-cp313-cp313-linux_x86_64.whl")));
        for other in ["a-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "a-1-py3-none-any.whl"] {
            assert!(!is_built_here(Path::new(other)), "{other}");
        }
    }
}
