//! What a CI system has to build, in the forms of those that run it. What is rendered depends on the cells and the
//! commands alone, and nothing is scheduled here.

mod bake;
mod command;
mod gitlab;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use self::bake::bake;
pub use self::command::Commands;
pub use self::gitlab::gitlab;
use crate::domain::plan::Flavor;
use crate::domain::target::Target;

/// One build: a release with a variant on a target, in the flavors that are missing. One compilation makes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The release with its variant: `3.13.5t`.
    pub version: String,
    /// The series with its variant: `3.13t`.
    pub series: String,
    /// The system that it is built on and for.
    pub target: Target,
    /// The platform, as container tools name it: `linux/amd64`.
    pub platform: String,
    /// `runtime`, `builder`, or `all` for both.
    pub flavor: &'static str,
    /// The command that builds it.
    pub build: String,
    /// The command that gives it to the remote, if there is one.
    pub push: Option<String>,
}

impl Cell {
    /// Returns the cell of what is missing; `None` if nothing is.
    #[must_use]
    pub fn new(
        version: String,
        series: String,
        target: Target,
        missing: &[Flavor],
        commands: &Commands,
    ) -> Option<Self> {
        let flavor = match missing {
            [] => return None,
            [one] => one.name(),
            _ => "all",
        };
        Some(Self {
            build: commands.build(&version, flavor),
            push: commands.push(&version),
            platform: format!("linux/{}", target.oci_architecture()),
            version,
            series,
            target,
            flavor,
        })
    }
}

/// Returns the matrix of a job of GitHub, on one line.
#[must_use]
pub fn github(cells: &[Cell]) -> String {
    serde_json::json!({ "include": cells }).to_string() + "\n"
}
