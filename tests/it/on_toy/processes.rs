//! Fault injection in processes: signals in every stage, a compiler that the OOM killer ends, children
//! that outlive the process that started them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::level::count;
use crate::support::{Ended, check, run, start};
use crate::toy::{Behaviour, Toy};

/// The stages of a build, in their order.
const STAGES: [&str; 11] =
    ["plan", "fetch", "unpack", "patch", "configure", "compile", "bundle", "relocate", "strip", "package", "verify"];

/// How long after a stage began the signal is sent, in milliseconds.
fn moments() -> &'static [u64] {
    count(&[0, 3, 40], &[3])
}

/// A toy whose verification waits, so that no signal comes after the last stage; not so where a file
/// says that it is not to.
const WAITS_IN_VERIFY: Behaviour = Behaviour {
    configure: "",
    all: "",
    install: "echo '[ -e @toy@/hurry ] || sleep 20' >lib/python3.13/toy-probe.sh",
    program: "",
};

/// Starts a build and gives it back when a stage has begun, or none if it ended before.
fn started_until(toy: &Toy, stage: &str) -> Child {
    let mut command = toy.build_command();
    command.args(["--progress", "json"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("pykeel");
    let mut events = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let begun = events.by_ref().map_while(Result::ok).any(|line| {
        let event: Value = serde_json::from_str(&line).expect("each line is JSON");
        event["event"] == "started" && event["stage"] == stage
    });
    assert!(begun, "{stage} never began");
    // Somebody has to read the rest, or the build would wait for a reader.
    std::thread::spawn(move || events.for_each(drop));
    child
}

/// The processes that work in a directory or have it in their command line.
fn at_work_in(place: &Path) -> Vec<String> {
    let place = place.display().to_string();
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").expect("/proc").flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let directory = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if directory.starts_with(&place) || command.contains(&place) {
            found.push(format!("{} {command} in {}", entry.file_name().to_string_lossy(), directory.display()));
        }
    }
    found
}

/// How many of those are the command that hangs.
fn sleepers_in(place: &Path) -> usize {
    at_work_in(place).iter().filter(|process| process.split(' ').nth(1) == Some("sleep")).count()
}

#[track_caller]
fn nothing_works_in(place: &Path) {
    let start = Instant::now();
    loop {
        let found = at_work_in(place);
        if found.is_empty() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "still there: {found:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal in every stage, at some moments of each, and looks at what is left.
fn signalled_in_every_stage(signal: &str, code: i32) {
    let toy = Toy::new(WAITS_IN_VERIFY);
    // Root verifies it as another user, who has to find the file.
    check("chmod", &["755".as_ref(), toy.path("").as_path()]);
    let hurry = toy.path("hurry");
    fs_err::write(&hurry, "").expect("a file");
    let whole = run(toy.build_command().env("PYKEEL_STORE", toy.path("elsewhere"))).exits(0).json()[0].clone();
    fs_err::remove_file(&hurry).expect("a file");
    for stage in STAGES {
        for &moment in moments() {
            let mut child = started_until(&toy, stage);
            std::thread::sleep(Duration::from_millis(moment));
            let ended = child.try_wait().expect("pykeel");
            assert!(ended.is_none(), "the build was over {moment} ms after {stage} began: {ended:?}");
            check("kill", &["-s", signal, &child.id().to_string()]);
            let ended = Ended::from(child.wait_with_output().expect("pykeel"));
            assert_eq!(ended.code, code, "{stage} after {moment} ms");
            nothing_works_in(&toy.store());
            let listed = run(&mut toy.command(&["list", "--json"])).exits(0).json();
            assert_eq!(listed.as_array().map(Vec::len), Some(0), "{stage} after {moment} ms");
            if signal != "KILL" {
                toy.left_nothing();
            }
        }
    }
    // The source was kept, and the next build cleans up the work directories of the dead.
    fs_err::write(&hurry, "").expect("a file");
    assert_eq!(toy.build().exits(0).json()[0]["digest"], whole["digest"]);
    toy.left_nothing();
}

#[test]
fn sigint_in_every_stage_cleans_up() {
    signalled_in_every_stage("INT", 130);
}

#[test]
fn sigterm_in_every_stage_cleans_up() {
    signalled_in_every_stage("TERM", 143);
}

#[test]
fn sigkill_in_every_stage_loses_only_the_work_in_flight() {
    signalled_in_every_stage("KILL", 137);
}

#[test]
fn an_interrupt_stops_all_of_several_versions() {
    let toy = Toy::new(Behaviour { all: "sleep 987", ..Behaviour::default() });
    toy.add_source("3.13.4", Behaviour { all: "sleep 987", ..Behaviour::default() });
    toy.write_recipe(|recipe| format!("{recipe}{}", toy.row("3.13.4")));
    let mut command = toy.build_of(&["3.13.4", "3.13.5"]);
    let child = command.args(["--jobs", "2"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("pykeel");
    let start = Instant::now();
    while sleepers_in(&toy.store()) < 2 {
        assert!(start.elapsed() < Duration::from_mins(1), "both never compiled: {:#?}", at_work_in(&toy.store()));
        std::thread::sleep(Duration::from_millis(20));
    }
    check("kill", &["-s", "INT", &child.id().to_string()]);
    Ended::from(child.wait_with_output().expect("pykeel")).exits(130).says(&["interrupted by SIGINT"]);
    nothing_works_in(&toy.store());
    toy.left_nothing();
}

/// A make that ignores every polite signal, and a child of it that left its session and its parent.
const STUBBORN: Behaviour = Behaviour {
    configure: "",
    all: "trap '' HUP INT TERM; setsid sh -c 'trap \"\" HUP INT TERM; sleep 987 & sleep 987' & sleep 987; sleep 987",
    install: "",
    program: "",
};

fn stubborn() -> (Toy, Child) {
    let toy = Toy::new(STUBBORN);
    let child = toy.build_command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel");
    let start = Instant::now();
    while sleepers_in(&toy.store()) < 3 {
        assert!(start.elapsed() < Duration::from_mins(1), "make never hung: {:#?}", at_work_in(&toy.store()));
        std::thread::sleep(Duration::from_millis(20));
    }
    (toy, child)
}

#[test]
fn a_make_that_ignores_signals_and_its_runaway_children_end_with_an_interrupt() {
    let (toy, child) = stubborn();
    check("kill", &["-s", "INT", &child.id().to_string()]);
    assert_eq!(Ended::from(child.wait_with_output().expect("pykeel")).code, 130);
    nothing_works_in(&toy.store());
    toy.left_nothing();
}

#[test]
fn a_make_that_ignores_signals_and_its_runaway_children_end_when_pykeel_is_killed() {
    let (toy, mut child) = stubborn();
    child.kill().expect("kill");
    child.wait().expect("pykeel");
    nothing_works_in(&toy.store());
}

#[test]
fn a_signal_that_a_background_job_ignores_is_not_ignored_below() {
    // A shell's background job ignores SIGINT, and the tests that CPython is trained with send it to themselves.
    let toy = Toy::without_tree(Behaviour {
        all: "if sh -c 'kill -s INT $$$$; exit 0'; then echo SIGINT is ignored; else echo SIGINT ends it; fi; exit 1",
        ..Behaviour::default()
    });
    let build = toy.build_command();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' INT; exec \"$@\"", "sh"]);
    start(&mut command, &build);
    run(&mut command).exits(1).says(&["SIGINT ends it"]);
}

#[test]
fn a_compiler_that_ran_out_of_memory_is_said_to_have() {
    let toy = Toy::new(Behaviour {
        // gcc itself says what happened to its part.
        all: "printf '#!/bin/sh\\nkill -9 $$$$\\n' >cc1 && chmod +x cc1 && echo 'int x;' >a.c && gcc -B. -c a.c",
        ..Behaviour::default()
    });
    toy.build().exits(1).says(&["Killed signal terminated program cc1", "--jobs", "the whole log is"]);
    toy.left_nothing();
}

#[test]
fn a_lock_that_a_dead_process_left_keeps_nobody_out() {
    let toy = Toy::new(Behaviour::default());
    let key = toy.build().exits(0).json()[0]["build_key"].as_str().expect("a key").to_owned();
    let locks: Vec<PathBuf> = walkdir::WalkDir::new(toy.store().join("locks"))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    assert!(locks.iter().any(|lock| lock.to_string_lossy().contains(&key)), "{locks:?}");
    fs_err::remove_dir_all(toy.store().join("artifacts")).expect("a directory");
    // What a lock file says does not matter, nor who wrote it: only whether it is held.
    for lock in &locks {
        fs_err::write(lock, "4194303 another host").expect("a file");
    }
    assert_eq!(toy.build().exits(0).json()[0]["cached"], false);
}

#[test]
fn a_build_that_waits_for_another_says_what_that_one_does() {
    let toy = Toy::without_tree(Behaviour { all: "touch @toy@/begun; sleep 60", ..Behaviour::default() });
    let mut builder = toy.build_command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pykeel");
    while !toy.path("begun").exists() {
        assert!(builder.try_wait().expect("pykeel").is_none(), "the build ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut command = toy.build_command();
    let mut waiter = command.args(["--progress", "json"]).stderr(Stdio::piped()).spawn().expect("pykeel");
    let mut lines = BufReader::new(waiter.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let said = lines.find(|line| line.contains("\"waiting\"")).expect("that it waits");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["pid"], &said["step"]), (&builder.id().into(), &"make all".into()));
    assert_eq!(said["waited_seconds"], 0);
    for process in [&mut waiter, &mut builder] {
        check("kill", &["-TERM", &process.id().to_string()]);
        process.wait().expect("pykeel");
    }
}

#[test]
fn what_holds_a_lock_is_named_while_it_is_waited_for() {
    let toy = Toy::new(Behaviour::default());
    let key = toy.build().exits(0).json()[0]["build_key"].as_str().expect("a key").to_owned();
    fs_err::remove_dir_all(toy.store().join("artifacts")).expect("a directory");
    let lock = toy.store().join(format!("locks/{key}.lock"));
    let mut holder = Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; read _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock");
    let mut held = String::new();
    BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut held).expect("a line");
    let mut command = toy.build_command();
    let mut waiter = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pykeel");
    let mut lines = BufReader::new(waiter.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let said = lines.find(|line| line.contains("waiting")).expect("that it waits");
    assert!(said.contains(&key[..12]) && said.contains(&lock.display().to_string()), "{said}");
    // flock says nothing of itself, and what pykeel's own process said ended with it.
    assert!(!said.contains("pid"), "{said}");
    drop(holder.stdin.take());
    holder.wait().expect("flock");
    std::thread::spawn(move || lines.for_each(drop));
    assert!(waiter.wait().expect("pykeel").success());
}
