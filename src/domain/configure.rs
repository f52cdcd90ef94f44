//! A user's further arguments of configure: which of them a build can have.

use std::fmt;

/// Why a build cannot have an argument of configure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArgumentProblem {
    /// It is neither an option that turns something on or off nor a cached answer.
    Form,
    /// It has a character that make or a shell would act on.
    Character,
    /// It is empty or two lines.
    Word,
    /// The release's configure has no such option.
    Unknown,
    /// It sets the prefix.
    Prefix,
    /// It changes where files are in the tree.
    Layout,
    /// It changes how configure itself runs.
    Running,
    /// It is for another machine.
    Machine,
    /// It decides whether libpython is shared.
    Shared,
    /// It decides the debug variant.
    Debug,
    /// It decides the free-threaded variant.
    FreeThreaded,
    /// It decides how the interpreter is optimised.
    Optimisation,
    /// It decides whether pip is installed.
    Pip,
    /// It changes which modules are built.
    Modules,
    /// It links a library that the recipe does not list.
    Library,
    /// It passes words to the compiler or the linker.
    Flags,
    /// It names a program to run.
    Program,
}

impl fmt::Display for ArgumentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "it has none of the forms --enable-…, --disable-…, --with-…, --without-… and ac_cv_…=…",
            Self::Character => "it has characters other than letters, digits, spaces and . _ + - = / : , @ % ~",
            Self::Word => "it is empty or has more than one line",
            Self::Unknown => "this release has no such option",
            Self::Prefix => "the prefix is a part of the request",
            Self::Layout => "the layout of the tree is fixed",
            Self::Running => "it changes how configure runs, and not what is built",
            Self::Machine => "a build is for the machine that it runs on",
            Self::Shared => "whether libpython is shared is a part of the request",
            Self::Debug => "the debug build is a variant of the version",
            Self::FreeThreaded => "the free-threaded build is a variant of the version",
            Self::Optimisation => "the optimisation is a part of the request, with a stored profile",
            Self::Pip => "the flavor decides whether pip is installed",
            Self::Modules => "the recipe has a closed list of modules",
            Self::Library => "the recipe has a closed list of libraries",
            Self::Flags => "it passes words to the compiler or the linker that no check has seen",
            Self::Program => "it names a program, which would not be in the plan",
        })
    }
}

/// Options by their name without `--enable-`, `--disable-`, `--with-` or `--without-`. A name that ends in `-` is the
/// start of several.
const REFUSED: &[(ArgumentProblem, &[&str])] = &[
    (ArgumentProblem::Shared, &["shared", "static-libpython"]),
    (ArgumentProblem::Debug, &["pydebug"]),
    (ArgumentProblem::FreeThreaded, &["gil"]),
    (ArgumentProblem::Optimisation, &["optimizations", "lto", "bolt"]),
    (ArgumentProblem::Pip, &["ensurepip"]),
    (ArgumentProblem::Modules, &["test-modules"]),
    (
        ArgumentProblem::Library,
        &["openssl", "openssl-rpath", "readline", "dbmliborder", "system-expat", "system-libmpdec", "system-ffi"],
    ),
    (ArgumentProblem::Layout, &["platlibdir", "suffix", "framework", "framework-", "universalsdk", "universal-archs"]),
    (ArgumentProblem::Running, &["option-checking", "pkg-config"]),
    (ArgumentProblem::Flags, &["libs", "libm", "libc", "tcltk-"]),
    (ArgumentProblem::Program, &["build-python", "cxx-main", "gcc", "cc"]),
];

/// Options without such a start.
const REFUSED_BARE: &[(ArgumentProblem, &[&str])] = &[
    (ArgumentProblem::Prefix, &["prefix", "exec-prefix"]),
    (ArgumentProblem::Machine, &["host", "build", "target"]),
    (ArgumentProblem::Running, &["srcdir", "cache-file", "config-cache", "no-create", "help", "version", "quiet"]),
    (
        ArgumentProblem::Layout,
        &[
            "bindir",
            "sbindir",
            "libexecdir",
            "sysconfdir",
            "sharedstatedir",
            "localstatedir",
            "runstatedir",
            "libdir",
            "includedir",
            "oldincludedir",
            "datarootdir",
            "datadir",
            "infodir",
            "localedir",
            "mandir",
            "docdir",
            "htmldir",
            "dvidir",
            "pdfdir",
            "psdir",
            "program-prefix",
            "program-suffix",
            "program-transform-name",
        ],
    ),
];

/// Answers of configure's cache that name programs or machines.
const REFUSED_ANSWERS: &[&str] =
    &["ac_cv_path_", "ac_cv_prog_", "ac_cv_env_", "ac_cv_build", "ac_cv_host", "ac_cv_target"];

/// Checks that a build can have a further argument of configure. What is accepted runs no program and reads no
/// directory that the argument names, so this also holds for arguments that an artifact of somebody else records.
///
/// # Errors
/// The reason why a build cannot have it.
pub fn check_argument(argument: &str) -> Result<(), ArgumentProblem> {
    let (name, value) = argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
    if let Some(problem) = name.strip_prefix('-').and_then(refused_option) {
        return Err(problem);
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || " ._+-=/:,@%~".contains(c);
    if !argument.chars().all(is_allowed) {
        return Err(ArgumentProblem::Character);
    }
    if option_name(name).is_some() {
        return Ok(());
    }
    if name.starts_with('-') || value.is_none() {
        return Err(ArgumentProblem::Form);
    }
    check_variable(name)
}

/// Checks that a recipe can give configure an argument. A recipe runs code by design, and may turn on and off what it
/// likes: refused are what the request decides, what changes configure itself, and variables, which have a table.
///
/// # Errors
/// The reason why a recipe cannot give it.
pub fn check_recipe_argument(argument: &str) -> Result<(), ArgumentProblem> {
    if argument.trim().is_empty() || argument.contains('\n') {
        return Err(ArgumentProblem::Word);
    }
    let (name, value) = argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
    let Some(option) = name.strip_prefix('-') else {
        return value.map_or(Err(ArgumentProblem::Form), |_| check_variable(name));
    };
    let option = option.strip_prefix('-').unwrap_or(option);
    if option_name(&format!("--{option}")).is_some() {
        return Ok(());
    }
    Err(find(REFUSED_BARE, option).unwrap_or(ArgumentProblem::Form))
}

/// Returns the problem of an option, without its first hyphen, or `None` if it has none that its name shows.
fn refused_option(name: &str) -> Option<ArgumentProblem> {
    let name = name.strip_prefix('-').unwrap_or(name);
    match option_name(&format!("--{name}")) {
        Some(feature) => find(REFUSED, feature),
        None => find(REFUSED_BARE, name),
    }
}

/// Finds an option in a table.
fn find(table: &[(ArgumentProblem, &[&str])], name: &str) -> Option<ArgumentProblem> {
    let is_meant = |known: &&str| *known == name || (known.ends_with('-') && name.starts_with(*known));
    table.iter().find(|(_, names)| names.iter().any(&is_meant)).map(|(problem, _)| *problem)
}

/// Returns the name of what an option turns on or off: `ipv6` for `--disable-ipv6`.
fn option_name(option: &str) -> Option<&str> {
    let starts = ["--enable-", "--disable-", "--without-", "--with-"];
    starts.iter().find_map(|start| option.strip_prefix(start)).filter(|name| !name.is_empty())
}

/// Checks the name of a variable that is set to a value.
fn check_variable(name: &str) -> Result<(), ArgumentProblem> {
    let is_answer = name.starts_with("ac_cv_") || name.starts_with("py_cv_");
    if is_answer && !REFUSED_ANSWERS.iter().any(|start| name.starts_with(start)) {
        return Ok(());
    }
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    Err(match name {
        _ if !is_name => ArgumentProblem::Form,
        "CC" | "CXX" | "CPP" | "LD" | "AR" | "NM" | "RANLIB" | "STRIP" | "INSTALL" => ArgumentProblem::Program,
        _ if is_answer || name.starts_with("PKG_CONFIG") || name.starts_with("PYTHON") => ArgumentProblem::Program,
        _ => ArgumentProblem::Flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_the_interpreter_is_accepted() {
        for argument in [
            "--enable-loadable-sqlite-extensions",
            "--without-doc-strings",
            "--with-assertions",
            "--with-tzpath=/usr/share/zoneinfo:/usr/lib/zoneinfo",
            "--with-ssl-default-suites=TLSv1.2+HIGH",
            "--enable-big-digits=15",
            "--disable-ipv6",
            "ac_cv_func_getentropy=no",
            "py_cv_module__ssl=n/a",
        ] {
            assert_eq!(check_argument(argument), Ok(()), "{argument}");
        }
    }

    #[test]
    fn an_argument_that_breaks_a_promise_is_refused_with_its_reason() {
        use ArgumentProblem as P;
        for (argument, problem) in [
            ("--prefix=/opt/x", P::Prefix),
            ("-prefix=/opt/x", P::Prefix),
            ("--exec-prefix", P::Prefix),
            ("--libdir=/x", P::Layout),
            ("--with-platlibdir=lib64", P::Layout),
            ("--with-suffix=.exe", P::Layout),
            ("--with-framework-name=X", P::Layout),
            ("--program-suffix=-x", P::Layout),
            ("--srcdir=..", P::Running),
            ("--disable-option-checking", P::Running),
            ("--host=aarch64-linux-gnu", P::Machine),
            ("--build", P::Machine),
            ("--target=x", P::Machine),
            ("--enable-shared", P::Shared),
            ("--disable-shared", P::Shared),
            ("-enable-shared", P::Shared),
            ("--enable-shared=yes", P::Shared),
            ("--with-static-libpython", P::Shared),
            ("--with-pydebug", P::Debug),
            ("--disable-gil", P::FreeThreaded),
            ("--enable-optimizations", P::Optimisation),
            ("--with-lto=thin", P::Optimisation),
            ("--enable-bolt", P::Optimisation),
            ("--with-ensurepip=install", P::Pip),
            ("--enable-test-modules", P::Modules),
            ("--with-openssl=/opt/ssl", P::Library),
            ("--with-readline=readline", P::Library),
            ("--with-system-expat", P::Library),
            ("--with-libs=-lm", P::Flags),
            ("--with-tcltk-libs=-ltcl", P::Flags),
            ("--with-build-python=/x/python3", P::Program),
            ("CC=clang", P::Program),
            ("ac_cv_path_INSTALL=/x", P::Program),
            ("PKG_CONFIG=/x", P::Program),
            ("CFLAGS=-O2", P::Flags),
            ("CFLAGS_NODIST=-O2", P::Flags),
            ("OPT=-O2", P::Flags),
        ] {
            assert_eq!(check_argument(argument), Err(problem), "{argument}");
        }
    }

    #[test]
    fn a_recipe_may_give_every_option_but_what_the_request_decides() {
        use ArgumentProblem as P;
        for argument in ["--enable-shared", "--with-readline=editline", "--with-libs=-lm", "-without-x", "ac_cv_x=no"] {
            assert_eq!(check_recipe_argument(argument), Ok(()), "{argument}");
        }
        for (argument, problem) in [
            ("", P::Word),
            (" ", P::Word),
            ("--with-x=a\n--prefix=/x", P::Word),
            ("--prefix=/x", P::Prefix),
            ("-prefix=/x", P::Prefix),
            ("--exec-prefix=/x", P::Prefix),
            ("--libdir=/x", P::Layout),
            ("--host=x", P::Machine),
            ("--no-create", P::Running),
            ("-C", P::Form),
            ("--pref=/x", P::Form),
            ("x86_64-linux-gnu", P::Form),
            ("CFLAGS=-O2", P::Flags),
            ("CC=clang", P::Program),
        ] {
            assert_eq!(check_recipe_argument(argument), Err(problem), "{argument}");
        }
    }

    #[test]
    fn anything_else_has_the_wrong_form() {
        for argument in
            ["", "-", "--", "--with-", "x86_64-linux-gnu", "-C", "-n", "--pref=/x", "shared", "=x", "a b=c", "--foo"]
        {
            assert_eq!(check_argument(argument), Err(ArgumentProblem::Form), "{argument}");
        }
        for argument in
            ["--with-hash-algorithm=$(sh)", "--with-x=`y`", "--with-x=a;b", "--with-x=\"a\"", "--with-x=a\nb"]
        {
            assert_eq!(check_argument(argument), Err(ArgumentProblem::Character), "{argument}");
        }
    }
}
