//! The configuration of an image: who runs what in which environment.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The configuration of an image, as far as the rules need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The user and group: `app`, `1000:1000`; empty means root.
    pub user: String,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
    /// The command: the entry point and its arguments.
    pub command: Vec<String>,
    /// When it was made, as written: `2025-06-11T15:00:00Z`.
    pub created: Option<String>,
    /// The platform: `linux/amd64`.
    pub platform: String,
    /// What made each layer.
    pub made_by: Vec<String>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    created: Option<String>,
    #[serde(default)]
    config: Option<Running>,
    #[serde(default)]
    history: Option<Vec<Step>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Running {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    empty_layer: bool,
}

impl ImageConfig {
    /// Parses the configuration of an image of OCI or docker.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub(super) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        let written: Written = serde_json::from_slice(json)?;
        let running = written.config.unwrap_or_default();
        let variables = running.env.unwrap_or_default();
        let variables = variables.iter().filter_map(|variable| variable.split_once('='));
        let steps = written.history.unwrap_or_default().into_iter().filter(|step| !step.empty_layer);
        Ok(Self {
            user: running.user.unwrap_or_default(),
            environment: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            command: running.entrypoint.into_iter().chain(running.cmd).flatten().collect(),
            created: written.created,
            platform: format!("{}/{}", written.os, written.architecture),
            made_by: steps.map(|step| step.created_by).collect(),
        })
    }

    /// The directories of PATH. An image without one runs with the usual ones.
    #[must_use]
    pub fn search_path(&self) -> Vec<&str> {
        const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let path = self.environment.get("PATH").map_or(USUAL, String::as_str);
        path.split(':').filter(|directory| directory.starts_with('/')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_docker_has_nulls() {
        let json = br#"{"architecture": "amd64", "os": "linux", "created": "2025-06-11T15:00:00Z",
            "config": {"User": "app", "Env": ["PATH=/opt/bin:/bin", "A=b=c"], "Entrypoint": null, "Cmd": ["python3"]},
            "history": [{"created_by": "COPY a"}, {"created_by": "ENV A", "empty_layer": true}]}"#;
        let config = ImageConfig::parse(json).unwrap();
        assert_eq!((config.user.as_str(), config.environment["A"].as_str()), ("app", "b=c"));
        assert_eq!(config.search_path(), ["/opt/bin", "/bin"]);
        assert_eq!((config.command, config.made_by), (vec!["python3".to_owned()], vec!["COPY a".to_owned()]));
        let config = ImageConfig::parse(br#"{"architecture": "arm64", "os": "linux", "config": null}"#).unwrap();
        assert_eq!((config.platform.as_str(), config.search_path().len()), ("linux/arm64", 6));
        assert!(ImageConfig::parse(b"[]").is_err());
    }
}
