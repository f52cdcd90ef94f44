//! The note about other copies of bundled libraries, which `install` and `verify` print.

use std::path::Path;

use super::place_name;
use crate::domain::manifest::Manifest;
use crate::event::{Event, Reporter};
use crate::prefix::copies::{OtherCopy, other_copies};

/// Returns the other copies of a root. If it cannot be read, a warning says so, because the Python itself is fine.
pub(super) fn found(manifest: &Manifest, root: &Path, reporter: &dyn Reporter) -> Vec<OtherCopy> {
    match other_copies(manifest, root) {
        Ok(copies) => copies,
        Err(error) => {
            reporter.report(Event::Warning(format!("cannot compare the libraries of {}: {error}", root.display())));
            Vec::new()
        }
    }
}

/// Returns the note, or `None` if there are no other copies. docs/libraries.md shows it.
pub(super) fn note(copies: &[OtherCopy], root: &Path) -> Option<String> {
    let copy = |copy: &OtherCopy| {
        let there = match (&copy.package, &copy.version) {
            (Some(package), Some(version)) => format!("{package} {version}"),
            _ => copy.path.clone(),
        };
        format!("{} (bundled {}, there {there})", copy.soname, copy.bundled_version)
    };
    let names: Vec<String> = copies.iter().map(copy).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} has other copies of bundled libraries: {}; a process uses the copy that it loads first, so extension \
             modules that link to them can fail or change the version by the order of imports; build with `--libraries \
             system` to use the copies there",
            place_name(root),
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_copies_are_named_with_both_versions() {
        let copy = OtherCopy {
            soname: "libssl.so.3".into(),
            bundled_version: "3.0.17-1".into(),
            path: "/usr/lib/libssl.so.3".into(),
            package: Some("libssl3t64".into()),
            version: Some("3.5.1-1".into()),
        };
        let unowned = OtherCopy { package: None, ..copy.clone() };
        assert_eq!(note(&[], Path::new("/")), None);
        let text = note(&[copy, unowned], Path::new("/image")).unwrap();
        let expected = "/image has other copies of bundled libraries: libssl.so.3 (bundled 3.0.17-1, there libssl3t64 \
                        3.5.1-1), libssl.so.3 (bundled 3.0.17-1, there /usr/lib/libssl.so.3); a process uses the copy";
        assert!(text.starts_with(expected), "{text}");
    }
}
