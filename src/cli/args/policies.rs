//! The policies: the options that decide which artifact is meant.

use clap::Args as ClapArgs;

use super::super::settings::CliOverrides;
use super::values::{ProfileName, named};
use crate::domain::plan::{Bytecode, LibraryPolicy, Optimize};

/// What decides which artifact is meant.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct PolicyArgs {
    /// How the interpreter is optimised
    #[arg(long, value_name = "HOW", value_parser = named::<Optimize>())]
    pub optimize: Option<Optimize>,

    /// The profile of an optimised build, instead of the one that the recipe pins
    #[arg(long, value_name = "FILE|sha256:DIGEST")]
    pub profile: Option<ProfileName>,

    /// Where shared libraries come from at run time
    #[arg(long, value_name = "POLICY", value_parser = named::<LibraryPolicy>())]
    pub libraries: Option<LibraryPolicy>,

    /// What becomes of bytecode caches
    #[arg(long, value_name = "POLICY", value_parser = named::<Bytecode>())]
    pub bytecode: Option<Bytecode>,
}

impl PolicyArgs {
    /// Puts what was given over the settings of the same name.
    pub(super) fn apply_to(&self, overrides: &mut CliOverrides) {
        overrides.optimize = self.optimize.map(Some);
        overrides.libraries = self.libraries;
        overrides.bytecode = self.bytecode;
    }
}
