//! The policies: the options that decide bytes. If one is a setting too, `apply_to` gives it precedence over files and
//! the environment.

use clap::Args as ClapArgs;

use super::super::settings::CliOverrides;
use super::values::{ProfileName, named};
use crate::domain::plan::{Bytecode, LibraryPolicy, Optimize};

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
}

impl PolicyArgs {
    /// Copies the given options over the settings of the same name.
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) {
        overrides.optimize = self.optimize.map(Some);
        overrides.libraries = self.libraries;
        overrides.bytecode = self.bytecode;
    }
}
