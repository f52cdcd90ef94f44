//! Files that libraries load or read by name, on this host.

use std::path::{Path, PathBuf};

use super::toolchain::Toolchain;
use crate::error::Result;
use crate::recipe::{Loaded, ReleaseRecipe};

/// The directories of data, below the root directory of the target's files. Debian 12 keeps terminfo in the last.
const DATA: &[&str] = &["usr/share", "usr/lib", "lib"];

/// A file that a library of this host loads or reads by name.
pub(super) struct Place<'r> {
    /// What the recipe says.
    pub loaded: &'r Loaded,
    /// Its path in the prefix.
    pub file: &'r str,
    /// Its path on this host, or `None` if it is missing.
    pub path: Option<PathBuf>,
}

/// Returns the files that the libraries of this host load or read by name.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) if a path cannot be resolved.
pub(super) fn find<'r>(recipe: &'r ReleaseRecipe, toolchain: &Toolchain<'_>) -> Result<Vec<Place<'r>>> {
    let mut places = Vec::new();
    for loaded in recipe.shared.libraries.iter().flat_map(|library| &library.loaded) {
        if toolchain.library(&loaded.by)?.is_none() {
            continue;
        }
        for file in &loaded.files {
            let path = candidates(file, &toolchain.sysroot, &toolchain.library_directories)
                .into_iter()
                .find(|path| path.is_file())
                .map(fs_err::canonicalize)
                .transpose()?;
            places.push(Place { loaded, file, path });
        }
    }
    Ok(places)
}

/// Returns the paths that a file may have on a host.
fn candidates(file: &str, sysroot: &Path, library_directories: &[PathBuf]) -> Vec<PathBuf> {
    let below = |directories: Vec<PathBuf>, rest: &str| directories.into_iter().map(|place| place.join(rest)).collect();
    if let Some(rest) = file.strip_prefix("lib/") {
        below(library_directories.to_vec(), rest)
    } else {
        let rest = file.strip_prefix("share/").unwrap_or(file);
        below(DATA.iter().map(|directory| sysroot.join(directory)).collect(), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_data_have_directories_of_their_own() {
        let root = Path::new("/root");
        let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib"].map(PathBuf::from);
        let paths = |file: &str| -> Vec<String> {
            candidates(file, root, &libraries).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            paths("lib/ossl-modules/legacy.so"),
            ["/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so", "/usr/lib/ossl-modules/legacy.so"]
        );
        assert_eq!(
            paths("share/terminfo/x/xterm"),
            ["/root/usr/share/terminfo/x/xterm", "/root/usr/lib/terminfo/x/xterm", "/root/lib/terminfo/x/xterm"]
        );
    }
}
