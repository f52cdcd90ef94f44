//! How many processors were busy, and when.

use std::time::Duration;

use super::steps::{Group, Timings};

/// A span of time, and how many processors were busy in it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Load {
    /// Its start, since the start of the invocation.
    start: Duration,
    /// Its end.
    end: Duration,
    /// Processors in use, on average.
    busy: f64,
}

impl Group {
    /// Returns how many processors each step kept busy: a program while it ran, and a stage in the time
    /// between its programs.
    fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let mut gaps = vec![(step.start, step.end)];
            let mut rest = step.cost.cpu;
            for (_, child) in self.children(index) {
                rest = rest.saturating_sub(child.cost.cpu);
                gaps = gaps.into_iter().flat_map(|gap| without(gap, (child.start, child.end))).collect();
            }
            let span = step.end.saturating_sub(step.start);
            let mut free: Duration = gaps.iter().map(|(start, end)| end.saturating_sub(*start)).sum();
            // In less than 2 % of its time the CPU time of the stage itself would show as a spike, so it is
            // spread over the whole.
            if free < span / 50 {
                gaps = vec![(step.start, step.end)];
                free = span;
            }
            if !free.is_zero() {
                let busy = rest.as_secs_f64() / free.as_secs_f64();
                loads.extend(gaps.into_iter().map(|(start, end)| Load { start, end, busy }));
            }
        }
        loads
    }
}

impl Timings {
    /// Returns how many processors were busy, as times at which that number changes.
    pub fn busy(&self) -> Vec<(Duration, f64)> {
        let loads: Vec<Load> = self.groups.iter().flat_map(Group::loads).collect();
        let ends = loads.iter().flat_map(|load| [load.start, load.end]);
        let mut times: Vec<Duration> = ends.chain([Duration::ZERO, self.wall]).collect();
        times.sort_unstable();
        times.dedup();
        let at = |time: Duration| -> f64 {
            loads.iter().filter(|load| load.start <= time && time < load.end).map(|load| load.busy).sum()
        };
        times.into_iter().map(|time| (time, at(time))).collect()
    }
}

/// Returns what is left of a span of time without another.
fn without((start, end): (Duration, Duration), (from, to): (Duration, Duration)) -> Vec<(Duration, Duration)> {
    let pieces = [(start, end.min(from)), (start.max(to), end)];
    pieces.into_iter().filter(|(start, end)| start < end).collect()
}

#[cfg(test)]
mod tests {
    use super::super::steps::tests::{milliseconds, one, two};
    use super::*;

    #[test]
    fn the_processors_that_were_busy_come_to_the_cpu_time() {
        for timings in [one(), two()] {
            let busy = timings.busy();
            let area: f64 =
                busy.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0).as_secs_f64() * pair[0].1).sum();
            assert!((area - timings.cpu().as_secs_f64()).abs() < 1e-6, "{area} {:?}", timings.cpu());
            assert_eq!((busy[0].0, busy.last().unwrap().0), (Duration::ZERO, timings.wall));
        }
        let at = |time: u64| one().busy().iter().rfind(|(from, _)| *from <= milliseconds(time)).unwrap().1;
        assert!((at(3_000) - 1.9).abs() < 1e-9 && (at(7_000) - 0.5).abs() < 1e-9);
        // What compile did besides its programs, in the time besides them.
        assert!((at(8_800) - 0.4).abs() < 1e-9, "{}", at(8_800));
        assert!(at(9_500).abs() < 1e-9);
    }
}
