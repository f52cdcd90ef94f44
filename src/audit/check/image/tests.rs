use std::io::Write as _;

use serde_json::json;
use tar::EntryType::{Link, Regular, Symlink};

use super::layer::tests::tarball;
use super::*;
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::sys::archive::encode;

fn compressed(format: Option<Format>, bytes: &[u8]) -> Vec<u8> {
    match format {
        Some(format) => encode(format, Vec::new(), |writer| Ok(writer.write_all(bytes)?)).unwrap().0,
        None => bytes.to_vec(),
    }
}

fn layers() -> [Vec<u8>; 2] {
    let below = tarball(&[(Regular, "etc/passwd", "root:x:0:0::/:/bin/sh\n"), (Regular, "usr/lib/a", "one")]);
    let above =
        tarball(&[(Regular, "usr/lib/.wh.a", ""), (Link, "etc/same", "etc/passwd"), (Symlink, "lib", "usr/lib")]);
    [below, above]
}

fn config() -> Vec<u8> {
    let ids = layers().map(|layer| format!("sha256:{}", Digest::of(&layer)));
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"User": "app"},
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    serde_json::to_vec(&config).unwrap()
}

/// The files of an OCI layout; media types and formats as given.
fn layout(media_types: Option<[&str; 3]>, format: Option<Format>) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut blob = |bytes: Vec<u8>, media_type: Option<&str>| {
        let digest = Digest::of(&bytes);
        let mut descriptor = json!({"digest": format!("sha256:{digest}"), "size": bytes.len()});
        if let Some(media_type) = media_type {
            descriptor["mediaType"] = media_type.into();
        }
        files.push((format!("blobs/sha256/{digest}"), bytes));
        descriptor
    };
    let layers = layers().map(|layer| blob(compressed(format, &layer), media_types.map(|types| types[2])));
    let config = blob(config(), media_types.map(|types| types[1]));
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let mut manifest = blob(serde_json::to_vec(&manifest).unwrap(), media_types.map(|types| types[0]));
    manifest["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let attestation = json!({
        "digest": format!("sha256:{}", Digest::of("")), "size": 0,
        "platform": {"os": "unknown", "architecture": "unknown"},
    });
    let index = json!({"schemaVersion": 2, "manifests": [manifest, attestation]});
    files.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
    files
}

const OCI: [&str; 3] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
];
const DOCKER: [&str; 3] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

fn written(files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = directory.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    directory
}

fn archived(files: &[(String, Vec<u8>)], links: &[(&str, &str)], format: Option<Format>) -> tempfile::NamedTempFile {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    for (name, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, target).unwrap();
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&compressed(format, &builder.into_inner().unwrap())).unwrap();
    file
}

fn read(path: &Path) -> Result<Image> {
    Image::read(path, LayerBudget::USUAL)
}

fn is_whole(image: &Image) {
    let paths: Vec<&str> = image.tree.iter().filter(|(_, node)| !node.is_directory()).map(|(path, _)| path).collect();
    assert_eq!(paths, ["/etc/passwd", "/etc/same", "/lib"]);
    let config = image.config.as_ref().unwrap();
    assert_eq!((config.user.as_str(), config.platform.as_str(), image.layers.len()), ("app", "linux/amd64", 2));
    assert_eq!(image.tree.hidden(0), 3);
}

#[test]
fn a_layout_is_read_whatever_its_media_types_and_compression() {
    for media_types in [Some(OCI), Some(DOCKER), None] {
        for format in [None, Some(Format::Gz), Some(Format::Zst)] {
            let files = layout(media_types, format);
            is_whole(&read(written(&files).path()).unwrap());
            is_whole(&read(archived(&files, &[], None).path()).unwrap());
        }
    }
    is_whole(&read(archived(&layout(Some(OCI), None), &[], Some(Format::Gz)).path()).unwrap());
}

#[test]
fn what_docker_saves_is_read_also_where_shared_layers_are_links() {
    let [below, above] = layers();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["aa/layer.tar", "bb/layer.tar"]}]);
    let files = [
        ("shared/layer.tar".to_owned(), below),
        ("bb/layer.tar".to_owned(), above),
        ("c.json".to_owned(), config()),
        ("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap()),
    ];
    is_whole(&read(archived(&files, &[("aa/layer.tar", "../shared/layer.tar")], None).path()).unwrap());
    let error = read(archived(&files, &[("aa/layer.tar", "../absent/layer.tar")], None).path()).unwrap_err();
    assert!(error.to_string().contains("aa/layer.tar") && matches!(error, Error::Damaged { .. }), "{error}");
    let error = read(archived(&files, &[("aa/layer.tar", "../../etc/passwd")], None).path()).unwrap_err();
    assert!(matches!(error, Error::HostileArchive { .. }), "{error}");
}

#[test]
fn of_several_platforms_the_one_of_this_machine_is_read() {
    let mut files = layout(Some(OCI), None);
    let (_, index) = files.pop().unwrap();
    let mut index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    // As a tool leaves it that fetched one platform: the manifest of the other is there, or not even that.
    let absent = json!({"digest": format!("sha256:{}", Digest::of("absent")), "size": 6});
    let other = serde_json::to_vec(&json!({"schemaVersion": 2, "config": absent, "layers": [absent]})).unwrap();
    let descriptor = json!({
        "digest": format!("sha256:{}", Digest::of(&other)), "size": other.len(),
        "platform": {"os": "linux", "architecture": "s390x"},
    });
    files.push((format!("blobs/sha256/{}", Digest::of(&other)), other));
    let manifests = index["manifests"].as_array_mut().unwrap();
    manifests.insert(0, descriptor.clone());
    manifests.insert(0, absent);
    files.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
    is_whole(&read(written(&files).path()).unwrap());
    // Nothing else is there.
    index["manifests"] = json!([descriptor]);
    files.last_mut().unwrap().1 = serde_json::to_vec(&index).unwrap();
    let error = read(written(&files).path()).unwrap_err();
    assert!(matches!(&error, Error::Damaged { reason, .. } if reason.contains("is missing")), "{error}");
}

#[test]
fn a_layer_whose_bytes_are_not_those_of_its_digest_is_refused() {
    let mut files = layout(Some(OCI), None);
    files[0].1[512] ^= 1;
    let error = read(written(&files).path()).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }) && error.code() == 4, "{error}");
    files.remove(0);
    let error = read(written(&files).path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn what_is_no_image_says_so() {
    let error = read(archived(&[("a.txt".to_owned(), b"x".to_vec())], &[], None).path()).unwrap_err();
    assert!(error.to_string().contains("is not an image") && error.code() == 2, "{error}");
    assert_eq!(read(Path::new("/no/such")).unwrap_err().code(), 2);
    let error = read(Path::new("/dev/null")).unwrap_err();
    assert!(error.to_string().contains("nor a regular file") && error.code() == 2, "{error}");
    for index in ["{}", "[", "{\"fsLayers\": []}"] {
        let error = read(written(&[("index.json".to_owned(), index.into())]).path()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
    let empty = written(&[("index.json".to_owned(), "{\"schemaVersion\": 2, \"manifests\": []}".into())]);
    let error = read(empty.path()).unwrap_err();
    assert!(error.to_string().contains("it lists no image") && error.code() == 2, "{error}");
    let image = |name: &str| json!({"Config": "c.json", "RepoTags": [name], "Layers": ["a.tar", "b.tar"]});
    let [below, above] = layers();
    let files = [
        ("a.tar".to_owned(), below),
        ("b.tar".to_owned(), above),
        ("c.json".to_owned(), config()),
        ("manifest.json".to_owned(), json!([image("a:1"), image("b:1")]).to_string().into()),
    ];
    let error = read(archived(&files, &[], None).path()).unwrap_err();
    assert!(error.to_string().contains("several images") && error.to_string().contains("a:1, b:1"), "{error}");
    assert_eq!(error.code(), 2);
}

#[test]
fn an_exported_root_file_system_is_an_image_without_configuration() {
    let file = archived(&[("etc/passwd".to_owned(), b"root:x:0:0::/:/bin/sh\n".to_vec())], &[], None);
    let image = read(file.path()).unwrap();
    assert!(image.config.is_none() && image.tree.text("/etc/passwd").is_some());
}

#[test]
fn a_directory_that_is_added_takes_the_place_of_what_is_there() {
    let place = tempfile::tempdir().unwrap();
    let (root, app) = (place.path().join("root"), place.path().join("app"));
    for file in ["root/opt/app/lib/old.so", "root/opt/other", "app/lib/new.so"] {
        let path = place.path().join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "").unwrap();
    }
    let mut image = read(&root).unwrap();
    image.add(&app, Path::new("/opt/app")).unwrap();
    let has = |path: &str| image.tree.get(path).is_some();
    assert!(has("/opt/app/lib/new.so") && has("/opt/other") && !has("/opt/app/lib/old.so"));
}

#[test]
fn an_image_of_very_many_environments_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let made = |count: usize| {
        for number in 0..count {
            let directory = root.path().join(format!("opt/{number}"));
            fs_err::create_dir_all(&directory).unwrap();
            fs_err::write(directory.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
        }
        read(root.path())
    };
    assert!(made(1000).is_ok());
    let error = made(1001).unwrap_err();
    assert!(error.to_string().contains("more than 1000 Pythons"), "{error}");
}

#[test]
fn an_archive_of_endless_names_is_refused() {
    let names: Vec<String> = (0..40).map(|number| format!("{number}{}", "x".repeat(900_000))).collect();
    let files: Vec<_> = names.into_iter().map(|name| (name, Vec::new())).collect();
    let error = read(archived(&files, &[], None).path()).unwrap_err();
    assert!(matches!(&error, Error::HostileArchive { reason, .. } if reason.contains("longer names")), "{error}");
}
