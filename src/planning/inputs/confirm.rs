//! Compares the files that a build may run or read with the package database.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{input_package, loaded};
use crate::domain::inputs::{InputFinding, InputPackage, Inputs};
use crate::error::{Error, Result};
use crate::sys::distro::{PackageChecksum, PackageDatabase, unmerged};
use crate::sys::process::Runner;
use crate::sys::process::SEARCH_PATH;

/// Programs that configure or make run if they are installed, in addition to those of the environment's packages.
const RUN_IF_THERE: &[&str] = &["gcc-ar", "gcc-nm", "gcc-ranlib", "git", "hg", "python3", "svnversion"];

/// Compares the files that a build may run or read with the package database: every file of the environment's
/// packages must have its recorded checksum, and every file that the toolchain can find in its directories, or the
/// shell on the search path, must belong to a package.
///
/// # Errors
/// [`Error::Unconfirmed`] with every file that fails this; [`Error::Io`] and [`Error::Command`] if the database or a
/// file cannot be read.
pub fn confirm(inputs: &Inputs, database: &dyn PackageDatabase) -> Result<()> {
    let mut findings = altered(inputs)?;
    findings.extend(unowned(inputs, database)?);
    findings.extend(compare(&further_programs(), inputs, database)?.findings);
    if findings.is_empty() {
        return Ok(());
    }
    findings.sort_by(|a, b| a.path.cmp(&b.path));
    findings.dedup();
    Err(Error::Unconfirmed { findings })
}

/// Compares a compiler launcher and the libraries that it loads with the package database, and returns those that no
/// package owns. None of them is in the build key: a launcher decides no byte unless it is altered.
///
/// # Errors
/// [`Error::Unconfirmed`] with every file that differs from its package; [`Error::Io`] and [`Error::Command`] if the
/// database or a file cannot be read.
pub fn confirm_launcher(
    launcher: &Path,
    inputs: &Inputs,
    database: &dyn PackageDatabase,
    runner: &dyn Runner,
) -> Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> =
        loaded(&[launcher.to_owned()], runner)?.iter().map(fs_err::canonicalize).collect::<Result<_, _>>()?;
    let Compared { findings, unowned } = compare(&files, inputs, database)?;
    if findings.is_empty() { Ok(unowned) } else { Err(Error::Unconfirmed { findings }) }
}

/// Some files beside the packages that own them.
struct Compared {
    /// Those that differ from their packages.
    findings: Vec<InputFinding>,
    /// Those that no package owns.
    unowned: Vec<PathBuf>,
}

/// Compares files, by their canonical paths, with the packages that own them.
fn compare(files: &[PathBuf], inputs: &Inputs, database: &dyn PackageDatabase) -> Result<Compared> {
    let owners = database.owners(files)?;
    let names: BTreeSet<PathBuf> = files.iter().map(|file| unmerged(file)).collect();
    let contents = database.contents(&owners.values().map(|owner| owner.id.clone()).collect())?;
    let packages = contents.iter().map(|(id, contents)| {
        let mut package = input_package(false, contents, database.reinstall(id));
        package.files.retain(|file, _| names.contains(file));
        (id.clone(), package)
    });
    let findings = altered(&Inputs { packages: packages.collect(), ..inputs.clone() })?;
    Ok(Compared { findings, unowned: files.iter().filter(|file| !owners.contains_key(*file)).cloned().collect() })
}

/// The canonical paths of the programs of [`RUN_IF_THERE`] that are there. Their packages are not those of the
/// environment, whose files are all compared.
fn further_programs() -> Vec<PathBuf> {
    let places = SEARCH_PATH.split(':').flat_map(|directory| {
        RUN_IF_THERE.iter().filter_map(move |name| fs_err::canonicalize(Path::new(directory).join(name)).ok())
    });
    places.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A file of a package, with its recorded checksum.
type Recorded<'a> = (&'a InputPackage, &'a PathBuf, &'a Option<String>);

/// Returns the files of packages that differ from the database.
fn altered(inputs: &Inputs) -> Result<Vec<InputFinding>> {
    let packages = inputs.packages.values();
    let files = packages.flat_map(|package| package.files.iter().map(move |(path, sum)| (package, path, sum)));
    let files: Vec<Recorded<'_>> = files.collect();
    let check = |(package, path, sum): &Recorded<'_>| -> Result<Option<InputFinding>> {
        let reason = wrong(path, sum.as_deref(), inputs)?;
        Ok(reason.map(|reason| InputFinding { path: (*path).clone(), reason, remedy: package.reinstall.clone() }))
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        // Each thread takes every n-th file: the large files of a compiler are next to each other.
        let share = |worker: usize| {
            let (files, check) = (&files, &check);
            move || -> Result<Vec<InputFinding>> {
                let _cost = crate::cost::helper();
                files.iter().skip(worker).step_by(workers).map(check).filter_map(Result::transpose).collect()
            }
        };
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(share(worker))).collect();
        let mut findings = Vec::new();
        for worker in running {
            findings.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(findings)
    })
}

/// Returns how a file of a package differs from the database, or `None` if it is the same.
fn wrong(path: &Path, sum: Option<&str>, inputs: &Inputs) -> Result<Option<String>> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        // The names are those below `/usr`. On a system without a merged `/usr` the file is at the short name.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let short = path.strip_prefix("/usr").map(|rest| Path::new("/").join(rest));
            return match short {
                Ok(short) if short.symlink_metadata().is_ok() => wrong(&short, sum, inputs),
                // Slim images leave out files that no tool of a build looks for, such as character sets.
                _ if !is_looked_for(path, inputs) => Ok(None),
                _ => Ok(Some("it is missing, and the package database has it".into())),
            };
        }
        // A file that this user cannot look up, no program of the build can read.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !metadata.is_file() {
        // The target of a link is compared as a file of its own.
        let replaced = sum.is_some() && !metadata.is_symlink();
        return Ok(replaced.then(|| "it is not a regular file, and in the package database it is one".into()));
    }
    let Some(recorded) = sum.and_then(PackageChecksum::parse) else {
        return Ok(Some("the package database has no checksum of it".into()));
    };
    let found = match recorded.of_file_as(path) {
        Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            // A program can be executable without being readable.
            let runs = metadata.permissions().mode() & 0o111 != 0;
            return Ok(runs.then(|| "it is executable and not readable, so its checksum cannot be compared".into()));
        }
        found => found?,
    };
    let changed = || format!("it was changed: its checksum is {found}, the package database has {recorded}");
    Ok((found != recorded).then(changed))
}

/// Whether compiler, linker or shell would search for a file of this name.
fn is_looked_for(path: &Path, inputs: &Inputs) -> bool {
    let directories = inputs.library_directories.iter().chain(&inputs.program_directories);
    ["/usr/bin", "/usr/sbin", "/usr/include"].iter().any(|top| path.starts_with(top))
        || directories.map(|directory| unmerged(directory)).any(|directory| path.parent() == Some(&directory))
}

/// Returns the files that compiler, linker or shell could find and that belong to no package.
fn unowned(inputs: &Inputs, database: &dyn PackageDatabase) -> Result<Vec<InputFinding>> {
    let own = OwnNames::new(inputs);
    let mut files = Vec::new();
    for directory in &inputs.header_directories {
        files.extend(below(directory, usize::MAX)?);
    }
    for directory in &inputs.library_directories {
        files.extend(below(directory, 1)?.into_iter().filter(|file| own.is_linked(file)));
    }
    for directory in inputs.program_directories.iter().filter(|directory| directory.is_dir()) {
        files.extend(below(directory, 1)?);
    }
    // With a merged /usr a directory has two names.
    let search_path = SEARCH_PATH.split(':').filter_map(|directory| fs_err::canonicalize(directory).ok());
    for directory in search_path.collect::<BTreeSet<_>>() {
        files.extend(below(&directory, 1)?.into_iter().filter(|file| own.is_run(file)));
    }
    // Configure starts a compiler that is named by its path without the script that keeps `/usr/local` out.
    if inputs.driver_by_path {
        for directory in inputs.kept_out.iter().filter(|directory| directory.is_dir()) {
            if directory.ends_with("include") {
                files.extend(below(directory, usize::MAX)?);
            } else {
                files.extend(below(directory, 1)?.into_iter().filter(|file| own.is_linked(file)));
            }
        }
    }
    files.retain(|file| !inputs.in_tree(file));
    // A dangling link cannot be read. The files below a linked directory are checked when they are read.
    let files: Vec<(PathBuf, PathBuf)> = files
        .into_iter()
        .filter_map(|file| Some((fs_err::canonicalize(&file).ok()?, file)))
        .filter(|(resolved, _)| !resolved.is_dir() && !inputs.in_tree(resolved))
        .map(|(resolved, file)| (file, resolved))
        .collect();
    let all: Vec<PathBuf> = files.iter().flat_map(|(file, resolved)| [file.clone(), resolved.clone()]).collect();
    let owners = database.owners(&all)?;
    let is_confirmed = |file: &Path, resolved: &Path| {
        owners.contains_key(resolved) && (owners.contains_key(file) || is_made_by_the_system(file, resolved))
    };
    let strangers = files.into_iter().filter(|(file, resolved)| !is_confirmed(file, resolved));
    Ok(strangers.map(|(path, _)| own.finding(path)).collect())
}

/// Whether a path that no package owns is another name of an owned file: another name of its directory, a link of
/// `update-alternatives`, or a link of `ldconfig`, whose name is the beginning of its target's name.
fn is_made_by_the_system(file: &Path, resolved: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
    let parent = file.parent().and_then(|parent| fs_err::canonicalize(parent).ok()).unwrap_or_default();
    let is_spelling = parent.join(file.file_name().unwrap_or_default()) == resolved;
    let alternative = std::fs::read_link(file).is_ok_and(|target| target.starts_with("/etc/alternatives"));
    let is_library = file.to_string_lossy().contains(".so.");
    is_spelling || alternative || is_library && name(resolved).starts_with(&name(file))
}

/// The names of the files of the environment's packages, to recognise a file that could be read in place of one.
struct OwnNames<'a> {
    names: BTreeMap<&'a OsStr, (&'a str, &'a InputPackage)>,
    programs: BTreeSet<&'a OsStr>,
}

impl<'a> OwnNames<'a> {
    fn new(inputs: &'a Inputs) -> Self {
        let mut own = Self { names: BTreeMap::new(), programs: RUN_IF_THERE.iter().map(OsStr::new).collect() };
        for (id, package) in &inputs.packages {
            for file in package.files.keys() {
                let Some(name) = file.file_name() else { continue };
                own.names.entry(name).or_insert((id, package));
                if file.starts_with("/usr/bin") || file.starts_with("/usr/sbin") {
                    own.programs.insert(name);
                }
            }
        }
        own
    }

    /// Whether a linker or compiler would read a file of a library directory: by the ending of libraries, start-up
    /// objects and specs, or because it has the name of a file of the environment.
    fn is_linked(&self, file: &Path) -> bool {
        let name = file.file_name().unwrap_or_default();
        let text = name.to_string_lossy();
        let endings = [".a", ".o", ".so", "-ld", "specs"];
        endings.iter().any(|ending| text.ends_with(ending)) || self.names.contains_key(name)
    }

    /// Whether configure or make would run a program of this name.
    fn is_run(&self, file: &Path) -> bool {
        file.file_name().is_some_and(|name| self.programs.contains(name))
    }

    /// Describes a file without an owner, and what to do about it.
    fn finding(&self, path: PathBuf) -> InputFinding {
        let owner = path.file_name().and_then(|name| self.names.get(name));
        let (reason, remedy) = match owner {
            Some((id, package)) => (
                format!("no package owns it, and the build could read it in place of the file of {id}"),
                format!("remove it; if a file is missing afterwards, run {}", package.reinstall),
            ),
            None => (
                "no package owns it, and the build could read it".to_owned(),
                "remove it, or install the package that should have it".to_owned(),
            ),
        };
        InputFinding { path, reason, remedy }
    }
}

/// Returns the files and links below a directory, to a depth.
fn below(directory: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(directory).min_depth(1).max_depth(depth) {
        let entry = entry.map_err(std::io::Error::from)?;
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}
