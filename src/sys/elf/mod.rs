//! Reads the headers of ELF files, and what the compiler left in their code.

mod compiled;
mod linkage;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use goblin::elf::Elf;
use goblin::elf::dynamic::{DF_1_NOW, DF_BIND_NOW, DF_TEXTREL, DT_RPATH, DT_RUNPATH, DT_TEXTREL};
use goblin::elf::header::ET_REL;
use goblin::elf::program_header::{PF_W, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD, ProgramHeader};

pub use self::compiled::Compiled;
pub use self::linkage::{Linkage, ReadAt, linkage};
use crate::domain::artifact::GlibcVersion;
use crate::domain::manifest::Hardening;
use crate::error::{Error, Result};

/// The properties of an ELF file that pykeel checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFile {
    /// The processor (`e_machine`).
    pub machine: u16,
    /// Whether it is an object for the linker (`ET_REL`), and not linked itself.
    pub relocatable: bool,
    /// The soname (DT_SONAME).
    pub soname: Option<String>,
    /// The sonames of the libraries that it needs (DT_NEEDED).
    pub needed: Vec<String>,
    /// DT_RPATH, split at colons.
    pub rpath: Vec<String>,
    /// DT_RUNPATH, split at colons.
    pub runpath: Vec<String>,
    /// The hardening options that it was linked with.
    pub hardening: Hardening,
    /// The newest glibc symbol version that it needs, if any.
    pub glibc_floor: Option<GlibcVersion>,
    /// Whether it has a symbol table or debug information that `strip` would remove.
    pub unstripped: bool,
}

/// Whether a file begins with the magic number of ELF.
///
/// # Errors
/// [`Error::Io`].
pub fn is_elf(path: &Path) -> Result<bool> {
    let mut magic = Vec::with_capacity(4);
    fs_err::File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic == goblin::elf::header::ELFMAG)
}

/// The dynamic loader that a program names; none for a static one and for a library.
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::Damaged`] where it is no ELF file.
pub fn interpreter(path: &Path) -> Result<Option<PathBuf>> {
    // The headers and the name are at the beginning of the file.
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(64 << 10).read_to_end(&mut bytes)?;
    let damaged =
        |error: goblin::error::Error| Error::Damaged { what: path.display().to_string(), reason: error.to_string() };
    let header = Elf::parse_header(&bytes).map_err(damaged)?;
    let mut elf = Elf::lazy_parse(header).map_err(damaged)?;
    let context = goblin::container::Ctx::new(
        if elf.is_64 { goblin::container::Container::Big } else { goblin::container::Container::Little },
        if elf.little_endian { goblin::container::Endian::Little } else { goblin::container::Endian::Big },
    );
    let (offset, count) = (usize::try_from(header.e_phoff).unwrap_or(usize::MAX), usize::from(header.e_phnum));
    elf.program_headers = ProgramHeader::parse(&bytes, offset, count, context).map_err(damaged)?;
    let Some(segment) = elf.program_headers.iter().find(|header| header.p_type == PT_INTERP) else { return Ok(None) };
    let name = bytes.get(segment.file_range()).and_then(|name| name.split(|byte| *byte == 0).next());
    Ok(name.and_then(|name| std::str::from_utf8(name).ok()).map(PathBuf::from))
}

/// Reads an ELF file.
///
/// # Errors
/// [`Error::Io`], and [`Error::Damaged`] if it is not an ELF file.
pub fn read(path: &Path) -> Result<ElfFile> {
    parse(&fs_err::read(path)?).map_err(|reason| Error::Damaged { what: path.display().to_string(), reason })
}

/// Parses the bytes of an ELF file.
///
/// # Errors
/// The reason why the bytes are not an ELF file.
pub fn parse(bytes: &[u8]) -> std::result::Result<ElfFile, String> {
    let elf = Elf::parse(bytes).map_err(|error| error.to_string())?;
    let flags = |tag| elf.dynamic.iter().flat_map(|dynamic| &dynamic.dyns).filter(move |entry| entry.d_tag == tag);
    let dynamic_flags = elf.dynamic.as_ref().map_or(0, |dynamic| dynamic.info.flags);
    let dynamic_flags_1 = elf.dynamic.as_ref().map_or(0, |dynamic| dynamic.info.flags_1);
    let segment = |kind| elf.program_headers.iter().find(move |header| header.p_type == kind);
    let hardening = Hardening {
        relro: segment(PT_GNU_RELRO).is_some(),
        bind_now: dynamic_flags & DF_BIND_NOW != 0 || dynamic_flags_1 & DF_1_NOW != 0,
        // Without this header the kernel makes the stack executable.
        executable_stack: segment(PT_GNU_STACK).is_none_or(|header| header.p_flags & PF_X != 0),
        writable_code: elf
            .program_headers
            .iter()
            .any(|header| header.p_type == PT_LOAD && header.p_flags & (PF_W | PF_X) == PF_W | PF_X),
        text_relocations: dynamic_flags & DF_TEXTREL != 0 || flags(DT_TEXTREL).next().is_some(),
    };
    let paths = |tag, list: &[&str]| -> Vec<String> {
        if flags(tag).next().is_none() {
            return Vec::new();
        }
        list.iter().flat_map(|path| path.split(':')).map(str::to_owned).collect()
    };
    Ok(ElfFile {
        machine: elf.header.e_machine,
        relocatable: elf.header.e_type == ET_REL,
        soname: elf.soname.map(str::to_owned),
        needed: elf.libraries.iter().map(|&name| name.to_owned()).collect(),
        rpath: paths(DT_RPATH, &elf.rpaths),
        runpath: paths(DT_RUNPATH, &elf.runpaths),
        hardening,
        glibc_floor: glibc_floor(&elf),
        unstripped: elf.section_headers.iter().any(|header| {
            let name = elf.shdr_strtab.get_at(header.sh_name).unwrap_or_default();
            name == ".symtab" || name.starts_with(".debug_")
        }),
    })
}

fn glibc_floor(elf: &Elf<'_>) -> Option<GlibcVersion> {
    let verneed = elf.verneed.as_ref()?;
    verneed
        .iter()
        .flat_map(|need| need.iter().collect::<Vec<_>>())
        .filter_map(|version| elf.dynstrtab.get_at(version.vna_name))
        .filter_map(GlibcVersion::of_symbol_version)
        .max()
}

/// Returns the sections that differ between two ELF files, each with its difference: `.text`,
/// `.rodata (5 bytes, 6 bytes)`. The list is empty if only bytes outside the sections differ.
///
/// # Errors
/// The reason why one of them is not an ELF file.
pub fn section_differences(before: &[u8], after: &[u8]) -> std::result::Result<Vec<String>, String> {
    let (before, after) = (sections(before)?, sections(after)?);
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differs = |name: &&(String, usize)| before.get(*name) != after.get(*name);
    let describe = |name: &(String, usize)| match (before.get(name), after.get(name)) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            let bytes = a.iter().zip(*b).filter(|(a, b)| a != b).count();
            format!("section {} ({bytes} of {} bytes)", name.0, a.len())
        }
        (Some(a), Some(b)) => format!("section {} ({} bytes, {} bytes)", name.0, a.len(), b.len()),
        (Some(_), None) => format!("section {} is gone", name.0),
        (None, _) => format!("section {} is new", name.0),
    };
    Ok(names.into_iter().filter(differs).map(describe).collect())
}

/// Returns the content of each section, by its name and the number of earlier sections with that name.
fn sections(bytes: &[u8]) -> std::result::Result<BTreeMap<(String, usize), &[u8]>, String> {
    let elf = Elf::parse(bytes).map_err(|error| error.to_string())?;
    let mut sections = BTreeMap::new();
    for header in &elf.section_headers {
        let name = elf.shdr_strtab.get_at(header.sh_name).unwrap_or_default().escape_debug().to_string();
        let content = header.file_range().and_then(|range| bytes.get(range)).unwrap_or_default();
        let twins = sections.range((name.clone(), 0)..=(name.clone(), usize::MAX)).count();
        sections.insert((name, twins), content);
    }
    Ok(sections)
}

/// Returns the newest glibc symbol version that a C library defines, or `None` if it is not glibc.
///
/// # Errors
/// [`Error::Io`], and [`Error::Damaged`] if it is not an ELF file.
pub fn provided_glibc(mut file: impl std::io::Read) -> Result<Option<GlibcVersion>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    defined_glibc(&bytes).map_err(|reason| Error::Damaged { what: "libc.so.6".into(), reason })
}

/// [`provided_glibc`] for the bytes of a library.
///
/// # Errors
/// The reason why the bytes are not an ELF file.
pub fn defined_glibc(bytes: &[u8]) -> std::result::Result<Option<GlibcVersion>, String> {
    let elf = Elf::parse(bytes).map_err(|error| error.to_string())?;
    let Some(verdef) = &elf.verdef else { return Ok(None) };
    Ok(verdef
        .iter()
        .flat_map(|definition| definition.iter().collect::<Vec<_>>())
        .filter_map(|name| elf.dynstrtab.get_at(name.vda_name))
        .filter_map(GlibcVersion::of_symbol_version)
        .max())
}

/// Whether a library is part of glibc, so that every system that can run the artifact has it.
#[must_use]
pub fn is_glibc(soname: &str) -> bool {
    const NAMES: &[&str] = &[
        "libc.so.6",
        "libm.so.6",
        "libdl.so.2",
        "libpthread.so.0",
        "librt.so.1",
        "libutil.so.1",
        "libresolv.so.2",
        "libanl.so.1",
        "libmvec.so.1",
        "libBrokenLocale.so.1",
        "libnss_files.so.2",
        "libnss_dns.so.2",
        "libthread_db.so.1",
    ];
    NAMES.contains(&soname) || soname.starts_with("ld-linux")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_program_of_this_system() {
        let shell = fs_err::canonicalize("/bin/sh").unwrap();
        assert!(is_elf(&shell).unwrap());
        let elf = read(&shell).unwrap();
        assert!(elf.needed.iter().any(|name| name == "libc.so.6"), "{elf:?}");
        assert!(elf.glibc_floor.unwrap() >= "2.2".parse().unwrap());
        assert!(elf.hardening.relro && !elf.hardening.executable_stack && !elf.hardening.writable_code);
        assert!(elf.rpath.is_empty() && elf.runpath.is_empty());
    }

    #[test]
    fn relative_relocations_raise_the_floor() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("relative.c");
        // A pointer that is relocated at start, and no symbol newer than glibc 2.2.5.
        fs_err::write(
            &source,
            "extern int puts(const char *); int (*pointer)(const char *) = puts;\n\
                                static int here; int *to_here = &here;\n",
        )
        .unwrap();
        let linked = |name: &str, flags: &[&str]| {
            let library = directory.path().join(name);
            let mut command = std::process::Command::new("gcc");
            command.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).args(flags);
            command.output().unwrap().status.success().then_some(library)
        };
        let plain = linked("plain.so", &["-Wl,-z,nopack-relative-relocs"]);
        let Some((plain, packed)) = plain.zip(linked("packed.so", &["-Wl,-z,pack-relative-relocs"])) else {
            return crate::sys::skipped("this linker or glibc knows no relative relocations");
        };
        assert!(read(&plain).unwrap().glibc_floor.unwrap() < GlibcVersion::DT_RELR);
        assert_eq!(read(&packed).unwrap().glibc_floor, Some(GlibcVersion::DT_RELR));
    }

    #[test]
    fn the_sections_that_differ_are_named() {
        let program = fs_err::read(fs_err::canonicalize("/bin/sh").unwrap()).unwrap();
        assert_eq!(section_differences(&program, &program).unwrap(), Vec::<String>::new());
        let elf = Elf::parse(&program).unwrap();
        let data = elf.section_headers.iter().find(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(".rodata"));
        let range = data.unwrap().file_range().unwrap();
        let mut other = program.clone();
        other[range.start] ^= 1;
        let texts = section_differences(&program, &other).unwrap();
        assert_eq!(texts, [format!("section .rodata (1 of {} bytes)", range.len())]);
        // The type of the file is in the header, outside all sections.
        let mut other = program.clone();
        other[48] ^= 1;
        assert!(section_differences(&program, &other).unwrap().is_empty());
        assert!(section_differences(&program, b"text").is_err());
    }

    #[test]
    fn what_is_not_elf_is_said_to_be_damaged() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), b"\x7fELF and then nothing").unwrap();
        assert!(is_elf(file.path()).unwrap());
        assert!(matches!(read(file.path()), Err(Error::Damaged { .. })));
    }

    #[test]
    fn the_loader_is_glibc_on_every_processor() {
        assert!(is_glibc("ld-linux-x86-64.so.2") && is_glibc("ld-linux-aarch64.so.1") && is_glibc("libm.so.6"));
        assert!(!is_glibc("libcrypt.so.1") && !is_glibc("libz.so.1"));
    }

    proptest! {
        #[test]
        fn a_damaged_file_never_panics(changes in prop::collection::vec((0usize..4096, any::<u8>()), 1..40), length in 0usize..140_000) {
            let mut bytes = fs_err::read("/bin/true").unwrap();
            bytes.truncate(length);
            for (at, byte) in changes {
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = byte;
                }
            }
            let _ = parse(&bytes);
            let _ = section_differences(&bytes, &bytes);
        }
    }
}
