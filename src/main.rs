//! The exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match pykeel::sys::process::supervise_if_asked() {
        Some(code) => code.into(),
        None => pykeel::cli::main().into(),
    }
}
