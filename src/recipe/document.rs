//! A recipe as written, merged of its files, and the way from there to a [`Recipe`].
//!
//! `docs/recipes.md` describes each key for people who write recipes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::checked::{Recipe, SeriesRecipe};
use super::place::Layers;
use super::section::{
    configure, flavor, hardening, library, make, modules, patch, pgo, profile, release, shared, source,
};
use super::words;
use crate::domain::version::{Series, Variant};
use crate::error::Mistake;

/// A whole recipe: the merged sections of a series file and of the files that it extends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    series: Spanned<String>,
    end_of_life: Option<Spanned<String>>,
    source: source::Written,
    configure: configure::Written,
    make: make::Written,
    #[serde(default)]
    hardening: hardening::Written,
    #[serde(default)]
    shared: shared::Written,
    pgo: Option<pgo::Written>,
    modules: modules::Written,
    #[serde(default)]
    library: BTreeMap<Spanned<String>, library::Written>,
    flavor: flavor::Written,
    #[serde(default)]
    variant: BTreeMap<Spanned<String>, WrittenVariant>,
    #[serde(default)]
    patch: BTreeMap<Spanned<String>, patch::Written>,
    #[serde(default)]
    profile: profile::Table,
    release: BTreeMap<Spanned<String>, release::Written>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenVariant {
    #[serde(default)]
    arguments: Vec<Spanned<String>>,
}

/// A recipe that was checked, and the places of the digests that are compared with files later.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) recipe: Recipe,
    /// The offset of the digest of each patch, in the order of the patches.
    pub(super) patches: Vec<usize>,
    /// The offset of the digest of each profile, in the order of the profiles.
    pub(super) profiles: Vec<usize>,
}

/// Checks a merged recipe.
///
/// # Errors
/// [`Mistake`] for the first mistake, with its place in a file.
pub(super) fn check(table: Spanned<DeTable<'_>>, at: &Layers<'_>) -> Result<Checked, Mistake> {
    words::no_control_characters(table.get_ref(), at)?;
    let document = Document::deserialize(toml::Deserializer::from(table)).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        at.mistake(offset, error.message().trim())
    })?;
    document.check(at)
}

impl Document {
    fn check(self, at: &Layers<'_>) -> Result<Checked, Mistake> {
        let series: Series = at.parsed(&self.series)?;
        let variants = variants(self.variant, at)?;
        let releases = release::check(&self.release, series, &variants, at)?;
        let modules = self.modules.check(at)?;
        let (profiles, profile_places) =
            profile::check(&self.profile, self.pgo.is_some(), &releases, at)?.into_iter().unzip();
        let (patches, patch_places) = patch::check(&self.patch, at)?.into_iter().unzip();
        let shared = SeriesRecipe {
            source: self.source.check(series, at)?,
            configure: self.configure.check(at)?,
            make: self.make.check(at)?,
            hardening: self.hardening.check(at)?,
            shared: self.shared.check(at)?,
            pgo: self.pgo.map(|pgo| pgo.check(at)).transpose()?,
            libraries: library::check(self.library, &modules, at)?,
            modules,
            flavors: self.flavor.check(at)?,
            patches,
        };
        let end_of_life = self.end_of_life.map(|day| checked_day(day, at)).transpose()?;
        let file = at.file().to_owned();
        let recipe = Recipe { file, series, end_of_life, releases, variants, profiles, shared: Arc::new(shared) };
        Ok(Checked { recipe, patches: patch_places, profiles: profile_places })
    }
}

fn variants(
    table: BTreeMap<Spanned<String>, WrittenVariant>,
    at: &Layers<'_>,
) -> Result<BTreeMap<Variant, Vec<String>>, Mistake> {
    table
        .into_iter()
        .map(|(name, variant)| match at.parsed(&name)? {
            Variant::Default => Err(at.error(&name, "a variant needs a name: t or d")),
            key => Ok((key, words::arguments(variant.arguments, at)?)),
        })
        .collect()
}

/// A day of the calendar, or a month.
fn checked_day(day: Spanned<String>, at: &Layers<'_>) -> Result<String, Mistake> {
    let text = day.get_ref();
    let whole = if text.len() == "2029-10".len() { format!("{text}-01") } else { text.clone() };
    // jiff reads further notations, which would not compare as texts.
    let date = whole.parse::<jiff::civil::Date>().ok().filter(|date| date.to_string() == whole);
    if date.is_some() {
        return Ok(day.into_inner());
    }
    Err(at.error(&day, format!("`{text}` is not a day such as 2029-10-31 or a month such as 2029-10")))
}
