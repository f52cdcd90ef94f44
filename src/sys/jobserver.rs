//! GNU make's jobserver: limits how many commands run at once in all builds of one invocation.
//!
//! Every step that keeps a processor busy holds a slot. A make runs in the slot that its caller holds,
//! and takes one more for each further command. So the configure of one version, which is serial,
//! overlaps with the compilation of another.

use std::io;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use jobserver::{Acquired, Client};

use super::interrupt;
use crate::error::Result;

/// The slots that all builds and their makes share.
#[derive(Debug, Clone)]
pub struct JobServer {
    client: Client,
    slots: usize,
}

/// A slot that is held until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _token: Acquired,
}

impl JobServer {
    /// Makes a jobserver with a number of slots, at least one.
    ///
    /// # Errors
    /// [`io::Error`] if its pipe cannot be made.
    pub fn new(slots: usize) -> io::Result<Self> {
        let slots = slots.max(1);
        Ok(Self { client: Client::new(slots)?, slots })
    }

    /// Returns the number of slots.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Waits for a free slot and takes it.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`] after a signal, [`crate::error::Error::Io`] if the pipe
    /// cannot be read.
    pub fn slot(&self) -> Result<Slot> {
        let (sender, receiver) = mpsc::channel();
        // The read of a token cannot be interrupted, so a helper thread does it, which can be stopped.
        let waiting = self.client.clone().into_helper_thread(move |token| {
            // If the receiver is gone, the token is dropped and so returned.
            let _unwanted = sender.send(token);
        })?;
        waiting.request_token();
        loop {
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(token) => return Ok(Slot { _token: token? }),
                Err(RecvTimeoutError::Timeout) => interrupt::check()?,
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            }
        }
    }

    /// Passes the jobserver on to a program. The caller holds the slot that the program itself runs in.
    pub(super) fn share(&self, command: &mut Command) {
        // With a single slot make runs serially, as it does without a jobserver.
        if self.slots > 1 {
            self.client.configure_make(command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_given_out_and_come_back() {
        let server = JobServer::new(2).unwrap();
        let (one, two) = (server.slot().unwrap(), server.slot().unwrap());
        let other = server.clone();
        let waiter = std::thread::spawn(move || other.slot().map(drop).is_ok());
        assert_eq!(server.client.available().unwrap(), 0);
        drop(one);
        assert!(waiter.join().unwrap());
        drop(two);
        assert_eq!(server.client.available().unwrap(), 2);
        assert_eq!(JobServer::new(0).unwrap().slots(), 1);
    }

    #[test]
    fn a_make_takes_the_slots_that_are_free_and_no_more() {
        use crate::sys::process::{Runner as _, Spec, System};

        // Each of four commands waits until as many run as there are slots: with fewer at a time
        // this never ends, and more would be counted.
        let directory = tempfile::tempdir().unwrap();
        let rule = "all: a b c d\n\
                    a b c d:\n\
                    \t@touch running-$@; n=$$(ls running-* | wc -l); [ $$n -gt 3 ] && touch too-many; \
                    while [ $$(ls running-* seen-* 2>/dev/null | wc -l) -lt 3 ]; do sleep 0.01; done; \
                    touch seen-$@; rm running-$@\n";
        fs_err::write(directory.path().join("Makefile"), rule).unwrap();
        let server = JobServer::new(3).unwrap();
        let _own = server.slot().unwrap();
        let make = Spec::new("make").directory(directory.path()).timeout(Duration::from_mins(1)).jobs(&server);
        let outcome = System.run(&make, &mut |_, _| {}).unwrap();
        assert!(outcome.success(), "{outcome}");
        assert!(!directory.path().join("too-many").exists());
        assert_eq!(server.client.available().unwrap(), 2);
    }
}
