//! What pykeel writes into a registry, and reads from one: tags and manifests.
//!
//! An artifact is an OCI artifact: its config is the manifest, its first layer the `.tar.zst`, its second, if there is
//! one, the tarball of debug files.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::super::{Blob, LARGEST_MANIFEST, LARGEST_TARBALL, Listed, Offer, Wanted};
use crate::domain::artifact::{ArtifactName, Format, GlibcVersion};
use crate::domain::digest::Digest;
use crate::domain::plan::Flavor;
use crate::domain::target::Target;
use crate::domain::version::{Selector, VersionRequest};

/// The media type of an OCI manifest.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What is in the manifest: an artifact of pykeel.
const ARTIFACT_TYPE: &str = "application/vnd.pykeel.artifact.v1";
const CONFIG_TYPE: &str = "application/vnd.pykeel.manifest.v1+json";
const TARBALL_TYPE: &str = "application/vnd.pykeel.artifact.v1.tar+zstd";
const DEBUG_TYPE: &str = "application/vnd.pykeel.debug.v1.tar+zstd";
const NAME: &str = "pykeel.name";
const BUILD_KEY: &str = "pykeel.build-key";
const REQUEST_KEY: &str = "pykeel.request-key";
const PUBLISHED: &str = "pykeel.published";
/// The file name of a layer, for other programs that pull it.
const TITLE: &str = "org.opencontainers.image.title";

/// The tag of an artifact. Each artifact has one of its own, so pushes change nothing of each other:
/// `3.13.5-x86_64-runtime-bcf6e263c1ca-glibc2.35-0c6b…`, with twelve digits of the request key and all of the digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag {
    version: String,
    target: Target,
    flavor: Flavor,
    shared: bool,
    request: String,
    pub(super) floor: GlibcVersion,
    pub(super) digest: Digest,
}

impl Tag {
    pub(super) fn of(offer: &Offer) -> Self {
        let name = &offer.name;
        Self {
            version: format!("{}{}", name.release(), name.variant()),
            target: name.target(),
            flavor: name.flavor(),
            shared: name.shared(),
            request: offer.request_key.short(),
            floor: name.floor(),
            digest: offer.digest,
        }
    }

    /// What the tags of all artifacts of a request begin with.
    pub(super) fn beginning(wanted: Wanted<'_>) -> String {
        let request = wanted.request;
        let version = format!("{}{}", request.release, request.variant);
        let shared = if request.policies.shared { "-shared" } else { "" };
        let (arch, flavor) = (request.target.arch(), request.flavor);
        format!("{version}-{arch}-{flavor}{shared}-{}-glibc", wanted.key.short())
    }

    pub(super) fn listed(&self) -> Listed {
        Listed {
            version: self.version.clone(),
            target: self.target,
            flavor: self.flavor,
            shared: self.shared,
            glibc_floor: self.floor,
            digest: self.digest,
            size: None,
            published: None,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, target, flavor, shared, request, floor, digest } = self;
        let shared = if *shared { "-shared" } else { "" };
        write!(f, "{version}-{}-{flavor}{shared}-{request}-glibc{floor}-{digest}", target.arch())
    }
}

impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not the tag of an artifact");
        let mut fields = text.split('-');
        let mut field = || fields.next().ok_or_else(error);
        let (version, arch, flavor, mut request) = (field()?, field()?, field()?, field()?);
        let shared = request == "shared";
        if shared {
            request = field()?;
        }
        let (floor, digest) = (field()?, field()?);
        let release: VersionRequest = version.parse().map_err(|_| error())?;
        let target = Target::ALL.iter().copied().find(|target| target.arch() == arch).ok_or_else(error)?;
        let is_request = request.len() == 12 && request.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !matches!(release.selector, Selector::Release(_)) || !is_request || fields.next().is_some() {
            return Err(error());
        }
        Ok(Self {
            version: version.to_owned(),
            target,
            flavor: flavor.parse()?,
            shared,
            request: request.to_owned(),
            floor: floor.strip_prefix("glibc").ok_or_else(error)?.parse()?,
            digest: digest.parse().map_err(|_| error())?,
        })
    }
}

/// A manifest as it is in a registry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageManifest {
    schema_version: u32,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Descriptor {
    fn new(media_type: &str, blob: Blob, title: String) -> Self {
        Self {
            media_type: media_type.into(),
            digest: format!("sha256:{}", blob.digest),
            size: blob.size,
            annotations: BTreeMap::from([(TITLE.into(), title)]),
        }
    }

    fn blob(&self, media_type: &str, largest: u64) -> Result<Blob, String> {
        if self.media_type != media_type {
            return Err(format!("it has {} where {media_type} should be", self.media_type.escape_debug()));
        }
        if self.size > largest {
            return Err(format!("a file of it has {} bytes, and at most {largest} are received", self.size));
        }
        let digest = self.digest.strip_prefix("sha256:").ok_or("a digest of it is no SHA-256")?;
        Ok(Blob { digest: digest.parse().map_err(|_| "a digest of it is no SHA-256")?, size: self.size })
    }
}

impl ImageManifest {
    /// The manifest of an artifact. The same artifact always has the same, byte for byte.
    pub(super) fn of(offer: &Offer) -> Self {
        let title = |ending: &str| format!("{}.{ending}", offer.name);
        let mut layers = vec![Descriptor::new(TARBALL_TYPE, offer.tarball(), offer.name.file(Format::Zst))];
        layers.extend(offer.debug.map(|blob| Descriptor::new(DEBUG_TYPE, blob, title("debug.tar.zst"))));
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.into()),
            artifact_type: Some(ARTIFACT_TYPE.into()),
            config: Descriptor::new(CONFIG_TYPE, offer.manifest, title("manifest.json")),
            layers,
            annotations: BTreeMap::from([
                (NAME.into(), offer.name.to_string()),
                (BUILD_KEY.into(), offer.build_key.to_string()),
                (REQUEST_KEY.into(), offer.request_key.to_string()),
                (PUBLISHED.into(), offer.published.to_string()),
            ]),
        }
    }

    /// What it offers.
    ///
    /// # Errors
    /// How it shows that it is not the manifest of an artifact, in words.
    pub(super) fn offer(&self, remote: &str) -> Result<Offer, String> {
        if self.schema_version != 2 || self.artifact_type.as_deref().is_some_and(|kind| kind != ARTIFACT_TYPE) {
            return Err("it is not the manifest of an artifact of pykeel".into());
        }
        let (tarball, debug) = match &self.layers[..] {
            [tarball] => (tarball, None),
            [tarball, debug] => (tarball, Some(debug)),
            layers => return Err(format!("it has {} layers, and an artifact has one or two", layers.len())),
        };
        let tarball = tarball.blob(TARBALL_TYPE, LARGEST_TARBALL)?;
        Ok(Offer {
            name: self.said::<ArtifactName>(NAME)?,
            digest: tarball.digest,
            size: tarball.size,
            build_key: self.said(BUILD_KEY)?,
            request_key: self.said(REQUEST_KEY)?,
            manifest: self.config.blob(CONFIG_TYPE, LARGEST_MANIFEST)?,
            debug: debug.map(|debug| debug.blob(DEBUG_TYPE, LARGEST_TARBALL)).transpose()?,
            published: self.said(PUBLISHED)?,
            remote: remote.to_owned(),
        })
    }

    /// The value of an annotation.
    fn said<T: FromStr>(&self, key: &str) -> Result<T, String> {
        let text = self.annotations.get(key).ok_or_else(|| format!("it has no annotation {key}"))?;
        text.parse().map_err(|_| format!("its annotation {key} has no such value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::manifest;

    fn offer() -> Offer {
        let manifest = manifest();
        Offer {
            name: manifest.name,
            digest: Digest::of("tarball"),
            size: 7,
            build_key: manifest.build_key,
            request_key: manifest.request_key,
            manifest: Blob { digest: Digest::of("manifest"), size: 8 },
            debug: Some(Blob { digest: Digest::of("debug"), size: 5 }),
            published: 1_234_567_890,
            remote: "oci://registry.test/x".into(),
        }
    }

    #[test]
    fn a_tag_has_all_that_a_list_shows_and_fits_into_a_registry() {
        let mut offer = offer();
        let names = [
            "3.15.0b4t-aarch64-linux-gnu-glibc2.36-builder-shared-1a2b3c4d5e6f",
            "3.13.5-x86_64-linux-gnu-glibc2.35-runtime-1a2b3c4d5e6f",
        ];
        for name in names {
            offer.name = format!("cpython-{name}").parse().unwrap();
            let tag = Tag::of(&offer);
            let text = tag.to_string();
            assert_eq!(text.parse::<Tag>().unwrap(), tag);
            assert!(
                text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)),
                "{text}"
            );
            assert_eq!(tag.listed().digest, offer.digest);
        }
        for other in ["latest", "3.13-x86_64-runtime-1a2b3c4d5e6f-glibc2.35-00", "3.13.5-x86_64-runtime", ""] {
            assert!(other.parse::<Tag>().is_err(), "{other}");
        }
    }

    #[test]
    fn the_tags_of_a_request_have_one_beginning() {
        let manifest = manifest();
        let wanted = Wanted { request: &manifest.plan.request, key: manifest.request_key, glibc: None };
        assert!(Tag::of(&offer()).to_string().starts_with(&Tag::beginning(wanted)));
    }

    #[test]
    fn what_is_offered_survives_a_registry() {
        let offer = offer();
        let json = serde_json::to_string(&ImageManifest::of(&offer)).unwrap();
        let read = |json: &str| {
            let manifest = serde_json::from_str::<ImageManifest>(json).map_err(|error| error.to_string())?;
            manifest.offer(&offer.remote)
        };
        assert_eq!(read(&json).unwrap(), offer);
        for (from, to, reason) in [
            (CONFIG_TYPE, "application/json", "where application/vnd.pykeel.manifest"),
            (TARBALL_TYPE, "x", "where application/vnd.pykeel.artifact"),
            ("\"size\":7", "\"size\":99999999999", "at most"),
            ("\"size\":8", "\"size\":100000000", "at most"),
            ("\"size\":8", "\"size\":-1", "invalid value"),
            ("sha256:", "sha512:", "no SHA-256"),
            ("pykeel.name", "pykeel.nome", "no annotation pykeel.name"),
            ("1234567890", "soon", "no such value"),
            ("\"schemaVersion\":2", "\"schemaVersion\":1", "not the manifest of an artifact"),
            (ARTIFACT_TYPE, "application/x", "not the manifest of an artifact|where"),
        ] {
            let error = read(&json.replacen(from, to, 1)).unwrap_err();
            assert!(reason.split('|').any(|reason| error.contains(reason)), "{from}: {error}");
        }
    }
}
