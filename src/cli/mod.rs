//! The command line: arguments, environment and files become a `config::Config`, a command acts on it,
//! and what comes of it is printed here and nowhere else.

mod args;
mod commands;
mod config;
mod help;
mod hints;
mod render;
mod reporter;
mod settings;
mod timings;
mod variables;

pub use self::hints::hint;
use crate::sys::{fs, interrupt};

/// Runs the program and gives its exit code.
#[must_use]
pub fn main() -> u8 {
    let args = match args::parse(std::env::args_os().collect()) {
        Ok(args) => args,
        Err(error) => return render::usage(&error),
    };
    // The program that python-build may hand over to gets the user's mask.
    if !matches!(args.command, args::Command::PythonBuild(_)) {
        fs::plain_modes();
    }
    let outcome = interrupt::listen().map_err(Into::into).and_then(|()| commands::run(&args));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            render::error(&error, &args.global);
            error.code()
        }
    }
}
