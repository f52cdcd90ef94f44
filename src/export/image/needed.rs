//! The shared libraries that the files of an image need and do not bring.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use crate::domain::target::Target;
use crate::error::Result;
use crate::sys::elf;
use crate::sys::fs::{open_plain, with_path};

/// The bytes at the beginning of a file by which its kind is told: those of an ELF file, and of bytecode.
const BEGINNING: u64 = 16;

/// What it means if a library is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The image does not work.
    Required,
    /// A part of an application does not work, which it may do without.
    Optional,
}

/// The libraries that ELF files name, and those that are beside them.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    target: Target,
    /// The sonames, each with a file that needs it.
    wanted: BTreeMap<String, (String, Need)>,
    brought: BTreeSet<String>,
}

impl Needed {
    pub(super) const fn new(target: Target) -> Self {
        Self { target, wanted: BTreeMap::new(), brought: BTreeSet::new() }
    }

    /// Whether the bytes of a file begin as those of an ELF file.
    pub(super) fn is_elf(begin: &[u8]) -> bool {
        begin.starts_with(b"\x7fELF")
    }

    /// Notes what a file needs, if it is an ELF file of this machine.
    pub(super) fn note(&mut self, path: &Path, bytes: &[u8], need: Need) {
        if !Self::is_elf(bytes) {
            return;
        }
        // What is no whole ELF file is some program's data.
        let Ok(file) = elf::parse(bytes) else { return };
        if file.machine != self.target.elf_machine() || file.relocatable {
            return;
        }
        self.brought.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        self.brought.extend(file.soname);
        for soname in file.needed {
            let by = || (path.display().to_string(), need);
            let known = self.wanted.entry(soname).or_insert_with(by);
            if need == Need::Required && known.1 == Need::Optional {
                *known = by();
            }
        }
    }

    /// Notes what a file needs, of which only the beginning is read unless it is an ELF file. Returns the beginning.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub(super) fn note_file(&mut self, file: &Path, path: &Path, need: Need) -> Result<Vec<u8>> {
        let named = |error| with_path(file, error);
        let mut opened = open_plain(file).map_err(named)?;
        let mut begin = Vec::new();
        opened.by_ref().take(BEGINNING).read_to_end(&mut begin).map_err(named)?;
        if Self::is_elf(&begin) {
            let mut bytes = begin.clone();
            opened.read_to_end(&mut bytes).map_err(named)?;
            self.note(path, &bytes, need);
        }
        Ok(begin)
    }

    /// Returns the libraries that have to come from elsewhere, each with a file that needs it.
    pub(super) fn missing(&self) -> Vec<(&str, &str, Need)> {
        let missing = self.wanted.iter().filter(|(soname, _)| !self.brought.contains(*soname));
        missing.map(|(soname, (by, need))| (soname.as_str(), by.as_str(), *need)).collect()
    }
}
