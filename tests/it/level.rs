//! How much a run of the tests does: `scripts/test` less than `scripts/test --full`. And kills, whose
//! number depends on it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::time::{Duration, Instant};

/// Set to `1`, everything is done as often as it can be: `scripts/test --full`.
const FULL: &str = "PYKEEL_TEST_FULL";

/// Whether this is the full run.
pub fn is_full() -> bool {
    std::env::var_os(FULL).is_some_and(|value| value == "1")
}

/// How often something is done: in the full run, and else.
pub fn count<T>(full: T, reduced: T) -> T {
    if is_full() { full } else { reduced }
}

/// Kills a command at moments spread over the whole time that it takes, and calls `look` after each
/// kill. A command that was over before its kill does not count: `reset` undoes what it did, its time
/// is taken for the whole, and it is started again.
pub fn kill_at_moments(kills: u32, mut start: impl FnMut() -> Child, mut reset: impl FnMut(), mut look: impl FnMut()) {
    let mut whole = timed(&mut start);
    reset();
    for kill in 0..kills {
        let landed = (0..10).any(|_| {
            let began = Instant::now();
            let mut child = start();
            let moment = whole * kill / kills;
            while began.elapsed() < moment && is_running(&mut child) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let landed = is_running(&mut child);
            child.kill().expect("kill");
            let status = child.wait().expect("the command");
            let took = began.elapsed();
            look();
            if landed {
                // It may have ended by itself between the two.
                return status.signal() == Some(9);
            }
            assert!(status.success(), "{status}");
            whole = took;
            reset();
            false
        });
        assert!(landed, "kill {kill} of {kills} never came while work was under way");
    }
}

fn timed(start: &mut impl FnMut() -> Child) -> Duration {
    let began = Instant::now();
    let status = start().wait().expect("the command");
    assert!(status.success(), "{status}");
    began.elapsed()
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().expect("the command").is_none()
}
