//! Reads an untrusted tarball and writes nothing.

use std::collections::HashSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::entries::{self, Limits, Member};
use crate::error::{Error, Result};

/// Calls `file` with the path (below the top directory) and the content of every file of a tarball, and
/// returns the number of symbolic links. The content is streamed and not kept in memory.
///
/// `name` is the archive's name for errors.
///
/// # Errors
/// [`Error::HostileArchive`], [`Error::Damaged`], [`Error::Io`], [`Error::Interrupted`], and those of
/// `file`.
pub fn scan(name: &str, reader: impl Read, mut file: impl FnMut(PathBuf, &mut dyn Read) -> Result<()>) -> Result<u64> {
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut links = 0;
    entries::read(name, reader, Limits::USUAL, &mut |entry| {
        match entry.member {
            Member::Directory => {}
            Member::Link(_) => links += 1,
            Member::File { .. } => {
                if !seen.insert(entry.path.clone()) {
                    let reason = format!("{} occurs twice", entry.path.display());
                    return Err(Error::HostileArchive { archive: name.to_owned(), reason });
                }
                entry.hand_over(&mut file)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(links)
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::super::hostile::archive;
    use super::*;

    fn scanned(bytes: &[u8]) -> Result<(Vec<(String, String)>, u64)> {
        let mut files = Vec::new();
        let links = scan("evil.tar", bytes, |path, reader| {
            let mut content = String::new();
            reader.read_to_string(&mut content)?;
            files.push((path.display().to_string(), content));
            Ok(())
        })?;
        Ok((files, links))
    }

    #[test]
    fn files_are_handed_over_and_links_counted() {
        let bytes = archive(&[
            (EntryType::Directory, "top/", ""),
            (EntryType::Regular, "top/lib/a", "content"),
            (EntryType::Symlink, "top/lib/b", "a"),
        ]);
        assert_eq!(scanned(&bytes).unwrap(), (vec![("lib/a".into(), "content".into())], 1));
    }

    #[test]
    fn hostile_archives_are_refused_with_a_reason() {
        type Case<'a> = (&'a str, &'a [(EntryType, &'a str, &'a str)]);
        let cases: &[Case<'_>] = &[
            ("leads out of the archive", &[(EntryType::Regular, "top/../../evil", "x")]),
            ("occurs twice", &[(EntryType::Regular, "top/a", "x"), (EntryType::Regular, "top/./a", "y")]),
            ("a device", &[(EntryType::Char, "top/null", "")]),
            ("a hard link", &[(EntryType::Link, "top/b", "top/a")]),
            ("two directories at its top", &[(EntryType::Regular, "top/a", "x"), (EntryType::Regular, "b/a", "x")]),
            ("a file at its top", &[(EntryType::Regular, "top", "x")]),
        ];
        for (reason, entries) in cases {
            match scanned(&archive(entries)) {
                Err(error @ Error::HostileArchive { .. }) => assert!(error.to_string().contains(reason), "{error}"),
                other => panic!("{entries:?}: {other:?}"),
            }
        }
        assert!(matches!(scanned(&[]), Err(Error::Damaged { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(flips in proptest::collection::vec((0usize..1536, proptest::prelude::any::<u8>()), 0..8)) {
            let mut bytes = archive(&[(EntryType::Regular, "top/a", "b"), (EntryType::Regular, "top/b", "content")]);
            for (at, byte) in flips {
                bytes[at] = byte;
            }
            scanned(&bytes).ok();
        }
    }
}
