//! Tarballs: reads untrusted ones safely, and writes identical bytes for identical trees.

mod entries;
mod facts;
#[cfg(test)]
mod hostile;
mod layer;
mod scan;
mod threads;
mod unpack;

use std::io::{self, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use tar::EntryType;

pub use entries::{Entry, Member};
pub use facts::facts;
pub use layer::{LayerBudget, LayerEntry, LayerKind, read_layer};
pub use scan::scan;
pub use threads::ReadAhead;
pub use unpack::{Unpacked, unpack, unpack_into};

use super::fs::{self, Kind};
use super::interrupt;
use crate::domain::artifact::Format;
use crate::error::{Error, Result};

/// The Zstandard level: small enough, and fast enough for every build. "Zstandard levels" in
/// `docs/benchmarks.md` compares them.
const ZSTD_LEVEL: i32 = 9;
/// The XZ preset; it needs 94 MB to compress and 9 MB to decompress (`man xz`).
const XZ_PRESET: u32 = 6;
/// The most memory in bytes that decompressing XZ may use: twice what preset 9 needs.
const XZ_MEMORY: u64 = 128 << 20;
/// The gzip level.
const GZIP_LEVEL: u32 = 9;

/// The most memory that decompressing Zstandard may use, as a power of 2: 128 MB, Zstandard's default.
const ZSTD_WINDOW: u32 = 27;

/// Returns a reader of the decompressed bytes. Another compressed stream may follow the end of the first;
/// anything else is a read error.
///
/// # Errors
/// [`io::Error`] if the decoder cannot be set up.
pub fn decoder<'a>(format: Format, reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match format {
        Format::Zst => {
            let mut decoder = zstd::Decoder::new(reader)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        Format::Xz => {
            let flags = xz2::stream::CONCATENATED;
            let stream = xz2::stream::Stream::new_stream_decoder(XZ_MEMORY, flags).map_err(io::Error::from)?;
            Box::new(xz2::read::XzDecoder::new_stream(BufReader::new(reader), stream))
        }
        Format::Gz => Box::new(flate2::read::MultiGzDecoder::new(reader)),
    })
}

/// Compresses everything that `write` writes, at the fixed setting of the format. Returns the writer and
/// the result of `write`.
///
/// # Errors
/// [`Error::Io`] if the writer fails, and those of `write`.
pub fn encode<W: Write, T>(
    format: Format,
    writer: W,
    write: impl FnOnce(&mut dyn Write) -> Result<T>,
) -> Result<(W, T)> {
    match format {
        Format::Zst => {
            let mut encoder = zstd::Encoder::new(writer, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            let value = write(&mut encoder)?;
            Ok((encoder.finish()?, value))
        }
        Format::Xz => {
            let mut encoder = xz2::write::XzEncoder::new(writer, XZ_PRESET);
            let value = write(&mut encoder)?;
            Ok((encoder.finish()?, value))
        }
        Format::Gz => {
            // By default the header has no file name and no time.
            let mut encoder = flate2::write::GzEncoder::new(writer, flate2::Compression::new(GZIP_LEVEL));
            let value = write(&mut encoder)?;
            Ok((encoder.finish()?, value))
        }
    }
}

/// Calls `take` with every entry of an untrusted tarball with one directory at its top. `name` is the archive's name for
/// errors.
///
/// # Errors
/// [`Error::HostileArchive`], [`Error::Damaged`], [`Error::Io`], [`Error::Interrupted`], and those of `take`.
pub fn read_entries(name: &str, reader: impl Read, mut take: impl FnMut(&mut Entry<'_>) -> Result<()>) -> Result<()> {
    let mut each = |entry: &mut Entry<'_>| take(entry).map(ControlFlow::Continue);
    entries::read(name, reader, entries::Limits::USUAL, &mut each).map(drop)
}

/// Writes a tree as a tarball with one directory, `top`, at its top.
///
/// The bytes depend on the tree only: entries are sorted, belong to root, have the time `epoch` (seconds
/// since 1970), and modes 755 or 644.
///
/// # Errors
/// [`Error::Io`], [`Error::Interrupted`], and [`Error::Damaged`] for an entry that is neither file,
/// directory nor link.
pub fn pack(tree: &Path, top: &str, epoch: u64, writer: &mut dyn Write) -> Result<()> {
    let mut builder = tar::Builder::new(writer);
    let header = |kind: EntryType, mode: u32, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(epoch);
        header.set_size(size);
        header
    };
    builder.append_data(&mut header(EntryType::Directory, 0o755, 0), format!("{top}/"), io::empty())?;
    for entry in fs::walk(tree)? {
        interrupt::check()?;
        let name = Path::new(top).join(&entry.path);
        match entry.kind {
            Kind::Directory => {
                let mut name = name.into_os_string();
                name.push("/");
                builder.append_data(&mut header(EntryType::Directory, 0o755, 0), name, io::empty())?;
            }
            Kind::File { size, executable } => {
                let mode = if executable { 0o755 } else { 0o644 };
                let file = fs_err::File::open(tree.join(&entry.path))?;
                builder.append_data(&mut header(EntryType::Regular, mode, size), name, file)?;
            }
            Kind::Symlink(target) => {
                builder.append_link(&mut header(EntryType::Symlink, 0o777, 0), name, target)?;
            }
            Kind::Other => {
                let what = tree.join(&entry.path).display().to_string();
                return Err(Error::Damaged { what, reason: "it is neither file, directory nor link".into() });
            }
        }
    }
    builder.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn an_ordinary_archive_comes_out_as_it_is() {
        let bytes = super::hostile::archive(&[
            (EntryType::Directory, "top/", ""),
            (EntryType::Symlink, "top/bin/python3", "python3.13"),
            (EntryType::Regular, "top/bin/python3.13", "elf"),
        ]);
        let (directory, result) = super::hostile::unpacked(&bytes);
        assert_eq!(result.unwrap(), Unpacked { top: "top".into(), newest: 0, files: 1, bytes: 3 });
        assert_eq!(fs_err::read(directory.path().join("into/bin/python3")).unwrap(), b"elf");
    }

    /// A tree with every kind of entry that an artifact has.
    fn tree(directory: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::create_dir_all(directory.join("lib/deep")).unwrap();
        fs_err::write(directory.join("lib/b"), "b").unwrap();
        fs_err::write(directory.join("lib/a-b"), "ab").unwrap();
        fs_err::write(directory.join("run"), "#!/bin/sh\n").unwrap();
        fs_err::set_permissions(directory.join("run"), std::fs::Permissions::from_mode(0o4771)).unwrap();
        std::os::unix::fs::symlink("lib/b", directory.join("link")).unwrap();
    }

    fn packed(format: Format, epoch: u64) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        tree(directory.path());
        encode(format, Vec::new(), |writer| pack(directory.path(), "top", epoch, writer)).unwrap().0
    }

    #[test]
    fn packing_twice_gives_the_same_bytes_in_every_format() {
        for format in Format::ALL {
            assert_eq!(packed(*format, 1_000_000), packed(*format, 1_000_000), "{format}");
        }
        assert_ne!(packed(Format::Zst, 1), packed(Format::Zst, 2));
    }

    #[test]
    fn what_is_packed_is_roots_sorted_and_of_one_time() {
        let bytes = packed(Format::Zst, 1_000_000);
        let mut archive = tar::Archive::new(decoder(Format::Zst, &bytes[..]).unwrap());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 1_000_000));
            assert_eq!((header.username().unwrap(), header.groupname().unwrap()), (Some(""), Some("")));
            seen.push((entry.path().unwrap().display().to_string(), header.mode().unwrap()));
        }
        let expected = [
            ("top/", 0o755),
            ("top/lib/", 0o755),
            ("top/lib/a-b", 0o644),
            ("top/lib/b", 0o644),
            ("top/lib/deep/", 0o755),
            ("top/link", 0o777),
            ("top/run", 0o755),
        ];
        assert_eq!(seen, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn the_time_of_the_reader_ahead_is_that_of_whom_it_reads_for() {
        use crate::cost::Meter;

        let busy = Duration::from_millis(100);
        let meter = Meter::start();
        std::thread::scope(|scope| {
            let mut reader = ReadAhead::new(scope, || {
                let own = Meter::start();
                while own.cost().cpu < busy {
                    std::hint::spin_loop();
                }
                Ok(&b"x"[..])
            });
            reader.read_to_end(&mut Vec::new()).unwrap();
        });
        assert!(meter.cost().cpu >= busy, "{:?}", meter.cost());
    }

    #[test]
    fn what_is_packed_comes_out_again_through_a_reader_ahead() {
        let bytes = packed(Format::Zst, 1_000_000);
        let directory = tempfile::tempdir().unwrap();
        let result = std::thread::scope(|scope| {
            let reader = ReadAhead::new(scope, || decoder(Format::Zst, &bytes[..]));
            unpack("a.tar.zst", reader, directory.path())
        });
        assert_eq!(result.unwrap().newest, 1_000_000);
        assert_eq!(fs_err::read_to_string(directory.path().join("link")).unwrap(), "b");
        // A link has a time of its own, which a layer of an image keeps.
        for name in ["lib", "lib/b", "link"] {
            let modified = fs_err::symlink_metadata(directory.path().join(name)).unwrap().modified().unwrap();
            assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000), "{name}");
        }
    }
}
