//! The program: it supervises or confines another program if its arguments say so, else it runs the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    use pykeel::sys::process::{confine, supervise_if_asked};
    match confine::confine_if_asked().or_else(supervise_if_asked) {
        Some(code) => code.into(),
        None => pykeel::cli::main().into(),
    }
}
