//! Profiles: the recorded training data of an optimised build, and the compilers that can read it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::plan::{PlannedPatch, SourceSums};
use super::serde_by_display;
use super::target::Target;
use super::version::{Release, Variant};

/// The version of the archive layout of a profile.
pub const PROFILE_FORMAT: u32 = 1;
/// The manifest in a profile's archive.
pub const PROFILE_MANIFEST: &str = "profile.json";

/// A compiler, identified by its family and the part of its version that the training data depend on:
/// `gcc 12.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompilerVersion {
    /// The family.
    pub family: CompilerFamily,
    /// The first number of the version.
    pub major: u16,
    /// The second number of the version.
    pub minor: u16,
}

super::named_enum! {
    /// A family of compilers, each with its own format of training data.
    pub enum CompilerFamily {
        /// GNU's compiler.
        Gcc = "gcc",
        /// LLVM's compiler.
        Clang = "clang",
    }
}

impl fmt::Display for CompilerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{}", self.family, self.major, self.minor)
    }
}

impl FromStr for CompilerVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (family, version) = text.split_once(' ')?;
            let (major, minor) = version.split_once('.')?;
            Some(Self { family: family.parse().ok()?, major: major.parse().ok()?, minor: minor.parse().ok()? })
        };
        parsed().ok_or_else(|| format!("`{text}` is not a compiler such as `gcc 12.2`"))
    }
}

serde_by_display!(CompilerVersion);

/// Returns the version that GCC writes into its notes and its training data: `B22*` for 12.2. GCC reads only
/// data of its own version, and ignores others with a warning (`gcc/gcov-io.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataVersion(pub [u8; 4]);

impl fmt::Display for DataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl FromStr for DataVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.as_bytes().try_into().map_err(|_| format!("`{text}` is not a version such as B22*"))?;
        Ok(Self(bytes))
    }
}

serde_by_display!(DataVersion);

/// The manifest of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileManifest {
    /// [`PROFILE_FORMAT`] of the pykeel that recorded it.
    pub format: u32,
    /// The release that was trained.
    pub release: Release,
    /// The variant of the release.
    pub variant: Variant,
    /// The target that it was recorded on.
    pub target: Target,
    /// The SHA-256 of the source archives.
    pub source: SourceSums,
    /// The patches of the source.
    pub patches: Vec<PlannedPatch>,
    /// The compiler that can read the data.
    pub compiler: CompilerVersion,
    /// The first line of the compiler's `--version`.
    pub compiler_line: String,
    /// The version of the data.
    pub data_version: DataVersion,
    /// The flags that the trained interpreter was compiled with.
    pub flags: BTreeMap<String, String>,
    /// The training task: the arguments of each run of the interpreter.
    pub training: Vec<Vec<String>>,
    /// The SHA-256 of each script that the training task names.
    pub scripts: BTreeMap<String, Digest>,
}

/// A profile whose archive was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The SHA-256 of the archive.
    pub digest: Digest,
    /// The manifest.
    pub manifest: ProfileManifest,
    /// The data of each object, by its path in the build tree: `Python/ceval.gcda`.
    pub data: BTreeMap<PathBuf, Vec<u8>>,
}

/// How a build is optimised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Optimisation {
    /// Without a profile.
    None,
    /// Instrumented, to record a profile.
    Instrumented(TrainingData),
    /// With a profile.
    Profile(Box<Profile>),
}

impl fmt::Display for Optimisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("without a profile"),
            Self::Instrumented(_) => f.write_str("to record a profile"),
            Self::Profile(profile) => write!(f, "with profile {}", profile.digest.short()),
        }
    }
}

impl Optimisation {
    /// Returns what a build is optimised with, for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::None => "not optimised".into(),
            Self::Instrumented(_) => "optimised with a profile that is recorded first".into(),
            Self::Profile(profile) => {
                let ProfileManifest { release, variant, .. } = &profile.manifest;
                format!("optimised with profile {} of Python {release}{variant}", profile.digest.short())
            }
        }
    }
}

/// A compiler, and the version of the training data that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingData {
    /// The compiler.
    pub compiler: CompilerVersion,
    /// The version of the data.
    pub version: DataVersion,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_has_one_spelling() {
        for text in ["gcc 12.2", "clang 19.1"] {
            assert_eq!(text.parse::<CompilerVersion>().unwrap().to_string(), text);
        }
        for text in ["gcc", "gcc 12", "icc 12.2", "gcc 12.x", "gcc 12.2.0", ""] {
            assert!(text.parse::<CompilerVersion>().unwrap_err().contains("such as `gcc 12.2`"), "{text}");
        }
    }

    #[test]
    fn a_version_of_data_is_four_characters() {
        assert_eq!("B22*".parse::<DataVersion>().unwrap().to_string(), "B22*");
        assert!("B22".parse::<DataVersion>().is_err());
    }
}
