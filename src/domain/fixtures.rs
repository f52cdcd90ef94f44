//! A manifest that no build made, for tests of whatever reads one.

use std::collections::BTreeMap;

use super::artifact::ArtifactName;
use super::digest::Digest;
use super::manifest::{BundledLibrary, Hardening, Manifest, Sizes};
use super::plan::tests::plan;

/// The manifest of a made-up plan: it has no modules, no libraries and no files.
pub(crate) fn manifest() -> Manifest {
    let plan = plan();
    let floor = "2.35".parse().unwrap();
    Manifest {
        name: ArtifactName::new(&plan, floor),
        build_key: plan.build_key(),
        request_key: plan.request_key(),
        source_date_epoch: 0,
        glibc_floor: floor,
        modules: Vec::new(),
        builtin_modules: Vec::new(),
        compiled_in: BTreeMap::new(),
        libraries: Vec::new(),
        loaded: Vec::new(),
        runtime_packages: Vec::new(),
        sizes: Sizes { files: 0, bytes: 0, parts: BTreeMap::new() },
        links: BTreeMap::new(),
        sums: Digest::of(""),
        plan,
    }
}

/// A bundled library of some bytes.
pub(crate) fn bundled(soname: &str, bytes: &[u8]) -> BundledLibrary {
    BundledLibrary {
        soname: soname.into(),
        sha256: Digest::of(bytes),
        size: bytes.len() as u64,
        package: "libssl3".into(),
        version: "3.0.1".into(),
        source_package: "openssl".into(),
        source_version: "3.0.1".into(),
        package_checksum: "md5:00".into(),
        hardening: Hardening {
            relro: true,
            bind_now: true,
            executable_stack: false,
            writable_code: false,
            text_relocations: false,
        },
    }
}
