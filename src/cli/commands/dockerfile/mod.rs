//! `pykeel dockerfile`.

mod command;
mod locked;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::args::DockerfileArgs;
use super::super::config::Config;
use super::super::settings::{FlavorChoice, Origin};
use super::default::{self, Names};
use super::print;
use crate::domain::plan::Bytecode;
use crate::domain::prefix::PrefixTemplate;
use crate::error::{DockerfileError, Error, Result};
use crate::event::{Event, Reporter as _};
use crate::export::dockerfile::{self, AppPackage, Choices, DOCKERFILE, DOCKERIGNORE, Images, PythonStage, Rendered};
use crate::export::image::Authorities;
use crate::pipeline;
use crate::recipe::Catalog;
use crate::sys::fs;

/// What was written.
#[derive(Debug, Serialize)]
struct Output {
    /// The text of the Dockerfile.
    dockerfile: String,
    /// The text of the `.dockerignore`.
    dockerignore: String,
    /// Where both were written.
    #[serde(serialize_with = "super::lossy_or_none")]
    directory: Option<PathBuf>,
    /// The exact releases.
    pythons: Vec<PythonStage>,
    /// Whose libraries they use.
    libraries: &'static str,
}

pub(super) fn run(args: &DockerfileArgs, config: &Config) -> Result<u8> {
    let choices = choices(args, config)?;
    choices.check()?;
    let context = args.output.as_deref().unwrap_or(Path::new("."));
    look_at(&choices, context, config)?;
    let rendered = dockerfile::render(&choices);
    if let Some(directory) = &args.output {
        write(&rendered, directory, args.force)?;
    } else if !config.json {
        config.reporter.report(Event::Note("`--output DIR` writes it, and the .dockerignore that goes with it".into()));
    }
    let Rendered { dockerfile, dockerignore } = rendered;
    let libraries = choices.libraries.name();
    let output =
        Output { dockerfile, dockerignore, directory: args.output.clone(), pythons: choices.pythons, libraries };
    print(config, &output, || match &output.directory {
        Some(directory) => {
            [DOCKERFILE, DOCKERIGNORE].iter().map(|name| format!("{}\n", directory.join(name).display())).collect()
        }
        None => output.dockerfile.clone(),
    })?;
    Ok(0)
}

fn choices(args: &DockerfileArgs, config: &Config) -> Result<Choices> {
    let settings = &config.settings;
    let chosen = |origin: &Origin| *origin != Origin::Default;
    let runtime = args.runtime.clone().unwrap_or_else(|| dockerfile::runtime_for(&args.base));
    let catalog = Catalog::load(None)?;
    let locked = args.locked.as_ref().map(|lock| locked::pythons(args, lock, config)).transpose()?;
    let chosen_libraries = chosen(&settings.libraries.origin).then_some(settings.libraries.value);
    let libraries = locked.as_ref().map(|locked| locked.libraries).or(chosen_libraries);
    let has_app = args.lock.is_some() || args.app.is_some();
    // A service starts often; a base image is small.
    let fitting = if has_app { Bytecode::UncheckedHash } else { Bytecode::Strip };
    let bytecode = if chosen(&settings.bytecode.origin) { settings.bytecode.value } else { fitting };
    let images = match args.flavor {
        Some(FlavorChoice::Runtime) => Images::Runtime,
        Some(FlavorChoice::Builder) => Images::Build,
        None if has_app => Images::Runtime,
        Some(FlavorChoice::All) | None => Images::Both,
    };
    let (mut build_packages, mut run_packages) = (Vec::new(), Vec::new());
    for package in &args.app_packages {
        match package {
            AppPackage::Build(name) => build_packages.push(name.clone()),
            AppPackage::Run(name) => run_packages.push(name.clone()),
        }
    }
    let prefix = &settings.prefix.value;
    let pythons = match &locked {
        Some(locked) => locked.pythons.clone(),
        None => pythons(args, &catalog, config)?,
    };
    let pythons = default_first(pythons, args, &catalog)?;
    if let Some(locked) = &locked {
        // The environment of an application is made with headers and pip too, of the default.
        let with_builder = if images == Images::Runtime { usize::from(args.lock.is_some()) } else { pythons.len() };
        locked.check_builder(args, &pythons[..with_builder])?;
    }
    Ok(Choices {
        command: command::line(args, settings, &pythons)?,
        pythons,
        prefix: (prefix.to_string() != PrefixTemplate::DEFAULT).then(|| prefix.clone()),
        locked: args.locked.clone(),
        allow_eol: settings.allow_eol.value,
        base: args.base.clone(),
        libraries: dockerfile::libraries(&args.base, &runtime, libraries)?,
        runtime,
        bytecode,
        lock: args.lock.clone(),
        app: args.app.clone(),
        build_packages,
        run_packages,
        builder: args.builder,
        pykeel: args.pykeel.clone(),
        uv: args.uv.clone(),
        artifacts: args.artifacts.clone(),
        ca: args.ca.clone(),
        labels: args.label.clone(),
        images,
        cmd: args.cmd.as_deref().map(words).transpose()?,
    })
}

/// Returns the Pythons.
fn pythons(args: &DockerfileArgs, catalog: &Catalog, config: &Config) -> Result<Vec<PythonStage>> {
    // The pykeel of the builder has the recipes that are compiled in.
    if let Some(recipes) = &config.settings.recipes.value {
        config.reporter.report(Event::Warning(format!(
            "the recipes of {} are not in the build context: the Dockerfile takes those that pykeel has",
            recipes.display()
        )));
    }
    let prefix = &config.settings.prefix.value;
    let mut pythons: Vec<PythonStage> = Vec::new();
    for request in &args.python {
        let recipe = pipeline::recipe(catalog, *request, config.settings.allow_eol.value)?;
        let python = PythonStage {
            version: recipe.full_version(),
            series: format!("{}{}", recipe.version.series(), recipe.variant),
            prefix: prefix.prefix(recipe.version, recipe.variant),
        };
        if !pythons.contains(&python) {
            pythons.push(python);
        }
    }
    Ok(pythons)
}

/// Puts the default first.
fn default_first(mut pythons: Vec<PythonStage>, args: &DockerfileArgs, catalog: &Catalog) -> Result<Vec<PythonStage>> {
    let names = pythons
        .iter()
        .map(|PythonStage { version, series, .. }| Names { version: version.clone(), series: series.clone() });
    let position = default::position(args.default.as_ref(), &names.collect::<Vec<_>>(), catalog)?;
    pythons[..=position].rotate_right(1);
    Ok(pythons)
}

/// The words of the command of the image.
fn words(text: &str) -> Result<Vec<String>> {
    shlex::split(text)
        .filter(|words| words.first().is_some_and(|word| !word.is_empty()))
        .ok_or_else(|| Error::Usage("`--cmd` has to be a command with its arguments, quoted as in a shell".into()))
}

/// Looks at what the build context has to have, and has already.
fn look_at(choices: &Choices, context: &Path, config: &Config) -> Result<()> {
    let certificates: Vec<PathBuf> = choices.ca.iter().map(|path| context.join(path.as_str())).collect();
    let there: Vec<PathBuf> = certificates.into_iter().filter(|path| path.exists()).collect();
    Authorities::read(&there)?;
    let mut absent: Vec<String> = choices.context_files().into_iter().map(|file| file.path).collect();
    absent.retain(|path| !context.join(path).exists());
    if !absent.is_empty() {
        let place = if context == Path::new(".") { "this directory".into() } else { context.display().to_string() };
        let note = format!("{place} is the build context, and has no {} yet", absent.join(", no "));
        config.reporter.report(Event::Note(note));
    }
    Ok(())
}

/// Writes both files, or none if one is there.
fn write(rendered: &Rendered, directory: &Path, force: bool) -> Result<()> {
    let files = [(DOCKERFILE, &rendered.dockerfile), (DOCKERIGNORE, &rendered.dockerignore)];
    for (name, _) in files {
        let path = directory.join(name);
        if !force && path.symlink_metadata().is_ok() {
            return Err(DockerfileError::Exists { path }.into());
        }
    }
    fs_err::create_dir_all(directory)?;
    for (name, text) in files {
        fs::write_atomically(&directory.join(name), text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_an_image_is_split_as_a_shell_does() {
        assert_eq!(words("python -c 'a b'").unwrap(), ["python", "-c", "a b"]);
        for wrong in ["", "  ", "'open", "'' x"] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
