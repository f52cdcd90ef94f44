//! Access to the system: files, programs, archives, the network. It does not know recipes.

pub mod ar;
pub mod archive;
pub mod credentials;
pub mod directory;
pub mod distro;
pub mod elf;
pub mod fs;
pub mod gcov;
pub mod http;
pub mod interrupt;
pub mod jobserver;
pub mod lock;
pub mod log;
pub mod oci;
pub mod process;
pub mod stamp;
pub mod toolchain;

/// Notes that a unit test does not run here. Where `CI=true` it has to run.
#[cfg(test)]
fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "a test was skipped: {reason}");
}
