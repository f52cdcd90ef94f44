//! Intermediates: the output of configure and frozen modules, kept to make the next build of the same
//! source shorter. The key of each covers everything that decides its content, so a build gives the same
//! bytes with and without it.

use std::path::PathBuf;

use super::files::{note_use, read_if_there};
use super::{Store, set_aside_at};
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::event::{Event, Reporter};

/// The length in digits of the digest that an intermediate begins with.
const DIGEST_LENGTH: usize = 64;

impl Store {
    /// The intermediate of a key, if it is there. A damaged one is set aside and counts as missing.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be read or set aside.
    pub fn intermediate(&self, key: Digest, reporter: &dyn Reporter) -> Result<Option<Vec<u8>>> {
        if !self.intermediates {
            return Ok(None);
        }
        self.require_trust()?;
        let path = self.intermediate_path(key);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        if let Some(content) = intermediate_content(&bytes) {
            note_use(&path);
            return Ok(Some(content.to_vec()));
        }
        let place = set_aside_at(self.quarantine_kept(&path, |bytes| intermediate_content(bytes).is_some())?);
        reporter.report(Event::Warning(format!(
            "the cached result {} of an earlier build is damaged; rebuilding it; {place}",
            key.short()
        )));
        Ok(None)
    }

    /// Keeps an intermediate for the next build.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be written.
    pub fn keep_intermediate(&self, key: Digest, bytes: &[u8]) -> Result<()> {
        if !self.intermediates {
            return Ok(());
        }
        let mut content = Digest::of(bytes).to_string().into_bytes();
        content.extend_from_slice(bytes);
        self.keep("intermediates", &self.intermediate_path(key), &content).map(drop)
    }

    fn intermediate_path(&self, key: Digest) -> PathBuf {
        self.root.join("intermediates").join(key.to_string())
    }
}

/// The content of an intermediate, if it has the digest that the file begins with.
fn intermediate_content(bytes: &[u8]) -> Option<&[u8]> {
    let (digest, content) = bytes.split_at_checked(DIGEST_LENGTH)?;
    (digest == Digest::of(content).to_string().as_bytes()).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    #[test]
    fn a_damaged_intermediate_is_missing_and_can_be_kept_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let key = Digest::of("key");
        assert_eq!(store.intermediate(key, &Silent).unwrap(), None);
        store.keep_intermediate(key, b"content").unwrap();
        assert_eq!(store.intermediate(key, &Silent).unwrap().as_deref(), Some(&b"content"[..]));
        for damage in ["", "short", &format!("{}contenT", Digest::of("content"))] {
            fs_err::write(store.intermediate_path(key), damage).unwrap();
            assert_eq!(store.intermediate(key, &Silent).unwrap(), None);
            assert!(!store.intermediate_path(key).exists());
            store.keep_intermediate(key, b"content").unwrap();
        }
    }

    #[test]
    fn a_store_without_intermediates_neither_reads_nor_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let (key, without) = (Digest::of("key"), store.without_intermediates());
        without.keep_intermediate(key, b"content").unwrap();
        assert_eq!(store.intermediate(key, &Silent).unwrap(), None);
        store.keep_intermediate(key, b"content").unwrap();
        assert_eq!(without.intermediate(key, &Silent).unwrap(), None);
    }
}
