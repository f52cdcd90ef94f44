//! Reads an image into memory: a root file system, an OCI layout, or an archive of one. Nothing is unpacked, nothing of
//! it is run, and no privileges are needed.

mod blobs;
mod config;
mod content;
mod layer;
mod layout;
mod rootfs;
#[cfg(test)]
mod tests;
mod tree;

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use serde::Serialize;

use self::blobs::{Blobs, format_of};
pub use self::config::ImageConfig;
pub use self::content::{Content, File, Header};
use self::layer::Budget;
pub use self::layer::Limits;
use self::layout::{Blob, Parts};
pub use self::tree::{Kind, Node, Tree};
use crate::domain::digest::HashingReader;
use crate::error::{Error, Result};
use crate::sys::archive::decoder;

/// A layer of an image.
#[derive(Debug, Clone, Serialize)]
pub struct Layer {
    /// Its digest or file name.
    pub name: String,
    /// What made it, as the image says.
    pub made_by: Option<String>,
}

/// An image.
#[derive(Debug)]
pub struct Image {
    /// Its files.
    pub tree: Tree,
    /// Its configuration; a root file system has none.
    pub config: Option<ImageConfig>,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
}

impl Image {
    /// Reads a directory that is a root file system or an OCI layout, or an archive of an image.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for what is no image, [`Error::HostileArchive`], [`Error::Damaged`],
    /// [`Error::DigestMismatch`], [`Error::Io`], [`Error::Interrupted`].
    pub fn read(path: &Path, limits: Limits) -> Result<Self> {
        let facts = fs_err::metadata(path).map_err(Error::Unreadable)?;
        if !facts.is_dir() {
            return Self::of_blobs(&Blobs::of_archive(path)?, limits);
        }
        let blobs = Blobs::of_directory(path);
        if ["oci-layout", "index.json", "manifest.json"].iter().any(|name| path.join(name).is_file())
            && (blobs.has("index.json")? || blobs.has("manifest.json")?)
            && !path.join("usr").exists()
        {
            return Self::of_blobs(&blobs, limits);
        }
        let tree = rootfs::read(path)?;
        let name = path.display().to_string();
        Ok(Self { tree, config: None, layers: vec![Layer { name, made_by: None }] })
    }

    /// Adds a directory of this system at an absolute path, in place of what is there.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Interrupted`].
    pub fn add(&mut self, directory: &Path, at: &Path) -> Result<()> {
        let at = at.to_string_lossy();
        self.tree.remove(&at, 0);
        rootfs::read_into(&mut self.tree, directory, &at)
    }

    fn of_blobs(blobs: &Blobs, limits: Limits) -> Result<Self> {
        let mut tree = Tree::default();
        let budget = Budget::new(limits);
        let Some(parts) = layout::parts(blobs)? else {
            return Self::of_export(blobs, &budget);
        };
        let Parts { config, layers } = parts;
        let config =
            ImageConfig::parse(&config).map_err(|error| blobs.damaged(format!("its configuration: {error}")))?;
        for (index, layer) in layers.iter().enumerate() {
            apply(&mut tree, blobs, index, layer, &budget)?;
        }
        let named = |(index, layer): (usize, &Blob)| Layer {
            name: layer.digest.map_or_else(|| layer.name.clone(), |digest| format!("sha256:{digest}")),
            made_by: config.made_by.get(index).filter(|text| !text.is_empty()).cloned(),
        };
        let layers = layers.iter().enumerate().map(named).collect();
        Ok(Self { tree, config: Some(config), layers })
    }

    /// The root file system that `docker export` writes as a tarball.
    fn of_export(blobs: &Blobs, budget: &Rc<Budget>) -> Result<Self> {
        let mut tree = Tree::default();
        if let Some(whole) = blobs.whole() {
            layer::apply(&mut tree, &blobs.name, 0, BufReader::with_capacity(1 << 16, whole), budget)?;
        }
        if !["/usr", "/bin", "/etc", "/opt"].iter().any(|directory| tree.get(directory).is_some()) {
            let text =
                format!("{}: it is no image: it has no index.json, manifest.json or root file system", blobs.name);
            return Err(Error::Unreadable(io::Error::other(text)));
        }
        Ok(Self { tree, config: None, layers: vec![Layer { name: blobs.name.clone(), made_by: None }] })
    }
}

/// Applies a layer, which may be compressed, and compares its digest.
fn apply(tree: &mut Tree, blobs: &Blobs, index: usize, layer: &Blob, budget: &Rc<Budget>) -> Result<()> {
    let what = format!("{}: {}", blobs.name, layer.name);
    let missing =
        || blobs.damaged(format!("it has no {}, or it is a layer that is fetched from elsewhere", layer.name));
    let reader = blobs.reader(&layer.name)?.ok_or_else(missing)?;
    let mut hashing = HashingReader::new(reader);
    let mut buffered = BufReader::with_capacity(1 << 16, &mut hashing);
    let plain: Box<dyn Read> = match format_of(buffered.fill_buf()?) {
        Some(format) => decoder(format, buffered)?,
        None => Box::new(buffered),
    };
    layer::apply(tree, &what, index, plain, budget)?;
    let Some(expected) = layer.digest else { return Ok(()) };
    let found = hashing.finish()?;
    if found == expected { Ok(()) } else { Err(Error::DigestMismatch { what, found, expected }) }
}
