//! Wheels that are kept, with a lock of their own: made once in a builder, they are installed wherever the same lock
//! is, without an index and a compiler.

use std::fmt::Write as _;
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use super::installer::Installer;
use crate::domain::digest::Digest;
use crate::error::{Error, Result};
use crate::sys::fs;
use crate::sys::log::BuildLog;

/// The name of the lock in a directory of wheels.
const LOCK: &str = "requirements.txt";

/// What such a lock begins with: the wheels are beside it.
const BESIDE: &str = "--no-index\n--find-links .\n";

/// Downloads or builds a wheel of each distribution of a lock in an empty directory, and returns them sorted.
///
/// # Errors
/// As [`Installer::wheels`].
pub(super) fn make(
    lock: &Path,
    python: &Path,
    directory: &Path,
    epoch: u64,
    log: &BuildLog<'_>,
) -> Result<Vec<PathBuf>> {
    fs_err::create_dir_all(directory)?;
    Installer::wheels(lock, python, directory, epoch, log)?;
    let mut wheels = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        wheels.extend(Some(entry?.path()).filter(|path| path.extension().is_some_and(|extension| extension == "whl")));
    }
    wheels.sort();
    Ok(wheels)
}

/// Copies wheels into a directory, and returns the lock of these wheels there. They replace other wheels of the same
/// distributions and versions: an installer would take one of these and find another digest. What else is in the directory
/// stays.
///
/// # Errors
/// [`Error::Damaged`] if the name of a wheel is none; [`Error::Io`].
pub(super) fn keep(wheels: &[PathBuf], directory: &Path) -> Result<PathBuf> {
    fs_err::create_dir_all(directory)?;
    let mut text = BESIDE.to_owned();
    for path in wheels {
        let file = path.file_name().unwrap_or_default();
        let shown = file.to_string_lossy();
        let (name, version) = distribution(&shown).ok_or_else(|| Error::Damaged {
            what: path.display().to_string(),
            reason: "its name does not say a distribution and a version".into(),
        })?;
        let kept = directory.join(file);
        let mut copy = fs::temporary_in(directory)?;
        std::io::copy(&mut fs_err::File::open(path)?, copy.as_file_mut())
            .map_err(|error| fs::with_path(&kept, error))?;
        // Others may write to the directory, too: what was written is read, and not what has its name now.
        let written = copy.as_file_mut();
        let digest =
            written.rewind().and_then(|()| Digest::of_reader(written)).map_err(|error| fs::with_path(&kept, error))?;
        fs::persist(copy, &kept)?;
        for entry in fs_err::read_dir(directory)? {
            let entry = entry?;
            let other = entry.file_name();
            let is_same = distribution(&other.to_string_lossy()).is_some_and(|(of_other, version_of_other)| {
                (normal(of_other), version_of_other) == (normal(name), version)
            });
            if other != file && is_same {
                fs_err::remove_file(entry.path())?;
            }
        }
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name}=={version} --hash=sha256:{digest}");
    }
    let own = directory.join(LOCK);
    fs::write_atomically(&own, text.as_bytes())?;
    Ok(own)
}

/// A name of a distribution in the form in which names are compared (PEP 503).
fn normal(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// The distribution and the version in the name of a wheel (PEP 427).
fn distribution(wheel: &str) -> Option<(&str, &str)> {
    let mut fields = wheel.strip_suffix(".whl")?.split('-');
    Some((fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_says_its_distribution_and_version() {
        let name = "markupsafe-3.0.3-cp313-cp313-linux_x86_64.whl";
        assert_eq!(distribution(name), Some(("markupsafe", "3.0.3")));
        assert_eq!(distribution("x.tar.gz"), None);
    }

    #[test]
    fn the_lock_of_wheels_has_those_alone_that_were_made() {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("kept");
        fs_err::create_dir_all(&kept).unwrap();
        // The last one has the name that older tools gave it.
        let replaced = ["new_one-2.0-cp313-cp313-x.whl", "New.One-2.0-py3-none-any.whl"];
        for other in ["older-1.0-py3-none-any.whl", "new_one-1.0-py3-none-any.whl"].iter().chain(&replaced) {
            fs_err::write(kept.join(other), "x").unwrap();
        }
        let wheel = place.path().join("new_one-2.0-py3-none-any.whl");
        fs_err::write(&wheel, "abc").unwrap();
        let lock = keep(&[wheel], &kept).unwrap();
        let expected = format!("{BESIDE}new_one==2.0 --hash=sha256:{}\n", Digest::of("abc"));
        assert_eq!(fs_err::read_to_string(lock).unwrap(), expected);
        assert_eq!(fs_err::read(kept.join("new_one-2.0-py3-none-any.whl")).unwrap(), b"abc");
        assert!(replaced.iter().all(|name| !kept.join(name).exists()));
        assert!(kept.join("new_one-1.0-py3-none-any.whl").exists() && kept.join("older-1.0-py3-none-any.whl").exists());
    }

    #[test]
    fn a_wheel_without_a_name_is_an_error_and_not_left_out() {
        let place = tempfile::tempdir().unwrap();
        let wheel = place.path().join("nameless.whl");
        fs_err::write(&wheel, "abc").unwrap();
        let error = keep(&[wheel], &place.path().join("kept")).unwrap_err();
        assert!(matches!(&error, Error::Damaged { what, .. } if what.ends_with("nameless.whl")), "{error}");
    }
}
