//! Fills the templates.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::choices::{Choices, Images, PythonStage};
use super::packages::{Installations, line};
use super::values::{ContextPath, ProgramSource};
use super::{DOCKERFILE, DOCKERIGNORE, Rendered};
use crate::domain::image::Label;
use crate::domain::plan::LibraryPolicy;
use crate::export::image::APP_USER;

/// Where the environment of an application is, and its code.
const APP: &str = "/opt/app";
const CODE: &str = "/srv/app";

/// Renders the Dockerfile, and the `.dockerignore`: everything but what the Dockerfile copies.
pub(super) fn rendered(choices: &Choices) -> Rendered {
    let mut templates = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    templates.set_syntax(syntax.expect("the delimiters are the default ones"));
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // Every value was checked or quoted when it was read.
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    let render = |name, template, values: Value| {
        templates.render_named_str(name, template, values).expect("the template fits its values, which tests show")
    };
    let ignored = context! { files => choices.context_files().into_iter().map(|file| file.sent).collect::<Vec<_>>() };
    Rendered {
        dockerfile: render(DOCKERFILE, include_str!("Dockerfile.jinja"), values(choices)),
        dockerignore: render(DOCKERIGNORE, include_str!("dockerignore.jinja"), ignored),
    }
}

fn values(choices: &Choices) -> Value {
    let Choices { pythons, base, runtime, lock, app, images, builder, .. } = choices;
    let default = &pythons[0];
    context! {
        command => choices.command.as_str(),
        files => in_words(&choices.context_files().into_iter().map(|file| file.path).collect::<Vec<_>>()),
        engine => builder.name(),
        has_mounts => choices.has_mounts(),
        has_apt_cache => choices.has_apt_cache(),
        pythons => Value::from(Serde(pythons.clone())),
        versions => in_words(&pythons.iter().map(|python| python.version.clone()).collect::<Vec<_>>()),
        default => Value::from(Serde(default.clone())),
        prefix => choices.prefix.as_ref().map(ToString::to_string),
        allow_eol => choices.allow_eol,
        locked => choices.locked.as_ref().map(ContextPath::as_str),
        locked_at => choices.locked.as_ref().map(|locked| format!("/src/{}", locked.name())),
        base => base.to_string(),
        runtime => runtime.to_string(),
        from_scratch => choices.is_from_scratch(),
        libraries => choices.libraries.name(),
        uses_system => choices.libraries == LibraryPolicy::System,
        bytecode => choices.bytecode.name(),
        lock => lock.as_ref().map(ContextPath::to_string),
        lock_name => lock.as_ref().map(ContextPath::name),
        project => choices.project(),
        app => app.as_ref().map(ContextPath::as_str),
        at => APP,
        code => CODE,
        install => Value::from(Serde(Installations::new(choices))),
        copied_lists => pythons.iter().map(PythonStage::copied_list).collect::<Vec<_>>(),
        run_packages => choices.run_packages.iter().map(|package| package.name().to_owned()).collect::<Vec<_>>(),
        mounts_of_environment => mounts_of_environment(choices),
        pykeel => program(&choices.pykeel),
        uv => choices.uv.as_ref().map(program),
        artifacts => choices.artifacts.as_ref().map(ContextPath::as_str),
        ca => choices.ca.iter().map(ContextPath::to_string).collect::<Vec<_>>(),
        labels => choices.labels.iter().map(quoted).collect::<Vec<_>>(),
        makes_runtime => *images != Images::Build,
        makes_build => *images != Images::Runtime,
        path => search_path(choices),
        user => APP_USER.0,
        id => APP_USER.1,
        cmd => choices.cmd.as_ref().map_or_else(|| exec_form(&["python3".to_owned()]), |cmd| exec_form(cmd)),
    }
}

/// The directories of programs: the application's, those of the Pythons in their order, and those of the system.
fn search_path(choices: &Choices) -> String {
    let app = choices.lock.iter().map(|_| format!("{APP}/bin"));
    let pythons = choices.pythons.iter().map(|PythonStage { prefix, .. }| format!("{prefix}/bin"));
    app.chain(pythons).collect::<Vec<_>>().join(":")
}

fn program(source: &ProgramSource) -> Value {
    match source {
        ProgramSource::File(path) => context! { file => path.as_str(), image => None::<String> },
        ProgramSource::Image(image) => context! { file => None::<String>, image => image.to_string() },
    }
}

/// The mounts of the command that makes the environment, one a line.
fn mounts_of_environment(choices: &Choices) -> String {
    if !choices.has_mounts() {
        return String::new();
    }
    let secret = match choices.uv {
        Some(_) => "--mount=type=secret,id=uv.toml,target=/etc/uv/uv.toml",
        None => "--mount=type=secret,id=pip.conf,target=/etc/pip.conf",
    };
    let system = (!choices.is_from_scratch()).then_some("--mount=type=bind,from=system,target=/mnt");
    // Wheels that were compiled for one release of a distribution may not run on another.
    let wheels = format!("--mount=type=cache,id=wheels:{},target=/root/.cache", choices.base);
    [wheels.as_str(), secret].into_iter().chain(system).map(line).collect()
}

/// Writes a label for `LABEL`: between double quotes, where `"` and `$` have a meaning.
fn quoted(label: &Label) -> String {
    let mut value = String::new();
    for c in label.value.chars() {
        if c == '"' || c == '$' {
            value.push('\\');
        }
        value.push(c);
    }
    format!("\"{}\"=\"{value}\"", label.key)
}

/// Writes `a, b and c`.
fn in_words(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Writes a command as the exec form of Dockerfiles, an array of JSON.
fn exec_form(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
    format!("[{}]", words.join(", "))
}
