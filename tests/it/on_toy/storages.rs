//! `pykeel check NAME` with real images of docker, podman and buildah, and with what they write to files.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docker::Engines;
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

#[test]
fn an_image_of_docker_is_found_by_its_name_and_in_what_docker_writes() {
    let engines = match Engines::start() {
        Ok(engines) => engines,
        Err((missing, reason)) => skip!(missing, "{reason}"),
    };
    let docker = |words: &[&str]| run(engines.docker().args(words).env("DOCKER_BUILDKIT", "0")).exits(0).out;
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let names = ["kept:one", "kept:two"].map(str::to_owned);
    let archive = root(directory.path()).display().to_string();
    docker(&["import", "--change", "USER app", &archive, &names[0]]);
    // A second layer, which hides nothing.
    fs_err::create_dir_all(path("context")).expect("a directory");
    fs_err::write(path("context/motd"), "hello\n").expect("a file");
    fs_err::write(path("context/Dockerfile"), format!("FROM {}\nCOPY motd /etc/motd\n", names[0])).expect("a file");
    docker(&["build", "--tag", &names[1], &path("context")]);
    let host = engines.host();
    let host = ("DOCKER_HOST", host.as_str());

    is_read(judge(&names[0], host), &names[0], 1);
    is_read(judge(&names[1], host), &names[1], 2);
    // Both images in one archive share a layer: docker 20.10 writes a link.
    let saved = path("both.tar");
    docker(&["image", "save", "--output", &saved, &names[0], &names[1]]);
    judge(&saved, host).exits(2).says(&["holds several images", &names[0], &names[1], "docker save"]);
    let saved = path("two.tar");
    docker(&["image", "save", "--output", &saved, &names[1]]);
    is_read(judge(&saved, host), &saved, 2);
    // The root file system of a container.
    let container = docker(&["create", &names[1], "/nothing"]);
    let exported = path("exported.tar");
    docker(&["export", "--output", &exported, container.trim()]);
    let report = judge(&exported, host).exits(0).json();
    assert_eq!(report["user"], serde_json::Value::Null);
    assert_eq!(report["sizes"]["layers"].as_array().map(Vec::len), Some(1));
    docker(&["rm", container.trim()]);
    docker(&["image", "rm", &names[1], &names[0]]);

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
