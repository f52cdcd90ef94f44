//! The keys, and a plan for other tests.

use std::path::PathBuf;

use super::*;
use crate::domain::target::Target;

/// A request with the usual choices.
impl Default for ArtifactRequest {
    fn default() -> Self {
        Self {
            format: FORMAT,
            release: "3.13.5".parse().unwrap(),
            variant: Variant::Default,
            flavor: Flavor::Runtime,
            target: Target::X86_64,
            prefix: "/opt/myorg/python-3.13".parse().unwrap(),
            optimize: Optimize::None,
            named_profile: None,
            policies: Policies::default(),
        }
    }
}

/// A plan as small as they come. Fields that it does not name are empty, so that a new one needs no line here.
pub(crate) fn plan() -> BuildPlan {
    BuildPlan {
        source: SourceSums { xz: Some(Digest::of("xz")), tgz: None },
        configure: vec!["--prefix=/opt/myorg/python-3.13".into()],
        environment: BTreeMap::from([("CC".into(), "gcc".into())]),
        module_link: "BLDSHARED=gcc -shared {flags}".into(),
        modules: vec!["_ssl".into()],
        toolchain: ToolchainId {
            compiler: "gcc (Debian 12.2.0-14+deb12u1) 12.2.0".into(),
            glibc: "2.36".into(),
            ..ToolchainId::default()
        },
        libraries: vec![library()],
        loaded: vec![loaded()],
        provenance: Provenance {
            recipe: Some(Digest::of("recipe")),
            environment: vec!["gcc-12:amd64=12.2.0-14+deb12u1".into()],
        },
        ..BuildPlan::default()
    }
}

fn library() -> PlannedLibrary {
    PlannedLibrary {
        soname: "libssl.so.3".into(),
        sha256: Digest::of("libssl"),
        package: "libssl3".into(),
        version: "3.0.1".into(),
        source_package: "openssl".into(),
        source_version: "3.0.1".into(),
        needs: vec!["libcrypto.so.3".into()],
        path: "/usr/lib/libssl.so.3".into(),
    }
}

fn loaded() -> PlannedFile {
    PlannedFile {
        file: "lib/ossl-modules/legacy.so".into(),
        loaded_by: "libcrypto.so.3".into(),
        sha256: Digest::of("legacy"),
        package: "libssl3".into(),
        version: "3.0.1".into(),
        source_package: "openssl".into(),
        source_version: "3.0.1".into(),
        path: "/usr/lib/ossl-modules/legacy.so".into(),
    }
}

#[test]
fn the_key_does_not_know_where_a_library_lies() {
    let mut moved = plan();
    moved.libraries[0].path = "/lib/elsewhere.so".into();
    moved.loaded[0].path = "/lib/elsewhere.so".into();
    assert_eq!(moved.build_key(), plan().build_key());
}

#[test]
fn the_key_changes_with_what_decides_bytes() {
    let key = plan().build_key();
    let edits: [fn(&mut BuildPlan); 17] = [
        |plan| plan.request.flavor = Flavor::Builder,
        |plan| plan.request.policies.bytecode = Bytecode::UncheckedHash,
        |plan| plan.request.prefix = "/opt/other".parse().unwrap(),
        |plan| plan.libraries[0].sha256 = Digest::of("another build"),
        |plan| plan.loaded[0].sha256 = Digest::of("another build"),
        |plan| plan.profile = Some(Digest::of("profile")),
        |plan| plan.request.optimize = Optimize::Pgo,
        |plan| plan.source.tgz = Some(Digest::of("tgz")),
        |plan| plan.toolchain.compiler.push('x'),
        |plan| plan.request.policies.debug_files = true,
        |plan| plan.request.policies.hardening = Hardening::None,
        |plan| plan.request.policies.shared = true,
        |plan| plan.request.policies.configure_arguments.push("--with-dtrace".into()),
        |plan| plan.freeze = Some(PlannedFreeze { targets: vec![], writes: vec![], helpers: vec![] }),
        |plan| {
            let patch = PlannedPatch { name: "x.patch".into(), sha256: Digest::of("x") };
            plan.request.policies.patches.push(patch);
        },
        |plan| {
            plan.toolchain.trees.insert("/opt/gcc".into(), Digest::of("tree"));
        },
        |plan| {
            let package = PlannedPackage { version: "12.2.0".into(), files: Digest::of("sums") };
            plan.toolchain.packages.insert("gcc-12:amd64".into(), package);
        },
    ];
    for (index, edit) in edits.iter().enumerate() {
        let mut other = plan();
        edit(&mut other);
        assert_ne!(other.build_key(), key, "edit {index}");
    }
}

#[test]
fn what_is_recorded_alone_changes_no_key() {
    let mut other = plan();
    other.provenance = Provenance { recipe: None, environment: vec!["sed:amd64=4.9-1".into()] };
    assert_eq!(other.build_key(), plan().build_key());
}

#[test]
fn the_request_key_is_of_the_request_and_the_recipe() {
    let key = plan().request_key();
    let mut other = plan();
    other.request.policies.debug_files = true;
    assert_ne!(other.request_key(), key);
    let mut other = plan();
    other.provenance.recipe = Some(Digest::of("another recipe"));
    assert_ne!(other.request_key(), key);
    let mut other = plan();
    other.toolchain.compiler.push('x');
    assert_eq!(other.request_key(), key);
}

#[test]
fn a_plan_survives_json() {
    let mut expected = plan();
    expected.libraries[0].path = PathBuf::new();
    expected.loaded[0].path = PathBuf::new();
    let json = serde_json::to_string(&plan()).unwrap();
    assert_eq!(serde_json::from_str::<BuildPlan>(&json).unwrap(), expected);
}

#[test]
fn a_free_threaded_build_has_its_own_library_and_a_debug_build_has_not() {
    let with = |variant| {
        let mut plan = plan();
        plan.request.variant = variant;
        plan
    };
    assert_eq!(with(Variant::FreeThreaded).stdlib(), "lib/python3.13t");
    assert_eq!(with(Variant::FreeThreaded).interpreter(), "bin/python3.13t");
    assert_eq!(with(Variant::Debug).stdlib(), "lib/python3.13");
    assert_eq!(with(Variant::Debug).interpreter(), "bin/python3.13d");
}

#[test]
fn a_request_without_a_patch_is_written_as_if_there_was_no_such_field() {
    let written = |policies: &Policies| serde_json::to_value(policies).unwrap().get("patches").cloned();
    let mut policies = plan().request.policies;
    assert_eq!(written(&policies), None);
    policies.patches.push(PlannedPatch { name: "x.patch".into(), sha256: Digest::of("x") });
    assert_eq!(written(&policies).unwrap().as_array().unwrap().len(), 1);
}
