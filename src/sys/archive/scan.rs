//! Scanning: reads what a tarball holds, with suspicion, and writes nothing.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::super::interrupt;
use super::guard::{Guard, type_name};
use crate::error::Result;

/// Hands every file of a tarball with one directory at its top to `file`, with its path below that
/// top, and counts the symbolic links. The content is read as it comes, so that nothing is held.
///
/// `name` is the archive's name for errors.
///
/// # Errors
/// [`HostileArchive`](crate::error::Error::HostileArchive), [`Damaged`](crate::error::Error::Damaged),
/// what the system answers, or what `file` answers.
pub fn scan(name: &str, reader: impl Read, mut file: impl FnMut(PathBuf, &mut dyn Read) -> Result<()>) -> Result<u64> {
    let mut guard = Guard::new(name);
    let mut archive = tar::Archive::new(reader);
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let (mut links, mut bytes) = (0, 0);
    for entry in archive.entries().map_err(|error| guard.damaged(&error))? {
        interrupt::check()?;
        let mut entry = entry.map_err(|error| guard.damaged(&error))?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            continue;
        }
        let path = guard.path(&entry.path_bytes())?;
        match kind {
            EntryType::Directory => {}
            EntryType::Symlink => links += 1,
            EntryType::Regular | EntryType::Continuous => {
                bytes += entry.size();
                guard.allows(bytes)?;
                if path == Path::new("") {
                    return Err(guard.hostile("it has a file at its top instead of a directory"));
                }
                if !seen.insert(path.clone()) {
                    return Err(guard.hostile(format!("{} is there twice", path.display())));
                }
                file(path, &mut entry)?;
            }
            other => return Err(guard.hostile(format!("{} is a {}", path.display(), type_name(other)))),
        }
    }
    guard.top()?;
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (kind, path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

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
            (EntryType::Symlink, "top/lib/b", ""),
        ]);
        assert_eq!(scanned(&bytes).unwrap(), (vec![("lib/a".into(), "content".into())], 1));
    }

    #[test]
    fn hostile_archives_are_refused_with_a_reason() {
        type Case<'a> = (&'a str, &'a [(EntryType, &'a str, &'a str)]);
        let cases: &[Case<'_>] = &[
            ("leads out of it", &[(EntryType::Regular, "top/../../evil", "x")]),
            ("is there twice", &[(EntryType::Regular, "top/a", "x"), (EntryType::Regular, "top/./a", "y")]),
            ("a device", &[(EntryType::Char, "top/null", "")]),
            ("a hard link", &[(EntryType::Link, "top/b", "")]),
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
