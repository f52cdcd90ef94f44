//! The checks between a recipe as written and a recipe as checked: the first mistake is told with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;

use super::checked::{
    FlavorRecipe, Freeze, Library, Patch, Pgo, PinnedProfile, Recipe, ReleaseRow, Shared, SourceRecipe,
};
use super::document::{self, Document};
use crate::domain::launcher::Launcher;
use crate::domain::plan::SourceSums;
use crate::domain::version::{Release, Series, Variant};
use crate::error::Mistake;

impl Recipe {
    /// Reads and checks the text of a recipe file.
    ///
    /// # Errors
    /// The first mistake, with file, line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistake> {
        let document = document::parse(file, text)?;
        Check { file, text }.recipe(document)
    }
}

/// The variables that pykeel or the user sets.
const RESERVED_VARIABLES: &[&str] = &[
    "PATH",
    "LC_ALL",
    "TZ",
    "HOME",
    "CONFIG_SITE",
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
            builtin: self.builtin_modules(&document.modules)?,
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
        for name in modules.required.iter().chain(&modules.disabled).chain(modules.builtin.keys()) {
            self.module_name(name, "")?;
            if !seen.insert(name.get_ref()) {
                return Err(self.error(name, format!("module {} is there twice", name.get_ref())));
            }
        }
        let mut required: Vec<_> = modules.required.iter().map(|name| name.get_ref().clone()).collect();
        required.sort_unstable();
        Ok(required)
    }

    fn builtin_modules(&self, modules: &document::Modules) -> Result<BTreeMap<String, String>, Mistake> {
        let mut builtin = BTreeMap::new();
        for (name, source) in &modules.builtin {
            // It becomes a line of Modules/Setup.local, where further words would be options of the compiler.
            let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
            let file = source.get_ref();
            if !file.strip_suffix(".c").is_some_and(|stem| !stem.is_empty() && stem.chars().all(sound)) {
                return Err(self.error(source, format!("`{file}` is not a C file below Modules/")));
            }
            builtin.insert(name.get_ref().clone(), file.clone());
        }
        Ok(builtin)
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
            ("required = [", "builtin = { _ssl = \"_ssl.c\" }\nrequired = [", "module _ssl is there twice"),
            (
                "required = [",
                "builtin = { _absent = \"absent.c -O0\" }\nrequired = [",
                "`absent.c -O0` is not a C file",
            ),
            ("required = [", "builtin = { \"a b\" = \"absent.c\" }\nrequired = [", "`a b` is not a name of letters"),
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
