//! `pykeel image`: images from scratch and on a base, as archives that both OCI's tools and `docker load` read.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pykeel::domain::digest::Digest;
use pykeel::sys::archive::{LayerBudget, LayerKind, read_layer};
use pykeel::sys::oci::{ImageSource, Layer};
use serde_json::{Value, json};

use crate::missing::Missing;
use crate::skip;
use crate::support::{Ended, Mounted, check, run};
use crate::toy_artifact::{artifact, pykeel, store_with};

/// A directory with what an image is made of.
struct Scene {
    directory: tempfile::TempDir,
}

/// An entry of a layer: its path, its kind, its mode, its owner and its time.
type Entries = BTreeMap<String, (LayerKind, u32, (u64, u64), u64)>;

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs_err::write(&path, content).expect("a file");
        path
    }

    /// Makes an image of the toy in `OUTPUT`.
    fn image(&self, output: &str, args: &[&str]) -> Ended {
        let mut command = pykeel();
        command.current_dir(self.directory.path()).args([
            "image",
            "3.13.5",
            "--no-build",
            "--json",
            "--output",
            output,
        ]);
        run(command.args(args))
    }

    /// The layers of an image, each by its entries.
    fn layers(&self, image: &str) -> Vec<Entries> {
        let source = ImageSource::open(&self.path(image)).expect("an image");
        let layer = |layer: &Layer| {
            let mut entries = Entries::new();
            let read = source.read_layer(layer, &mut std::io::sink(), |name, tarball| {
                read_layer(name, tarball, &mut LayerBudget::USUAL.clone(), |entry| {
                    let value = (entry.kind.clone(), entry.mode, entry.owner, entry.mtime);
                    let mark = if entry.kind == LayerKind::Opaque { "/.wh..wh..opq" } else { "" };
                    entries.insert(format!("{}{mark}", entry.path.display()), value);
                    Ok(())
                })
            });
            read.expect("a layer");
            entries
        };
        source.images()[0].layers.iter().map(layer).collect()
    }

    fn config(&self, image: &str) -> Value {
        let source = ImageSource::open(&self.path(image)).expect("an image");
        serde_json::from_slice(&source.images()[0].config).expect("JSON")
    }
}

/// A layer with some files; a content that begins with `->` is a link, `/` a directory.
fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(0);
        if let Some(target) = content.strip_prefix("->") {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, path, target).expect("an entry");
        } else if *content == "/" {
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, path, std::io::empty()).expect("an entry");
        } else {
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, content.as_bytes()).expect("an entry");
        }
    }
    builder.into_inner().expect("a layer")
}

/// An archive as `docker save` of version 20.10 writes it: the second name of a layer is a link.
fn docker_save(layers: &[Vec<u8>], config: &Value) -> Vec<u8> {
    let mut config = config.clone();
    config["architecture"] = json!(architecture());
    config["os"] = json!("linux");
    let ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", Digest::of(layer))).collect();
    config["rootfs"] = json!({"type": "layers", "diff_ids": ids});
    let config = config.to_string();
    let config_name = format!("{}.json", Digest::of(&config));
    let mut builder = tar::Builder::new(Vec::new());
    let mut files = vec![(config_name.clone(), config.into_bytes())];
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        files.push((format!("{number}/layer.tar"), layer.clone()));
        names.push(format!("link-{number}/layer.tar"));
    }
    let manifest = json!([{"Config": config_name, "RepoTags": ["base:1"], "Layers": names}]);
    files.push(("manifest.json".into(), manifest.to_string().into_bytes()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, &bytes[..]).expect("an entry");
    }
    for (number, name) in names.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, format!("../{number}/layer.tar")).expect("an entry");
    }
    builder.into_inner().expect("an archive")
}

const fn architecture() -> &'static str {
    pykeel::domain::target::Target::OF_THIS_PROGRAM.oci_architecture()
}

/// Writes an OCI image layout with media types of Docker, and an index without a media type. Returns the manifest.
fn layout(scene: &Scene, name: &str, blob: &[u8], diff_id: Digest, change: impl FnOnce(&mut Value)) -> PathBuf {
    let config = json!({
        "architecture": architecture(), "os": "linux", "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff_id}")]},
    });
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        scene.write(&format!("{name}/blobs/sha256/{digest}"), bytes);
        (format!("sha256:{digest}"), bytes.len())
    };
    let (config, config_size) = put(config.to_string().as_bytes());
    let (digest, size) = put(blob);
    let kind = |kind: &str| format!("application/vnd.docker.{kind}");
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": kind("distribution.manifest.v2+json"),
        "config": {"mediaType": kind("container.image.v1+json"), "size": config_size, "digest": config},
        "layers": [{"mediaType": kind("image.rootfs.diff.tar.gzip"), "size": size, "digest": digest}],
    });
    change(&mut manifest);
    let (digest, size) = put(manifest.to_string().as_bytes());
    scene.write(
        &format!("{name}/index.json"),
        json!({"schemaVersion": 2, "manifests": [{"digest": digest, "size": size}]}).to_string(),
    );
    scene.write(&format!("{name}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    scene.path(name)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut gzip).expect("memory");
    gzip
}

#[test]
fn an_image_from_scratch_has_a_python_and_what_it_needs_of_a_system() {
    let scene = Scene::new();
    let first = scene.image("a.tar", &[]).exits(0).json();
    let second = scene.image("b.tar", &[]).exits(0).json();
    assert_eq!(first["digest"], second["digest"]);
    assert!(fs_err::read(scene.path("a.tar")).expect("a file") == fs_err::read(scene.path("b.tar")).expect("a file"));
    let layers = scene.layers("a.tar");
    let epoch = artifact("runtime").manifest["source_date_epoch"].as_u64().expect("a time");
    assert_eq!(layers.len(), 2);
    for (path, (kind, mode, owner, mtime)) in &layers[1] {
        let link = matches!(kind, LayerKind::Symlink(_));
        assert_eq!((*owner, *mtime), ((0, 0), epoch), "{path}");
        assert!(link || [0o755, 0o644].contains(mode), "{path}: {mode:o}");
    }
    assert!(layers[1].contains_key("opt") && layers[1].contains_key("opt/myorg/python-3.13/bin/python3.13"));
    let mode = |path: &str| layers[0].get(path).unwrap_or_else(|| panic!("no {path}")).1;
    assert_eq!((mode("tmp"), mode("root"), mode("etc/passwd")), (0o1777, 0o700, 0o644));
    for wanted in [
        "etc/ssl/certs/ca-certificates.crt",
        "etc/nsswitch.conf",
        "usr/share/zoneinfo/Europe/Zurich",
        "usr/lib/os-release",
    ] {
        mode(wanted);
    }
    let has = |name: &str| layers[0].keys().any(|path| path.ends_with(name));
    assert!(has("/libc.so.6") && has("/libm.so.6") && layers[0].keys().any(|path| path.contains("/ld-linux")));
    let config = scene.config("a.tar");
    assert_eq!((&config["config"]["User"], &config["os"]), (&json!("10001:10001"), &json!("linux")));
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(2));
    // Without a C library and with Zstandard the Python is the same.
    let other =
        scene.image("c.tar", &["--libc", "none", "--compression", "zstd", "--user", "nobody", "--tag", "team/x"]);
    let other = other.exits(0).json();
    assert_eq!(other["layers"][1]["diff_id"], first["layers"][1]["diff_id"]);
    assert_eq!((&other["user"], &other["reference"]), (&json!("65534:65534"), &json!("team/x:latest")));
    assert!(!scene.layers("c.tar")[0].keys().any(|path| path.ends_with("/libc.so.6")));
}

#[test]
fn a_base_is_kept_byte_for_byte_and_added_to() {
    let scene = Scene::new();
    let passwd = "root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n";
    let layers = [
        layer(&[
            ("etc/passwd", passwd),
            ("usr/opt", "/"),
            ("opt", "->usr/opt"),
            ("etc/ssl/certs/ca-certificates.crt", "PUBLIC"),
        ]),
        layer(&[("usr/opt/myorg/python-3.13/lib/old.py", "x"), ("etc/.wh.motd", "")]),
    ];
    let config = json!({
        "config": {"Env": ["PATH=/bin:/usr/bin", "A=1"], "Cmd": ["bash"], "Labels": {"of": "base"}},
        "history": [{"created_by": "one"}, {"created_by": "two"}],
    });
    scene.write("base.tar", docker_save(&layers, &config));
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    scene.write("ca.pem", pem);
    scene.write("app/bin/serve", "#!/bin/sh\n");
    std::os::unix::fs::symlink("/opt/myorg/python-3.13/bin/python3.13", scene.path("app/bin/python")).expect("a link");
    let args =
        ["--base", "base.tar", "--ca", "ca.pem", "--app", "app:/srv/app", "--label", "team=a=b", "--user", "web"];
    let made = scene.image("out.tar", &args).exits(0).json();
    let added = scene.layers("out.tar");
    assert_eq!(added.len(), 5);
    for (number, layer) in layers.iter().enumerate() {
        assert_eq!(made["layers"][number]["digest"], Digest::of(layer).to_string());
        assert_eq!(made["layers"][number]["of_base"], true);
    }
    // The link of the base leads there, and what was there is hidden.
    assert!(added[3].contains_key("usr/opt/myorg/python-3.13/bin/python3.13") && !added[3].contains_key("opt"));
    assert!(added[3].contains_key("usr/opt/myorg/python-3.13/.wh..wh..opq"));
    assert_eq!(added[2].keys().next_back().map(String::as_str), Some("etc/ssl/certs/ca-certificates.crt"));
    assert!(added[4].contains_key("srv/app/bin/python"));
    let config = scene.config("out.tar");
    let variables = json!(["PATH=/srv/app/bin:/opt/myorg/python-3.13/bin:/bin:/usr/bin", "A=1", "LANG=C.UTF-8"]);
    assert_eq!((&config["config"]["Env"], &config["config"]["User"]), (&variables, &json!("web")));
    assert_eq!(
        (&config["config"]["Labels"]["of"], &config["config"]["Labels"]["team"]),
        (&json!("base"), &json!("a=b"))
    );
    assert_eq!(config["history"].as_array().map(Vec::len), Some(5));
    // An image of pykeel's is a base too, and a user has to exist.
    scene.image("again.tar", &["--base", "out.tar"]).exits(0);
    let ended = scene.image("no.tar", &["--base", "base.tar", "--user", "nobody"]);
    ended.exits(2).says(&["the image has no user `nobody`", "root, web"]);
    assert!(!scene.path("no.tar").exists());
}

#[test]
fn an_application_is_an_environment_and_code_which_is_the_working_directory() {
    let scene = Scene::new();
    scene.write("environment/pyvenv.cfg", "home = /opt/myorg/python-3.13/bin\n");
    scene.write("environment/bin/uvicorn", "#!/bin/sh\n");
    scene.write("code/main.py", "print(1)\n");
    let args = ["--app", "environment:/opt/app", "--app", "code:/srv/app"];
    scene.image("both.tar", &args).exits(0);
    let layers = scene.layers("both.tar");
    assert!(layers[2].contains_key("opt/app/bin/uvicorn") && layers[3].contains_key("srv/app/main.py"));
    let config = scene.config("both.tar");
    assert_eq!(config["config"]["WorkingDir"], "/srv/app");
    let path = config["config"]["Env"][0].as_str().expect("a variable");
    assert!(path.starts_with("PATH=/opt/app/bin:/opt/myorg/python-3.13/bin:"), "{path}");
    // An environment alone leaves it as it is.
    scene.image("one.tar", &args[..2]).exits(0);
    assert_eq!(scene.config("one.tar")["config"].get("WorkingDir"), None);
    // Nothing of an application is a pipe that somebody waits for, or a link to elsewhere.
    check("mkfifo", &[scene.path("code/pipe")]);
    scene.image("no.tar", &args).exits(2).says(&["code/pipe", "neither file, directory nor link"]);
}

#[test]
fn the_files_below_an_image_have_what_named_packages_have() {
    let scene = Scene::new();
    run(pykeel().args(["install", "3.13.5", "--no-build", "--no-sync", "--root"]).arg(scene.path("out"))).exits(0);
    let rootfs = |name: &str, packages: &[&str]| {
        let mut command = pykeel();
        command.current_dir(scene.directory.path()).args(["image", "--rootfs", name, "--tree", "out"]);
        run(command.args(packages.iter().flat_map(|package| ["--package", package])))
    };
    rootfs("plain", &[]).exits(0);
    rootfs("more", &["ncurses-base", "libmount1"]).exits(0);
    let has = |root: &str, path: &str| scene.path(root).join(path).symlink_metadata().is_ok();
    for path in ["usr/lib/terminfo/x/xterm", "etc/terminfo/README", "var/lib/dpkg/status.d/libmount1"] {
        assert!(!has("plain", path) && has("more", path), "{path}");
    }
    let directory = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    // The library is a link in its package, and needs another package's.
    for library in ["libmount.so.1", "libblkid.so.1"] {
        let path = format!("{directory}/{library}");
        assert!(!has("plain", &path) && scene.path("more").join(&path).exists(), "{path}");
    }
    assert!(!has("more", "usr/share/doc/libmount1/changelog.Debian.gz") && !has("more", "usr/share/man"));
    rootfs("no", &["no-such-package"]).exits(1).says(&["no-such-package is not installed"]);
    assert!(!has("no", ""));
}

#[test]
fn the_files_below_an_image_take_no_option_of_artifacts_and_images() {
    let scene = Scene::new();
    let words =
        ["--compression=zstd", "--flavor=builder", "--no-build", "--prefix=/opt/x", "--bytecode=strip", "--jobs=2"];
    let others =
        ["--libraries=system", "--optimize=none", "--timings", "--offline", "--label=a=b", "--app=x", "3.13.5"];
    for word in words.into_iter().chain(others) {
        let mut command = pykeel();
        command.current_dir(scene.directory.path()).args(["image", "--rootfs", "x", "--tree", ".", word]);
        run(&mut command).exits(2).says(&["--rootfs <DIR>", "cannot be used with"]);
    }
    run(pykeel().args(["image", "3.13.5", "--package", "x"])).exits(2).says(&["--rootfs"]);
    assert!(!scene.path("x").exists());
}

#[test]
fn a_layout_of_dockers_media_types_is_a_base() {
    let scene = Scene::new();
    let tarball = layer(&[("etc/os-release", "ID=x\n")]);
    let blob = gzipped(&tarball);
    layout(&scene, "layout", &blob, Digest::of(&tarball), |_| {});
    let made = scene.image("out.tar", &["--base", "layout"]).exits(0).json();
    assert_eq!(made["layers"][0]["digest"], Digest::of(&blob).to_string());
    assert_eq!(made["layers"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_base_that_is_not_what_it_says_is_refused() {
    let scene = Scene::new();
    let refused = |base: &str, code: i32, says: &[&str]| {
        scene.image("out.tar", &["--base", base]).exits(code).says(says);
        assert!(!scene.path("out.tar").exists(), "{base}");
    };
    let tarball = layer(&[("etc/x", "content")]);
    let (blob, id) = (gzipped(&tarball), Digest::of(&tarball));
    let change = |name: &str, change: fn(&mut Value)| drop(layout(&scene, name, &blob, id, change));
    change("size", |manifest| manifest["layers"][0]["size"] = json!(5));
    refused("size", 4, &["it has more bytes, and the manifest says 5"]);
    change("long", |manifest| manifest["layers"][0]["size"] = json!(u64::MAX));
    refused("long", 4, &["and the manifest says"]);
    change("foreign", |manifest| manifest["layers"][0]["mediaType"] = json!("application/x; evil\u{1b}[2J"));
    refused("foreign", 2, &["which pykeel cannot read"]);
    change("fewer", |manifest| manifest["layers"] = json!([]));
    refused("fewer", 4, &["it has 0 layers, and its configuration has 1"]);
    change("path", |manifest| manifest["config"]["digest"] = json!("sha256:../../../etc/passwd"));
    refused("path", 4, &["64 lower-case hexadecimal digits"]);
    layout(&scene, "content", &gzipped(&tarball), Digest::of("another"), |_| {});
    refused("content", 4, &["uncompressed, has the SHA-256"]);
    let whole = layout(&scene, "flipped", &blob, id, |_| {});
    scene.write(&format!("flipped/blobs/sha256/{}", Digest::of(&blob)), gzipped(&layer(&[("etc/x", "evil")])));
    assert!(whole.exists());
    refused("flipped", 4, &["blobs/sha256/"]);
    fs_err::remove_file(scene.path(&format!("flipped/blobs/sha256/{}", Digest::of(&blob)))).expect("a file");
    std::os::unix::fs::symlink("/etc/passwd", scene.path(&format!("flipped/blobs/sha256/{}", Digest::of(&blob))))
        .expect("a link");
    refused("flipped", 4, &["it is missing"]);
    // The name is written without any check.
    let mut evil = layer(&[("aaaaaaaaaaaaaa", "x")]);
    evil[..14].copy_from_slice(b"a/../../../etc");
    let sum: u32 = evil[..512].iter().map(|byte| u32::from(*byte)).sum::<u32>()
        - evil[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>()
        + 8 * 32;
    evil[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    scene.write("evil.tar", docker_save(&[evil], &json!({})));
    refused("evil.tar", 4, &["leads out of the image"]);
}

#[test]
fn what_is_no_image_is_named_with_the_reason() {
    let scene = Scene::new();
    let saved = docker_save(&[layer(&[("etc/x", "content")])], &json!({}));
    scene.write("whole.tar", &saved);
    scene.write("short.tar", &saved[..saved.len() / 2]);
    scene.write("gzip.tar", gzipped(&saved));
    scene.write("text", "no archive");
    scene.write("empty", "");
    scene.write("directory/file", "");
    for (base, code, says) in [
        ("none", 2, "No such file"),
        ("text", 2, "neither a directory nor a tar archive"),
        ("empty", 2, "it is empty"),
        ("directory", 2, "neither index.json"),
        ("short.tar", 4, "short.tar is damaged"),
    ] {
        let ended = scene.image("out.tar", &["--base", base]).exits(code);
        assert!(ended.err.contains(says), "{base}: {}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
    scene.image("out.tar", &["--base", "whole.tar"]).exits(0);
    scene.image("out.tar", &["--base", "gzip.tar"]).exits(0);
    scene.image("x.tar", &["--base", "whole.tar", "--libc", "bundle"]).exits(2);
    scene.image("x.tar", &["--default", "3.12"]).exits(2).says(&["--default 3.12"]);
    scene.image("x.tar", &["--default", "latest"]).exits(2).says(&["`--default latest` (3.", "versions: 3.13.5"]);
    scene.image("x.tar", &["--default", "3.13"]).exits(0);
    scene.image("x.tar", &["--label", "a b=c"]).exits(2).says(&["letters, digits"]);
    fs_err::create_dir_all(scene.path("code")).expect("a directory");
    let twice = ["--app", "code:/srv/app", "--app", "directory:/srv/app"];
    scene.image("x.tar", &twice).exits(2).says(&["both be at /srv/app"]);
    scene.image("x.tar", &["--app", "text:/opt/app"]).exits(2).says(&["it is not a directory"]);
    scene.image("x.tar", &["--ca", "text"]).exits(2).says(&["no whole certificate"]);
}

#[test]
fn a_base_without_a_shell_and_with_hard_links_is_built_on() {
    let scene = Scene::new();
    let mut builder = tar::Builder::new(Vec::new());
    let text = "root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/false\n";
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    builder.append_data(&mut header, "etc/passwd", text.as_bytes()).expect("an entry");
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Link);
    builder.append_link(&mut header, "etc/users", "etc/passwd").expect("an entry");
    let below = builder.into_inner().expect("a layer");
    let above = layer(&[("opt/.wh..wh..opq", ""), ("etc/.wh.users", "")]);
    scene.write("base.tar", docker_save(&[below, above], &json!({"config": {"Cmd": ["/bin/app"]}})));
    let made = scene.image("out.tar", &["--base", "base.tar", "--user", "web"]).exits(0).json();
    assert_eq!((&made["user"], made["layers"].as_array().map(Vec::len)), (&json!("web"), Some(3)));
    assert_eq!(scene.config("out.tar")["config"]["Cmd"], json!(["/bin/app"]));
    assert_eq!(scene.layers("out.tar")[0]["etc/users"].0, LayerKind::HardLink("etc/passwd".into()));
    // The result is read as it was written.
    let judged = run(pykeel().args(["check", "--json", "--fail-on", "never"]).arg(scene.path("out.tar"))).exits(0);
    assert_eq!(judged.json()["user"], json!("web"));
}

#[test]
fn a_damaged_artifact_makes_no_image_and_is_set_aside() {
    let scene = Scene::new();
    let entry = store_with("runtime", &scene.path("store"));
    let files = fs_err::read_dir(&entry).expect("a directory").map(|file| file.expect("a file").path());
    let tarball = files.into_iter().find(|path| path.display().to_string().ends_with(".tar.zst")).expect("a tarball");
    let mut bytes = fs_err::read(&tarball).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&tarball, bytes).expect("a file");
    let image = |command: &mut Command| {
        command.current_dir(scene.directory.path()).env("PYKEEL_STORE", scene.path("store"));
        run(command.args(["image", "3.13.5", "--no-build", "--output", "out.tar"]))
    };
    image(&mut pykeel()).exits(4).says(&["the damaged artifact is now in"]);
    assert!(!entry.exists() && !scene.path("out.tar").exists());
    assert!(Path::new(&scene.path("store/damaged")).exists());
    image(&mut pykeel()).exits(2);
}

#[test]
fn a_full_disk_leaves_no_file() {
    let scene = Scene::new();
    let Some(_mounted) = Mounted::tmpfs(&scene.path("small"), "size=256k") else {
        skip!(Missing::Mounts, "nothing can be mounted here")
    };
    scene.image("small/out.tar", &[]).exits(5).says(&["small/out.tar", "No space left on device"]);
    assert_eq!(fs_err::read_dir(scene.path("small")).expect("a directory").count(), 0);
}
