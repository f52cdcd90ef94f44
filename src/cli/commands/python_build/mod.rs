//! `pykeel python-build`, and the program under the name `python-build`: what pyenv's python-build does, for the
//! releases that have a recipe. docs/from-pyenv.md compares the two.

mod configure;
mod definitions;
mod environment;
mod failure;
mod lines;
mod options;
mod original;
mod remedy;

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
use super::super::settings::{CliOverrides, FlavorChoice, OfOneBuild, Origin};
use super::install::{Installation, Place};
use super::stored::{Missing, Search};
use crate::domain::version::{Variant, VersionRequest};
use crate::error::{Error, Result};
use crate::pipeline::is_past;
use crate::planning::preflight;
use crate::prefix::install::{Durability, InstallOptions};
use crate::recipe::{Catalog, PatchText, Recipe, ReleaseRecipe};
use crate::stages::patch::foreign;
use crate::store::check_work_place;
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
    if let Some(question) = options.question {
        return answer_question(question, words, &original, global);
    }
    let [name, prefix] = &options.arguments[..] else { return Ok(usage()) };
    if name.is_empty() || prefix.is_empty() {
        return Ok(usage());
    }
    let config = config(global)?;
    let catalog = config.catalog()?;
    let found = original.as_ref().ok().and_then(Option::as_ref);
    let definitions = Definitions::new(found, variable);
    let request = match (definitions.meaning(name, &catalog), &original) {
        (Meaning::Recipe(request), _) => request,
        // The one that is named could have known it.
        (_, Err(reason)) => return Err(Failure::Original(reason.clone())),
        (Meaning::Definition(_), Ok(Some(original))) => return Err(hand_over(original, words)),
        (Meaning::Definition(file), Ok(None)) => {
            let what = format!("{} is a definition of python-build", file.display());
            return Err(unknown(name, Some(needs_original(&what))));
        }
        // Nobody knows what one knows that keeps its definitions elsewhere.
        (Meaning::Unknown(_), Ok(Some(original))) if !definitions.knows_those_of_original() => {
            return Err(hand_over(original, words));
        }
        (Meaning::Unknown(nearest), Ok(found)) => {
            return Err(unknown(name, help_for(name, &nearest, found.is_some())));
        }
    };
    let mut environment = Environment::read(&variable)?;
    if options.debug {
        environment.asked.ask_for(Variant::Debug);
    }
    let Some(request) = with_variant(request, &environment.asked.variants) else {
        return Err(match &original {
            Ok(Some(original)) => hand_over(original, words),
            Ok(None) => Error::Usage("a free-threaded debug build is none of pykeel's variants".into()).into(),
            Err(reason) => Failure::Original(reason.clone()),
        });
    };
    fs::plain_modes();
    crate::sys::interrupt::check()?;
    let named = std::path::absolute(prefix).map_err(Error::from)?;
    let prefix = without_climbing(&named);
    Order { options: &options, request, named: &named, prefix: &prefix }.install(environment, config, &catalog)
}

/// Answers what is asked instead of a build.
fn answer_question(
    question: Question,
    words: &[OsString],
    original: &Result<Option<Original>, String>,
    global: &Global,
) -> Result<u8, Failure> {
    if let Question::Help = question {
        return say(&format!("{}\n\n{USAGE}", version()));
    }
    if let Err(reason) = original {
        anstream::eprintln!("{}", said(&format!("warning: {reason}")));
    }
    let original = original.as_ref().ok().and_then(Option::as_ref);
    match (question, original) {
        (Question::Version, Some(original)) => Err(hand_over(original, words)),
        (Question::Definitions, _) => {
            let names = Definitions::new(original, variable).names(&config(global)?.catalog()?);
            say(&names.iter().map(|name| format!("{name}\n")).collect::<String>())
        }
        _ => say(&format!("{}\n", version())),
    }
}

/// Lets the original take this process's place. Returns why it does not.
fn hand_over(original: &Original, words: &[OsString]) -> Failure {
    Failure::Original(original.take_over(words, variable))
}

/// What is to be installed, and where.
struct Order<'a> {
    options: &'a Options,
    request: VersionRequest,
    /// The prefix as it was named, for messages.
    named: &'a Path,
    prefix: &'a Path,
}

impl Order<'_> {
    /// Builds a release unless the store has it, and installs it.
    fn install(&self, environment: Environment, mut config: Config, catalog: &Catalog) -> Result<u8, Failure> {
        let Self { options, request, named, prefix } = *self;
        preflight::refuse_musl()?;
        let (series, recipe) = catalog.find(request)?;
        let package = format!("Python-{}", recipe.version);
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
        // It replaces a Python that somebody works with, and no layer of an image.
        let options = InstallOptions { force: false, durability: Durability::Synced };
        let installation = Installation { place: Place::Exact(prefix), options, search };
        let failed = |error| if reporter.has_built() { Failure::Failed(error) } else { Failure::Refused(error) };
        for (_, output) in installation.outputs(&[Wanted::Version(request)]).map_err(failed)? {
            output.map_err(failed)?;
        }
        anstream::eprintln!("Installed {package} to {}", named.display());
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
    let config = Config::with(&quiet, overrides)?;
    if let Some(text) = config.ignored_file() {
        anstream::eprintln!("{}", said(&format!("warning: {text} (PYKEEL_CONFIG names one that is read)")));
    }
    Ok(config)
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
fn help_for(name: &OsStr, nearest: &[String], has_original: bool) -> Option<String> {
    let nearest_are = (!nearest.is_empty()).then(|| format!("the nearest are {}", nearest.join(", ")));
    // Near releases are of the series; without a number it is hardly a version of anything.
    let may_be_of_original = !nearest.iter().any(|near| near.matches('.').count() > 1)
        && name.as_encoded_bytes().iter().any(u8::is_ascii_digit);
    let about_original = (may_be_of_original && !has_original)
        .then(|| needs_original("pykeel has no recipe of it, and it may be a definition of python-build"));
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

/// Returns the path that an absolute one leads to, without `..`, which a prefix cannot have. What does not exist is not
/// made: `a/../b` leads to `b` although there is no `a`.
fn without_climbing(path: &Path) -> PathBuf {
    if !path.components().any(|part| part == Component::ParentDir) {
        return path.to_owned();
    }
    path.components().fold(PathBuf::new(), |way, part| match part {
        Component::ParentDir => {
            // Above a link is not what is above its target.
            let real = fs_err::canonicalize(&way).unwrap_or(way);
            real.parent().unwrap_or(Path::new("/")).to_owned()
        }
        part => way.join(part),
    })
}

/// Checks the directory for the build as python-build does, and that no other user can replace it.
fn check_work_directory(name: &str, directory: &Path) -> Result<()> {
    let unfit = || Error::Usage(format!("{name}={} is set to a non-accessible location", directory.display()));
    match check_work_place(directory) {
        Err(Error::Io(_)) => return Err(unfit()),
        checked => checked?,
    }
    // Programs that a build starts need TMPDIR. The other one is made by a build that works in it.
    if name == "TMPDIR" {
        fs_err::create_dir_all(directory).map_err(|_| unfit())?;
    }
    let there = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let is_fit = there.is_dir() && rustix::fs::access(there, access).is_ok();
    if is_fit { Ok(()) } else { Err(unfit()) }
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
    fn a_prefix_is_taken_as_it_is_and_without_climbing() {
        let place = tempfile::tempdir().unwrap();
        let real = fs_err::canonicalize(place.path()).unwrap();
        fs_err::create_dir_all(real.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/b", real.join("link")).unwrap();
        let of = |path: &str| without_climbing(&real.join(path));
        assert_eq!(of("{version}/x y/"), real.join("{version}/x y/"));
        assert_eq!(of("a/../new/deep"), real.join("new/deep"));
        assert_eq!(of("absent/../new"), real.join("new"));
        assert_eq!(of("link/../new"), real.join("a/new"));
        assert_eq!(of("a/.."), real);
        assert_eq!(without_climbing(Path::new("/../../x")), Path::new("/x"));
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
