//! The toolchain: what compiles, what it compiles for, and where it looks. It is resolved once and passed on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::choices::Choices;
use crate::domain::target::Target;
use crate::error::{Error, Result};
use crate::sys::process::Runner;
use crate::sys::toolchain::{Compiler, find_program};

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
    /// Where the compiler looks for its programs and its specs; they need not exist.
    pub program_directories: Vec<PathBuf>,
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
        let named: Vec<PathBuf> = named_places(choices);
        let local =
            |path: &PathBuf| path.starts_with(LOCAL) && !tree.iter().chain(&named).any(|tree| path.starts_with(tree));
        let (mut kept_out, header_directories): (Vec<_>, Vec<_>) =
            compiler.header_directories(&options)?.into_iter().partition(local);
        let (local_libraries, library_directories): (Vec<_>, Vec<_>) =
            compiler.library_directories(&options)?.into_iter().partition(local);
        kept_out.extend(local_libraries);
        // The linker has a list of its own, which the script leaves out.
        kept_out.extend(["lib", "lib64"].map(|name| Path::new(LOCAL).join(name)));
        kept_out.push(Path::new(LOCAL).join("lib").join(format!("{}-linux-gnu", target.arch())));
        let program_directories = compiler.program_directories()?.into_iter().filter(|path| !local(path)).collect();
        compiler.close(&header_directories);
        let mut programs = BTreeMap::new();
        for name in PROGRAMS {
            // A compiler of one piece has no cc1: then the compiler itself decides.
            let path = compiler.program(name)?.unwrap_or_else(|| compiler.driver().to_owned());
            programs.insert((*name).to_owned(), path);
        }
        // make runs these by the search path.
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
}

/// The tree of a compiler that lies outside the directories of packages: `/opt/gcc-14` of `/opt/gcc-14/bin/gcc`; a
/// program that is in no `bin` stands for itself.
fn tree_of(driver: &Path) -> Result<Option<PathBuf>> {
    let driver = fs_err::canonicalize(driver)?;
    if is_packaged(&driver) {
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

/// The directories and files outside those of packages that the user's flags name, by their canonical names.
fn named_places(choices: &Choices) -> Vec<PathBuf> {
    let words = choices.policies.compiler_variables.values().flat_map(|text| text.split_whitespace());
    // `-Wl,-T,/x.ld` and `-Wp,-I/x` hand their parts on.
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
        // Below /usr packages own what is there, and a file that none owns is refused or recorded.
        let is_system = SYSTEM.iter().any(|top| place == Path::new(top)) || is_packaged(&place);
        if !is_system && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// The options after which a place may follow without a space.
const NAMES_A_PLACE: &[&str] =
    &["-I", "-L", "-B", "-T", "-isystem", "-idirafter", "-iquote", "-include", "-imacros", "-isysroot"];
/// Directories that are no place for a build's own files.
const SYSTEM: &[&str] = &["/", "/dev", "/etc", "/proc", "/run", "/sys", "/usr/local", "/var"];

/// Whether packages own what lies at a path.
fn is_packaged(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64"].iter().any(|top| path.starts_with(top)) && !path.starts_with(LOCAL)
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
