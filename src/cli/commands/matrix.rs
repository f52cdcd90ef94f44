//! `pykeel matrix`: says what CI has to build, and with which commands.

use serde::Serialize;

use super::super::args::{MatrixArgs, MatrixForm};
use super::super::config::Config;
use super::super::settings::{Origin, Setting};
use super::{print, warn_of_unreadable};
use crate::domain::digest::Digest;
use crate::domain::plan::{ArtifactRequest, Flavor};
use crate::domain::target::Target;
use crate::domain::version::{Selector, Variant, VersionRequest};
use crate::error::{Error, RemoteError, Result};
use crate::event::{Event, Reporter as _};
use crate::export::matrix::{self, Cell, Commands};
use crate::pipeline;
use crate::planning::choices::Choices;
use crate::recipe::{Catalog, ReleaseRecipe};
use crate::store::remote::{self, Address, Remote, Wanted};

/// What has to be built.
#[derive(Debug, Serialize)]
struct Output {
    /// The remote that was asked; none if it was the store.
    remote: Option<Address>,
    cells: Vec<Cell>,
    /// What is there already.
    there: Vec<There>,
}

/// An artifact that is there.
#[derive(Debug, Serialize)]
struct There {
    version: String,
    target: Target,
    flavor: Flavor,
}

pub(super) fn run(args: &MatrixArgs, config: &Config) -> Result<u8> {
    let catalog = config.catalog()?;
    let artifacts = &args.artifacts;
    let choices = config.choices(
        config.settings.prefix.value.clone(),
        artifacts.policies.once(artifacts.debug_files),
        artifacts.policies.profile.as_ref(),
    )?;
    let remote = remote(args, config)?;
    let place = Place::open(remote.as_ref(), config)?;
    let commands = commands(args, &choices, remote.as_ref(), config)?;
    let targets = if args.target.is_empty() { &[Target::OF_THIS_PROGRAM][..] } else { &args.target };
    let (mut cells, mut there): (Vec<Cell>, Vec<There>) = (Vec::new(), Vec::new());
    for recipe in recipes(args, &catalog, config)? {
        for target in targets {
            let mut missing = Vec::new();
            for flavor in config.settings.flavor.value.flavors() {
                if place.has(&choices.request(&recipe, flavor, *target), recipe.digest(), config)? {
                    there.push(There { version: recipe.full_version(), target: *target, flavor });
                } else {
                    missing.push(flavor);
                }
            }
            let series = format!("{}{}", recipe.version.series(), recipe.variant);
            cells.extend(Cell::new(recipe.full_version(), series, *target, &missing, &commands));
        }
    }
    let output = Output { remote, cells, there };
    print(config, &output, || match args.form {
        None => text(&output),
        Some(MatrixForm::Github) => matrix::github(&output.cells),
        Some(MatrixForm::Gitlab) => matrix::gitlab(&output.cells, &commands),
        Some(MatrixForm::Bake) => matrix::bake(&output.cells),
    })?;
    Ok(0)
}

/// Lines for people.
fn text(output: &Output) -> String {
    let Output { remote, cells, there } = output;
    if cells.is_empty() {
        let place = remote.as_ref().map_or_else(|| "the store".to_owned(), |remote| format!("the remote {remote}"));
        return format!("nothing is to be built: {place} has all {}\n", there.len());
    }
    let line = |cell: &Cell| {
        let push = cell.push.iter().map(|push| format!(" && {push}")).collect::<String>();
        format!("{:<9} {:<17} {:<7}  {}{push}\n", cell.version, cell.target, cell.flavor, cell.build)
    };
    cells.iter().map(line).collect()
}

/// The remote that gets what is built.
fn remote(args: &MatrixArgs, config: &Config) -> Result<Option<Address>> {
    let remote = match &args.push {
        Some(text) => Some(Address::parse(text)?),
        None => config.settings.remotes.value.0.first().cloned(),
    };
    match remote {
        Some(address) if address.is_read_only() => Err(RemoteError::ReadOnly { address: address.to_string() }.into()),
        remote => Ok(remote),
    }
}

/// Where it is looked up what is there already.
enum Place {
    Remote(Box<dyn Remote>),
    Store,
}

impl Place {
    fn open(remote: Option<&Address>, config: &Config) -> Result<Self> {
        match remote {
            Some(address) if config.settings.offline.value && address.is_remote() => {
                Err(Error::Usage(format!("nothing is asked over the network now, and {address} is no directory")))
            }
            Some(address) => Ok(Self::Remote(remote::open(address)?)),
            None => warn_of_unreadable(config, &config.reporter).map(|()| Self::Store),
        }
    }

    /// Whether an artifact of a request is there. A remote that cannot say is an error: everything would be built anew.
    fn has(&self, request: &ArtifactRequest, recipe: Digest, config: &Config) -> Result<bool> {
        let key = request.key(recipe);
        match self {
            Self::Remote(remote) => {
                let offers = remote.offers(Wanted { request, key, glibc: None }, &config.reporter)?;
                Ok(offers.iter().any(|offer| offer.request_key == key))
            }
            Self::Store => Ok(config
                .store
                .find(key)?
                .iter()
                .any(|artifact| artifact.read_manifest().is_ok_and(|manifest| manifest.plan.request == *request))),
        }
    }
}

/// The releases with their variants, each once.
fn recipes(args: &MatrixArgs, catalog: &Catalog, config: &Config) -> Result<Vec<ReleaseRecipe>> {
    let allow_eol = config.settings.allow_eol.value;
    let every_series = catalog
        .recipes()
        .filter(|recipe| allow_eol || !pipeline::is_past(recipe))
        .map(|recipe| VersionRequest { selector: Selector::Series(recipe.series), variant: Variant::Default });
    let named = if args.versions.is_empty() { every_series.collect() } else { args.versions.clone() };
    let mut recipes: Vec<ReleaseRecipe> = Vec::new();
    for request in named {
        let (series, release) = catalog.find(request)?;
        // What nobody named is not built before it is released.
        if args.versions.is_empty() && release.version.is_pre_release() {
            continue;
        }
        let variants = if request.variant == Variant::Default { &args.variant[..] } else { &[request.variant] };
        for variant in variants {
            if *variant != Variant::Default && !series.variants.contains_key(variant) {
                let text = format!("{} has no variant {variant}", release.version.series());
                config.reporter.report(Event::Note(text));
                continue;
            }
            let recipe = pipeline::recipe(catalog, VersionRequest { variant: *variant, ..request }, allow_eol)?;
            let is_it = |other: &ReleaseRecipe| (other.version, other.variant) == (recipe.version, recipe.variant);
            if !recipes.iter().any(is_it) {
                recipes.push(recipe);
            }
        }
    }
    Ok(recipes)
}

/// The command lines of all cells. They name what a configuration file or the environment chose: another machine may have
/// neither.
fn commands(args: &MatrixArgs, choices: &Choices, remote: Option<&Address>, config: &Config) -> Result<Commands> {
    let (settings, policies) = (&config.settings, &choices.policies);
    let mut words = Vec::new();
    let mut option = |name: &str, value: Option<String>| words.extend(value.map(|value| option(name, &value)));
    option("--prefix", chosen(&settings.prefix));
    option("--optimize", settings.optimize.value.map(|how| how.to_string()));
    let profile = args.artifacts.policies.profile.as_ref().and(choices.profile.as_ref());
    option(
        "--profile",
        profile.map(|profile| match &profile.file {
            Some(file) => file.display().to_string(),
            None => format!("sha256:{}", profile.digest),
        }),
    );
    option("--libraries", chosen(&settings.libraries));
    option("--bytecode", chosen(&settings.bytecode));
    option("--hardening", chosen(&settings.hardening));
    for argument in &policies.configure_arguments {
        option("--configure-arg", Some(argument.clone()));
    }
    option("--launcher", settings.launcher.value.map(|launcher| launcher.to_string()));
    option("--recipes", settings.recipes.value.as_ref().map(|directory| directory.display().to_string()));
    if settings.remotes.origin != Origin::Default {
        let addresses = settings.remotes.value.0.iter().map(ToString::to_string);
        let none = settings.remotes.value.0.is_empty().then(|| "none".to_owned());
        for address in addresses.chain(none) {
            option("--remotes", Some(address));
        }
    }
    let mut words: Vec<String> = words.into_iter().flatten().collect();
    let flags = [
        ("--shared", settings.shared.value),
        ("--debug-files", policies.debug_files),
        ("--install-deps", settings.install_deps.value),
        ("--allow-eol", settings.allow_eol.value),
    ];
    words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name.to_owned()));
    let variables = policies.compiler_variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let remote = remote.map(ToString::to_string);
    Commands::new(variables, &words, remote.as_deref()).map_err(Error::Usage)
}

/// The words of an option with its value.
fn option(name: &str, value: &str) -> Vec<String> {
    // A value that looks like an option is one only after `=`.
    if value.starts_with('-') { vec![format!("{name}={value}")] } else { vec![name.to_owned(), value.to_owned()] }
}

/// The value of a setting that somebody chose.
fn chosen<T: ToString>(setting: &Setting<T>) -> Option<String> {
    (setting.origin != Origin::Default).then(|| setting.value.to_string())
}
