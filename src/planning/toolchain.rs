//! The toolchain: what compiles, what it compiles for, and where it looks. It is resolved once and passed on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::choices::Choices;
use crate::domain::target::Target;
use crate::error::{Error, Result};
use crate::sys::process::Runner;
use crate::sys::toolchain::Compiler;

/// The programs that turn source into bytes or rewrite them, as the compiler names them.
const PROGRAMS: &[&str] =
    &["cc1", "lto1", "lto-wrapper", "collect2", "as", "ld", "ar", "nm", "ranlib", "strip", "objcopy"];

/// What is there for local use, and what no package owns.
const LOCAL: &str = "/usr/local";

/// A compiler and all that goes with it.
pub struct Toolchain<'a> {
    /// What it runs on.
    pub build: Target,
    /// What it compiles for.
    pub target: Target,
    /// The root directory of the target's headers and libraries: `/` where it is this system's.
    pub sysroot: PathBuf,
    /// The compiler. It finds no header outside the directories below.
    pub compiler: Compiler<'a>,
    /// The version of the glibc that is linked: `2.36`.
    pub glibc: String,
    /// The programs that compile, assemble, link and rewrite, by the compiler's names for them.
    pub programs: BTreeMap<String, PathBuf>,
    /// Where headers are looked for, in order.
    pub header_directories: Vec<PathBuf>,
    /// Where libraries and the compiler's own objects are looked for, in order.
    pub library_directories: Vec<PathBuf>,
    /// Directories that are kept out of the search.
    pub kept_out: Vec<PathBuf>,
    /// The compiler's own tree, where no package owns it.
    pub tree: Option<PathBuf>,
    /// Directories and files that the user's flags name.
    pub named: Vec<PathBuf>,
}

impl<'a> Toolchain<'a> {
    /// The toolchain of a compiler; none where there is no such program.
    ///
    /// # Errors
    /// [`Error::Musl`], [`Error::Command`] for a question that the compiler cannot answer, and [`Error::UnsupportedTarget`] for a
    /// target that pykeel does not build for.
    pub fn resolve(runner: &'a dyn Runner, choices: &Choices) -> Result<Option<Self>> {
        let Some(mut compiler) = Compiler::find(runner, choices.cc()) else { return Ok(None) };
        let target = compiler.target()?;
        let build = Target::of_this_program().map_err(|reason| Error::UnsupportedTarget { reason })?;
        if build != target {
            let reason = format!("`{}` compiles for {target}; on {build} pykeel builds for {build} only", choices.cc());
            return Err(Error::UnsupportedTarget { reason });
        }
        let tree = tree_of(compiler.driver())?;
        let options = search_options(choices);
        let named: Vec<PathBuf> = named_places(choices).into_iter().filter(|path| path.exists()).collect();
        let local =
            |path: &PathBuf| path.starts_with(LOCAL) && !tree.iter().chain(&named).any(|tree| path.starts_with(tree));
        let (mut kept_out, header_directories): (Vec<_>, Vec<_>) =
            compiler.header_directories(&options)?.into_iter().partition(local);
        let (local_libraries, library_directories): (Vec<_>, Vec<_>) =
            compiler.library_directories(&options)?.into_iter().partition(local);
        kept_out.extend(local_libraries);
        compiler.close(&header_directories);
        let mut programs = BTreeMap::new();
        for name in PROGRAMS {
            // A compiler of one piece has no cc1: then the compiler itself decides.
            let path = compiler.program(name)?.unwrap_or_else(|| compiler.driver().to_owned());
            programs.insert((*name).to_owned(), path);
        }
        programs.insert("cc".to_owned(), compiler.driver().to_owned());
        Ok(Some(Self {
            build,
            target,
            sysroot: compiler.sysroot()?,
            compiler,
            glibc: String::new(),
            programs,
            header_directories,
            library_directories,
            kept_out,
            tree,
            named,
        }))
    }
}

/// The tree of a compiler that lies outside the directories of packages: `/opt/gcc-14` of `/opt/gcc-14/bin/gcc`; a
/// program that is in no `bin` stands for itself.
fn tree_of(driver: &Path) -> Result<Option<PathBuf>> {
    let driver = fs_err::canonicalize(driver)?;
    let system = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];
    if system.iter().any(|top| driver.starts_with(top)) && !driver.starts_with(LOCAL) {
        return Ok(None);
    }
    let parent = driver.parent().filter(|parent| parent.ends_with("bin")).and_then(Path::parent);
    Ok(Some(parent.filter(|tree| *tree != Path::new("/")).unwrap_or(&driver).to_owned()))
}

/// The options of the user that change where the compiler looks.
fn search_options(choices: &Choices) -> Vec<String> {
    let mut options = Vec::new();
    let words = choices.policies.compiler_variables.iter().filter(|(name, _)| *name != "CC");
    let mut words = words.flat_map(|(_, text)| text.split_whitespace());
    while let Some(word) = words.next() {
        match word {
            "-I" | "-isystem" | "-L" | "-B" | "-idirafter" | "-iquote" | "--sysroot" | "-isysroot" => {
                options.push(word.to_owned());
                options.extend(words.next().map(str::to_owned));
            }
            _ if ["-I", "-L", "-B", "--sysroot=", "-m", "-fuse-ld="].iter().any(|start| word.starts_with(start)) => {
                options.push(word.to_owned());
            }
            _ => {}
        }
    }
    options
}

/// The directories and files that the user's flags name, the compiler's own included.
fn named_places(choices: &Choices) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let mut words = choices.policies.compiler_variables.values().flat_map(|text| text.split_whitespace());
    while let Some(word) = words.next() {
        let path = match word {
            "-I" | "-isystem" | "-L" | "-B" | "-idirafter" | "-iquote" | "-include" | "-imacros" | "--sysroot"
            | "-isysroot" | "-specs" => words.next(),
            _ => ["-I", "-L", "-B", "--sysroot=", "-specs=", "-fplugin="]
                .iter()
                .find_map(|start| word.strip_prefix(start))
                .or_else(|| word.strip_prefix('@')),
        };
        places.extend(path.map(PathBuf::from).filter(|path| path.is_absolute()));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::{Bytecode, LibraryPolicy, Policies};

    fn choices(variables: &[(&str, &str)]) -> Choices {
        Choices {
            prefix: "/opt/python".parse().unwrap(),
            optimize: None,
            profile: None,
            policies: Policies {
                bytecode: Bytecode::Strip,
                library_policy: LibraryPolicy::Bundle,
                debug_files: false,
                compiler_variables: variables.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(),
            },
        }
    }

    #[test]
    fn places_in_flags_are_found() {
        let choices = choices(&[
            ("CFLAGS", "-O2 -I/opt/a/include -isystem /opt/b -Irelative -include /opt/c.h"),
            ("LDFLAGS", "-L/opt/a/lib -B /opt/tools -Wl,-z,now -fuse-ld=gold"),
        ]);
        let places = ["/opt/a/include", "/opt/b", "/opt/c.h", "/opt/a/lib", "/opt/tools"].map(PathBuf::from);
        assert_eq!(named_places(&choices), places);
        let options = search_options(&choices).join(" ");
        assert_eq!(options, "-I/opt/a/include -isystem /opt/b -Irelative -L/opt/a/lib -B /opt/tools -fuse-ld=gold");
    }

    #[test]
    fn a_compiler_of_a_package_has_no_tree_of_its_own() {
        assert_eq!(tree_of(Path::new("/usr/bin/gcc")).unwrap(), None);
        let place = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(place.path()).unwrap();
        fs_err::create_dir(root.join("bin")).unwrap();
        for file in ["bin/gcc", "alone"] {
            fs_err::write(root.join(file), "").unwrap();
        }
        assert_eq!(tree_of(&root.join("bin/gcc")).unwrap(), Some(root.clone()));
        assert_eq!(tree_of(&root.join("alone")).unwrap(), Some(root.join("alone")));
    }

    #[test]
    fn local_directories_are_kept_out_of_the_search() {
        let toolchain = Toolchain::resolve(&crate::sys::process::System, &choices(&[])).unwrap().unwrap();
        assert!(toolchain.header_directories.contains(&PathBuf::from("/usr/include")));
        let all = toolchain.header_directories.iter().chain(&toolchain.library_directories);
        assert_eq!(all.filter(|path| path.starts_with("/usr/local")).count(), 0);
        for name in ["cc", "cc1", "as", "ld", "strip", "objcopy"] {
            assert!(toolchain.programs[name].is_absolute(), "{name}");
        }
    }
}
