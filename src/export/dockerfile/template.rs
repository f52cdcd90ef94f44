//! Fills the templates.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::choices::{Choices, Images, PythonStage};
use super::values::{ContextPath, DebianPackage, Label, ProgramSource, Runtime};
use crate::domain::image::Builder;
use crate::domain::plan::LibraryPolicy;
use crate::export::image::APP_USER;

/// Where the environment of an application is, and its code.
const APP: &str = "/opt/app";
const CODE: &str = "/srv/app";

/// Renders the Dockerfile.
pub(super) fn dockerfile(choices: &Choices) -> String {
    let Choices { pythons, base, runtime, lock, app, images, builder, .. } = choices;
    let default = &pythons[0];
    let values = context! {
        command => choices.command.as_str(),
        files => in_words(&choices.context_files()),
        engine => builder.name(),
        has_mounts => *builder != Builder::Classic,
        // buildah 1.28 waits for ever for a cache that an earlier command of the same build had locked.
        has_apt_cache => *builder == Builder::BuildKit,
        pythons => Value::from(Serde(pythons.clone())),
        versions => in_words(&pythons.iter().map(|python| python.version.clone()).collect::<Vec<_>>()),
        default => Value::from(Serde(default.clone())),
        prefix => choices.prefix.as_ref().map(ToString::to_string),
        allow_eol => choices.allow_eol,
        base => base.to_string(),
        runtime => runtime.to_string(),
        from_scratch => *runtime == Runtime::Scratch,
        libraries => choices.libraries.name(),
        uses_system => choices.libraries == LibraryPolicy::System,
        bytecode => choices.bytecode.name(),
        lock => lock.as_ref().map(ContextPath::as_str),
        lock_name => lock.as_ref().map(ContextPath::name),
        project => choices.project(),
        app => app.as_ref().map(ContextPath::as_str),
        at => APP,
        code => CODE,
        builder_packages => builder_packages(choices),
        system_packages => choices.run_packages.iter().map(|package| format!("{package} ")).collect::<String>(),
        environment_packages => environment_packages(choices),
        mounts_of_environment => mounts_of_environment(choices),
        pykeel => program(&choices.pykeel),
        uv => choices.uv.as_ref().map(program),
        artifacts => choices.artifacts.as_ref().map(ContextPath::as_str),
        ca => choices.ca.iter().map(ContextPath::to_string).collect::<Vec<_>>(),
        labels => choices.labels.iter().map(Label::to_string).collect::<Vec<_>>(),
        makes_runtime => *images != Images::Build,
        makes_build => *images != Images::Runtime,
        path => search_path(choices),
        user => APP_USER.0,
        id => APP_USER.1,
        cmd => exec_form(&choices.cmd),
    };
    render(include_str!("Dockerfile.jinja"), values)
}

/// Renders the `.dockerignore`: everything but what the Dockerfile copies.
pub(super) fn dockerignore(choices: &Choices) -> String {
    render(include_str!("dockerignore.jinja"), context! { files => choices.context_files() })
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

/// The packages of every stage that compiles. Without a runtime image, the application's are copied from here.
fn builder_packages(choices: &Choices) -> String {
    let from_scratch = choices.runtime == Runtime::Scratch;
    let own = ["ca-certificates"].into_iter().chain(from_scratch.then_some("tzdata")).map(str::to_owned);
    let of_app = choices.run_packages.iter().filter(|_| from_scratch && choices.lock.is_none());
    own.chain(of_app.map(DebianPackage::to_string)).collect::<Vec<_>>().join(" ")
}

/// The packages of the stage that makes the environment.
fn environment_packages(choices: &Choices) -> String {
    let compiler = ["gcc", "g++", "libc6-dev", "make"].map(str::to_owned).into_iter();
    let copied = choices.run_packages.iter().filter(|_| choices.runtime == Runtime::Scratch);
    let of_app = choices.build_packages.iter().chain(copied).map(DebianPackage::to_string);
    compiler.chain(of_app).collect::<Vec<_>>().join(" ")
}

/// The mounts of the command that makes the environment, one a line.
fn mounts_of_environment(choices: &Choices) -> String {
    if choices.builder == Builder::Classic {
        return String::new();
    }
    let secret = match choices.uv {
        Some(_) => "type=secret,id=uv.toml,target=/etc/uv/uv.toml",
        None => "type=secret,id=pip.conf,target=/etc/pip.conf",
    };
    let system = (choices.runtime != Runtime::Scratch).then_some("type=bind,from=system,target=/mnt");
    let mounts = ["type=cache,id=wheels,target=/root/.cache", secret].into_iter().chain(system);
    mounts.map(|mount| format!("--mount={mount} \\\n    ")).collect()
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

fn render(template: &str, values: Value) -> String {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the default ones"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Every value was checked or quoted when it was read.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.render_str(template, values).expect("the template fits its values, which tests show")
}
