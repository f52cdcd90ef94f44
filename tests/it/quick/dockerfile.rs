//! `pykeel dockerfile`: what is written and printed, which values are refused, and the examples.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::support::{Ended, pykeel, run};

fn dockerfile(directory: &Path, args: &[&str]) -> Ended {
    run(pykeel().current_dir(directory).args(["dockerfile", "--python", "3.13.5"]).args(args))
}

#[test]
fn it_is_printed_or_written_with_its_ignore_file_and_replaces_nothing_without_force() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    let printed = dockerfile(place, &["--lock", "requirements.txt"]).exits(0).says(&["--output DIR"]);
    let printed = printed.says(&["has no pykeel, no requirements.txt yet"]).out;
    assert!(printed.starts_with("# Python 3.13.5 in debian:13-slim, built on debian:13.\n"), "{printed}");
    assert!(printed.contains("#     pykeel dockerfile --python 3.13.5 --lock requirements.txt\n"), "{printed}");
    assert_eq!(fs_err::read_dir(place).expect("a directory").count(), 0);

    let written = dockerfile(place, &["--lock", "requirements.txt", "--output", "a/b"]).exits(0);
    assert_eq!(written.out, "a/b/Dockerfile\na/b/.dockerignore\n");
    let path = place.join("a/b/Dockerfile");
    assert_eq!(fs_err::read_to_string(&path).expect("a file"), printed);
    assert_eq!(fs_err::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o644);
    let ignored = fs_err::read_to_string(place.join("a/b/.dockerignore")).expect("a file");
    assert!(ignored.contains("\n*\n!pykeel\n!requirements.txt\n"), "{ignored}");

    // One file of the two is enough.
    fs_err::remove_file(&path).expect("a file");
    dockerfile(place, &["--output", "a/b"]).exits(2).says(&["a/b/.dockerignore is there already", "--force"]);
    assert!(!path.exists());
    dockerfile(place, &["--output", "a/b", "--force"]).exits(0);
    assert!(path.exists());
    dockerfile(place, &["--force"]).exits(2).says(&["--output"]);
}

#[test]
fn the_result_is_json_with_exact_versions_and_the_default_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |args: &[&str]| run(pykeel().current_dir(directory.path()).args(["dockerfile", "--json"]).args(args));
    let result = run(&["--python", "3.13.5,3.14.6,3.13.5", "--default", "3.14"]).exits(0).json();
    let python = |version: &str, series: &str| json!({"version": version, "series": series, "prefix": format!("/opt/myorg/python-{series}")});
    assert_eq!(result["pythons"], json!([python("3.14.6", "3.14"), python("3.13.5", "3.13")]));
    assert_eq!((&result["libraries"], &result["directory"]), (&json!("system"), &json!(null)));
    let text = result["dockerfile"].as_str().expect("a text");
    assert!(text.contains("ENV PATH=/opt/myorg/python-3.14/bin:/opt/myorg/python-3.13/bin:$PATH"), "{text}");
    let newest = run(&["--python", "3.13t"]).exits(0).json();
    let version = newest["pythons"][0]["version"].as_str().expect("a text");
    assert!(version.starts_with("3.13.") && version.ends_with('t'), "{version}");
    run(&["--python", "3.13", "--default", "3.14"]).exits(2).says(&["`--default 3.14` is none of the versions: 3.13."]);
    let latest = run(&["--python", "3.13,latest", "--default", "latest"]).exits(0).json();
    assert_eq!(latest["pythons"][1]["series"], "3.13");
    run(&["--python", "3.13", "--default", "latest"])
        .exits(2)
        .says(&["`--default latest` (3.", "none of the versions: 3.13."]);
    run(&["--python", "2.7"]).exits(2).says(&["there is no recipe"]);
    run(&["--python", "3.9.2"]).exits(2).says(&["end of life", "--allow-eol"]);
    let ended = run(&["--python", "3.9.2", "--allow-eol"]).exits(0).json();
    assert!(ended["dockerfile"].as_str().expect("a text").contains("PYKEEL_ALLOW_EOL=true"));
    let both = ["3.13.5 and 3.13.7 would both be installed into /opt/myorg/python-3.13", "{version}"];
    run(&["--python", "3.13.5,3.13.7"]).exits(2).says(&both);
    let nested = ["--python", "3.13.5,3.13.5t", "--prefix", "/opt/py/{variant}"];
    run(&nested).exits(2).says(&["both be installed into /opt/py, one of them into /opt/py/t"]);
    run(&[]).exits(2).says(&["--python"]);
}

#[test]
fn settings_of_a_configuration_count() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("x.toml");
    let text = "prefix = '/opt/acme/python-{version}{variant}'\nbytecode = 'unchecked-hash'\nlibraries = 'bundle'\n";
    fs_err::write(&config, text).expect("a file");
    let out = dockerfile(directory.path(), &["--config", config.to_str().expect("a text")]).exits(0).out;
    for expected in [
        "PYKEEL_PREFIX=\"/opt/acme/python-{version}{variant}\"",
        "PYKEEL_LIBRARIES=bundle",
        "PYKEEL_BYTECODE=unchecked-hash",
        "ENV PATH=/opt/acme/python-3.13.5/bin:$PATH",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    // An application starts often, and the command line counts most.
    let out = dockerfile(directory.path(), &["--lock", "requirements.txt"]).exits(0).out;
    assert!(out.contains("PYKEEL_BYTECODE=unchecked-hash") && out.contains("PYKEEL_LIBRARIES=system"), "{out}");
    let out = dockerfile(directory.path(), &["--lock", "requirements.txt", "--bytecode", "strip"]).exits(0).out;
    assert!(out.contains("PYKEEL_BYTECODE=strip"), "{out}");
}

#[test]
fn a_hostile_value_is_a_usage_error_and_writes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let hostile = ["a\nRUN rm -rf /", "$(id)", "`id`", "a;id", "a b", "\"", "--mount=x", "../x"];
    for option in ["--base", "--runtime", "--lock", "--app", "--pykeel", "--uv", "--artifacts", "--ca"] {
        for value in hostile {
            let argument = format!("{option}={value}");
            dockerfile(directory.path(), &[&argument, "--output", "x"]).exits(2).says(&[option]);
        }
    }
    for (argument, expected) in [
        ("--label=a=b\nUSER root", "line break"),
        ("--label=a b=c", "key"),
        ("--label=a=b\\", "backslash"),
        ("--app-packages=libpq5", "build:PACKAGE"),
        ("--app-packages=run:libpq5,run:$(id)", "not the name of a package"),
        ("--cmd='open", "quoted as in a shell"),
        ("--cmd=x\ny", "line break"),
        ("--builder=kaniko", "buildkit"),
        ("--prefix=/opt/$HOME", "cannot be a prefix"),
        ("--base=alpine:3", "it has musl"),
        ("--base=debian", "does not say which image"),
        ("--base=scratch", "has no apt"),
        ("--runtime=registry.test/distroless/base:1", "has no shell"),
        ("--runtime=debian:12", "--base debian:12"),
        ("--lock=uv.lock", "--uv FILE|IMAGE"),
        ("--lock=poetry.lock", "is not a lock"),
        ("--app-packages=build:gcc", "--lock FILE"),
        ("--uv=uv", "--lock FILE"),
        ("--base=gcr.io/distroless/python3-debian12:nonroot", "has no shell"),
        ("--base=ubuntu:26.04", "may need a newer glibc"),
    ] {
        // The last one is newer than what it runs in.
        let runtime: &[&str] = if expected.contains("glibc") { &["--runtime", "debian:13"] } else { &[] };
        let args = [&[argument, "--output", "x"], runtime].concat();
        dockerfile(directory.path(), &args).exits(2).says(&[expected]);
    }
    for (argument, reason) in
        [("--cmd=x", "a command is of the image"), ("--app-packages=run:libpq5", "packages to run")]
    {
        let words = [argument, "--flavor", "builder", "--output", "x"];
        dockerfile(directory.path(), &words).exits(2).says(&[reason, "only the image to build with", "--flavor all"]);
    }
    let pair = ["--lock", "requirements.txt", "--flavor", "all", "--output", "x"];
    dockerfile(directory.path(), &pair).exits(2).says(&["an application goes into the image that is run"]);
    fs_err::write(directory.path().join("ca.pem"), "-----BEGIN PRIVATE KEY-----\n").expect("a file");
    dockerfile(directory.path(), &["--ca", "ca.pem"]).exits(2).says(&["ca.pem", "private key"]);
    assert!(!directory.path().join("x").exists());
}

/// The command that a Dockerfile says that it was made by.
fn command_of(dockerfile: &str) -> Vec<String> {
    let line = dockerfile.lines().find_map(|line| line.strip_prefix("#     pykeel ")).expect("its command");
    shlex::split(line).expect("words")
}

#[test]
fn the_command_in_the_file_makes_it_again_whatever_chose() {
    let directory = tempfile::tempdir().expect("a directory");
    // Its name is that of the command.
    let config = directory.path().join("dockerfile");
    let text = "prefix = '/opt/acme/python-{version}{variant}'\nallow-eol = true\nlibraries = 'bundle'\n";
    fs_err::write(&config, text).expect("a file");
    let config = config.to_str().expect("a text");
    let all = [
        "--python=3.9,3.13,latest",
        "--default=3.13",
        "--base=ubuntu:24.04",
        "--runtime=scratch",
        "--builder=buildah",
        "--label=team=a b",
        "--label=note=$x \"y\"",
        "--lock=uv.lock",
        "--app=code",
        "--app-packages=run:libpq5,build:libpq-dev",
        "--app-packages=build:gcc",
        "--cmd=python -c 'print(1)'",
        "--pykeel=bin/pykeel",
        "--uv=team/uv:1",
        "--artifacts=store",
        "--ca=a.pem",
        "--ca=b.pem",
    ];
    let before: [&[&str]; 3] = [&[], &["--config", config], &["--config", config, "--progress", "plain", "--verbose"]];
    let after: [&[&str]; 3] = [&["--python", "3.13"], &["--python", "3.13", "--flavor", "builder", "--quiet"], &all];
    for before in before {
        for after in after {
            let mut first = pykeel();
            first.current_dir(directory.path()).env("PYKEEL_BYTECODE", "unchecked-hash").env("PYKEEL_ALLOW_EOL", "1");
            let made = run(first.args(before).arg("dockerfile").args(after)).exits(0).out;
            let again = run(pykeel().current_dir(directory.path()).args(command_of(&made))).exits(0).out;
            assert_eq!(made, again);
        }
    }
    // As JSON it is the same file, and where it was written says nothing.
    let words = ["--json", "--output", "x"];
    let written = dockerfile(directory.path(), &words).exits(0).json();
    let text = fs_err::read_to_string(directory.path().join("x/Dockerfile")).expect("a file");
    assert_eq!(command_of(&text), ["dockerfile", "--python", "3.13.5"]);
    assert_eq!(written["dockerfile"], text.as_str());
}

#[test]
fn an_option_that_is_no_setting_names_no_variable() {
    for command in ["dockerfile", "index", "inspect"] {
        let help = run(pykeel().args([command, "--help"])).exits(0).out;
        assert!(help.contains("--flavor") && !help.contains("PYKEEL_FLAVOR"), "{help}");
    }
    assert!(run(pykeel().args(["install", "--help"])).exits(0).out.contains("PYKEEL_FLAVOR"));
}

/// The RUN instructions of a stage, as the shell gets them, without their mounts.
fn commands(dockerfile: &str, stage: &str) -> Vec<String> {
    let stage = dockerfile.split(&format!(" AS {stage}\n")).nth(1).expect("the stage");
    let stage = stage.split("\nFROM ").next().expect("a stage").replace("\\\n", " ");
    let runs = stage.lines().filter_map(|line| line.strip_prefix("RUN "));
    runs.map(|line| line.split(' ').filter(|word| !word.starts_with("--mount=")).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn a_version_is_taken_from_the_store_and_else_built_once_for_both_flavors() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    let text = dockerfile(place, &["--lock", "requirements.txt"]).exits(0).out;
    let [command] = &commands(&text, "python-3.13.5")[..] else { panic!("one command: {text}") };
    let program = place.join("pykeel");
    let script = "#!/bin/sh\necho \"$@\" >> log\ncase \"$*\" in *--no-build*) test -e built;; *) test ! -e broken && touch built;; esac\n";
    fs_err::write(&program, script).expect("a file");
    fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let run_it = || {
        let _absent = fs_err::remove_file(place.join("log"));
        let mut shell = std::process::Command::new("/bin/sh");
        let path = format!("{}:/usr/bin:/bin", place.display());
        let ended = run(shell.args(["-c", command]).current_dir(place).env("PATH", path));
        (ended.code, fs_err::read_to_string(place.join("log")).expect("a log"))
    };
    let runtime = "install 3.13.5 --no-build --no-sync --root /out\n";
    let builder = "install 3.13.5 --no-build --no-sync --flavor builder\n";
    let build = "build 3.13.5 --flavor all --install-deps\n";
    assert_eq!(run_it(), (0, format!("{runtime}{build}{runtime}{builder}")));
    assert_eq!(run_it(), (0, format!("{runtime}{builder}")));
    fs_err::remove_file(place.join("built")).expect("a file");
    fs_err::write(place.join("broken"), "").expect("a file");
    assert_eq!(run_it(), (1, format!("{runtime}{build}")));
}

#[test]
fn the_examples_are_what_their_commands_write() {
    for name in ["base", "distroless"] {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let text = fs_err::read_to_string(example.join("Dockerfile")).expect("a Dockerfile");
        let directory = tempfile::tempdir().expect("a directory");
        let words = command_of(&text);
        run(pykeel().current_dir(directory.path()).args(words).args(["--output", "."])).exits(0);
        for file in ["Dockerfile", ".dockerignore"] {
            let [committed, written] =
                [&example, directory.path()].map(|place| fs_err::read_to_string(place.join(file)).expect("a file"));
            assert_eq!(committed, written, "{name}/{file}: write it again with its command");
        }
    }
    // The service and the distroless one are the same application.
    for file in ["requirements.txt", "requirements.in", "app/main.py"] {
        let examples =
            ["service", "distroless"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name));
        let [one, other] = examples.map(|example| fs_err::read_to_string(example.join(file)).expect("a file"));
        assert_eq!(one, other, "{file}");
    }
}
