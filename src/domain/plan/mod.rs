//! The plan: everything that decides the bytes of the output, resolved before anything runs.

mod parts;
mod request;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::parts::{PlannedFreeze, PlannedLibrary, PlannedPackage, PlannedPatch, SourceSums, ToolchainId};
pub use self::request::{ArtifactRequest, Bytecode, FORMAT, Flavor, LibraryPolicy, Optimize, Policies};
use super::digest::Digest;
use super::inputs::Inputs;
use super::version::Variant;

/// What is recorded of a build and decides no byte. It is not in the build key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The digest of what the recipe says of the release.
    pub recipe: Option<Digest>,
    /// The packages that own every file which the build may run or read, sorted, each as
    /// `name:architecture=version`: the form that debrebuild and apt take.
    pub environment: Vec<String>,
}

/// Everything that decides the bytes of one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildPlan {
    /// What the user asked for.
    pub request: ArtifactRequest,
    /// The training data of the optimisation. An optimised build without any is the instrumented
    /// one, which records them.
    pub profile: Option<Digest>,
    /// The sums of the source archives. Upstream publishes one tree in two archives.
    pub source: SourceSums,
    /// The patches, in order.
    pub patches: Vec<PlannedPatch>,
    /// The arguments of configure.
    pub configure: Vec<String>,
    /// Headers that the compiler of the build does not find, whether the host has them or not.
    pub hidden_headers: Vec<String>,
    /// Libraries that its linker does not find.
    pub hidden_libraries: Vec<String>,
    /// The whole environment of configure and make, but for what names the build directory.
    pub environment: BTreeMap<String, String>,
    /// The arguments of make.
    pub make: Vec<String>,
    /// The make variable that links extension modules; `{flags}` stands for the linker's flags.
    pub module_link: String,
    /// Further arguments of `make install`.
    pub install: Vec<String>,
    /// How the frozen modules are made; none in a build that leaves it to CPython's Makefile.
    pub freeze: Option<PlannedFreeze>,
    /// The closed list of extension modules.
    pub modules: Vec<String>,
    /// The modules of the source that are turned off.
    pub disabled: Vec<String>,
    /// The modules that are linked into the interpreter, and the source file of each below `Modules/`.
    pub builtin: BTreeMap<String, String>,
    /// The pkg-config modules that configure may see.
    pub pkg_config: Vec<String>,
    /// What goes: globs relative to the prefix.
    pub strip: Vec<String>,
    /// Whether pip is installed.
    pub pip: bool,
    /// The message of `EXTERNALLY-MANAGED`, where there is one.
    pub externally_managed: Option<String>,
    /// The programs that compile it.
    pub toolchain: ToolchainId,
    /// The libraries that the modules need, those that these need included.
    pub libraries: Vec<PlannedLibrary>,
    /// What the runtime image should install besides the artifact.
    pub runtime_packages: Vec<String>,
    /// What is recorded besides, and decides nothing.
    pub provenance: Provenance,
    /// What of this host the build may read. Not a part of the plan: hosts differ in where it lies.
    #[serde(skip)]
    pub inputs: Arc<Inputs>,
}

impl BuildPlan {
    /// The build key: the SHA-256 of the plan without its [`Provenance`].
    #[must_use]
    pub fn build_key(&self) -> Digest {
        Digest::of_json(&Self { provenance: Provenance::default(), ..self.clone() })
    }

    /// The request key. A plan that does not say which recipe it follows has one that nobody asks by.
    #[must_use]
    pub fn request_key(&self) -> Digest {
        self.request.key(self.provenance.recipe.unwrap_or_else(|| Digest::of("")))
    }

    /// The short version of Python and variant, as files are named by it: `3.13t`.
    #[must_use]
    pub fn short_version(&self) -> String {
        format!("{}{}", self.request.release.series(), self.request.variant)
    }

    /// The directory of the standard library, relative to the prefix. A debug build shares the
    /// name of the ordinary one.
    #[must_use]
    pub fn stdlib(&self) -> String {
        let variant = match self.request.variant {
            Variant::FreeThreaded => "t",
            Variant::Default | Variant::Debug => "",
        };
        format!("lib/python{}{variant}", self.request.release.series())
    }

    /// The interpreter, relative to the prefix: `bin/python3.13`.
    #[must_use]
    pub fn interpreter(&self) -> String {
        format!("bin/python{}", self.short_version())
    }
}
