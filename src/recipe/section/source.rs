//! `[source]`: where the archives of a release come from. It decides no byte: the sums do.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::domain::version::Series;
use crate::error::Mistake;
use crate::recipe::place::{Layers, texts};

/// `[source]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::recipe) struct Written {
    url: Spanned<String>,
    #[serde(default)]
    mirrors: Vec<Spanned<String>>,
    pool: Option<Spanned<String>>,
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

impl Written {
    pub(in crate::recipe) fn check(self, series: Series, at: &Layers<'_>) -> Result<SourceRecipe, Mistake> {
        for url in std::iter::once(&self.url).chain(&self.mirrors) {
            if !url.get_ref().contains("{file}") {
                let message = format!("`{}` has no `{{file}}`, the place of the archive's name", url.get_ref());
                return Err(at.error(url, message));
            }
        }
        if let Some(pool) = &self.pool {
            let name = Spanned::new(pool.span(), pool.get_ref().replace("{series}", ""));
            at.name(&name, "-.")?;
        }
        Ok(SourceRecipe {
            url: self.url.into_inner(),
            mirrors: texts(self.mirrors),
            pool: self.pool.map(|pool| pool.get_ref().replace("{series}", &series.to_string())),
        })
    }
}
