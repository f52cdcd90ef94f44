//! The command line: help, errors, streams, exit codes.

use std::process::Command;

use crate::support::{pykeel, run};

#[test]
fn help_has_examples_and_exit_codes() {
    let ended = run(pykeel().arg("--help")).exits(0);
    assert!(ended.out.contains("Examples:") && ended.out.contains("Exit codes: 0 done"), "{}", ended.out);
    assert!(ended.err.is_empty());
    for command in ["build", "install", "inspect", "check"] {
        let ended = run(pykeel().args([command, "--help"])).exits(0);
        assert!(ended.out.contains("Examples:"), "{}", ended.out);
    }
}

#[test]
fn wrong_use_exits_with_2_and_says_what_is_there() {
    run(pykeel().arg("biuld")).exits(2).says(&["build"]);
    run(pykeel().args(["build", "3.13.x"])).exits(2).says(&["`3.13.x` is not a version such as 3.13"]);
    run(pykeel().args(["build", "3.13.99"])).exits(2).says(&["no recipe for Python 3.13.99", "3.13.15, 3.13.18"]);
    run(pykeel().args(["build", "2.7"])).exits(2).says(&["no recipe for Python 2.7", "the nearest are"]);
    run(pykeel().args(["build", "3.13", "--prefix", "opt"])).exits(2).says(&["it is not absolute"]);
    run(pykeel().args(["build", "3.13", "--bytecode", "maybe"])).exits(2).says(&["strip, unchecked-hash"]);
    run(pykeel().args(["inspect", "/no/such/path.tar.zst"]))
        .exits(2)
        .says(&["/no/such/path.tar.zst", "there is no such file"]);
    run(pykeel().args(["verify", "/etc"])).exits(2).says(&["/etc", "share/pykeel/manifest.json"]);
    run(pykeel().args(["recipe", "check", "/no/such.toml"])).exits(2).says(&["/no/such.toml"]);
    run(pykeel().args(["list", "--all", "--recipes", "/no/such"])).exits(2).says(&["/no/such"]);
    run(pykeel().args(["build", "3.13", "--mirror", "https://mirror.test/x"])).exits(2).says(&["{file}"]);
    run(pykeel().args(["build", "3.13", "--mirror", "file://host/srv"])).exits(2).says(&["empty or localhost"]);
    run(pykeel().args(["build", "3.13", "--offline", "--install-deps"])).exits(2).says(&["cannot be used with"]);
    let ended = run(pykeel().args(["build", "2.7", "--progress", "json"])).exits(2);
    let event: serde_json::Value = serde_json::from_str(&ended.err).expect("one line of JSON");
    assert_eq!((event["event"].as_str(), event["code"].as_i64()), (Some("error"), Some(2)));
}

#[test]
fn an_argument_of_configure_that_breaks_a_promise_is_refused_with_what_to_use() {
    for (argument, remedy) in [
        ("--prefix=/x", "`--prefix DIR`"),
        ("--enable-shared", "`--shared`"),
        ("--with-pydebug", "3.13d"),
        ("--disable-gil", "3.13t"),
        ("--enable-optimizations", "`--optimize pgo`"),
        ("--with-ensurepip", "`--flavor builder`"),
        ("CFLAGS=-O2", "CFLAGS"),
        ("shared", "--configure-arg --without-doc-strings"),
    ] {
        for command in ["build", "install"] {
            let ended = run(pykeel().args([command, "3.13", "--configure-arg", argument]));
            ended.exits(2).says(&[&format!("configure cannot be given `{argument}`"), remedy]);
        }
    }
}

#[test]
fn no_home_and_no_store_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pykeel"));
    command.arg("list").env_clear();
    run(&mut command).exits(2).says(&["XDG_CACHE_HOME", "HOME", "PYKEEL_STORE"]);
}

#[test]
fn recipes_are_shown_and_checked() {
    let shown = run(pykeel().args(["recipe", "show", "3.13t", "--json"])).exits(0).json();
    let arguments = shown["configure"]["arguments"].as_array().expect("an array");
    assert!(arguments.iter().any(|argument| argument == "--disable-gil"));
    let ended = run(pykeel().args(["recipe", "show", "3.13.5"])).exits(0);
    assert!(ended.out.contains("93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640"), "{}", ended.out);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/3.13.toml");
    run(pykeel().args(["recipe", "check", file])).exits(0);
    let ended = run(pykeel().args(["recipe", "check"])).exits(0);
    assert!(ended.out.contains("recipes/3.13.toml: Python 3.13,"), "{}", ended.out);
}

#[test]
fn a_recipe_of_the_overlay_has_the_name_of_its_series() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/3.13.toml")).expect("the recipe");
    for name in ["mine.toml", "3.12.toml"] {
        let path = directory.path().join(name);
        fs_err::write(&path, &text).expect("a file");
        run(pykeel().args(["list", "--all", "--recipes"]).arg(directory.path()))
            .exits(2)
            .says(&[name, "has to be named 3.13.toml"]);
        fs_err::remove_file(path).expect("a file");
    }
}
