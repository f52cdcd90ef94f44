//! A recipe as checked: every version, sum, name and pattern in it is what it claims to be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Spanned;

use super::document::{self, Document};
use crate::domain::digest::Digest;
use crate::domain::launcher::Launcher;
use crate::domain::plan::{Flavor, Optimize, SourceSums};
use crate::domain::profile::CompilerVersion;
use crate::domain::target::Target;
use crate::domain::version::{Release, Series, Variant};
use crate::error::Mistake;

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
    profiles: Vec<PinnedProfile>,
    shared: Shared,
}

/// What all releases of a series share.
#[derive(Debug, Clone, Serialize)]
struct Shared {
    source: SourceRecipe,
    configure: Vec<String>,
    environment: BTreeMap<String, String>,
    cache: BTreeMap<String, String>,
    make: Vec<String>,
    module_link: String,
    install: Vec<String>,
    #[serde(skip)]
    launcher: Launcher,
    pgo: Option<Pgo>,
    modules: Vec<String>,
    disabled: Vec<String>,
    libraries: Vec<Library>,
    runtime: FlavorRecipe,
    builder: FlavorRecipe,
    patches: Vec<Patch>,
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
    offset: usize,
}

impl PinnedProfile {
    /// Where in the recipe's text the digest stands, in bytes.
    #[must_use]
    pub(super) const fn offset(&self) -> usize {
        self.offset
    }
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
    offset: usize,
}

impl Patch {
    /// Where in the recipe's text the digest stands, in bytes.
    #[must_use]
    pub(super) const fn offset(&self) -> usize {
        self.offset
    }
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
    /// change it, nor does the place where sources come from.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut recipe = self.clone();
        recipe.source = SourceRecipe { url: String::new(), mirrors: Vec::new(), pool: None };
        Digest::of_json(&recipe)
    }
}

impl Recipe {
    /// Reads and checks the text of a recipe file.
    ///
    /// # Errors
    /// The first mistake, with file, line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistake> {
        let document = document::parse(file, text)?;
        Check { file, text }.recipe(document)
    }

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

/// The variables that pykeel or the user sets.
const RESERVED_VARIABLES: &[&str] = &[
    "PATH",
    "LC_ALL",
    "TZ",
    "HOME",
    "PYTHONHASHSEED",
    "PYTHON_FOR_REGEN",
    "SOURCE_DATE_EPOCH",
    "PKG_CONFIG_LIBDIR",
    "CC",
    "CFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
];

/// Checks one document; knows where everything stands in it.
struct Check<'a> {
    file: &'a str,
    text: &'a str,
}

impl Check<'_> {
    fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> Mistake {
        super::mistake(self.file, self.text, at.span().start, message)
    }

    /// Parses a spanned text as a type whose error says what was expected.
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, text: &Spanned<String>) -> Result<T, Mistake> {
        text.get_ref().parse().map_err(|error: T::Err| self.error(text, error.to_string()))
    }

    /// What pykeel itself sets, a recipe cannot: it would be overridden in silence.
    fn environment(&self, table: BTreeMap<Spanned<String>, String>) -> Result<BTreeMap<String, String>, Mistake> {
        for name in table.keys() {
            if RESERVED_VARIABLES.contains(&name.get_ref().as_str()) {
                return Err(self.error(name, format!("{} is not a recipe's to set", name.get_ref())));
            }
        }
        Ok(table.into_iter().map(|(name, value)| (name.into_inner(), value)).collect())
    }

    fn recipe(&self, document: Document) -> Result<Recipe, Mistake> {
        let series: Series = self.parsed(&document.series)?;
        let end_of_life = document.end_of_life.map(|day| self.day(day)).transpose()?;
        let releases = self.releases(series, &document.release)?;
        let variants = self.variants(document.variant)?;
        self.built_variants(&document.release, &variants)?;
        let modules = self.modules(&document.modules)?;
        let profiles = self.profiles(document.profile, document.pgo.is_some(), &releases)?;
        let shared = Shared {
            source: self.source(document.source)?,
            configure: document.configure.arguments,
            environment: self.environment(document.configure.environment)?,
            cache: document.configure.cache,
            make: document.make.arguments,
            module_link: self.module_link(document.make.module_link)?,
            install: document.make.install,
            launcher: document.make.launcher.map_or(Ok(Launcher::None), |name| self.parsed(&name))?,
            pgo: document.pgo.map(|pgo| self.pgo(pgo)).transpose()?,
            libraries: self.libraries(document.library, &modules)?,
            modules,
            disabled: document.modules.disabled.into_iter().map(Spanned::into_inner).collect(),
            runtime: self.flavor(document.flavor.runtime)?,
            builder: self.flavor(document.flavor.builder)?,
            patches: document.patch.iter().map(|patch| self.patch(patch)).collect::<Result<_, _>>()?,
        };
        Ok(Recipe { file: self.file.to_owned(), series, end_of_life, releases, variants, profiles, shared })
    }

    fn day(&self, day: Spanned<String>) -> Result<String, Mistake> {
        let fields: Vec<_> = day.get_ref().split('-').collect();
        let digits = |field: &str, len| field.len() == len && field.bytes().all(|b| b.is_ascii_digit());
        let sound = matches!(fields[..], [year, month] if digits(year, 4) && digits(month, 2))
            || matches!(fields[..], [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2));
        if sound {
            Ok(day.into_inner())
        } else {
            Err(self
                .error(&day, format!("`{}` is not a day such as 2029-10-31 or a month such as 2029-10", day.get_ref())))
        }
    }

    fn releases(&self, series: Series, rows: &[document::Release]) -> Result<Vec<ReleaseRow>, Mistake> {
        let mut releases = BTreeMap::new();
        for row in rows {
            let version: Release = self.parsed(&row.version)?;
            if version.series() != series {
                return Err(self.error(&row.version, format!("release {version} is not of the series {series}")));
            }
            let sum = |text: &Option<Spanned<String>>| text.as_ref().map(|text| self.parsed(text)).transpose();
            let sums = SourceSums { xz: sum(&row.xz)?, tgz: sum(&row.tgz)? };
            if sums.xz.is_none() && sums.tgz.is_none() {
                return Err(self.error(
                    &row.version,
                    format!("release {version} has neither `xz` nor `tgz`: one SHA-256 is needed"),
                ));
            }
            let built_variants = row.built_variants.iter().map(|name| self.parsed(name)).collect::<Result<_, _>>()?;
            let checked = ReleaseRow { version, sums, built: row.built, built_variants };
            if releases.insert(version, checked).is_some() {
                return Err(self.error(&row.version, format!("release {version} is there twice")));
            }
        }
        Ok(releases.into_values().collect())
    }

    fn built_variants(
        &self,
        rows: &[document::Release],
        variants: &BTreeMap<Variant, Vec<String>>,
    ) -> Result<(), Mistake> {
        for name in rows.iter().flat_map(|row| &row.built_variants) {
            if !variants.contains_key(&self.parsed(name)?) {
                return Err(self.error(name, format!("the series has no variant `{}`", name.get_ref())));
            }
        }
        Ok(())
    }

    fn variants(
        &self,
        table: BTreeMap<Spanned<String>, document::Variant>,
    ) -> Result<BTreeMap<Variant, Vec<String>>, Mistake> {
        table
            .into_iter()
            .map(|(name, variant)| match self.parsed(&name)? {
                Variant::Default => Err(self.error(&name, "a variant needs a name: t or d")),
                key => Ok((key, variant.arguments)),
            })
            .collect()
    }

    fn source(&self, source: document::Source) -> Result<SourceRecipe, Mistake> {
        for url in std::iter::once(&source.url).chain(&source.mirrors) {
            if !url.get_ref().contains("{file}") {
                return Err(
                    self.error(url, format!("`{}` has no `{{file}}`, the place of the archive's name", url.get_ref()))
                );
            }
        }
        if let Some(pool) = &source.pool {
            self.module_name(pool, "-.")?;
        }
        Ok(SourceRecipe {
            url: source.url.into_inner(),
            mirrors: source.mirrors.into_iter().map(Spanned::into_inner).collect(),
            pool: source.pool.map(Spanned::into_inner),
        })
    }

    fn module_link(&self, link: Spanned<String>) -> Result<String, Mistake> {
        if link.get_ref().contains('=') && link.get_ref().contains("{flags}") {
            Ok(link.into_inner())
        } else {
            Err(self.error(&link, "`module-link` is NAME=VALUE with `{flags}` in the value"))
        }
    }

    fn pgo(&self, pgo: document::Pgo) -> Result<Pgo, Mistake> {
        let data = &pgo.evaluation_loop.data;
        if Path::new(data.get_ref()).extension().is_none_or(|extension| extension != "gcda") {
            return Err(self.error(data, format!("`{}` is not a .gcda file of the build tree", data.get_ref())));
        }
        if pgo.training.get_ref().iter().all(Vec::is_empty) {
            return Err(self.error(&pgo.training, "`training` is empty: nothing would be recorded"));
        }
        let freeze = |freeze: document::Freeze| {
            for pattern in &freeze.writes {
                globset::Glob::new(pattern.get_ref()).map_err(|error| self.error(pattern, error.to_string()))?;
            }
            let writes = freeze.writes.into_iter().map(Spanned::into_inner).collect();
            Ok::<_, Mistake>(Freeze { targets: freeze.targets, writes, helpers: freeze.helpers })
        };
        Ok(Pgo {
            compile: pgo.compile,
            link: pgo.link,
            instrument: pgo.instrument,
            make: pgo.make,
            freeze: pgo.freeze.map(freeze).transpose()?,
            training: pgo.training.into_inner(),
            evaluation_data: pgo.evaluation_loop.data.into_inner().into(),
            evaluation_loop: pgo.evaluation_loop.function,
            max_dropped: pgo.max_dropped,
            max_missing: pgo.max_missing,
        })
    }

    fn profiles(
        &self,
        rows: Vec<document::Profile>,
        optimises: bool,
        known: &[ReleaseRow],
    ) -> Result<Vec<PinnedProfile>, Mistake> {
        let mut profiles: Vec<PinnedProfile> = Vec::new();
        for row in rows {
            if !optimises {
                return Err(self.error(&row.file, "a profile is pinned, and there is no [pgo] to build with it"));
            }
            if Path::new(row.file.get_ref()).file_name() != Some(row.file.get_ref().as_ref()) {
                return Err(self.error(&row.file, format!("`{}` is not the name of a file", row.file.get_ref())));
            }
            let mut releases = Vec::new();
            for text in &row.releases {
                let release: Release = self.parsed(text)?;
                if !known.iter().any(|row| row.version == release) {
                    return Err(self.error(text, format!("there is no release {release}")));
                }
                releases.push(release);
            }
            let profile = PinnedProfile {
                sha256: self.parsed(&row.sha256)?,
                releases,
                variant: row.variant.as_ref().map_or(Ok(Variant::Default), |name| self.parsed(name))?,
                target: self.parsed(&row.target)?,
                compiler: self.parsed(&row.compiler)?,
                offset: row.sha256.span().start,
                file: row.file.get_ref().clone(),
            };
            let clashes = |other: &PinnedProfile| {
                (other.variant, other.target, other.compiler) == (profile.variant, profile.target, profile.compiler)
                    && other.releases.iter().any(|release| profile.releases.contains(release))
            };
            if profiles.iter().any(clashes) {
                return Err(self.error(&row.file, "another profile is pinned for the same release and compiler"));
            }
            profiles.push(profile);
        }
        Ok(profiles)
    }

    fn module_name(&self, name: &Spanned<String>, more: &str) -> Result<(), Mistake> {
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
        if !name.get_ref().is_empty() && name.get_ref().chars().all(sound) {
            return Ok(());
        }
        Err(self
            .error(name, format!("`{}` is not a name of letters, digits and the characters _{more}", name.get_ref())))
    }

    fn modules(&self, modules: &document::Modules) -> Result<Vec<String>, Mistake> {
        let mut seen = BTreeSet::new();
        for name in modules.required.iter().chain(&modules.disabled) {
            self.module_name(name, "")?;
            if !seen.insert(name.get_ref()) {
                return Err(self.error(name, format!("module {} is there twice", name.get_ref())));
            }
        }
        let mut required: Vec<_> = modules.required.iter().map(|name| name.get_ref().clone()).collect();
        required.sort_unstable();
        Ok(required)
    }

    fn libraries(&self, libraries: Vec<document::Library>, modules: &[String]) -> Result<Vec<Library>, Mistake> {
        libraries
            .into_iter()
            .map(|library| {
                self.module_name(&library.name, "-.+")?;
                if let Some(name) = library.modules.iter().find(|name| !modules.contains(name.get_ref())) {
                    return Err(self.error(
                        name,
                        format!(
                            "library {} is for module {}, which `modules.required` does not have",
                            library.name.get_ref(),
                            name.get_ref()
                        ),
                    ));
                }
                Ok(Library {
                    name: library.name.into_inner(),
                    modules: library.modules.into_iter().map(Spanned::into_inner).collect(),
                    headers: library.headers,
                    link: library.link,
                    pkg_config: library.pkg_config,
                    debian: library.debian,
                    fedora: library.fedora,
                })
            })
            .collect()
    }

    fn flavor(&self, flavor: document::Flavor) -> Result<FlavorRecipe, Mistake> {
        for pattern in &flavor.strip {
            globset::Glob::new(&pattern.get_ref().replace("{stdlib}", "lib"))
                .map_err(|error| self.error(pattern, error.to_string()))?;
        }
        Ok(FlavorRecipe {
            strip: flavor.strip.into_iter().map(Spanned::into_inner).collect(),
            pip: flavor.pip,
            externally_managed: flavor.externally_managed,
        })
    }

    fn patch(&self, patch: &document::Patch) -> Result<Patch, Mistake> {
        let file = patch.file.get_ref();
        if file.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(
                self.error(&patch.file, format!("`{file}` is not a name below patches/ such as 3.13/name.patch"))
            );
        }
        Ok(Patch { file: file.clone(), sha256: self.parsed(&patch.sha256)?, offset: patch.sha256.span().start })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REAL: &str = include_str!("../../recipes/3.13.toml");

    fn error(text: &str) -> String {
        Recipe::parse("r.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn the_own_recipe_is_sound() {
        let recipe = Recipe::parse("recipes/3.13.toml", REAL).unwrap();
        assert_eq!(recipe.newest().unwrap().version.to_string(), "3.13.18");
        let variants: Vec<_> = recipe.variants.keys().map(|variant| variant.name()).collect();
        assert_eq!(variants, ["t", "d"]);
        // A module with a library of its own names it, or preflight would miss a header.
        let linked: BTreeSet<_> = recipe.shared.libraries.iter().flat_map(|library| &library.modules).collect();
        for module in
            ["_ssl", "_hashlib", "_sqlite3", "zlib", "_bz2", "_lzma", "_ctypes", "_curses", "readline", "_uuid"]
        {
            assert!(linked.contains(&module.to_owned()), "{module}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let line_of = |text: &str, needle: &str| text[..text.rfind(needle).unwrap()].matches('\n').count() + 1;
        let cases = [
            ("series = \"3.13\"", "serie = \"3.13\"", "unknown field `serie`, expected one of `series`"),
            ("series = \"3.13\"", "series = \"3\"", "`3` is not a series such as 3.13"),
            ("OPT = ", "CC = ", "CC is not a recipe's to set"),
            ("series = \"3.13\"", "series = 3.13", "invalid type: floating point `3.13`, expected a string"),
            ("end-of-life = \"2029-10\"", "end-of-life = \"soon\"", "`soon` is not a day"),
            ("pip = false", "pip = \"no\"", "invalid type: string \"no\", expected a boolean"),
            ("\"_ssl\", \"_statistics\"", "\"_ssl\", \"_ssl\"", "module _ssl is there twice"),
            ("modules = [\"_uuid\"]", "modules = [\"_uid\"]", "which `modules.required` does not have"),
            ("\"**/*.a\"", "\"**/[*.a\"", "unclosed character class"),
            ("/{file}\"", "/file\"", "has no `{file}`"),
            ("{flags}\"", "flags\"", "`module-link` is NAME=VALUE"),
            ("[variant.d]", "[variant.x]", "`x` is not one of , t, d"),
            ("file = \"3.13/ssl", "file = \"../3.13/ssl", "is not a name below patches/"),
            ("version = \"3.13.4\"", "version = \"3.12.4\"", "release 3.12.4 is not of the series 3.13"),
            ("version = \"3.13.4\"", "version = \"3.13.3\"", "release 3.13.3 is there twice"),
            ("\"93e583f2", "\"93e583F2", "is not a SHA-256 digest"),
            ("built-variants = [\"t\"", "built-variants = [\"x\"", "`x` is not one of , t, d"),
            ("built-variants = [\"t\"", "built-variants = [\"\"", "the series has no variant ``"),
        ];
        for (before, after, expected) in cases {
            assert!(REAL.contains(before), "{before}");
            let text = REAL.replacen(before, after, 1);
            let message = error(&text);
            assert!(message.contains(expected), "{message}\n does not contain {expected}");
            let line = line_of(&text, after);
            assert!(message.starts_with(&format!("r.toml:{line}:")), "{message}\n is not at line {line}");
        }
        assert!(error("series = ").starts_with("r.toml:1:"));
    }

    #[test]
    fn a_release_without_any_sum_is_refused() {
        let text = format!("{REAL}\n[[release]]\nversion = \"3.13.99\"\n");
        assert!(error(&text).contains("has neither `xz` nor `tgz`"));
    }

    #[test]
    fn another_release_does_not_change_the_digest_of_a_recipe() {
        let digest = |text: &str| {
            let recipe = Recipe::parse("r.toml", text).unwrap();
            let row = recipe.releases.iter().find(|row| row.version.to_string() == "3.13.5").unwrap();
            recipe.release(row, Variant::Default).unwrap().digest()
        };
        let sum = "a".repeat(64);
        let more = format!("{REAL}\n[[release]]\nversion = \"3.13.99\"\nxz = \"{sum}\"\n");
        assert_eq!(digest(&more), digest(REAL));
        assert_eq!(digest(&REAL.replace("www.python.org", "mirror.test")), digest(REAL));
        assert_ne!(digest(&REAL.replace("-O3", "-O2")), digest(REAL));
    }

    proptest! {
        #[test]
        fn no_change_of_the_text_panics(at in 0usize..REAL.len(), length in 0usize..20, put in "\\PC{0,3}") {
            let end = (at + length).min(REAL.len());
            prop_assume!(REAL.is_char_boundary(at) && REAL.is_char_boundary(end));
            let _ = Recipe::parse("r.toml", &format!("{}{put}{}", &REAL[..at], &REAL[end..]));
        }
    }
}
