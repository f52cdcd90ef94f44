//! `[release]`: the releases of a series, one a line.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::domain::plan::SourceSums;
use crate::domain::version::{Release, Series, Variant};
use crate::error::Mistake;
use crate::recipe::place::Layers;

/// A row of `[release]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    xz: Option<Spanned<String>>,
    tgz: Option<Spanned<String>>,
    #[serde(default)]
    built: bool,
    #[serde(default)]
    built_variants: Vec<Spanned<String>>,
}

/// A release that a recipe knows.
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

/// Checks the releases of a series, and puts them in the order of their versions.
pub(in crate::recipe) fn check(
    rows: &BTreeMap<Spanned<String>, Written>,
    series: Series,
    variants: &BTreeMap<Variant, Vec<String>>,
    at: &Layers<'_>,
) -> Result<Vec<ReleaseRow>, Mistake> {
    let mut releases =
        rows.iter().map(|(key, row)| row.check(key, series, variants, at)).collect::<Result<Vec<_>, _>>()?;
    releases.sort_unstable_by_key(|row| row.version);
    Ok(releases)
}

impl Written {
    fn check(
        &self,
        key: &Spanned<String>,
        series: Series,
        variants: &BTreeMap<Variant, Vec<String>>,
        at: &Layers<'_>,
    ) -> Result<ReleaseRow, Mistake> {
        let version: Release = at.parsed(key)?;
        if version.series() != series {
            return Err(at.error(key, format!("release {version} is not of the series {series}")));
        }
        let sum = |text: &Option<Spanned<String>>| text.as_ref().map(|text| at.parsed(text)).transpose();
        let sums = SourceSums { xz: sum(&self.xz)?, tgz: sum(&self.tgz)? };
        if sums.xz.is_none() && sums.tgz.is_none() {
            let message = format!("release {version} has neither `xz` nor `tgz`: one SHA-256 is needed");
            return Err(at.error(key, message));
        }
        let mut built_variants = BTreeSet::new();
        for name in &self.built_variants {
            let variant = at.parsed(name)?;
            if !variants.contains_key(&variant) {
                return Err(at.error(name, format!("the series has no variant `{}`", name.get_ref())));
            }
            built_variants.insert(variant);
        }
        Ok(ReleaseRow { version, sums, built: self.built, built_variants })
    }
}
