//! The shared libraries that the files of an image need and do not bring.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::domain::target::Target;
use crate::sys::elf;

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

    /// Returns the libraries that have to come from elsewhere, each with a file that needs it.
    pub(super) fn missing(&self) -> Vec<(&str, &str, Need)> {
        let missing = self.wanted.iter().filter(|(soname, _)| !self.brought.contains(*soname));
        missing.map(|(soname, (by, need))| (soname.as_str(), by.as_str(), *need)).collect()
    }
}
