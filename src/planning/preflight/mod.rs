//! Preflight: checks that this host can build a recipe, before anything is built.

mod compiler;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::domain::launcher::Launcher;
use crate::domain::plan::{LibraryPolicy, Optimize};
use crate::domain::target::Target;
use crate::error::{Error, ProfileRemedy, Result};
use crate::event::{Event, Reporter};
use crate::planning::choices::Choices;
use crate::planning::inputs::{self, ResolvedInputs};
use crate::planning::loaded;
use crate::planning::toolchain::Toolchain;
use crate::recipe::{Library, Minimum, ReleaseRecipe};
use crate::sys::distro::{self, Distro, Family, PackageDatabase};
use crate::sys::process::Runner;
use crate::sys::toolchain::{find_local_program, find_program};

/// A host that has everything that a recipe needs.
pub struct Host<'a> {
    /// The compiler, its programs and its search directories.
    pub toolchain: Toolchain<'a>,
    /// The files that it runs, loads and reads.
    pub(super) inputs: ResolvedInputs,
    /// How the distribution names its packages.
    pub(super) family: Family,
    /// The packages of this system.
    pub(super) database: Box<dyn PackageDatabase + 'a>,
}

/// A program that a build runs, and the packages that contain it.
struct Tool {
    program: &'static str,
    debian: &'static [&'static str],
    fedora: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool { program: "make", debian: &["make"], fedora: &["make"] },
    Tool { program: "pkg-config", debian: &["pkg-config"], fedora: &["pkgconf-pkg-config"] },
    Tool { program: "strip", debian: &["binutils"], fedora: &["binutils"] },
];

/// The packages of the C library's headers, which a compiler's package only recommends.
const HEADERS: Tool = Tool { program: "the C library's headers", debian: &["libc6-dev"], fedora: &["glibc-devel"] };

/// The package of a launcher.
const fn launcher_tool(launcher: Launcher) -> Option<Tool> {
    match launcher {
        Launcher::None => None,
        Launcher::Ccache => Some(Tool { program: "ccache", debian: &["ccache"], fedora: &["ccache"] }),
        Launcher::Sccache => Some(Tool { program: "sccache", debian: &["sccache"], fedora: &["sccache"] }),
    }
}

/// The missing programs and headers, and their packages.
#[derive(Debug, Default)]
struct Missing {
    things: Vec<String>,
    packages: BTreeSet<String>,
    /// The compiler, if no package is known that brings it.
    unpackaged: Option<String>,
}

impl Missing {
    fn tool(&mut self, tool: &Tool, distro: &Distro) {
        self.things.push(tool.program.to_owned());
        let packages = distro.family.name(tool.debian, tool.fedora);
        self.packages.extend(packages.iter().map(|&name| name.to_owned()));
    }

    fn compiler(&mut self, choices: &Choices, distro: &Distro) {
        let cc = choices.cc();
        let is_named = choices.policies.compiler_variables.contains_key("CC");
        self.things.push(if is_named { format!("{cc} (named by CC)") } else { cc.to_owned() });
        let packages = compiler::packages(cc, distro.family);
        if packages.is_empty() {
            self.unpackaged = Some(cc.to_owned());
        }
        self.packages.extend(packages);
    }

    fn error(self, distro: &Distro) -> Error {
        let packages: Vec<&str> = self.packages.iter().map(String::as_str).collect();
        let install = distro.install_line(&packages);
        Error::MissingDependencies { install, missing: self.things, unpackaged: self.unpackaged }
    }
}

/// The build that a host is checked for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The release.
    pub recipe: &'a ReleaseRecipe,
    /// What the user chose.
    pub choices: &'a Choices,
    /// The launcher that compilers are started through.
    pub launcher: Launcher,
}

/// Checks that the compiler, its launcher, make and the header of every library that a required module needs are
/// installed, and that the package database confirms the files that a build may read. With `install`, missing packages
/// are installed first.
///
/// # Errors
/// [`Error::MissingDependencies`] with everything that is missing and the line that installs it;
/// [`Error::OldLibraries`]; [`Error::Musl`]; [`Error::UnsupportedTarget`]; [`Error::UnknownPackageDatabase`];
/// [`Error::Profile`] for an optimised build with clang;
/// [`Error::Unconfirmed`] for files that the package database does not confirm; [`Error::Command`] if a program fails.
pub fn check<'a>(
    distro: &Distro,
    wanted: Wanted<'_>,
    install: bool,
    runner: &'a dyn Runner,
    reporter: &dyn Reporter,
) -> Result<Host<'a>> {
    // First, so that nothing is installed if the package database is not supported.
    distro::database(runner, distro)?;
    let mut installed = BTreeSet::new();
    loop {
        let missing = match find(wanted, distro, runner)? {
            Found::Host(host) => {
                confirm_launcher(wanted.launcher, &host, runner, reporter)?;
                return Ok(*host);
            }
            Found::Missing(missing) => missing,
        };
        // Packages that do not bring the compiler would be installed for nothing. What a library loads is known when
        // the library is there, so a second round may find more; but no package is installed twice.
        if !install || missing.unpackaged.is_some() || missing.packages.is_subset(&installed) {
            return Err(missing.error(distro));
        }
        let packages: Vec<&str> = missing.packages.iter().map(String::as_str).collect();
        reporter.report(Event::Note(format!("installing {}", packages.join(", "))));
        distro::install_packages(runner, distro, &packages, reporter)?;
        installed.extend(missing.packages);
    }
}

/// The result of a search for everything that a recipe needs.
enum Found<'a> {
    Host(Box<Host<'a>>),
    Missing(Missing),
}

fn find<'a>(wanted: Wanted<'_>, distro: &Distro, runner: &'a dyn Runner) -> Result<Found<'a>> {
    refuse_musl()?;
    let Wanted { recipe, choices, launcher } = wanted;
    // Before clang would be installed for nothing.
    if choices.optimize(recipe) == Optimize::Pgo && compiler::is_clang(choices.cc()) {
        return Err(Error::Profile {
            what: format!("for Python {}", recipe.full_version()),
            reason: format!("CC is {}, but pykeel supports profiles of gcc only", choices.cc()),
            remedy: ProfileRemedy::Gcc,
        });
    }
    let mut missing = Missing::default();
    for tool in TOOLS {
        if find_program(tool.program).is_none() {
            missing.tool(tool, distro);
        }
    }
    if let Some(tool) = launcher_tool(launcher)
        && find_local_program(tool.program).is_none()
    {
        missing.tool(&tool, distro);
    }
    let mut toolchain = Toolchain::resolve(runner, choices)?;
    let headers = if let Some(toolchain) = &mut toolchain {
        // A compiler without a C library's headers finds none of the others either.
        if toolchain.compiler.headers(&["features.h".into()])?.is_empty() {
            missing.tool(&HEADERS, distro);
        } else {
            // Before anything else: on musl it is useless to install what is missing.
            toolchain.glibc = toolchain.compiler.glibc()?;
        }
        toolchain.compiler.headers(&wanted_headers(recipe))?
    } else {
        missing.compiler(choices, distro);
        headers_by_name(&wanted_headers(recipe))
    };
    for library in &recipe.shared.libraries {
        for header in library.headers.iter().filter(|header| !headers.contains_key(*header)) {
            missing.things.push(format!("{header} (for {})", library.modules.join(", ")));
            missing.packages.insert(distro.family.name(&library.debian, &library.fedora).clone());
        }
    }
    let loaded = match &toolchain {
        Some(toolchain) if choices.policies.library_policy == LibraryPolicy::Bundle => loaded::find(recipe, toolchain)?,
        _ => Vec::new(),
    };
    for place in loaded.iter().filter(|place| place.path.is_none()) {
        missing.things.push(format!("{} (loaded by {})", place.file, place.loaded.by));
        missing.packages.insert(distro.family.name(&place.loaded.debian, &place.loaded.fedora).clone());
    }
    let Some(toolchain) = toolchain.filter(|_| missing.things.is_empty()) else { return Ok(Found::Missing(missing)) };
    let database = distro::database(runner, distro)?;
    let mut files: Vec<PathBuf> = headers.into_values().collect();
    files.extend(toolchain.compiler.headers(&["features.h".into(), "linux/version.h".into()])?.into_values());
    for name in recipe.shared.libraries.iter().flat_map(|library| &library.link) {
        files.extend(toolchain.library(&format!("lib{name}.so"))?);
    }
    files.extend(loaded.into_iter().filter_map(|place| place.path));
    let inputs = inputs::find(&toolchain, &files, database.as_ref(), runner)?;
    inputs::confirm(&inputs.inputs, database.as_ref())?;
    refuse_old_libraries(recipe, &toolchain)?;
    Ok(Found::Host(Box::new(Host { toolchain, inputs, family: distro.family, database })))
}

/// Compares the launcher with the package database, and warns of what no package owns.
///
/// # Errors
/// [`Error::Unconfirmed`] for a launcher, or a library that it loads, that differs from its package.
fn confirm_launcher(launcher: Launcher, host: &Host<'_>, runner: &dyn Runner, reporter: &dyn Reporter) -> Result<()> {
    let Some(path) = launcher_tool(launcher).and_then(|tool| find_local_program(tool.program)) else { return Ok(()) };
    for file in inputs::confirm_launcher(&path, &host.inputs.inputs, host.database.as_ref(), runner)? {
        let file = file.display();
        reporter.report(Event::Warning(format!(
            "no package owns {file}, which runs in every compilation: its bytes are trusted, not checked"
        )));
    }
    Ok(())
}

/// Refuses libraries that are older than the series needs: their modules would not compile, or not work.
///
/// # Errors
/// [`Error::OldLibraries`] with all of them; [`Error::Command`] if the compiler fails.
fn refuse_old_libraries(recipe: &ReleaseRecipe, toolchain: &Toolchain<'_>) -> Result<()> {
    let checked: Vec<(&Library, &Minimum)> =
        recipe.shared.libraries.iter().filter_map(|library| Some((library, library.minimum.as_ref()?))).collect();
    let headers: Vec<&str> =
        checked.iter().flat_map(|(library, _)| library.headers.iter().map(String::as_str)).collect();
    let conditions: Vec<&str> = checked.iter().map(|(_, minimum)| minimum.condition.as_str()).collect();
    let unmet = toolchain.compiler.unmet(&headers, &conditions)?;
    if unmet.is_empty() {
        return Ok(());
    }
    let described = |position: usize| {
        let (library, minimum) = checked.get(position)?;
        Some(format!("{} {} or later (for {})", library.name, minimum.version, library.modules.join(", ")))
    };
    Err(Error::OldLibraries {
        release: recipe.full_version(),
        needed: unmet.into_iter().filter_map(described).collect(),
    })
}

fn wanted_headers(recipe: &ReleaseRecipe) -> Vec<String> {
    recipe.shared.libraries.iter().flat_map(|library| library.headers.iter().cloned()).collect()
}

/// Returns the headers that are in the usual directories of distributions. Without a compiler this is the only way to
/// name everything that is missing at once.
fn headers_by_name(names: &[String]) -> BTreeMap<String, PathBuf> {
    let places = ["/usr/include".into(), format!("/usr/include/{}", Target::OF_THIS_PROGRAM)];
    names
        .iter()
        .filter_map(|name| {
            let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())?;
            Some((name.clone(), found))
        })
        .collect()
}

/// Refuses a system whose own C library is musl, whatever its compiler links.
///
/// # Errors
/// [`Error::Musl`].
pub fn refuse_musl() -> Result<()> {
    let musl = format!("/lib/ld-musl-{}.so.1", Target::OF_THIS_PROGRAM.arch());
    let glibc = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    if Path::new(&musl).exists() && !glibc.iter().any(|loader| Path::new(loader).exists()) {
        return Err(Error::Musl { evidence: format!("its loader is {musl}") });
    }
    Ok(())
}
