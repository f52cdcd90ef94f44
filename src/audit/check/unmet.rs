//! What a Python or an environment that is put into a root file system needs of it and does not find, without an image.

use std::collections::BTreeSet;
use std::path::Path;

use super::Standards;
use super::image::{Image, LayerBudget};
use super::subject::Subject;
use crate::error::Result;

/// A directory of this system, and where it will be in a root file system.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The directory.
    pub directory: &'a Path,
    /// Its absolute path there.
    pub at: &'a Path,
}

/// A need that is not met.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmet {
    /// The soname of the library.
    pub library: String,
    /// The symbol version that the one there does not define; none if there is none.
    pub version: Option<String>,
    /// The file that needs it, by its path there.
    pub by: String,
}

/// Returns what the extension modules below `of` need and do not find, in a root file system to which directories are
/// added. A library that a package brings along is found by the package.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io), [`Error::Interrupted`](crate::error::Error::Interrupted); those of
/// [`Image::read`].
pub fn unmet(root: &Path, placed: &[Placed<'_>], of: &Path) -> Result<BTreeSet<Unmet>> {
    let mut image = Image::read(root, LayerBudget::USUAL)?;
    for Placed { directory, at } in placed {
        image.add(directory, at)?;
    }
    let standards = Standards::default();
    let subject = Subject::new(&image, &standards);
    let below = format!("{}/", of.display());
    let mut found = BTreeSet::new();
    for environment in &subject.environments {
        subject.linker.each_extension(environment, |module, process| {
            if !module.starts_with(&below) {
                return;
            }
            for missing in &process.missing {
                let (library, by) = (missing.library.clone(), missing.by.clone());
                found.insert(Unmet { library, version: None, by });
            }
            for (object, provider, version) in process.missing_versions() {
                let library = provider.path.rsplit('/').next().unwrap_or_default().to_owned();
                found.insert(Unmet { library, version: Some(version.to_owned()), by: object.path.clone() });
            }
        });
    }
    let missing: BTreeSet<&str> =
        found.iter().filter(|need| need.version.is_none()).map(|need| need.library.as_str()).collect();
    // A package loads its own libraries before what needs them.
    let of_wheels = subject.tree.named(&missing).filter(|(_, path)| subject.is_of_a_wheel(path));
    let brought: BTreeSet<String> = of_wheels.map(|(library, _)| library.to_owned()).collect();
    found.retain(|need| need.version.is_some() || !brought.contains(&need.library));
    Ok(found)
}
