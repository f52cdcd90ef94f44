//! The libraries of which CPython's source has a copy, and their versions where the copies themselves state them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::Result;

/// A copy in the source.
struct Copy {
    name: &'static str,
    /// A file that only the copy has, below the top of the source. It states the version if any file does.
    file: &'static str,
    /// Finds the version in the text of the file.
    version: fn(&str) -> Option<String>,
    /// The soname of the system's library that an overlay may link in its place, without what follows `.so`.
    of_system: &'static str,
}

const COPIES: &[Copy] = &[
    Copy { name: "expat", file: "Modules/expat/expat.h", version: expat, of_system: "libexpat" },
    Copy {
        name: "mpdecimal",
        file: "Modules/_decimal/libmpdec/mpdecimal.h",
        version: mpdecimal,
        of_system: "libmpdec",
    },
    // A commit: HACL* has no releases.
    Copy { name: "hacl-star", file: "Modules/_hacl/refresh.sh", version: hacl, of_system: "libhacl" },
    // Up to 3.13. Later series take BLAKE2 from HACL*.
    Copy { name: "libb2", file: "Modules/_blake2/impl/blake2.h", version: unstated, of_system: "libb2" },
    // From 3.13 on.
    Copy {
        name: "mimalloc",
        file: "Include/internal/mimalloc/mimalloc.h",
        version: mimalloc,
        of_system: "libmimalloc",
    },
    // Up to 3.10, and in 3.11: the two before HACL* that SHA-3 was taken from.
    Copy { name: "keccak", file: "Modules/_sha3/kcp/KeccakSponge.h", version: unstated, of_system: "libkeccak" },
    Copy { name: "tiny-sha3", file: "Modules/_sha3/sha3.h", version: unstated, of_system: "libtiny_sha3" },
];

/// The versions of the copies that are compiled into the interpreter or its modules, by name; `None` for a copy whose
/// version nothing states. `needed` are the sonames that these need themselves: a library of another library is not used
/// in place of a copy.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file is there and cannot be read.
pub(super) fn read(source: &Path, needed: &BTreeSet<String>) -> Result<BTreeMap<String, Option<String>>> {
    let mut found = BTreeMap::new();
    for copy in COPIES {
        let file = source.join(copy.file);
        let is_of_system =
            needed.iter().any(|soname| soname.strip_prefix(copy.of_system).is_some_and(|rest| rest.starts_with(".so")));
        if !is_of_system && file.is_file() {
            let text = String::from_utf8_lossy(&fs_err::read(&file)?).into_owned();
            found.insert(copy.name.to_owned(), (copy.version)(&text));
        }
    }
    Ok(found)
}

/// The value of a C macro.
fn macro_value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        // `#  define` in later releases of expat.
        let mut words = line.strip_prefix('#')?.trim_start().strip_prefix("define ")?.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()).flatten()
    })
}

fn expat(text: &str) -> Option<String> {
    let part = |name| macro_value(text, name);
    Some([part("XML_MAJOR_VERSION")?, part("XML_MINOR_VERSION")?, part("XML_MICRO_VERSION")?].join("."))
}

fn mpdecimal(text: &str) -> Option<String> {
    Some(macro_value(text, "MPD_VERSION")?.trim_matches('"').to_owned())
}

/// `212` is 2.1.2: `MI_MALLOC_VERSION` has one digit for each part.
fn mimalloc(text: &str) -> Option<String> {
    let digits = macro_value(text, "MI_MALLOC_VERSION")?;
    let parts: Vec<String> = digits.chars().map(String::from).collect();
    (parts.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| parts.join("."))
}

/// No file of the copy states a version.
const fn unstated(_: &str) -> Option<String> {
    None
}

fn hacl(text: &str) -> Option<String> {
    let commit = text.lines().find_map(|line| line.strip_prefix("expected_hacl_star_rev="))?;
    Some(commit.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source with files, and what is found in it.
    fn versions(files: &[(&str, &str)], needed: &[&str]) -> Vec<String> {
        let source = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = source.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let needed = needed.iter().map(ToString::to_string).collect();
        let found = read(source.path(), &needed).unwrap().into_iter();
        found.map(|(name, version)| format!("{name} {}", version.as_deref().unwrap_or("unstated"))).collect()
    }

    #[test]
    fn versions_are_those_that_the_copies_state() {
        let files = [
            (
                "Modules/expat/expat.h",
                "#ifndef X\n#define XML_MAJOR_VERSION 2\n#  define XML_MINOR_VERSION 7\n#  define XML_MICRO_VERSION 1\n",
            ),
            ("Modules/_decimal/libmpdec/mpdecimal.h", "#define MPD_VERSION_HEX 1\n#define MPD_VERSION \"2.5.1\"\n"),
            ("Modules/_hacl/refresh.sh", "# Update this\nexpected_hacl_star_rev=bb3d0dc8d9d1\nhacl_dir=x\n"),
            ("Modules/_blake2/impl/blake2.h", "#pragma once\n"),
            ("Include/internal/mimalloc/mimalloc.h", "#define MI_MALLOC_VERSION 212   // major + 2 digits minor\n"),
        ];
        let others = ["hacl-star bb3d0dc8d9d1", "libb2 unstated", "mimalloc 2.1.2"];
        let with_expat = [&["expat 2.7.1"], &others[..], &["mpdecimal 2.5.1"]].concat();
        assert_eq!(versions(&files, &["libz.so.1"]), with_expat);
        assert_eq!(versions(&files, &["libz.so.1", "libexpat.so.1"]), with_expat[1..]);
        assert!(versions(&[], &[]).is_empty());
    }

    #[test]
    fn a_copy_whose_version_cannot_be_read_is_named_all_the_same() {
        let files = [
            ("Modules/expat/expat.h", "#define XML_MAJOR_VERSION 3\n"),
            ("Include/internal/mimalloc/mimalloc.h", "#define MI_MALLOC_VERSION 20102\n"),
            ("Modules/_sha3/kcp/KeccakSponge.h", "/* \u{fc} */\n"),
            ("Modules/_sha3/sha3.h", ""),
        ];
        let found = ["expat unstated", "keccak unstated", "mimalloc unstated", "tiny-sha3 unstated"];
        assert_eq!(versions(&files, &[]), found);
    }
}
