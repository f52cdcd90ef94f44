//! Certificates of a company that an image trusts besides the public ones.

use std::path::{Path, PathBuf};

use crate::error::{Error, ImageError, Result};

/// The beginning of a certificate in PEM.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates to add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorities {
    texts: Vec<Vec<u8>>,
}

impl Authorities {
    /// Reads files of certificates in PEM.
    ///
    /// # Errors
    /// [`Error::Unreadable`]; [`ImageError::Tree`] for a file that has none, or that has a private key.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let texts = files.iter().map(|file| {
            let bytes = fs_err::read(file).map_err(Error::Unreadable)?;
            checked(file, &bytes).map(|()| bytes)
        });
        Ok(Self { texts: texts.collect::<Result<_>>()? })
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns a bundle with these certificates at its end.
    #[must_use]
    pub fn bundle(&self, public: &[u8]) -> Vec<u8> {
        let mut bundle = public.to_vec();
        self.texts.iter().for_each(|text| append(&mut bundle, text));
        bundle
    }
}

fn checked(file: &Path, bytes: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(bytes);
    let reason = if text.contains("PRIVATE KEY-----") {
        "it has a private key, which everybody could read in the image"
    } else if text.matches(BEGIN).count() == 0 || text.matches(BEGIN).count() != text.matches(END).count() {
        "it has no whole certificate in PEM"
    } else {
        return Ok(());
    };
    Err(ImageError::Tree { path: file.display().to_string(), reason: reason.into() }.into())
}

/// Appends a text, on a line of its own.
pub(super) fn append(bundle: &mut Vec<u8>, text: &[u8]) {
    if bundle.last().is_some_and(|byte| *byte != b'\n') {
        bundle.push(b'\n');
    }
    bundle.extend_from_slice(text);
    if bundle.last().is_some_and(|byte| *byte != b'\n') {
        bundle.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_added_on_lines_of_their_own_and_keys_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs_err::write(&path, text).unwrap();
            path
        };
        let good = file("good.pem", &format!("{BEGIN}\nAA==\n{END}"));
        let authorities = Authorities::read(std::slice::from_ref(&good)).unwrap();
        assert_eq!(authorities.bundle(b"public"), format!("public\n{BEGIN}\nAA==\n{END}\n").into_bytes());
        for (text, reason) in [
            (format!("{BEGIN}\nAA==\n{END}\n-----BEGIN PRIVATE KEY-----\n"), "private key"),
            (format!("{BEGIN}\nAA=="), "no whole certificate"),
            ("\u{30}\u{82}".into(), "no whole certificate"),
        ] {
            let error = Authorities::read(&[file("bad.pem", &text)]).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(matches!(Authorities::read(&[directory.path().join("none")]), Err(Error::Unreadable(_))));
    }
}
