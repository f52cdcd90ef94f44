//! What the options of the compiler left in the code of an ELF file.

use std::path::Path;

use goblin::elf::Elf;
use goblin::elf::dynamic::DF_1_PIE;
use goblin::elf::header::{EM_AARCH64, EM_X86_64, ET_EXEC};
use goblin::elf::sym::{STT_FUNC, Sym};

use crate::error::Error;

/// The first bytes of a function to which indirect branches may lead: `endbr64` on x86-64; `bti c`, `bti jc`, `paciasp`
/// and `pacibsp` on aarch64.
const LANDING_PADS: &[(u16, &[[u8; 4]])] = &[
    (EM_X86_64, &[[0xf3, 0x0f, 0x1e, 0xfa]]),
    (
        EM_AARCH64,
        &[[0x5f, 0x24, 0x03, 0xd5], [0xdf, 0x24, 0x03, 0xd5], [0x3f, 0x23, 0x03, 0xd5], [0x7f, 0x23, 0x03, 0xd5]],
    ),
];

/// Functions of the C library's own start-up objects, which this build did not compile.
const OF_STARTUP_OBJECTS: &[&str] = &["_start", "_init", "_fini"];

/// The function that the stack protector calls. Its name ends as those of FORTIFY do.
const STACK_PROTECTOR: &str = "__stack_chk_fail";

/// What the options of the compiler left in the code of an ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// Whether it is a program and not a position-independent executable.
    pub position_dependent: bool,
    /// The exported functions without a landing pad for indirect branches, sorted.
    pub without_landing_pad: Vec<String>,
    /// Whether it calls the stack protector: some function has a canary.
    pub stack_protected: bool,
    /// Whether it calls functions of FORTIFY, such as `__memcpy_chk`.
    pub fortified: bool,
    /// The exported functions and whether each loads the stack protector's canary. On aarch64, where code does not show
    /// it, whether the file calls the stack protector at all.
    protected: Vec<(String, bool)>,
}

impl Compiled {
    /// Reads an ELF file. This looks at all of its code, which [`read`](super::read) does not.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Damaged`] if it is not an ELF file.
    pub fn read(path: &Path) -> crate::error::Result<Self> {
        let damaged = |reason| Error::Damaged { what: path.display().to_string(), reason };
        Self::parse(&fs_err::read(path)?).map_err(damaged)
    }

    /// Parses the bytes of an ELF file.
    ///
    /// # Errors
    /// The reason why the bytes are not an ELF file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let elf = Elf::parse(bytes).map_err(|error| error.to_string())?;
        let flags = elf.dynamic.as_ref().map_or(0, |dynamic| dynamic.info.flags_1);
        let imports = |test: fn(&str) -> bool| {
            elf.dynsyms
                .iter()
                .any(|symbol| symbol.is_import() && test(elf.dynstrtab.get_at(symbol.st_name).unwrap_or("")))
        };
        let machine = elf.header.e_machine;
        let calls_protector = imports(|name| name == STACK_PROTECTOR);
        let pads = LANDING_PADS.iter().find(|(of, _)| *of == machine).map_or(&[][..], |(_, pads)| pads);
        let (mut without_landing_pad, mut protected) = (Vec::new(), Vec::new());
        for symbol in elf.dynsyms.iter().filter(|symbol| symbol.st_type() == STT_FUNC && !symbol.is_import()) {
            let name = elf.dynstrtab.get_at(symbol.st_name).unwrap_or_default();
            let code = code(&elf, &symbol, bytes);
            let is_marked = pads.iter().any(|pad| code.starts_with(pad));
            if !pads.is_empty() && !is_marked && !OF_STARTUP_OBJECTS.contains(&name) {
                without_landing_pad.push(name.to_owned());
            }
            let is_protected = if machine == EM_X86_64 { loads_canary(code) } else { calls_protector };
            protected.push((name.to_owned(), is_protected));
        }
        without_landing_pad.sort_unstable();
        Ok(Self {
            position_dependent: elf.header.e_type == ET_EXEC || elf.interpreter.is_some() && flags & DF_1_PIE == 0,
            without_landing_pad,
            stack_protected: calls_protector,
            fortified: imports(|name| name.starts_with("__") && name.ends_with("_chk") && name != STACK_PROTECTOR),
            protected,
        })
    }

    /// Whether an exported function is protected, or `None` if there is no such function.
    #[must_use]
    pub fn is_protected(&self, function: &str) -> Option<bool> {
        self.protected.iter().find(|(name, _)| name == function).map(|(_, is_protected)| *is_protected)
    }
}

/// Returns the code of a function, empty if the file has none at its address.
fn code<'b>(elf: &Elf<'_>, symbol: &Sym, bytes: &'b [u8]) -> &'b [u8] {
    let segment = elf.program_headers.iter().find(|header| header.vm_range().contains(&to_usize(symbol.st_value)));
    let range = segment.and_then(|header| {
        let start = symbol.st_value.checked_sub(header.p_vaddr)?.checked_add(header.p_offset)?;
        Some(to_usize(start)..to_usize(start.checked_add(symbol.st_size)?))
    });
    range.and_then(|range| bytes.get(range)).unwrap_or_default()
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Whether code reads the canary, which is at `%fs:0x28` on x86-64: `64 48 8b 04 25 28 00 00 00`, with another operation
/// (`sub`, `xor`) or another register.
fn loads_canary(code: &[u8]) -> bool {
    code.windows(9).any(|bytes| {
        matches!(bytes, [0x64, 0x48 | 0x4c, 0x8b | 0x2b | 0x33, modrm, 0x25, 0x28, 0, 0, 0] if modrm & 0xc7 == 0x04)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library of one exported function with an array, compiled with some flags.
    fn compiled(flags: &[&str]) -> Compiled {
        let directory = tempfile::tempdir().unwrap();
        let (source, output) = (directory.path().join("a.c"), directory.path().join("a.so"));
        let text = "#include <string.h>\nchar f(const char *from, unsigned long length) {\n\
                    char array[64]; memcpy(array, from, length); return array[length & 7]; }\n";
        fs_err::write(&source, text).unwrap();
        let mut command = std::process::Command::new("gcc");
        command.args(["-shared", "-fPIC", "-O2", "-U_FORTIFY_SOURCE", "-o"]).arg(&output).arg(&source).args(flags);
        assert!(command.status().unwrap().success());
        Compiled::parse(&fs_err::read(&output).unwrap()).unwrap()
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn hardened_code_shows_it() {
        let hardened = compiled(&["-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-fcf-protection"]);
        assert_eq!(
            (hardened.is_protected("f"), hardened.stack_protected, hardened.fortified),
            (Some(true), true, true)
        );
        assert_eq!(hardened.without_landing_pad, [""; 0]);
        assert_eq!(hardened.is_protected("no_such"), None);
        let plain = compiled(&["-fno-stack-protector", "-fcf-protection=none"]);
        assert_eq!((plain.is_protected("f"), plain.stack_protected, plain.fortified), (Some(false), false, false));
        assert_eq!(plain.without_landing_pad, ["f"]);
        assert!(!plain.position_dependent);
    }

    #[test]
    fn a_program_is_position_independent_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let (source, output) = (directory.path().join("a.c"), directory.path().join("a"));
        fs_err::write(&source, "int main(void) { return 0; }\n").unwrap();
        for (flags, expected) in [(["-fPIE", "-pie"], false), (["-fno-pie", "-no-pie"], true)] {
            let mut command = std::process::Command::new("gcc");
            assert!(command.args(flags).arg("-o").arg(&output).arg(&source).status().unwrap().success());
            let found = Compiled::parse(&fs_err::read(&output).unwrap()).unwrap();
            assert_eq!(found.position_dependent, expected);
        }
    }
}
