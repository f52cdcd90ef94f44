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

use clap::FromArgMatches as _;

pub use self::hints::hint;
use crate::sys::interrupt;

/// Runs the program and gives its exit code.
#[must_use]
pub fn main() -> u8 {
    // Modes of what is installed are those of the artifact, whatever the user's mask is.
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o022));
    let parsed = args::command().try_get_matches().and_then(|matches| args::Args::from_arg_matches(&matches));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => return render::usage(&error),
    };
    let config = config::Config::new(&args);
    let outcome = interrupt::listen()
        .map_err(Into::into)
        .and_then(|()| config.and_then(|config| commands::run(&args.command, &config)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            render::error(&error, &args.global);
            error.code()
        }
    }
}
