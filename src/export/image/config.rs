//! The documents of an image: configuration, manifest, index, and `manifest.json` of `docker save`. Pure functions.

use serde_json::{Map, Value, json};

use crate::domain::target::Target;
use crate::sys::oci::document::{Annotations, Descriptor, DockerImage, Index, Manifest, Platform, media};
use crate::sys::oci::{Blob, LayerFacts};

/// The search path of an image whose base has none.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A layer of the new image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedLayer {
    /// What it holds: `cpython-3.13.5-…`.
    pub what: String,
    /// The blob.
    pub blob: Blob,
    /// Its facts.
    pub facts: LayerFacts,
    /// Whether it was a layer of the base.
    pub of_base: bool,
}

/// What decides the configuration of an image besides its layers and its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it runs on.
    pub target: Target,
    /// The time of creation, in RFC 3339.
    pub created: String,
    /// Directories that come first in PATH, in this order.
    pub path: Vec<String>,
    /// Further variables, each with its value.
    pub environment: Vec<(String, String)>,
    /// The working directory, or `None` for that of the base.
    pub directory: Option<String>,
    /// The user, or `None` for that of the base.
    pub user: Option<String>,
    /// The command of an image whose base has none.
    pub command: Vec<String>,
    /// Labels and annotations.
    pub labels: Annotations,
}

/// Returns the platform of a target.
#[must_use]
pub fn platform(target: Target) -> Platform {
    let variant = (target == Target::Aarch64).then(|| "v8".to_owned());
    Platform { architecture: target.oci_architecture().to_owned(), os: "linux".to_owned(), variant }
}

/// Returns the configuration: that of the base with what the new layers add. Everything else that the base says stays.
#[must_use]
pub fn config(base: Option<&Map<String, Value>>, facts: &Facts, layers: &[AddedLayer]) -> Map<String, Value> {
    let mut config = base.cloned().unwrap_or_default();
    let platform = platform(facts.target);
    config.insert("architecture".into(), platform.architecture.into());
    config.insert("os".into(), platform.os.into());
    if let Some(variant) = platform.variant {
        config.insert("variant".into(), variant.into());
    }
    config.insert("created".into(), facts.created.clone().into());
    // Docker's own fields are about the container that the base was made in.
    for of_container in ["container", "container_config", "id", "parent", "docker_version"] {
        config.remove(of_container);
    }
    let mut run = object(config.remove("config"));
    run.insert("Env".into(), environment(run.get("Env"), facts));
    if let Some(directory) = &facts.directory {
        run.insert("WorkingDir".into(), directory.clone().into());
    }
    if let Some(user) = &facts.user {
        run.insert("User".into(), user.clone().into());
    }
    let is_set = |value: Option<&Value>| value.and_then(Value::as_array).is_some_and(|words| !words.is_empty());
    if !is_set(run.get("Entrypoint")) && (base.is_none() || !is_set(run.get("Cmd")) || is_shell(run.get("Cmd"))) {
        run.insert("Cmd".into(), json!(facts.command));
    }
    let mut labels = object(run.remove("Labels"));
    labels.extend(facts.labels.iter().map(|(key, value)| (key.clone(), value.clone().into())));
    run.insert("Labels".into(), labels.into());
    config.insert("config".into(), run.into());
    let ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", layer.facts.diff_id)).collect();
    config.insert("rootfs".into(), json!({"type": "layers", "diff_ids": ids}));
    config.insert("history".into(), history(config.get("history"), facts, layers));
    config
}

/// Whether a command is that of a distribution's image, which nobody chose.
fn is_shell(command: Option<&Value>) -> bool {
    let words: Vec<&str> = command.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    matches!(words[..], ["bash" | "sh" | "/bin/bash" | "/bin/sh"])
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Returns the variables: those of the base in their order, then the new ones.
fn environment(base: Option<&Value>, facts: &Facts) -> Value {
    let mut variables: Vec<(String, String)> = Vec::new();
    let of_base = base.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for (name, value) in of_base.filter_map(|line| line.split_once('=')) {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let rest = variables.iter().find(|(name, _)| name == "PATH").map_or(SYSTEM_PATH, |(_, value)| value);
    let first: Vec<&str> = facts.path.iter().map(String::as_str).collect();
    let others = rest.split(':').filter(|place| !place.is_empty() && !first.contains(place));
    let path = first.iter().copied().chain(others).collect::<Vec<_>>().join(":");
    let new = std::iter::once(("PATH".to_owned(), path)).chain(facts.environment.iter().cloned());
    for (name, value) in new {
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => variables.push((name, value)),
        }
    }
    variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().into()
}

/// Returns the history: a line for each layer, as readers expect it, also if the base has lost its own.
fn history(base: Option<&Value>, facts: &Facts, layers: &[AddedLayer]) -> Value {
    let mut lines: Vec<Value> = base.and_then(Value::as_array).cloned().unwrap_or_default();
    let of_base = layers.iter().filter(|layer| layer.of_base).count();
    let with_layer = lines.iter().filter(|line| line.get("empty_layer") != Some(&Value::Bool(true))).count();
    if with_layer > of_base {
        lines.clear();
    }
    let missing = if with_layer > of_base { of_base } else { of_base - with_layer };
    let line = |what: &str| json!({"created": facts.created, "created_by": format!("pykeel image: {what}")});
    lines.extend((0..missing).map(|_| line("a layer of the base")));
    lines.extend(layers.iter().filter(|layer| !layer.of_base).map(|layer| line(&layer.what)));
    lines.into()
}

/// Returns the manifest.
#[must_use]
pub fn manifest(config: Blob, layers: &[AddedLayer], annotations: Annotations) -> Manifest {
    let descriptor = |media_type: &str, blob: Blob| Descriptor {
        media_type: media_type.to_owned(),
        digest: blob.digest,
        size: blob.size,
        platform: None,
        annotations: None,
    };
    Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.to_owned()),
        config: descriptor(media::CONFIG, config),
        layers: layers.iter().map(|layer| descriptor(layer.facts.format.media_type(), layer.blob)).collect(),
        annotations: Some(annotations),
    }
}

/// Returns the index of one image, which can be merged with those of other machines.
#[must_use]
pub fn index(manifest: Blob, target: Target, reference: &str) -> Index {
    let tag = reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let names = [("io.containerd.image.name", reference), ("org.opencontainers.image.ref.name", tag)];
    Index {
        schema_version: 2,
        media_type: Some(media::INDEX.to_owned()),
        manifests: vec![Descriptor {
            media_type: media::MANIFEST.to_owned(),
            digest: manifest.digest,
            size: manifest.size,
            platform: Some(platform(target)),
            annotations: Some(names.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        }],
    }
}

/// Returns the list of images that `docker load` reads. It names the same blobs.
#[must_use]
pub fn docker_images(config: Blob, layers: &[AddedLayer], reference: &str) -> Vec<DockerImage> {
    vec![DockerImage {
        config: config.path(),
        repo_tags: Some(vec![reference.to_owned()]),
        layers: layers.iter().map(|layer| layer.blob.path()).collect(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::sys::oci::LayerFormat;

    fn layer(what: &str, of_base: bool) -> AddedLayer {
        let facts = LayerFacts { diff_id: Digest::of(what), unpacked: 3, format: LayerFormat::Gzip };
        AddedLayer { what: what.into(), blob: Blob { digest: Digest::of(what), size: 3 }, facts, of_base }
    }

    fn facts() -> Facts {
        Facts {
            target: Target::X86_64,
            created: "2025-06-11T15:36:57Z".into(),
            path: vec!["/opt/myorg/python-3.13/bin".into()],
            environment: vec![("LANG".into(), "C.UTF-8".into())],
            directory: None,
            user: Some("10001:10001".into()),
            command: vec!["python3".into()],
            labels: [("org.opencontainers.image.version".to_owned(), "3.13.5".to_owned())].into(),
        }
    }

    #[test]
    fn an_image_from_scratch_has_a_whole_configuration() {
        let config = config(None, &facts(), &[layer("root", false), layer("cpython-3.13.5", false)]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap());
    }

    #[test]
    fn what_a_base_says_stays_and_is_added_to() {
        let base = json!({
            "architecture": "amd64", "os": "linux", "container": "1a2b", "docker_version": "20.10",
            "config": {
                "Env": ["PATH=/usr/bin:/opt/myorg/python-3.13/bin", "A=b=c", "LANG=C"], "Cmd": ["bash"],
                "Healthcheck": {"Test": ["NONE"]}, "Labels": {"of": "base"}, "User": "0"
            },
            "history": [{"created_by": "ADD"}, {"created_by": "CMD", "empty_layer": true}],
            "rootfs": {"type": "layers", "diff_ids": ["sha256:old"]},
        });
        let config = config(base.as_object(), &facts(), &[layer("base", true), layer("x", false)]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap());
    }

    #[test]
    fn a_base_with_an_entrypoint_or_a_command_of_its_own_keeps_it() {
        for own in [json!({"Entrypoint": ["/tini"], "Cmd": null}), json!({"Cmd": ["serve"]})] {
            let base = json!({"config": own});
            let config = config(base.as_object(), &Facts { user: None, ..facts() }, &[]);
            assert_eq!((&config["config"]["Cmd"], config["config"].get("User")), (&own["Cmd"], None));
        }
    }

    #[test]
    fn the_history_has_a_line_for_each_layer_whatever_the_base_says() {
        let layers = [layer("a", true), layer("b", true), layer("c", false)];
        for base in [json!([]), json!(null), json!([{}, {}]), json!([{}, {}, {}, {}])] {
            let base = json!({"history": base});
            let config = config(base.as_object(), &facts(), &layers);
            assert_eq!(config["history"].as_array().unwrap().len(), 3, "{base}");
        }
    }

    #[test]
    fn manifest_index_and_docker_name_the_same_blobs() {
        let (config, layers) = (Blob { digest: Digest::of("{}"), size: 2 }, [layer("a", false)]);
        let manifest = manifest(config, &layers, Annotations::new());
        let blob = Blob { digest: Digest::of_json(&manifest), size: 9 };
        let index = index(blob, Target::Aarch64, "localhost/python:3.13.5");
        let docker = docker_images(config, &layers, "localhost/python:3.13.5");
        insta::assert_snapshot!(serde_json::to_string_pretty(&(manifest, index, docker)).unwrap());
    }
}
