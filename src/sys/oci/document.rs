//! The JSON documents of images: those of the OCI image format, and `manifest.json` of `docker save`.
//!
//! Readers take what Docker's own formats have too: other media types, and fields that are null.
//! <https://github.com/opencontainers/image-spec/blob/main/spec.md>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::digest::Digest;

/// Media types of the OCI image format.
pub mod media {
    /// A list of manifests.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The manifest of one image.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// The configuration of one image.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer that is not compressed.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer that gzip compressed.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer that Zstandard compressed.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
}

/// The content of the file `oci-layout`.
pub const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Annotations, or labels.
pub type Annotations = BTreeMap<String, String>;

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, as Go calls it: `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// The variant of the processor: `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A reference to a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// Its SHA-256.
    #[serde(with = "prefixed")]
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// `index.json`, or an index that it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// [`media::INDEX`]; older tools leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
}

/// The manifest of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// [`media::MANIFEST`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// The annotations of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// A manifest of Docker's first schema, by the field that no other has.
#[derive(Debug, Deserialize)]
pub(super) struct SchemaOne {
    #[serde(rename = "fsLayers")]
    _layers: serde::de::IgnoredAny,
}

/// An image in `manifest.json` of `docker save`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// The file of the configuration.
    pub config: String,
    /// Its names with tags.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// The files of the layers, the lowest first.
    pub layers: Vec<String>,
}

/// The parts of a configuration that a reader needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ConfigFacts {
    /// What it runs on.
    #[serde(default)]
    pub architecture: String,
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// The layers.
    pub rootfs: RootFs,
}

/// The layers of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RootFs {
    /// The SHA-256 of each layer before compression, the lowest first.
    #[serde(deserialize_with = "diff_ids")]
    pub diff_ids: Vec<Digest>,
}

fn diff_ids<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    texts.iter().map(|text| parse(text).map_err(serde::de::Error::custom)).collect()
}

/// Returns the digest that `sha256:…` names.
fn parse(text: &str) -> Result<Digest, String> {
    let Some(digits) = text.strip_prefix("sha256:") else {
        return Err(format!("`{}` is not a digest that begins with sha256:", text.escape_debug()));
    };
    digits.parse().map_err(|error: crate::domain::digest::ParseDigestError| error.to_string())
}

/// A digest in the form `sha256:…`.
mod prefixed {
    use serde::Deserialize as _;

    use super::{Digest, parse};

    pub(super) fn serialize<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("sha256:{digest}"))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dockers_tools_write_is_read() {
        let digest = Digest::of("x");
        let text = format!(
            r#"{{"schemaVersion": 2, "manifests": [{{"digest": "sha256:{digest}", "size": 1, "annotations": null,
                "platform": {{"architecture": "arm64", "os": "linux", "variant": "v8"}}, "urls": []}}]}}"#
        );
        let index: Index = serde_json::from_str(&text).unwrap();
        assert_eq!((index.media_type, index.manifests[0].digest), (None, digest));
        let facts: ConfigFacts = serde_json::from_str(r#"{"rootfs": {"type": "layers", "diff_ids": null}}"#).unwrap();
        assert!(facts.rootfs.diff_ids.is_empty() && facts.os.is_empty());
    }

    #[test]
    fn another_digest_is_an_error_in_words() {
        for (digest, reason) in
            [("sha512:ab", "sha256:"), ("sha256:../../etc/passwd", "64 lower-case"), ("", "sha256:")]
        {
            let text = format!(r#"{{"mediaType": "x", "digest": "{digest}", "size": 1}}"#);
            let error = serde_json::from_str::<Descriptor>(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
