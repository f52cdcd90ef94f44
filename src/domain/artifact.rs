//! How artifacts are named.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::plan::{BuildPlan, Flavor};
use super::target::Target;
use super::version::{Release, Selector, Variant, VersionRequest};
use super::{named_enum, serde_by_display};

named_enum! {
    /// How a tarball is compressed.
    pub enum Format {
        /// Zstandard: what the store holds, and the fastest to unpack.
        Zst = "zst",
        /// XZ: the smallest.
        Xz = "xz",
        /// gzip: what every tool reads.
        Gz = "gz",
    }
}

/// A version of glibc, `2.36`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlibcVersion {
    major: u16,
    minor: u16,
}

impl GlibcVersion {
    /// A version that every system has.
    pub const OLDEST: Self = Self { major: 2, minor: 0 };
    /// The first version that reads relative relocations (`GLIBC_ABI_DT_RELR`).
    pub const DT_RELR: Self = Self { major: 2, minor: 36 };

    /// The version that a symbol version stands for: `GLIBC_2.34`, `GLIBC_ABI_DT_RELR`. None for
    /// symbol versions of other libraries and for `GLIBC_PRIVATE`.
    #[must_use]
    pub fn of_symbol_version(name: &str) -> Option<Self> {
        match name.strip_prefix("GLIBC_")? {
            "ABI_DT_RELR" => Some(Self::DT_RELR),
            // `GLIBC_2.2.5`: the patch level never decides.
            version => {
                let mut numbers = version.split('.');
                let major = numbers.next()?.parse().ok()?;
                Some(Self { major, minor: numbers.next()?.parse().ok()? })
            }
        }
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for GlibcVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? }))
            .ok_or_else(|| format!("`{text}` is not a glibc version such as 2.36"))
    }
}

serde_by_display!(GlibcVersion);

/// The name of an artifact, without the ending:
/// `cpython-3.13.5-x86_64-linux-gnu-glibc2.36-runtime-1a2b3c4d5e6f`, with `-shared` after the flavor if libpython is a
/// shared library.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArtifactName {
    release: Release,
    variant: Variant,
    target: Target,
    floor: GlibcVersion,
    flavor: Flavor,
    shared: bool,
    key: String,
}

impl ArtifactName {
    /// The name of what a plan makes.
    #[must_use]
    pub fn new(plan: &BuildPlan, floor: GlibcVersion) -> Self {
        Self {
            release: plan.request.release,
            variant: plan.request.variant,
            target: plan.request.target,
            floor,
            flavor: plan.request.flavor,
            shared: plan.request.policies.shared,
            key: plan.build_key().short(),
        }
    }

    /// The release.
    #[must_use]
    pub const fn release(&self) -> Release {
        self.release
    }

    /// Its variant.
    #[must_use]
    pub const fn variant(&self) -> Variant {
        self.variant
    }

    /// The system that it runs on.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The oldest glibc that it runs with.
    #[must_use]
    pub const fn floor(&self) -> GlibcVersion {
        self.floor
    }

    /// Its flavor.
    #[must_use]
    pub const fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Whether libpython is a shared library.
    #[must_use]
    pub const fn shared(&self) -> bool {
        self.shared
    }

    /// The file name of the tarball.
    #[must_use]
    pub fn file(&self, format: Format) -> String {
        format!("{self}.tar.{format}")
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, variant, target, floor, flavor, shared, key } = self;
        let shared = if *shared { "-shared" } else { "" };
        write!(f, "cpython-{release}{variant}-{target}-glibc{floor}-{flavor}{shared}-{key}")
    }
}

impl FromStr for ArtifactName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not the name of an artifact");
        let rest = text.strip_prefix("cpython-").ok_or_else(error)?;
        let (version, rest) = rest.split_once('-').ok_or_else(error)?;
        let request: VersionRequest = version.parse().map_err(|_| error())?;
        let Selector::Release(release) = request.selector else { return Err(error()) };
        let (target, rest) = rest.split_once("-glibc").ok_or_else(error)?;
        let mut fields = rest.split('-');
        let mut field = || fields.next().ok_or_else(error);
        let (floor, flavor, mut key) = (field()?, field()?, field()?);
        let shared = key == "shared";
        if shared {
            key = field()?;
        }
        let sound = key.len() == 12 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !sound || fields.next().is_some() {
            return Err(error());
        }
        Ok(Self {
            release,
            variant: request.variant,
            target: target.parse()?,
            floor: floor.parse()?,
            flavor: flavor.parse()?,
            shared,
            key: key.to_owned(),
        })
    }
}

serde_by_display!(ArtifactName);

/// An artifact as a store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactRecord {
    /// Its name.
    pub name: ArtifactName,
    /// The build key.
    pub build_key: Digest,
    /// The request key.
    pub request_key: Digest,
    /// The SHA-256 of the `.tar.zst`.
    pub digest: Digest,
    /// The size of the `.tar.zst` in bytes.
    pub size: u64,
    /// The SHA-256 of the manifest.
    pub manifest_digest: Digest,
    /// The SHA-256 of the tarball of debug files, where one was kept.
    pub debug_digest: Option<Digest>,
    /// When it was published, in seconds since 1970.
    pub published: u64,
    /// The newest glibc symbol version it needs.
    pub glibc_floor: GlibcVersion,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::tests::plan;

    #[test]
    fn a_name_survives_printing() {
        for variant in Variant::ALL {
            let mut plan = plan();
            plan.request.variant = *variant;
            let name = ArtifactName::new(&plan, "2.36".parse().unwrap());
            assert_eq!(name.to_string().parse::<ArtifactName>().unwrap(), name);
            plan.request.policies.shared = true;
            let shared = ArtifactName::new(&plan, "2.36".parse().unwrap());
            assert!(shared.to_string().contains("-glibc2.36-runtime-shared-"), "{shared}");
            assert_eq!(shared.to_string().parse::<ArtifactName>().unwrap(), shared);
            let file = name.file(Format::Zst);
            assert!(file.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{file}");
        }
        assert!("cpython-3.13-x86_64-linux-gnu-glibc2.36-runtime-1a2b3c4d5e6f".parse::<ArtifactName>().is_err());
        assert!("cpython-3.13.5-x86_64-linux-gnu-glibc2.36-runtime-1a2b3c4d5e6f-x".parse::<ArtifactName>().is_err());
    }

    #[test]
    fn glibc_versions_sort_as_numbers() {
        let version = |name| GlibcVersion::of_symbol_version(name);
        assert!(version("GLIBC_2.4") < version("GLIBC_2.34"));
        assert_eq!(version("GLIBC_2.2.5").unwrap().to_string(), "2.2");
        assert_eq!(version("GLIBC_ABI_DT_RELR"), Some(GlibcVersion::DT_RELR));
        assert_eq!(version("GLIBC_PRIVATE"), None);
        assert_eq!(version("OPENSSL_3.0.0"), None);
    }
}
