//! Writes the layers of an image and what describes it, one after the other, into an archive.

use std::path::Path;

use serde_json::{Map, Value};

use super::base::{Applied, BaseTree, CA_BUNDLES};
use super::config::{self, AddedLayer};
use super::description::{Base, Description};
use super::host::Host;
use super::needed::Needed;
use super::python::{self, Place};
use super::root::{self, Parts, Root};
use super::{App, Options, Python, System, Written, app};
use crate::domain::target::Target;
use crate::error::{Error, ImageError, Result};
use crate::event::{Reporter, staged};
use crate::sys::archive::{LayerBudget, read_layer};
use crate::sys::interrupt;
use crate::sys::oci::document::{LAYOUT, Platform};
use crate::sys::oci::{ArchiveWriter, Blob, Image, ImageSource, LayerFacts, LayerWriter};

/// An image that is being written.
pub(super) struct Assembly<'a> {
    pub(super) pythons: &'a [Python],
    pub(super) options: &'a Options,
    pub(super) system: System<'a>,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) archive: ArchiveWriter,
    pub(super) epoch: u64,
    pub(super) target: Target,
    pub(super) needed: Needed,
    pub(super) tree: BaseTree,
}

impl Assembly<'_> {
    /// Copies the layers of the base byte for byte, and looks at what is in them.
    pub(super) fn base(&mut self, path: &Path, layers: &mut Vec<AddedLayer>) -> Result<Base> {
        let name = path.display().to_string();
        let source = ImageSource::open(path)?;
        let image = self.image_for(&source, &name)?;
        let config: Map<String, Value> = serde_json::from_slice(&image.config).map_err(|error| Error::Damaged {
            what: format!("the configuration of {name}"),
            reason: error.to_string(),
        })?;
        let Self { archive, tree, .. } = self;
        let copied = |layers: &Vec<AddedLayer>| {
            format!("{} layers, {} bytes", layers.len(), layers.iter().map(|layer| layer.blob.size).sum::<u64>())
        };
        let read = || {
            let (mut copied, mut budget) = (Vec::new(), LayerBudget::USUAL);
            for (number, layer) in image.layers.iter().enumerate() {
                interrupt::check()?;
                let (blob, (format, unpacked)) = archive.stream(|copy| {
                    source.read_layer(layer, copy, |name, tarball| {
                        let (mut applied, mut unpacked) = (Applied::default(), 0_u64);
                        read_layer(name, tarball, &mut budget, |entry| {
                            unpacked = unpacked.saturating_add(entry.size);
                            tree.apply(&mut applied, entry)
                        })?;
                        Ok(unpacked)
                    })
                })?;
                let facts = LayerFacts { diff_id: layer.diff_id, unpacked, format };
                copied.push(AddedLayer {
                    what: format!("layer {} of the base", number + 1),
                    blob,
                    facts,
                    of_base: true,
                });
            }
            Ok::<_, Error>(copied)
        };
        layers.extend(staged(self.reporter, "base", name.clone(), read, copied)?);
        let glibc = self.tree.glibc();
        for python in self.pythons {
            let floor = python.manifest.glibc_floor;
            if let Some(glibc) = glibc.filter(|glibc| floor > *glibc) {
                let reason = format!("{} needs glibc {floor}, and it has {glibc}", python.manifest.name);
                return Err(ImageError::Unfit { image: name, reason }.into());
            }
        }
        Ok(Base { name: image.name.clone(), digest: image.digest, config })
    }

    /// Returns the one image of a source that runs on the machine of the Pythons.
    fn image_for<'s>(&self, source: &'s ImageSource, name: &str) -> Result<&'s Image> {
        let (image, wanted) = (source.image_for(self.target)?, config::platform(self.target));
        let Platform { os, architecture, .. } = &image.platform;
        if (os, architecture) == (&wanted.os, &wanted.architecture) {
            return Ok(image);
        }
        let its = format!("{os}/{architecture}").escape_debug().to_string();
        let reason = format!("it is for {its}, and the Python is for {}/{}", wanted.os, wanted.architecture);
        Err(ImageError::Unfit { image: name.to_owned(), reason }.into())
    }

    /// Writes the layers of the Pythons, of certificates for a base, and of the application.
    pub(super) fn added(&mut self, layers: &mut Vec<AddedLayer>) -> Result<()> {
        if self.options.base.is_some() && !self.options.authorities.is_empty() {
            layers.push(self.certificates()?);
        }
        for python in self.pythons {
            let place = self.place(python.manifest.plan.request.prefix.as_path())?;
            let mut needed = self.needed.clone();
            let what = python.manifest.name.to_string();
            layers.push(self.layer("python", what, python.manifest.source_date_epoch, |layer| {
                python::write(&python.artifact, &place, &mut needed, layer)
            })?);
            self.needed = needed;
        }
        for App { tree, at } in &self.options.apps {
            let place = self.place(at)?;
            let mut needed = self.needed.clone();
            let reporter = self.reporter;
            layers.push(self.layer("app", at.display().to_string(), self.epoch, |layer| {
                app::write(tree, &place, &mut needed, layer, reporter)
            })?);
            self.needed = needed;
        }
        Ok(())
    }

    /// Returns the place of a tree. If a directory above it is a link in the base, the tree goes where that leads.
    fn place(&self, path: &Path) -> Result<Place> {
        let image = self.options.base.as_deref().unwrap_or(Path::new("")).display().to_string();
        let path = self.tree.resolve(&image, path.strip_prefix("/").unwrap_or(path))?;
        let (is_occupied, kept) = (self.tree.has(&path), self.tree.own_directories(&path));
        Ok(Place { path, is_occupied, kept })
    }

    /// Writes the bundle of certificates of the base with the further ones.
    fn certificates(&mut self) -> Result<AddedLayer> {
        let found = CA_BUNDLES.iter().find_map(|place| self.tree.kept(place));
        let (path, public) = if let Some((path, bytes)) = found {
            (path, bytes.to_vec())
        } else {
            let host = Host::new(self.system.runner, self.system.distro, self.target)?;
            (self.place(Path::new(CA_BUNDLES[0]))?.path, root::certificates(&host)?)
        };
        let bundle = self.options.authorities.bundle(&public);
        let kept = self.tree.own_directories(&path);
        self.layer("certificates", format!("/{}", path.display()), self.epoch, |layer| {
            for directory in &kept {
                layer.keep(directory);
            }
            layer.file(&path, 0o644, bundle.len() as u64, &bundle[..])
        })
    }

    /// Writes the lowest layer of an image without a base.
    pub(super) fn root(&mut self) -> Result<AddedLayer> {
        let host = Host::new(self.system.runner, self.system.distro, self.target)?;
        let Options { libc, authorities, .. } = self.options;
        let mut root = Root::default();
        root.collect(&host, &self.needed, Parts { libc: *libc, authorities }, self.reporter)?;
        // The same for every Python: no time of theirs is in it.
        self.layer("root", self.system.distro.name.clone(), 0, |layer| root.write(layer))
    }

    /// Writes a layer.
    fn layer(
        &mut self,
        stage: &'static str,
        what: String,
        epoch: u64,
        write: impl FnOnce(&mut LayerWriter<'_>) -> Result<()>,
    ) -> Result<AddedLayer> {
        let Self { archive, options, reporter, .. } = self;
        let written = || {
            archive.stream(|blob| {
                let mut layer = LayerWriter::new(blob, options.compression, epoch)?;
                write(&mut layer)?;
                layer.finish()
            })
        };
        let shown = |(blob, facts): &(Blob, LayerFacts)| format!("{} bytes, {} unpacked", blob.size, facts.unpacked);
        let (blob, facts) = staged(*reporter, stage, what.clone(), written, shown)?;
        Ok(AddedLayer { what, blob, facts, of_base: false })
    }

    /// Writes what describes the image, and ends the archive.
    pub(super) fn documents(mut self, base: Option<&Base>, layers: Vec<AddedLayer>) -> Result<Written> {
        let image = Description {
            pythons: self.pythons,
            options: self.options,
            epoch: self.epoch,
            target: self.target,
            base,
            users: self.tree.users().unwrap_or_default(),
        };
        let facts = image.facts()?;
        let Self { options, target, .. } = self;
        let config = config::config(base.map(|base| &base.config), &facts, &layers);
        let user = config["config"].get("User").and_then(Value::as_str).unwrap_or_default().to_owned();
        let config = self.archive.blob(&json(&config)?)?;
        let manifest = json(&config::manifest(config, &layers, facts.labels))?;
        let manifest = self.archive.blob(&manifest)?;
        self.archive.file("index.json", &json(&config::index(manifest, target, &options.reference))?)?;
        self.archive.file("manifest.json", &json(&config::docker_images(config, &layers, &options.reference))?)?;
        self.archive.file("oci-layout", LAYOUT.as_bytes())?;
        let (file, size) = self.archive.finish()?;
        file.sync_all()?;
        Ok(Written { manifest, config, layers, user, size })
    }
}

/// Returns a document as JSON.
fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| std::io::Error::from(error).into())
}
