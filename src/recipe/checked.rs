//! A recipe as checked: every version, sum, name and pattern in it is what it claims to be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::plan::{Flavor, Optimize, SourceSums};
use crate::domain::profile::CompilerVersion;
use crate::domain::target::Target;
use crate::domain::version::{Release, Series, Variant};

/// A checked recipe: one series, all its releases.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The file it was read from, as the user can open it.
    pub file: String,
    /// The series.
    pub series: Series,
    /// The day upstream stops (or stopped) its security fixes, `YYYY-MM-DD` or `YYYY-MM`.
    pub end_of_life: Option<String>,
    /// The releases, in the order of their versions.
    pub releases: Vec<ReleaseRow>,
    /// The variants that the series can be built as, with their further configure arguments.
    pub variants: BTreeMap<Variant, Vec<String>>,
    pub(super) profiles: Vec<PinnedProfile>,
    pub(super) shared: Shared,
}

/// What all releases of a series share.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shared {
    pub(super) source: SourceRecipe,
    pub(super) configure: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) cache: BTreeMap<String, String>,
    pub(super) make: Vec<String>,
    pub(super) module_link: String,
    pub(super) install: Vec<String>,
    #[serde(skip)]
    pub(super) launcher: Launcher,
    pub(super) pgo: Option<Pgo>,
    pub(super) modules: Vec<String>,
    pub(super) disabled: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) builtin: BTreeMap<String, String>,
    pub(super) libraries: Vec<Library>,
    pub(super) runtime: FlavorRecipe,
    pub(super) builder: FlavorRecipe,
    pub(super) patches: Vec<Patch>,
}

/// One `[[release]]` row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseRow {
    /// The release.
    pub version: Release,
    /// The SHA-256 of its source archives.
    pub sums: SourceSums,
    /// Whether this project has built it, or only knows it.
    pub built: bool,
    /// The variants of it that this project has built too.
    pub built_variants: BTreeSet<Variant>,
}

impl ReleaseRow {
    /// Whether this project has built the release in a variant.
    #[must_use]
    pub fn is_built(&self, variant: Variant) -> bool {
        if variant == Variant::Default { self.built } else { self.built_variants.contains(&variant) }
    }
}

/// How an optimised build is made, and the training that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pgo {
    /// Further options of the compiler in a build with a profile.
    pub compile: String,
    /// The linker's.
    pub link: String,
    /// The options of both in the instrumented build.
    pub instrument: String,
    /// Further arguments of make in a build with a profile.
    pub make: Vec<String>,
    /// What is made beside, where the series has modules in frozen form.
    pub freeze: Option<Freeze>,
    /// What the interpreter that is trained runs: the arguments of each run. `{jobs}` is the number
    /// of processors, `{training}` the directory of the recipes' own scripts.
    pub training: Vec<Vec<String>>,
    /// The data of the object that holds the evaluation loop: `Python/ceval.gcda`.
    pub evaluation_data: PathBuf,
    /// The function that is the evaluation loop.
    pub evaluation_loop: String,
    /// How many functions at most may have no use of the profile, because it is of another source.
    pub max_dropped: usize,
    /// How many objects at most may have no data.
    pub max_missing: usize,
}

/// The standard library's modules in frozen form: C that is made of Python by programs of the
/// same build, and depends on the source alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// The targets of make that need them all.
    pub targets: Vec<String>,
    /// Globs of the files, in the build tree.
    pub writes: Vec<String>,
    /// The programs that write them.
    pub helpers: Vec<String>,
}

/// A profile that a recipe pins for some releases, a target and a compiler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinnedProfile {
    /// The file below `profiles/`.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// The releases it is for; it was recorded with one of them or with an earlier one.
    pub releases: Vec<Release>,
    /// The variant it is for.
    pub variant: Variant,
    /// What it runs on.
    pub target: Target,
    /// The compiler that can read it.
    pub compiler: CompilerVersion,
    /// Where in the recipe the digest stands (a byte offset), for errors.
    #[serde(skip)]
    pub(super) offset: usize,
}

/// Where sources come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceRecipe {
    /// Upstream's URL, with `{version}`, `{base}` and `{file}`.
    pub url: String,
    /// Mirrors that are tried before it.
    pub mirrors: Vec<String>,
    /// The name of the source package in Debian's and Ubuntu's pools.
    pub pool: Option<String>,
}

/// A library that extension modules link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Library {
    /// What people call it.
    pub name: String,
    /// The extension modules that need it.
    pub modules: Vec<String>,
    /// Headers that must be there.
    pub headers: Vec<String>,
    /// The names it is linked by: `ssl` for `-lssl`.
    pub link: Vec<String>,
    /// The pkg-config modules that configure may see.
    pub pkg_config: Vec<String>,
    /// The Debian and Ubuntu package with the headers.
    pub debian: String,
    /// The Fedora and Red Hat package with the headers.
    pub fedora: String,
}

/// What a flavor keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlavorRecipe {
    /// Globs, relative to the prefix, of what goes; `{stdlib}` is `lib/python3.13`.
    pub strip: Vec<String>,
    /// Whether pip is installed.
    pub pip: bool,
    /// The message of the `EXTERNALLY-MANAGED` file, where there is one.
    pub externally_managed: Option<String>,
}

/// A patch by its name below `patches/` and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Patch {
    /// `3.13/name.patch`.
    pub file: String,
    /// The SHA-256 of the file.
    pub sha256: Digest,
    /// Where in the recipe the digest stands (a byte offset), for errors.
    #[serde(skip)]
    pub(super) offset: usize,
}

/// All that a recipe says about one release in one variant.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseRecipe {
    /// The release.
    pub version: Release,
    /// The variant.
    pub variant: Variant,
    /// The SHA-256 of its source archives.
    pub sums: SourceSums,
    /// Where sources come from.
    pub source: SourceRecipe,
    /// The arguments of configure, without `--prefix`.
    pub configure: Vec<String>,
    /// The environment of configure and make.
    pub environment: BTreeMap<String, String>,
    /// Answers that configure is given, so that it does not ask the machine.
    pub cache: BTreeMap<String, String>,
    /// The arguments of make.
    pub make: Vec<String>,
    /// The make variable that links extension modules, with `{flags}` for the linker's flags.
    pub module_link: String,
    /// Further arguments of `make install`.
    pub install: Vec<String>,
    /// What compilers are started through, if the user says nothing. It decides no byte.
    #[serde(skip)]
    pub launcher: Launcher,
    /// How an optimised build is made.
    pub pgo: Option<Pgo>,
    /// The profiles pinned for the release in its variant.
    pub profiles: Vec<PinnedProfile>,
    /// The closed list of extension modules.
    pub modules: Vec<String>,
    /// The modules of the source that are turned off.
    pub disabled: Vec<String>,
    /// The modules that are linked into the interpreter, and the source file of each below `Modules/`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub builtin: BTreeMap<String, String>,
    /// The libraries they need.
    pub libraries: Vec<Library>,
    /// The `runtime` flavor.
    pub runtime: FlavorRecipe,
    /// The `builder` flavor.
    pub builder: FlavorRecipe,
    /// The patches, in order.
    pub patches: Vec<Patch>,
}

impl ReleaseRecipe {
    /// The release with its variant: `3.13.5t`.
    #[must_use]
    pub fn full_version(&self) -> String {
        format!("{}{}", self.version, self.variant)
    }

    /// What the flavor keeps.
    #[must_use]
    pub const fn flavor(&self, flavor: Flavor) -> &FlavorRecipe {
        match flavor {
            Flavor::Runtime => &self.runtime,
            Flavor::Builder => &self.builder,
        }
    }

    /// How it is optimised if nobody says: with a profile where one is pinned for the target.
    #[must_use]
    pub fn default_optimize(&self, target: Target) -> Optimize {
        let pinned = self.profiles.iter().any(|profile| profile.target == target);
        if pinned { Optimize::Pgo } else { Optimize::None }
    }

    /// The profile pinned for a target and a compiler.
    #[must_use]
    pub fn pinned_profile(&self, target: Target, compiler: CompilerVersion) -> Option<&PinnedProfile> {
        self.profiles.iter().find(|profile| (profile.target, profile.compiler) == (target, compiler))
    }

    /// The digest of all of it: the recipe's part of a request key. Another release's row does not
    /// change it, nor does the place where sources come from, nor which other releases a profile is for.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut recipe = self.clone();
        recipe.source = SourceRecipe { url: String::new(), mirrors: Vec::new(), pool: None };
        for profile in &mut recipe.profiles {
            profile.file.clear();
            profile.releases.clear();
        }
        Digest::of_json(&recipe)
    }
}

impl Recipe {
    /// The recipe of one of its releases.
    #[must_use]
    pub fn release(&self, row: &ReleaseRow, variant: Variant) -> Option<ReleaseRecipe> {
        let more = match variant {
            Variant::Default => &[][..],
            other => self.variants.get(&other)?,
        };
        let shared = self.shared.clone();
        let pinned = |profile: &&PinnedProfile| profile.variant == variant && profile.releases.contains(&row.version);
        Some(ReleaseRecipe {
            profiles: self.profiles.iter().filter(pinned).cloned().collect(),
            pgo: shared.pgo,
            version: row.version,
            variant,
            sums: row.sums,
            source: shared.source,
            configure: shared.configure.into_iter().chain(more.iter().cloned()).collect(),
            environment: shared.environment,
            cache: shared.cache,
            make: shared.make,
            module_link: shared.module_link,
            install: shared.install,
            launcher: shared.launcher,
            modules: shared.modules,
            disabled: shared.disabled,
            builtin: shared.builtin,
            libraries: shared.libraries,
            runtime: shared.runtime,
            builder: shared.builder,
            patches: shared.patches,
        })
    }

    /// The patches of the series.
    pub(super) fn patches(&self) -> &[Patch] {
        &self.shared.patches
    }

    /// The profiles that the recipe pins.
    pub(super) fn profiles(&self) -> &[PinnedProfile] {
        &self.profiles
    }

    /// The newest release that is not a pre-release, else the newest.
    #[must_use]
    pub fn newest(&self) -> Option<&ReleaseRow> {
        self.releases.iter().rev().find(|row| !row.version.is_pre_release()).or(self.releases.last())
    }
}
