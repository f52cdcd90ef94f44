//! Access to the system: files, programs, archives, the network. It does not know recipes.

pub mod ar;
pub mod archive;
pub mod distro;
pub mod elf;
pub mod fs;
pub mod gcov;
pub mod http;
pub mod interrupt;
pub mod jobserver;
pub mod lock;
pub mod log;
pub mod process;
pub mod toolchain;
