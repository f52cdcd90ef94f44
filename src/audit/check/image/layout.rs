//! Finds the configuration and the layers of an image: in an OCI layout (the OCI image specification, "Image Layout"),
//! and in what `docker save` writes, also that of docker 20.10.

use serde::Deserialize;

use super::blobs::Blobs;
use crate::domain::digest::Digest;
use crate::domain::target::Target;
use crate::error::{Error, Result};

/// How many indexes lead to a manifest.
const DEEPEST_INDEX: usize = 4;
/// The most layers of an image. Docker allows 127.
const MOST_LAYERS: usize = 1000;

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    /// Its name in the layout or archive.
    pub name: String,
    /// The SHA-256 that it has to have, where it is known.
    pub digest: Option<Digest>,
}

/// The parts of an image.
#[derive(Debug)]
pub(super) struct Parts {
    /// The bytes of the configuration.
    pub config: Vec<u8>,
    /// The layers, the lowest first.
    pub layers: Vec<Blob>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// An index or a manifest. Neither has to say which it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// An image of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Finds the parts of the image, or `None` if there is neither `index.json` nor `manifest.json`.
///
/// # Errors
/// [`Error::Damaged`] for what is missing or does not fit, [`Error::Unreadable`] if there are several images,
/// [`Error::DigestMismatch`], [`Error::HostileArchive`], [`Error::Io`].
pub(super) fn parts(blobs: &Blobs) -> Result<Option<Parts>> {
    let parts = if let Some(index) = blobs.document("index.json")? {
        of_index(blobs, &index)?
    } else if let Some(manifest) = blobs.document("manifest.json")? {
        of_docker(blobs, &manifest)?
    } else {
        return Ok(None);
    };
    if parts.layers.len() > MOST_LAYERS {
        return Err(blobs.damaged(format!("it has {} layers", parts.layers.len())));
    }
    Ok(Some(parts))
}

fn parsed<'a, T: Deserialize<'a>>(blobs: &Blobs, what: &str, json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| blobs.damaged(format!("{what}: {error}")))
}

fn of_index(blobs: &Blobs, index: &[u8]) -> Result<Parts> {
    let mut bytes = index.to_vec();
    for _ in 0..DEEPEST_INDEX {
        let document: Document = parsed(blobs, "its index or manifest", &bytes)?;
        if document.fs_layers.is_some() {
            return Err(blobs.damaged("its manifest is of schema 1, which no current tool writes"));
        }
        if let (Some(config), Some(layers)) = (document.config, document.layers) {
            let config = content(blobs, &config)?;
            return Ok(Parts { config, layers: layers.iter().map(|layer| blob(blobs, layer)).collect::<Result<_>>()? });
        }
        let Some(manifests) = document.manifests else {
            return Err(blobs.damaged("its index has neither manifests nor layers"));
        };
        bytes = content(blobs, chosen(blobs, &manifests)?)?;
    }
    Err(blobs.damaged("its indexes lead to no manifest"))
}

/// The one image of an index, or of several the one of this machine's platform.
fn chosen<'a>(blobs: &Blobs, manifests: &'a [Descriptor]) -> Result<&'a Descriptor> {
    let images: Vec<&Descriptor> = manifests.iter().filter(|descriptor| !is_attestation(descriptor)).collect();
    if let [image] = images[..] {
        return Ok(image);
    }
    let architecture = Target::OF_THIS_PROGRAM.oci_architecture();
    let is_of = |platform: &Platform| platform.os == "linux" && platform.architecture == architecture;
    let fitting = images.iter().filter(|image| image.platform.as_ref().is_some_and(is_of));
    let fitting: Vec<&&Descriptor> = fitting.collect();
    match fitting[..] {
        [image] => Ok(image),
        [] if images.is_empty() => Err(blobs.damaged("its index has no image")),
        _ => Err(several(blobs, images.iter().map(|image| name_of(image)))),
    }
}

/// Whether it describes another one: what `BuildKit` adds has an unknown platform.
fn is_attestation(descriptor: &Descriptor) -> bool {
    let annotations = descriptor.annotations.as_ref();
    annotations.is_some_and(|annotations| annotations.contains_key("vnd.docker.reference.type"))
        || descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}

fn name_of(descriptor: &Descriptor) -> String {
    let annotations = descriptor.annotations.iter().flatten();
    let mut names = annotations.filter(|(key, _)| key.ends_with("ref.name") || key.ends_with("image.name"));
    let platform = descriptor.platform.as_ref().map(|platform| format!("{}/{}", platform.os, platform.architecture));
    names.next().map(|(_, name)| name.clone()).or(platform).unwrap_or_else(|| descriptor.digest.clone())
}

fn several(blobs: &Blobs, names: impl Iterator<Item = String>) -> Error {
    let names: Vec<String> = names.take(10).collect();
    Error::Unreadable(std::io::Error::other(format!(
        "{} holds several images, and one is judged at a time: {}",
        blobs.name,
        names.join(", ")
    )))
}

fn blob(blobs: &Blobs, descriptor: &Descriptor) -> Result<Blob> {
    if descriptor.media_type.contains("encrypted") {
        return Err(blobs.damaged(format!("the layer {} is encrypted", descriptor.digest)));
    }
    let digest = descriptor.digest.strip_prefix("sha256:").and_then(|digest| digest.parse::<Digest>().ok());
    let Some(digest) = digest else {
        return Err(blobs.damaged(format!("the digest {} is not a SHA-256", descriptor.digest)));
    };
    Ok(Blob { name: format!("blobs/sha256/{digest}"), digest: Some(digest) })
}

/// The content of a document that a descriptor names, compared with its digest.
fn content(blobs: &Blobs, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let blob = blob(blobs, descriptor)?;
    let bytes = blobs.document(&blob.name)?.ok_or_else(|| blobs.damaged(format!("it has no {}", blob.name)))?;
    let found = Digest::of(&bytes);
    match blob.digest.filter(|digest| *digest != found) {
        Some(expected) => {
            Err(Error::DigestMismatch { what: format!("{}: {}", blobs.name, blob.name), found, expected })
        }
        None => Ok(bytes),
    }
}

fn of_docker(blobs: &Blobs, manifest: &[u8]) -> Result<Parts> {
    let mut saved: Vec<Saved> = parsed(blobs, "manifest.json", manifest)?;
    if saved.len() > 1 {
        let name = |image: &Saved| image.repo_tags.iter().flatten().next().unwrap_or(&image.config).clone();
        return Err(several(blobs, saved.iter().map(name)));
    }
    let Some(image) = saved.pop() else { return Err(blobs.damaged("manifest.json has no image")) };
    let config = blobs.document(&image.config)?.ok_or_else(|| blobs.damaged(format!("it has no {}", image.config)))?;
    let layers = image.layers.into_iter().map(|name| Blob { name, digest: None }).collect();
    Ok(Parts { config, layers })
}
