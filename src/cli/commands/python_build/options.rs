//! The command line of python-build: options in any order and together, a definition, a prefix.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// What `--lib` prints: the shell function with which pyenv reads its own command line.
pub(super) const LIB: &str = include_str!("parse_options.sh");

pub(super) const USAGE: &str = "\
Usage: python-build [-46kvpg] <definition> <prefix>
       python-build --definitions
       python-build --version

  -k/--keep        Keep the build directory after installation
  -p/--patch       Apply a patch from stdin before building
  -v/--verbose     Verbose mode: print the output of the build to stdout
  -4/--ipv4        Without effect in pykeel
  -6/--ipv6        Without effect in pykeel
  --definitions    List all definitions
  --version        Show version of python-build
  -g/--debug       Build a debug version
";

/// What is asked instead of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Help,
    Version,
    Definitions,
}

/// The words of a command line.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of python-build that is given or not")]
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The first question, if there is one.
    pub(super) question: Option<Question>,
    pub(super) keep: bool,
    pub(super) verbose: bool,
    pub(super) patch: bool,
    pub(super) debug: bool,
    /// Options without effect, as they were written.
    pub(super) ignored: Vec<String>,
    /// The words that are no options.
    pub(super) arguments: Vec<OsString>,
}

impl Options {
    /// Reads a command line as python-build does: a word that begins with `-` is an option wherever it is.
    pub(super) fn parse(words: &[OsString]) -> Self {
        let mut options = Self::default();
        for word in words {
            let bytes = word.as_bytes();
            if bytes.starts_with(b"--") {
                let text = word.to_string_lossy();
                options.take(&text[2..], &text);
            } else if bytes.starts_with(b"-") {
                for letter in word.to_string_lossy().chars().skip(1) {
                    options.take(letter.encode_utf8(&mut [0; 4]), &format!("-{letter}"));
                }
            } else {
                options.arguments.push(word.clone());
            }
        }
        options
    }

    fn take(&mut self, name: &str, written: &str) {
        match name {
            "h" | "help" => self.ask(Question::Help),
            "version" => self.ask(Question::Version),
            "definitions" | "list" => self.ask(Question::Definitions),
            "k" | "keep" => self.keep = true,
            "v" | "verbose" => self.verbose = true,
            "p" | "patch" => self.patch = true,
            "g" | "debug" => self.debug = true,
            _ => self.ignored.push(written.to_owned()),
        }
    }

    fn ask(&mut self, question: Question) {
        self.question.get_or_insert(question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Options {
        Options::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_may_be_anywhere_and_together() {
        let expected = Options {
            keep: true,
            verbose: true,
            patch: true,
            arguments: vec!["3.13.5".into(), "/opt/py".into()],
            ..Options::default()
        };
        for line in ["-kvp 3.13.5 /opt/py", "3.13.5 -k /opt/py -vp", "3.13.5 /opt/py --keep --patch --verbose"] {
            assert_eq!(parse(line), expected, "{line}");
        }
        assert!(parse("-g 3.13.5 /x").debug && parse("3.13.5 /x --debug").debug);
    }

    #[test]
    fn what_has_no_effect_is_kept_as_it_was_written() {
        assert_eq!(parse("-4k --ipv6 -zz 3.13 /x").ignored, ["-4", "--ipv6", "-z", "-z"]);
    }

    #[test]
    fn the_first_question_counts() {
        assert_eq!(parse("-k --version --help").question, Some(Question::Version));
        assert_eq!(parse("--list").question, Some(Question::Definitions));
        assert_eq!(parse("-vh 3.13 /x").question, Some(Question::Help));
    }
}
