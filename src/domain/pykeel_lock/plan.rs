//! What a lock says of a plan: readable where people review it, and digests of the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::domain::digest::Digest;
use crate::domain::plan::{BuildPlan, Bytecode, Hardening, LibraryPolicy, Optimize};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::version::{Release, Variant};

/// The user's options that an artifact was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockedOptions {
    /// The prefix, with the placeholders as the user wrote them.
    pub prefix: PrefixTemplate,
    /// How it is optimised.
    pub optimize: Optimize,
    /// Where shared libraries come from.
    pub libraries: LibraryPolicy,
    /// Which `.pyc` files it has.
    pub bytecode: Bytecode,
    /// Which hardening flags it was built with.
    pub hardening: Hardening,
    /// Whether libpython is a shared library.
    pub shared: bool,
    /// Whether debug information is kept in a second tarball.
    pub debug_files: bool,
    /// The profile that the user named, instead of the recipe's.
    pub profile: Option<Digest>,
    /// The user's further arguments of configure.
    pub configure_arguments: Vec<String>,
    /// The user's `CC`, `CFLAGS`, `CPPFLAGS` and `LDFLAGS`.
    pub compiler_variables: BTreeMap<String, String>,
}

/// What went into a build besides the user's options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockedInputs {
    /// [`FORMAT`](crate::domain::plan::FORMAT) of the pykeel that made it.
    pub format: u32,
    /// The first line of `cc --version`.
    pub compiler: String,
    /// The glibc that it was linked with.
    pub glibc: String,
    /// The SHA-256 of the source archive, the `.tar.xz` if there are two.
    pub source: Digest,
    /// The profile of an optimised build.
    pub profile: Option<Digest>,
    /// The digest of the names and digests of the patches.
    pub patches: Digest,
    /// The digest of the programs, packages and trees that compile and link.
    pub toolchain: Digest,
    /// The digest of the environment packages with their versions. They decide no byte of Python, and the manifest has
    /// them.
    pub environment: Digest,
    /// The digest of the libraries, as files.
    pub library_files: Digest,
    /// The digest of everything else in the plan: the arguments of configure and make, modules, what a flavor keeps.
    pub instructions: Digest,
}

/// What a lock says of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockedPlan {
    /// The release.
    pub release: Release,
    /// Its variant.
    pub variant: Variant,
    /// The build key.
    pub build_key: Digest,
    /// The request key.
    pub request_key: Digest,
    /// The user's options.
    pub options: LockedOptions,
    /// What else went into it.
    pub inputs: LockedInputs,
    /// The versions of the libraries that the extension modules need, by their source packages.
    pub libraries: BTreeMap<String, String>,
}

/// The fields of a plan that a lock has in other words: the rest is in [`LockedInputs::instructions`].
const ELSEWHERE: [&str; 8] =
    ["request", "profile", "source", "patches", "toolchain", "libraries", "loaded", "provenance"];

impl LockedPlan {
    /// Describes a plan whose prefix was made of a template.
    #[must_use]
    pub fn of(plan: &BuildPlan, prefix: &PrefixTemplate) -> Self {
        let (request, policies) = (&plan.request, &plan.request.policies);
        Self {
            release: request.release,
            variant: request.variant,
            build_key: plan.build_key(),
            request_key: plan.request_key(),
            options: LockedOptions {
                prefix: prefix.clone(),
                optimize: request.optimize,
                libraries: policies.library_policy,
                bytecode: policies.bytecode,
                hardening: policies.hardening,
                shared: policies.shared,
                debug_files: policies.debug_files,
                profile: request.named_profile,
                configure_arguments: policies.configure_arguments.clone(),
                compiler_variables: policies.compiler_variables.clone(),
            },
            inputs: inputs(plan),
            libraries: libraries(plan),
        }
    }
}

fn inputs(plan: &BuildPlan) -> LockedInputs {
    // At least one is set; a plan without a source has the digest of nothing.
    let source = plan.source.xz.or(plan.source.tgz).unwrap_or_else(|| Digest::of(""));
    let toolchain = &plan.toolchain;
    LockedInputs {
        format: plan.request.format,
        compiler: toolchain.compiler.clone(),
        glibc: toolchain.glibc.clone(),
        source,
        profile: plan.profile,
        patches: Digest::of_json(&plan.patches),
        toolchain: Digest::of_json(&(&toolchain.programs, &toolchain.packages, &toolchain.trees)),
        environment: Digest::of_json(&plan.provenance.environment),
        library_files: Digest::of_json(&(&plan.libraries, &plan.loaded)),
        instructions: instructions(plan),
    }
}

fn instructions(plan: &BuildPlan) -> Digest {
    // Serialising a plan never fails; `build_key` relies on that too.
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        for name in ELSEWHERE {
            fields.remove(name);
        }
    }
    Digest::of_json(&value)
}

/// The versions of the source packages. One that is there in two versions has both, as after half an upgrade.
fn libraries(plan: &BuildPlan) -> BTreeMap<String, String> {
    let linked = plan.libraries.iter().map(|library| (&library.source_package, &library.source_version));
    let loaded = plan.loaded.iter().map(|file| (&file.source_package, &file.source_version));
    let mut versions: BTreeMap<&String, BTreeSet<&str>> = BTreeMap::new();
    for (package, version) in linked.chain(loaded) {
        versions.entry(package).or_default().insert(version);
    }
    let joined = |versions: BTreeSet<&str>| Vec::from_iter(versions).join(", ");
    versions.into_iter().map(|(package, versions)| (package.clone(), joined(versions))).collect()
}
