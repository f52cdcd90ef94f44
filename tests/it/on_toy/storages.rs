//! `pykeel check NAME` with real images of docker, podman and buildah, and with what they write to files.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, check, is_root, pykeel, run};

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/false\n";

/// A root file system of a few files, as a tarball.
fn root(directory: &Path) -> PathBuf {
    let root = directory.join("root");
    for name in ["etc", "usr/bin"] {
        fs_err::create_dir_all(root.join(name)).expect("a directory");
    }
    fs_err::write(root.join("etc/passwd"), PASSWD).expect("a file");
    let archive = directory.join("root.tar");
    check("tar", &[Path::new("-C"), &root, Path::new("-cf"), &archive, Path::new(".")]);
    archive
}

/// `pykeel check`, with a search path on which nothing is.
fn judge(what: &str, variable: (&str, &str)) -> Ended {
    run(pykeel().args(["check", what, "--json"]).env("PATH", "/nonexistent").env(variable.0, variable.1))
}

/// Checks that the image was read with its configuration and all of its layers.
fn is_read(ended: Ended, name: &str, layers: usize) {
    let report = ended.exits(0).json();
    assert_eq!((report["image"].as_str(), report["user"].as_str()), (Some(name), Some("app")));
    assert_eq!(report["sizes"]["layers"].as_array().map(Vec::len), Some(layers), "{report}");
    let rules: Vec<&str> =
        report["findings"].as_array().expect("a list").iter().filter_map(|f| f["rule"].as_str()).collect();
    assert_eq!(rules, Vec::<&str>::new());
}

/// A docker daemon: the one that the environment names, or one of the tests' own that ends with the value.
struct Daemon {
    host: String,
    own: Option<(Child, tempfile::TempDir)>,
}

impl Daemon {
    fn find() -> Result<Self, String> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let mut daemon = Self { host, own: None };
        if daemon.answers() {
            return Ok(daemon);
        }
        if !is_root() || !Path::new("/usr/sbin/dockerd").exists() {
            return Err("there is no docker daemon, and none can be started".to_owned());
        }
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = |name: &str| place.path().join(name).display().to_string();
        daemon.host = format!("unix://{}", path("socket"));
        let log = fs_err::File::create(path("log")).map_err(|error| error.to_string())?;
        let child = Command::new("/usr/sbin/dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["--host", &daemon.host, "--bridge", "none", "--iptables=false", "--storage-driver", "vfs"])
            .stdout(Stdio::null())
            .stderr(log.into_parts().0)
            .spawn()
            .map_err(|error| error.to_string())?;
        daemon.own = Some((child, place));
        for _ in 0..60 {
            if daemon.answers() {
                return Ok(daemon);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err("the docker daemon does not start here".to_owned())
    }

    fn answers(&self) -> bool {
        let version = self.docker(&["version"]).output();
        version.is_ok_and(|output| output.status.success())
    }

    fn docker(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "0");
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some((child, _place)) = &mut self.own {
            let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the daemon");
            child.wait().expect("the daemon");
        }
    }
}

#[test]
fn an_image_of_docker_is_found_by_its_name_and_in_what_docker_writes() {
    let daemon = match Daemon::find() {
        Ok(daemon) => daemon,
        Err(reason) => skip!(Missing::Docker, "{reason}"),
    };
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let names = ["one", "two"].map(|name| format!("pykeel-tests-{}:{name}", std::process::id()));
    let archive = root(directory.path()).display().to_string();
    run(&mut daemon.docker(&["import", "--change", "USER app", &archive, &names[0]])).exits(0);
    // A second layer, which hides nothing.
    fs_err::create_dir_all(path("context")).expect("a directory");
    fs_err::write(path("context/motd"), "hello\n").expect("a file");
    fs_err::write(path("context/Dockerfile"), format!("FROM {}\nCOPY motd /etc/motd\n", names[0])).expect("a file");
    run(&mut daemon.docker(&["build", "--tag", &names[1], &path("context")])).exits(0);
    let host = ("DOCKER_HOST", daemon.host.as_str());

    is_read(judge(&names[0], host), &names[0], 1);
    is_read(judge(&names[1], host), &names[1], 2);
    // Both images in one archive share a layer: docker 20.10 writes a link.
    let saved = path("both.tar");
    run(&mut daemon.docker(&["image", "save", "--output", &saved, &names[0], &names[1]])).exits(0);
    judge(&saved, host).exits(2).says(&["holds several images", &names[0], &names[1], "docker save"]);
    let saved = path("two.tar");
    run(&mut daemon.docker(&["image", "save", "--output", &saved, &names[1]])).exits(0);
    is_read(judge(&saved, host), &saved, 2);
    // The root file system of a container.
    let container = run(&mut daemon.docker(&["create", &names[1], "/nothing"])).exits(0).out;
    let exported = path("exported.tar");
    run(&mut daemon.docker(&["export", "--output", &exported, container.trim()])).exits(0);
    run(&mut daemon.docker(&["rm", container.trim()])).exits(0);
    let report = judge(&exported, host).exits(0).json();
    assert_eq!(
        (&report["user"], report["sizes"]["layers"].as_array().map(Vec::len)),
        (&serde_json::Value::Null, Some(1))
    );
    run(&mut daemon.docker(&["image", "rm", &names[1], &names[0]])).exits(0);

    let ended = judge(&names[0], host).exits(2);
    ended.says(&["neither a file nor a directory", "docker: ", "No such image", "docker save --output FILE"]);
    let gone = ("DOCKER_HOST", "unix:///no/such/socket");
    judge(&names[0], gone).exits(2).says(&["docker: ", "Cannot connect to the Docker daemon"]);
}

#[test]
fn an_image_of_buildah_and_podman_is_found_by_its_name() {
    if !is_root() {
        skip!(Missing::Root, "a storage of a user's own needs more than this test makes");
    }
    for name in ["buildah", "podman"] {
        if !Path::new("/usr/bin").join(name).exists() {
            skip!(Missing::Program(name), "there is no {name}");
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    root(directory.path());
    let storage =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n", path("storage"), path("run"));
    fs_err::write(path("storage.conf"), storage).expect("a file");
    let variable = path("storage.conf");
    let variable = ("CONTAINERS_STORAGE_CONF", variable.as_str());
    let buildah = |words: &[&str]| run(Command::new("buildah").args(words).env(variable.0, variable.1)).exits(0).out;
    let container = buildah(&["from", "scratch"]);
    let container = container.trim();
    buildah(&["copy", "--quiet", container, &path("root"), "/"]);
    buildah(&["config", "--user", "app", container]);
    buildah(&["commit", "--quiet", container, "kept:1"]);
    buildah(&["rm", container]);
    for name in ["kept:1", "localhost/kept:1"] {
        is_read(judge(name, variable), name, 1);
    }
    for (kind, file) in [("oci", "layout"), ("oci-archive", "oci.tar"), ("docker-archive", "docker.tar")] {
        buildah(&["push", "--quiet", "kept:1", &format!("{kind}:{}", path(file))]);
        is_read(judge(&path(file), variable), &path(file), 1);
    }
    judge("absent:1", variable).exits(2).says(&["podman: ", "buildah: ", "image not known"]);
}
