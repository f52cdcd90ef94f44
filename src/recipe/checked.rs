//! A recipe as checked: every version, sum, name and pattern in it is what it claims to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::section::configure::ConfigureRecipe;
use super::section::flavor::{FlavorRecipe, Flavors};
use super::section::hardening::HardeningRecipe;
use super::section::library::Library;
use super::section::make::MakeRecipe;
use super::section::modules::ModulesRecipe;
use super::section::patch::Patch;
use super::section::pgo::Pgo;
use super::section::profile::PinnedProfile;
use super::section::release::ReleaseRow;
use super::section::shared::SharedRecipe;
use super::section::source::SourceRecipe;
use crate::domain::digest::Digest;
use crate::domain::plan::{Flavor, Optimize, SourceSums};
use crate::domain::profile::CompilerVersion;
use crate::domain::target::Target;
use crate::domain::version::{Release, Series, Variant};

/// The version of what [`ReleaseRecipe::digest`] covers.
const DIGEST_FORMAT: u32 = 1;

/// A checked recipe: one series, all its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub(super) shared: Arc<SeriesRecipe>,
}

/// The part of a recipe that all releases of a series share, in one variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesRecipe {
    /// Where sources come from.
    pub source: SourceRecipe,
    /// The arguments and the environment of configure, the variant's arguments included.
    pub configure: ConfigureRecipe,
    /// The arguments of make.
    pub make: MakeRecipe,
    /// The flags that harden what is compiled and linked.
    pub hardening: HardeningRecipe,
    /// How libpython is built as a shared library.
    pub shared: SharedRecipe,
    /// How an optimised build is made.
    pub pgo: Option<Pgo>,
    /// The closed list of extension modules.
    pub modules: ModulesRecipe,
    /// The libraries they need, by name.
    pub libraries: Vec<Library>,
    /// What each flavor drops and adds.
    pub flavors: Flavors,
    /// The patches, in order.
    pub patches: Vec<Patch>,
}

/// The recipe of one release in one variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRecipe {
    /// The release.
    pub version: Release,
    /// The variant.
    pub variant: Variant,
    /// The SHA-256 of its source archives.
    pub sums: SourceSums,
    /// The profiles for the release in its variant, one for each target and compiler: the one pinned for the release,
    /// else the one pinned for the nearest other release of the series.
    pub profiles: Vec<PinnedProfile>,
    /// The part that all releases of the series share.
    pub shared: Arc<SeriesRecipe>,
}

impl ReleaseRecipe {
    /// The release with its variant: `3.13.5t`.
    #[must_use]
    pub fn full_version(&self) -> String {
        format!("{}{}", self.version, self.variant)
    }

    /// Returns what a flavor drops and adds.
    #[must_use]
    pub fn flavor(&self, flavor: Flavor) -> &FlavorRecipe {
        match flavor {
            Flavor::Runtime => &self.shared.flavors.runtime,
            Flavor::Builder => &self.shared.flavors.builder,
        }
    }

    /// Returns the default optimisation: with a profile, unless it is a debug build or the recipe has no `[pgo]`.
    #[must_use]
    pub fn default_optimize(&self) -> Optimize {
        let optimises = self.shared.pgo.is_some() && self.variant != Variant::Debug;
        if optimises { Optimize::Pgo } else { Optimize::None }
    }

    /// The profile for a target and a compiler: the one pinned for the release, else for the nearest other release of
    /// the series.
    #[must_use]
    pub fn pinned_profile(&self, target: Target, compiler: CompilerVersion) -> Option<&PinnedProfile> {
        self.profiles.iter().find(|profile| (profile.target, profile.compiler) == (target, compiler))
    }

    /// The digest of what decides the bytes of its artifacts: the recipe's part of a request key.
    ///
    /// Each section says what that is. Places of sources, package names, headers, the training task
    /// and its limits, marks of what was built and other releases are not in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self { version, variant, sums, profiles, shared } = self;
        Digest::of_json(&json!({
            "format": DIGEST_FORMAT,
            "version": version,
            "variant": variant,
            "sums": sums,
            "profiles": profiles.iter().map(PinnedProfile::deciding).collect::<Vec<_>>(),
            "shared": shared.deciding(),
        }))
    }
}

impl SeriesRecipe {
    /// Returns what decides bytes. A new field does not compile until this function names it.
    fn deciding(&self) -> Value {
        let Self { source: _, configure, make, hardening, shared, pgo, modules, libraries, flavors, patches } = self;
        // In an order that the libraries' names have no part in.
        let mut libraries: Vec<Value> = libraries.iter().map(Library::deciding).collect();
        libraries.sort_by_cached_key(Value::to_string);
        json!({
            "configure": configure.deciding(),
            "make": make.deciding(),
            "hardening": hardening.deciding(),
            "shared": shared.deciding(),
            "pgo": pgo.as_ref().map(Pgo::deciding),
            "modules": modules.deciding(),
            "libraries": libraries,
            "flavors": flavors.deciding(),
            "patches": patches.iter().map(Patch::deciding).collect::<Vec<_>>(),
        })
    }
}

impl Recipe {
    /// The recipe of one of its releases.
    #[must_use]
    pub fn release(&self, row: &ReleaseRow, variant: Variant) -> Option<ReleaseRecipe> {
        let mut shared = Arc::clone(&self.shared);
        if variant != Variant::Default {
            let more = self.variants.get(&variant)?;
            Arc::make_mut(&mut shared).configure.arguments.extend(more.iter().cloned());
        }
        let profiles = self.profiles_of(row.version, variant);
        Some(ReleaseRecipe { version: row.version, variant, sums: row.sums, profiles, shared })
    }

    /// The profiles for a release, the nearest first, one for each target and compiler.
    fn profiles_of(&self, release: Release, variant: Variant) -> Vec<PinnedProfile> {
        let place = |release| self.releases.iter().position(|row| row.version == release).unwrap_or_default();
        let mut near: Vec<&PinnedProfile> = self.profiles.iter().filter(|profile| profile.variant == variant).collect();
        near.sort_by_key(|profile| place(profile.release).abs_diff(place(release)));
        let mut chosen: Vec<PinnedProfile> = Vec::new();
        for profile in near {
            if !chosen.iter().any(|other| (other.target, other.compiler) == (profile.target, profile.compiler)) {
                chosen.push(profile.clone());
            }
        }
        chosen
    }

    /// The newest release that is not a pre-release, else the newest.
    #[must_use]
    pub fn newest(&self) -> Option<&ReleaseRow> {
        self.releases.iter().rev().find(|row| !row.version.is_pre_release()).or(self.releases.last())
    }
}
