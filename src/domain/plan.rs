//! The plan: everything that decides the bytes of the output, resolved before anything runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::named_enum;
use super::prefix::Prefix;
use super::target::Target;
use super::version::{Release, Variant};

/// The version of pykeel's own contribution to the bytes: what it strips, rewrites and packs.
/// It is raised whenever the same plan would come out as other bytes.
pub const FORMAT: u32 = 2;

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
        /// With a profile of what a program does most, and across the borders of files: PGO and LTO.
        Pgo = "pgo",
    }
}

named_enum! {
    /// What becomes of bytecode caches.
    pub enum Bytecode {
        /// None are kept: the smallest tree.
        Strip = "strip",
        /// One deterministic set, never checked against the source: the fastest start.
        UncheckedHash = "unchecked-hash",
    }
}

named_enum! {
    /// Where shared libraries come from at run time.
    pub enum LibraryPolicy {
        /// The build host's are copied into the artifact.
        Bundle = "bundle",
        /// The runtime image installs them.
        System = "system",
    }
}

/// The SHA-256 sums of a release's source archives; at least one is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSums {
    /// Of `Python-X.Y.Z.tar.xz`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub xz: Option<Digest>,
    /// Of `Python-X.Y.Z.tgz`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tgz: Option<Digest>,
}

/// A patch of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPatch {
    /// `3.13/name.patch`.
    pub name: String,
    /// The SHA-256 of the diff.
    pub sha256: Digest,
}

/// The programs that decide bytes, by what they are and not by where they lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolchainId {
    /// The first line of `cc --version`.
    pub compiler: String,
    /// The C library that is linked: `2.36`.
    pub glibc: String,
    /// The SHA-256 of the compiler proper, the assembler, the linker and strip.
    pub programs: BTreeMap<String, Digest>,
    /// The packages of the headers: name to version.
    pub headers: BTreeMap<String, String>,
}

/// A shared library of the build host that extension modules need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedLibrary {
    /// The name that DT_NEEDED entries have: `libssl.so.3`.
    pub soname: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// The binary package that the file belongs to: `libssl3`.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// The source package: `openssl`.
    pub source_package: String,
    /// The source package's version.
    pub source_version: String,
    /// The sonames it needs itself, glibc's left out.
    pub needs: Vec<String>,
    /// Where it lies on this host. Not a part of the plan: hosts differ in it.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Everything that decides the bytes of one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildPlan {
    /// [`FORMAT`] of the pykeel that made the plan.
    pub format: u32,
    /// The release.
    pub release: Release,
    /// Its variant.
    pub variant: Variant,
    /// What is kept.
    pub flavor: Flavor,
    /// What it runs on.
    pub target: Target,
    /// Where it is compiled to be.
    pub prefix: Prefix,
    /// How it is optimised.
    pub optimize: Optimize,
    /// The training data of the optimisation. An optimised build without any is the instrumented
    /// one, which records them.
    pub profile: Option<Digest>,
    /// The same, if the user named it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub named_profile: Option<Digest>,
    /// What becomes of bytecode caches.
    pub bytecode: Bytecode,
    /// Where shared libraries come from.
    pub library_policy: LibraryPolicy,
    /// Whether files with debug information are kept aside.
    pub debug_files: bool,
    /// The digest of the recipe's part.
    pub recipe: Digest,
    /// The sums of the source archives. Upstream publishes one tree in two archives.
    pub source: SourceSums,
    /// The patches, in order.
    pub patches: Vec<PlannedPatch>,
    /// The arguments of configure.
    pub configure: Vec<String>,
    /// The whole environment of configure and make, but for what names the build directory.
    pub environment: BTreeMap<String, String>,
    /// `CC`, `CFLAGS` and like variables as the user set them; they are in `environment` too.
    pub compiler_variables: BTreeMap<String, String>,
    /// The arguments of make.
    pub make: Vec<String>,
    /// The make variable that links extension modules; `{flags}` stands for the linker's flags.
    pub module_link: String,
    /// Further arguments of `make install`.
    pub install: Vec<String>,
    /// The closed list of extension modules.
    pub modules: Vec<String>,
    /// The modules of the source that are turned off.
    pub disabled: Vec<String>,
    /// The modules that are linked into the interpreter, and the source file of each below `Modules/`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
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
}

impl BuildPlan {
    /// The build key: the SHA-256 of the plan.
    #[must_use]
    pub fn build_key(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The part of the plan that a user can say without a toolchain.
    #[must_use]
    pub fn request(&self) -> ArtifactRequest {
        ArtifactRequest {
            format: self.format,
            release: self.release,
            variant: self.variant,
            flavor: self.flavor,
            target: self.target,
            library_policy: self.library_policy,
            optimize: self.optimize,
            profile: self.named_profile,
            bytecode: self.bytecode,
            prefix: self.prefix.clone(),
            recipe: self.recipe,
            compiler_variables: self.compiler_variables.clone(),
        }
    }

    /// The short version of Python and variant, as files are named by it: `3.13t`.
    #[must_use]
    pub fn short_version(&self) -> String {
        format!("{}{}", self.release.series(), self.variant)
    }

    /// The directory of the standard library, relative to the prefix. A debug build shares the
    /// name of the ordinary one.
    #[must_use]
    pub fn stdlib(&self) -> String {
        let variant = match self.variant {
            Variant::FreeThreaded => "t",
            Variant::Default | Variant::Debug => "",
        };
        format!("lib/python{}{variant}", self.release.series())
    }

    /// The interpreter, relative to the prefix: `bin/python3.13`.
    #[must_use]
    pub fn interpreter(&self) -> String {
        format!("bin/python{}", self.short_version())
    }
}

/// What `install` looks up by: the request key's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactRequest {
    /// [`FORMAT`] of the pykeel that asks.
    pub format: u32,
    /// The release.
    pub release: Release,
    /// Its variant.
    pub variant: Variant,
    /// What is kept.
    pub flavor: Flavor,
    /// What it runs on.
    pub target: Target,
    /// Where shared libraries come from.
    pub library_policy: LibraryPolicy,
    /// How it is optimised.
    pub optimize: Optimize,
    /// The profile that the user named, instead of the recipe's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<Digest>,
    /// What becomes of bytecode caches.
    pub bytecode: Bytecode,
    /// Where it is compiled to be.
    pub prefix: Prefix,
    /// The digest of the recipe's part.
    pub recipe: Digest,
    /// `CC`, `CFLAGS` and like variables of the user; empty for nearly everybody.
    pub compiler_variables: BTreeMap<String, String>,
}

impl ArtifactRequest {
    /// The request key: the SHA-256 of the request.
    #[must_use]
    pub fn key(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Whether a user says the same with both: they may differ in the recipe, and in the pykeel.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let same_maker = Self { format: self.format, recipe: self.recipe, ..other.clone() };
        *self == same_maker
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plan as small as they come.
    pub(crate) fn plan() -> BuildPlan {
        BuildPlan {
            format: FORMAT,
            release: "3.13.5".parse().unwrap(),
            variant: Variant::Default,
            flavor: Flavor::Runtime,
            target: Target::X86_64,
            prefix: "/opt/myorg/python-3.13".parse().unwrap(),
            optimize: Optimize::None,
            profile: None,
            named_profile: None,
            bytecode: Bytecode::Strip,
            library_policy: LibraryPolicy::Bundle,
            debug_files: false,
            recipe: Digest::of("recipe"),
            source: SourceSums { xz: Some(Digest::of("xz")), tgz: None },
            patches: Vec::new(),
            configure: vec!["--prefix=/opt/myorg/python-3.13".into()],
            environment: BTreeMap::from([("CC".into(), "gcc".into())]),
            compiler_variables: BTreeMap::new(),
            make: Vec::new(),
            module_link: "BLDSHARED=gcc -shared {flags}".into(),
            install: Vec::new(),
            modules: vec!["_ssl".into()],
            disabled: Vec::new(),
            builtin: BTreeMap::new(),
            pkg_config: Vec::new(),
            strip: Vec::new(),
            pip: false,
            externally_managed: None,
            toolchain: ToolchainId {
                compiler: "gcc (Debian 12.2.0-14+deb12u1) 12.2.0".into(),
                glibc: "2.36".into(),
                programs: BTreeMap::new(),
                headers: BTreeMap::new(),
            },
            libraries: vec![PlannedLibrary {
                soname: "libssl.so.3".into(),
                sha256: Digest::of("libssl"),
                package: "libssl3".into(),
                version: "3.0.1".into(),
                source_package: "openssl".into(),
                source_version: "3.0.1".into(),
                needs: vec!["libcrypto.so.3".into()],
                path: "/usr/lib/libssl.so.3".into(),
            }],
            runtime_packages: Vec::new(),
        }
    }

    #[test]
    fn the_key_does_not_know_where_a_library_lies() {
        let mut moved = plan();
        moved.libraries[0].path = "/lib/elsewhere.so".into();
        assert_eq!(moved.build_key(), plan().build_key());
    }

    #[test]
    fn the_key_changes_with_what_decides_bytes() {
        let key = plan().build_key();
        let edits: [fn(&mut BuildPlan); 9] = [
            |plan| plan.flavor = Flavor::Builder,
            |plan| plan.bytecode = Bytecode::UncheckedHash,
            |plan| plan.prefix = "/opt/other".parse().unwrap(),
            |plan| plan.libraries[0].sha256 = Digest::of("another build"),
            |plan| plan.profile = Some(Digest::of("profile")),
            |plan| plan.optimize = Optimize::Pgo,
            |plan| plan.source.tgz = Some(Digest::of("tgz")),
            |plan| plan.toolchain.compiler.push('x'),
            |plan| plan.debug_files = true,
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut other = plan();
            edit(&mut other);
            assert_ne!(other.build_key(), key, "edit {index}");
        }
    }

    #[test]
    fn a_plan_survives_json() {
        let mut expected = plan();
        expected.libraries[0].path = PathBuf::new();
        let json = serde_json::to_string(&plan()).unwrap();
        assert_eq!(serde_json::from_str::<BuildPlan>(&json).unwrap(), expected);
    }

    #[test]
    fn a_free_threaded_build_has_its_own_library_and_a_debug_build_has_not() {
        let with = |variant| BuildPlan { variant, ..plan() };
        assert_eq!(with(Variant::FreeThreaded).stdlib(), "lib/python3.13t");
        assert_eq!(with(Variant::FreeThreaded).interpreter(), "bin/python3.13t");
        assert_eq!(with(Variant::Debug).stdlib(), "lib/python3.13");
        assert_eq!(with(Variant::Debug).interpreter(), "bin/python3.13d");
    }
}
