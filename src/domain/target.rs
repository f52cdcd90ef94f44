//! The system that a built Python runs on.

use std::path::PathBuf;

use super::named_enum;

named_enum! {
    /// A Linux system with glibc, named by its processor.
    pub enum Target {
        /// 64-bit x86.
        X86_64 = "x86_64-linux-gnu",
        /// 64-bit Arm.
        Aarch64 = "aarch64-linux-gnu",
    }
}

impl Target {
    /// The system that this program was compiled for, which is the one that it builds on.
    pub const OF_THIS_PROGRAM: Self = if cfg!(target_arch = "x86_64") {
        Self::X86_64
    } else if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        panic!("pykeel builds for x86-64 and 64-bit Arm")
    };

    /// Returns the target of a compiler from the output of `-dumpmachine`: `x86_64-linux-gnu` on Debian,
    /// `x86_64-redhat-linux` on Fedora.
    ///
    /// # Errors
    /// The reason why the machine is not supported.
    pub fn from_machine(machine: &str) -> Result<Self, String> {
        let mut fields = machine.split('-');
        let arch = fields.next().unwrap_or_default();
        if machine.contains("musl") {
            return Err(format!("{machine} is a musl system"));
        }
        if !fields.any(|field| field == "linux") {
            return Err(format!("{machine} is not a Linux system"));
        }
        Self::ALL
            .iter()
            .copied()
            .find(|target| target.arch() == arch)
            .ok_or_else(|| format!("{arch} is not a processor pykeel knows"))
    }

    /// Returns the processor's name, as `uname -m` prints it.
    #[must_use]
    pub fn arch(self) -> &'static str {
        self.name().split('-').next().unwrap_or_default()
    }

    /// Returns the processor's name in an image, as Go calls it.
    #[must_use]
    pub const fn oci_architecture(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Returns the directories in which a distribution has this system's libraries, whether it has merged `/usr` or not:
    /// first those that are for this processor alone.
    #[must_use]
    pub fn library_directories(self) -> [PathBuf; 6] {
        [
            format!("/usr/lib/{self}").into(),
            format!("/lib/{self}").into(),
            "/usr/lib64".into(),
            "/lib64".into(),
            "/usr/lib".into(),
            "/lib".into(),
        ]
    }

    /// Returns the path of glibc's dynamic loader, which every program names.
    #[must_use]
    pub const fn loader(self) -> &'static str {
        match self {
            Self::X86_64 => "/lib64/ld-linux-x86-64.so.2",
            Self::Aarch64 => "/lib/ld-linux-aarch64.so.1",
        }
    }

    /// Returns the processor's number in an ELF header (`e_machine`).
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_spell_one_machine_differently() {
        for machine in ["x86_64-linux-gnu", "x86_64-redhat-linux", "x86_64-pc-linux-gnu"] {
            assert_eq!(Target::from_machine(machine), Ok(Target::X86_64));
        }
        assert_eq!(Target::from_machine("aarch64-linux-gnu"), Ok(Target::Aarch64));
    }

    #[test]
    fn others_are_refused_in_words() {
        assert!(Target::from_machine("x86_64-alpine-linux-musl").unwrap_err().contains("musl"));
        assert!(Target::from_machine("x86_64-apple-darwin").unwrap_err().contains("not a Linux"));
        assert!(Target::from_machine("riscv64-linux-gnu").unwrap_err().contains("riscv64"));
        assert!(Target::from_machine("").is_err());
    }
}
