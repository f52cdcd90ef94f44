//! The compiler: its version, its target, its programs, and the directories that it searches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Runner, SEARCH_PATH, Spec};
use super::{elf, gcov};
use crate::domain::profile::{CompilerFamily, CompilerVersion, DataVersion};
use crate::domain::target::Target;
use crate::error::{Error, Result};

/// The search path of launchers and diffoscope. They decide no byte, so they may be in `/usr/local/bin` too.
pub const LOCAL_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin";

/// A C compiler.
pub struct Compiler<'a> {
    runner: &'a dyn Runner,
    /// The words of `CC`: the program and its first arguments.
    words: Vec<String>,
    /// The path of the driver, as it was found.
    driver: PathBuf,
    /// The options that limit its search for headers to some directories.
    closed: Vec<String>,
}

/// Returns the path of a program that decides no byte, such as a launcher: from the system's directories, then from
/// `/usr/local/bin`. Where the user's own `PATH` leads does not count.
#[must_use]
pub fn find_local_program(name: &str) -> Option<PathBuf> {
    which::which_in(name, Some(LOCAL_PATH), "/").ok()
}

/// Returns the path of a program in [`SEARCH_PATH`]. A path is returned as it is.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    which::which_in(name, Some(SEARCH_PATH), "/").ok()
}

/// Returns the words of `CC` with the compiler's name instead of its path, if [`SEARCH_PATH`] leads from the name to
/// the same file: `gcc -m64` for `/usr/bin/gcc -m64`.
#[must_use]
pub fn compiler_by_name(cc: &str) -> String {
    let (path, arguments) = cc.trim().split_once(char::is_whitespace).unwrap_or((cc.trim(), ""));
    let directory = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok());
    let named = Path::new(path).file_name().and_then(|name| name.to_str()).filter(|_| path.starts_with('/'));
    match named.and_then(|name| Some((name, find_program(name)?))) {
        Some((name, found)) if directory(&found) == directory(Path::new(path)) => {
            format!("{name} {}", arguments.trim_start()).trim_end().to_owned()
        }
        _ => cc.to_owned(),
    }
}

impl<'a> Compiler<'a> {
    /// Returns the compiler that `CC` names, or `None` if there is no such program.
    #[must_use]
    pub fn find(runner: &'a dyn Runner, cc: &str) -> Option<Self> {
        let words: Vec<String> = cc.split_whitespace().map(str::to_owned).collect();
        let driver = find_program(words.first()?)?;
        Some(Self { runner, words, driver, closed: Vec::new() })
    }

    /// Returns the path of the driver, which the first word of `CC` names.
    #[must_use]
    pub fn driver(&self) -> &Path {
        &self.driver
    }

    /// Whether `CC` names the compiler by its path.
    #[must_use]
    pub fn is_named_by_path(&self) -> bool {
        self.words.first().is_some_and(|word| word.contains('/'))
    }

    /// Limits the search for headers to some directories from now on.
    pub fn close(&mut self, header_directories: &[PathBuf]) {
        self.closed = closed_search(header_directories);
    }

    fn spec(&self) -> Spec {
        let mut words = self.words.iter();
        Spec::new(words.next().cloned().unwrap_or_default()).args(words.cloned()).timeout(Duration::from_mins(1))
    }

    fn ask(&self, args: &[&str]) -> Result<String> {
        self.runner.capture(&self.spec().args(args.iter().map(ToString::to_string)))
    }

    /// Returns the first line of `--version`.
    ///
    /// # Errors
    /// [`Error::Command`] if the compiler fails.
    pub fn version(&self) -> Result<String> {
        Ok(self.ask(&["--version"])?.lines().next().unwrap_or_default().to_owned())
    }

    /// Returns the machine that it compiles for.
    ///
    /// # Errors
    /// [`Error::Musl`]; [`Error::UnsupportedTarget`] for another system that pykeel does not build for;
    /// [`Error::Command`] if the compiler fails.
    pub fn target(&self) -> Result<Target> {
        let machine = self.ask(&["-dumpmachine"])?;
        Target::from_machine(&machine).map_err(|reason| {
            if machine.contains("musl") {
                Error::Musl { evidence: reason }
            } else {
                Error::UnsupportedTarget { reason }
            }
        })
    }

    /// Returns the version of the glibc that it links, from the headers.
    ///
    /// # Errors
    /// [`Error::Musl`] if the C library is not glibc; [`Error::Command`] if the compiler fails.
    pub fn glibc(&self) -> Result<String> {
        let text = self.preprocess(&["features.h"], "__GLIBC__ __GLIBC_MINOR__\n")?;
        let last =
            text.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
        match last.split_whitespace().collect::<Vec<_>>()[..] {
            [major, minor] if major.parse::<u16>().is_ok() => Ok(format!("{major}.{minor}")),
            _ => Err(Error::Musl { evidence: format!("`{}` does not define __GLIBC__", self.words.join(" ")) }),
        }
    }

    /// Returns those of some headers that it finds, with their paths.
    ///
    /// # Errors
    /// [`Error::Command`] if it cannot preprocess a program that includes these headers.
    pub fn headers(&self, names: &[String]) -> Result<BTreeMap<String, PathBuf>> {
        use std::fmt::Write as _;
        let mut program = String::new();
        for name in names {
            // In quotes, because `linux` is a macro.
            let _ = write!(program, "#if __has_include(<{name}>)\npykeel-found \"{name}\"\n#endif\n");
        }
        let found = self.preprocess(&[], &program)?;
        let found: Vec<&str> =
            found.lines().filter_map(|line| line.strip_prefix("pykeel-found \"")?.strip_suffix('"')).collect();
        let markers = self.preprocess(&found, "")?;
        Ok(found.iter().filter_map(|name| Some(((*name).to_owned(), header_path(&markers, name)?))).collect())
    }

    /// Returns the positions of the conditions that do not hold where some headers are included.
    ///
    /// # Errors
    /// [`Error::Command`] if it cannot preprocess these headers and conditions.
    pub fn unmet(&self, headers: &[&str], conditions: &[&str]) -> Result<Vec<usize>> {
        use std::fmt::Write as _;
        let mut program = String::new();
        for (position, condition) in conditions.iter().enumerate() {
            let _ = write!(program, "#if !({condition})\npykeel-unmet {position}\n#endif\n");
        }
        let unmet = self.preprocess(headers, &program)?;
        Ok(unmet.lines().filter_map(|line| line.strip_prefix("pykeel-unmet ")?.parse().ok()).collect())
    }

    fn preprocess(&self, includes: &[&str], program: &str) -> Result<String> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("pykeel.c");
        let includes: String = includes.iter().map(|name| format!("#include <{name}>\n")).collect();
        // Some headers need others first: <editline/readline.h> takes FILE from <stdio.h>.
        fs_err::write(&file, format!("#include <stddef.h>\n{includes}{program}"))?;
        self.runner.capture(&self.spec().arg("-E").arg(file).args(self.closed.clone()))
    }

    /// Returns the directories that it searches for headers with some further options, in order.
    ///
    /// # Errors
    /// [`Error::Command`] if it cannot preprocess an empty file.
    pub fn header_directories(&self, options: &[String]) -> Result<Vec<PathBuf>> {
        let spec =
            self.spec().args(options.iter().cloned()).args(["-E", "-v", "-x", "c", "/dev/null"].map(str::to_owned));
        let mut said = Vec::new();
        let outcome = self.runner.run(&spec, &mut |_, line| said.push(line.to_owned()))?;
        if !outcome.success() {
            return Err(Error::Command {
                command: spec.command_line(),
                status: outcome.to_string(),
                output: said.join("\n"),
                log: None,
            });
        }
        Ok(searched(&said))
    }

    /// Returns the directories that it searches for libraries and its own objects, in order: those that exist, by their
    /// canonical names.
    ///
    /// # Errors
    /// [`Error::Command`] if it fails, [`Error::Io`] for a directory that cannot be opened.
    pub fn library_directories(&self, options: &[String]) -> Result<Vec<PathBuf>> {
        let words: Vec<&str> = options.iter().map(String::as_str).chain(["-print-search-dirs"]).collect();
        let answer = self.ask(&words)?;
        let list = answer.lines().find_map(|line| line.strip_prefix("libraries: ")).unwrap_or_default();
        let mut directories = Vec::new();
        for directory in list.trim_start_matches('=').split(':').map(Path::new).filter(|path| path.is_dir()) {
            let directory = fs_err::canonicalize(directory)?;
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Ok(directories)
    }

    /// Returns the directories that it searches for the programs that it runs, and for its specs, without those of
    /// [`SEARCH_PATH`]. They need not exist.
    ///
    /// # Errors
    /// [`Error::Command`] if it fails.
    pub fn program_directories(&self) -> Result<Vec<PathBuf>> {
        let answer = self.ask(&["-print-search-dirs"])?;
        let list = answer.lines().find_map(|line| line.strip_prefix("programs: ")).unwrap_or_default();
        let named = list.trim_start_matches('=').split(':').filter(|path| path.starts_with('/')).map(PathBuf::from);
        let mut directories = Vec::new();
        for directory in named {
            // `/usr/lib/gcc/x86_64-linux-gnu/12/../../../../x86_64-linux-gnu/bin/`
            let directory = fs_err::canonicalize(&directory).unwrap_or(directory);
            let known = SEARCH_PATH.split(':').any(|path| Path::new(path) == directory);
            if !known && !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Ok(directories)
    }

    /// Returns the path of a program that it runs (`cc1`, `as`, `ld`) or that belongs to it (`strip`, `objcopy`), or
    /// `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Command`] if it fails.
    pub fn program(&self, name: &str) -> Result<Option<PathBuf>> {
        let answer = self.ask(&[&format!("-print-prog-name={name}")])?;
        let path = if Path::new(&answer).is_absolute() { Some(PathBuf::from(answer)) } else { find_program(&answer) };
        Ok(path.filter(|path| path.exists()))
    }

    /// Returns the root directory of the headers and libraries that it compiles with: `/` if it has none of its own.
    ///
    /// # Errors
    /// None today: a compiler that does not know the option has no root directory of its own.
    pub fn sysroot(&self) -> Result<PathBuf> {
        let answer = match self.ask(&["-print-sysroot"]) {
            // Clang does not know this option and fails.
            Err(Error::Command { .. }) => String::new(),
            answer => answer?,
        };
        Ok(if answer.is_empty() { PathBuf::from("/") } else { PathBuf::from(answer) })
    }

    /// Returns the canonical path of a library, object or plugin by its file name, or `None` if the compiler does not
    /// find it.
    ///
    /// # Errors
    /// [`Error::Command`] if it fails, [`Error::Io`] if the path cannot be resolved.
    pub fn file(&self, file_name: &str) -> Result<Option<PathBuf>> {
        let answer = self.ask(&[&format!("-print-file-name={file_name}")])?;
        let path = Path::new(&answer);
        // It prints the bare name if it finds nothing.
        if path.is_absolute() && path.exists() { Ok(Some(fs_err::canonicalize(path)?)) } else { Ok(None) }
    }

    /// Returns its family and version.
    ///
    /// # Errors
    /// [`Error::UnknownCompiler`] if it is neither GCC nor Clang; [`Error::Command`] if it fails.
    pub fn compiler_version(&self) -> Result<CompilerVersion> {
        // Clang defines the macros of an old GCC too.
        let program =
            "#ifdef __clang__\nclang __clang_major__ __clang_minor__\n#else\ngcc __GNUC__ __GNUC_MINOR__\n#endif\n";
        let text = self.preprocess(&[], program)?;
        let last = text.lines().rev().find(|line| line.starts_with("clang ") || line.starts_with("gcc "));
        let parsed = last.and_then(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [family, major, minor] => {
                let family: CompilerFamily = family.parse().ok()?;
                Some(CompilerVersion { family, major: major.parse().ok()?, minor: minor.parse().ok()? })
            }
            _ => None,
        });
        parsed.ok_or_else(|| Error::UnknownCompiler { command: self.words.join(" ") })
    }

    /// Returns the version of the training data that it writes and reads, or `None` if it is not of GCC's kind.
    ///
    /// # Errors
    /// [`Error::Command`] if it cannot compile a program of one line with notes, [`Error::Io`] if these cannot be read.
    pub fn data_version(&self) -> Result<Option<DataVersion>> {
        let directory = tempfile::tempdir()?;
        let source = directory.path().join("pykeel.c");
        fs_err::write(&source, "int pykeel;\n")?;
        let object = directory.path().join("pykeel.o");
        self.runner.capture(&self.spec().arg("-ftest-coverage").arg("-c").arg(source).arg("-o").arg(object))?;
        match std::fs::read(directory.path().join("pykeel.gcno")) {
            Ok(notes) => Ok(gcov::notes_version(&notes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the options that limit the search for headers to some directories.
#[must_use]
pub fn closed_search(header_directories: &[PathBuf]) -> Vec<String> {
    let directories = header_directories.iter().flat_map(|path| ["-isystem".to_owned(), path.display().to_string()]);
    std::iter::once("-nostdinc".to_owned()).chain(directories).collect()
}

/// Returns the shared libraries that some programs load, the loaders included. Static programs and scripts load none.
///
/// # Errors
/// [`Error::Command`] if the loader does not find one, [`Error::Io`] if a program cannot be read.
pub fn loaded_libraries(runner: &dyn Runner, programs: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>> {
    // One process for all programs of a loader: to start one takes longer than its answer.
    const LIST: &str = r#"for program do "$0" --list "$program" || exit; done"#;
    let mut by_loader: BTreeMap<PathBuf, Vec<&PathBuf>> = BTreeMap::new();
    for program in programs {
        if elf::is_elf(program)?
            && let Some(loader) = elf::interpreter(program)?
        {
            by_loader.entry(loader).or_default().push(program);
        }
    }
    let mut libraries = BTreeSet::new();
    for (loader, programs) in by_loader {
        let spec = Spec::new("/bin/sh").args(["-c", LIST]).arg(&loader).args(programs);
        let answer = runner.capture(&spec.timeout(Duration::from_mins(1)))?;
        // `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x…)`; a library that is loaded by its path has no arrow.
        libraries.extend(answer.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
        libraries.insert(loader);
    }
    Ok(libraries)
}

/// Returns the directories in the output of `cc -E -v`, between two lines that are the same for GCC and Clang.
fn searched(lines: &[String]) -> Vec<PathBuf> {
    let start = |line: &&String| !line.starts_with("#include <...> search starts here");
    let lines = lines.iter().skip_while(start).skip(1).take_while(|line| !line.starts_with("End of search list"));
    let mut directories = Vec::new();
    for line in lines {
        let directory = PathBuf::from(line.trim());
        if directory.is_absolute() && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

/// Returns the path of an included header, from the markers `# 1 "/usr/include/zlib.h" 1` of `cc -E`.
fn header_path(markers: &str, name: &str) -> Option<PathBuf> {
    markers
        .lines()
        .filter(|line| line.starts_with("# "))
        .filter_map(|line| line.split('"').nth(1))
        .map(Path::new)
        .find(|path| path.ends_with(name))
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::System;

    fn compiler() -> Compiler<'static> {
        Compiler::find(&System, "gcc").expect("the tests need gcc")
    }

    #[test]
    fn a_path_that_the_name_leads_to_is_the_name() {
        assert_eq!(compiler_by_name("/usr/bin/gcc"), "gcc");
        assert_eq!(compiler_by_name("/usr/bin/gcc  -m64 -pipe"), "gcc -m64 -pipe");
        for other in ["gcc -m64", "/opt/gcc-14/bin/gcc", "/usr/bin/no-such-compiler", "/usr/lib/gcc"] {
            assert_eq!(compiler_by_name(other), other);
        }
    }

    #[test]
    fn this_system_is_glibc() {
        assert!(compiler().glibc().unwrap().starts_with("2."));
        assert_eq!(compiler().target().unwrap(), Target::OF_THIS_PROGRAM);
        assert!(compiler().program("cc1").unwrap().is_some_and(|path| path.is_absolute()));
        assert_eq!(compiler().program("no-such-program").unwrap(), None);
    }

    #[test]
    fn headers_are_found_or_not() {
        let names = ["stdio.h".to_owned(), "no/such/header.h".to_owned()];
        let headers = compiler().headers(&names).unwrap();
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["stdio.h"]);
        assert!(headers["stdio.h"].is_absolute());
    }

    #[test]
    fn a_library_is_found_or_not() {
        let libc = compiler().file("libc.so.6").unwrap().unwrap();
        assert!(crate::sys::elf::is_elf(&libc).unwrap());
        assert_eq!(compiler().file("libno-such.so").unwrap(), None);
    }

    #[test]
    fn the_search_for_headers_can_be_closed() {
        let lines = "ignoring x\n#include \"...\" search starts here:\n#include <...> search starts here:\n \
                     /usr/lib/gcc/x/12/include\n /usr/local/include\n /usr/include\nEnd of search list.\n /no\n";
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        let places = ["/usr/lib/gcc/x/12/include", "/usr/local/include", "/usr/include"].map(PathBuf::from);
        assert_eq!(searched(&lines), places);
        let place = tempfile::tempdir().unwrap();
        fs_err::write(place.path().join("pykeel-test.h"), "").unwrap();
        let mut compiler = compiler();
        let mut directories = compiler.header_directories(&[]).unwrap();
        compiler.close(&directories);
        assert_eq!(compiler.headers(&["stdio.h".into(), "pykeel-test.h".into()]).unwrap().len(), 1);
        directories.push(place.path().to_owned());
        compiler.close(&directories);
        assert_eq!(compiler.headers(&["stdio.h".into(), "pykeel-test.h".into()]).unwrap().len(), 2);
    }

    #[test]
    fn the_libraries_of_a_program_are_what_the_loader_says() {
        let gcc = fs_err::canonicalize("/usr/bin/as").unwrap();
        let shell = fs_err::canonicalize("/bin/sh").unwrap();
        let libraries = loaded_libraries(&System, &BTreeSet::from([gcc, shell])).unwrap();
        assert!(libraries.iter().any(|path| path.to_string_lossy().contains("libbfd")), "{libraries:?}");
        assert!(libraries.iter().any(|path| path.to_string_lossy().contains("libc.so")), "{libraries:?}");
        assert!(libraries.iter().all(|path| path.is_absolute()));
    }

    #[test]
    fn a_compiler_that_is_not_there_is_none() {
        assert!(Compiler::find(&System, "no-such-cc").is_none());
        assert!(Compiler::find(&System, "").is_none());
    }
}
