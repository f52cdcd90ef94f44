//! `pykeel python-build`, and the program under the name `python-build`: what pyenv's python-build does, for the
//! releases that have a recipe. docs/from-pyenv.md compares the two.

mod configure;
mod definitions;
mod environment;
mod failure;
mod lines;
mod options;
mod original;

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use self::definitions::{Definitions, Meaning};
use self::environment::Environment;
use self::failure::Failure;
use self::lines::{Lines, said};
use self::options::{LIB, Options, Question, USAGE};
use self::original::Original;
use super::super::args::{Global, PythonBuildArgs, Wanted};
use super::super::config::{BuildPlaces, Config};
use super::super::reporter::CliReporter;
use super::super::settings::{CliOverrides, FlavorChoice, OfOneBuild, Origin};
use super::install::Installation;
use super::stored::{Missing, Search};
use crate::domain::version::{Variant, VersionRequest};
use crate::error::{Error, Result};
use crate::pipeline::is_past;
use crate::planning::preflight;
use crate::prefix::install::{Durability, InstallOptions, check_destination};
use crate::prefix::site::Destination;
use crate::recipe::{Catalog, PatchText, Recipe, ReleaseRecipe};
use crate::stages::patch::foreign;
use crate::sys::fs;

/// The python-build that this one stands in for.
const STANDS_FOR: &str = "2.8.1";

/// The most bytes of a patch.
const LARGEST_PATCH: u64 = 64 << 20;

/// Runs python-build, prints its errors, and returns its exit code.
pub(super) fn run(args: &PythonBuildArgs, global: &Global) -> u8 {
    match answer(&args.words, global) {
        Ok(code) => code,
        Err(failure) => {
            anstream::eprintln!("{}", failure.text());
            failure.code()
        }
    }
}

/// What `--version` prints where there is no original.
fn version() -> String {
    format!("python-build {STANDS_FOR} (pykeel {})", env!("CARGO_PKG_VERSION"))
}

fn answer(words: &[OsString], global: &Global) -> Result<u8, Failure> {
    if words.first().is_some_and(|word| word == "--lib") {
        return say(LIB);
    }
    let options = Options::parse(words);
    let original = Original::find(variable);
    let hand_over = |original: &Original| Err(Failure::Original(original.take_over(words, variable)));
    match (options.question, &original) {
        (Some(Question::Help), _) => return say(&format!("{}\n\n{USAGE}", version())),
        (Some(Question::Version), Ok(Some(original))) => return hand_over(original),
        (Some(Question::Version), _) => return say(&format!("{}\n", version())),
        (Some(Question::Definitions), _) => {
            let names = Definitions::new(original.ok().flatten().as_ref(), variable).names(&config(global)?.catalog()?);
            return say(&names.iter().map(|name| format!("{name}\n")).collect::<String>());
        }
        (None, _) => {}
    }
    let [name, prefix] = &options.arguments[..] else { return Ok(usage()) };
    if name.is_empty() || prefix.is_empty() {
        return Ok(usage());
    }
    let config = config(global)?;
    let catalog = config.catalog()?;
    let definitions = Definitions::new(original.as_ref().ok().and_then(Option::as_ref), variable);
    let request = match definitions.meaning(name, &catalog) {
        Meaning::Recipe(request) => request,
        Meaning::Unknown(nearest) if definitions.knows_those_of_original() || !matches!(original, Ok(Some(_))) => {
            return Err(unknown(name, help_for(name, &nearest, &original)));
        }
        Meaning::File(_) | Meaning::Unknown(_) => match &original {
            Ok(Some(original)) => return hand_over(original),
            Ok(None) => return Err(unknown(name, Some(needs_original("it is a definition of python-build")))),
            Err(reason) => return Err(unknown(name, Some(reason.clone()))),
        },
    };
    let mut environment = Environment::read(&variable)?;
    if options.debug {
        environment.asked.ask_for(Variant::Debug);
    }
    let Some(request) = with_variant(request, &environment.asked.variants) else {
        return match &original {
            Ok(Some(original)) => hand_over(original),
            _ => Err(Error::Usage("a free-threaded debug build is none of pykeel's variants".into()).into()),
        };
    };
    fs::plain_modes();
    crate::sys::interrupt::check()?;
    let prefix = absolute(Path::new(prefix))?;
    Order { options: &options, request, prefix: &prefix }.install(environment, config, &catalog)
}

/// What is to be installed, and where.
struct Order<'a> {
    options: &'a Options,
    request: VersionRequest,
    prefix: &'a Path,
}

impl Order<'_> {
    /// Builds a release unless the store has it, and installs it.
    fn install(&self, environment: Environment, mut config: Config, catalog: &Catalog) -> Result<u8, Failure> {
        let Self { options, request, prefix } = *self;
        preflight::refuse_musl()?;
        let (series, recipe) = catalog.find(request)?;
        let package = format!("Python-{}", recipe.version);
        check_destination(&Destination { root: None, prefix: prefix.to_owned() })?;
        warn(series, &package, options, &environment);
        let patches = if options.patch { vec![patch_of(std::io::stdin())?] } else { Vec::new() };
        let Environment { asked, compiler_words, jobs, mirrors, cache, work_in, .. } = environment;
        if let Some((name, directory)) = &work_in {
            check_work_directory(name, directory)?;
        }
        let settings = &mut config.settings;
        // python-build asks for a shared libpython if the user says nothing.
        let default = if settings.shared.origin == Origin::Default { true } else { settings.shared.value };
        settings.shared.value = asked.shared.unwrap_or(default);
        settings.optimize.value =
            asked.optimize.filter(|_| request.variant != Variant::Debug).or(settings.optimize.value);
        settings.jobs.value = jobs.unwrap_or(settings.jobs.value);
        settings.mirror.value.splice(..0, mirrors.into_iter().map(super::super::settings::Mirror));

        let reporter = Lines::new(package.clone(), options.verbose);
        let jobs = config.jobs()?;
        let search = Search {
            config: &config,
            pipeline: config.pipeline(catalog, &reporter, &jobs),
            once: OfOneBuild {
                debug_files: false,
                configure_arguments: further_arguments(&recipe, asked.arguments, config.settings.shared.value),
                compiler_words,
                patches,
            },
            profile: None,
            places: BuildPlaces {
                keep_build: options.keep,
                work_in: work_in.map(|(_, directory)| directory),
                source_copies: cache,
            },
            // The artifact is of the configured prefix, so that all users of a store share it.
            prefix: None,
            root: None,
            missing: Missing::Build,
        };
        let options = InstallOptions { force: false, durability: Durability::Unsynced };
        let installation = Installation { prefix: Some(prefix), root: None, options, search };
        let outputs = installation.outputs(&[Wanted::Version(request)]).map_err(Failure::Failed)?;
        for (_, output) in outputs {
            output.map_err(Failure::Failed)?;
        }
        anstream::eprintln!("Installed {package} to {}", prefix.display());
        Ok(0)
    }
}

/// Returns the configuration: python-build has no options for it.
fn config(global: &Global) -> Result<Config> {
    let quiet = Global { quiet: true, verbose: false, ..global.clone() };
    let overrides = CliOverrides {
        store: global.store.clone(),
        recipes: global.recipes.clone().map(Some),
        flavor: Some(FlavorChoice::Builder),
        // python-build warns of it.
        allow_eol: Some(true),
        ..CliOverrides::default()
    };
    Config::with(global, overrides, CliReporter::new(&quiet))
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Prints an answer on standard output.
fn say(text: &str) -> Result<u8, Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // The reader has closed the pipe, as `head` does.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::from(error).into()),
        _ => Ok(0),
    }
}

fn usage() -> u8 {
    anstream::eprint!("{USAGE}");
    1
}

fn unknown(name: &OsStr, help: Option<String>) -> Failure {
    Failure::Unknown { name: name.to_string_lossy().into_owned(), help }
}

fn needs_original(what: &str) -> String {
    format!("{what}, which only the original python-build can build: install it, or name it with PYKEEL_PYTHON_BUILD")
}

/// Says what to do about a name that nobody knows.
fn help_for(name: &OsStr, nearest: &[String], original: &Result<Option<Original>, String>) -> Option<String> {
    let nearest_are = (!nearest.is_empty()).then(|| format!("the nearest are {}", nearest.join(", ")));
    // Near releases are of the series; without a number it is hardly a version of anything.
    let may_be_of_original = !nearest.iter().any(|near| near.matches('.').count() > 1)
        && name.as_encoded_bytes().iter().any(u8::is_ascii_digit);
    let about_original = match original {
        Err(reason) => Some(reason.clone()),
        Ok(None) if may_be_of_original => {
            Some(needs_original("pykeel has no recipe of it, and it may be a definition of python-build"))
        }
        Ok(_) => None,
    };
    let help: Vec<String> = nearest_are.into_iter().chain(about_original).collect();
    (!help.is_empty()).then(|| help.join("; "))
}

/// Returns the request in the variant that is asked for; none if two are, which no recipe has.
fn with_variant(request: VersionRequest, asked: &[Variant]) -> Option<VersionRequest> {
    asked.iter().try_fold(request, |request, variant| {
        let fits = request.variant == Variant::Default || request.variant == *variant;
        fits.then_some(VersionRequest { variant: *variant, ..request })
    })
}

/// Says what a user of python-build would not expect.
fn warn(series: &Recipe, package: &str, options: &Options, environment: &Environment) {
    if is_past(series) {
        anstream::eprintln!(
            "\nWARNING: {package} is past its end of life and is now unsupported.\n\
             It no longer receives bug fixes or critical security updates.\n"
        );
    }
    let ignored: Vec<&str> = environment.ignored.iter().chain(&options.ignored).map(String::as_str).collect();
    if !ignored.is_empty() {
        anstream::eprintln!("{}", said(&format!("these have no effect in pykeel: {}", ignored.join(", "))));
    }
    for note in &environment.asked.notes {
        anstream::eprintln!("{}", said(note));
    }
}

/// Reads the patch from standard input.
fn patch_of(input: impl std::io::Read) -> Result<PatchText> {
    let name = || "standard-input.patch".to_owned();
    let refused = |reason: String| Error::Patch { name: name(), reason };
    let mut bytes = Vec::new();
    input.take(LARGEST_PATCH + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_PATCH {
        return Err(refused(format!("it has more than {LARGEST_PATCH} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".into()))?;
    Ok(PatchText { name: name(), text: foreign::rewritten(&text).map_err(refused)? })
}

/// Returns the arguments that the recipe does not give anyway: they would make another artifact of the same bytes.
fn further_arguments(recipe: &ReleaseRecipe, mut arguments: Vec<String>, is_shared: bool) -> Vec<String> {
    let shared = &recipe.shared;
    let of_libpython = if is_shared { &shared.shared.configure[..] } else { &[] };
    arguments.retain(|argument| !shared.configure.arguments.contains(argument) && !of_libpython.contains(argument));
    arguments
}

/// Returns an absolute path without `..`, which a prefix cannot have.
fn absolute(prefix: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(prefix)?;
    let climbs = path.components().any(|part| part == Component::ParentDir);
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if climbs => Ok(fs_err::canonicalize(parent)?.join(name)),
        _ => Ok(path),
    }
}

/// Checks the directory for the build as python-build does.
fn check_work_directory(name: &str, directory: &Path) -> Result<()> {
    let made = fs_err::create_dir_all(directory).is_ok();
    if made && rustix::fs::access(directory, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok() {
        return Ok(());
    }
    Err(Error::Usage(format!("{name}={} is set to a non-accessible location", directory.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_of_the_name_or_of_the_options_and_never_two() {
        let with = |name: &str, asked: &[Variant]| {
            with_variant(name.parse().unwrap(), asked).map(|request| request.to_string())
        };
        assert_eq!(with("3.13.5", &[]).as_deref(), Some("3.13.5"));
        assert_eq!(with("3.13.5", &[Variant::Debug]).as_deref(), Some("3.13.5d"));
        assert_eq!(with("3.13.5t", &[Variant::FreeThreaded]).as_deref(), Some("3.13.5t"));
        assert_eq!(with("3.13.5t", &[Variant::Debug]), None);
        assert_eq!(with("3.13.5", &[Variant::FreeThreaded, Variant::Debug]), None);
    }

    #[test]
    fn arguments_that_the_recipe_has_are_not_given_again() {
        let catalog = Catalog::load(None).unwrap();
        let (_, recipe) = catalog.find("3.13.5".parse().unwrap()).unwrap();
        let words = ["--enable-loadable-sqlite-extensions", "--without-static-libpython", "--without-doc-strings"];
        let words = || words.map(str::to_owned).to_vec();
        assert_eq!(further_arguments(&recipe, words(), true), ["--without-doc-strings"]);
        assert_eq!(further_arguments(&recipe, words(), false).len(), 2);
    }

    #[test]
    fn a_patch_is_text_of_a_diff() {
        let patch = patch_of(&b"--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n"[..]).unwrap();
        assert_eq!(patch.text, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n");
        for wrong in [&b""[..], b"\xff", b"no diff"] {
            assert!(matches!(patch_of(wrong), Err(Error::Patch { .. })));
        }
    }
}
