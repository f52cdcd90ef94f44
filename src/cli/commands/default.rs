//! Which of several Pythons `python` and `python3` are.

use crate::domain::version::{Selector, VersionRequest};
use crate::error::{Error, Result};
use crate::recipe::Catalog;

/// The names of a Python that a user may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// `3.13.5t`
    pub(super) version: String,
    /// `3.13t`
    pub(super) series: String,
}

/// Returns the place of the Python that a request means, the first by default.
///
/// # Errors
/// [`Error::Usage`] if it means none of them; [`Error::UnknownVersion`] for `latest` without a recipe.
pub(super) fn position(wanted: Option<&VersionRequest>, pythons: &[Names], catalog: &Catalog) -> Result<usize> {
    let Some(wanted) = wanted else { return Ok(0) };
    let name = match wanted.selector {
        // The newest series, as everywhere; the release in it is the one that is there.
        Selector::Latest => format!("{}{}", catalog.find(*wanted)?.1.version.series(), wanted.variant),
        Selector::Series(_) | Selector::Release(_) => wanted.to_string(),
    };
    pythons.iter().position(|python| python.version == name || python.series == name).ok_or_else(|| {
        let versions: Vec<&str> = pythons.iter().map(|python| python.version.as_str()).collect();
        let meant = if wanted.selector == Selector::Latest { format!(" ({name})") } else { String::new() };
        Error::Usage(format!("`--default {wanted}`{meant} is none of the versions: {}", versions.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_named_by_release_series_or_latest() {
        let catalog = Catalog::load(None).unwrap();
        let newest = catalog.find("latest".parse().unwrap()).unwrap().1;
        let newest = newest.version.series().to_string();
        let names = |version: &str, series: &str| Names { version: version.into(), series: series.into() };
        // Another release of the newest series than the recipe's newest.
        let pythons = [names("3.13.5", "3.13"), names("3.13.5t", "3.13t"), names(&format!("{newest}.0"), &newest)];
        let position = |wanted: &str| position(Some(&wanted.parse().unwrap()), &pythons, &catalog);
        for (wanted, expected) in [("3.13", 0), ("3.13.5t", 1), ("3.13t", 1), ("latest", 2), (&newest[..], 2)] {
            assert_eq!(position(wanted).unwrap(), expected, "{wanted}");
        }
        assert_eq!(super::position(None, &pythons, &catalog).unwrap(), 0);
        let text = position("latestt").unwrap_err().to_string();
        assert_eq!(
            text,
            format!("`--default latestt` ({newest}t) is none of the versions: 3.13.5, 3.13.5t, {newest}.0")
        );
        assert!(position("3.13.7").unwrap_err().to_string().starts_with("`--default 3.13.7` is none"));
    }
}
