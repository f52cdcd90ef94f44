//! Makes an image of artifacts, on a base or from scratch: one file that is an OCI archive and that `docker load` reads.
//! Nothing is unpacked: an artifact's tarball becomes a layer while its digest is checked.

mod app;
mod assembly;
mod authorities;
mod base;
mod config;
mod description;
mod host;
mod needed;
mod python;
mod root;
mod rootfs;

use std::path::{Path, PathBuf};

pub use self::app::App;
pub use self::authorities::Authorities;
pub use self::config::AddedLayer;
pub use self::root::APP_USER;
pub use self::rootfs::{Rootfs, write_root};

use self::assembly::Assembly;
use self::base::BaseTree;
use self::needed::Needed;
use crate::domain::image::{Compression, Libc};
use crate::domain::manifest::Manifest;
use crate::domain::target::Target;
use crate::error::Result;
use crate::event::Reporter;
use crate::store::StoredArtifact;
use crate::sys::distro::Distro;
use crate::sys::fs;
use crate::sys::oci::document::Annotations;
use crate::sys::oci::{ArchiveWriter, Blob};
use crate::sys::process::Runner;

/// A Python of the image.
#[derive(Debug, Clone)]
pub struct Python {
    /// The artifact.
    pub artifact: StoredArtifact,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What an image is made of besides its Pythons.
#[derive(Debug, Clone)]
pub struct Options {
    /// The image that it is built on.
    pub base: Option<PathBuf>,
    /// The trees of the application: its environment, its code.
    pub apps: Vec<App>,
    /// Where a C library comes from, if there is no base.
    pub libc: Libc,
    /// How its own layers are compressed.
    pub compression: Compression,
    /// Certificates that it trusts besides the public ones.
    pub authorities: Authorities,
    /// The user that it runs as: a name or numbers.
    pub user: Option<String>,
    /// Labels, which are annotations too.
    pub labels: Annotations,
    /// Its name with a tag.
    pub reference: String,
    /// Which Python is `python3`.
    pub default: usize,
}

/// This system, for what an image takes from it.
#[derive(Clone, Copy)]
pub struct System<'a> {
    /// The distribution.
    pub distro: &'a Distro,
    /// Runs the package manager's programs.
    pub runner: &'a dyn Runner,
}

/// An image that was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its manifest.
    pub manifest: Blob,
    /// Its configuration.
    pub config: Blob,
    /// Its layers, the lowest first.
    pub layers: Vec<AddedLayer>,
    /// The user that it runs as; empty for root.
    pub user: String,
    /// The size of the archive in bytes.
    pub size: u64,
}

/// Makes an image and writes it to a file, which it replaces when the image is complete.
///
/// # Errors
/// - [`crate::error::Error::Unreadable`], [`crate::error::ImageError::NotAnImage`], [`crate::error::Error::HostileArchive`], [`crate::error::Error::Damaged`] or
///   [`crate::error::Error::DigestMismatch`] for a base that cannot be read, and the last three for a damaged artifact;
/// - [`crate::error::ImageError::Unfit`] for a base that a Python does not run on;
/// - [`crate::error::ImageError::HostFile`] if this system lacks a file that an image from scratch needs;
/// - [`crate::error::ImageError::UnknownUser`], [`crate::error::ImageError::Tree`];
/// - [`crate::error::Error::Io`], [`crate::error::Error::Interrupted`].
pub fn write(
    pythons: &[Python],
    options: &Options,
    system: System<'_>,
    output: &Path,
    reporter: &dyn Reporter,
) -> Result<Written> {
    let epoch = pythons.iter().map(|python| python.manifest.source_date_epoch).max().unwrap_or_default();
    let target = pythons.first().map_or(Target::OF_THIS_PROGRAM, |python| python.manifest.plan.request.target);
    let directory = fs::directory_of(output);
    fs_err::create_dir_all(directory)?;
    let file = fs::temporary_in(directory)?;
    // Nobody knows the temporary file by its name.
    let archive = ArchiveWriter::new(fs_err::File::from_parts(file.reopen()?, output), epoch)?;
    let needed = Needed::new(target);
    let tree = if options.base.is_some() { BaseTree::default() } else { root::tree() };
    let mut assembly = Assembly { pythons, options, system, reporter, archive, epoch, target, needed, tree };
    let mut layers = Vec::new();
    let base = options.base.as_deref().map(|base| assembly.base(base, &mut layers)).transpose()?;
    assembly.added(&mut layers)?;
    if base.is_none() {
        // What the other layers need of it is known only now.
        layers.insert(0, assembly.root()?);
    }
    let written = assembly.documents(base.as_ref(), layers)?;
    fs::persist(file, output)?;
    Ok(written)
}
