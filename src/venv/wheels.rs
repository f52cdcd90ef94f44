//! Wheels that are kept, with a lock of their own: built once in a builder, they are installed wherever the same lock is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::installer::Installer;
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::sys::fs;
use crate::sys::log::BuildLog;

/// The name of the lock in a directory of wheels.
const LOCK: &str = "requirements.txt";

/// Downloads or builds a wheel of each distribution of a lock, and returns the lock of these wheels.
///
/// # Errors
/// As [`Installer::wheels`].
pub(super) fn keep(lock: &Path, python: &Path, directory: &Path, epoch: u64, log: &BuildLog<'_>) -> Result<PathBuf> {
    fs_err::create_dir_all(directory)?;
    Installer::wheels(lock, python, directory, epoch, log)?;
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        names.extend(Some(entry?.path()).filter(|path| path.extension().is_some_and(|extension| extension == "whl")));
    }
    names.sort();
    let mut text = String::new();
    for path in &names {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some((name, version)) = distribution(&name) {
            let digest = Digest::of_reader(fs_err::File::open(path)?)?;
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name}=={version} --hash=sha256:{digest}");
        }
    }
    let own = directory.join(LOCK);
    fs::write_atomically(&own, text.as_bytes())?;
    Ok(own)
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
}
