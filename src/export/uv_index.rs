//! The index by which uv installs Pythons: `uv python install --python-downloads-json-url`.
//!
//! The form is that of `download-metadata.json` in uv's repository, as uv 0.13 reads it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, btree_map};
use std::str::FromStr;

use serde::Serialize;

use crate::domain::artifact::{ArtifactName, Format};
use crate::domain::digest::Digest;
use crate::domain::plan::{Flavor, LibraryPolicy};
use crate::domain::version::Variant;
use crate::sys::http::url;

/// What is replaced in a URL: the tarball's file name, the release with the letter of its variant, and the SHA-256 of
/// the tarball in lower-case hexadecimal.
pub const PLACEHOLDERS: [&str; 3] = ["{file}", "{version}", "{sha256}"];

/// Where the tarballs of an index can be downloaded: a URL with some of [`PLACEHOLDERS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);

impl FromStr for UrlTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = PLACEHOLDERS.iter().fold(text.to_owned(), |rest, word| rest.replace(word, "x"));
        if rest.contains(['{', '}']) {
            return Err("it has braces around something other than file, version and sha256".into());
        }
        if !text.contains("{file}") && !text.contains("{sha256}") {
            return Err("it has neither {file} nor {sha256}, which tell the tarballs apart".into());
        }
        let scheme = url::scheme(&rest)?;
        if !["http", "https", "file"].contains(&scheme.as_str()) {
            return Err(format!("uv downloads by http, https and file, and not by {scheme}"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl UrlTemplate {
    /// Returns the URL of a tarball.
    fn of(&self, offer: &Offer) -> String {
        // The file may have been renamed. Its URL on this machine has the name, escaped.
        let file = offer.url.rsplit('/').next().unwrap_or_default();
        let version = format!("{}{}", offer.name.release(), offer.name.variant());
        self.0.replace("{sha256}", &offer.sha256.to_string()).replace("{version}", &version).replace("{file}", file)
    }
}

/// A tarball that uv may install.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The artifact in it.
    pub name: ArtifactName,
    /// Where the libraries of its modules come from.
    pub libraries: LibraryPolicy,
    /// Its URL on this machine.
    pub url: String,
    /// How it is compressed.
    pub format: Format,
    /// Its SHA-256.
    pub sha256: Digest,
    /// When it was published, in seconds since 1970, where that is known. uv takes a newer one for an upgrade.
    pub published: Option<u64>,
}

/// An index, by uv's keys: `cpython-3.13.5-linux-x86_64-gnu`.
pub type Index = BTreeMap<String, Entry>;

/// A download, in uv's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    name: &'static str,
    arch: Architecture,
    os: &'static str,
    libc: &'static str,
    major: u8,
    minor: u8,
    patch: u8,
    /// `rc1`, or empty.
    prerelease: String,
    url: String,
    sha256: Digest,
    variant: Option<&'static str>,
    /// A date, `20261124`.
    build: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Architecture {
    family: &'static str,
    /// `v3` of x86-64, for instance. These artifacts run on the oldest.
    variant: Option<&'static str>,
}

/// Why a tarball is not in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// uv reads no `.tar.xz`.
    Format,
    /// Another flavor was asked for.
    Flavor,
    /// uv knows one Python for each release, variant and target, and another tarball fits better.
    Another,
}

/// Makes an index of the tarballs that fit best, and names the others.
///
/// Of several with the same release, variant and target it takes the one of the builder flavor, because uv builds
/// packages with it, unless `flavor` says another; then one that brings its libraries along, the one that needs the
/// oldest glibc, and the newest. Without a template the URLs are those of files on this machine.
#[must_use]
pub fn index(
    mut offers: Vec<Offer>,
    flavor: Option<Flavor>,
    template: Option<&UrlTemplate>,
) -> (Index, Vec<(Offer, LeftOut)>) {
    offers.sort_by_cached_key(|offer| {
        let name = &offer.name;
        (
            name.flavor() != Flavor::Builder,
            name.shared(),
            offer.libraries != LibraryPolicy::Bundle,
            name.floor(),
            Reverse(offer.published),
            offer.format != Format::Zst,
            offer.sha256,
        )
    });
    let (mut index, mut left_out) = (Index::new(), Vec::new());
    for offer in offers {
        if offer.format == Format::Xz {
            left_out.push((offer, LeftOut::Format));
        } else if flavor.is_some_and(|flavor| flavor != offer.name.flavor()) {
            left_out.push((offer, LeftOut::Flavor));
        } else {
            let (key, entry) = entry(&offer, template);
            match index.entry(key) {
                btree_map::Entry::Vacant(place) => drop(place.insert(entry)),
                btree_map::Entry::Occupied(_) => left_out.push((offer, LeftOut::Another)),
            }
        }
    }
    (index, left_out)
}

fn entry(offer: &Offer, template: Option<&UrlTemplate>) -> (String, Entry) {
    let Offer { name, url, sha256, published, .. } = offer;
    let release = name.release();
    let variant = match name.variant() {
        Variant::Default => None,
        Variant::FreeThreaded => Some("freethreaded"),
        Variant::Debug => Some("debug"),
    };
    let family = name.target().arch();
    let suffix = variant.map(|variant| format!("+{variant}")).unwrap_or_default();
    let url = template.map_or_else(|| url.clone(), |template| template.of(offer));
    let entry = Entry {
        name: "cpython",
        arch: Architecture { family, variant: None },
        os: "linux",
        libc: "gnu",
        major: release.series().major,
        minor: release.series().minor,
        patch: release.micro(),
        prerelease: release.to_string().replacen(&release.base(), "", 1),
        url,
        sha256: *sha256,
        variant,
        build: published.and_then(date),
    };
    (format!("cpython-{release}{suffix}-linux-{family}-gnu"), entry)
}

/// `20261124`.
fn date(seconds: u64) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.strftime("%Y%m%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(name: &str, format: Format, published: Option<u64>) -> Offer {
        let name: ArtifactName = name.parse().unwrap();
        let url = format!("file:///srv/{}", name.file(format));
        let sha256 = Digest::of(url.as_bytes());
        Offer { name, libraries: LibraryPolicy::Bundle, url, format, sha256, published }
    }

    fn named(middle: &str) -> String {
        format!("cpython-{middle}-1a2b3c4d5e6f")
    }

    /// The key and the end of the URL of each entry, and what was left out.
    fn indexed(offers: Vec<Offer>, flavor: Option<Flavor>) -> (Vec<(String, String)>, Vec<LeftOut>) {
        let (index, left_out) = index(offers, flavor, None);
        let entry = |(key, entry): (String, Entry)| (key, entry.url.trim_start_matches("file:///srv/").to_owned());
        (index.into_iter().map(entry).collect(), left_out.into_iter().map(|(_, why)| why).collect())
    }

    #[test]
    fn an_entry_says_what_uv_asks_for() {
        let name = named("3.15.0b4t-x86_64-linux-gnu-glibc2.36-builder");
        let one = offer(&name, Format::Zst, Some(1_795_478_400));
        let template = "https://pythons.test/{version}/{sha256}/{file}".parse().unwrap();
        let (index, _) = index(vec![one.clone()], None, Some(&template));
        let expected = serde_json::json!({
            "cpython-3.15.0b4+freethreaded-linux-x86_64-gnu": {
                "name": "cpython",
                "arch": {"family": "x86_64", "variant": null},
                "os": "linux",
                "libc": "gnu",
                "major": 3,
                "minor": 15,
                "patch": 0,
                "prerelease": "b4",
                "url": format!("https://pythons.test/3.15.0b4t/{}/{name}.tar.zst", one.sha256),
                "sha256": one.sha256,
                "variant": "freethreaded",
                "build": "20261124",
            }
        });
        assert_eq!(serde_json::to_value(index).unwrap(), expected);
    }

    #[test]
    fn the_tarball_that_fits_best_is_taken_in_any_order() {
        let runtime = offer(&named("3.13.5-x86_64-linux-gnu-glibc2.35-runtime"), Format::Zst, Some(9));
        let old = offer(&named("3.13.5-x86_64-linux-gnu-glibc2.35-builder"), Format::Zst, Some(1));
        let new = offer("cpython-3.13.5-x86_64-linux-gnu-glibc2.35-builder-aaaaaaaaaaaa", Format::Zst, Some(2));
        let newer_glibc = offer(&named("3.13.5-x86_64-linux-gnu-glibc2.38-builder"), Format::Zst, Some(3));
        let shared = offer(&named("3.13.5-x86_64-linux-gnu-glibc2.31-builder-shared"), Format::Zst, Some(4));
        let mut system = offer(&named("3.13.5-x86_64-linux-gnu-glibc2.31-builder"), Format::Zst, Some(5));
        system.libraries = LibraryPolicy::System;
        let gzip = Offer { format: Format::Gz, ..new.clone() };
        let all = vec![runtime, old, newer_glibc, shared, system, gzip, new.clone()];
        let key = "cpython-3.13.5-linux-x86_64-gnu".to_owned();
        for first in 0..all.len() {
            let mut offers = all.clone();
            offers.rotate_left(first);
            let (found, left_out) = indexed(offers, None);
            assert_eq!(found, [(key.clone(), new.name.file(Format::Zst))]);
            assert_eq!(left_out, [LeftOut::Another; 6]);
        }
        let (found, left_out) = indexed(all, Some(Flavor::Runtime));
        assert!(found.len() == 1 && found[0].1.contains("-runtime-"), "{found:?}");
        assert_eq!(left_out, [LeftOut::Flavor; 6]);
    }

    #[test]
    fn variants_and_targets_are_entries_of_their_own_and_xz_is_none() {
        let all = [
            "3.13.5-x86_64-linux-gnu-glibc2.35-runtime",
            "3.13.5t-x86_64-linux-gnu-glibc2.35-runtime",
            "3.13.5d-x86_64-linux-gnu-glibc2.35-runtime",
            "3.13.5-aarch64-linux-gnu-glibc2.35-runtime",
        ];
        let offers = all.map(|name| offer(&named(name), Format::Gz, None));
        let (found, left_out) = indexed(offers.to_vec(), None);
        let keys: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "cpython-3.13.5+debug-linux-x86_64-gnu",
                "cpython-3.13.5+freethreaded-linux-x86_64-gnu",
                "cpython-3.13.5-linux-aarch64-gnu",
                "cpython-3.13.5-linux-x86_64-gnu",
            ]
        );
        assert_eq!(left_out, []);
        let (found, left_out) = indexed(vec![offer(&named(all[0]), Format::Xz, None)], None);
        assert_eq!((found, left_out), (vec![], vec![LeftOut::Format]));
    }

    #[test]
    fn a_template_that_cannot_work_is_refused() {
        for (text, reason) in [
            ("https://a.test/{name}", "braces around something other"),
            ("https://a.test/{version}", "neither {file} nor {sha256}"),
            ("ftp://a.test/{file}", "not by ftp"),
            ("/srv/{file}", "relative URL"),
        ] {
            let error = text.parse::<UrlTemplate>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
