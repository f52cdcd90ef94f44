//! Signals that ask the program to stop. They set a flag; work checks it and returns an error, so that
//! temporary files are removed.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

/// The number of the last signal; 0 before the first.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Installs handlers for SIGINT, SIGTERM and SIGHUP. A second SIGINT ends the program at once.
///
/// # Errors
/// [`io::Error`] if a handler cannot be installed.
pub fn listen() -> io::Result<()> {
    let signal = Arc::clone(SIGNAL.get_or_init(Arc::default));
    let interrupted = Arc::new(AtomicBool::new(false));
    // The order matters: at the first SIGINT the shutdown handler finds the flag unset.
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&interrupted))?;
    flag::register(SIGINT, interrupted)?;
    for number in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_usize(number, Arc::clone(&signal), usize::try_from(number).unwrap_or_default())?;
    }
    Ok(())
}

/// Fails after a signal.
///
/// # Errors
/// [`Error::Interrupted`] with the number of the signal.
pub fn check() -> Result<()> {
    let signal = SIGNAL.get().map_or(0, |signal| signal.load(Ordering::Relaxed));
    match i32::try_from(signal) {
        Ok(signal) if signal != 0 => Err(Error::Interrupted(signal)),
        _ => Ok(()),
    }
}
