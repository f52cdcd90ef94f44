//! The files below an image from scratch, in a directory: what a Dockerfile copies into `FROM scratch`.

use std::path::{Path, PathBuf};

use super::System;
use super::authorities::Authorities;
use super::host::Host;
use super::needed::{Need, Needed};
use super::root::{Parts, Root};
use crate::domain::image::Libc;
use crate::domain::manifest::MANIFEST_PATH;
use crate::domain::target::Target;
use crate::error::{Error, ImageError, Result};
use crate::event::{Reporter, staged};
use crate::sys::fs::{self, Kind};
use crate::sys::interrupt;

/// What the files are for.
#[derive(Debug, Clone, Copy)]
pub struct Rootfs<'a> {
    /// Roots that Pythons were installed into, and that applications are in.
    pub trees: &'a [PathBuf],
    /// Packages of this system whose files are wanted, whether a file names them or not.
    pub packages: &'a [String],
    /// Where the C library comes from.
    pub libc: Libc,
    /// Certificates that are trusted besides the public ones.
    pub authorities: &'a Authorities,
}

/// Writes the files into a new directory, with the time stamps and modes of the layer that an image without a base has.
/// Returns their number and their size in bytes.
///
/// # Errors
/// - [`ImageError::HostFile`] if this system lacks a file that is needed;
/// - [`ImageError::Tree`] for a tree without a directory, and for a directory that has something in it;
/// - [`Error::Io`], [`Error::Interrupted`].
pub fn write_root(
    root: &Rootfs<'_>,
    system: System<'_>,
    directory: &Path,
    reporter: &dyn Reporter,
) -> Result<(u64, u64)> {
    let unfit = |path: &Path, reason: &str| {
        Error::from(ImageError::Tree { path: path.display().to_string(), reason: reason.into() })
    };
    if directory.symlink_metadata().is_ok() && fs_err::read_dir(directory)?.next().is_some() {
        return Err(unfit(directory, "something is in it already"));
    }
    let mut needed = Needed::new(Target::OF_THIS_PROGRAM);
    for tree in root.trees {
        if !tree.is_dir() {
            return Err(unfit(tree, "it is not a directory"));
        }
        note(tree, &mut needed)?;
    }
    let name = directory.display().to_string();
    let written = move || {
        let host = Host::new(system.runner, system.distro, Target::OF_THIS_PROGRAM)?;
        let mut files = Root::default();
        files.add_packages(&host, root.packages, &mut needed)?;
        let Rootfs { libc, authorities, .. } = *root;
        files.collect(&host, &needed, Parts { libc, authorities }, reporter)?;
        let parent = fs::directory_of(directory);
        fs_err::create_dir_all(parent)?;
        // It has its name when it is whole; an empty directory is replaced.
        let new = fs::temporary_directory_in(parent, ".pykeel-rootfs-")?;
        let placed = files.place(new.path())?;
        fs_err::rename(new.path(), directory)?;
        let _moved = new.keep();
        Ok(placed)
    };
    staged(reporter, "root", name, written, |(files, size)| format!("{files} files, {size} bytes"))
}

/// Notes what the programs and libraries of a tree need. What a Python needs has to be there; a package of an
/// application may carry a module that nobody imports.
fn note(tree: &Path, needed: &mut Needed) -> Result<()> {
    let entries = fs::walk(tree)?;
    let prefixes: Vec<&Path> = entries
        .iter()
        .filter(|entry| entry.path.ends_with(MANIFEST_PATH))
        .filter_map(|entry| entry.path.ancestors().nth(Path::new(MANIFEST_PATH).iter().count()))
        .collect();
    for entry in &entries {
        interrupt::check()?;
        let Kind::File { .. } = entry.kind else { continue };
        let is_python = prefixes.iter().any(|prefix| entry.path.starts_with(prefix));
        let need = if is_python { Need::Required } else { Need::Optional };
        let _beginning = needed.note_file(&tree.join(&entry.path), &entry.path, need)?;
    }
    Ok(())
}
