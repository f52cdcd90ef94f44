//! The command line of `python-build`, which is not pykeel's: clap sees nothing of it.

use std::ffi::OsString;
use std::path::Path;

use clap::Args as ClapArgs;

/// The command, and the name of the program that stands for it.
pub(super) const NAME: &str = "python-build";

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct PythonBuildArgs {
    /// Options, definition and prefix, as python-build takes them
    #[arg(value_name = "WORD")]
    pub words: Vec<OsString>,
}

/// Splits a command line into pykeel's words and those of python-build, if it is that command: by its name, or because
/// the program is started under it.
pub(super) fn split(mut words: Vec<OsString>) -> (Vec<OsString>, Option<Vec<OsString>>) {
    let name = words.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == NAME) {
        let rest = words.split_off(1);
        words.push(NAME.into());
        return (words, Some(rest));
    }
    match command_at(&words).filter(|at| words[*at] == NAME) {
        Some(at) => {
            let rest = words.split_off(at + 1);
            (words, Some(rest))
        }
        None => (words, None),
    }
}

/// Returns where the command is: after the global options and their values.
fn command_at(words: &[OsString]) -> Option<usize> {
    let global = super::Global::augment_args(clap::Command::new("pykeel"));
    let with_value: Vec<String> = global
        .get_arguments()
        .filter(|argument| argument.get_action().takes_values())
        .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")))
        .collect();
    let mut is_value = true;
    words.iter().position(|word| {
        let word = word.to_string_lossy();
        let is_command = !is_value && !word.starts_with('-');
        is_value = with_value.iter().any(|option| *option == word);
        is_command
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> (String, Option<String>) {
        let (own, rest) = split(line.split_whitespace().map(OsString::from).collect());
        let text = |words: Vec<OsString>| words.join(" ".as_ref()).into_string().unwrap();
        (text(own), rest.map(text))
    }

    #[test]
    fn the_words_after_the_command_are_its_own() {
        let own = |own: &str, rest: &str| (own.to_owned(), Some(rest.to_owned()));
        assert_eq!(of("pykeel python-build --version"), own("pykeel python-build", "--version"));
        assert_eq!(
            of("pykeel --store S -q python-build -v 3.13 /x"),
            own("pykeel --store S -q python-build", "-v 3.13 /x")
        );
        assert_eq!(of("pykeel --store=S python-build"), own("pykeel --store=S python-build", ""));
        assert_eq!(of("/usr/bin/python-build -kv 3.13 /x"), own("/usr/bin/python-build python-build", "-kv 3.13 /x"));
        for line in
            ["pykeel build python-build", "pykeel --store python-build list", "pykeel", "pykeel help python-build"]
        {
            assert_eq!(of(line), (line.to_owned(), None));
        }
    }
}
