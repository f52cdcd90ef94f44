//! The request: the user's choices that decide bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::parts::PlannedPatch;
use crate::domain::digest::Digest;
use crate::domain::named_enum;
use crate::domain::prefix::Prefix;
use crate::domain::target::Target;
use crate::domain::version::{Release, Variant};

/// The version of pykeel's own contribution to the bytes: what it strips, rewrites and packs.
/// Raise it whenever the same plan would give other bytes, those of the manifest among them.
pub const FORMAT: u32 = 6;

named_enum! {
    /// What is kept of a build.
    pub enum Flavor {
        /// What a production container needs: stripped.
        Runtime = "runtime",
        /// What a builder stage needs: headers, `config-*`, pip.
        Builder = "builder",
    }
}

named_enum! {
    /// How the interpreter is optimised.
    pub enum Optimize {
        /// `-O3`, without a profile.
        None = "none",
        /// With profile-guided and link-time optimisation (PGO and LTO).
        Pgo = "pgo",
    }
}

named_enum! {
    /// Which `.pyc` files an artifact ships.
    #[cfg_attr(test, derive(Default))]
    pub enum Bytecode {
        /// None: the smallest tree.
        #[cfg_attr(test, default)]
        Strip = "strip",
        /// One deterministic set, never checked against the source: the fastest start.
        UncheckedHash = "unchecked-hash",
    }
}

named_enum! {
    /// Where shared libraries come from at run time.
    #[cfg_attr(test, derive(Default))]
    pub enum LibraryPolicy {
        /// The build host's are copied into the artifact.
        #[cfg_attr(test, default)]
        Bundle = "bundle",
        /// The runtime image installs them.
        System = "system",
    }
}

named_enum! {
    /// Which of the recipe's hardening flags a build uses.
    #[cfg_attr(test, derive(Default))]
    pub enum Hardening {
        /// All of them.
        #[cfg_attr(test, default)]
        Full = "full",
        /// None beyond RELRO and BIND_NOW.
        None = "none",
    }
}

/// The options of a user that decide bytes and that do not depend on the release.
#[cfg_attr(test, derive(Default))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// Which `.pyc` files are shipped.
    pub bytecode: Bytecode,
    /// Where shared libraries come from at run time.
    pub library_policy: LibraryPolicy,
    /// Which hardening flags are used.
    pub hardening: Hardening,
    /// Whether libpython is a shared library, which the interpreter loads.
    pub shared: bool,
    /// Whether debug information is kept in a second tarball.
    pub debug_files: bool,
    /// The user's further arguments of configure, which come after the recipe's.
    pub configure_arguments: Vec<String>,
    /// The user's `CC`, `CFLAGS`, `CPPFLAGS` and `LDFLAGS`; usually none is set.
    pub compiler_variables: BTreeMap<String, String>,
    /// The user's patches, which come after the recipe's. A request without one is written as if there were no such
    /// field, so that it has the key that it always had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<PlannedPatch>,
}

/// The user's choices that decide bytes. All of them are known without a toolchain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactRequest {
    /// [`FORMAT`] of the pykeel that made the request.
    pub format: u32,
    /// The release.
    pub release: Release,
    /// Its variant.
    pub variant: Variant,
    /// Its flavor.
    pub flavor: Flavor,
    /// The machine that it runs on.
    pub target: Target,
    /// The compiled-in prefix.
    pub prefix: Prefix,
    /// How it is optimised.
    pub optimize: Optimize,
    /// The profile that the user named, instead of the recipe's.
    pub named_profile: Option<Digest>,
    /// The other options.
    pub policies: Policies,
}

impl ArtifactRequest {
    /// Returns the request key: the SHA-256 of the request and of the digest of the recipe
    /// ([`ReleaseRecipe::digest`](crate::recipe::ReleaseRecipe::digest)). `install` looks up by it.
    #[must_use]
    pub fn key(&self, recipe: Digest) -> Digest {
        Digest::of_json(&(self, recipe))
    }

    /// Whether two requests differ in nothing but the format.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        *self == Self { format: self.format, ..other.clone() }
    }
}
