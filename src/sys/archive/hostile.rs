//! Tests of the whole module with hostile and damaged archives.

use std::io;

use proptest::prelude::*;
use tar::EntryType;

use super::entries::Limits;
use super::unpack::unpack_within;
use super::*;

/// A header of a hostile archive: the name is written without any check.
fn raw_header(kind: EntryType, name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

pub(super) fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = raw_header(*kind, name, if kind.is_file() { content.len() as u64 } else { 0 });
        if kind.is_symlink() || kind.is_hard_link() {
            header.as_gnu_mut().unwrap().linkname[..content.len()].copy_from_slice(content.as_bytes());
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
        } else {
            builder.append(&header, content.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

pub(super) fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<Unpacked>) {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("into");
    fs_err::create_dir(&into).unwrap();
    let result = unpack("evil.tar", bytes, &into);
    // Nothing is written outside the directory.
    assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 1);
    (directory, result)
}

#[test]
fn hostile_archives_are_refused_with_a_reason() {
    type Case<'a> = (&'a str, &'a [(EntryType, &'a str, &'a str)]);
    let cases: &[Case<'_>] = &[
        ("leads out of the archive", &[(EntryType::Regular, "/etc/evil", "x")]),
        ("leads out of the archive", &[(EntryType::Regular, "top/../../evil", "x")]),
        ("leads out of the archive", &[(EntryType::Symlink, "top/a", "/etc")]),
        ("leads out of the archive", &[(EntryType::Symlink, "top/a/b", "../../../etc")]),
        ("leads out of the archive", &[(EntryType::Symlink, "top/a", "")]),
        // Links are created last, so the second entry creates a directory at the place of the link.
        ("occurs twice", &[(EntryType::Symlink, "top/a", "b"), (EntryType::Regular, "top/a/evil", "x")]),
        ("occurs twice", &[(EntryType::Regular, "top/a", "x"), (EntryType::Regular, "top/a", "y")]),
        ("occurs twice", &[(EntryType::Regular, "top/a", "x"), (EntryType::Directory, "top/a", "")]),
        ("a hard link", &[(EntryType::Regular, "top/a", "x"), (EntryType::Link, "top/b", "top/a")]),
        ("a device", &[(EntryType::Char, "top/null", "")]),
        ("a device", &[(EntryType::Block, "top/sda", "")]),
        ("a pipe", &[(EntryType::Fifo, "top/pipe", "")]),
        ("two directories at its top", &[(EntryType::Regular, "top/a", "x"), (EntryType::Regular, "other/a", "x")]),
        ("a file at its top", &[(EntryType::Regular, "top", "x")]),
    ];
    for (reason, entries) in cases {
        match unpacked(&archive(entries)).1 {
            Err(error @ Error::HostileArchive { .. }) => {
                assert!(error.to_string().contains(reason), "{entries:?}: {error}");
                assert_eq!(error.code(), 4);
            }
            other => panic!("{entries:?}: {other:?}"),
        }
    }
}

#[test]
fn long_names_and_deep_trees_are_refused() {
    for name in [format!("top/{}", "a".repeat(4096)), format!("top/{}", "a/".repeat(500))] {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = raw_header(EntryType::Regular, "", 0);
        builder.append_data(&mut header, &name, io::empty()).unwrap();
        let (_directory, result) = unpacked(&builder.into_inner().unwrap());
        assert!(matches!(result, Err(Error::HostileArchive { .. })), "{result:?}");
    }
}

#[test]
fn a_cut_archive_is_damaged_and_an_empty_one_too() {
    let bytes = archive(&[(EntryType::Regular, "top/a", "some content")]);
    assert!(matches!(unpacked(&bytes[..515]).1, Err(Error::Damaged { .. })));
    assert!(matches!(unpacked(&[]).1, Err(Error::Damaged { .. })));
}

/// An archive with one entry whose header `change` edits.
fn one(kind: EntryType, name: &str, content: &[u8], change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = raw_header(kind, name, content.len() as u64);
    change(&mut header);
    header.set_cksum();
    builder.append(&header, content).unwrap();
    builder.into_inner().unwrap()
}

/// A PAX header with these records before a file.
fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions(records.iter().copied()).unwrap();
    builder.append(&raw_header(EntryType::Regular, "top/a", 1), &b"x"[..]).unwrap();
    builder.into_inner().unwrap()
}

#[track_caller]
fn refused(bytes: &[u8], reason: &str) {
    let (_directory, result) = unpacked(bytes);
    let error = result.expect_err(reason);
    assert_eq!(error.code(), 4, "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    assert!(error.to_string().len() < 400, "{error}");
}

#[test]
fn names_that_no_file_can_have_are_refused() {
    refused(&pax(&[("path", b"top/a\0b")]), "has a NUL in it");
    refused(&pax(&[("path", format!("top/{}", "n".repeat(256)).as_bytes())]), "longer than 255 bytes");
    refused(&pax(&[("path", "a/".repeat(100_000).as_bytes())]), "longer than 1024 bytes");
    refused(&pax(&[("path", b"top/../../x")]), "leads out of the archive");
    refused(&pax(&[("path", b"..")]), "leads out of the archive");
    refused(&pax(&[("path", b".")]), "without a name");
    // A link's target is checked like a path.
    let mut builder = tar::Builder::new(Vec::new());
    for target in ["t".repeat(5000), format!("sub/{}x", "../".repeat(5))] {
        let mut header = raw_header(EntryType::Symlink, "", 0);
        builder.append_link(&mut header, "top/a", &target).unwrap();
    }
    refused(&builder.into_inner().unwrap(), "leads out of the archive");
}

#[test]
fn a_link_through_a_link_leads_nowhere_else() {
    // `up` is the tree itself, and `up/..` the directory it lies in.
    refused(
        &archive(&[(EntryType::Symlink, "top/d/up", ".."), (EntryType::Symlink, "top/out", "d/up/../../etc")]),
        "leads out of the archive",
    );
}

#[test]
fn sparse_files_are_refused_in_both_forms() {
    // A hole of 8 EB, in one block.
    let sparse = one(EntryType::GNUSparse, "top/a", b"", |header| {
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(1 << 62);
        gnu.sparse[0].set_offset(1 << 62);
        gnu.sparse[0].set_length(0);
    });
    refused(&sparse, "is a sparse file");
    refused(&pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"4611686018427387904")]), "is a sparse file");
}

#[test]
fn a_size_that_is_not_there_is_damage() {
    refused(&pax(&[("size", b"99999999999999")]), "is damaged");
    refused(&one(EntryType::Regular, "top/a", b"x", |header| header.set_size(u64::MAX / 2)), "is damaged");
    refused(
        &one(EntryType::Regular, "top/a", b"x", |header| header.as_old_mut().size = *b"garbage\0\0\0\0\0"),
        "is damaged",
    );
}

/// A reader of this many zeros.
fn zeros(bytes: u64) -> impl io::Read {
    io::Read::take(io::repeat(0), bytes)
}

#[test]
fn a_name_without_an_end_takes_no_memory() {
    use io::Read as _;
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader] {
        let header = raw_header(kind, "././@LongLink", 1 << 40);
        let directory = tempfile::tempdir().unwrap();
        let reader = header.as_bytes().chain(zeros(1 << 40));
        let error = unpack("evil.tar", reader, directory.path()).unwrap_err();
        assert!(error.to_string().contains("a name or a header that does not end"), "{error}");
    }
}

#[test]
fn what_an_archive_unpacks_to_has_a_limit_and_so_have_its_names() {
    let limits = Limits { bytes: 1 << 20, entries: 50, names: 5_000, ..Limits::USUAL };
    let within = |bytes: &[u8]| {
        let directory = tempfile::tempdir().unwrap();
        let into = directory.path().join("into");
        fs_err::create_dir(&into).unwrap();
        unpack_within(limits, "evil.tar", bytes, &into).map(drop).map_err(|error| error.to_string())
    };
    let files = |count: usize, name: &dyn Fn(usize) -> String| {
        let mut builder = tar::Builder::new(Vec::new());
        for number in 0..count {
            builder.append(&raw_header(EntryType::Regular, &name(number), 0), io::empty()).unwrap();
        }
        builder.into_inner().unwrap()
    };
    assert_eq!(within(&files(50, &|number| format!("top/{number}"))), Ok(()));
    assert!(within(&files(51, &|number| format!("top/{number}"))).unwrap_err().contains("more than 50 entries"));
    // One entry creates all the directories of its path.
    let deep = |number: usize| format!("top/{number}/{}x", "d/".repeat(40));
    assert_eq!(within(&files(1, &deep)), Ok(()));
    assert!(within(&files(10, &deep)).unwrap_err().contains("too many directories"));
    let large = one(EntryType::Regular, "top/a", &vec![0; 2 << 20], |_| {});
    assert!(within(&large).unwrap_err().contains("unpacks to more than"));
    // The limit also applies to the content of a directory, which needs none.
    let hidden = one(EntryType::Directory, "top/a/", &vec![0; 2 << 20], |_| {});
    assert!(within(&hidden).unwrap_err().contains("unpacks to more than"));
}

#[test]
fn what_is_behind_the_end_is_refused() {
    let plain = archive(&[(EntryType::Regular, "top/a", "x")]);
    assert!(unpacked(&[&plain[..], &[0; 10_240]].concat()).1.is_ok());
    refused(&[&plain[..], &plain[..]].concat(), "data after its end");
    refused(&[&plain[..], b"x"].concat(), "data after its end");
    for format in Format::ALL {
        let packed = pack_bytes(*format, &plain);
        let within = |bytes: &[u8]| {
            let directory = tempfile::tempdir().unwrap();
            unpack("evil", decoder(*format, bytes).unwrap(), directory.path())
        };
        assert!(within(&packed).is_ok());
        let error = within(&[&packed[..], b"more"].concat()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{format}: {error}");
        // The formats say that a second stream continues the first.
        let error = within(&[&packed[..], &packed[..]].concat()).unwrap_err();
        assert!(error.to_string().contains("data after its end"), "{format}: {error}");
    }
}

fn pack_bytes(format: Format, bytes: &[u8]) -> Vec<u8> {
    encode(format, Vec::new(), |writer| Ok(writer.write_all(bytes)?)).unwrap().0
}

#[test]
fn a_compressed_archive_that_was_cut_or_flipped_is_damaged_wherever_that_is() {
    let plain = archive(&[(EntryType::Regular, "top/a", "some content"), (EntryType::Symlink, "top/b", "a")]);
    for format in Format::ALL {
        let packed = pack_bytes(*format, &plain);
        let within = |bytes: &[u8]| {
            let directory = tempfile::tempdir().unwrap();
            let reader = decoder(*format, bytes).map_err(Error::from)?;
            unpack("evil", reader, directory.path())
        };
        let whole = within(&packed).unwrap();
        for cut in 0..packed.len() {
            match within(&packed[..cut]) {
                Err(Error::Damaged { .. } | Error::HostileArchive { .. }) => {}
                other => panic!("{format} cut at {cut}: {other:?}"),
            }
        }
        for at in 0..packed.len() {
            let mut flipped = packed.clone();
            flipped[at] ^= 0x10;
            match within(&flipped) {
                Err(Error::Damaged { .. } | Error::HostileArchive { .. }) => {}
                // Some bits have no effect, such as gzip's time and system.
                Ok(unpacked) => assert_eq!(unpacked, whole, "{format} flipped at {at}"),
                Err(other) => panic!("{format} flipped at {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_stream_that_asks_for_much_memory_is_refused() {
    // Zstandard: a window of 2 GB. XZ: a dictionary of 3 GB.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    let directory = tempfile::tempdir().unwrap();
    let error = unpack("evil", decoder(Format::Zst, &zstd[..]).unwrap(), directory.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    // The dictionary's size is one byte of the block's header, so packing need not have as much.
    let mut large = pack_bytes(Format::Xz, b"x");
    assert_eq!((large[14], large[15]), (0x21, 0x01), "the filter LZMA2 with one byte of properties");
    large[16] = 37;
    let mut crc = flate2::Crc::new();
    crc.update(&large[12..20]);
    large[20..24].copy_from_slice(&crc.sum().to_le_bytes());
    let error = unpack("evil", decoder(Format::Xz, &large[..]).unwrap(), directory.path()).unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..2048), flips in prop::collection::vec((0usize..1536, any::<u8>()), 0..8)) {
        unpacked(&bytes).1.ok();
        bytes = archive(&[(EntryType::Symlink, "top/a", "b"), (EntryType::Regular, "top/b", "content")]);
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        unpacked(&bytes).1.ok();
    }
}
