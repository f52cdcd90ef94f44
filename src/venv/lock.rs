//! The lock of an application: which distributions its environment has, each with its hashes.

use std::path::{Path, PathBuf};

use crate::domain::lock::LockForm;
use crate::error::{Result, VenvError};

/// A lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// `requirements.txt` with hashes, as `pip-compile --generate-hashes` and `uv export` write it.
    Requirements(PathBuf),
    /// `pylock.toml` (PEP 751).
    Pylock(PathBuf),
    /// `uv.lock`, beside its `pyproject.toml`.
    Uv(PathBuf),
}

impl Lock {
    /// Tells by its name what a lock file is, and checks that each requirement has a hash.
    ///
    /// # Errors
    /// [`VenvError::NotALock`], [`VenvError::NoHash`]; [`Error::Io`](crate::error::Error::Io) if it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let Some(form) = LockForm::of(&path) else { return Err(VenvError::NotALock { path }.into()) };
        if form != LockForm::Requirements {
            // Whether it is there is known before anything is done.
            fs_err::metadata(&path)?;
            return Ok(if form == LockForm::Pylock { Self::Pylock(path) } else { Self::Uv(path) });
        }
        if let Some((line, requirement)) = without_hash(&fs_err::read_to_string(&path)?) {
            return Err(VenvError::NoHash { path, line, requirement }.into());
        }
        Ok(Self::Requirements(path))
    }

    /// Returns the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Requirements(path) | Self::Pylock(path) | Self::Uv(path) => path,
        }
    }
}

/// Returns the first requirement without a hash, and the number of its line.
fn without_hash(text: &str) -> Option<(usize, String)> {
    let mut whole = String::new();
    let mut first = 0;
    for (number, line) in text.lines().enumerate() {
        if whole.is_empty() {
            first = number + 1;
        }
        // A comment begins with the line or after white space.
        let line = if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
        if let Some(part) = line.trim_end().strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            continue;
        }
        whole.push_str(line);
        let mut words = whole.split_whitespace();
        if let Some(word) = words.next()
            && (!word.starts_with('-') || word == "-e" || word == "--editable")
            && !words.any(|word| word.starts_with("--hash=") || word == "--hash")
        {
            return Some((first, whole.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        whole.clear();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_requirement_without_a_hash_is_found() {
        let sound = "# a comment\n--index-url https://x.test/simple\nsix==1.17.0 \\\n    --hash=sha256:aa \\\n    \
                     --hash=sha256:bb  # via x\n\nidna==3.10 --hash=sha256:cc\n";
        assert_eq!(without_hash(sound), None);
        let found = without_hash(&format!("{sound}click==8.1 ; python_version > '3' \\\n  # via y\n"));
        assert_eq!(found, Some((8, "click==8.1 ; python_version > '3'".into())));
        assert_eq!(without_hash("-e ./local\n"), Some((1, "-e ./local".into())));
        assert_eq!(without_hash("--no-binary :all:\n-r other.txt\n"), None);
    }

    #[test]
    fn the_name_says_what_a_lock_is() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let path = directory.path().join(name);
            fs_err::write(&path, "").unwrap();
            Lock::open(&path)
        };
        assert!(matches!(open("uv.lock"), Ok(Lock::Uv(_))));
        assert!(matches!(open("pylock.toml"), Ok(Lock::Pylock(_))));
        assert!(matches!(open("pylock.web.toml"), Ok(Lock::Pylock(_))));
        assert!(matches!(open("production.txt"), Ok(Lock::Requirements(_))));
        assert!(open("poetry.lock").unwrap_err().to_string().contains("poetry.lock is not a lock"));
        assert!(matches!(Lock::open(&directory.path().join("absent/uv.lock")), Err(crate::error::Error::Io(_))));
    }
}
