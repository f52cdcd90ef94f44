//! `check` finds no fault with packages as an index and a distribution have them: numpy, grpcio, lxml, pillow,
//! cryptography and psycopg2-binary in a Debian with its own Python.

use std::path::Path;
use std::process::Command;

use crate::debian::{Root, cannot_enter, minbase};
use crate::missing::Missing;
use crate::skip;
use crate::support::{artifact, check, pykeel, run, unpack};

const PACKAGES: [&str; 6] = ["numpy", "grpcio", "lxml", "pillow", "cryptography", "psycopg2-binary"];

/// Installs Python as Debian's images do, and leaves nothing of apt behind.
const PREPARE: &str = "
apt-get update -q
apt-get install -qy --no-install-recommends python3 python3-venv
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
useradd --uid 10001 app
python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'
";

/// Installs wheels into an environment without pip, by the pip that Debian keeps for new environments.
const INSTALL: &str = "
python3 -m venv --without-pip /opt/app
pip=$(ls /usr/share/python-wheels/pip-*.whl)
python3 $pip/pip --python /opt/app/bin/python install -q --no-index --find-links /wheels $PACKAGES
rm -rf /wheels /tmp/*
/opt/app/bin/python -c 'import numpy, grpc, lxml.etree, PIL.Image, cryptography.x509, psycopg2'
";

#[test]
#[ignore = "scripts/test --full: fetches packages of an index and of the distribution"]
fn packages_of_an_index_in_a_debian_are_without_a_fault() {
    if let Some((missing, reason)) = cannot_enter() {
        skip!(missing, "{reason}");
    }
    let template = match minbase() {
        Ok(template) => template,
        Err((missing, reason)) => skip!(missing, "{reason}"),
    };
    let root = Root::copy_of(&template);
    let prepared = root.check(PREPARE);
    let version = prepared.lines().last().expect("a version");
    let wheels = root.path().join("wheels");
    let abi = format!("cp{}", version.replace('.', ""));
    let place = tempfile::tempdir().expect("a directory");
    unpack(&artifact("builder"), place.path());
    let mut fetch = Command::new(place.path().join("bin/python3"));
    fetch.args(["-m", "pip", "download", "-q", "--only-binary", ":all:", "--python-version", version, "--dest"]);
    fetch.arg(&wheels).args(["--abi", &abi, "--abi", "abi3", "--abi", "none", "--platform", "any"]);
    // glibc of Debian 12, and older ones.
    for minor in (17..=36).rev() {
        fetch.args(["--platform", &format!("manylinux_2_{minor}_{}", std::env::consts::ARCH)]);
    }
    let fetched = run(fetch.args(PACKAGES));
    if fetched.code != 0 {
        skip!(Missing::PackageIndex, "the packages cannot be fetched: {}", fetched.err);
    }
    root.check(&format!("PACKAGES='{}'\n{INSTALL}", PACKAGES.join(" ")));
    is_without_a_fault(root.path());

    // The same packages as Debian has them.
    root.check(
        "rm -rf /opt/app; apt-get update -q; apt-get install -qy --no-install-recommends python3-numpy python3-grpcio \
         python3-lxml python3-pil python3-cryptography python3-psycopg2; apt-get clean; rm -rf /var/lib/apt/lists/* \
         /var/cache/apt/*.bin /tmp/*",
    );
    is_without_a_fault(root.path());
}

/// Checks that nothing is found but notes, in the root and in an archive of it.
fn is_without_a_fault(root: &Path) {
    let place = tempfile::tempdir().expect("a directory");
    let archive = place.path().join("root.tar");
    check("tar", &[Path::new("-C"), root, Path::new("-cf"), &archive, Path::new(".")]);
    for image in [root, &archive] {
        let report = run(pykeel().args(["check", "--user", "10001", "--json"]).arg(image)).exits(0).json();
        let findings = report["findings"].as_array().expect("a list");
        let faults: Vec<_> = findings.iter().filter(|finding| finding["severity"] != "note").collect();
        assert!(faults.is_empty(), "{}: {faults:#?}", image.display());
        assert!(report["elf_files"].as_u64() > Some(300), "{}", report["elf_files"]);
    }
}
