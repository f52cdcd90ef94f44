//! The compiler of a build: a script ahead on the search path. It limits the compiler to the directories of the plan,
//! and records every file that compiler and linker read. The records are compared with the plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::inputs::{InputFinding, InputPackage, Inputs};
use crate::domain::plan::BuildPlan;
use crate::error::{Error, Result};
use crate::sys::distro::unmerged;
use crate::sys::fs;
use crate::sys::process::{Runner, Spec};
use crate::sys::toolchain::closed_search;

/// The environment variable with the directory of the records.
const READS: &str = "RECORDED_READS";
/// The environment variable with the directory of the compiler's temporary files.
const TEMPORARY: &str = "RECORDED_TMPDIR";
/// The environment variable with the path of the compiler's launcher.
pub(super) const LAUNCHER: &str = "RECORDED_LAUNCHER";

/// The script and the directory of its records.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    /// The directory with the script, which has the compiler's name.
    programs: PathBuf,
    script: PathBuf,
    reads: PathBuf,
    temporary: PathBuf,
}

impl Recorder {
    /// Writes the script into a work directory.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, [`Error::Command`] if `ld --help` fails.
    pub(super) fn create(plan: &BuildPlan, work: &Path, runner: &dyn Runner) -> Result<Self> {
        let top = work.join("compiler");
        let name = plan.inputs.driver.file_name().unwrap_or_else(|| "gcc".as_ref());
        let recorder = Self {
            programs: top.join("bin"),
            script: top.join("bin").join(name),
            reads: top.join("reads"),
            temporary: top.join("tmp"),
        };
        for directory in [&recorder.programs, &recorder.reads, &recorder.temporary] {
            fs_err::create_dir_all(directory)?;
        }
        let hidden = hide(plan, &top.join("hidden"))?;
        if plan.inputs.driver_by_path {
            link_archivers(&plan.inputs.driver, &recorder.programs)?;
        }
        let text = script(&plan.inputs, &hidden, writes_dependencies(&plan.inputs, runner)?);
        fs_err::write(&recorder.script, text)?;
        fs_err::set_permissions(&recorder.script, PermissionsExt::from_mode(0o755))?;
        Ok(recorder)
    }

    /// Returns the environment of programs that start the compiler: the plan's, with the script ahead on the search
    /// path.
    pub(super) fn environment(&self, plan: &BTreeMap<String, OsString>) -> BTreeMap<String, OsString> {
        let mut environment = plan.clone();
        let mut path = self.programs.clone().into_os_string();
        if let Some(planned) = plan.get("PATH") {
            path.push(":");
            path.push(planned);
        }
        environment.insert("PATH".into(), path);
        environment.insert(READS.into(), self.reads.clone().into());
        environment.insert(TEMPORARY.into(), self.temporary.clone().into());
        environment
    }

    /// The directory of the compiler's temporary files.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// The script, which replaces a compiler that is named by its path.
    pub(super) fn script(&self) -> &Path {
        &self.script
    }

    /// Compares every file that was read since the last check with the plan.
    ///
    /// # Errors
    /// [`Error::UnplannedRead`] with every file that is neither in the work directory nor of a package or a tree in the
    /// plan; [`Error::Io`] if a record cannot be read.
    pub(super) fn check(&self, inputs: &Inputs, work: &Path) -> Result<()> {
        let work = fs_err::canonicalize(work)?;
        let owners = Owners::new(inputs);
        let findings: Vec<InputFinding> =
            self.read_files()?.into_iter().filter_map(|path| unplanned(path, &owners, inputs, &work)).collect();
        if !findings.is_empty() {
            return Err(Error::UnplannedRead { findings });
        }
        fs_err::remove_dir_all(&self.reads)?;
        Ok(fs_err::create_dir(&self.reads)?)
    }

    /// Returns every file that a record names.
    fn read_files(&self) -> Result<BTreeSet<PathBuf>> {
        let mut files = BTreeSet::new();
        for entry in fs_err::read_dir(&self.reads)? {
            let path = entry?.path();
            let named = match path.extension().and_then(|extension| extension.to_str()) {
                Some("d") => prerequisites(&fs::lossy_text(&path)?),
                Some("map") => loaded(&fs::lossy_text(&path)?),
                _ => continue,
            };
            let directory = PathBuf::from(fs::lossy_text(&path.with_extension("cwd"))?);
            files.extend(named.into_iter().map(|name| directory.join(name)));
        }
        Ok(files)
    }
}

/// Compares one file that the build is going to read with the plan.
///
/// # Errors
/// [`Error::UnplannedRead`] if the plan does not cover it, [`Error::Io`] if the work directory cannot be opened.
pub(super) fn check_file(path: &Path, inputs: &Inputs, work: &Path) -> Result<()> {
    match unplanned(path.to_owned(), &Owners::new(inputs), inputs, &fs_err::canonicalize(work)?) {
        None => Ok(()),
        Some(finding) => Err(Error::UnplannedRead { findings: vec![finding] }),
    }
}

/// The package of each file of the environment, and whether it is in the build key.
struct Owners<'a>(HashMap<&'a Path, (&'a str, bool)>);

impl<'a> Owners<'a> {
    fn new(inputs: &'a Inputs) -> Self {
        let of = |(id, package): (&'a String, &'a InputPackage)| {
            let in_key = package.in_key;
            package.files.keys().map(move |file| (file.as_path(), (id.as_str(), in_key)))
        };
        Self(inputs.packages.iter().flat_map(of).collect())
    }
}

/// The directories of placeholders that replace hidden headers and libraries.
#[derive(Debug, Default)]
struct Hidden {
    headers: Option<PathBuf>,
    libraries: Option<PathBuf>,
}

/// Makes unusable headers and libraries that are found first, so that configure finds none.
fn hide(plan: &BuildPlan, place: &Path) -> Result<Hidden> {
    let mut hidden = Hidden::default();
    for name in &plan.hidden_headers {
        let directory = place.join("include");
        fs::write_in_place(&directory.join(name), "#error the recipe hides this header\n")?;
        hidden.headers = Some(directory);
    }
    for name in &plan.hidden_libraries {
        let directory = place.join("lib");
        // A linker script that names a missing file.
        fs::write_in_place(&directory.join(format!("lib{name}.so")), "INPUT(hidden-by-the-recipe)\n")?;
        hidden.libraries = Some(directory);
    }
    Ok(hidden)
}

/// Links GCC's archivers beside the script of a compiler that is named by its path: recipes derive their names from
/// the compiler's.
fn link_archivers(driver: &Path, programs: &Path) -> Result<()> {
    let name = driver.file_name().unwrap_or_default().to_string_lossy();
    for tool in ["ar", "nm", "ranlib"] {
        let name = name.replacen("gcc", &format!("gcc-{tool}"), 1);
        let program = driver.with_file_name(&name);
        if program != driver && program.exists() {
            fs_err::os::unix::fs::symlink(program, programs.join(name))?;
        }
    }
    Ok(())
}

/// Returns why a file must not be read, or `None` if the plan covers it.
fn unplanned(path: PathBuf, owners: &Owners<'_>, inputs: &Inputs, work: &Path) -> Option<InputFinding> {
    if ["/dev/null", "/dev/stdin"].iter().any(|device| path == Path::new(device)) {
        return None;
    }
    // A temporary file of the work directory may have been removed.
    let resolved = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    if resolved.starts_with(work) || inputs.in_tree(&resolved) {
        return None;
    }
    let reason = match owners.0.get(unmerged(&resolved).as_path()) {
        Some((_, true)) => return None,
        Some((id, false)) => format!("it belongs to {id}, which is not in the build key"),
        None => "it belongs to no package of the plan".to_owned(),
    };
    let remedy =
        "build on a host without it, or name its directory with -I in CFLAGS or -L in LDFLAGS, so that the plan \
                  has its digest"
            .to_owned();
    Some(InputFinding { path, reason, remedy })
}

/// Whether the linker can list what it read as a rule of make. Older linkers write a map instead.
fn writes_dependencies(inputs: &Inputs, runner: &dyn Runner) -> Result<bool> {
    let Some(linker) = inputs.programs.get("ld") else { return Ok(false) };
    let spec = Spec::new(linker).arg("--help").environment([("LC_ALL", "C.UTF-8")]);
    Ok(runner.capture(&spec.timeout(Duration::from_mins(1)))?.contains("--dependency-file"))
}

/// The script; [`script`] fills the places in it.
const SCRIPT: &str = r#"#!/bin/sh
# The compiler of this build. It searches for headers and libraries in the directories of the plan only, and
# records what it reads.
input= link=1 rule=1 drop=
for word do
  case $word in
    @kept_out@) drop=1 ;;
    -c | -S | -E | -fsyntax-only) link= ;;
    -M | -MM) link= rule= ;;
    -) input=1 ;;
    -* | @*) ;;
    *.[cCiSsoa] | *.cc | *.cpp | *.so) input=1 ;;
  esac
done
if [ -n "$drop" ]; then
  for word do
    shift
    case $word in
      @kept_out@) ;;
      *) set -- "$@" "$word" ;;
    esac
  done
fi
if [ -n "$input" ]; then
  record=@reads@/$$
  while [ -e "$record.cwd" ]; do record=${record}x; done
  printf %s "$PWD" > "$record.cwd"
  if [ -n "$rule" ]; then set -- "$@" -MD -MF "$record.d"; fi
  if [ -n "$link" ]; then
    printf %s "$PWD" > "$record.link.cwd"
    set -- "$@" @link@
  fi
fi
TMPDIR=@temporary@ exec @launcher@ @driver@ "$@" @search@
"#;

/// Returns the script: the compiler with further options. Each process of it writes records of its own.
fn script(inputs: &Inputs, hidden: &Hidden, dependencies: bool) -> String {
    let mut search: String = closed_search(&inputs.header_directories).iter().map(|word| quoted(word) + " ").collect();
    if inputs.header_directories.is_empty() {
        search.clear();
    }
    if let Some(directory) = &hidden.headers {
        search.insert_str(0, &format!("-isystem {} ", quoted(&directory.display().to_string())));
    }
    // The linker searches the directories of the plan only, and those first for dependencies of shared libraries.
    let places: Vec<String> = inputs.library_directories.iter().map(|path| path.display().to_string()).collect();
    let mut link = String::new();
    if !places.is_empty() {
        let _ = write!(link, "-Wl,-nostdlib {} ", quoted(&format!("-Wl,-rpath-link,{}", places.join(":"))));
    }
    if let Some(directory) = &hidden.libraries {
        let _ = write!(link, "{} ", quoted(&format!("-L{}", directory.display())));
    }
    link.push_str(if dependencies {
        r#""-Wl,--dependency-file=$record.link.d""#
    } else {
        r#""-Wl,-Map=$record.link.map""#
    });
    // setup.py up to 3.11 adds them on its own.
    let kept_out =
        inputs.kept_out.iter().flat_map(|path| ["-I", "-L"].map(|option| format!("{option}{}", path.display())));
    let kept_out: Vec<String> = kept_out.map(|word| quoted(&word)).collect();
    // A pattern that matches nothing where there is none.
    let kept_out = if kept_out.is_empty() { "-I-".to_owned() } else { kept_out.join(" | ") };
    let driver =
        if inputs.driver.as_os_str().is_empty() { "/usr/bin/gcc".into() } else { inputs.driver.display().to_string() };
    let fillings = [
        ("@kept_out@", kept_out),
        ("@link@", link),
        ("@search@", search),
        ("@driver@", quoted(&driver)),
        ("@reads@", format!("${READS}")),
        ("@temporary@", format!("${TEMPORARY}")),
        ("@launcher@", format!("${LAUNCHER}")),
    ];
    fillings.iter().fold(SCRIPT.to_owned(), |text, (place, value)| text.replace(place, value))
}

/// Returns a word, quoted for a shell.
fn quoted(word: &str) -> String {
    // A path has no NUL, the one thing that cannot be quoted.
    shlex::try_quote(word).map_or_else(|_nul| word.to_owned(), std::borrow::Cow::into_owned)
}

/// Returns the prerequisites of make rules, in the form that compilers and linkers write.
fn prerequisites(rules: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut characters =
        rules.replace("\\\r\n", " ").replace("\\\n", " ").chars().collect::<Vec<_>>().into_iter().peekable();
    let mut end = |name: &mut String| {
        // A word that ends with a colon is a target.
        if !name.is_empty() && !name.ends_with(':') {
            names.push(name.clone());
        }
        name.clear();
    };
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some(&next @ (' ' | '#' | ':' | '\\'))) | ('$', Some(&next @ '$')) => {
                name.push(next);
                characters.next();
            }
            (character, _) if character.is_whitespace() => end(&mut name),
            (character, _) => name.push(character),
        }
    }
    end(&mut name);
    names
}

/// Returns the files that a linker loaded, by its map.
fn loaded(map: &str) -> Vec<String> {
    map.lines().filter_map(|line| line.strip_prefix("LOAD ")).map(|name| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::System;

    #[test]
    fn rules_and_maps_name_what_was_read() {
        let rule = "a.o: a.c /usr/include/stdio.h \\\n /with\\ space.h $$x.h\n\n/usr/include/stdio.h:\n";
        assert_eq!(prerequisites(rule), ["a.c", "/usr/include/stdio.h", "/with space.h", "$x.h"]);
        let map = "Archive member included\nLOAD /usr/lib/crt1.o\nLOAD a.o\nSTART GROUP\nLOAD /usr/lib/libc.so.6\n";
        assert_eq!(loaded(map), ["/usr/lib/crt1.o", "a.o", "/usr/lib/libc.so.6"]);
    }

    /// The inputs of this system's compiler with one header of the C library.
    fn inputs() -> Inputs {
        Inputs {
            driver: "/usr/bin/gcc".into(),
            programs: BTreeMap::from([("ld".into(), "/usr/bin/ld".into())]),
            header_directories: crate::sys::toolchain::Compiler::find(&System, "gcc")
                .unwrap()
                .header_directories(&[])
                .unwrap()
                .into_iter()
                .filter(|path| !path.starts_with("/usr/local"))
                .collect(),
            ..Inputs::default()
        }
    }

    #[test]
    fn what_the_script_compiles_is_recorded_and_checked() {
        let work = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (source, header) = (work.path().join("a.c"), elsewhere.path().join("other.h"));
        fs_err::write(&header, "").unwrap();
        fs_err::write(&source, "#include <stddef.h>\nint main(void) { return 0; }\n").unwrap();
        let mut plan = crate::domain::plan::tests::plan();
        let mut inputs = inputs();
        plan.hidden_headers = vec!["readline/readline.h".into()];
        plan.hidden_libraries = vec!["readline".into()];
        inputs.kept_out = vec![elsewhere.path().to_owned()];
        plan.inputs = std::sync::Arc::new(inputs.clone());
        let recorder = Recorder::create(&plan, work.path(), &System).unwrap();
        let environment = recorder.environment(&BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]));
        let run = |args: &[&str]| {
            let spec = Spec::new(recorder.script()).directory(work.path()).environment(environment.clone());
            System.capture(&spec.args(args.iter().copied())).unwrap()
        };
        assert!(run(&["--version"]).contains("gcc"));
        assert_eq!(recorder.read_files().unwrap().len(), 0);
        run(&["a.c", "-o", "a"]);
        let read = recorder.read_files().unwrap();
        assert!(read.iter().any(|path| path.ends_with("stddef.h")), "{read:?}");
        assert!(read.iter().any(|path| path.to_string_lossy().contains("libc.so")), "{read:?}");
        // Hidden headers and libraries are not found, and directories that are kept out are not searched.
        fs_err::write(work.path().join("h.c"), "#include <readline/readline.h>\n").unwrap();
        let spec = |args: &[&str]| {
            let spec = Spec::new(recorder.script()).directory(work.path()).environment(environment.clone());
            System.capture(&spec.args(args.iter().copied()))
        };
        assert!(spec(&["-E", "h.c"]).unwrap_err().to_string().contains("-E"));
        assert!(spec(&["a.c", "-lreadline", "-o", "b"]).is_err());
        fs_err::write(elsewhere.path().join("stddef.h"), "#error kept out\n").unwrap();
        spec(&[&format!("-I{}", elsewhere.path().display()), "-c", "a.c"]).unwrap();
        // No package is in the inputs. Only files in the work directory are allowed.
        let Err(Error::UnplannedRead { findings }) = recorder.check(&inputs, work.path()) else { panic!() };
        assert!(findings.iter().all(|finding| !finding.path.ends_with("a.c")), "{findings:?}");
        let files = findings.iter().map(|finding| (unmerged(&fs_err::canonicalize(&finding.path).unwrap()), None));
        let package = InputPackage { in_key: true, reinstall: String::new(), files: files.collect() };
        inputs.packages.insert("all:amd64".into(), package);
        recorder.check(&inputs, work.path()).unwrap();
        // A header outside the work directory and the packages is refused.
        fs_err::write(&source, format!("#include \"{}\"\n", header.display())).unwrap();
        run(&["-c", "a.c", "-o", "a.o"]);
        let Err(Error::UnplannedRead { findings }) = recorder.check(&inputs, work.path()) else { panic!() };
        assert_eq!(findings.iter().map(|finding| &finding.path).collect::<Vec<_>>(), [&header]);
        inputs.trees.insert(elsewhere.path().to_owned());
        recorder.check(&inputs, work.path()).unwrap();
        // A package that is in the environment and not in the key may not be read.
        inputs.packages.get_mut("all:amd64").unwrap().in_key = false;
        recorder.check(&inputs, work.path()).unwrap();
        fs_err::write(&source, "#include <stddef.h>\n").unwrap();
        run(&["-c", "a.c", "-o", "a.o"]);
        assert!(recorder.check(&inputs, work.path()).is_err());
    }
}
