//! The plan: everything that decides the bytes of the output, resolved before anything runs.

mod parts;
mod request;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::parts::{
    PlannedFile, PlannedFreeze, PlannedLibrary, PlannedPackage, PlannedPatch, SourceSums, ToolchainId,
};
pub use self::request::*;
use super::digest::Digest;
use super::inputs::Inputs;
use super::release::DistroRelease;
use super::version::Variant;

/// Facts about a build that are recorded and decide no byte. They are not in the build key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The digest of the recipe of the release ([`ReleaseRecipe::digest`](crate::recipe::ReleaseRecipe::digest)).
    pub recipe: Option<Digest>,
    /// The packages that own the files which the build may run or read, sorted, each as `name:architecture=version`:
    /// the form that debrebuild and apt take.
    pub environment: Vec<String>,
}

/// Everything that decides the bytes of one artifact.
#[cfg_attr(test, derive(Default))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildPlan {
    /// What the user asked for.
    pub request: ArtifactRequest,
    /// The profile of an optimised build. An optimised build without one is the instrumented build, which records it.
    pub profile: Option<Digest>,
    /// The SHA-256 of the source archives. Upstream publishes one tree in two archives.
    pub source: SourceSums,
    /// The patches, in order.
    pub patches: Vec<PlannedPatch>,
    /// The arguments of configure.
    pub configure: Vec<String>,
    /// The headers that are hidden from the compiler, whether the host has them or not.
    pub hidden_headers: Vec<String>,
    /// The libraries that are hidden from the linker, without `lib` and ending.
    pub hidden_libraries: Vec<String>,
    /// The environment of configure and make, without the variables that name the build directory.
    pub environment: BTreeMap<String, String>,
    /// The arguments of make.
    pub make: Vec<String>,
    /// The make variable that links extension modules; `{flags}` stands for the linker's flags.
    pub module_link: String,
    /// Further arguments of `make install`.
    pub install: Vec<String>,
    /// How the frozen modules are made, or `None` if CPython's Makefile makes them.
    pub freeze: Option<PlannedFreeze>,
    /// The closed list of extension modules.
    pub modules: Vec<String>,
    /// The modules of the source that are disabled.
    pub disabled: Vec<String>,
    /// The modules that are linked into the interpreter, and the source file of each below `Modules/`.
    pub builtin: BTreeMap<String, String>,
    /// The pkg-config modules that configure may see.
    pub pkg_config: Vec<String>,
    /// The files that the flavor drops: globs relative to the prefix.
    pub strip: Vec<String>,
    /// Whether the flavor keeps the static library of libpython.
    pub static_library: bool,
    /// Whether pip is installed.
    pub pip: bool,
    /// The message of `EXTERNALLY-MANAGED`, if the flavor has one.
    pub externally_managed: Option<String>,
    /// The compiler, its programs and their packages.
    pub toolchain: ToolchainId,
    /// The libraries that the modules need, directly or through others.
    pub libraries: Vec<PlannedLibrary>,
    /// The files that these libraries load or read by name, if they are bundled.
    pub loaded: Vec<PlannedFile>,
    /// The packages that the runtime image should install.
    pub runtime_packages: Vec<String>,
    /// Facts that are recorded and decide no byte.
    pub provenance: Provenance,
    /// The files of this host that the build may read. It is not serialised: hosts differ in where they are.
    #[serde(skip)]
    pub inputs: Arc<Inputs>,
}

impl BuildPlan {
    /// Returns the build key: the SHA-256 of the plan without its [`Provenance`].
    #[must_use]
    pub fn build_key(&self) -> Digest {
        Digest::of_json(&Self { provenance: Provenance::default(), ..self.clone() })
    }

    /// Returns the request key. Without a recipe digest in its provenance, the key of a plan matches no request.
    #[must_use]
    pub fn request_key(&self) -> Digest {
        self.request.key(self.provenance.recipe.unwrap_or_else(|| Digest::of("")))
    }

    /// Returns the release of the distribution that the build runs on, as far as it is known.
    #[must_use]
    pub fn built_on(&self) -> Option<DistroRelease> {
        let environment = self.provenance.environment.iter().map(String::as_str);
        DistroRelease::of_build(environment, &self.toolchain.compiler, &self.toolchain.glibc)
    }

    /// Returns the series and variant, as in file names: `3.13t`.
    #[must_use]
    pub fn short_version(&self) -> String {
        format!("{}{}", self.request.release.series(), self.request.variant)
    }

    /// Returns the directory of the standard library, relative to the prefix. A debug build has the same as the default
    /// variant.
    #[must_use]
    pub fn stdlib(&self) -> String {
        let variant = match self.request.variant {
            Variant::FreeThreaded => "t",
            Variant::Default | Variant::Debug => "",
        };
        format!("lib/python{}{variant}", self.request.release.series())
    }

    /// Returns the directory of the files for building against this Python, relative to the prefix:
    /// `lib/python3.13/config-3.13-x86_64-linux-gnu`.
    #[must_use]
    pub fn configuration(&self) -> String {
        format!("{}/config-{}-{}", self.stdlib(), self.short_version(), self.request.target)
    }

    /// Returns the path of the interpreter, relative to the prefix: `bin/python3.13`.
    #[must_use]
    pub fn interpreter(&self) -> String {
        format!("bin/python{}", self.short_version())
    }
}
