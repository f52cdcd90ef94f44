//! Signals that ask the program to stop. They set a flag; work asks for it and unwinds, so that
//! everything temporary is cleaned up on the way out.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Starts listening to SIGINT, SIGTERM and SIGHUP. A second SIGINT ends the program at once.
///
/// # Errors
/// What the system answers.
pub fn listen() -> io::Result<()> {
    let signal = Arc::clone(SIGNAL.get_or_init(Arc::default));
    let interrupted = Arc::new(AtomicBool::new(false));
    // The order matters: the first SIGINT finds the flag unset and only sets it.
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&interrupted))?;
    flag::register(SIGINT, interrupted)?;
    for number in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_usize(number, Arc::clone(&signal), usize::try_from(number).unwrap_or_default())?;
    }
    Ok(())
}

/// Whether work may go on.
///
/// # Errors
/// [`Error::Interrupted`] after a signal.
pub fn check() -> Result<()> {
    let signal = SIGNAL.get().map_or(0, |signal| signal.load(Ordering::Relaxed));
    match i32::try_from(signal) {
        Ok(signal) if signal != 0 => Err(Error::Interrupted(signal)),
        _ => Ok(()),
    }
}
