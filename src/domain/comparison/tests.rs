use proptest::prelude::*;

use super::*;
use crate::domain::contents::tests::contents;
use crate::domain::plan::{Bytecode, PlannedPatch};
use crate::domain::version::Variant;

fn compared(before: &Contents, after: &Contents) -> Comparison {
    compare((before, &Variables::new()), (after, &Variables::new()))
}

#[test]
fn an_artifact_is_the_same_as_itself() {
    let contents = contents(&[("bin/python3.13", 500), ("lib/python3.13/ssl.py", 10)]);
    let comparison = compared(&contents, &contents);
    assert!(comparison.same && comparison.parts.is_empty() && comparison.sysconfig.is_empty());
}

#[test]
fn what_changed_is_named() {
    let before = contents(&[("bin/python3.13", 500), ("lib/python3.13/ssl.py", 10), ("lib/libz.so.1", 7)]);
    let mut after = contents(&[("bin/python3.13", 450), ("lib/python3.13/ssl.py", 10), ("include/a.h", 3)]);
    let manifest = &mut after.manifest;
    manifest.plan.request.policies.bytecode = Bytecode::UncheckedHash;
    manifest.plan.toolchain.compiler = "gcc 14".into();
    manifest.plan.environment.insert("CFLAGS".into(), "-g".into());
    manifest.plan.patches = vec![PlannedPatch { name: "3.13/a.patch".into(), sha256: Digest::of("a") }];
    manifest.glibc_floor = "2.36".parse().unwrap();
    manifest.modules = vec!["_bz2".into()];
    manifest.libraries[0].version = "3.0.2".into();
    let variables = |value| Variables::from([("CC".to_owned(), value), ("X".into(), sysconfig::Value::Number(1))]);
    let comparison = compare(
        (&before, &variables(sysconfig::Value::Text("gcc".into()))),
        (&after, &variables(sysconfig::Value::Text("gcc-14".into()))),
    );
    assert!(!comparison.same);
    let fields: Vec<_> = comparison.plan.iter().map(|change| change.name.as_str()).collect();
    let expected = [
        "bytecode",
        "environment.CFLAGS",
        "patches.3.13/a.patch.name",
        "patches.3.13/a.patch.sha256",
        "toolchain.compiler",
    ];
    assert_eq!(fields, expected);
    assert_eq!(comparison.glibc_floor.unwrap().after.unwrap().to_string(), "2.36");
    assert_eq!(comparison.modules, ListChange { added: vec!["_bz2".into()], removed: vec!["_ssl".into()] });
    let library = &comparison.libraries[0];
    let versions = [&library.before, &library.after].map(|side| side.as_ref().unwrap().version.as_str());
    assert_eq!((library.name.as_str(), versions), ("libssl.so.3", ["3.0.1", "3.0.2"]));
    let parts: Vec<_> = comparison.parts.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(parts, ["interpreter", "libraries", "headers"]);
    assert_eq!(comparison.files.added, [FileSize { path: "include/a.h".into(), size: 3 }]);
    assert_eq!(comparison.files.removed, [FileSize { path: "lib/libz.so.1".into(), size: 7 }]);
    assert_eq!(comparison.files.changed.len(), 1);
    assert_eq!(comparison.files.changed[0].by(), 50);
    assert_eq!(comparison.sysconfig.len(), 1);
    assert_eq!(comparison.sysconfig[0].name, "CC");
}

#[test]
fn a_file_is_the_same_file_in_another_series_and_variant() {
    let before = contents(&[
        ("bin/python3.13", 1),
        ("lib/python3.13/ssl.py", 10),
        ("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", 20),
        ("include/python3.13/Python.h", 2),
    ]);
    let mut after = contents(&[
        ("bin/python3.14t", 1),
        ("lib/python3.14t/ssl.py", 11),
        ("lib/python3.14t/lib-dynload/_ssl.cpython-314t-x86_64-linux-gnu.so", 20),
        ("include/python3.14t/Python.h", 2),
    ]);
    after.manifest.plan.request.release = "3.14.0".parse().unwrap();
    after.manifest.plan.request.variant = Variant::FreeThreaded;
    let files = compared(&before, &after).files;
    assert!(files.added.is_empty() && files.removed.is_empty(), "{files:?}");
    let [FileChange { before, after }] = &files.changed[..] else { panic!("{files:?}") };
    assert_eq!((before.path.as_str(), after.path.as_str()), ("lib/python3.13/ssl.py", "lib/python3.14t/ssl.py"));
}

#[test]
fn the_variables_are_the_standard_librarys() {
    let name = "_sysconfigdata__linux_x86_64-linux-gnu.py";
    assert!(is_sysconfig(Path::new(&format!("lib/python3.13/{name}"))));
    assert!(!is_sysconfig(Path::new(&format!("lib/python3.13/site-packages/{name}"))));
    assert!(!is_sysconfig(Path::new("lib/python3.13/__pycache__/_sysconfigdata.cpython-313.pyc")));
    assert!(!is_sysconfig(Path::new(&format!("share/{name}"))));
}

fn trees() -> impl Strategy<Value = Contents> {
    let files =
        prop::collection::vec(("lib/(python3\\.13|cpython-313|pythonX\\.Y)/[ab]{1,2}(\\.pyc)?", 0u64..4), 0..12);
    (files, any::<bool>()).prop_map(|(files, newer)| {
        let files: BTreeMap<&str, u64> = files.iter().map(|(path, size)| (path.as_str(), *size)).collect();
        let mut contents = contents(&files.into_iter().collect::<Vec<_>>());
        if newer {
            contents.manifest.plan.request.variant = Variant::FreeThreaded;
        }
        contents
    })
}

fn turned<T>(change: Change<T>) -> Change<T> {
    Change { name: change.name, before: change.after, after: change.before }
}

proptest! {
    #[test]
    fn nothing_differs_from_itself(a in trees()) {
        prop_assert!(compared(&a, &a).same);
    }

    #[test]
    fn the_way_back_is_the_way_there_turned_round(a in trees(), b in trees()) {
        let (there, back) = (compared(&a, &b), compared(&b, &a));
        prop_assert_eq!(there.same, back.same);
        prop_assert!(!there.same || a.files == b.files);
        prop_assert_eq!(&there.files.added, &back.files.removed);
        prop_assert_eq!(&there.files.removed, &back.files.added);
        let mut changed: Vec<FileChange> = back.files.changed.into_iter()
            .map(|change| FileChange { before: change.after, after: change.before }).collect();
        changed.sort_by(|a, b| (b.by().cmp(&a.by())).then_with(|| a.after.path.cmp(&b.after.path)));
        prop_assert_eq!(&there.files.changed, &changed);
        prop_assert_eq!(there.parts, back.parts.into_iter().map(turned).collect::<Vec<_>>());
        prop_assert_eq!(there.plan, back.plan.into_iter().map(turned).collect::<Vec<_>>());
    }

    #[test]
    fn no_file_is_lost(a in trees(), b in trees()) {
        let files = compared(&a, &b).files;
        // What is there besides additions and changes is the same on both sides.
        prop_assert_eq!(a.files.len() - files.removed.len(), b.files.len() - files.added.len());
        prop_assert!(files.changed.len() <= b.files.len() - files.added.len());
    }
}
