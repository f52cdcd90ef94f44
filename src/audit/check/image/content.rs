//! What is kept of the content of a file: facts and short texts, never a whole image.

use std::fs::File as SystemFile;
use std::io::{self, Read, Seek as _, Write as _};

use memchr::memmem;

use crate::domain::digest::Digest;
use crate::domain::digest::HashingReader;
use crate::sys::distro::dpkg::size_in_parts;
use crate::sys::elf::{Linkage, ReadAt, linkage};

/// A regular file.
#[derive(Debug, Default)]
pub struct File {
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the content, of files that are large enough to be worth comparing.
    pub digest: Option<Digest>,
    /// What was read of it.
    pub content: Content,
}

/// What was read of a file.
#[derive(Debug, Default)]
pub enum Content {
    /// Nothing of it is needed.
    #[default]
    Unread,
    /// What the loader reads of an ELF file, and of an interpreter or libpython its version: `3.13.5`.
    Elf(Box<Linkage>, Option<String>),
    /// The whole text.
    Text(Box<[u8]>),
    /// The beginning of a script.
    Script(Box<[u8]>),
    /// The header of a `.pyc` file.
    Bytecode(Header),
    /// A private key.
    PrivateKey,
    /// An ELF file that cannot be parsed, with the reason.
    Damaged(String),
}

/// The header of a `.pyc` file (PEP 552).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Valid for a source of that time and size.
    Timestamp {
        /// The low 32 bits of the source's time in seconds since 1970.
        mtime: u32,
        /// The low 32 bits of the source's size in bytes.
        size: u32,
    },
    /// Valid for a source of a hash, which is compared or not.
    Hash,
    /// Too short for a header.
    Damaged,
}

impl Content {
    /// The text or the beginning of the script.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) | Self::Script(text) => Some(text),
            _ => None,
        }
    }

    /// About the bytes of memory that it takes, also when the rules cut a text into lines and lists.
    pub(super) fn kept(&self) -> u64 {
        self.linkage().map_or(0, Linkage::memory) as u64 + self.text().map_or(0, size_in_parts)
    }

    /// What the loader reads.
    #[must_use]
    pub fn linkage(&self) -> Option<&Linkage> {
        match self {
            Self::Elf(linkage, _) => Some(linkage),
            _ => None,
        }
    }
}

/// The size of the beginning of a file that tells what it is.
const HEAD: usize = 512;
/// The smallest file whose content is hashed, to find files that are stored twice.
pub const SMALLEST_HASHED: u64 = 16 << 10;
/// The largest ELF file that is read into memory. A larger one of an archive goes through a temporary file.
const LARGEST_HELD: u64 = 16 << 20;

/// The most bytes of an interpreter or libpython that are searched for its version.
const MOST_SEARCHED: u64 = 256 << 20;
/// The longest text that can be a version, in bytes.
const LONGEST_VERSION: usize = 64;

/// How much of a file is needed, by its path. The beginning of every program and library is read anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Up to that many bytes of text.
    Text(u64),
    /// The header of bytecode.
    Bytecode,
    /// The beginning.
    Beginning,
    /// Nothing.
    Nothing,
}

fn need(path: &str, mode: u32) -> Need {
    const WHOLE: &[&str] = &[
        "/etc/passwd",
        "/etc/group",
        "/etc/os-release",
        "/usr/lib/os-release",
        "/etc/ld.so.conf",
        "/etc/ld.so.cache",
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/diversions",
    ];
    let name = path.rsplit('/').next().unwrap_or_default();
    let is = |ending: &str| name.ends_with(ending);
    if WHOLE.contains(&path)
        || path.starts_with("/var/lib/dpkg/status.d/")
        || (path.starts_with("/var/lib/dpkg/info/") && is(".list"))
    {
        return Need::Text(16 << 20);
    }
    if (path.starts_with("/etc/ld.so.conf.d/") || path.starts_with("/etc/ld-musl-"))
        || ["pyvenv.cfg", "pip.conf", ".pip.conf", ".pypirc", ".npmrc", ".netrc"].contains(&name)
        || path.ends_with("/.docker/config.json")
        || path.ends_with("/uv/uv.toml")
        || path.ends_with("/share/pykeel/manifest.json")
        || is(".pth")
        || path.contains("/.git/config")
    {
        return Need::Text(1 << 20);
    }
    if is(".pyc") {
        return Need::Bytecode;
    }
    let key = is(".pem") || is(".key") || name.starts_with("id_");
    if mode & 0o111 != 0 || name.contains(".so") || key { Need::Beginning } else { Need::Nothing }
}

/// Reads what is needed of a file of a directory.
///
/// # Errors
/// [`io::Error`].
pub(super) fn of_file(
    path: &str,
    mode: u32,
    size: u64,
    open: impl FnOnce() -> io::Result<SystemFile>,
) -> io::Result<File> {
    let needed = need(path, mode);
    let mut content = Content::Unread;
    if needed != Need::Nothing && size > 0 {
        let mut file = open()?;
        let mut head = Vec::new();
        let most = if let Need::Text(most) = needed { most } else { HEAD as u64 };
        (&mut file).take(most).read_to_end(&mut head)?;
        content = if is_elf(&head) { elf(path, &file, size) } else { of_head(needed, head) };
    }
    Ok(File { size, digest: None, content })
}

/// Reads what is needed of a file of an archive, and reads it to its end.
///
/// # Errors
/// [`io::Error`] of the archive, or of a temporary file.
pub(super) fn of_stream(
    path: &str,
    mode: u32,
    reader: &mut dyn Read,
    size: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<File> {
    let needed = need(path, mode);
    let mut reader = HashingReader::new(reader);
    buffer.clear();
    let most = if let Need::Text(most) = needed { most } else { HEAD as u64 };
    if needed != Need::Nothing {
        (&mut reader).take(most).read_to_end(buffer)?;
    }
    let content = if !is_elf(buffer) {
        of_head(needed, std::mem::take(buffer))
    } else if size <= LARGEST_HELD {
        (&mut reader).take(LARGEST_HELD).read_to_end(buffer)?;
        elf(path, &buffer[..], size)
    } else {
        let mut file = tempfile::tempfile()?;
        file.write_all(buffer)?;
        io::copy(&mut reader, &mut file)?;
        file.rewind()?;
        elf(path, &file, size)
    };
    let digest = reader.finish()?;
    Ok(File { size, digest: (size >= SMALLEST_HASHED).then_some(digest), content })
}

fn is_elf(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF")
}

fn elf(path: &str, bytes: &(impl ReadAt + ?Sized), size: u64) -> Content {
    match linkage(bytes) {
        Ok(found) => Content::Elf(Box::new(found), python_version(path, bytes, size)),
        Err(error) => Content::Damaged(error.to_string()),
    }
}

fn of_head(needed: Need, head: Vec<u8>) -> Content {
    match needed {
        Need::Text(_) => Content::Text(head.into()),
        Need::Bytecode => Content::Bytecode(header(&head)),
        Need::Beginning if head.starts_with(b"#!") => Content::Script(head.into()),
        Need::Beginning if is_private_key(&head) => Content::PrivateKey,
        Need::Beginning | Need::Nothing => Content::Unread,
    }
}

fn is_private_key(head: &[u8]) -> bool {
    let end = memmem::find(head, b"PRIVATE KEY-----");
    end.is_some_and(|end| memmem::find(&head[..end], b"-----BEGIN ").is_some())
}

fn header(head: &[u8]) -> Header {
    let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    match (word(4), word(8), word(12)) {
        (Some(0), Some(mtime), Some(size)) => Header::Timestamp { mtime, size },
        (Some(1 | 3), Some(_), Some(_)) => Header::Hash,
        _ => Header::Damaged,
    }
}

/// The version of an interpreter or libpython: the text `3.13.5` that its code holds.
fn python_version(path: &str, bytes: &(impl ReadAt + ?Sized), size: u64) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let series = name.strip_prefix("libpython").or_else(|| name.strip_prefix("python"))?;
    let series = series.split(".so").next().unwrap_or_default().trim_end_matches(['t', 'd', 'm']);
    let (major, minor) = series.split_once('.')?;
    if major != "3" || minor.is_empty() || !minor.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let beginning = format!("{series}.");
    let mut piece = vec![0; 1 << 20];
    let mut offset = 0;
    // The linker stores a text that another one ends with as a part of that: `/opt/python/3.13.5`.
    let mut ending = None;
    while offset < size.min(MOST_SEARCHED) {
        let read = bytes.read_at(offset, &mut piece).ok()?;
        for at in memmem::find_iter(&piece[..read], beginning.as_bytes()) {
            let text = piece[at..read.min(at + LONGEST_VERSION)].split(|byte| *byte == 0).next().unwrap_or_default();
            let text = std::str::from_utf8(text).unwrap_or_default().trim_end_matches('+');
            let before = at.checked_sub(1).map_or(0, |before| piece[before]);
            if text.parse::<crate::domain::version::Release>().is_ok() {
                match before {
                    0 => return Some(text.to_owned()),
                    b'/' | b'-' | b' ' if ending.is_none() => ending = Some(text.to_owned()),
                    _ => {}
                }
            }
        }
        if read < piece.len() {
            break;
        }
        // A version may lie across the border of two pieces.
        offset += (piece.len() - LONGEST_VERSION) as u64;
    }
    ending
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, mode: u32, bytes: &[u8]) -> File {
        of_stream(path, mode, &mut &bytes[..], bytes.len() as u64, &mut Vec::new()).unwrap()
    }

    #[test]
    fn only_what_a_rule_needs_is_kept() {
        assert!(matches!(read("/usr/share/a", 0o644, b"#!/bin/sh").content, Content::Unread));
        assert_eq!(read("/usr/bin/a", 0o755, b"#!/bin/sh\n").content.text(), Some(&b"#!/bin/sh\n"[..]));
        assert_eq!(read("/app/pyvenv.cfg", 0o644, b"home = /usr/bin\n").content.text().map(<[u8]>::len), Some(16));
        let key = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n";
        assert!(matches!(read("/root/.ssh/id_rsa", 0o600, key).content, Content::PrivateKey));
        let large = vec![7; usize::try_from(SMALLEST_HASHED).unwrap()];
        assert!(read("/a", 0o644, &large).digest.is_some() && read("/a", 0o644, b"x").digest.is_none());
    }

    #[test]
    fn bytecode_says_what_it_is_valid_for() {
        let header = |flags: u32| {
            let words = [0x0a0d_0df3, flags, 1_700_000_000, 42].map(u32::to_le_bytes).concat();
            read("/a/__pycache__/a.cpython-313.pyc", 0o644, &words).content
        };
        let stamp = Header::Timestamp { mtime: 1_700_000_000, size: 42 };
        assert!(matches!(header(0), Content::Bytecode(found) if found == stamp));
        assert!(matches!(header(1), Content::Bytecode(Header::Hash)));
        assert!(matches!(read("/a.pyc", 0o644, b"abc").content, Content::Bytecode(Header::Damaged)));
    }

    #[test]
    fn an_elf_file_of_a_stream_and_of_a_directory_are_the_same() {
        let shell = fs_err::canonicalize("/bin/sh").unwrap();
        let bytes = fs_err::read(&shell).unwrap();
        let opened = of_file("/bin/sh", 0o755, bytes.len() as u64, || SystemFile::open(&shell)).unwrap();
        let streamed = read("/bin/sh", 0o755, &bytes);
        assert!(opened.content.linkage().is_some());
        assert_eq!(opened.content.linkage(), streamed.content.linkage());
        assert!(matches!(read("/bin/sh", 0o755, &bytes[..64]).content, Content::Damaged(_)));
    }

    #[test]
    fn the_version_of_an_interpreter_is_in_its_code() {
        let code = b"\0\x003.13.x\0/3.13.9\0\x003.13.5+\0";
        assert_eq!(python_version("/usr/bin/python3.13", &code[..], code.len() as u64).as_deref(), Some("3.13.5"));
        let ending = b"\0/opt/python/3.13.4\0";
        assert_eq!(python_version("/lib/libpython3.13.so.1.0", &ending[..], 21).as_deref(), Some("3.13.4"));
        assert_eq!(python_version("/usr/bin/python3.12", &code[..], code.len() as u64), None);
        assert_eq!(python_version("/usr/bin/perl", &code[..], code.len() as u64), None);
    }

    #[test]
    fn an_interpreter_of_nothing_but_versions_takes_no_longer() {
        // Each is the beginning of a text that does not end.
        let code = b"3.13.".repeat(800_000);
        assert_eq!(python_version("/usr/bin/python3.13", &code[..], code.len() as u64), None);
        // A file with holes is longer than anybody can wait.
        let holes = tempfile::tempfile().unwrap();
        holes.set_len(1 << 42).unwrap();
        assert_eq!(python_version("/usr/bin/python3.13", &holes, 1 << 42), None);
    }

    #[test]
    fn what_is_kept_counts_with_its_parts() {
        let kept = |path: &str, text: &[u8]| read(path, 0o644, text).content.kept();
        assert!(kept("/a.pth", &b"a\n".repeat(1000)) > 60_000 && kept("/a.pth", &[b'a'; 2000]) < 3000);
        let versions = vec![String::new(); 1000];
        let linkage = Linkage { needed_versions: vec![(String::new(), versions)], ..Linkage::default() };
        assert!(Content::Elf(Box::new(linkage), None).kept() > 20_000);
    }
}
