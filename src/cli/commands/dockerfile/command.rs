//! The command that makes a Dockerfile again, for whoever reads it.

use clap::ValueEnum as _;

use super::super::super::args::{DEFAULT_BASE, DEFAULT_PYKEEL, DockerfileArgs};
use super::super::super::settings::{Origin, Setting, Settings};
use crate::domain::image::Builder;
use crate::error::{Error, Result};
use crate::export::dockerfile::{PythonStage, Runtime};

/// Returns the words after `pykeel dockerfile`, as they are typed into a shell on one line. They name the exact releases,
/// and what a configuration file or the environment chose: somewhere else they make the same file.
///
/// # Errors
/// [`Error::Usage`] for an argument with a line break.
pub(super) fn line(args: &DockerfileArgs, settings: &Settings, pythons: &[PythonStage]) -> Result<String> {
    // A new option cannot be forgotten. The default version is the first, and where the file is written says nothing of
    // what is in it.
    let DockerfileArgs {
        python: _,
        default: _,
        base,
        runtime,
        libraries: _,
        bytecode: _,
        prefix: _,
        flavor,
        locked,
        builder,
        label,
        lock,
        app,
        app_packages,
        cmd,
        pykeel,
        uv,
        artifacts,
        ca,
        output: _,
        force: _,
        allow_eol: _,
    } = args;
    let versions: Vec<&str> = pythons.iter().map(|python| python.version.as_str()).collect();
    let (base, pykeel) = (base.to_string(), pykeel.to_string());
    let mut line = Words::default();
    line.option("--python", [versions.join(",")]);
    line.option("--base", (base != DEFAULT_BASE).then_some(base));
    line.option(
        "--runtime",
        runtime.iter().map(|runtime| match runtime {
            Runtime::Scratch => "distroless".to_owned(),
            Runtime::Image(image) => image.to_string(),
        }),
    );
    line.option("--libraries", chosen(&settings.libraries));
    line.option("--bytecode", chosen(&settings.bytecode));
    line.option("--prefix", chosen(&settings.prefix));
    line.option("--flavor", flavor.iter().filter_map(|flavor| Some(flavor.to_possible_value()?.get_name().to_owned())));
    line.option("--locked", locked);
    line.option("--builder", (*builder != Builder::BuildKit).then_some(builder));
    line.option("--label", label.iter().map(|label| format!("{}={}", label.key, label.value)));
    line.option("--lock", lock);
    line.option("--app", app);
    let packages: Vec<String> = app_packages.iter().map(ToString::to_string).collect();
    line.option("--app-packages", (!packages.is_empty()).then(|| packages.join(",")));
    line.option("--cmd", cmd);
    line.option("--pykeel", (pykeel != DEFAULT_PYKEEL).then_some(pykeel));
    line.option("--uv", uv);
    line.option("--artifacts", artifacts);
    line.option("--ca", ca);
    if settings.allow_eol.value {
        line.0.push("--allow-eol".to_owned());
    }
    line.quoted()
}

/// The value of a setting that somebody chose.
fn chosen<T: ToString>(setting: &Setting<T>) -> Option<String> {
    (setting.origin != Origin::Default).then(|| setting.value.to_string())
}

/// The words of a command line.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    /// Adds an option for each of its values.
    fn option<T: ToString>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        for value in values {
            let value = value.to_string();
            // A value that looks like an option is one only after `=`.
            if value.starts_with('-') {
                self.0.push(format!("{name}={value}"));
            } else {
                self.0.extend([name.to_owned(), value]);
            }
        }
    }

    fn quoted(&self) -> Result<String> {
        if self.0.iter().any(|word| word.chars().any(char::is_control)) {
            return Err(Error::Usage("an argument has a line break or another control character".into()));
        }
        shlex::try_join(self.0.iter().map(String::as_str)).map_err(|error| Error::Usage(error.to_string()))
    }
}
