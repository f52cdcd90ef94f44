//! Series, releases, variants, and the versions that a user may ask for.

use std::fmt;
use std::str::FromStr;

use super::serde_by_display;

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseVersionError {
    text: String,
    expected: &'static str,
}

/// A series such as `3.13`: one recipe file, one ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// `3`.
    pub major: u8,
    /// `13`.
    pub minor: u8,
}

/// The kind of a release, in the order of publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    Alpha,
    Beta,
    Candidate,
    Final,
}

/// A release such as `3.13.5` or `3.15.0b4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    series: Series,
    micro: u8,
    stage: Stage,
    serial: u8,
}

impl Release {
    /// Returns the series that it belongs to.
    #[must_use]
    pub const fn series(self) -> Series {
        self.series
    }

    /// Returns the last number: `5` of `3.13.5`.
    #[must_use]
    pub const fn micro(self) -> u8 {
        self.micro
    }

    /// Whether it is an alpha, beta or release candidate.
    #[must_use]
    pub fn is_pre_release(self) -> bool {
        self.stage != Stage::Final
    }

    /// Returns `3.15.0` of `3.15.0b4`: the directory of the release on upstream's site.
    #[must_use]
    pub fn base(self) -> String {
        format!("{}.{}", self.series, self.micro)
    }
}

super::named_enum! {
    /// The ABI variant of a build.
    pub enum Variant {
        /// The ordinary build.
        Default = "",
        /// Free-threaded: no global interpreter lock (3.13 and later).
        FreeThreaded = "t",
        /// Debug: assertions and reference counting checks.
        Debug = "d",
    }
}

/// A version that a user asks for on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionRequest {
    /// Which release.
    pub selector: Selector,
    /// Which variant of it.
    pub variant: Variant,
}

/// The release part of a [`VersionRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The newest series that is not a pre-release.
    Latest,
    /// The newest release of a series.
    Series(Series),
    /// Exactly this release.
    Release(Release),
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.major, self.minor))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Alpha => format!("a{}", self.serial),
            Stage::Beta => format!("b{}", self.serial),
            Stage::Candidate => format!("rc{}", self.serial),
            Stage::Final => String::new(),
        };
        f.pad(&format!("{}.{}{stage}", self.series, self.micro))
    }
}

impl fmt::Display for VersionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.selector {
            Selector::Latest => write!(f, "latest{}", self.variant),
            Selector::Series(series) => write!(f, "{series}{}", self.variant),
            Selector::Release(release) => write!(f, "{release}{}", self.variant),
        }
    }
}

/// Parses a decimal number as versions write it: only digits, no sign, no leading zero.
fn number(text: &str) -> Option<u8> {
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = text.len() == 1 || !text.starts_with('0');
    if digits_only && canonical { text.parse().ok() } else { None }
}

impl FromStr for Series {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| ParseVersionError { text: text.into(), expected: "a series such as 3.13" })
    }
}

impl FromStr for Release {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_release(text)
            .ok_or_else(|| ParseVersionError { text: text.into(), expected: "a release such as 3.13.5 or 3.15.0b4" })
    }
}

fn parse_release(text: &str) -> Option<Release> {
    let mut parts = text.splitn(3, '.');
    let series = Series { major: number(parts.next()?)?, minor: number(parts.next()?)? };
    let rest = parts.next()?;
    let letters = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (micro, tail) = rest.split_at(letters);
    let (stage, serial) = if tail.is_empty() {
        (Stage::Final, 0)
    } else if let Some(serial) = tail.strip_prefix("rc") {
        (Stage::Candidate, number(serial)?)
    } else if let Some(serial) = tail.strip_prefix('a') {
        (Stage::Alpha, number(serial)?)
    } else {
        (Stage::Beta, number(tail.strip_prefix('b')?)?)
    };
    Some(Release { series, micro: number(micro)?, stage, serial })
}

impl FromStr for VersionRequest {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (body, variant) = match text.as_bytes().last() {
            // `latest` ends in `t`, which is not the variant.
            Some(b't') if text != "latest" => (&text[..text.len() - 1], Variant::FreeThreaded),
            Some(b'd') => (&text[..text.len() - 1], Variant::Debug),
            _ => (text, Variant::Default),
        };
        let selector = if body == "latest" {
            Some(Selector::Latest)
        } else if let Ok(series) = body.parse() {
            Some(Selector::Series(series))
        } else {
            parse_release(body).map(Selector::Release)
        };
        selector.map(|selector| Self { selector, variant }).ok_or_else(|| ParseVersionError {
            text: text.into(),
            expected: "a version such as 3.13, 3.13.5, 3.13t or latest",
        })
    }
}

serde_by_display!(Series);
serde_by_display!(Release);
serde_by_display!(VersionRequest);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn releases_sort_as_upstream_released_them() {
        let mut releases: Vec<Release> =
            ["3.15.0", "3.13.10", "3.15.0rc1", "3.13.9", "3.15.0b4", "3.15.0a7", "3.15.0b10"]
                .map(|text| text.parse().unwrap())
                .into();
        releases.sort_unstable();
        let sorted: Vec<_> = releases.iter().map(ToString::to_string).collect();
        assert_eq!(sorted, ["3.13.9", "3.13.10", "3.15.0a7", "3.15.0b4", "3.15.0b10", "3.15.0rc1", "3.15.0"]);
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in
            ["", "3", "3.", "3.x", "03.13", "3.013", "3.13.", "3.13.5.1", "3.13.5c1", "3.13.300", "+3.1", "t", "d"]
        {
            assert!(text.parse::<VersionRequest>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn latest_is_not_a_free_threaded_lates() {
        let request: VersionRequest = "latest".parse().unwrap();
        assert_eq!(request, VersionRequest { selector: Selector::Latest, variant: Variant::Default });
        let request: VersionRequest = "latestt".parse().unwrap();
        assert_eq!(request.variant, Variant::FreeThreaded);
    }

    proptest! {
        #[test]
        fn a_request_survives_printing(major: u8, minor: u8, micro: u8, serial: u8, form in 0..6u8, variant in 0..3usize) {
            let series = Series { major, minor };
            let stage = [Stage::Final, Stage::Alpha, Stage::Beta, Stage::Candidate][usize::from(form % 4)];
            let serial = if stage == Stage::Final { 0 } else { serial };
            let selector = match form {
                4 => Selector::Latest,
                5 => Selector::Series(series),
                _ => Selector::Release(Release { series, micro, stage, serial }),
            };
            let request = VersionRequest { selector, variant: Variant::ALL[variant] };
            prop_assert_eq!(request.to_string().parse::<VersionRequest>().unwrap(), request);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<VersionRequest>();
            let _ = text.parse::<Release>();
        }
    }
}
