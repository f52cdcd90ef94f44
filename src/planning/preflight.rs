//! Preflight: whether this host can build a recipe, before the first minute is spent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::domain::launcher::Launcher;
use crate::domain::target::Target;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::recipe::ReleaseRecipe;
use crate::sys::distro::{self, Distro, Family};
use crate::sys::process::Runner;
use crate::sys::toolchain::{Compiler, find_program};

/// A host that has all that a recipe needs.
pub struct Host<'a> {
    pub(super) compiler: Compiler<'a>,
    pub(super) target: Target,
    pub(super) glibc: String,
    /// Where each header of the recipe's libraries lies.
    pub(super) headers: BTreeMap<String, PathBuf>,
    pub(super) distro: Distro,
}

/// A program that a build runs, and the packages that bring it.
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

/// The packages of the default compiler.
const COMPILER: Tool = Tool { program: "gcc", debian: &["gcc", "libc6-dev"], fedora: &["gcc", "glibc-devel"] };

/// The package of a launcher.
const fn launcher_tool(launcher: Launcher) -> Option<Tool> {
    match launcher {
        Launcher::None => None,
        Launcher::Ccache => Some(Tool { program: "ccache", debian: &["ccache"], fedora: &["ccache"] }),
        Launcher::Sccache => Some(Tool { program: "sccache", debian: &["sccache"], fedora: &["sccache"] }),
    }
}

/// What is not there.
#[derive(Debug, Default)]
struct Missing {
    things: Vec<String>,
    packages: BTreeSet<String>,
}

impl Missing {
    fn tool(&mut self, tool: &Tool, distro: &Distro) {
        self.things.push(tool.program.to_owned());
        let packages = if distro.family == Family::Fedora { tool.fedora } else { tool.debian };
        self.packages.extend(packages.iter().map(|&name| name.to_owned()));
    }
}

/// Checks that the compiler, its launcher, make and the header of every library that a required module needs
/// are there; installs what is not, if `install` says so.
///
/// # Errors
/// [`Error::MissingDependencies`] with everything that is missing and the line that installs it;
/// [`Error::Musl`].
pub fn check<'a>(
    recipe: &ReleaseRecipe,
    cc: &str,
    launcher: Launcher,
    install: bool,
    runner: &'a dyn Runner,
    reporter: &dyn Reporter,
) -> Result<Host<'a>> {
    let distro = Distro::read(Path::new("/"));
    // Before anything is installed for a build that could not be finished.
    distro::database(runner, &distro)?;
    let missing = match find(recipe, cc, launcher, &distro, runner)? {
        Ok(host) => return Ok(host),
        Err(missing) => missing,
    };
    let packages: Vec<&str> = missing.packages.iter().map(String::as_str).collect();
    let error = Error::MissingDependencies { install: distro.install_line(&packages), missing: missing.things };
    if !install {
        return Err(error);
    }
    reporter.report(Event::Note(format!("installing {}", packages.join(", "))));
    distro::install_packages(runner, &distro, &packages, reporter)?;
    find(recipe, cc, launcher, &distro, runner)?.map_err(|missing| Error::MissingDependencies {
        install: distro.install_line(&missing.packages.iter().map(String::as_str).collect::<Vec<_>>()),
        missing: missing.things,
    })
}

fn find<'a>(
    recipe: &ReleaseRecipe,
    cc: &str,
    launcher: Launcher,
    distro: &Distro,
    runner: &'a dyn Runner,
) -> Result<Result<Host<'a>, Missing>> {
    refuse_musl()?;
    let mut missing = Missing::default();
    for tool in TOOLS.iter().chain(&launcher_tool(launcher)) {
        if find_program(tool.program).is_none() {
            missing.tool(tool, distro);
        }
    }
    let compiler = Compiler::find(runner, cc);
    let mut glibc = String::new();
    let headers = if let Some(compiler) = &compiler {
        // A compiler without a C library's headers finds none of the others either.
        if compiler.headers(&["features.h".into()])?.is_empty() {
            missing.tool(&Tool { program: "the C library's headers", ..COMPILER }, distro);
        } else {
            // First of all: on musl nothing that is missing is worth installing.
            glibc = compiler.glibc()?;
        }
        compiler.headers(&wanted_headers(recipe))?
    } else {
        if cc == COMPILER.program {
            missing.tool(&COMPILER, distro);
        } else {
            missing.things.push(format!("{cc} (named by CC)"));
        }
        headers_by_name(&wanted_headers(recipe))
    };
    for library in &recipe.shared.libraries {
        for header in library.headers.iter().filter(|header| !headers.contains_key(*header)) {
            missing.things.push(format!("{header} (for {})", library.modules.join(", ")));
            let package = if distro.family == Family::Fedora { &library.fedora } else { &library.debian };
            missing.packages.insert(package.clone());
        }
    }
    let Some(compiler) = compiler.filter(|_| missing.things.is_empty()) else { return Ok(Err(missing)) };
    let target = compiler.target()?;
    Ok(Ok(Host { compiler, target, glibc, headers, distro: distro.clone() }))
}

fn wanted_headers(recipe: &ReleaseRecipe) -> Vec<String> {
    recipe.shared.libraries.iter().flat_map(|library| library.headers.iter().cloned()).collect()
}

/// Which headers are there, by looking where distributions put them: all that can be done
/// without a compiler, and enough to name everything that is missing at once.
fn headers_by_name(names: &[String]) -> BTreeMap<String, PathBuf> {
    let places = ["/usr/include".into(), format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH)];
    names
        .iter()
        .filter_map(|name| {
            let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())?;
            Some((name.clone(), found))
        })
        .collect()
}

/// Refuses a system whose own C library is musl, whatever a compiler on it says.
///
/// # Errors
/// [`Error::Musl`].
pub fn refuse_musl() -> Result<()> {
    let arch = std::env::consts::ARCH;
    let musl = format!("/lib/ld-musl-{arch}.so.1");
    let glibc = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    if Path::new(&musl).exists() && !glibc.iter().any(|loader| Path::new(loader).exists()) {
        return Err(Error::Musl { evidence: format!("its loader is {musl}") });
    }
    Ok(())
}
