//! Takes an image from the local docker daemon: `docker save` writes it to a temporary file.

use std::path::Path;

use crate::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::{Runner as _, Spec, System};

/// What tells docker which daemon to ask, and how.
const VARIABLES: [&str; 8] = [
    "HOME",
    "PATH",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "XDG_RUNTIME_DIR",
];

/// Saves an image of the daemon.
///
/// # Errors
/// [`Error::Usage`] if the name is a path or there is no docker, [`Error::Command`] if docker fails, [`Error::Io`].
pub(super) fn save(name: &str, path: &Path) -> Result<tempfile::NamedTempFile> {
    if path.is_absolute() || name.starts_with(['.', '-']) || name.is_empty() {
        return Err(Error::Usage(format!("{name}: there is no such file or directory")));
    }
    let Ok(docker) = which::which("docker") else {
        return Err(Error::Usage(format!(
            "{name} is neither a file nor a directory, and there is no docker on PATH that could have an image of \
             that name"
        )));
    };
    let file = fs::temporary_in(&std::env::temp_dir())?;
    let variables = VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let spec = Spec::new(docker).args(["image", "save", "--output"]).arg(file.path()).arg(name).environment(variables);
    System.capture(&spec)?;
    Ok(file)
}
