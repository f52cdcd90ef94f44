//! The headers of a tarball's entries: everything in it except the contents of files.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path};

use crate::domain::contents::path_text;
use crate::domain::rebuild::EntryFacts;
use crate::error::{Error, Result};
use crate::sys::interrupt;

/// Returns the headers of the entries of a tarball. Call [`scan`](super::scan) first: it refuses hostile
/// archives, and this function does not.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Interrupted`].
pub fn facts(name: &str, reader: impl Read) -> Result<Vec<EntryFacts>> {
    let damaged = |error: std::io::Error| Error::Damaged { what: name.to_owned(), reason: error.to_string() };
    let mut archive = tar::Archive::new(reader);
    let mut entries = Vec::new();
    for entry in archive.entries().map_err(damaged)? {
        interrupt::check()?;
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?;
        let mut parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
        let top = parts.next().map(|top| path_text(Path::new(&top))).unwrap_or_default();
        let below: std::path::PathBuf = parts.collect();
        let header = entry.header();
        let number =
            |value: std::io::Result<u64>| value.map_or_else(|error| error.to_string(), |value| value.to_string());
        let bytes = |value: Option<&[u8]>| value.map(|value| value.escape_ascii().to_string()).unwrap_or_default();
        let mode = header.mode().map_or_else(|error| error.to_string(), |mode| format!("{mode:o}"));
        let facts = BTreeMap::from([
            ("top directory", top),
            ("kind", format!("{:?}", header.entry_type())),
            ("mode", mode),
            ("mtime", number(header.mtime())),
            ("owner", format!("{}:{}", number(header.uid()), number(header.gid()))),
            ("owner's name", format!("{}:{}", bytes(header.username_bytes()), bytes(header.groupname_bytes()))),
            ("link", bytes(entry.link_name_bytes().as_deref())),
        ]);
        let path = if below.as_os_str().is_empty() { ".".to_owned() } else { path_text(&below) };
        entries.push(EntryFacts { path, facts });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::super::hostile::archive;
    use super::*;

    #[test]
    fn an_entry_is_told_by_its_header() {
        let bytes = archive(&[
            (EntryType::Directory, "top/", ""),
            (EntryType::Regular, "top/lib/a", "content"),
            (EntryType::Symlink, "top/lib/b", "a"),
        ]);
        let entries = facts("a.tar", &bytes[..]).unwrap();
        let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, [".", "lib/a", "lib/b"]);
        assert_eq!((entries[2].facts["kind"].as_str(), entries[2].facts["link"].as_str()), ("Symlink", "a"));
        assert_eq!(entries[0].facts["top directory"], "top");
        assert!(matches!(facts("a.tar", &bytes[..700]), Err(Error::Damaged { .. })));
    }
}
