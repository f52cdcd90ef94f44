//! What to run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::sys::jobserver::JobServer;

/// The search path of programs: the directories that packages own, the same on every host.
pub const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The program.
    pub program: PathBuf,
    /// The arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The working directory; `None` is the current one.
    pub directory: Option<PathBuf>,
    /// The whole environment. Nothing of the user's is in it that was not put there: `LD_PRELOAD` and the like could
    /// change what a program does, and pykeel is often root.
    pub environment: BTreeMap<String, OsString>,
    /// The time limit; `None` is no limit.
    pub timeout: Option<Duration>,
    /// The jobserver to pass on, if the program is a make.
    pub jobs: Option<JobServer>,
    /// What the program reads from its standard input: at most a few lines. It has none by default.
    pub input: Option<String>,
}

impl Spec {
    /// A program without arguments, in the current directory. Its environment is the search path and the locale.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            directory: None,
            environment: BTreeMap::from([
                ("PATH".to_owned(), SEARCH_PATH.into()),
                ("LC_ALL".to_owned(), "C.UTF-8".into()),
            ]),
            timeout: None,
            jobs: None,
            input: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets the whole environment.
    #[must_use]
    pub fn environment<K: Into<String>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = variables.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self
    }

    /// Sets a variable of the environment besides those that are set already.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the time limit.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets what the program reads from its standard input: at most a few lines.
    #[must_use]
    pub fn input(mut self, input: impl Into<String>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Passes a jobserver on. The caller holds the slot that the program itself runs in.
    #[must_use]
    pub fn jobs(mut self, jobs: &JobServer) -> Self {
        self.jobs = Some(jobs.clone());
        self
    }

    /// Returns a short name to show: the program's file name, and Python's `-m` module or a last
    /// argument that is a plain word: `make install`, `python3.13 -m ensurepip`, `configure`.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned();
        if let Some(module) = self.args.iter().skip_while(|arg| *arg != "-m").nth(1) {
            name.push_str(" -m ");
            name.push_str(&module.to_string_lossy());
        } else if let Some(goal) = self.args.last().and_then(|arg| arg.to_str()).filter(is_goal) {
            name.push(' ');
            name.push_str(goal);
        }
        name
    }

    /// Returns the command line, quoted for a shell. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn command_line(&self) -> String {
        let words = std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        // No shell takes a NUL byte, and no program either.
        shlex::try_join(words.iter().map(AsRef::as_ref)).unwrap_or_else(|_nul| words.join(" "))
    }
}

/// The user's variables, for a program that they configure by them, without those of the dynamic loader and the shell,
/// which would run other code in a program.
pub fn of_user(variables: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, OsString> {
    const LOADED: &[&str] = &["BASH_ENV", "ENV", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH"];
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| !name.starts_with("LD_") && !LOADED.contains(&name.as_str()))
        .collect()
}

/// Whether a last argument says what the program is to do; a path or an option says less.
fn is_goal(word: &&str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_no_variable_of_the_user_unless_it_is_asked_for() {
        let environment = Spec::new("x").environment;
        assert_eq!(environment.keys().collect::<Vec<_>>(), ["LC_ALL", "PATH"]);
        assert_eq!(environment["PATH"], SEARCH_PATH);
        assert_eq!(Spec::new("x").environment([("A", "b")]).environment.len(), 1);
    }

    #[test]
    fn what_runs_other_code_in_a_program_is_left_out_of_the_users_variables() {
        let user = ["CCACHE_DIR", "HOME", "LD_AUDIT", "LD_PRELOAD", "BASH_ENV", "GCONV_PATH"];
        let kept = of_user(user.into_iter().map(|name| (name.into(), "x".into())));
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["CCACHE_DIR", "HOME"]);
    }

    #[test]
    fn a_command_line_can_be_pasted() {
        let spec = Spec::new("make").args(["BLDSHARED=gcc -shared", "it's", "-j2", ""]);
        assert_eq!(spec.command_line(), r#"make 'BLDSHARED=gcc -shared' "it's" -j2 ''"#);
        let words = shlex::split(&spec.command_line()).unwrap();
        assert_eq!(words, ["make", "BLDSHARED=gcc -shared", "it's", "-j2", ""]);
    }

    #[test]
    fn a_name_says_what_a_command_is_to_do() {
        let name = |program: &str, args: &[&str]| Spec::new(program).args(args.iter().map(ToString::to_string)).name();
        assert_eq!(name("make", &["-o", "Programs/_testembed", "DESTDIR=/x", "install"]), "make install");
        assert_eq!(name("./configure", &["--disable-test-modules"]), "configure");
        assert_eq!(name("/w/bin/python3.13", &["-I", "-m", "ensurepip", "--default-pip"]), "python3.13 -m ensurepip");
        assert_eq!(name("strip", &["--strip-unneeded", "bin/python3.13"]), "strip");
        assert_eq!(name("make", &[]), "make");
    }
}
