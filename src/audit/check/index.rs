//! The packages that a distribution offers: the lists that `apt-get update` fetches.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Serialize;

use crate::domain::artifact::Format;
use crate::error::{Error, Result};
use crate::sys::archive::decoder;
use crate::sys::fs::with_path;

/// The most bytes of a list, decompressed, of one line of it, and of a Release file. All of Debian has 60 MB.
const LARGEST_LIST: u64 = 256 << 20;
const LONGEST_LINE: u64 = 1 << 20;
const LARGEST_RELEASE: u64 = 4 << 20;

/// The security updates that a distribution offers.
#[derive(Debug, Default, Serialize)]
pub struct Index {
    /// The version of each package and architecture.
    #[serde(skip)]
    pub packages: BTreeMap<(String, String), String>,
    /// The lists that were read.
    pub lists: usize,
    /// When the newest list was made, in seconds since 1970, if that is known.
    pub made: Option<i64>,
    /// The age of the newest list in days.
    pub age_days: Option<i64>,
    /// The distribution and its version: `Debian 12`, `Ubuntu 24.04`, if the lists say it.
    pub release: Option<String>,
}

impl Index {
    /// Reads the lists of security updates in a directory such as `/var/lib/apt/lists`, plain or compressed with gzip,
    /// xz or zstd. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if the directory or a list cannot be read, or if there is no list of security updates;
    /// [`Error::Damaged`] for a list that is longer than any; [`Error::Io`].
    pub fn read(directory: &Path, now: i64) -> Result<Self> {
        let mut index = Self::default();
        let mut names: Vec<_> = fs_err::read_dir(directory).map_err(Error::Unreadable)?.collect::<Result<_, _>>()?;
        names.sort_by_key(fs_err::DirEntry::file_name);
        for entry in names {
            let name = entry.file_name().to_string_lossy().into_owned();
            // `mirror.test_debian-security_dists_trixie-security_main_binary-amd64_Packages`
            if name.contains("-security") && (name.ends_with("_InRelease") || name.ends_with("_Release")) {
                let text = io::read_to_string(opened(&entry.path(), None, LARGEST_RELEASE)?);
                let text = text.map_err(|error| with_path(&entry.path(), error))?;
                index.made = index.made.max(release_time(&text));
                index.release = release_name(&text).or(index.release);
            }
            let Some((_, ending)) = name.split_once("_Packages").filter(|_| name.contains("-security")) else {
                continue;
            };
            let format = match ending {
                "" => None,
                ".gz" => Some(Format::Gz),
                ".xz" => Some(Format::Xz),
                ".zst" => Some(Format::Zst),
                _ => {
                    let text = format!("{}: only plain, .gz, .xz and .zst lists are read", entry.path().display());
                    return Err(Error::Unreadable(io::Error::other(text)));
                }
            };
            let mut list = BufReader::new(opened(&entry.path(), format, LARGEST_LIST)?);
            index.add(&mut list).map_err(|error| with_path(&entry.path(), error))?;
            if list.into_inner().limit() == 0 {
                let what = entry.path().display().to_string();
                return Err(Error::Damaged { what, reason: "it is longer than the list of any distribution".into() });
            }
            index.lists += 1;
        }
        if index.lists == 0 {
            let text = format!("{} has no list of security updates (*-security*_Packages)", directory.display());
            return Err(Error::Unreadable(io::Error::other(text)));
        }
        index.age_days = index.made.map(|made| (now - made).max(0) / 86_400);
        Ok(index)
    }

    fn add(&mut self, list: &mut impl BufRead) -> io::Result<()> {
        let (mut name, mut version, mut architecture) = (String::new(), String::new(), String::new());
        let mut line = String::new();
        loop {
            line.clear();
            let read = list.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
            if let Some((key, value)) = line.trim_end().split_once(": ") {
                match key {
                    "Package" => value.clone_into(&mut name),
                    "Version" => value.clone_into(&mut version),
                    "Architecture" => value.clone_into(&mut architecture),
                    _ => {}
                }
            }
            if line.trim_end().is_empty() && !name.is_empty() {
                let key = (std::mem::take(&mut name), std::mem::take(&mut architecture));
                let newest = self.packages.entry(key).or_default();
                if compare_versions(newest, &version) == Ordering::Less {
                    newest.clone_from(&version);
                }
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// The version that fixes a package, if it is newer than the installed one.
    #[must_use]
    pub fn update(&self, name: &str, architecture: &str, version: &str) -> Option<&str> {
        let offered = self.packages.get(&(name.to_owned(), architecture.to_owned()))?;
        (compare_versions(version, offered) == Ordering::Less).then_some(offered)
    }

    /// The names of the packages.
    #[must_use]
    pub fn names(&self) -> HashSet<&str> {
        self.packages.keys().map(|(name, _)| name.as_str()).collect()
    }
}

/// Opens a file for reading its first bytes, decompressed.
fn opened<'a>(path: &Path, format: Option<Format>, most: u64) -> Result<io::Take<Box<dyn Read + 'a>>> {
    // A pipe would never end, or never begin.
    if !fs_err::metadata(path).map_err(Error::Unreadable)?.is_file() {
        return Err(Error::Unreadable(io::Error::other(format!("{}: it is not a regular file", path.display()))));
    }
    let file = fs_err::File::open(path).map_err(Error::Unreadable)?;
    let reader: Box<dyn Read> = match format {
        Some(format) => decoder(format, file).map_err(|error| with_path(path, error))?,
        None => Box::new(file),
    };
    Ok(reader.take(most))
}

/// The time of a Release file in seconds since 1970.
fn release_time(text: &str) -> Option<i64> {
    let date = text.lines().find_map(|line| line.strip_prefix("Date: "))?;
    let date = date.trim().trim_end_matches("UTC").trim();
    let time = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", date).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

/// The distribution and version of a Release file.
fn release_name(text: &str) -> Option<String> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some(format!("{} {}", field("Origin: ")?, field("Version: ")?))
}

/// Compares two versions of Debian packages (Debian policy 5.6.12).
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| {
        let (epoch, rest) =
            version.split_once(':').map_or((0, version), |(epoch, rest)| (epoch.parse().unwrap_or(0), rest));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream.to_owned(), revision.to_owned())
    };
    let ((epoch_a, upstream_a, revision_a), (epoch_b, upstream_b, revision_b)): ((u64, _, _), _) = (parts(a), parts(b));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| compare_parts(&upstream_a, &upstream_b))
        .then_with(|| compare_parts(&revision_a, &revision_b))
}

/// Compares parts of versions: digits by value, letters before other characters, and `~` before everything.
fn compare_parts(a: &str, b: &str) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        loop {
            let text = |bytes: &[u8]| bytes.first().is_some_and(|byte| !byte.is_ascii_digit());
            if !text(a) && !text(b) {
                break;
            }
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let number = |bytes: &mut &[u8]| {
            let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
            let (digits, rest) = bytes.split_at(end);
            *bytes = rest;
            let start = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
            digits[start..].to_vec()
        };
        let (left, right) = (number(&mut a), number(&mut b));
        let order = left.len().cmp(&right.len()).then_with(|| left.cmp(&right));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_dpkg_does() {
        // From the tests of dpkg and from Debian's archive.
        for (older, newer) in [
            ("1.0", "1.1"),
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("1.0-1", "1.0-1.1"),
            ("3.0.17-1~deb12u2", "3.0.17-1~deb12u3"),
            ("9.9", "1:0.1"),
            ("1.0a", "1.0+"),
            ("1.0", "1.0a"),
            ("0", "0.0.1"),
            ("1.2.3-9", "1.2.3-10"),
            ("1.0~~", "1.0~"),
        ] {
            assert_eq!(compare_versions(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare_versions(newer, older), Ordering::Greater, "{older} {newer}");
        }
        for (a, b) in [("1.0", "1.0"), ("0:1.0", "1.0"), ("1.00", "1.0"), ("1.0-0", "1.0")] {
            assert_eq!(compare_versions(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn the_lists_of_security_updates_are_read_with_their_age() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(directory.path().join(name), text).unwrap();
        let prefix = "mirror.test_debian-security_dists_trixie-security";
        write("mirror.test_debian_dists_trixie_main_binary-amd64_Packages", "Package: no\nVersion: 9\n\n");
        assert!(Index::read(directory.path(), 0).unwrap_err().to_string().contains("no list of security updates"));
        let list = "Package: libssl3t64\nVersion: 3.5.1-1+deb13u1\nArchitecture: amd64\n\n\
                    Package: libssl3t64\nVersion: 3.5.1-1\nArchitecture: amd64\n";
        write(&format!("{prefix}_main_binary-amd64_Packages"), list);
        write(&format!("{prefix}_InRelease"), "Origin: Debian\nVersion: 13\nDate: Thu, 20 Nov 2025 10:00:00 UTC\n");
        let index = Index::read(directory.path(), 1_763_632_800 + 86_400 * 9).unwrap();
        assert_eq!(index.release.as_deref(), Some("Debian 13"));
        assert_eq!((index.lists, index.made, index.age_days), (1, Some(1_763_632_800), Some(9)));
        assert_eq!(index.update("libssl3t64", "amd64", "3.5.1-1"), Some("3.5.1-1+deb13u1"));
        assert_eq!(index.update("libssl3t64", "amd64", "3.5.1-1+deb13u1"), None);
        assert_eq!(index.update("libssl3t64", "arm64", "3.5.1-1"), None);
    }

    #[test]
    fn a_list_that_does_not_end_or_cannot_be_read_is_an_error_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("mirror_debian-security_main_Packages");
        let error = |path: &Path| {
            let error = Index::read(directory.path(), 0).unwrap_err();
            fs_err::remove_file(path).unwrap();
            assert!(error.to_string().contains("debian-security_main"), "{error}");
            error
        };
        let holes = fs_err::File::create(&list).unwrap();
        holes.set_len(1 << 40).unwrap();
        assert!(matches!(error(&list), Error::Damaged { .. }));
        let gzip = list.with_file_name("mirror_debian-security_main_Packages.gz");
        fs_err::write(&gzip, "no gzip").unwrap();
        assert!(matches!(error(&gzip), Error::Io(_)));
        rustix::fs::mknodat(rustix::fs::CWD, &list, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(error(&list), Error::Unreadable(_)));
    }
}
