//! Measures the wall clock and the CPU time of a piece of work.
//!
//! Each thread counts the CPU time that others spent for it: the programs that it ran and the threads that
//! helped it. This count and the thread's own CPU clock together are the CPU time of its work, even while
//! other threads do other work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

thread_local! {
    static LEDGER: Ledger = Ledger::default();
}

/// The CPU time in nanoseconds that others spent for a thread.
#[derive(Debug, Clone, Default)]
struct Ledger(Arc<AtomicU64>);

impl Ledger {
    fn add(&self, time: Duration) {
        // 64 bits hold 584 years.
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    fn sum(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }
}

/// The time that a piece of work took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// The time from its beginning to its end.
    pub wall: Duration,
    /// The CPU time of the thread, its helpers and the programs that it ran, in user and system mode.
    pub cpu: Duration,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// Measures the work of one thread. Read it on the thread that started it.
#[derive(Debug)]
pub struct Meter {
    start: Instant,
    spent: Duration,
}

impl Meter {
    /// Starts the measurement.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now(), spent: spent() }
    }

    /// Returns the time that the work took until now.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost { wall: self.start.elapsed(), cpu: spent().saturating_sub(self.spent) }
    }
}

/// Returns the CPU time of this thread and of all that worked for it.
fn spent() -> Duration {
    let own = clock_gettime(ClockId::ThreadCPUTime);
    // The clock starts at zero with the thread, so it is never negative.
    let own = Duration::new(own.tv_sec.try_into().unwrap_or_default(), own.tv_nsec.try_into().unwrap_or_default());
    own + LEDGER.with(Ledger::sum)
}

/// Charges the CPU time of a program to this thread.
pub fn charge(time: Duration) {
    LEDGER.with(|ledger| ledger.add(time));
}

/// Returns a helper, with which another thread charges its CPU time to this one.
#[must_use]
pub fn helper() -> Helper {
    Helper(LEDGER.with(Clone::clone))
}

/// The thread that a helping thread works for. [`helper`] makes it; move it to the helping thread.
#[derive(Debug, Clone)]
pub struct Helper(Ledger);

impl Helper {
    /// Runs `work` on the helping thread, and charges its CPU time.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = spent();
        let value = work();
        self.0.add(spent().saturating_sub(before));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps a processor busy until this thread's CPU clock has advanced by a given time.
    fn burn(time: Duration) {
        let start = spent();
        while spent().saturating_sub(start) < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn the_work_of_helpers_is_that_of_whom_they_help() {
        let meter = Meter::start();
        std::thread::scope(|scope| {
            let helper = helper();
            scope.spawn(move || {
                helper.run(|| {
                    burn(Duration::from_millis(20));
                    // The helper has a helper of its own.
                    let helper = super::helper();
                    std::thread::scope(|scope| {
                        scope.spawn(move || helper.run(|| burn(Duration::from_millis(20)))).join()
                    })
                })
            });
        });
        let cost = meter.cost();
        assert!(cost.cpu >= Duration::from_millis(40), "{cost:?}");
    }

    #[test]
    fn the_work_of_others_is_not() {
        std::thread::scope(|scope| {
            let meter = Meter::start();
            let other = scope.spawn(|| burn(Duration::from_millis(200)));
            other.join().unwrap();
            let cost = meter.cost();
            assert!(cost.cpu < Duration::from_millis(100), "{cost:?}");
            // This thread waited for all the work, whichever processors did it.
            assert!(cost.wall >= Duration::from_millis(200), "{cost:?}");
        });
    }

    #[test]
    fn a_charge_counts_where_it_was_made() {
        let meter = Meter::start();
        charge(Duration::from_secs(7));
        let elsewhere = std::thread::spawn(|| Meter::start().cost().cpu).join().unwrap();
        assert!(meter.cost().cpu >= Duration::from_secs(7) && elsewhere < Duration::from_secs(7));
    }
}
