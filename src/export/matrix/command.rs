//! The command lines of a cell.

use std::fmt::Write as _;

/// What the command lines of all cells have in common, as words of a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// `CFLAGS='-O1 -g' ` and the like.
    variables: String,
    /// ` --bytecode strip` and the like.
    options: String,
    /// The address of the remote.
    remote: Option<String>,
}

impl Commands {
    /// Quotes variables and options, and the address of the remote that gets what is built.
    ///
    /// # Errors
    /// A line break or another control character, in words: not every form has a way to write them.
    pub fn new<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        options: &[String],
        remote: Option<&str>,
    ) -> Result<Self, String> {
        let mut all = String::new();
        for (name, value) in variables {
            let _ = write!(all, "{name}={} ", quoted(value)?);
        }
        let options =
            options.iter().map(|word| Ok(format!(" {}", quoted(word)?))).collect::<Result<String, String>>()?;
        Ok(Self { variables: all, options, remote: remote.map(quoted).transpose()? })
    }

    /// The line that builds. `version` and `flavor` are words of a shell.
    pub(super) fn build(&self, version: &str, flavor: &str) -> String {
        format!("{}pykeel build {version} --flavor {flavor}{}", self.variables, self.options)
    }

    /// The line that gives what was built to the remote, if there is one.
    pub(super) fn push(&self, version: &str) -> Option<String> {
        self.remote.as_ref().map(|remote| format!("pykeel push {version} {remote}"))
    }
}

fn quoted(word: &str) -> Result<String, String> {
    if word.chars().any(char::is_control) {
        return Err("an option or a variable has a line break or another control character".into());
    }
    shlex::try_quote(word).map(Into::into).map_err(|error| error.to_string())
}
