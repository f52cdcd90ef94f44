//! Resolve: makes the plan of a build from the user's choices, a recipe and a host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choices::{Choices, append};
use super::libpython;
use super::loaded;
use super::preflight::Host;
use crate::domain::digest::Digest;
use crate::domain::inputs::InputFinding;
use crate::domain::plan::{
    ArtifactRequest, BuildPlan, Flavor, Hardening, LibraryPolicy, PlannedFile, PlannedFreeze, PlannedLibrary,
    PlannedPatch, Provenance, ToolchainId,
};
use crate::domain::profile::Optimisation;
use crate::error::{Error, Result};
use crate::recipe::ReleaseRecipe;
use crate::sys::distro::OwnedFile;
use crate::sys::elf;
use crate::sys::process::SEARCH_PATH;

/// Resolves everything that decides the bytes of the output.
///
/// # Errors
/// [`Error::Library`] for a library that the compiler does not find, [`Error::Unconfirmed`] for one that no package owns,
/// [`Error::Command`] if the compiler fails, [`Error::Io`] if a file cannot be read.
pub fn resolve(
    recipe: &ReleaseRecipe,
    flavor: Flavor,
    choices: &Choices,
    optimisation: &Optimisation,
    host: &Host<'_>,
) -> Result<BuildPlan> {
    let request = choices.request(recipe, flavor, host.toolchain.target);
    libpython::refuse_arguments(recipe, &request.policies)?;
    let kept = recipe.flavor(flavor);
    let libraries = libraries(recipe, host)?;
    let loaded = match choices.policies.library_policy {
        LibraryPolicy::Bundle => loaded_files(recipe, &libraries, host)?,
        // The system's libraries load the system's files.
        LibraryPolicy::System => Vec::new(),
    };
    let mut plan = BuildPlan {
        profile: None,
        source: recipe.sums,
        patches: recipe
            .shared
            .patches
            .iter()
            .map(|patch| PlannedPatch { name: patch.file.clone(), sha256: patch.sha256 })
            .chain(request.policies.patches.iter().cloned())
            .collect(),
        configure: configure_arguments(recipe, &request),
        hidden_headers: recipe.shared.configure.hidden_headers.clone(),
        hidden_libraries: recipe.shared.configure.hidden_libraries.clone(),
        environment: environment(recipe, choices, &request),
        request,
        freeze: None,
        make: Vec::new(),
        module_link: recipe.shared.make.module_link.clone(),
        install: recipe.shared.make.install.clone(),
        modules: recipe.shared.modules.required.clone(),
        disabled: recipe.shared.modules.disabled.clone(),
        builtin: recipe.shared.modules.builtin.clone(),
        pkg_config: recipe.shared.libraries.iter().flat_map(|library| library.pkg_config.iter().cloned()).collect(),
        strip: Vec::new(),
        static_library: false,
        pip: kept.pip,
        externally_managed: kept.externally_managed.clone(),
        toolchain: toolchain(host)?,
        runtime_packages: runtime_packages(choices.policies.library_policy, &libraries),
        libraries,
        loaded,
        provenance: Provenance { recipe: Some(recipe.digest()), environment: host.inputs.environment.clone() },
        inputs: Arc::new(host.inputs.inputs.clone()),
    };
    let stdlib = plan.stdlib();
    plan.strip = kept.strip.iter().map(|pattern| pattern.replace("{stdlib}", &stdlib)).collect();
    plan.static_library = libpython::is_kept_static(&plan)?;
    optimise(&mut plan, recipe, optimisation);
    Ok(plan)
}

/// The packages that the runtime image should install, sorted.
fn runtime_packages(policy: LibraryPolicy, libraries: &[PlannedLibrary]) -> Vec<String> {
    let mut packages = BTreeSet::from(["ca-certificates", "tzdata"]);
    if policy == LibraryPolicy::System {
        packages.extend(libraries.iter().map(|library| library.package.as_str()));
    }
    packages.into_iter().map(str::to_owned).collect()
}

fn configure_arguments(recipe: &ReleaseRecipe, request: &ArtifactRequest) -> Vec<String> {
    std::iter::once(format!("--prefix={}", request.prefix))
        .chain(libpython::arguments(recipe, &request.policies).cloned())
        .chain(recipe.shared.configure.cache.iter().map(|(name, value)| format!("{name}={value}")))
        // The last of several arguments with the same name counts.
        .chain(request.policies.configure_arguments.iter().cloned())
        .collect()
}

/// Sets the fields of a plan that depend on the optimisation. With the profile that an instrumented build recorded,
/// this turns its plan into that of the optimised build.
pub fn optimise(plan: &mut BuildPlan, recipe: &ReleaseRecipe, optimisation: &Optimisation) {
    plan.profile = match optimisation {
        Optimisation::Profile(profile) => Some(profile.digest),
        Optimisation::None | Optimisation::Instrumented(_) => None,
    };
    plan.make = make_arguments(recipe, plan, optimisation);
    plan.freeze = freeze(recipe, optimisation);
}

/// The interpreter that make has just built runs without `site`: at the prefix and below HOME there may be modules of
/// an earlier installation. Variables on make's command line are recorded nowhere.
const PYTHON_FOR_BUILD: &str = "PYTHON_FOR_BUILD=./$(BUILDPYTHON) -E -s -S";

/// Turns on the compiler's warnings about a profile, which are counted, whatever the user's flags are.
const PROFILE_WARNINGS: &str = "-Wcoverage-mismatch -Wmissing-profile";

/// Returns the arguments of make: the recipe's, those of the optimisation, of hardening, and of a shared libpython.
fn make_arguments(recipe: &ReleaseRecipe, plan: &BuildPlan, optimisation: &Optimisation) -> Vec<String> {
    let policies = &plan.request.policies;
    let mut words = recipe.shared.make.arguments.clone();
    words.push(PYTHON_FOR_BUILD.to_owned());
    words.extend(optimising_arguments(recipe, plan, optimisation));
    if policies.hardening == Hardening::Full {
        let hardening = &recipe.shared.hardening;
        let of_static = if policies.shared { &[][..] } else { &hardening.make_static };
        for word in hardening.make.iter().chain(of_static) {
            if let Some((variable, _)) = word.split_once('=') {
                words.retain(|other| other.split_once('=').is_none_or(|(name, _)| name != variable));
            }
            words.push(word.clone());
        }
    }
    if policies.shared {
        libpython::link_program(&mut words, &recipe.shared.shared.program_link);
    }
    words
}

/// Returns the arguments of make that optimise.
fn optimising_arguments(recipe: &ReleaseRecipe, plan: &BuildPlan, optimisation: &Optimisation) -> Vec<String> {
    let mut words = Vec::new();
    let Some(pgo) = &recipe.shared.pgo else { return words };
    let (compile, link) = match optimisation {
        Optimisation::None => return words,
        Optimisation::Instrumented(_) => (pgo.instrument.clone(), pgo.instrument.clone()),
        Optimisation::Profile(_) => {
            // The stage `freeze` runs these in a copy of the tree, and their output is in the tree already.
            let helpers = pgo.freeze.iter().flat_map(|freeze| &freeze.helpers);
            words.extend(helpers.flat_map(|helper| ["-o".to_owned(), helper.clone()]));
            words.extend(pgo.make.iter().cloned());
            (
                format!("{PROFILE_WARNINGS} {}", pgo.compile),
                if plan.request.policies.shared { libpython::link(&pgo.link) } else { pgo.link.clone() },
            )
        }
    };
    // CPython's Makefile adds these to `CONFIGURE_CFLAGS_NODIST` and `CONFIGURE_LDFLAGS_NODIST`, which configure wrote.
    words.extend([format!("CFLAGS_NODIST={compile}"), format!("LDFLAGS_NODIST={link}")]);
    words
}

/// Returns the search path of the build: the directory of a compiler that is named by its path, then the system's.
fn search_path(choices: &Choices) -> String {
    let driver = choices.cc().split_whitespace().next().map(Path::new).filter(|path| path.is_absolute());
    match driver
        .and_then(Path::parent)
        .filter(|directory| !SEARCH_PATH.split(':').any(|known| Path::new(known) == *directory))
    {
        Some(directory) => format!("{}:{SEARCH_PATH}", directory.display()),
        None => SEARCH_PATH.to_owned(),
    }
}

/// Returns the environment of the build: the recipe's variables with the flags of hardening, then pykeel's, then the
/// user's.
fn environment(recipe: &ReleaseRecipe, choices: &Choices, request: &ArtifactRequest) -> BTreeMap<String, String> {
    let path = search_path(choices);
    let fixed = [
        ("PATH", path.as_str()),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("PYTHONHASHSEED", "0"),
        // Not a directory, so no file can be below it.
        ("HOME", "/dev/null"),
        // Without this configure would read `share/config.site` and `etc/config.site` of the prefix.
        ("CONFIG_SITE", "/dev/null"),
        ("CC", choices.cc()),
        // A release is built without another Python. Without this, configure would record the name of
        // the one on the host.
        ("PYTHON_FOR_REGEN", "python3"),
    ];
    let mut variables: BTreeMap<String, String> = recipe.shared.configure.environment.clone();
    if request.policies.hardening == Hardening::Full {
        // Configure adds these to what compiles and links CPython itself, and to nothing that users build.
        let hardening = &recipe.shared.hardening;
        append(&mut variables, "CFLAGS_NODIST", &hardening.compiler_options(request.target));
        append(&mut variables, "LDFLAGS_NODIST", &hardening.link);
    }
    if request.policies.shared {
        // The linker compiles, too, in a build with link-time optimisation.
        append(&mut variables, "CFLAGS_NODIST", &recipe.shared.shared.compile);
        append(&mut variables, "LDFLAGS_NODIST", &recipe.shared.shared.compile);
    }
    variables.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables.extend(choices.policies.compiler_variables.clone());
    variables
}

/// Returns the identity of the toolchain: its programs by content, its packages by version and checksums.
fn toolchain(host: &Host<'_>) -> Result<ToolchainId> {
    let toolchain = &host.toolchain;
    let digest = |path: &PathBuf| -> Result<Digest> { Ok(Digest::of_reader(fs_err::File::open(path)?)?) };
    Ok(ToolchainId {
        compiler: toolchain.compiler.version()?,
        glibc: toolchain.glibc.clone(),
        programs: toolchain
            .programs
            .iter()
            .map(|(name, path)| Ok((name.clone(), digest(path)?)))
            .collect::<Result<_>>()?,
        packages: host.inputs.packages.clone(),
        trees: host.inputs.trees.clone(),
    })
}

/// Returns how the frozen modules are made: in a build with a profile, if the recipe says how.
fn freeze(recipe: &ReleaseRecipe, optimisation: &Optimisation) -> Option<PlannedFreeze> {
    let freeze = recipe.shared.pgo.as_ref()?.freeze.clone()?;
    matches!(optimisation, Optimisation::Profile(_)).then_some(freeze)
}

/// Returns the package of a library.
fn owner<'o>(owners: &'o BTreeMap<PathBuf, OwnedFile>, path: &Path) -> Result<&'o OwnedFile> {
    owners.get(path).ok_or_else(|| {
        let reason = "no package owns it, so its version and licence are unknown".into();
        let remedy = "remove it, so that the distribution's file is found instead, or install it from a package".into();
        Error::Unconfirmed { findings: vec![InputFinding { path: path.to_owned(), reason, remedy }] }
    })
}

/// Returns the libraries that the recipe links and all that these need, without glibc's.
fn libraries(recipe: &ReleaseRecipe, host: &Host<'_>) -> Result<Vec<PlannedLibrary>> {
    let mut found: BTreeMap<String, (PathBuf, elf::ElfFile)> = BTreeMap::new();
    let mut queue: Vec<String> = Vec::new();
    for library in &recipe.shared.libraries {
        for name in &library.link {
            queue.extend(linked_sonames(host, name, host.family.name(&library.debian, &library.fedora))?);
        }
    }
    while let Some(soname) = queue.pop() {
        if elf::is_glibc(&soname) || found.contains_key(&soname) {
            continue;
        }
        let path = host.toolchain.library(&soname)?.ok_or_else(|| Error::Library {
            soname: soname.clone(),
            reason: "the compiler does not find it".into(),
            remedy: "install the package that has it".into(),
        })?;
        let file = elf::read(&path)?;
        queue.extend(file.needed.iter().cloned());
        found.insert(soname, (path, file));
    }
    let paths: Vec<PathBuf> = found.values().map(|(path, _)| path.clone()).collect();
    let owners = host.database.owners(&paths)?;
    found
        .into_iter()
        .map(|(soname, (path, file))| {
            let owner = owner(&owners, &path)?;
            Ok(PlannedLibrary {
                sha256: Digest::of_reader(fs_err::File::open(&path)?)?,
                package: owner.package.clone(),
                version: owner.version.clone(),
                source_package: owner.source_package.clone(),
                source_version: owner.source_version.clone(),
                needs: file.needed.into_iter().filter(|name| !elf::is_glibc(name)).collect(),
                soname,
                path,
            })
        })
        .collect()
}

/// Returns the files that the planned libraries load or read by name.
fn loaded_files(recipe: &ReleaseRecipe, libraries: &[PlannedLibrary], host: &Host<'_>) -> Result<Vec<PlannedFile>> {
    let mut found = loaded::find(recipe, &host.toolchain)?;
    found.retain(|place| libraries.iter().any(|library| library.soname == place.loaded.by));
    let paths: Vec<PathBuf> = found.iter().filter_map(|place| place.path.clone()).collect();
    let owners = host.database.owners(&paths)?;
    found
        .into_iter()
        .map(|place| {
            let path = place.path.ok_or_else(|| Error::Library {
                soname: place.loaded.by.clone(),
                reason: format!("it loads {}, which is not there", place.file),
                remedy: format!("install {}", host.family.name(&place.loaded.debian, &place.loaded.fedora)),
            })?;
            let owner = owner(&owners, &path)?;
            Ok(PlannedFile {
                file: place.file.to_owned(),
                loaded_by: place.loaded.by.clone(),
                sha256: Digest::of_reader(fs_err::File::open(&path)?)?,
                package: owner.package.clone(),
                version: owner.version.clone(),
                source_package: owner.source_package.clone(),
                source_version: owner.source_version.clone(),
                path,
            })
        })
        .collect()
}

/// Returns the sonames that `-lNAME` links: the library's own, or those that a linker script names.
fn linked_sonames(host: &Host<'_>, name: &str, package: &str) -> Result<Vec<String>> {
    let missing = || Error::Library {
        soname: format!("lib{name}.so"),
        reason: "the compiler does not find it".into(),
        remedy: format!("reinstall {package}"),
    };
    let path = host.toolchain.library(&format!("lib{name}.so"))?.ok_or_else(missing)?;
    if elf::is_elf(&path)? {
        let soname = elf::read(&path)?.soname;
        return Ok(vec![soname.unwrap_or_else(|| file_name(&path))]);
    }
    let mut sonames = Vec::new();
    for word in script_inputs(&fs_err::read_to_string(&path)?) {
        match word.strip_prefix("-l") {
            Some(name) => sonames.extend(linked_sonames(host, name, package)?),
            None => sonames.push(file_name(Path::new(&word))),
        }
    }
    Ok(sonames)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the shared libraries that a linker script names: `INPUT(libncursesw.so.6 -ltinfo)`.
fn script_inputs(script: &str) -> Vec<String> {
    script
        .split(|c: char| c.is_whitespace() || "(),".contains(c))
        .filter(|word| word.starts_with("-l") || word.contains(".so."))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_home_nor_the_prefix_has_a_say_in_the_build() {
        let catalog = crate::recipe::Catalog::load(None).unwrap();
        let (_, recipe) = catalog.find("3.13.5".parse().unwrap()).unwrap();
        let choices = crate::planning::choices::tests::choices(&[]);
        let request = choices.request(&recipe, Flavor::Runtime, crate::domain::target::Target::X86_64);
        let environment = environment(&recipe, &choices, &request);
        assert_eq!((&environment["HOME"][..], &environment["CONFIG_SITE"][..]), ("/dev/null", "/dev/null"));
        let words = make_arguments(&recipe, &crate::domain::plan::tests::plan(), &Optimisation::None);
        let python = words.iter().find_map(|word| word.strip_prefix("PYTHON_FOR_BUILD=")).unwrap();
        assert!(["-E", "-s", "-S"].iter().all(|option| python.split(' ').any(|word| word == *option)), "{python}");
    }

    #[test]
    fn a_shared_libpython_is_compiled_for_a_library_and_the_interpreter_finds_it() {
        let catalog = crate::recipe::Catalog::load(None).unwrap();
        let (_, recipe) = catalog.find("3.13.5".parse().unwrap()).unwrap();
        let choices = crate::planning::choices::tests::choices(&[]);
        let mut plan = crate::domain::plan::tests::plan();
        let words = make_arguments(&recipe, &plan, &Optimisation::None);
        assert!(words.contains(&"CFLAGSFORSHARED=-fPIE".to_owned()), "{words:?}");
        assert!(!configure_arguments(&recipe, &plan.request).contains(&"--enable-shared".to_owned()));
        plan.request.policies.shared = true;
        let words = make_arguments(&recipe, &plan, &Optimisation::None);
        assert!(!words.iter().any(|word| word.starts_with("CFLAGSFORSHARED=")), "{words:?}");
        let link: Vec<_> = words.iter().filter(|word| word.starts_with("LINKFORSHARED=")).collect();
        assert_eq!(
            link,
            ["LINKFORSHARED=-Xlinker -export-dynamic -pie '-Wl,--enable-new-dtags,-rpath,$$ORIGIN/../lib'"]
        );
        assert!(configure_arguments(&recipe, &plan.request).contains(&"--enable-shared".to_owned()));
        let environment = environment(&recipe, &choices, &plan.request);
        for name in ["CFLAGS_NODIST", "LDFLAGS_NODIST"] {
            assert!(environment[name].ends_with(" -fno-semantic-interposition"), "{}", environment[name]);
        }
    }

    #[test]
    fn the_interpreter_does_not_depend_on_what_else_a_flavor_keeps() {
        let catalog = crate::recipe::Catalog::load(None).unwrap();
        let (_, recipe) = catalog.find("3.13.5".parse().unwrap()).unwrap();
        let pinned = &recipe.profiles[0];
        let profile = crate::store::profile::open(&pinned.file, &catalog.profile(pinned).unwrap()).unwrap();
        let optimisation = Optimisation::Profile(Box::new(profile));
        let mut plan = crate::domain::plan::tests::plan();
        let words = make_arguments(&recipe, &plan, &optimisation);
        plan.static_library = true;
        assert_eq!(make_arguments(&recipe, &plan, &optimisation), words);
        (plan.static_library, plan.request.policies.shared) = (false, true);
        let words = make_arguments(&recipe, &plan, &optimisation);
        assert!(words.iter().any(|word| word.starts_with("LDFLAGS_NODIST=-flto=auto ")), "{words:?}");
    }

    #[test]
    fn linker_scripts_name_libraries() {
        assert_eq!(script_inputs("INPUT(libncursesw.so.6 -ltinfo)\n"), ["libncursesw.so.6", "-ltinfo"]);
        let libc = "/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a \
                    AS_NEEDED ( /lib64/ld-linux-x86-64.so.2 ) )";
        assert_eq!(script_inputs(libc), ["/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}
