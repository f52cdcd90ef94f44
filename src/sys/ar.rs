//! Reads static libraries: archives of object files.

use std::io::Read;
use std::path::Path;

use goblin::archive::{Archive, MAGIC};
use goblin::elf::Elf;
use goblin::elf::header::ET_REL;

use crate::error::Result;

/// What pykeel checks of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name in the archive.
    pub name: String,
    /// The processor (`e_machine`).
    pub machine: u16,
    /// Whether it is an object for the linker, and not a program or a shared library.
    pub relocatable: bool,
    /// Whether it has the compiler's intermediate code (LTO), which only the same compiler can link.
    pub intermediate_code: bool,
    /// The global functions and variables that it defines.
    pub defines: Vec<String>,
}

/// Whether a file begins with the magic number of an archive.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io).
pub fn is_archive(path: &Path) -> Result<bool> {
    let mut magic = Vec::with_capacity(MAGIC.len());
    fs_err::File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    Ok(magic == *MAGIC)
}

/// Reads the objects of an archive.
///
/// # Errors
/// The reason why the bytes are not an archive of ELF objects.
pub fn objects(bytes: &[u8]) -> std::result::Result<Vec<Object>, String> {
    let archive = Archive::parse(bytes).map_err(|error| error.to_string())?;
    let mut objects = Vec::with_capacity(archive.len());
    // By their numbers, because two objects may have one name.
    for member in (0..archive.len()).filter_map(|index| archive.get_at(index)) {
        let name = member.extended_name().to_owned();
        let start = usize::try_from(member.offset).unwrap_or(usize::MAX);
        let content = start.checked_add(member.size()).and_then(|end| bytes.get(start..end));
        let content = content.ok_or_else(|| format!("{name} is truncated"))?;
        objects.push(object(name, content)?);
    }
    Ok(objects)
}

fn object(name: String, bytes: &[u8]) -> std::result::Result<Object, String> {
    let elf = Elf::parse(bytes).map_err(|error| format!("{name}: {error}"))?;
    let section = |name: usize| elf.shdr_strtab.get_at(name).unwrap_or_default();
    let defined = elf.syms.iter().filter(|symbol| symbol.st_bind() != 0 && symbol.st_shndx != 0);
    Ok(Object {
        machine: elf.header.e_machine,
        relocatable: elf.header.e_type == ET_REL,
        intermediate_code: elf.section_headers.iter().any(|header| section(header.sh_name).starts_with(".gnu.lto_")),
        defines: defined.filter_map(|symbol| elf.strtab.get_at(symbol.st_name)).map(str::to_owned).collect(),
        name,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A static library of two objects, compiled with some options.
    fn library(options: &[&str]) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let run = |program: &str, words: &[&str]| {
            let mut command = std::process::Command::new(program);
            assert!(command.current_dir(directory.path()).args(words).status().unwrap().success(), "{words:?}");
        };
        fs_err::write(directory.path().join("one.c"), "int used(void); int one(void) { return used(); }\n").unwrap();
        fs_err::write(directory.path().join("two.c"), "static int hidden; int two(void) { return hidden++; }\n")
            .unwrap();
        run("gcc", &[options, &["-c", "one.c", "two.c"]].concat());
        run("ar", &["rcs", "libtoy.a", "one.o", "two.o"]);
        fs_err::read(directory.path().join("libtoy.a")).unwrap()
    }

    #[test]
    fn the_objects_of_a_static_library() {
        let found = objects(&library(&["-O1"])).unwrap();
        let texts: Vec<_> = found.iter().map(|object| (object.name.as_str(), object.defines.join(" "))).collect();
        assert_eq!(texts, [("one.o", "one".to_owned()), ("two.o", "two".to_owned())]);
        assert!(found.iter().all(|object| object.relocatable && !object.intermediate_code), "{found:?}");
        let fat = objects(&library(&["-O1", "-flto", "-ffat-lto-objects"])).unwrap();
        assert!(fat.iter().all(|object| object.intermediate_code), "{fat:?}");
        assert!(fat[1].defines.contains(&"two".to_owned()));
        assert!(objects(b"!<arch>\nnothing of it").is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_archive_never_panics(changes in prop::collection::vec((0usize..4096, any::<u8>()), 1..40), length in 0usize..4096) {
            static LIBRARY: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| library(&["-O1"]));
            let mut bytes = LIBRARY.clone();
            bytes.truncate(length);
            for (at, byte) in changes {
                if let Some(slot) = bytes.get_mut(at) {
                    *slot = byte;
                }
            }
            let _ = objects(&bytes);
        }
    }
}
