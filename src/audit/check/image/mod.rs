//! Reads an image into memory: a root file system, an OCI layout, or an archive of one. Nothing is unpacked, nothing of
//! it is run, and no privileges are needed.

mod config;
mod content;
mod layer;
mod rootfs;
#[cfg(test)]
mod tests;
mod tree;

use std::io;
use std::path::Path;

use serde::Serialize;

pub use self::config::ImageConfig;
pub use self::content::{Content, File, Header};
pub use self::tree::{Kind, Node, Tree};
use crate::domain::target::Target;
use crate::error::{Error, ImageError, Result};
pub use crate::sys::archive::LayerBudget;
use crate::sys::oci::{ExportedRoot, ImageSource, Opened};

/// The most Pythons and virtual environments of an image: rules compare each file with each of them.
const MOST_ENVIRONMENTS: usize = 1000;

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
    /// [`Error::Unreadable`] if it cannot be read, [`Error::Image`] for what is no image, [`Error::HostileArchive`],
    /// [`Error::Damaged`], [`Error::DigestMismatch`], [`Error::Io`], [`Error::Interrupted`].
    pub fn read(path: &Path, budget: LayerBudget) -> Result<Self> {
        let image = Self::read_any(path, budget)?;
        let environments = image.tree.iter().filter(|(path, _)| is_of_environment(path)).count();
        if environments > MOST_ENVIRONMENTS {
            let reason = format!("it has more than {MOST_ENVIRONMENTS} Pythons and virtual environments");
            return Err(Error::HostileArchive { archive: path.display().to_string(), reason });
        }
        Ok(image)
    }

    fn read_any(path: &Path, mut budget: LayerBudget) -> Result<Self> {
        let facts = fs_err::metadata(path).map_err(Error::Unreadable)?;
        if facts.is_dir() && !is_layout(path) {
            let tree = rootfs::read(path, &mut budget)?;
            return Ok(Self { tree, config: None, layers: vec![Layer::of(path)] });
        }
        match Opened::open(path)? {
            Opened::Images(source) => Self::of_image(&source, budget),
            Opened::Root(root) => Self::of_export(path, &root, budget),
        }
    }

    /// Adds a directory of this system at an absolute path, in place of what is there.
    ///
    /// # Errors
    /// [`Error::HostileArchive`] if more would be kept of it than of an image; [`Error::Io`], [`Error::Interrupted`].
    pub fn add(&mut self, directory: &Path, at: &Path) -> Result<()> {
        let at = at.to_string_lossy();
        self.tree.remove(&at, usize::MAX);
        rootfs::read_into(&mut self.tree, directory, &at, &mut LayerBudget::USUAL.clone())
    }

    fn of_image(source: &ImageSource, mut budget: LayerBudget) -> Result<Self> {
        let image = source.image_for(Target::OF_THIS_PROGRAM)?;
        let config = ImageConfig::parse(&image.config)
            .map_err(|error| Error::Damaged { what: source.name(), reason: format!("its configuration: {error}") })?;
        let (mut tree, mut layers) = (Tree::default(), Vec::new());
        for (index, layer) in image.layers.iter().enumerate() {
            source.read_layer(layer, &mut io::sink(), |name, tarball| {
                layer::apply(&mut tree, name, index, tarball, &mut budget)
            })?;
            let made_by = config.made_by.get(index).filter(|text| !text.is_empty()).cloned();
            layers.push(Layer { name: layer.name(), made_by });
        }
        Ok(Self { tree, config: Some(config), layers })
    }

    /// The root file system that `docker export` writes as a tarball.
    fn of_export(path: &Path, root: &ExportedRoot, mut budget: LayerBudget) -> Result<Self> {
        let mut tree = Tree::default();
        root.read(|name, tarball| layer::apply(&mut tree, name, 0, tarball, &mut budget))?;
        if !["/usr", "/bin", "/etc", "/opt"].iter().any(|directory| tree.get(directory).is_some()) {
            let reason = "it has no index.json, manifest.json or root file system".to_owned();
            return Err(ImageError::NotAnImage { path: path.display().to_string(), reason }.into());
        }
        Ok(Self { tree, config: None, layers: vec![Layer::of(path)] })
    }
}

impl Layer {
    /// A root file system.
    fn of(path: &Path) -> Self {
        Self { name: path.display().to_string(), made_by: None }
    }
}

/// Whether a file makes a Python or a virtual environment of the directory that it is in.
fn is_of_environment(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or_default();
    let is_library = || directory.rsplit('/').next().is_some_and(|name| name.starts_with("python"));
    name == "pyvenv.cfg" || (matches!(name, "os.py" | "os.pyc") && is_library())
}

/// Whether a directory is an OCI layout or an unpacked archive of `docker save`, and not a root file system.
fn is_layout(path: &Path) -> bool {
    ["index.json", "manifest.json"].iter().any(|name| path.join(name).is_file()) && !path.join("usr").exists()
}
