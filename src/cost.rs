//! What work takes: wall clock, and CPU time of all that does it.
//!
//! A thread that does work has a ledger: the CPU time that others spent for it, which are the programs it
//! ran and the threads that helped it. Its own clock and its ledger together are what its work took, also
//! while other threads do other work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

thread_local! {
    static LEDGER: Ledger = Ledger::default();
}

/// Nanoseconds of CPU time that others spent for a thread.
#[derive(Debug, Clone, Default)]
struct Ledger(Arc<AtomicU64>);

impl Ledger {
    fn add(&self, time: Duration) {
        // 584 years fit.
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    fn sum(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }
}

/// What some work took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// From its beginning to its end.
    pub wall: Duration,
    /// Of this thread, its helpers and the programs that it ran, in user and system mode.
    pub cpu: Duration,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// Measures work of one thread. It has to be read on the thread that started it.
#[derive(Debug)]
pub struct Meter {
    start: Instant,
    spent: Duration,
}

impl Meter {
    /// Begins to measure.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now(), spent: spent() }
    }

    /// What the work took until now.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost { wall: self.start.elapsed(), cpu: spent().saturating_sub(self.spent) }
    }
}

/// CPU time of this thread, and of all that worked for it.
fn spent() -> Duration {
    let own = clock_gettime(ClockId::ThreadCPUTime);
    // The clock begins at zero with the thread, so it has no negative part.
    let own = Duration::new(own.tv_sec.try_into().unwrap_or_default(), own.tv_nsec.try_into().unwrap_or_default());
    own + LEDGER.with(Ledger::sum)
}

/// Notes CPU time that a program spent for this thread.
pub fn charge(time: Duration) {
    LEDGER.with(|ledger| ledger.add(time));
}

/// Lets another thread work for this one: its CPU time is this one's.
#[must_use]
pub fn helper() -> Helper {
    Helper(LEDGER.with(Clone::clone))
}

/// For whom a helping thread works. Made by [`helper`], and taken along to the other thread.
#[derive(Debug, Clone)]
pub struct Helper(Ledger);

impl Helper {
    /// Does work on the helping thread. When this returns, the time is noted.
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

    /// Keeps a processor busy until this thread's own clock says that it was.
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
                    // A helper's helper.
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
            // This thread waited for all of it, on whatever processors there were.
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
