//! The inputs of a build besides the source: which packages own what the toolchain runs, loads and reads, and
//! what is named by digest because no package owns it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::toolchain::Toolchain;
use crate::domain::digest::Digest;
use crate::domain::inputs::{InputFinding, InputPackage, Inputs};
use crate::domain::plan::PlannedPackage;
use crate::error::{Error, Result};
use crate::sys::distro::{InstalledPackage, PackageChecksum, PackageContents, PackageDatabase, unmerged};
use crate::sys::fs;
use crate::sys::process::Runner;
use crate::sys::toolchain::{find_program, loaded_libraries};

/// The programs of configure and make that are no part of the toolchain.
const SHELL_TOOLS: &[&str] = &[
    "sh",
    "bash",
    "make",
    "sed",
    "grep",
    "awk",
    "cat",
    "cmp",
    "cp",
    "diff",
    "expr",
    "find",
    "install",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "pkg-config",
    "rm",
    "sort",
    "tr",
    "uname",
    "xargs",
];
/// Files of the compiler and the C library that every link reads.
const STARTUP_FILES: &[&str] = &["crt1.o", "crti.o", "crtbegin.o", "libgcc.a", "libgcc_s.so", "libc.so", "libm.so"];
/// The plugin by which the linker, ar and nm read objects of link-time optimisation.
const LINKER_PLUGIN: &str = "liblto_plugin.so";
/// Where binutils look for plugins.
const PLUGIN_DIRECTORIES: &[&str] = &["/usr/lib/bfd-plugins", "/usr/lib64/bfd-plugins"];
/// What a build can run or read of a package; documentation and translations are not in every image.
const READ: &[&str] =
    &["/usr/bin", "/usr/sbin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec"];

/// What the key and the build have to know of the inputs.
#[derive(Debug, Clone)]
pub struct ResolvedInputs {
    /// The packages in the key.
    pub packages: BTreeMap<String, PlannedPackage>,
    /// The trees in the key.
    pub trees: BTreeMap<String, Digest>,
    /// All packages of the environment, as `name:architecture=version`.
    pub environment: Vec<String>,
    /// What may be read, and where.
    pub inputs: Inputs,
}

/// Finds the inputs of a toolchain. `files` are headers and libraries that the recipe needs besides.
///
/// # Errors
/// [`Error::Unowned`] for a program, a header or a library in the directories of packages that belongs to none;
/// [`Error::Io`] and [`Error::Command`] where the database or a file cannot be read.
pub fn find(
    toolchain: &Toolchain<'_>,
    files: &[PathBuf],
    database: &dyn PackageDatabase,
    runner: &dyn Runner,
) -> Result<ResolvedInputs> {
    let trees: BTreeSet<PathBuf> = toolchain.tree.iter().chain(&toolchain.named).cloned().collect();
    let in_tree = |path: &Path| trees.iter().any(|tree| path.starts_with(tree));
    let mut read = files.to_vec();
    for name in STARTUP_FILES.iter().chain(&[LINKER_PLUGIN]) {
        read.extend(toolchain.compiler.library(name)?);
    }
    let mut run: BTreeSet<PathBuf> = BTreeSet::new();
    for program in toolchain.programs.values().cloned().chain(toolchain.compiler.library(LINKER_PLUGIN)?) {
        let program = fs_err::canonicalize(program)?;
        run.extend(loaded_libraries(runner, &program)?);
        run.insert(program);
    }
    read.extend(run);
    let mut canonical = read.iter().map(fs_err::canonicalize).collect::<Result<Vec<_>, _>>()?;
    canonical.retain(|path| !in_tree(path));
    let packages = Installed::read(database)?;
    let toolchain_roots = owners_of(&canonical, database)?;
    let mut shell = SHELL_TOOLS.iter().filter_map(|name| find_program(name)).collect::<Vec<_>>();
    shell.extend(["/etc/ld.so.preload"].map(PathBuf::from).into_iter().filter(|path| path.exists()));
    let shell = shell.iter().map(fs_err::canonicalize).collect::<Result<Vec<_>, _>>()?;
    let shell_roots = owners_of(&shell, database)?;

    let key_closure = packages.closure(&toolchain_roots);
    let all: BTreeSet<String> = &key_closure | &packages.closure(&shell_roots);
    let contents = database.contents(&all)?;
    let searched = Searched::new(toolchain);
    let in_key = |id: &String, contents: &PackageContents| {
        toolchain_roots.contains(id)
            || key_closure.contains(id) && contents.files.keys().any(|file| searched.finds(file))
    };
    let mut resolved = ResolvedInputs {
        packages: BTreeMap::new(),
        trees: BTreeMap::new(),
        environment: Vec::new(),
        inputs: Inputs {
            driver: toolchain.compiler.driver().to_owned(),
            driver_by_path: toolchain.compiler.is_named_by_path(),
            linker: toolchain.programs.get("ld").cloned().unwrap_or_default(),
            header_directories: toolchain.header_directories.clone(),
            library_directories: toolchain.library_directories.clone(),
            kept_out: toolchain.kept_out.clone(),
            plugin_directories: PLUGIN_DIRECTORIES.iter().map(PathBuf::from).filter(|path| path.is_dir()).collect(),
            trees: trees.clone(),
            packages: BTreeMap::new(),
        },
    };
    for (id, contents) in &contents {
        let in_key = in_key(id, contents);
        let version = contents.package.version.clone();
        resolved.environment.push(format!("{id}={version}"));
        if in_key {
            resolved.packages.insert(id.clone(), PlannedPackage { version, files: contents.digest() });
        }
        resolved.inputs.packages.insert(id.clone(), input_package(in_key, contents, database.reinstall(id)));
    }
    for tree in &trees {
        resolved.trees.insert(tree.display().to_string(), digest_of(tree)?);
    }
    Ok(resolved)
}

fn input_package(in_key: bool, contents: &PackageContents, reinstall: String) -> InputPackage {
    let files = contents.files.iter().filter(|(path, _)| READ.iter().any(|top| path.starts_with(top)));
    let files = files.map(|(path, sum)| (path.clone(), sum.as_ref().map(PackageChecksum::to_string)));
    InputPackage { in_key, reinstall, files: files.collect() }
}

/// Holds the files that a build may run or read against the package database: every file of the environment's
/// packages has the checksum that the database has of it, and every file in a directory where the toolchain looks
/// belongs to a package.
///
/// # Errors
/// [`Error::Unconfirmed`] with every file that is not so; [`Error::Io`] and [`Error::Command`] where the database
/// cannot be read.
pub fn confirm(inputs: &Inputs, database: &dyn PackageDatabase) -> Result<()> {
    let mut findings = altered(inputs)?;
    findings.extend(unowned(inputs, database)?);
    if findings.is_empty() {
        return Ok(());
    }
    findings.sort_by(|a, b| a.path.cmp(&b.path));
    Err(Error::Unconfirmed { findings })
}

/// The files of packages that are not what the database says.
fn altered(inputs: &Inputs) -> Result<Vec<InputFinding>> {
    let files: Vec<(&InputPackage, &PathBuf, &Option<String>)> = inputs
        .packages
        .values()
        .flat_map(|package| package.files.iter().map(move |(path, sum)| (package, path, sum)))
        .collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let check = |part: &[(&InputPackage, &PathBuf, &Option<String>)]| -> Result<Vec<InputFinding>> {
            let _cost = crate::cost::helper();
            let finding = |(package, path, sum): &(&InputPackage, &PathBuf, &Option<String>)| {
                let reason = wrong(path, sum.as_deref())?;
                Ok(reason.map(|reason| InputFinding {
                    path: (*path).clone(),
                    reason,
                    remedy: package.reinstall.clone(),
                }))
            };
            part.iter().map(finding).filter_map(Result::transpose).collect()
        };
        let running: Vec<_> = files.chunks(share).map(|part| scope.spawn(move || check(part))).collect();
        let mut findings = Vec::new();
        for worker in running {
            findings.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(findings)
    })
}

/// What is wrong with a file of a package; nothing if it is what the database says.
fn wrong(path: &Path, sum: Option<&str>) -> Result<Option<String>> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        // A name below `/usr` that is there without it alone: an unmerged system has it so.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let short = path.strip_prefix("/usr").map(|rest| Path::new("/").join(rest));
            return match short {
                Ok(short) if short.symlink_metadata().is_ok() => wrong(&short, sum),
                _ => Ok(Some("the package database has it, and it is missing".into())),
            };
        }
        // What this user cannot look at, no program of the build can read.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !metadata.is_file() {
        // Where a link leads to is confirmed by itself.
        let replaced = sum.is_some() && !metadata.is_symlink();
        return Ok(replaced.then(|| "the package database has a file of that name, and it is none".into()));
    }
    let Some(recorded) = sum.and_then(PackageChecksum::parse) else {
        return Ok(Some("the package database has no checksum of it".into()));
    };
    let found = match recorded.of_file_as(path) {
        Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        found => found?,
    };
    Ok((found != recorded).then(|| format!("it was changed: it has {found}, and the package database {recorded}")))
}

/// The files in directories where the toolchain looks that belong to no package.
fn unowned(inputs: &Inputs, database: &dyn PackageDatabase) -> Result<Vec<InputFinding>> {
    let mut files = Vec::new();
    for directory in &inputs.header_directories {
        files.extend(below(directory, usize::MAX)?);
    }
    for directory in inputs.library_directories.iter().chain(&inputs.plugin_directories) {
        files.extend(below(directory, 1)?);
    }
    // The script that keeps others out is found by the compiler's name.
    if inputs.driver_by_path {
        for directory in &inputs.kept_out {
            files.extend(below(directory, usize::MAX)?);
        }
    }
    files.retain(|file| !inputs.in_tree(file));
    // A link of `update-alternatives` belongs to nobody: what it leads to counts.
    let resolved: Vec<PathBuf> = files.iter().map(|file| fs_err::canonicalize(file).unwrap_or(file.clone())).collect();
    let owners = database.owners(&resolved)?;
    let nobodys = files.into_iter().zip(resolved).filter(|(file, resolved)| {
        // A link that leads nowhere is nothing to read. The files of a directory are judged when they are read.
        !owners.contains_key(resolved) && !inputs.in_tree(resolved) && file.exists() && !resolved.is_dir()
    });
    Ok(nobodys.map(|(path, _)| nobodys_finding(path, inputs)).collect())
}

fn nobodys_finding(path: PathBuf, inputs: &Inputs) -> InputFinding {
    let name = path.file_name();
    let named = |files: &BTreeMap<PathBuf, Option<String>>| files.keys().any(|file| file.file_name() == name);
    let owner = inputs.packages.iter().find(|(_, package)| name.is_some() && named(&package.files));
    let (reason, remedy) = match owner {
        Some((id, package)) => (
            format!("no package owns it, and the toolchain could read it in the place of the file of {id}"),
            format!("remove it, and if something is missing then: {}", package.reinstall),
        ),
        None => (
            "no package owns it, and the toolchain could read it".to_owned(),
            "remove it, or install the package that should have it".to_owned(),
        ),
    };
    InputFinding { path, reason, remedy }
}

/// The files and links below a directory.
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

/// The packages of some files.
fn owners_of(files: &[PathBuf], database: &dyn PackageDatabase) -> Result<BTreeSet<String>> {
    let owners = database.owners(files)?;
    let of = |file: &PathBuf| match owners.get(file) {
        Some(owner) => Ok(owner.id.clone()),
        None => Err(Error::Unowned { path: file.clone(), unknown: "version" }),
    };
    files.iter().map(of).collect()
}

/// The directories in which compiler and linker look.
struct Searched {
    /// With all below them, by their names below `/usr`.
    trees: Vec<PathBuf>,
    /// The files in them alone.
    directories: Vec<PathBuf>,
}

impl Searched {
    fn new(toolchain: &Toolchain<'_>) -> Self {
        let unmerged = |paths: &[PathBuf]| paths.iter().map(|path| unmerged(path)).collect();
        Self { trees: unmerged(&toolchain.header_directories), directories: unmerged(&toolchain.library_directories) }
    }

    /// Whether a file can be found there.
    fn finds(&self, file: &Path) -> bool {
        self.trees.iter().any(|tree| file.starts_with(tree) && file != tree)
            // Directories lie there as well, `/usr/lib/python3` in every second package.
            || file.extension().is_some() && file.parent().is_some_and(|parent| self.directories.iter().any(|d| d == parent))
    }
}

/// The installed packages, and which of them serves a need.
struct Installed {
    packages: BTreeMap<String, InstalledPackage>,
    by_name: HashMap<String, Vec<String>>,
    providers: HashMap<String, Vec<String>>,
}

impl Installed {
    fn read(database: &dyn PackageDatabase) -> Result<Self> {
        let mut all = Self { packages: BTreeMap::new(), by_name: HashMap::new(), providers: HashMap::new() };
        for package in database.installed()? {
            let id = package.id();
            all.by_name.entry(package.name.clone()).or_default().push(id.clone());
            for name in &package.provides {
                all.providers.entry(name.clone()).or_default().push(id.clone());
            }
            all.packages.insert(id, package);
        }
        Ok(all)
    }

    /// Some packages and all that they need.
    fn closure(&self, roots: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<&String> = roots.iter().collect();
        while let Some(id) = queue.pop() {
            let Some(package) = self.packages.get(id) else { continue };
            if found.insert(id.clone()) {
                queue.extend(package.needs.iter().filter_map(|need| self.server(need, &package.architecture)));
            }
        }
        found
    }

    /// The package that serves a need: the first alternative that is installed, of the architecture of who needs it
    /// where there are several.
    fn server(&self, alternatives: &[String], architecture: &str) -> Option<&String> {
        let pick = |ids: &'_ Vec<String>| -> Option<usize> {
            let same = ids.iter().position(|id| self.packages[id].architecture == architecture);
            same.or(if ids.is_empty() { None } else { Some(0) })
        };
        let named = |name: &String| self.by_name.get(name).and_then(|ids| Some(&ids[pick(ids)?]));
        let provided = |name: &String| self.providers.get(name).and_then(|ids| Some(&ids[pick(ids)?]));
        alternatives.iter().find_map(|name| named(name).or_else(|| provided(name)))
    }
}

/// The SHA-256 of a file, or of the names, kinds and contents in a tree.
fn digest_of(tree: &Path) -> Result<Digest> {
    let content = |path: &Path| -> Result<Digest> { Ok(Digest::of_reader(fs_err::File::open(path)?)?) };
    if !tree.is_dir() {
        return content(tree);
    }
    let mut lines = String::new();
    for entry in fs::walk(tree)? {
        let what = match &entry.kind {
            fs::Kind::Directory => "directory".to_owned(),
            fs::Kind::File { executable, .. } => format!("file {executable} {}", content(&tree.join(&entry.path))?),
            fs::Kind::Symlink(target) => format!("link {}", target.display()),
            fs::Kind::Other => "other".to_owned(),
        };
        let _ = writeln!(lines, "{}\0{what}", entry.path.display());
    }
    Ok(Digest::of(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[&[&str]], provides: &[&str]) -> InstalledPackage {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        InstalledPackage {
            name: name.to_owned(),
            architecture: "amd64".into(),
            version: "1".into(),
            needs: needs.iter().map(|list| words(list)).collect(),
            provides: words(provides),
        }
    }

    #[test]
    fn a_closure_has_what_serves_each_need_once() {
        let mut all = Installed { packages: BTreeMap::new(), by_name: HashMap::new(), providers: HashMap::new() };
        for package in [
            package("gcc", &[&["cpp"], &["no-such", "libc-dev"], &["gcc"]], &[]),
            package("cpp", &[], &[]),
            package("libc6-dev", &[&["cpp"]], &["libc-dev"]),
            package("unrelated", &[&["gcc"]], &[]),
        ] {
            let id = package.id();
            all.by_name.entry(package.name.clone()).or_default().push(id.clone());
            for name in &package.provides {
                all.providers.entry(name.clone()).or_default().push(id.clone());
            }
            all.packages.insert(id, package);
        }
        let closure = all.closure(&BTreeSet::from(["gcc:amd64".to_owned()]));
        assert_eq!(closure.into_iter().collect::<Vec<_>>(), ["cpp:amd64", "gcc:amd64", "libc6-dev:amd64"]);
    }

    #[test]
    fn a_tree_is_another_with_another_name_content_or_link() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a");
        fs_err::write(&file, "1").unwrap();
        let first = digest_of(place.path()).unwrap();
        assert_eq!(digest_of(place.path()).unwrap(), first);
        fs_err::write(&file, "2").unwrap();
        let second = digest_of(place.path()).unwrap();
        assert_ne!(second, first);
        fs_err::rename(&file, place.path().join("b")).unwrap();
        let third = digest_of(place.path()).unwrap();
        assert_ne!(third, second);
        fs_err::os::unix::fs::symlink("b", &file).unwrap();
        assert_ne!(digest_of(place.path()).unwrap(), third);
    }
}
