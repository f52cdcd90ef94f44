//! The values of arguments, and how they are read.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser as _;

use crate::domain::Named;
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::reference::{ImageReference, ParseReferenceError};
use crate::domain::version::VersionRequest;
use crate::error::{Error, Result};
use crate::planning::choices::NamedProfile;

/// The profile that an option names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum ProfileName {
    File(PathBuf),
    Stored(Digest),
}

impl std::str::FromStr for ProfileName {
    type Err = crate::domain::digest::ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sha256:") {
            Some(digest) => digest.parse().map(Self::Stored),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl ProfileName {
    /// Returns the profile with its digest.
    ///
    /// # Errors
    /// [`crate::error::Error::Unreadable`] if the file cannot be read.
    pub(in crate::cli) fn find(&self) -> Result<NamedProfile> {
        Ok(match self {
            Self::Stored(digest) => NamedProfile { digest: *digest, file: None },
            Self::File(path) => {
                let digest = Digest::of_reader(fs_err::File::open(path).map_err(Error::Unreadable)?)?;
                NamedProfile { digest, file: Some(path.clone()) }
            }
        })
    }
}

/// What to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Wanted {
    Version(VersionRequest),
    Artifact(Digest),
    Tarball(PathBuf),
}

impl Wanted {
    /// Returns the version, if it is one.
    pub(super) const fn version(&self) -> Option<&VersionRequest> {
        match self {
            Self::Version(request) => Some(request),
            Self::Artifact(_) | Self::Tarball(_) => None,
        }
    }
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // No version has a slash or ends like this.
        if text.contains('/') || Format::ALL.iter().any(|format| text.ends_with(&format!(".tar.{format}"))) {
            return Ok(Self::Tarball(text.into()));
        }
        match text.strip_prefix("sha256:") {
            Some(digest) => digest
                .parse()
                .map(Self::Artifact)
                .map_err(|error: crate::domain::digest::ParseDigestError| error.to_string()),
            None => text
                .parse()
                .map(Self::Version)
                .map_err(|error: crate::domain::version::ParseVersionError| error.to_string()),
        }
    }
}

/// The form of the timings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum TimingsForm {
    /// A table in the terminal.
    Table,
    /// A page in that file.
    Page(PathBuf),
}

/// Parses `table`, or the path of a page, which must end in `.html` so that a browser recognises it.
pub(super) fn timings_form(path: PathBuf) -> Result<TimingsForm, String> {
    if path.as_os_str() == "table" {
        Ok(TimingsForm::Table)
    } else if path.extension().is_some_and(|extension| extension == "html") {
        Ok(TimingsForm::Page(path))
    } else {
        Err("the name of a page has to end in .html".to_owned())
    }
}

/// Parses a duration: `12h`, `30d`, `2w`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    // A day is 24 hours, because this is the age of a file.
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let seconds = span.total((jiff::Unit::Second, days)).map_err(|error| format!("{error} (in days or weeks?)"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it is negative".to_owned())
}

/// Parses the tree of an application and its path in an image: `./app`, `./build:/opt/app`.
pub(super) fn app(text: &str) -> Result<(PathBuf, Option<PathBuf>), String> {
    match text.rsplit_once(':') {
        Some((tree, at)) if at.starts_with('/') => {
            let at: PathBuf = std::path::Path::new(at).components().collect();
            let is_plain = !at.components().any(|part| matches!(part, std::path::Component::ParentDir));
            if tree.is_empty() || at.file_name().is_none() || !is_plain {
                return Err("it has to be TREE:PATH, with the path of a directory below the root".to_owned());
            }
            Ok((tree.into(), Some(at)))
        }
        _ => Ok((text.into(), None)),
    }
}

/// Parses the name that an image gets, and adds the tag `latest` if it has none.
pub(super) fn reference(text: &str) -> Result<String, String> {
    let name: ImageReference = text.parse().map_err(|error: ParseReferenceError| error.to_string())?;
    let tagged = name.tagged().ok_or("the digest of an image follows from its content: name it by a tag")?;
    Ok(tagged.to_string())
}

/// Returns a parser of clap for an enum whose values have names.
pub(super) fn named<T: Named>() -> impl clap::builder::TypedValueParser<Value = T> {
    clap::builder::PossibleValuesParser::new(T::names()).try_map(|text| text.parse::<T>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_span_of_time() {
        let hours = |text: &str| age(text).unwrap().as_secs() / 3600;
        assert_eq!((hours("12h"), hours("30d"), hours("2w"), hours("1d 1h")), (12, 720, 336, 25));
        for text in ["", "30", "d", "-1d", "1 month"] {
            assert!(age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_has_a_name_with_a_tag() {
        for (text, expected) in [
            ("python", "python:latest"),
            ("team/python:3.13", "team/python:3.13"),
            ("Registry.test:5000/a/b", "Registry.test:5000/a/b:latest"),
        ] {
            assert_eq!(reference(text).unwrap(), expected);
        }
        for wrong in ["", "Python", "a b", "a:", ":3", "a//b", "a/../b", "a:b:c", "a@sha256:12", "/a"] {
            assert!(reference(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_application_has_a_tree_and_a_path() {
        assert_eq!(app("build:/opt/app/").unwrap(), ("build".into(), Some("/opt/app".into())));
        assert_eq!(app("/opt/app").unwrap(), ("/opt/app".into(), None));
        for wrong in ["x:/", ":/opt", "x:/opt/../etc"] {
            assert!(app(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_artifact_is_wanted_by_digest() {
        assert!(matches!("3.13t".parse(), Ok(Wanted::Version(_))));
        assert!(matches!(format!("sha256:{}", "a".repeat(64)).parse(), Ok(Wanted::Artifact(_))));
        assert!("sha256:abc".parse::<Wanted>().unwrap_err().contains("64"));
    }

    #[test]
    fn a_tarball_is_wanted_by_its_path() {
        for path in ["./x", "/srv/cpython-3.13.5.tar.zst", "x.tar.xz", "x.tar.gz", "dist/3.13"] {
            assert_eq!(path.parse(), Ok(Wanted::Tarball(path.into())), "{path}");
        }
        assert!("x.tar.bz2".parse::<Wanted>().is_err() && "3.13.tar".parse::<Wanted>().is_err());
    }
}
