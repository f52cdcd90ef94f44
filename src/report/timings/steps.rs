//! Steps of a build, made from its events: what ran, when, for which version, at what cost.

use std::time::Duration;

use crate::cost::Cost;
use crate::event::Event;

/// A stage, or a program that a stage ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The stage's name or the program's.
    pub name: String,
    /// What the stage works on, as its event says; empty for a program.
    pub detail: String,
    /// How many stages it is nested in.
    pub depth: usize,
    /// How many runs of the program this step combines; `None` for a stage.
    pub runs: Option<u32>,
    /// When it started, since the start of the invocation.
    pub start: Duration,
    /// When it ended. There may be other work between several runs of a program.
    pub end: Duration,
    /// The cost of all its runs.
    pub cost: Cost,
    /// How it ended.
    pub state: State,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has not ended.
    Running,
    /// Successfully.
    Done,
    /// With an error.
    Failed,
}

/// The steps of one version, or those that belong to no single version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The version, if there are several.
    pub version: Option<String>,
    /// In the order in which they started, each before those nested in it.
    pub steps: Vec<Step>,
    /// The indices of the stages that have not ended, the innermost last.
    open: Vec<usize>,
}

impl Group {
    /// Returns the steps that are not nested in others.
    pub fn outermost(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.depth == 0)
    }

    /// Returns the total cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.outermost().fold(Cost::default(), |mut sum, step| {
            sum += step.cost;
            sum
        })
    }

    /// Returns the stage that a step is nested in.
    #[must_use]
    pub fn parent(&self, index: usize) -> Option<&Step> {
        let depth = self.steps[index].depth;
        self.steps[..index].iter().rev().find(|step| step.depth < depth)
    }

    /// Returns the steps directly nested in a step, with their indices.
    pub(super) fn children(&self, index: usize) -> impl Iterator<Item = (usize, &Step)> {
        let depth = self.steps[index].depth;
        let below = self.steps.iter().enumerate().skip(index + 1).take_while(move |(_, step)| step.depth > depth);
        below.filter(move |(_, step)| step.depth == depth + 1)
    }

    fn record(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Started { stage, detail } => {
                let step = Step {
                    name: (*stage).to_owned(),
                    detail: detail.clone(),
                    depth: self.open.len(),
                    runs: None,
                    start: at,
                    end: at,
                    cost: Cost::default(),
                    state: State::Running,
                };
                self.open.push(self.steps.len());
                self.steps.push(step);
            }
            Event::Finished { cost, .. } => self.close(*cost, State::Done),
            Event::Failed { cost, .. } => self.close(*cost, State::Failed),
            Event::Ran { program, cost, succeeded } => self.ran(at, program, *cost, *succeeded),
            _ => {}
        }
    }

    fn close(&mut self, cost: Cost, state: State) {
        let step = self.open.pop().and_then(|index| self.steps.get_mut(index));
        if let Some(step) = step {
            step.end = step.start + cost.wall;
            (step.cost, step.state) = (cost, state);
        }
    }

    /// Records that a program ended. Consecutive runs of the same program are one step.
    fn ran(&mut self, at: Duration, program: &str, cost: Cost, succeeded: bool) {
        let depth = self.open.len();
        let state = if succeeded { State::Done } else { State::Failed };
        match self.steps.last_mut() {
            Some(Step { name, depth: last, runs: Some(runs), end, cost: sum, state: worst, .. })
                if name == program && *last == depth =>
            {
                *runs += 1;
                *end = at;
                *sum += cost;
                if state == State::Failed {
                    *worst = state;
                }
            }
            _ => self.steps.push(Step {
                name: program.to_owned(),
                detail: String::new(),
                depth,
                runs: Some(1),
                start: at.saturating_sub(cost.wall),
                end: at,
                cost,
                state,
            }),
        }
    }
}

/// The machine, and what was run on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The processor's model.
    pub model: String,
    /// How many processors this program may use.
    pub processors: usize,
    /// How many commands make runs at once.
    pub jobs: usize,
    /// The requested versions.
    pub versions: Vec<String>,
    /// The date and time, in UTC.
    pub date: String,
}

/// The timings of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    /// The machine.
    pub machine: Machine,
    /// In the order of their first steps.
    pub groups: Vec<Group>,
    /// The wall clock time of the invocation.
    pub wall: Duration,
}

impl Timings {
    /// Returns timings without any step.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        Self { machine, groups: Vec::new(), wall: Duration::ZERO }
    }

    /// Records an event that happened at a time since the start.
    pub fn record(&mut self, at: Duration, version: Option<&str>, event: &Event) {
        let group = match self.groups.iter_mut().find(|group| group.version.as_deref() == version) {
            Some(group) => group,
            None if matches!(event, Event::Started { .. } | Event::Ran { .. }) => {
                self.groups.push(Group { version: version.map(str::to_owned), ..Group::default() });
                let Some(group) = self.groups.last_mut() else { return };
                group
            }
            None => return,
        };
        group.record(at, event);
    }

    /// Ends the recording. Steps that have not ended have failed.
    pub fn finish(&mut self, at: Duration) {
        self.wall = at;
        for group in &mut self.groups {
            for index in std::mem::take(&mut group.open) {
                let step = &mut group.steps[index];
                (step.end, step.state) = (at, State::Failed);
                step.cost.wall = at.saturating_sub(step.start);
            }
        }
    }

    /// Returns the CPU time of all steps.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.groups.iter().map(|group| group.cost().cpu).sum()
    }

    /// Returns the version that a group belongs to, if it is one.
    #[must_use]
    pub fn title<'a>(&'a self, group: &'a Group) -> Option<&'a str> {
        match (&group.version, &self.machine.versions[..]) {
            (Some(version), _) | (None, [version]) => Some(version),
            (None, _) => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn milliseconds(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    pub(in super::super) fn cost(wall: u64, cpu: u64) -> Cost {
        Cost { wall: milliseconds(wall), cpu: milliseconds(cpu) }
    }

    pub(in super::super) fn started(stage: &'static str, detail: &str) -> Event {
        Event::Started { stage, detail: detail.into() }
    }

    pub(in super::super) fn finished(stage: &'static str, wall: u64, cpu: u64) -> Event {
        Event::Finished { stage, detail: "done".into(), cost: cost(wall, cpu) }
    }

    pub(in super::super) fn ran(program: &str, wall: u64, cpu: u64) -> Event {
        Event::Ran { program: program.into(), cost: cost(wall, cpu), succeeded: true }
    }

    pub(in super::super) fn machine(versions: &[&str]) -> Machine {
        Machine {
            model: "A <processor> & more".into(),
            processors: 2,
            jobs: 2,
            versions: versions.iter().map(ToString::to_string).collect(),
            date: "2026-11-24 12:00 UTC".into(),
        }
    }

    /// One version that is built, to its end.
    pub(in super::super) fn one() -> Timings {
        let mut timings = Timings::new(machine(&["3.13.5"]));
        let events = [
            (0, started("plan", "3.13.5")),
            (500, finished("plan", 500, 400)),
            (510, started("compile", "with 2 jobs")),
            (6_510, ran("make all", 6_000, 11_400)),
            (8_510, ran("make install", 2_000, 1_000)),
            (9_010, finished("compile", 8_500, 12_600)),
            (9_020, started("strip", "runtime")),
            (9_060, ran("objcopy", 30, 20)),
            (9_090, ran("objcopy", 30, 20)),
            (9_100, ran("strip", 10, 10)),
            (9_120, finished("strip", 100, 60)),
        ];
        for (at, event) in &events {
            timings.record(milliseconds(*at), None, event);
        }
        timings.finish(milliseconds(10_000));
        timings
    }

    /// Two versions at once, of which the second fails.
    pub(in super::super) fn two() -> Timings {
        let mut timings = Timings::new(machine(&["3.13.5", "3.11.2"]));
        let mut record = |at, version, event: &Event| timings.record(milliseconds(at), Some(version), event);
        record(0, "3.13.5", &started("plan", "3.13.5"));
        record(500, "3.13.5", &finished("plan", 500, 400));
        record(500, "3.11.2", &started("plan", "3.11.2"));
        record(600, "3.13.5", &started("compile", "with 2 jobs"));
        record(1_000, "3.11.2", &finished("plan", 500, 400));
        record(1_100, "3.11.2", &started("compile", "with 2 jobs"));
        let failed = Event::Ran { program: "make all".into(), cost: cost(900, 450), succeeded: false };
        record(2_000, "3.11.2", &failed);
        record(2_000, "3.11.2", &Event::Failed { stage: "compile", cost: cost(900, 450) });
        record(3_600, "3.13.5", &ran("make all", 3_000, 4_500));
        record(3_600, "3.13.5", &finished("compile", 3_000, 4_500));
        timings.finish(milliseconds(4_000));
        timings
    }

    #[test]
    fn programs_are_within_their_stage_and_those_that_run_again_are_one() {
        let timings = one();
        let [group] = &timings.groups[..] else { panic!("{:?}", timings.groups) };
        let rows: Vec<_> = group.steps.iter().map(|step| (step.name.as_str(), step.depth, step.runs)).collect();
        let expected = [
            ("plan", 0, None),
            ("compile", 0, None),
            ("make all", 1, Some(1)),
            ("make install", 1, Some(1)),
            ("strip", 0, None),
            ("objcopy", 1, Some(2)),
            ("strip", 1, Some(1)),
        ];
        assert_eq!(rows, expected);
        let objcopy = &group.steps[5];
        assert_eq!((objcopy.start, objcopy.end), (milliseconds(9_030), milliseconds(9_090)));
        assert_eq!(objcopy.cost, cost(60, 40));
        assert_eq!(group.parent(5).unwrap().detail, "runtime");
        assert_eq!(group.cost(), cost(9_100, 13_060));
        assert!(group.steps.iter().all(|step| step.state == State::Done));
    }

    #[test]
    fn what_goes_on_at_once_is_kept_apart() {
        let timings = two();
        let [good, bad] = &timings.groups[..] else { panic!("{:?}", timings.groups) };
        assert_eq!((good.cost(), bad.cost()), (cost(3_500, 4_900), cost(1_400, 850)));
        let states: Vec<_> = bad.steps.iter().map(|step| (step.name.as_str(), step.state)).collect();
        assert_eq!(states, [("plan", State::Done), ("compile", State::Failed), ("make all", State::Failed)]);
        assert_eq!(timings.cpu(), milliseconds(5_750));
    }

    #[test]
    fn what_never_ended_failed_at_the_end() {
        let mut timings = Timings::new(machine(&["3.13.5"]));
        timings.record(milliseconds(100), None, &started("fetch", ""));
        timings.finish(milliseconds(300));
        let step = &timings.groups[0].steps[0];
        assert_eq!((step.state, step.cost.wall, step.end), (State::Failed, milliseconds(200), milliseconds(300)));
    }

    #[test]
    fn what_is_no_step_makes_no_group() {
        let mut timings = Timings::new(machine(&["3.13.5"]));
        timings.record(milliseconds(1), None, &Event::Note("x".into()));
        assert!(timings.groups.is_empty());
    }
}
