//! `--timings`: the time of each step as a table, an event and a page.

use std::path::Path;

use serde_json::Value;

use crate::browser::{Browser, Scheme, report, with_probe};
use crate::missing::Missing;
use crate::on_toy::profiles::{PROGRAM, trainable};
use crate::on_toy::rebuild;
use crate::skip;
use crate::support::run;
use crate::toy::{Behaviour, Toy};

const PROBE: &str = include_str!("timings_probe.js");

/// Keeps a processor busy, and writes down how busy: a shell's `times`, of itself and of its children.
macro_rules! burn {
    () => {
        "i=0; while [ $$i -lt 400000 ]; do i=$$((i+1)); done; times > ../../times"
    };
}

/// Waits for a file beside the work directories.
macro_rules! wait {
    ($file:literal) => {
        concat!("timeout 60 sh -c 'until [ -e ../../", $file, " ]; do sleep 0.05; done'")
    };
}

/// The seconds that [`burn`] wrote down.
fn burnt(toy: &Toy) -> f64 {
    let times = fs_err::read_to_string(toy.store().join("work/times")).expect("the file of times");
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').expect("minutes and seconds");
        minutes.parse::<f64>().expect("minutes") * 60.0 + seconds.parse::<f64>().expect("seconds")
    };
    times.split_whitespace().map(seconds).sum()
}

/// The events of a run, one a line.
fn events(err: &str) -> Vec<Value> {
    err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The event of timings, which is the last but for an error.
fn timings(err: &str) -> Value {
    let events = events(err);
    let last = events.iter().rfind(|event| event["event"] != "error").expect("an event");
    assert_eq!(last["event"], "timings", "{last}");
    last.clone()
}

fn names(timings: &Value) -> Vec<&str> {
    timings["steps"].as_array().expect("steps").iter().map(|step| step["step"].as_str().expect("a name")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A step of a version: of programs `make all`, else a stage.
fn step<'a>(timings: &'a Value, version: &str, name: &str) -> &'a Value {
    let mut steps = timings["steps"].as_array().expect("steps").iter();
    let found = steps.find(|step| step["step"] == name && step["version"] == version);
    found.unwrap_or_else(|| panic!("{version} has no {name}: {timings}"))
}

/// The stages of a build of the `runtime` flavor, and its programs.
const STEPS: [&str; 18] = [
    "plan",
    "fetch",
    "unpack",
    "patch",
    "configure",
    "configure",
    "freeze",
    "compile",
    "make all",
    "stage",
    "make install",
    "bundle",
    "relocate",
    "strip",
    "strip",
    "package",
    "verify",
    "publish",
];

#[test]
fn a_build_says_what_each_step_took() {
    let toy = Toy::new(Behaviour { all: burn!(), ..Behaviour::default() });
    let ended = run(toy.build_command().args(["--timings", "--progress", "json"])).exits(0);
    // The result is alone on standard output.
    assert_eq!(ended.json().as_array().expect("an array").len(), 1);
    let told = timings(&ended.err);
    assert_eq!(names(&told), STEPS);
    let within: Vec<&Value> = told["steps"].as_array().unwrap().iter().map(|step| &step["within"]).collect();
    assert_eq!(*within[5], "configure");
    assert_eq!((within[8], within[10], within[11]), (&"compile".into(), &"stage".into(), &Value::Null));
    // What the shell says it took was taken by each that it is within, and by nothing else.
    let burnt = burnt(&toy);
    assert!(burnt > 0.0);
    for name in ["make all", "compile"] {
        let cpu = number(&step(&told, "3.13.5", name)["cpu_seconds"]);
        // `times` counts in ticks, and rounds.
        assert!(cpu >= burnt - 0.04, "{name}: {cpu} of {burnt}");
    }
    assert!(number(&step(&told, "3.13.5", "make install")["cpu_seconds"]) > 0.0);
    // Archives are unpacked by threads of pykeel's own, trees are packed by pykeel itself, and checks run programs.
    for name in ["unpack", "package", "verify"] {
        assert!(number(&step(&told, "3.13.5", name)["cpu_seconds"]) > 0.0, "{name}");
    }
    // The events said the same as they came.
    for event in events(&ended.err).iter().filter(|event| event["event"] == "finished") {
        let stage = event["stage"].as_str().expect("a stage");
        let told = step(&told, "3.13.5", stage);
        assert_eq!((&event["seconds"], &event["cpu_seconds"]), (&told["seconds"], &told["cpu_seconds"]), "{stage}");
    }
    // Steps of one version come one after the other, and programs within their stage.
    let spans = |within: bool| -> Vec<(f64, f64)> {
        let steps = told["steps"].as_array().unwrap().iter().filter(|step| step["within"].is_null() != within);
        steps.map(|step| (number(&step["start"]), number(&step["start"]) + number(&step["seconds"]))).collect()
    };
    let stages = spans(false);
    let slack = 0.002;
    assert!(stages.windows(2).all(|pair| pair[0].1 <= pair[1].0 + slack), "{stages:?}");
    for (start, end) in spans(true) {
        assert!(stages.iter().any(|stage| stage.0 <= start + slack && end <= stage.1 + slack), "{start} to {end}");
    }
    assert!(stages.iter().all(|(_, end)| *end <= number(&told["seconds"]) + slack));
}

#[test]
fn the_table_is_on_standard_error_and_of_what_ran() {
    let toy = Toy::new(Behaviour::default());
    let ended = run(toy.build_command().args(["--timings", "--quiet"])).exits(0);
    assert_eq!(ended.json().as_array().expect("an array").len(), 1);
    let rows = |err: &str| -> Vec<String> {
        let lines = err.lines().skip_while(|line| !line.contains("cpu/wall"));
        let name = |line: &str| line[..line.find("  ").unwrap_or(line.len())].trim().to_owned();
        lines.map(|line| name(line.trim_start())).collect()
    };
    let mut expected = vec!["step"];
    expected.extend(STEPS);
    expected.extend(["sum", "whole"]);
    assert_eq!(rows(&ended.err), expected, "{}", ended.err);
    assert_eq!(ended.err.lines().count(), expected.len(), "quiet is quiet about all else: {}", ended.err);
    // What is in the store already is planned, and no more.
    let again = run(toy.build_command().arg("--timings")).exits(0);
    assert_eq!(rows(&again.err), ["step", "plan", "sum", "whole"], "{}", again.err);
    // And where it is delivered, that is a step.
    let out = toy.path("out").display().to_string();
    let delivered = run(toy.build_command().args(["--timings", "--format", "gz", "--out", &out])).exits(0);
    assert_eq!(rows(&delivered.err), ["step", "plan", "deliver", "sum", "whole"], "{}", delivered.err);
    let root = toy.path("root").display().to_string();
    let installed = run(toy.command(&["install", "3.13.5", "--timings", "--root", &root]).arg("--no-sync")).exits(0);
    assert_eq!(rows(&installed.err), ["step", "install", "sum", "whole"], "{}", installed.err);
    assert!(installed.err.contains("cpython-3.13.5-"), "it says of what: {}", installed.err);
}

#[test]
fn training_and_building_again_have_timings_too() {
    let toy = trainable(PROGRAM);
    let mut train = toy.command(&["train", "3.13.5", "--timings", "--offline", "--mirror"]);
    run(train.arg(toy.mirror())).exits(0).says(&["cpu/wall", "  train"]);
    let (_, tarball) = rebuild::built(&toy, &[]);
    let page = toy.path("again.html");
    run(rebuild::rebuild(&toy, &tarball).arg(format!("--timings={}", page.display()))).exits(0);
    let page = fs_err::read_to_string(page).expect("a page");
    assert!(page.contains("compare") && page.contains("3.13.5"), "{page}");
}

/// Two versions, of which the first is busy while the second waits for it, and then fails.
fn busy_and_idle() -> Toy {
    let toy = Toy::new(Behaviour {
        all: concat!("touch ../../busy; ", wait!("idle"), "; ", burn!(), "; touch ../../burnt"),
        ..Behaviour::default()
    });
    let all = concat!("touch ../../idle; ", wait!("burnt"), "; exit 1");
    toy.add_source("3.13.4", Behaviour { configure: wait!("busy"), all, ..Behaviour::default() });
    toy.write_recipe(|recipe| format!("{recipe}{}", toy.row("3.13.4")));
    toy
}

#[test]
fn versions_at_once_are_charged_for_their_own_work() {
    let toy = busy_and_idle();
    let ended =
        run(toy.build_of(&["3.13.5", "3.13.4"]).args(["--jobs", "2", "--timings", "--progress", "json"])).exits(1);
    let told = timings(&ended.err);
    let burnt = burnt(&toy);
    let [busy, idle] = ["3.13.5", "3.13.4"].map(|version| step(&told, version, "make all"));
    assert!(number(&busy["cpu_seconds"]) >= burnt - 0.04, "{busy} of {burnt}");
    assert!(number(&idle["cpu_seconds"]) < burnt / 2.0, "{idle} of {burnt}");
    // The idle one went on as long as the busy one burnt.
    assert!(number(&idle["seconds"]) >= burnt - 0.04, "{idle} of {burnt}");
    assert_eq!((&idle["failed"], &busy["failed"]), (&true.into(), &false.into()));
    assert_eq!(step(&told, "3.13.4", "compile")["failed"], true);
    assert_eq!(step(&told, "3.13.4", "configure")["failed"], false);
    let last = events(&ended.err).pop().expect("an event");
    assert_eq!(last["event"], "error");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_built() {
    let toy = Toy::failing();
    let refused = |argument: &str, words: &[&str]| {
        run(toy.build_command().arg(argument)).exits(2).says(words);
        run(&mut toy.command(&["install", "3.13.5", argument])).exits(2).says(words);
    };
    refused("--timings=x.txt", &["x.txt", ".html"]);
    refused("--timings=", &[]);
    let absent = toy.path("absent/timings.html").display().to_string();
    refused(&format!("--timings={absent}"), &[&absent, "there is no directory"]);
    let directory = toy.path("directory.html");
    fs_err::create_dir(&directory).expect("a directory");
    refused(&format!("--timings={}", directory.display()), &["it is a directory"]);
    run(toy.build_command().args(["--dry-run", "--timings"])).exits(2).says(&["cannot be used with"]);
    assert!(!toy.store().exists() && !toy.path("absent").exists());
}

#[test]
fn a_page_in_the_current_directory_is_written_and_replaced() {
    let toy = Toy::failing();
    let place = toy.path("here");
    fs_err::create_dir(&place).expect("a directory");
    let page = place.join("timings.html");
    fs_err::write(&page, "old").expect("a file");
    for argument in ["--timings=timings.html", "--timings=./timings.html"] {
        let ended = run(toy.build_command().current_dir(&place).arg(argument)).exits(1).says(&["timings.html"]);
        // Of the build alone there is an error.
        assert_eq!(ended.err.matches("error:").count(), 1, "{}", ended.err);
        assert!(ended.err.contains("`make") && !ended.err.contains("warning"), "{}", ended.err);
        assert!(fs_err::read_to_string(&page).expect("the page").contains("class=\"step failed\""));
    }
    assert_eq!(fs_err::read_dir(&place).expect("the directory").count(), 1);
}

/// What a probe sees of a page.
fn seen(browser: &Browser, page: &Path, scheme: Scheme, size: (u32, u32)) -> Value {
    report(&browser.document(&with_probe(page, PROBE), scheme, size))
}

#[test]
fn the_page_draws_every_step_of_builds_of_which_one_failed() {
    let Some(browser) = Browser::find() else { skip!(Missing::Program("chromium"), "there is no chromium") };
    let toy = busy_and_idle();
    let page = toy.path("timings.html");
    let argument = format!("--timings={}", page.display());
    let ended = run(toy.build_of(&["3.13.5", "3.13.4"]).args(["--jobs", "2", &argument])).exits(1);
    ended.says(&["timings.html"]);
    // Under its own policy, without a complaint.
    let document = browser.document(&page, Scheme::Light, (1200, 1000));
    assert!(document.contains("aria-describedby"), "its script ran");
    for (scheme, size) in [
        (Scheme::Light, (1200, 1200)),
        (Scheme::Dark, (1200, 1200)),
        (Scheme::Light, (360, 800)),
        (Scheme::Dark, (360, 800)),
    ] {
        let seen = seen(&browser, &page, scheme, size);
        let drawn = seen["drawn"].as_array().expect("bars");
        let steps: Vec<&str> = drawn.iter().map(|bar| bar["name"].as_str().expect("a name")).collect();
        let mut expected = STEPS.to_vec();
        expected.extend(&STEPS[..9]);
        assert_eq!(steps, expected);
        assert_eq!(seen["rows"].as_array().expect("rows").len(), steps.len());
        assert_eq!(seen["lanes"], serde_json::json!(["3.13.5", "3.13.4"]));
        let failed: Vec<usize> = (0..drawn.len()).filter(|index| drawn[*index]["failed"] == true).collect();
        assert_eq!(failed, [25, 26], "compile and make all of the second");
        for bar in drawn {
            let (from, width) = (number(&bar["from"]), number(&bar["width"]));
            // A bar has a line around it, so that the shortest is seen.
            assert!(from > -0.03 && width > 0.0 && from + width < 1.03, "{bar}");
            assert_eq!(bar["cut"], false, "{bar}");
            // WCAG 2.2 asks for 3 of what is drawn, and for 4.5 of text.
            assert!(number(&bar["contrast"]) >= 3.0 && number(&bar["text"]) >= 4.5, "{scheme:?}: {bar}");
        }
        let widest = drawn.iter().map(|bar| number(&bar["width"])).fold(0.0, f64::max);
        assert!(widest > 0.1, "the compilation takes its share: {widest}");
        assert!(number(&seen["busy"]) > 5.0);
        assert_eq!((&seen["overflow"], &seen["resources"]), (&0.into(), &0.into()), "{size:?}");
        let steps = &seen["steps"];
        assert_eq!((&steps["focused"]["shown"], &steps["focused"]["stops"]), (&true.into(), &1.into()));
        let text = steps["focused"]["text"].as_str().expect("a text");
        assert!(text.starts_with("plan") && text.contains("wall ") && text.contains("CPU "), "{text}");
        assert_eq!((&steps["moved"]["at"], &steps["moved"]["stops"]), (&1.into(), &1.into()));
        assert_eq!(steps["left"]["shown"], false);
        assert_eq!((&steps["hovered"]["shown"], &steps["hovered"]["inside"]), (&true.into(), &true.into()));
        assert!(steps["hovered"]["text"].as_str().expect("a text").starts_with("make all, failed"));
    }
    let light = browser.picture(&page, Scheme::Light, (1200, 1000)).pixel(5, 5);
    let dark = browser.picture(&page, Scheme::Dark, (1200, 1000)).pixel(5, 5);
    assert!(light[0] > 200 && dark[0] < 60, "{light:?} {dark:?}");
}
