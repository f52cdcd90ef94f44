//! The policies: the options that decide bytes. If one is a setting too, `apply_to` gives it precedence over files and
//! the environment.

use clap::Args as ClapArgs;

use super::super::settings::{CliOverrides, OfOneBuild};
use super::values::{ProfileName, named};
use crate::domain::plan::{Bytecode, Hardening, LibraryPolicy, Optimize};

/// The options that decide bytes.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct PolicyArgs {
    /// How to optimise the interpreter
    #[arg(long, value_name = "HOW", value_parser = named::<Optimize>())]
    pub optimize: Option<Optimize>,

    /// Profile for an optimised build, instead of the one that the recipe pins
    #[arg(long, value_name = "FILE|sha256:DIGEST")]
    pub profile: Option<ProfileName>,

    /// Whether to bundle shared libraries, or to use those of the system it runs on
    #[arg(long, value_name = "POLICY", value_parser = named::<LibraryPolicy>())]
    pub libraries: Option<LibraryPolicy>,

    /// Which .pyc files to ship: none, or one deterministic set
    #[arg(long, value_name = "POLICY", value_parser = named::<Bytecode>())]
    pub bytecode: Option<Bytecode>,

    /// Which hardening flags to compile and link with: the recipe's, or none
    #[arg(long, value_name = "FLAGS", value_parser = named::<Hardening>())]
    pub hardening: Option<Hardening>,

    /// Build libpython as a shared library, for programs that embed Python
    #[arg(long)]
    pub shared: bool,

    #[command(flatten)]
    pub configure: ConfigureArgs,
}

/// What configure gets, which decides the program that a profile is of too.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct ConfigureArgs {
    /// Further argument of configure, such as --without-doc-strings; can be given several times
    #[arg(long = "configure-arg", value_name = "ARG", allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

impl ConfigureArgs {
    /// Returns the options that are no settings.
    pub(in crate::cli) fn once(&self, debug_files: bool) -> OfOneBuild {
        OfOneBuild { debug_files, configure_arguments: self.arguments.clone(), ..OfOneBuild::default() }
    }
}

impl PolicyArgs {
    /// Returns the options that are no settings.
    pub(in crate::cli) fn once(&self, debug_files: bool) -> OfOneBuild {
        self.configure.once(debug_files)
    }

    /// Copies the given options over the settings of the same name.
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) {
        overrides.optimize = self.optimize.map(Some);
        overrides.libraries = self.libraries;
        overrides.bytecode = self.bytecode;
        overrides.hardening = self.hardening;
        overrides.shared = self.shared.then_some(true);
    }
}
