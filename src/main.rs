//! The program: it starts as a supervisor if its arguments say so, else it runs the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    match pykeel::sys::process::supervise_if_asked() {
        Some(code) => code.into(),
        None => pykeel::cli::main().into(),
    }
}
