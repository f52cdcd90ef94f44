//! URLs that others will download.

use std::path::Path;

use reqwest::Url;

/// Returns the scheme of a URL, in lower case.
///
/// # Errors
/// Why the text is not a URL.
pub fn scheme(text: &str) -> Result<String, String> {
    Url::parse(text).map(|url| url.scheme().to_owned()).map_err(|error| error.to_string())
}

/// Returns the URL of a file on this machine, or `None` for a relative path.
#[must_use]
pub fn of_file(path: &Path) -> Option<String> {
    Url::from_file_path(path).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_escaped() {
        assert_eq!(of_file(Path::new("/srv/my files/a%b#.tar.gz")).unwrap(), "file:///srv/my%20files/a%25b%23.tar.gz");
        assert_eq!(of_file(Path::new("srv/a")), None);
    }

    #[test]
    fn a_scheme_is_read_or_the_reason_why_not() {
        assert_eq!(scheme("HTTPS://a.test/x").unwrap(), "https");
        assert_eq!(scheme("/srv/x").unwrap_err(), "relative URL without a base");
    }
}
