//! Completions and man pages, read by bash, zsh, fish and groff.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::missing::Missing;
use crate::skip;
use crate::support::{pykeel, run};

/// Writes a shell's completions into a file.
fn script(shell: &str, directory: &Path) -> PathBuf {
    let path = directory.join(shell);
    let ended = run(pykeel().args(["completions", shell])).exits(0);
    assert!(!ended.out.contains('\u{1b}'));
    fs_err::write(&path, ended.out).expect("a file");
    path
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn bash_completes_commands_options_and_versions() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = script("bash", directory.path());
    let complete = |words: &[&str]| -> Vec<String> {
        // What bash does when the last word is completed: the function gets command, word and the one before.
        let driver = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                      $(complete -p pykeel | sed 's/.*-F \\([^ ]*\\).*/\\1/') pykeel \"${COMP_WORDS[COMP_CWORD]}\" \
                      \"${COMP_WORDS[COMP_CWORD - 1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let mut command = Command::new("bash");
        command.args(["--norc", "-c", driver, "bash"]).arg(&script).args(words);
        run(&mut command).exits(0).out.lines().map(str::to_owned).collect()
    };
    assert_eq!(complete(&["pykeel", "uni"]), ["uninstall"]);
    assert_eq!(complete(&["pykeel", "cache", "pr"]), ["prune"]);
    assert_eq!(complete(&["pykeel", "cache", "prune", "--older"]), ["--older-than"]);
    assert_eq!(complete(&["pykeel", "build", "--bytecode", ""]), ["strip", "unchecked-hash"]);
    assert_eq!(complete(&["pykeel", "build", "3.13.5"]), ["3.13.5"]);
    assert_eq!(complete(&["pykeel", "recipe", "show", "lat"]), ["latest"]);
    assert!(complete(&["pykeel", "install", "3.13"]).contains(&"3.13t".to_owned()));
}

#[test]
fn zsh_reads_its_completions() {
    if !has("zsh") {
        skip!(Missing::Program("zsh"), "there is no zsh");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let script = script("zsh", directory.path());
    let text = "autoload -Uz compinit && compinit -D -u && source $1 && (( $+functions[_pykeel] )) && \
                print $_comps[pykeel]";
    let ended = run(Command::new("zsh").args(["-fc", text, "zsh"]).arg(&script)).exits(0);
    assert_eq!((ended.out.trim(), ended.err.as_str()), ("_pykeel", ""));
}

#[test]
fn fish_completes_commands_options_and_versions() {
    if !has("fish") {
        skip!(Missing::Program("fish"), "there is no fish");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let script = script("fish", directory.path());
    let complete = |line: &str| -> Vec<String> {
        let text = "source $argv[1]; complete -C $argv[2]";
        let mut command = Command::new("fish");
        command.args(["--no-config", "-c", text]).arg(&script).arg(line).env("HOME", directory.path());
        let out = run(&mut command).exits(0).out;
        out.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(complete("pykeel cache pr"), ["prune"]);
    assert_eq!(complete("pykeel build --bytecode "), ["strip", "unchecked-hash"]);
    assert_eq!(complete("pykeel build 3.13.5"), ["3.13.5"]);
    assert_eq!(complete("pykeel recipe show 3.13.5"), ["3.13.5"]);
    assert!(!complete("pykeel verify 3.13.").contains(&"3.13.5".to_owned()));
}

#[test]
fn there_is_a_sound_man_page_for_each_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let ended = run(pykeel().args(["man", "--out"]).arg(directory.path())).exits(0);
    let pages: Vec<&Path> = ended.out.lines().map(Path::new).collect();
    for page in ["pykeel.1", "pykeel-build.1", "pykeel-uninstall.1", "pykeel-cache-prune.1", "pykeel-recipe-show.1"] {
        assert!(pages.contains(&directory.path().join(page).as_path()), "{page} in {}", ended.out);
    }
    let first = fs_err::read_to_string(directory.path().join("pykeel.1")).expect("the page");
    assert_eq!(run(pykeel().arg("man")).exits(0).out, first);
    for page in &pages {
        let text = fs_err::read_to_string(page).expect("a page");
        assert!(text.is_ascii(), "{}", page.display());
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{text}");
    }
    if !has("groff") {
        skip!(Missing::Program("groff"), "there is no groff");
    }
    for page in &pages {
        let ended = run(Command::new("groff").args(["-man", "-Tascii", "-ww", "-z"]).arg(page)).exits(0);
        assert_eq!(ended.err, "", "{}", page.display());
    }
}
