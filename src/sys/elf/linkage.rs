//! What the dynamic loader reads of an ELF file. Only the headers and the dynamic section are read, so that a library
//! of any size needs a few kilobytes.

use std::cell::Cell;
use std::fs::File;
use std::io;

/// What the dynamic loader reads of an ELF file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linkage {
    /// The processor (`e_machine`).
    pub machine: u16,
    /// Whether addresses have 64 bits.
    pub is_64: bool,
    /// The dynamic loader that a program names (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// The soname (DT_SONAME).
    pub soname: Option<String>,
    /// The sonames of the libraries that it needs (DT_NEEDED), in their order.
    pub needed: Vec<String>,
    /// DT_RPATH, split at colons.
    pub rpath: Vec<String>,
    /// DT_RUNPATH, split at colons.
    pub runpath: Vec<String>,
    /// Whether the default directories are not searched (`DF_1_NODEFLIB`).
    pub no_default_directories: bool,
    /// The symbol versions that it needs of each library; weak ones, which may be missing, are left out.
    pub needed_versions: Vec<(String, Vec<String>)>,
    /// The symbol versions that it defines.
    pub defined_versions: Vec<String>,
}

impl Linkage {
    /// About the bytes of memory that all its names take. A file of some kilobytes can have a million empty ones.
    #[must_use]
    pub fn memory(&self) -> usize {
        let lists = [&self.needed, &self.rpath, &self.runpath, &self.defined_versions].into_iter();
        let names = lists.chain(self.needed_versions.iter().map(|(_, versions)| versions)).flatten();
        let libraries = self.needed_versions.iter().map(|(library, _)| library);
        let names = names.chain(libraries).chain(&self.soname).chain(&self.interpreter);
        names.map(|name| size_of::<String>() + name.len()).sum()
    }
}

/// Bytes that can be read from any position.
pub trait ReadAt {
    /// Reads from `offset` and returns how many bytes were read: fewer than asked for at the end only.
    ///
    /// # Errors
    /// [`io::Error`] if they cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let size = rest.len().min(buffer.len());
        buffer[..size].copy_from_slice(&rest[..size]);
        Ok(size)
    }
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

/// The most entries of a table that are read. The largest known has some hundreds.
const MOST_ENTRIES: usize = 65_536;
/// The most libraries that a file needs, and the most directories where they are looked for. The largest known programs
/// need some 200.
const MOST_LIBRARIES: usize = 1024;
/// The most bytes of all names.
const MOST_NAMES: usize = 1 << 20;
/// The longest name in bytes.
const LONGEST_NAME: usize = 4096;

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DF_1_NODEFLIB: u64 = 0x800;
const VER_FLG_WEAK: u64 = 2;

/// Reads what the dynamic loader reads of an ELF file.
///
/// # Errors
/// [`io::Error`] if it cannot be read, ends early, or is not an ELF file.
pub fn linkage(bytes: &(impl ReadAt + ?Sized)) -> io::Result<Linkage> {
    let mut ident = [0; 20];
    exactly(bytes, 0, &mut ident)?;
    let is_64 = match (&ident[..4], ident[4]) {
        (b"\x7fELF", 1) => false,
        (b"\x7fELF", 2) => true,
        _ => return Err(invalid("it has no header of an ELF file")),
    };
    let reader = Reader { bytes, names: Cell::new(MOST_NAMES), is_64, big_endian: ident[5] == 2 };
    let machine = u16::try_from(reader.number(18, 2)?).unwrap_or_default();
    let mut linkage = Linkage { machine, is_64, ..Linkage::default() };
    let segments = reader.segments()?;
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) {
        linkage.interpreter = Some(reader.name(segment.offset)?);
    }
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        reader.dynamic(segment, &segments, &mut linkage)?;
    }
    Ok(linkage)
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn exactly(bytes: &(impl ReadAt + ?Sized), offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    if bytes.read_at(offset, buffer)? == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

struct Reader<'a, B: ?Sized> {
    bytes: &'a B,
    /// How many more bytes of names are read.
    names: Cell<usize>,
    is_64: bool,
    big_endian: bool,
}

impl<B: ReadAt + ?Sized> Reader<'_, B> {
    /// A number of 2, 4 or 8 bytes.
    fn number(&self, offset: u64, size: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        exactly(self.bytes, offset, &mut bytes[..size])?;
        Ok(if self.big_endian {
            bytes[..size].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
        } else {
            u64::from_le_bytes(bytes)
        })
    }

    /// The size of an address in bytes.
    const fn word(&self) -> usize {
        if self.is_64 { 8 } else { 4 }
    }

    /// A text that ends in a NUL. Invalid UTF-8 is replaced.
    fn name(&self, offset: u64) -> io::Result<String> {
        let mut text = [0; LONGEST_NAME];
        // Most names are short.
        for size in [128, LONGEST_NAME] {
            let read = self.bytes.read_at(offset, &mut text[..size])?;
            if let Some(name) = text[..read].split(|byte| *byte == 0).next().filter(|name| name.len() < read) {
                let left = self.names.get().checked_sub(name.len() + 1);
                self.names.set(left.ok_or_else(|| invalid("its names are longer than those of any library"))?);
                return Ok(String::from_utf8_lossy(name).into_owned());
            }
        }
        Err(invalid("a name does not end"))
    }

    fn segments(&self) -> io::Result<Vec<Segment>> {
        let word = self.word();
        let table = self.number(if self.is_64 { 32 } else { 28 }, word)?;
        let (size, count) = if self.is_64 { (54, 56) } else { (42, 44) };
        let (size, count) = (self.number(size, 2)?, self.number(count, 2)?);
        (0..count)
            .map(|index| {
                let at = index.checked_mul(size).and_then(|start| table.checked_add(start));
                let at = at.filter(|at| at.checked_add(64).is_some()).ok_or_else(|| invalid("a header is outside"))?;
                let (offset, address, file_size) = if self.is_64 { (8, 16, 32) } else { (4, 8, 16) };
                Ok(Segment {
                    kind: self.number(at, 4)?,
                    offset: self.number(at + offset, word)?,
                    address: self.number(at + address, word)?,
                    size: self.number(at + file_size, word)?,
                })
            })
            .collect()
    }

    fn dynamic(&self, segment: &Segment, segments: &[Segment], linkage: &mut Linkage) -> io::Result<()> {
        let word = self.word() as u64;
        let most = usize::try_from(segment.size / (2 * word)).unwrap_or(MOST_ENTRIES).min(MOST_ENTRIES);
        let mut entries = Vec::new();
        for index in 0..most as u64 {
            let at = segment.offset.checked_add(index * 2 * word).filter(|at| at.checked_add(16).is_some());
            let at = at.ok_or_else(|| invalid("the dynamic section is outside the file"))?;
            let entry = (self.number(at, self.word())?, self.number(at + word, self.word())?);
            if entry.0 == 0 {
                break;
            }
            entries.push(entry);
        }
        let value = |tag| entries.iter().find(|entry| entry.0 == tag).map(|entry| entry.1);
        let place = |address: u64| {
            let inside = |segment: &&Segment| {
                segment.kind == PT_LOAD && address.checked_sub(segment.address).is_some_and(|at| at < segment.size)
            };
            let segment = segments.iter().find(inside);
            let place = segment.and_then(|segment| segment.offset.checked_add(address - segment.address));
            place.ok_or_else(|| invalid("a table is outside the file"))
        };
        let Some(strings) = value(DT_STRTAB) else { return Ok(()) };
        let strings = place(strings)?;
        let text = |at: u64| self.name(strings.checked_add(at).ok_or_else(|| invalid("a name is outside the file"))?);
        let of = |tag| entries.iter().filter(move |entry| entry.0 == tag).map(|entry| text(entry.1));
        if entries.iter().filter(|entry| entry.0 == DT_NEEDED).count() > MOST_LIBRARIES {
            return Err(invalid("it needs more libraries than any program"));
        }
        linkage.needed = of(DT_NEEDED).collect::<io::Result<_>>()?;
        linkage.soname = of(DT_SONAME).next().transpose()?;
        let paths = |tag| {
            let whole: Vec<String> = of(tag).collect::<io::Result<_>>()?;
            let parts = whole.iter().flat_map(|paths| paths.split(':')).filter(|path| !path.is_empty());
            // No process gets beyond these.
            Ok::<Vec<String>, io::Error>(parts.take(MOST_LIBRARIES).map(str::to_owned).collect())
        };
        (linkage.rpath, linkage.runpath) = (paths(DT_RPATH)?, paths(DT_RUNPATH)?);
        linkage.no_default_directories = value(DT_FLAGS_1).is_some_and(|flags| flags & DF_1_NODEFLIB != 0);
        if let Some(address) = value(DT_VERNEED) {
            linkage.needed_versions = self.needed_versions(place(address)?, &text)?;
        }
        if let Some(address) = value(DT_VERDEF) {
            linkage.defined_versions = self.defined_versions(place(address)?, &text)?;
        }
        Ok(())
    }

    fn needed_versions(
        &self,
        mut at: u64,
        text: &dyn Fn(u64) -> io::Result<String>,
    ) -> io::Result<Vec<(String, Vec<String>)>> {
        let mut libraries = Vec::new();
        for _ in 0..MOST_ENTRIES {
            let mut versions = Vec::new();
            let mut auxiliary = further(at, self.number(at + 8, 4)?)?;
            for _ in 0..self.number(at + 2, 2)? {
                if self.number(auxiliary + 4, 2)? & VER_FLG_WEAK == 0 {
                    versions.push(text(self.number(auxiliary + 8, 4)?)?);
                }
                auxiliary = further(auxiliary, self.number(auxiliary + 12, 4)?)?;
            }
            libraries.push((text(self.number(at + 4, 4)?)?, versions));
            match self.number(at + 12, 4)? {
                0 => break,
                next => at = further(at, next)?,
            }
        }
        Ok(libraries)
    }

    fn defined_versions(&self, mut at: u64, text: &dyn Fn(u64) -> io::Result<String>) -> io::Result<Vec<String>> {
        let mut versions = Vec::new();
        for _ in 0..MOST_ENTRIES {
            // The further names are those of the versions that it inherits from.
            let name = further(at, self.number(at + 12, 4)?)?;
            versions.push(text(self.number(name, 4)?)?);
            match self.number(at + 16, 4)? {
                0 => break,
                next => at = further(at, next)?,
            }
        }
        Ok(versions)
    }
}

/// A position that leaves room for an entry after it.
fn further(at: u64, by: u64) -> io::Result<u64> {
    at.checked_add(by).filter(|at| at.checked_add(64).is_some()).ok_or_else(|| invalid("a table is outside the file"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_loader_reads_of_a_program_and_a_library_of_this_system() {
        let shell = fs_err::canonicalize("/bin/sh").unwrap();
        let bytes = fs_err::read(&shell).unwrap();
        let program = linkage(&bytes[..]).unwrap();
        assert_eq!(program, linkage(&File::open(&shell).unwrap()).unwrap());
        assert!(program.interpreter.as_ref().is_some_and(|loader| loader.contains("ld-")), "{program:?}");
        let (_, versions) = program.needed_versions.iter().find(|(library, _)| library == "libc.so.6").unwrap();
        let parsed = super::super::parse(&bytes).unwrap();
        assert_eq!((program.needed, program.machine), (parsed.needed, parsed.machine));
        let loader = fs_err::read(program.interpreter.unwrap()).unwrap();
        let library = linkage(&loader[..]).unwrap();
        assert!(versions[0].starts_with("GLIBC_") && library.defined_versions.contains(&"GLIBC_PRIVATE".to_owned()));
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let bytes = fs_err::read(fs_err::canonicalize("/bin/sh").unwrap()).unwrap();
        assert!(linkage(&bytes[..100]).is_err() && linkage(&b"#!/bin/sh\n           "[..]).is_err());
    }

    /// A 64-bit ELF file with a dynamic section of these entries, and a text.
    fn dynamic(entries: &[(u64, u64)], text: &str) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 2 * 56];
        let mut put = |at: usize, number: u64, size: usize| {
            bytes[at..at + size].copy_from_slice(&number.to_le_bytes()[..size]);
        };
        put(0, u64::from(u32::from_le_bytes(*b"\x7fELF")) | 2 << 32 | 1 << 40, 8);
        for (at, number, size) in [(18, 62, 2), (32, 64, 8), (54, 56, 2), (56, 2, 2)] {
            put(at, number, size);
        }
        let all = [&[(DT_STRTAB, 0)], entries, &[(0, 0)]].concat();
        let (begin, size) = (64 + 2 * 56, 16 * all.len() as u64);
        for (segment, kind, offset, length) in
            [(64, PT_LOAD, begin + size, text.len() as u64 + 1), (120, PT_DYNAMIC, begin, size)]
        {
            for (at, number, size) in [(0, kind, 4), (8, offset, 8), (32, length, 8)] {
                put(segment + at, number, size);
            }
        }
        bytes.extend(all.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()));
        bytes.extend(text.as_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_file_that_needs_more_than_any_program_is_an_error() {
        let needs = |count: usize| linkage(&dynamic(&vec![(DT_NEEDED, 0); count], "liba.so")[..]);
        assert_eq!(needs(MOST_LIBRARIES).unwrap().needed, vec!["liba.so"; MOST_LIBRARIES]);
        assert!(needs(MOST_LIBRARIES + 1).unwrap_err().to_string().contains("more libraries"));
        let directories = linkage(&dynamic(&[(DT_RPATH, 0); 2], &"a:".repeat(1000))[..]).unwrap().rpath;
        assert_eq!(directories.len(), MOST_LIBRARIES);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(place in 0_usize..2048, patch in proptest::collection::vec(any::<u8>(), 1..24)) {
            let mut bytes = fs_err::read(fs_err::canonicalize("/bin/sh").unwrap()).unwrap();
            bytes[place..place + patch.len()].copy_from_slice(&patch);
            let _either = linkage(&bytes[..]);
        }
    }
}
