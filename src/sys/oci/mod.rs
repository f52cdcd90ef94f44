//! Images in files: reads OCI image layouts, OCI archives and what `docker save` writes, and writes archives that are
//! both at once. Nothing here knows a registry, and every blob is compared with its digest while it is read.

mod container;
pub mod document;
mod gzip;
mod layer;
#[cfg(test)]
mod tests;
mod verified;
mod writer;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::de::DeserializeOwned;

pub use self::layer::{LayerFacts, LayerWriter};
pub use self::writer::{ArchiveWriter, Blob};

use self::container::{Container, LARGEST_ARCHIVE};
use self::document::{ConfigFacts, Descriptor, DockerImage, Index, Manifest, Platform, SchemaOne, media};
use self::verified::{Expected, read_decompressed, read_verified};
use crate::domain::digest::Digest;
use crate::domain::target::Target;
use crate::error::{Error, ImageError, Result};

/// How many indexes may refer to each other.
const DEEPEST_INDEX: usize = 4;
/// The most images and the most layers that are read.
const MOST_IMAGES: usize = 1000;
const MOST_LAYERS: usize = 1000;

/// How a layer is compressed, which its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerFormat {
    /// It is a tarball.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl LayerFormat {
    /// Returns the media type of OCI.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Plain => media::LAYER,
            Self::Gzip => media::LAYER_GZIP,
            Self::Zstd => media::LAYER_ZSTD,
        }
    }
}

/// A directory or an archive with images.
#[derive(Debug)]
pub struct ImageSource {
    container: Container,
    images: Vec<Image>,
    /// The bytes that the blobs of layers may yet have.
    left: Cell<u64>,
}

/// An image of a source.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name, such as `debian:13-slim`, where the source says one.
    pub name: Option<String>,
    /// What it runs on.
    pub platform: Platform,
    /// The digest of its manifest; `docker save` writes none.
    pub digest: Option<Digest>,
    /// Its configuration, JSON with the digest that the manifest says.
    pub config: Vec<u8>,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
}

impl Image {
    /// Its name, or its platform, for people.
    fn shown(&self) -> String {
        let platform = || format!("{}/{}", self.platform.os, self.platform.architecture);
        let name = self.name.clone().unwrap_or_else(platform);
        name.escape_debug().take(100).collect()
    }
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The file in the source.
    file: String,
    /// The digest and the size of the blob, if a manifest says them.
    expected: Option<Expected>,
    /// The SHA-256 of the layer before compression.
    pub diff_id: Digest,
}

/// What an archive or a directory holds.
pub enum Opened {
    /// Images.
    Images(ImageSource),
    /// A root file system, as `docker export` writes it.
    Root(ExportedRoot),
}

/// A tarball of a root file system.
pub struct ExportedRoot {
    container: Container,
}

impl ExportedRoot {
    /// Reads the tarball.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<T>(&self, read: impl FnOnce(&str, &mut dyn Read) -> Result<T>) -> Result<T> {
        let name = self.container.path().display().to_string();
        match self.container.whole() {
            Some(whole) => read(&name, &mut BufReader::with_capacity(256 << 10, whole)),
            None => read(&name, &mut io::empty()),
        }
    }
}

impl Opened {
    /// Opens a directory with an OCI image layout, an OCI archive, an archive of `docker save`, or any other tarball.
    /// An archive may be compressed with gzip, zstd or xz. Layers are not read.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if it does not exist or cannot be read; [`ImageError::NotAnImage`] for anything else;
    /// [`Error::HostileArchive`] for paths that lead out of it, [`Error::DigestMismatch`] and [`Error::Damaged`] for
    /// documents that are not what refers to them; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let container = Container::open(path)?;
        let name = path.display().to_string();
        let images = if let Some(bytes) = container.document("index.json")? {
            let index: Index = parsed(&format!("index.json of {name}"), &bytes)?;
            let seen = BTreeSet::new();
            let mut reading = Reading { container: &container, images: Vec::new(), incomplete: None, seen };
            reading.index(&index, None, 0)?;
            // Images for other machines need not be whole.
            match reading.incomplete.filter(|_| reading.images.is_empty()) {
                Some(error) => return Err(error),
                None => reading.images,
            }
        } else if let Some(bytes) = container.document("manifest.json")? {
            let saved: Vec<DockerImage> = parsed(&format!("manifest.json of {name}"), &bytes)?;
            saved.iter().take(MOST_IMAGES).map(|image| of_docker(image, &container)).collect::<Result<_>>()?
        } else {
            return Ok(Self::Root(ExportedRoot { container }));
        };
        if images.is_empty() {
            return Err(ImageError::NotAnImage { path: name, reason: "it lists no image".into() }.into());
        }
        Ok(Self::Images(ImageSource { container, images, left: Cell::new(LARGEST_ARCHIVE) }))
    }
}

impl Layer {
    /// Its digest, or the name of its file where nothing says the digest.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = self.expected.and_then(|expected| expected.digest);
        digest.map_or_else(|| self.file.clone(), |digest| format!("sha256:{digest}"))
    }
}

impl ImageSource {
    /// Opens what holds images.
    ///
    /// # Errors
    /// As [`Opened::open`], and [`ImageError::NotAnImage`] for a root file system.
    pub fn open(path: &Path) -> Result<Self> {
        match Opened::open(path)? {
            Opened::Images(source) => Ok(source),
            Opened::Root(_) => {
                let reason = "it has neither index.json of an OCI image layout nor manifest.json of `docker save`";
                let path = path.display().to_string();
                Err(ImageError::NotAnImage { path, reason: reason.into() }.into())
            }
        }
    }

    /// Returns the only image, or of several the one for a processor.
    ///
    /// # Errors
    /// [`ImageError::Several`] with the names of those that fit, or of all if none does.
    pub fn image_for(&self, target: Target) -> Result<&Image> {
        if let [image] = &self.images[..] {
            return Ok(image);
        }
        let fits = |image: &&Image| {
            (image.platform.os.as_str(), image.platform.architecture.as_str()) == ("linux", target.oci_architecture())
        };
        let fitting: Vec<&Image> = self.images.iter().filter(fits).collect();
        if let [image] = fitting[..] {
            return Ok(image);
        }
        let listed = if fitting.is_empty() { self.images.iter().collect() } else { fitting };
        let names = listed.into_iter().take(10).map(Image::shown).collect();
        Err(ImageError::Several { path: self.container.path().display().to_string(), names }.into())
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// Reads a layer. `copy` gets the blob as it is, and `read` the tarball in it, which it reads to its end within
    /// limits of its own. Then the digests are compared with those that the manifest and the configuration say. If
    /// `read` fails, the rest of the blob is read and compared all the same, and not decompressed. Returns the format
    /// of the blob, and the result of `read`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is missing, truncated or longer than the manifest says; [`Error::DigestMismatch`];
    /// [`Error::HostileArchive`] if the layers that were read have more bytes than those of an image may have;
    /// [`Error::Io`] if `copy` fails; and those of `read`, unless the blob is damaged.
    pub fn read_layer<T>(
        &self,
        layer: &Layer,
        copy: &mut dyn Write,
        read: impl FnOnce(&str, &mut dyn Read) -> Result<T>,
    ) -> Result<(LayerFormat, T)> {
        let name = self.layer_name(layer);
        let (reader, size) = opened(&self.container, &layer.file, &name)?;
        let expected = layer.expected.unwrap_or(Expected { digest: None, size });
        // One blob may be many layers, and a file with holes is longer than the disk.
        let left = self.left.get().checked_sub(expected.size.min(size));
        let too_many = || "its layers have more bytes than those of an image may have".to_owned();
        self.left.set(left.ok_or_else(|| Error::HostileArchive { archive: self.name(), reason: too_many() })?);
        read_verified(&name, reader, expected, copy, |blob| {
            read_decompressed(&name, blob, layer.diff_id, |tarball| read(&name, tarball))
        })
    }

    /// Its path, for errors.
    #[must_use]
    pub fn name(&self) -> String {
        self.container.path().display().to_string()
    }

    /// The name of a layer for errors.
    fn layer_name(&self, layer: &Layer) -> String {
        format!("the layer {} of {}", layer.file, self.container.path().display())
    }
}

/// The images of an index, read one after the other.
struct Reading<'a> {
    container: &'a Container,
    images: Vec<Image>,
    /// What an image lacks.
    incomplete: Option<Error>,
    seen: BTreeSet<Digest>,
}

impl Reading<'_> {
    fn index(&mut self, index: &Index, name: Option<&str>, depth: usize) -> Result<()> {
        for descriptor in &index.manifests {
            if self.images.len() >= MOST_IMAGES || !self.seen.insert(descriptor.digest) {
                continue;
            }
            let own = descriptor.annotations.as_ref().and_then(name_in);
            let name = own.as_deref().or(name);
            // What a builder attests of an image is listed beside it.
            let is_attestation = descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
                || descriptor.annotations.as_ref().is_some_and(|notes| notes.contains_key("vnd.docker.reference.type"));
            if !is_attestation {
                self.manifest(descriptor, name, depth)?;
            }
        }
        Ok(())
    }

    fn manifest(&mut self, descriptor: &Descriptor, name: Option<&str>, depth: usize) -> Result<()> {
        let Some(bytes) = blob(self.container, descriptor)? else {
            // An index may list images for other machines that are not in the directory, as `skopeo copy` leaves it.
            return Ok(());
        };
        let what = format!("the manifest sha256:{} of {}", descriptor.digest, self.container.path().display());
        // The media type is only a claim, and older tools leave it out.
        if let Ok(index) = serde_json::from_slice::<Index>(&bytes) {
            if depth >= DEEPEST_INDEX {
                return Err(Error::Damaged { what, reason: format!("it is an index at depth {depth}") });
            }
            return self.index(&index, name, depth + 1);
        }
        if serde_json::from_slice::<SchemaOne>(&bytes).is_ok() {
            let reason = "it is a manifest of schema 1, which no current tool writes".to_owned();
            return Err(Error::Damaged { what, reason });
        }
        let manifest: Manifest = parsed(&what, &bytes)?;
        let Some(config) = blob(self.container, &manifest.config)? else {
            let reason = format!("its configuration sha256:{} is missing", manifest.config.digest);
            self.incomplete.get_or_insert(Error::Damaged { what, reason });
            return Ok(());
        };
        // Other things than images are kept in this format too, such as Helm charts.
        let is_config = |kind: &str| {
            kind.is_empty() || kind == media::CONFIG || kind == "application/vnd.docker.container.image.v1+json"
        };
        if !is_config(&manifest.config.media_type) {
            return Ok(());
        }
        let facts: ConfigFacts = parsed(&format!("the configuration of {what}"), &config)?;
        let layers = layers(&what, &manifest.layers, &facts)?;
        let (name, digest) = (name.map(str::to_owned), Some(descriptor.digest));
        let platform = platform(&facts, &config);
        self.images.push(Image { name, platform, digest, config, layers });
        Ok(())
    }
}

/// Returns the name that an index has for an image.
fn name_in(annotations: &document::Annotations) -> Option<String> {
    let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
    names.into_iter().find_map(|name| annotations.get(name)).cloned()
}

fn platform(facts: &ConfigFacts, config: &[u8]) -> Platform {
    let whole: Option<Platform> = serde_json::from_slice(config).ok();
    let variant = whole.and_then(|platform| platform.variant).filter(|variant| !variant.is_empty());
    Platform { architecture: facts.architecture.clone(), os: facts.os.clone(), variant }
}

fn layers(what: &str, descriptors: &[Descriptor], facts: &ConfigFacts) -> Result<Vec<Layer>> {
    let diff_ids = &facts.rootfs.diff_ids;
    require_layers(what, descriptors.len(), diff_ids.len())?;
    let layer = |(descriptor, diff_id): (&Descriptor, &Digest)| {
        let kind = &descriptor.media_type;
        let is_tar = ["", "application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"]
            .iter()
            .any(|known| {
                kind.strip_prefix(known).is_some_and(|rest| ["", "+gzip", ".gzip", "+zstd", ".zstd"].contains(&rest))
            });
        if !is_tar {
            let kind: String = kind.escape_debug().take(100).collect();
            let reason = format!("the layer sha256:{} is a `{kind}`, which pykeel cannot read", descriptor.digest);
            return Err(Error::from(ImageError::NotAnImage { path: what.to_owned(), reason }));
        }
        let expected = Expected { digest: Some(descriptor.digest), size: descriptor.size };
        Ok(Layer { file: blob_path(descriptor.digest), expected: Some(expected), diff_id: *diff_id })
    };
    descriptors.iter().zip(diff_ids).map(layer).collect()
}

fn require_layers(what: &str, layers: usize, diff_ids: usize) -> Result<()> {
    let reason = if layers != diff_ids {
        format!("it has {layers} layers, and its configuration has {diff_ids}")
    } else if layers > MOST_LAYERS {
        format!("it has {layers} layers, and the most that can be read are {MOST_LAYERS}")
    } else {
        return Ok(());
    };
    Err(Error::Damaged { what: what.to_owned(), reason })
}

fn of_docker(saved: &DockerImage, container: &Container) -> Result<Image> {
    let what = format!("the image of {}", container.path().display());
    let Some(config) = container.document(&saved.config)? else {
        return Err(Error::Damaged { what, reason: format!("its configuration {} is missing", saved.config) });
    };
    let facts: ConfigFacts = parsed(&format!("{} of {}", saved.config, container.path().display()), &config)?;
    require_layers(&what, saved.layers.len(), facts.rootfs.diff_ids.len())?;
    let layer = |(file, diff_id): (&String, &Digest)| Layer { file: file.clone(), expected: None, diff_id: *diff_id };
    let layers = saved.layers.iter().zip(&facts.rootfs.diff_ids).map(layer).collect();
    let name = saved.repo_tags.as_ref().and_then(|tags| tags.first()).cloned();
    let platform = platform(&facts, &config);
    Ok(Image { name, platform, digest: None, config, layers })
}

fn blob_path(digest: Digest) -> String {
    format!("blobs/sha256/{digest}")
}

/// Returns the bytes of a document, or `None` if it is not there.
fn blob(container: &Container, descriptor: &Descriptor) -> Result<Option<Vec<u8>>> {
    let file = blob_path(descriptor.digest);
    let Some(bytes) = container.document(&file)? else { return Ok(None) };
    let what = format!("{file} of {}", container.path().display());
    if bytes.len() as u64 != descriptor.size {
        let reason = format!("it has {} bytes, and what refers to it says {}", bytes.len(), descriptor.size);
        return Err(Error::Damaged { what, reason });
    }
    let (found, expected) = (Digest::of(&bytes), descriptor.digest);
    if found == expected { Ok(Some(bytes)) } else { Err(Error::DigestMismatch { what, found, expected }) }
}

fn opened<'a>(container: &'a Container, file: &str, what: &str) -> Result<(Box<dyn Read + 'a>, u64)> {
    let missing = || Error::Damaged { what: what.to_owned(), reason: "it is missing".into() };
    container.read(file)?.ok_or_else(missing)
}

fn parsed<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Damaged { what: what.to_owned(), reason: error.to_string() })
}
