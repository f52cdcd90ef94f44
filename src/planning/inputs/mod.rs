//! The inputs of a build in addition to the source: the packages that own what the toolchain runs, loads and reads,
//! and the trees that the plan names by digest because no package owns them.

mod closure;
mod confirm;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::closure::Installed;
pub use self::confirm::{confirm, confirm_launcher};
use self::tree::digest_of;
use super::toolchain::Toolchain;
use crate::domain::digest::Digest;
use crate::domain::inputs::{InputFinding, InputPackage, Inputs};
use crate::domain::plan::PlannedPackage;
use crate::error::{Error, Result};
use crate::sys::distro::{PackageChecksum, PackageContents, PackageDatabase, unmerged};
use crate::sys::process::Runner;
use crate::sys::toolchain::{find_program, loaded_libraries};

/// The programs that configure and make run and that are not part of the toolchain.
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
/// The plugin with which ld, ar and nm read objects of link-time optimisation.
const LINKER_PLUGIN: &str = "liblto_plugin.so";
/// The directories in which binutils look for plugins.
const PLUGIN_DIRECTORIES: &[&str] = &["/usr/lib/bfd-plugins", "/usr/lib64/bfd-plugins"];
/// The directories whose files a build can run or read. Slim images lack others, such as documentation.
const READ: &[&str] = &[
    "/usr/bin",
    "/usr/sbin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/share/pkgconfig",
    "/usr/share/terminfo",
];

/// The inputs, as the plan and the build need them.
#[derive(Debug, Clone)]
pub struct ResolvedInputs {
    /// The packages in the build key.
    pub packages: BTreeMap<String, PlannedPackage>,
    /// The trees in the build key, by their paths.
    pub trees: BTreeMap<String, Digest>,
    /// All packages of the environment, sorted, as `name:architecture=version`.
    pub environment: Vec<String>,
    /// The files that the build may read, and where they are.
    pub inputs: Inputs,
}

/// Finds the inputs of a toolchain. `files` are the headers and libraries that the recipe needs.
///
/// # Errors
/// [`Error::Unconfirmed`] for programs, headers and libraries that belong to no package and to no tree of the plan;
/// [`Error::Io`] and [`Error::Command`] if the database or a file cannot be read.
pub fn find(
    toolchain: &Toolchain<'_>,
    files: &[PathBuf],
    database: &dyn PackageDatabase,
    runner: &dyn Runner,
) -> Result<ResolvedInputs> {
    let trees: BTreeSet<PathBuf> = toolchain.tree.iter().chain(&toolchain.named).cloned().collect();
    let roots = Roots::find(toolchain, files, &trees, database, runner)?;
    let packages = Installed::read(database)?;
    let key_closure = packages.closure(&roots.toolchain);
    let contents = database.contents(&(&key_closure | &packages.closure(&roots.shell)))?;
    let searched = Searched::new(toolchain);
    let mut resolved = ResolvedInputs {
        packages: BTreeMap::new(),
        trees: BTreeMap::new(),
        environment: contents.iter().map(|(id, contents)| format!("{id}={}", contents.package.version)).collect(),
        inputs: inputs_of(toolchain, &trees),
    };
    for (id, contents) in &contents {
        let in_key = roots.toolchain.contains(id)
            || key_closure.contains(id) && contents.files.keys().any(|file| searched.finds(file));
        if in_key {
            let files = Digest::of_json(&(contents.digest(), searched.links(contents)));
            resolved.packages.insert(id.clone(), PlannedPackage { version: contents.package.version.clone(), files });
        }
        resolved.inputs.packages.insert(id.clone(), input_package(in_key, contents, database.reinstall(id)));
    }
    for tree in &trees {
        resolved.trees.insert(tree.display().to_string(), digest_of(tree)?);
    }
    Ok(resolved)
}

/// The packages of the files that a build runs or reads directly. The others are their dependencies.
struct Roots {
    toolchain: BTreeSet<String>,
    shell: BTreeSet<String>,
}

impl Roots {
    fn find(
        toolchain: &Toolchain<'_>,
        files: &[PathBuf],
        trees: &BTreeSet<PathBuf>,
        database: &dyn PackageDatabase,
        runner: &dyn Runner,
    ) -> Result<Self> {
        let mut read = files.to_vec();
        for name in STARTUP_FILES {
            read.extend(toolchain.library(name)?);
        }
        // The compiler alone knows where it is: some versions look for it among their programs.
        let plugin = toolchain.compiler.file(LINKER_PLUGIN)?;
        let programs: Vec<PathBuf> = toolchain.programs.values().cloned().chain(plugin).collect();
        let mut shell: Vec<PathBuf> = SHELL_TOOLS.iter().filter_map(|name| find_program(name)).collect();
        let found: Vec<PathBuf> = programs.iter().chain(&shell).cloned().collect();
        let outside = |path: &PathBuf| !trees.iter().any(|tree| path.starts_with(tree));
        read.extend(loaded(&programs, runner)?);
        shell.extend(loaded(&shell, runner)?);
        let preload = Path::new("/etc/ld.so.preload");
        if std::fs::metadata(preload).is_ok_and(|metadata| metadata.len() > 0) {
            shell.push(preload.to_owned());
        }
        let canonical = |paths: &[PathBuf]| -> Result<Vec<PathBuf>> {
            let paths = paths.iter().map(fs_err::canonicalize).collect::<Result<Vec<_>, _>>()?;
            Ok(paths.into_iter().filter(outside).collect())
        };
        let libraries = &toolchain.library_directories;
        let mut shell = owners_of(&canonical(&shell)?, libraries, database)?;
        // No file of a link's package is read (`/usr/bin/gcc`), but an environment needs the package.
        shell.extend(database.owners(&found)?.into_values().map(|owner| owner.id));
        Ok(Self { toolchain: owners_of(&canonical(&read)?, libraries, database)?, shell })
    }
}

/// Returns some programs and the libraries that they load.
fn loaded(programs: &[PathBuf], runner: &dyn Runner) -> Result<BTreeSet<PathBuf>> {
    let mut files = programs.iter().map(fs_err::canonicalize).collect::<Result<BTreeSet<_>, _>>()?;
    files.extend(loaded_libraries(runner, &files)?);
    Ok(files)
}

fn inputs_of(toolchain: &Toolchain<'_>, trees: &BTreeSet<PathBuf>) -> Inputs {
    let plugins = toolchain.library_directories.iter().map(|directory| directory.join("bfd-plugins"));
    let directories = PLUGIN_DIRECTORIES.iter().map(PathBuf::from).chain(plugins);
    let directories: BTreeSet<PathBuf> = directories.chain(toolchain.program_directories.iter().cloned()).collect();
    Inputs {
        driver: toolchain.compiler.driver().to_owned(),
        driver_by_path: toolchain.compiler.is_named_by_path(),
        programs: toolchain.programs.clone(),
        header_directories: toolchain.header_directories.clone(),
        library_directories: toolchain.library_directories.clone(),
        kept_out: toolchain.kept_out.clone(),
        program_directories: directories.into_iter().collect(),
        trees: trees.clone(),
        packages: BTreeMap::new(),
    }
}

fn input_package(in_key: bool, contents: &PackageContents, reinstall: String) -> InputPackage {
    let files = contents.files.iter().filter(|(path, _)| READ.iter().any(|top| path.starts_with(top)));
    let files = files.map(|(path, sum)| (path.clone(), sum.as_ref().map(PackageChecksum::to_string)));
    InputPackage { in_key, reinstall, files: files.collect() }
}

/// Returns the packages of some files. `libraries` are the directories in which a file without an owner should have
/// been found, if it is a library.
fn owners_of(files: &[PathBuf], libraries: &[PathBuf], database: &dyn PackageDatabase) -> Result<BTreeSet<String>> {
    let owners = database.owners(files)?;
    let strangers: BTreeSet<&PathBuf> = files.iter().filter(|file| !owners.contains_key(*file)).collect();
    if strangers.is_empty() {
        return Ok(owners.into_values().map(|owner| owner.id).collect());
    }
    let find = |stranger: &PathBuf| -> Result<InputFinding> {
        let same_name = libraries.iter().filter_map(|directory| Some(directory.join(stranger.file_name()?)));
        let same_name: Vec<PathBuf> = same_name.filter_map(|path| fs_err::canonicalize(path).ok()).collect();
        let instead = database.owners(&same_name)?.into_iter().next();
        let (reason, remedy) = match instead {
            Some((path, owner)) => (
                format!("no package owns it, and it is used in place of {} of {}", path.display(), owner.id),
                "remove it, then run ldconfig".to_owned(),
            ),
            None => (
                "no package owns it, and the build uses it".to_owned(),
                "remove it, or install the package that should have it".to_owned(),
            ),
        };
        Ok(InputFinding { path: stranger.clone(), reason, remedy })
    };
    Err(Error::Unconfirmed { findings: strangers.into_iter().map(find).collect::<Result<_>>()? })
}

/// The directories in which compiler and linker search.
struct Searched {
    /// Those that are searched with their subdirectories, by their names below `/usr`.
    trees: Vec<PathBuf>,
    /// Those that are searched without subdirectories.
    directories: Vec<PathBuf>,
}

impl Searched {
    fn new(toolchain: &Toolchain<'_>) -> Self {
        let unmerged = |paths: &[PathBuf]| paths.iter().map(|path| unmerged(path)).collect();
        Self { trees: unmerged(&toolchain.header_directories), directories: unmerged(&toolchain.library_directories) }
    }

    /// Whether compiler or linker can find a file in them.
    fn finds(&self, file: &Path) -> bool {
        self.trees.iter().any(|tree| file.starts_with(tree) && file != tree)
            // The list of a package has directories too, such as `/usr/lib/python3`: they have no extension.
            || file.extension().is_some() && file.parent().is_some_and(|parent| self.directories.iter().any(|d| d == parent))
    }

    /// Returns the targets of a package's links in these directories: the database has no checksum of links.
    fn links(&self, contents: &PackageContents) -> BTreeMap<String, String> {
        let links = contents.files.iter().filter(|(file, sum)| sum.is_none() && self.finds(file));
        let targets = links.filter_map(|(file, _)| {
            let target = std::fs::read_link(file).ok()?;
            Some((file.display().to_string(), target.display().to_string()))
        });
        targets.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::distro::InstalledPackage;

    #[test]
    fn what_a_build_reads_of_a_package_is_what_may_be_read() {
        let paths = ["/usr/include/bzlib.h", "/usr/share/pkgconfig/bzip2.pc", "/usr/share/doc/bzip2/copyright"];
        let package = InstalledPackage {
            name: "libbz2-dev".into(),
            architecture: "amd64".into(),
            version: "1.0.8-6".into(),
            needs: Vec::new(),
            provides: Vec::new(),
        };
        let contents =
            PackageContents { package, files: paths.iter().map(|path| (PathBuf::from(path), None)).collect() };
        let read = input_package(true, &contents, String::new()).files;
        assert_eq!(read.keys().collect::<Vec<_>>(), [Path::new(paths[0]), Path::new(paths[1])]);
    }
}
