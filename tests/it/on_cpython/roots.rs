//! The artifacts in other roots: one with nothing but the loader, glibc and `/dev`, and a minimal
//! Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::minbase;
use crate::missing::Missing;
use crate::skip;
use crate::support::{Artifact, artifact, check, is_root, run, unpack};

/// The Python package of `pykeel verify`.
const PROBE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/stages/verify/probe");

/// What a root without `/proc`, `/etc`, a shell and a network may lack. Terminals are known by the tree itself.
pub const BARE_ROOT_LACKS: &[&str] = &["tzdata", "/bin/sh", "/dev/shm", "loopback", "/proc"];

/// `chroot` with an environment that is as bare as the root.
pub fn in_root() -> Command {
    let mut command = Command::new("/usr/sbin/chroot");
    command.env_clear();
    command
}

/// Runs the probe of `pykeel verify` in a root, with the tree at its compiled prefix.
pub fn probe(root: &Path, artifact: &Artifact, may_lack: &[&str]) {
    let prefix = artifact.prefix();
    unpack(artifact, &root.join(&prefix[1..]));
    probe_at(root, artifact, prefix, may_lack);
}

pub fn probe_at(root: &Path, artifact: &Artifact, prefix: &str, may_lack: &[&str]) {
    let enter = |words: &[&str]| {
        let mut command = in_root();
        command.arg(root).args(words).env("LC_ALL", "C.UTF-8");
        command
    };
    probe_by(root, enter, artifact, prefix, may_lack);
}

/// Runs the probe in a root that is entered by a command of one's own.
pub fn probe_by(
    root: &Path,
    enter: impl FnOnce(&[&str]) -> Command,
    artifact: &Artifact,
    prefix: &str,
    may_lack: &[&str],
) {
    let probe = root.join("probe");
    fs_err::create_dir_all(probe.join("scratch")).expect("a directory");
    check("cp", &["-r", PROBE, &probe.display().to_string()]);
    let bin = fs_err::read_dir(root.join(&prefix[1..]).join("bin")).expect("bin");
    let scripts: Vec<String> =
        bin.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    let flavor = &artifact.manifest["plan"]["request"]["flavor"];
    let loaded: Vec<&serde_json::Value> =
        artifact.manifest["loaded"].as_array().expect("a list").iter().map(|file| &file["file"]).collect();
    let request = serde_json::json!({
        "prefix": prefix,
        "compiled_prefix": artifact.prefix(),
        "modules": artifact.manifest["modules"],
        "scripts": scripts,
        "loaded": loaded,
        "flavor": flavor,
        "static_library": artifact.manifest["plan"]["static_library"],
        "shared": artifact.manifest["plan"]["request"]["policies"]["shared"],
        "scratch": "/probe/scratch",
        "tls_cert": "/probe/probe/loopback/cert.pem",
        "tls_key": "/probe/probe/loopback/key.pem",
        "compiler": false,
        "forbidden": [],
    });
    fs_err::write(probe.join("request.json"), request.to_string()).expect("a file");
    let python = format!("{prefix}/bin/{}", artifact.python());
    let ended = run(&mut enter(&[&python, "-I", "-B", "/probe/probe/__main__.py", "/probe/request.json"])).exits(0);
    let checks = ended.json()["checks"].as_array().expect("checks").clone();
    assert!(checks.len() > 100, "{checks:?}");
    for check in &checks {
        let detail = check["detail"].as_str().unwrap_or_default();
        match check["status"].as_str() {
            Some("passed") => {}
            Some("skipped") => {
                assert!(may_lack.iter().any(|thing| detail.contains(thing)), "{check} is skipped and should not be");
            }
            _ => panic!("{check}"),
        }
    }
    fs_err::remove_dir_all(probe).expect("a directory");
}

/// A root with the loader, glibc, `/dev` and `/tmp`, and nothing else at all.
pub fn bare_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let mut libraries: Vec<PathBuf> = Vec::new();
    for name in ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "librt.so.1"] {
        let path = check("gcc", &[format!("-print-file-name={name}")]);
        libraries.push(fs_err::canonicalize(path.trim()).expect("a library of glibc"));
    }
    let interpreter = check("sh", &["-c", "readelf -l /bin/sh | sed -n 's/.*interpreter: \\(.*\\)]/\\1/p'"]);
    let loader = PathBuf::from(interpreter.trim());
    let copy = |from: &Path, to: &Path| {
        let to = root.path().join(to.strip_prefix("/").expect("an absolute path"));
        fs_err::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        fs_err::copy(from, to).expect("a copy");
    };
    copy(&loader, &loader);
    for library in &libraries {
        // Where it is here: a directory that this system's loader searches.
        copy(library, library);
    }
    for name in ["dev", "tmp"] {
        fs_err::create_dir(root.path().join(name)).expect("a directory");
    }
    for (name, minor) in [("null", "3"), ("zero", "5"), ("random", "8"), ("urandom", "9")] {
        let path = root.path().join("dev").join(name).display().to_string();
        check("mknod", &["-m", "666", &path, "c", "1", minor]);
    }
    root
}

#[test]
fn both_flavors_work_in_a_root_that_holds_nothing_but_glibc() {
    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    for flavor in ["runtime", "builder"] {
        let root = bare_root();
        probe(root.path(), &artifact(flavor), BARE_ROOT_LACKS);
    }
}

#[test]
fn it_works_in_a_bare_root_at_a_path_with_a_space_and_another_letter() {
    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    let root = bare_root();
    let runtime = artifact("runtime");
    let prefix = "/srv/ein Pythön";
    unpack(&runtime, &root.path().join(&prefix[1..]));
    probe_at(root.path(), &runtime, prefix, BARE_ROOT_LACKS);
}

#[test]
fn nothing_of_the_build_host_is_needed_to_find_certificates() {
    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    let root = bare_root();
    unpack(&artifact("runtime"), &root.path().join("opt/myorg/python-3.13"));
    let count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))";
    let count = || {
        let output = run(in_root().arg(root.path()).args(["/opt/myorg/python-3.13/bin/python3", "-I", "-c", count]));
        output.exits(0).out.trim().to_owned()
    };
    assert_eq!(count(), "0");
    let made = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).expect("a certificate");
    for place in ["etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/certs/ca-certificates.crt", "usr/lib/ssl/cert.pem"] {
        let path = root.path().join(place);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs_err::write(&path, made.cert.pem()).expect("a file");
        // A self-signed certificate without the CA flag is loaded and not listed as a CA.
        let loaded = run(in_root().arg(root.path()).args([
            "/opt/myorg/python-3.13/bin/python3",
            "-I",
            "-c",
            "import ssl; print(ssl.create_default_context().cert_store_stats()['x509'])",
        ]))
        .exits(0);
        assert_eq!(loaded.out.trim(), "1", "{place}");
        fs_err::remove_file(path).expect("a file");
    }
}

#[test]
fn it_works_in_a_minimal_debian() {
    if !is_root() {
        skip!(Missing::Root, "only root can chroot");
    }
    let template = match minbase() {
        Ok(template) => template,
        Err((missing, reason)) => skip!(missing, "{reason}"),
    };
    let place = tempfile::tempdir().expect("a directory");
    let root = place.path().join("root");
    check("cp", &[Path::new("-a"), &template, &root]);
    // No process file system is mounted there, and no shared memory.
    probe(&root, &artifact("builder"), &["/dev/shm", "tzdata", "loopback", "/proc"]);
    // As a user without privileges, who writes nothing there.
    let out = run(in_root().args(["--userspec=65534:65534"]).arg(&root).args([
        "/opt/myorg/python-3.13/bin/python3.13",
        "-c",
        "import ssl, sqlite3, lzma, ctypes, curses, readline, uuid; print('fine')",
    ]))
    .exits(0);
    assert_eq!(out.out.trim(), "fine");
}
