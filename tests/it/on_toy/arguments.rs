//! `--configure-arg`: further arguments of configure, and that they make another artifact.

use crate::on_toy::rebuild::{built, rebuild};
use crate::support::run;
use crate::toy::{Behaviour, Toy};

const ARGUMENT: [&str; 2] = ["--configure-arg", "--without-doc-strings"];

/// A toy whose configure records its arguments, one a line.
fn toy() -> Toy {
    Toy::new(Behaviour { configure: "printf '%s\\n' \"$@\" > @toy@/arguments", ..Behaviour::default() })
}

fn arguments(toy: &Toy) -> Vec<String> {
    fs_err::read_to_string(toy.path("arguments")).expect("the arguments").lines().map(str::to_owned).collect()
}

#[test]
fn a_build_with_a_further_argument_is_another_artifact_and_can_be_built_again() {
    let toy = toy();
    let (with, tarball) = built(&toy, &ARGUMENT);
    assert_eq!(arguments(&toy).last().map(String::as_str), Some("--without-doc-strings"));
    run(&mut rebuild(&toy, &tarball)).exits(0);
    assert_eq!(arguments(&toy).last().map(String::as_str), Some("--without-doc-strings"));

    // In a store that has only that one, nothing fits a request without the argument.
    let root = toy.path("root").display().to_string();
    let mut install = toy.command(&["install", "3.13.5", "--no-build", "--root", &root]);
    run(&mut install).exits(2).says(&["no usable artifact"]);
    let (without, _) = built(&toy, &[]);
    assert_eq!((&without["cached"], with["cached"].as_bool()), (&false.into(), Some(false)));
    assert_ne!(without["build_key"], with["build_key"]);
    assert!(!arguments(&toy).iter().any(|argument| argument == "--without-doc-strings"));

    // Each request takes its own.
    for (options, built) in [(&[][..], &without), (&ARGUMENT, &with)] {
        let mut install = toy.command(&["install", "3.13.5", "--no-build", "--force", "--json", "--root", &root]);
        assert_eq!(run(install.args(options)).exits(0).json()[0]["digest"], built["digest"]);
    }
}

#[test]
fn an_argument_that_configure_does_not_know_is_an_error() {
    let warning = "echo 'configure: WARNING: unrecognized options: --with-dokstrings' >&2";
    let toy = Toy::new(Behaviour { configure: warning, ..Behaviour::default() });
    let mut command = toy.build_command();
    run(command.args(["--configure-arg", "--with-dokstrings"]))
        .exits(2)
        .says(&["`--with-dokstrings`", "no such option"]);
    toy.left_nothing();
    // The recipe's arguments are those that its author tried.
    toy.build().exits(0);
}

#[test]
fn variables_of_other_tools_are_named_once_with_what_to_use() {
    let toy = toy();
    let mut command = toy.build_command();
    command.env("PYTHON_CONFIGURE_OPTS", "--enable-shared").env("MAKE_OPTS", "-j4").env("EXTRA_CFLAGS", "");
    let ended = run(&mut command).exits(0).says(&["PYTHON_CONFIGURE_OPTS (use `--configure-arg", "MAKE_OPTS"]);
    let ended = ended.says_not(&["EXTRA_CFLAGS"]);
    assert_eq!(ended.err.matches("does not read").count(), 1, "{}", ended.err);
    let mut command = toy.build_command();
    run(command.env("MAKE_OPTS", "-j4").arg("--quiet")).exits(0).says_not(&["MAKE_OPTS"]);
}
