//! The libraries of which CPython's source has a copy, and their versions as the copies themselves state them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::Result;

/// A copy in the source.
struct Copy {
    name: &'static str,
    /// The file that states the version, below the top of the source.
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
];

/// The versions of the copies that are compiled into the interpreter or its modules, by name. `needed` are the sonames
/// that these need themselves: a library of another library is not used in place of a copy.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a file is there and cannot be read.
pub(super) fn read(source: &Path, needed: &BTreeSet<String>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for copy in COPIES {
        let file = source.join(copy.file);
        let is_of_system =
            needed.iter().any(|soname| soname.strip_prefix(copy.of_system).is_some_and(|rest| rest.starts_with(".so")));
        if !is_of_system
            && file.is_file()
            && let Some(version) = (copy.version)(&fs_err::read_to_string(&file)?)
        {
            found.insert(copy.name.to_owned(), version);
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

fn hacl(text: &str) -> Option<String> {
    let commit = text.lines().find_map(|line| line.strip_prefix("expected_hacl_star_rev="))?;
    Some(commit.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_the_copies_state() {
        let source = tempfile::tempdir().unwrap();
        for (file, text) in [
            (
                COPIES[0].file,
                "#ifndef X\n#define XML_MAJOR_VERSION 2\n#  define XML_MINOR_VERSION 7\n#  define XML_MICRO_VERSION 1\n",
            ),
            (COPIES[1].file, "#define MPD_VERSION_HEX 1\n#define MPD_VERSION \"2.5.1\"\n"),
            (COPIES[2].file, "# Update this\nexpected_hacl_star_rev=bb3d0dc8d9d1\nhacl_dir=x\n"),
        ] {
            let path = source.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let versions = |needed: &[&str]| {
            let needed = needed.iter().map(ToString::to_string).collect();
            let found = read(source.path(), &needed).unwrap().into_iter();
            found.map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>()
        };
        assert_eq!(versions(&["libz.so.1"]), ["expat 2.7.1", "hacl-star bb3d0dc8d9d1", "mpdecimal 2.5.1"]);

        assert_eq!(versions(&["libz.so.1", "libexpat.so.1"]), ["hacl-star bb3d0dc8d9d1", "mpdecimal 2.5.1"]);
        assert!(read(&source.path().join("no such"), &BTreeSet::new()).unwrap().is_empty());
    }
}
