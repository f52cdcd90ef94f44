//! The compiler and the package manager are scripted; the compiler finds glibc and no header of a library.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::event::Silent;
use crate::planning::choices::tests::choices;
use crate::recipe::Catalog;
use crate::sys::process::scripted::{Answer, Scripted};

/// A recipe, and a directory with a compiler that the script answers for.
struct Scene {
    recipe: ReleaseRecipe,
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let catalog = Catalog::load(None).unwrap();
        let (_, recipe) = catalog.find("3.13.5".parse().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let compiler = directory.path().join("cc");
        fs_err::write(&compiler, "").unwrap();
        fs_err::set_permissions(&compiler, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { recipe, directory }
    }

    fn choices(&self, cc: &str) -> Choices {
        let cc = self.directory.path().join(cc).display().to_string();
        choices(&[("CC", &cc)])
    }

    /// Checks a host of a distribution, and returns what is missing and the line that installs it.
    fn missing(&self, distro: &Distro, cc: &str, install: bool, runner: &Scripted) -> (Vec<String>, String) {
        let choices = self.choices(cc);
        let wanted = Wanted { recipe: &self.recipe, choices: &choices, launcher: Launcher::None };
        match check(distro, wanted, install, runner, &Silent) {
            Err(Error::MissingDependencies { missing, install: Some(line), unpackaged: None }) => (missing, line),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("nothing is missing"),
        }
    }
}

/// A compiler for this machine.
fn compiler() -> Scripted {
    let machine = Target::OF_THIS_PROGRAM.to_string();
    let preprocessed = "# 1 \"/usr/include/features.h\" 1\npykeel-found \"features.h\"\n2 36\n";
    Scripted::new()
        .on("-E", Answer::new().out(preprocessed))
        .on("-E -v", Answer::new().err("#include <...> search starts here:\n /usr/include\nEnd of search list.\n"))
        .on("-dumpmachine", Answer::new().out(&machine))
        .on("-print-search-dirs", Answer::new().out("libraries: =/usr/lib\n"))
        .on("-print-prog-name", Answer::new().out("no-such-program"))
        .on("-print-sysroot", Answer::new())
}

fn is_manager(spec: &crate::sys::process::Spec) -> bool {
    spec.args.iter().any(|word| word == "install")
}

#[test]
fn all_that_is_missing_is_named_at_once_with_the_line_that_installs_it() {
    let scene = Scene::new();
    let runner = compiler();
    let (missing, line) = scene.missing(&Distro::parse("ID=debian"), "cc", false, &runner);
    for thing in ["openssl/ssl.h (for _ssl, _hashlib)", "zlib.h (for zlib, binascii)", "ffi.h (for _ctypes)"] {
        assert!(missing.iter().any(|other| other == thing), "{thing}: {missing:?}");
    }
    let headers = scene.recipe.shared.libraries.iter().flat_map(|library| &library.headers);
    for header in headers {
        assert!(missing.iter().any(|thing| thing.starts_with(&format!("{header} "))), "{header}: {missing:?}");
    }
    let packages = line.strip_prefix("apt-get update && apt-get install -y --no-install-recommends ").unwrap();
    let packages: BTreeSet<&str> = packages.split(' ').collect();
    for library in &scene.recipe.shared.libraries {
        assert!(packages.contains(library.debian.as_str()), "{}: {packages:?}", library.debian);
    }
    assert!(!runner.specs().iter().any(is_manager), "{:?}", runner.command_lines());
}

#[test]
fn packages_have_the_names_of_the_distribution() {
    let scene = Scene::new();
    let (_, line) = scene.missing(&Distro::parse("ID=fedora"), "cc", false, &compiler());
    let words: BTreeSet<&str> = line.split(' ').collect();
    for library in &scene.recipe.shared.libraries {
        assert!(words.contains(library.fedora.as_str()), "{}: {line}", library.fedora);
    }
}

#[test]
fn a_compiler_that_is_missing_is_named_without_asking_one() {
    let scene = Scene::new();
    let choices = scene.choices("no-such-cc");
    let wanted = Wanted { recipe: &scene.recipe, choices: &choices, launcher: Launcher::None };
    let runner = Scripted::new();
    let Err(error) = check(&Distro::parse("ID=debian"), wanted, false, &runner, &Silent) else {
        panic!("there is such a compiler")
    };
    let Error::MissingDependencies { missing, unpackaged, .. } = error else { panic!("{error}") };
    assert!(missing.contains(&format!("{} (named by CC)", choices.cc())), "{missing:?}");
    assert_eq!(unpackaged.as_deref(), Some(choices.cc()));
    assert!(runner.specs().is_empty());
}

#[test]
fn nothing_is_installed_for_a_compiler_that_no_package_brings() {
    let scene = Scene::new();
    let choices = scene.choices("no-such-cc");
    let wanted = Wanted { recipe: &scene.recipe, choices: &choices, launcher: Launcher::None };
    let runner = Scripted::new();
    let checked = check(&Distro::parse("ID=debian"), wanted, true, &runner, &Silent);
    assert!(matches!(checked, Err(Error::MissingDependencies { unpackaged: Some(_), .. })));
    assert!(runner.specs().is_empty());
}

#[test]
fn a_compiler_that_is_missing_has_its_package_in_the_line() {
    let scene = Scene::new();
    let choices = Choices { optimize: Some(Optimize::None), ..choices(&[("CC", "clang-99")]) };
    let wanted = Wanted { recipe: &scene.recipe, choices: &choices, launcher: Launcher::None };
    let runner = Scripted::new();
    let checked = check(&Distro::parse("ID=debian"), wanted, false, &runner, &Silent);
    let Err(Error::MissingDependencies { missing, install: Some(line), unpackaged: None }) = checked else {
        panic!("there is such a compiler")
    };
    assert!(missing.contains(&"clang-99 (named by CC)".to_owned()), "{missing:?}");
    assert!(line.contains(" clang-99 ") && line.contains(" libc6-dev"), "{line}");
}

#[test]
fn an_optimised_build_with_clang_is_refused_before_clang_is_installed() {
    let scene = Scene::new();
    for cc in ["clang-99", "/opt/llvm/bin/clang -m64"] {
        let choices = choices(&[("CC", cc)]);
        let wanted = Wanted { recipe: &scene.recipe, choices: &choices, launcher: Launcher::None };
        let runner = Scripted::new();
        let checked = check(&Distro::parse("ID=debian"), wanted, true, &runner, &Silent);
        let Err(Error::Profile { reason, remedy: ProfileRemedy::Gcc, .. }) = checked else { panic!("{cc}") };
        assert_eq!(reason, format!("CC is {cc}, but pykeel supports profiles of gcc only"));
        assert!(runner.specs().is_empty());
    }
}

#[test]
fn without_a_known_package_there_is_no_line() {
    let cc = "/no/such/gcc";
    let missing = Missing { things: vec![cc.into()], unpackaged: Some(cc.into()), ..Missing::default() };
    let error = missing.error(&Distro::parse("ID=debian"));
    assert!(matches!(error, Error::MissingDependencies { install: None, .. }), "{error:?}");
}

#[test]
fn the_package_manager_is_run_by_its_absolute_path() {
    let scene = Scene::new();
    // This system's own, for its package manager is there.
    let distro = Distro::read(Path::new("/"));
    let runner = compiler().on(" update", Answer::new()).on(" install ", Answer::new());
    let (missing, line) = scene.missing(&distro, "cc", true, &runner);
    // The script installs nothing, and that is not taken for success.
    assert!(missing.contains(&"zlib.h (for zlib, binascii)".to_owned()), "{missing:?}");
    let name = line.split(' ').next().unwrap();
    let ran: Vec<_> = runner.specs().into_iter().filter(|spec| spec.program.ends_with(name)).collect();
    let lines: Vec<String> = line.split(" && ").map(str::to_owned).collect();
    assert_eq!(ran.len(), lines.len(), "{:?}", runner.command_lines());
    for (spec, line) in ran.iter().zip(lines) {
        assert_eq!(spec.program, find_program(name).unwrap());
        assert!(spec.program.is_absolute());
        assert!(spec.args.iter().map(|word| word.to_str().unwrap()).eq(line.split(' ').skip(1)), "{spec:?}");
    }
}

#[test]
fn an_unknown_package_database_is_an_error_before_anything_is_installed() {
    let scene = Scene::new();
    let choices = scene.choices("cc");
    let wanted = Wanted { recipe: &scene.recipe, choices: &choices, launcher: Launcher::None };
    let runner = Scripted::new();
    let checked = check(&Distro::parse("ID=arch"), wanted, true, &runner, &Silent);
    assert!(matches!(checked, Err(Error::UnknownPackageDatabase { .. })));
    assert!(runner.specs().is_empty());
}
