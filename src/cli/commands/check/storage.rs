//! Takes an image from the storage of docker, podman or buildah: the program that has it writes it to a temporary file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ImageError, Result};
use crate::sys::fs;
use crate::sys::process::{Runner, Spec, Stream};
use crate::sys::toolchain::LOCAL_PATH;

/// What tells the programs which daemon to ask, and where a storage is. They get no other variable.
const VARIABLES: [&str; 18] = [
    "HOME",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "SSH_AUTH_SOCK",
    "CONTAINER_HOST",
    "CONTAINER_CONNECTION",
    "CONTAINER_SSHKEY",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
];

/// How long a program may take to say whether it has an image: a daemon may not answer.
const LIMIT: Duration = Duration::from_mins(1);
/// The most characters of what a program says that are shown.
const LONGEST: usize = 300;

/// A program that keeps images.
struct Client {
    name: &'static str,
    /// What says whether it has an image, whose name follows.
    has: &'static [&'static str],
    /// What writes an image to a file.
    save: fn(&str, &Path) -> Vec<String>,
}

const CLIENTS: [Client; 3] = [
    Client {
        name: "docker",
        has: &["image", "inspect", "--format", "{{.Id}}"],
        save: |image, file| words(&["image", "save", "--output", &file.to_string_lossy(), image]),
    },
    Client {
        name: "podman",
        has: &["image", "inspect", "--format", "{{.Id}}"],
        save: |image, file| {
            let file = file.to_string_lossy();
            words(&["image", "save", "--format", "docker-archive", "--output", &file, image])
        },
    },
    Client {
        name: "buildah",
        has: &["inspect", "--type", "image", "--format", "{{.FromImageID}}"],
        save: |image, file| words(&["push", image, &format!("docker-archive:{}", file.display())]),
    },
];

/// An image that was taken, in a directory that goes with the value.
pub(super) struct Saved {
    directory: tempfile::TempDir,
}

impl Saved {
    /// The archive.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("image.tar")
    }
}

/// Takes an image. `find` returns the absolute path of a program.
///
/// # Errors
/// [`Error::Usage`] if the name can only be a path; [`ImageError::NotFound`] if no program has the image, with what
/// each said; [`Error::Command`] if it cannot be written, [`Error::Io`].
pub(super) fn take(name: &str, runner: &dyn Runner, find: impl Fn(&str) -> Option<PathBuf>) -> Result<Saved> {
    let may_be_an_image = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c));
    if !may_be_an_image {
        return Err(Error::Usage(format!("{name}: there is no such file or directory")));
    }
    let mut asked = Vec::new();
    for client in &CLIENTS {
        let Some(program) = find(client.name) else { continue };
        let spec = |arguments: Vec<String>| {
            let variables = VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
            // They start programs of their own, from directories of the system.
            let path = [("PATH", LOCAL_PATH.into()), ("LC_ALL", "C.UTF-8".into())];
            Spec::new(&program).args(arguments).environment(variables.chain(path))
        };
        let has = client.has.iter().copied().chain([name]).map(str::to_owned).collect();
        match refusal(runner, &spec(has).timeout(LIMIT))? {
            None => {
                let saved = Saved { directory: fs::temporary_directory_in(&std::env::temp_dir(), "pykeel-check-")? };
                runner.capture(&spec((client.save)(name, &saved.path())))?;
                return Ok(saved);
            }
            Some(reason) => asked.push((client.name.to_owned(), reason)),
        }
    }
    Err(ImageError::NotFound { name: name.to_owned(), asked }.into())
}

/// Runs a program, and returns the last line of its complaints if it fails. Nothing else of what it prints is kept.
fn refusal(runner: &dyn Runner, spec: &Spec) -> Result<Option<String>> {
    let mut last = String::new();
    let outcome = runner.run(spec, &mut |stream, line| {
        if stream == Stream::Err && !line.trim().is_empty() {
            last = line.trim().chars().take(LONGEST).collect();
        }
    })?;
    let silent = || if last.is_empty() { outcome.to_string() } else { last.clone() };
    Ok((!outcome.success()).then(silent))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::scripted::{Answer, Scripted};

    fn at(names: &'static [&'static str]) -> impl Fn(&str) -> Option<PathBuf> {
        move |name| names.contains(&name).then(|| Path::new("/usr/bin").join(name))
    }

    #[test]
    fn an_image_is_taken_from_the_first_storage_that_has_it() {
        let write = |spec: &Spec| {
            let file = spec.args.last().unwrap().to_string_lossy().replace("docker-archive:", "");
            fs_err::write(file, "image").unwrap();
        };
        let runner = Scripted::new()
            .on("docker image inspect", Answer::new().err("Error: No such image: app:1").code(1))
            .on("podman image inspect", Answer::new().err("Error: app:1: image not known").code(125))
            .on("buildah inspect", Answer::new().out("1a2b"))
            .on("buildah push app:1", Answer::new().files(write));
        let saved = take("app:1", &runner, at(&["docker", "podman", "buildah"])).unwrap();
        assert_eq!(fs_err::read_to_string(saved.path()).unwrap(), "image");
        for spec in runner.specs() {
            assert!(spec.program.is_absolute());
            assert_eq!(spec.environment["PATH"], LOCAL_PATH);
            let known = |name: &String| VARIABLES.contains(&name.as_str()) || ["PATH", "LC_ALL"].contains(&&**name);
            assert!(spec.environment.keys().all(known), "{:?}", spec.environment);
        }
        let error = take("app:1", &runner, at(&["docker", "podman"])).map(drop).unwrap_err();
        let Error::Image(ImageError::NotFound { asked, .. }) = &error else { panic!("{error}") };
        assert_eq!(asked[0], ("docker".to_owned(), "Error: No such image: app:1".to_owned()));
        assert_eq!((asked.len(), error.code()), (2, 2));
        assert!(runner.specs().iter().filter(|spec| spec.timeout == Some(LIMIT)).count() >= 5);
    }

    #[test]
    fn what_a_program_says_is_cut_and_a_silent_one_has_its_status() {
        let flood = "x".repeat(10_000);
        let runner = Scripted::new()
            .on("docker image", Answer::new().out("[]").err(&format!("{flood}\n{flood}\n\n")).code(1))
            .on("podman image", Answer::new().out("1a2b").code(125));
        let error = take("app", &runner, at(&["docker", "podman"])).map(drop).unwrap_err();
        let Error::Image(ImageError::NotFound { asked, .. }) = &error else { panic!("{error}") };
        assert_eq!((asked[0].1.len(), asked[1].1.as_str()), (LONGEST, "exit status 125"));
    }

    #[test]
    fn what_cannot_be_a_name_runs_nothing() {
        for name in ["", "-v", "./app", "/app", "app;ls", "a b", "dir:/etc ", "äpp"] {
            let error = take(name, &Scripted::new(), at(&["docker"])).map(drop).unwrap_err();
            assert!(error.to_string().contains("no such file or directory"), "{name}: {error}");
        }
    }
}
