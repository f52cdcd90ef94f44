//! Sizes and paths, and contents for other tests.

use std::ffi::OsStr;

use super::*;
use crate::domain::fixtures::{bundled, manifest};

/// Returns contents with these files and sizes.
pub(crate) fn contents(files: &[(&str, u64)]) -> Contents {
    let files: Vec<(PathBuf, u64)> = files.iter().map(|(path, size)| (path.into(), *size)).collect();
    contents_of(&files)
}

/// [`contents`] for paths that need not be UTF-8.
pub(crate) fn contents_of(files: &[(PathBuf, u64)]) -> Contents {
    let mut library = bundled("libssl.so.3", b"libssl");
    library.size = 700_000;
    let manifest = Manifest {
        source_date_epoch: 1_700_000_000,
        modules: vec!["_ssl".into()],
        builtin_modules: vec!["_abc".into()],
        compiled_in: BTreeMap::from([("expat".into(), Some("2.7.1".into())), ("libb2".into(), None)]),
        libraries: vec![library],
        runtime_packages: vec!["ca-certificates".into(), "tzdata".into()],
        ..manifest()
    };
    let stdlib = PathBuf::from(manifest.plan.stdlib());
    let mut files: Vec<File> = files
        .iter()
        .map(|(path, size)| File {
            path: path.clone(),
            part: Part::of(path, &stdlib),
            size: *size,
            sha256: Digest::of(size.to_string()),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Contents { manifest, tarball: None, files, links: 0, sysconfig: BTreeMap::new() }
}

#[test]
fn sizes_are_sorted_and_add_up() {
    let contents = contents(&[
        ("bin/python3.13", 500),
        ("lib/python3.13/ssl.py", 10),
        ("lib/python3.13/abc.py", 5),
        ("lib/python3.13/asyncio/base.py", 30),
        ("lib/python3.13/json/a.py", 15),
        ("lib/python3.13/json/deep/b.py", 15),
        ("lib/libssl.so.3", 75),
    ]);
    let parts = contents.parts();
    let sizes: Vec<_> = parts.iter().map(|part| (part.part, part.files, part.bytes)).collect();
    // Equal sizes are in the order of the parts.
    assert_eq!(sizes, [(Part::Interpreter, 1, 500), (Part::Stdlib, 5, 75), (Part::Libraries, 1, 75)]);
    let groups: Vec<_> = parts[1].groups.iter().map(|group| (group.name.as_str(), group.files, group.bytes)).collect();
    assert_eq!(groups, [("asyncio", 1, 30), ("json", 2, 30), ("single modules", 2, 15)]);
    assert_eq!(contents.total(), Size { files: 7, bytes: 650 });
    assert_eq!(contents.largest()[1].path, Path::new("lib/libssl.so.3"));
}

#[test]
fn paths_that_differ_are_told_apart() {
    let text = |bytes: &[u8]| path_text(Path::new(OsStr::from_bytes(bytes)));
    assert_eq!(text(b"lib/\xc3\xbc\\x.py"), "lib/\u{fc}\\x.py");
    assert_eq!(text(b"a\xff\\xFE\xfe"), "a\\xFF\\\\xFE\\xFE");
    assert_ne!(text(b"a\xff"), text(b"a\xfe"));
}

proptest::proptest! {
    #[test]
    fn parts_lose_no_byte(sizes in proptest::collection::vec(("[a-z]{1,9}(/[a-z]{1,4}){0,2}([.]so|[.]pyc)?", 0u64..1 << 40), 0..40)) {
        let files: Vec<(PathBuf, u64)> =
            sizes.iter().map(|(path, size)| (PathBuf::from(format!("lib/{path}")), *size)).collect();
        let contents = contents_of(&files);
        let parts = contents.parts();
        proptest::prop_assert_eq!(parts.iter().map(|part| part.bytes).sum::<u64>(), contents.total().bytes);
        for part in parts.iter().filter(|part| !part.groups.is_empty()) {
            proptest::prop_assert_eq!(part.groups.iter().map(|group| group.bytes).sum::<u64>(), part.bytes);
        }
    }
}
