//! The toolchain: the compiler, its target, and the directories that it searches. It is resolved once and passed on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::choices::Choices;
use crate::domain::target::Target;
use crate::error::{Error, Result};
use crate::sys::process::Runner;
use crate::sys::toolchain::{Compiler, find_program};

/// The programs that compile, assemble, link or rewrite, as the compiler names them.
const PROGRAMS: &[&str] =
    &["cc1", "lto1", "lto-wrapper", "collect2", "as", "ld", "ar", "nm", "ranlib", "strip", "objcopy"];

/// The directory of locally installed files, which no package owns.
const LOCAL: &str = "/usr/local";

/// A compiler, its programs and its search directories.
pub struct Toolchain<'a> {
    /// The machine that it runs on.
    pub build: Target,
    /// The machine that it compiles for.
    pub target: Target,
    /// The root directory of the target's headers and libraries: `/` if it is this system's.
    pub sysroot: PathBuf,
    /// The compiler. It searches for headers in `header_directories` only.
    pub compiler: Compiler<'a>,
    /// The version of the glibc that is linked: `2.36`.
    pub glibc: String,
    /// The programs that compile, assemble, link and rewrite, by the compiler's names for them.
    pub programs: BTreeMap<String, PathBuf>,
    /// The directories that are searched for headers, in order.
    pub header_directories: Vec<PathBuf>,
    /// The directories that are searched for libraries and the compiler's own objects, in order.
    pub library_directories: Vec<PathBuf>,
    /// The directories in which the compiler searches for its programs and specs. They need not exist.
    pub program_directories: Vec<PathBuf>,
    /// Directories that are kept out of the search.
    pub kept_out: Vec<PathBuf>,
    /// The compiler's own tree, if no package owns it.
    pub tree: Option<PathBuf>,
    /// Directories and files that the user's flags name.
    pub named: Vec<PathBuf>,
}

impl<'a> Toolchain<'a> {
    /// Resolves the toolchain of the user's compiler, or returns `None` if there is no such program.
    ///
    /// # Errors
    /// [`Error::Musl`]; [`Error::UnsupportedTarget`] for a target that pykeel does not build for; [`Error::Command`] if
    /// the compiler fails; [`Error::Io`] if one of its directories cannot be read.
    pub fn resolve(runner: &'a dyn Runner, choices: &Choices) -> Result<Option<Self>> {
        let Some(mut compiler) = Compiler::find(runner, choices.cc()) else { return Ok(None) };
        let target = compiler.target()?;
        let build = Target::OF_THIS_PROGRAM;
        if build != target {
            let reason = format!("`{}` compiles for {target}; on {build} pykeel builds for {build} only", choices.cc());
            return Err(Error::UnsupportedTarget { reason });
        }
        let tree = tree_of(compiler.driver())?;
        let options = search_options(choices);
        let named: Vec<PathBuf> = named_places(choices);
        let local =
            |path: &PathBuf| path.starts_with(LOCAL) && !tree.iter().chain(&named).any(|tree| path.starts_with(tree));
        let (mut kept_out, header_directories): (Vec<_>, Vec<_>) =
            compiler.header_directories(&options)?.into_iter().partition(local);
        let (local_libraries, library_directories): (Vec<_>, Vec<_>) =
            compiler.library_directories(&options)?.into_iter().partition(local);
        kept_out.extend(local_libraries);
        // The linker has a list of directories of its own. The script of the build disables it.
        let of_linker = ["lib", "lib64"].map(|name| Path::new(LOCAL).join(name));
        let multiarch = of_linker[0].join(format!("{}-linux-gnu", target.arch()));
        kept_out.extend(of_linker.into_iter().chain([multiarch]).filter(local));
        let program_directories = compiler.program_directories()?.into_iter().filter(|path| !local(path)).collect();
        compiler.close(&header_directories);
        let mut programs = BTreeMap::new();
        for name in PROGRAMS {
            // Clang has no cc1: then the compiler itself is the program.
            let path = compiler.program(name)?.unwrap_or_else(|| compiler.driver().to_owned());
            programs.insert((*name).to_owned(), path);
        }
        // make runs these from the search path.
        for name in ["ar", "nm", "ranlib"] {
            programs.extend(find_program(name).map(|path| (name.to_owned(), path)));
        }
        for linker in options.iter().filter_map(|option| option.strip_prefix("-fuse-ld=")) {
            let name = format!("ld.{linker}");
            programs.extend(compiler.program(&name)?.map(|path| (name, path)));
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
            program_directories,
            kept_out,
            tree,
            named,
        }))
    }

    /// Returns the canonical path of a library or object by its file name, or `None` if no directory of the search has
    /// it. The linker and the compiler's driver search in the same order.
    ///
    /// # Errors
    /// [`Error::Io`] if the path cannot be resolved.
    pub fn library(&self, file_name: &str) -> Result<Option<PathBuf>> {
        let mut places = self.library_directories.iter().map(|directory| directory.join(file_name));
        Ok(places.find(|path| path.exists()).map(fs_err::canonicalize).transpose()?)
    }
}

/// Returns the tree of a compiler outside the directories of packages: `/opt/gcc-14` for `/opt/gcc-14/bin/gcc`, and the
/// program's own file if it is not in a directory `bin`.
fn tree_of(driver: &Path) -> Result<Option<PathBuf>> {
    let driver = fs_err::canonicalize(driver)?;
    if is_packaged(&driver) {
        return Ok(None);
    }
    let parent = driver.parent().filter(|parent| parent.ends_with("bin")).and_then(Path::parent);
    Ok(Some(parent.filter(|tree| *tree != Path::new("/")).unwrap_or(&driver).to_owned()))
}

/// Returns the user's options that change where the compiler searches.
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

/// Returns the canonical paths of the directories and files that the user's flags name, without those of packages.
fn named_places(choices: &Choices) -> Vec<PathBuf> {
    let words = choices.policies.compiler_variables.values().flat_map(|text| text.split_whitespace());
    // `-Wl,-T,/x.ld` and `-Wp,-I/x` pass their parts on.
    let parts = words.flat_map(|word| word.split(','));
    let named = parts.filter_map(|part| {
        // `/x`, `-I/x`, `-isystem/x`, `@/x`, `--sysroot=/x`; and no relative path such as `-Ia/b`.
        let start = part.find('/')?;
        let option = &part[..start];
        let is_option = option.is_empty() || option == "@" || option.ends_with('=') || NAMES_A_PLACE.contains(&option);
        is_option.then(|| PathBuf::from(&part[start..]))
    });
    let mut places = Vec::new();
    for place in named.filter_map(|place| std::fs::canonicalize(place).ok()) {
        // Packages own what is below /usr. A file there without an owner is an error when it is found or read.
        let is_system = SYSTEM.iter().any(|top| place == Path::new(top)) || is_packaged(&place);
        if !is_system && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// The options after which a path may follow without a space.
const NAMES_A_PLACE: &[&str] =
    &["-I", "-L", "-B", "-T", "-isystem", "-idirafter", "-iquote", "-include", "-imacros", "-isysroot"];
/// Directories that are too general to be named by digest.
const SYSTEM: &[&str] = &["/", "/dev", "/etc", "/proc", "/run", "/sys", "/usr/local", "/var"];

/// Whether a path is in a directory whose files belong to packages.
fn is_packaged(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64"].iter().any(|top| path.starts_with(top)) && !path.starts_with(LOCAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::choices::tests::choices;

    #[test]
    fn places_in_flags_are_found() {
        let place = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(place.path()).unwrap();
        for directory in ["a", "b", "tools"] {
            fs_err::create_dir(root.join(directory)).unwrap();
        }
        for file in ["c.h", "script.ld", "words"] {
            fs_err::write(root.join(file), "").unwrap();
        }
        let here = root.display();
        let flags = format!(
            "-O2 -I{here}/a -isystem {here}/b -Irelative/x -include{here}/c.h -DX=a/b -I/usr/include @{here}/words"
        );
        let link = format!(
            "-Wl,-T,{here}/script.ld -B {here}/tools -Wl,-z,now -fuse-ld=gold -L/usr/lib --sysroot=/ -I/no/such"
        );
        let choices = choices(&[("CFLAGS", &flags), ("LDFLAGS", &link)]);
        let names = ["a", "b", "c.h", "words", "script.ld", "tools"];
        assert_eq!(named_places(&choices), names.map(|name| root.join(name)));
        let options = search_options(&choices).join(" ");
        assert!(options.contains("-fuse-ld=gold") && options.contains(&format!("-B {here}/tools")), "{options}");
    }

    #[test]
    fn a_place_that_a_flag_names_is_not_kept_out() {
        let kept_out = |flags: &str| {
            let choices = choices(&[("LDFLAGS", flags)]);
            let toolchain = Toolchain::resolve(&crate::sys::process::System, &choices).unwrap().unwrap();
            toolchain.kept_out.contains(&PathBuf::from("/usr/local/lib"))
        };
        assert!(kept_out("-O2"));
        assert!(!kept_out("-L/usr/local/lib"));
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
    fn libraries_are_found_where_the_compiler_finds_them() {
        let toolchain = Toolchain::resolve(&crate::sys::process::System, &choices(&[])).unwrap().unwrap();
        for name in ["crt1.o", "crtbegin.o", "libgcc.a", "libgcc_s.so", "libc.so", "libc.so.6", "libm.so"] {
            let found = toolchain.library(name).unwrap();
            assert!(found.is_some(), "{name}");
            assert_eq!(found, toolchain.compiler.file(name).unwrap(), "{name}");
        }
        assert_eq!(toolchain.library("libno-such.so").unwrap(), None);
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
