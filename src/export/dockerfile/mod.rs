//! Renders a Dockerfile, and the `.dockerignore` that goes with it, from a few choices. What is rendered depends on the
//! choices alone.

mod choices;
mod packages;
mod template;
#[cfg(test)]
mod tests;
mod values;

pub use self::choices::{Choices, Images, PythonStage, libraries, runtime_for};
pub use self::values::{AppPackage, ContextPath, DebianPackage, ProgramSource, Runtime};

/// The name of a Dockerfile.
pub const DOCKERFILE: &str = "Dockerfile";
/// The name of the list of what does not belong to the build context.
pub const DOCKERIGNORE: &str = ".dockerignore";

/// A Dockerfile and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The Dockerfile.
    pub dockerfile: String,
    /// The `.dockerignore`.
    pub dockerignore: String,
}

/// Renders choices.
#[must_use]
pub fn render(choices: &Choices) -> Rendered {
    template::rendered(choices)
}
