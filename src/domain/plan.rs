//! The plan: everything that decides the bytes of the output, resolved before anything runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::inputs::Inputs;
use super::named_enum;
use super::prefix::Prefix;
use super::target::Target;
use super::version::{Release, Variant};

/// The version of pykeel's own contribution to the bytes: what it strips, rewrites and packs.
/// It is raised whenever the same plan would come out as other bytes.
pub const FORMAT: u32 = 3;

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
    /// Which `.pyc` files an artifact ships.
    pub enum Bytecode {
        /// None: the smallest tree.
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
    pub xz: Option<Digest>,
    /// Of `Python-X.Y.Z.tgz`.
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
    /// The programs that compile, assemble, link and rewrite, each by the SHA-256 of its file.
    pub programs: BTreeMap<String, Digest>,
    /// The packages whose files these programs run, load or read, each as `name:architecture`.
    pub packages: BTreeMap<String, PlannedPackage>,
    /// What no package owns: the tree of a compiler under `/opt`, directories that the user's flags
    /// name, and single files. By where it is, with the SHA-256 of names and contents.
    pub trees: BTreeMap<String, Digest>,
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

/// A package whose files the compiler, the assembler or the linker run, load or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPackage {
    /// Its version.
    pub version: String,
    /// The SHA-256 of the checksums that the package database has of its files: a package that was
    /// built again under the same version is another one.
    pub files: Digest,
}

/// Makes the modules of the standard library in frozen form, beside an optimised build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFreeze {
    /// The targets of make.
    pub targets: Vec<String>,
    /// Globs of the files that they write.
    pub writes: Vec<String>,
    /// The programs that write them.
    pub helpers: Vec<String>,
}

/// The options of a user that decide bytes and that do not depend on the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// Which `.pyc` files are shipped.
    pub bytecode: Bytecode,
    /// Where shared libraries come from.
    pub library_policy: LibraryPolicy,
    /// Whether files with debug information are kept aside.
    pub debug_files: bool,
    /// `CC`, `CFLAGS`, `CPPFLAGS` and `LDFLAGS` of the user; empty for nearly everybody.
    pub compiler_variables: BTreeMap<String, String>,
}

/// What a user asks for, in as far as it decides bytes and can be said without a toolchain.
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
    /// Where it is compiled to be.
    pub prefix: Prefix,
    /// How it is optimised.
    pub optimize: Optimize,
    /// The profile that the user named, instead of the recipe's.
    pub named_profile: Option<Digest>,
    /// The other options.
    pub policies: Policies,
}

impl ArtifactRequest {
    /// The request key: the SHA-256 of the request and of the digest of the recipe
    /// ([`ReleaseRecipe::digest`](crate::recipe::ReleaseRecipe::digest)). `install` looks up by it.
    #[must_use]
    pub fn key(&self, recipe: Digest) -> Digest {
        Digest::of_json(&(self, recipe))
    }

    /// Whether a user says the same with both: the pykeel that reads it may differ.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        *self == Self { format: self.format, ..other.clone() }
    }
}

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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plan as small as they come.
    pub(crate) fn plan() -> BuildPlan {
        BuildPlan {
            request: ArtifactRequest {
                format: FORMAT,
                release: "3.13.5".parse().unwrap(),
                variant: Variant::Default,
                flavor: Flavor::Runtime,
                target: Target::X86_64,
                prefix: "/opt/myorg/python-3.13".parse().unwrap(),
                optimize: Optimize::None,
                named_profile: None,
                policies: Policies {
                    bytecode: Bytecode::Strip,
                    library_policy: LibraryPolicy::Bundle,
                    debug_files: false,
                    compiler_variables: BTreeMap::new(),
                },
            },
            profile: None,
            source: SourceSums { xz: Some(Digest::of("xz")), tgz: None },
            patches: Vec::new(),
            configure: vec!["--prefix=/opt/myorg/python-3.13".into()],
            environment: BTreeMap::from([("CC".into(), "gcc".into())]),
            make: Vec::new(),
            module_link: "BLDSHARED=gcc -shared {flags}".into(),
            install: Vec::new(),
            freeze: None,
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
                packages: BTreeMap::new(),
                trees: BTreeMap::new(),
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
            provenance: Provenance {
                recipe: Some(Digest::of("recipe")),
                environment: vec!["gcc-12:amd64=12.2.0-14+deb12u1".into()],
            },
            inputs: Arc::default(),
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
        let edits: [fn(&mut BuildPlan); 12] = [
            |plan| plan.request.flavor = Flavor::Builder,
            |plan| plan.request.policies.bytecode = Bytecode::UncheckedHash,
            |plan| plan.request.prefix = "/opt/other".parse().unwrap(),
            |plan| plan.libraries[0].sha256 = Digest::of("another build"),
            |plan| plan.profile = Some(Digest::of("profile")),
            |plan| plan.request.optimize = Optimize::Pgo,
            |plan| plan.source.tgz = Some(Digest::of("tgz")),
            |plan| plan.toolchain.compiler.push('x'),
            |plan| plan.request.policies.debug_files = true,
            |plan| plan.freeze = Some(PlannedFreeze { targets: vec![], writes: vec![], helpers: vec![] }),
            |plan| {
                plan.toolchain.trees.insert("/opt/gcc".into(), Digest::of("tree"));
            },
            |plan| {
                let package = PlannedPackage { version: "12.2.0".into(), files: Digest::of("sums") };
                plan.toolchain.packages.insert("gcc-12:amd64".into(), package);
            },
        ];
        for (index, edit) in edits.iter().enumerate() {
            let mut other = plan();
            edit(&mut other);
            assert_ne!(other.build_key(), key, "edit {index}");
        }
    }

    #[test]
    fn what_is_recorded_alone_changes_no_key() {
        let mut other = plan();
        other.provenance = Provenance { recipe: None, environment: vec!["sed:amd64=4.9-1".into()] };
        assert_eq!(other.build_key(), plan().build_key());
    }

    #[test]
    fn the_request_key_is_of_the_request_and_the_recipe() {
        let key = plan().request_key();
        let mut other = plan();
        other.request.policies.debug_files = true;
        assert_ne!(other.request_key(), key);
        let mut other = plan();
        other.provenance.recipe = Some(Digest::of("another recipe"));
        assert_ne!(other.request_key(), key);
        let mut other = plan();
        other.toolchain.compiler.push('x');
        assert_eq!(other.request_key(), key);
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
        let with = |variant| {
            let mut plan = plan();
            plan.request.variant = variant;
            plan
        };
        assert_eq!(with(Variant::FreeThreaded).stdlib(), "lib/python3.13t");
        assert_eq!(with(Variant::FreeThreaded).interpreter(), "bin/python3.13t");
        assert_eq!(with(Variant::Debug).stdlib(), "lib/python3.13");
        assert_eq!(with(Variant::Debug).interpreter(), "bin/python3.13d");
    }
}
