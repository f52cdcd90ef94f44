//! The locks of applications: which forms there are, and how a file's name tells its form.

use std::path::Path;

/// The form of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockForm {
    /// `requirements.txt` with hashes, as `pip-compile --generate-hashes` and `uv export` write it.
    Requirements,
    /// `pylock.toml` (PEP 751).
    Pylock,
    /// `uv.lock`, beside its `pyproject.toml`.
    Uv,
}

impl LockForm {
    /// Tells the form by the name of the file, or returns `None` for what is no lock.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy();
        let has_extension = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
        if name == "uv.lock" {
            Some(Self::Uv)
        } else if name.starts_with("pylock.") && has_extension("toml") {
            Some(Self::Pylock)
        } else {
            has_extension("txt").then_some(Self::Requirements)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_a_lock_is() {
        for (name, form) in [
            ("uv.lock", Some(LockForm::Uv)),
            ("dir/pylock.toml", Some(LockForm::Pylock)),
            ("pylock.dev.toml", Some(LockForm::Pylock)),
            ("requirements.txt", Some(LockForm::Requirements)),
            ("pyproject.toml", None),
            ("poetry.lock", None),
            ("requirements.in", None),
            ("", None),
        ] {
            assert_eq!(LockForm::of(Path::new(name)), form, "{name}");
        }
    }
}
