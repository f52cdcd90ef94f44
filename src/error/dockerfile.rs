//! Errors of a Dockerfile's choices.

use std::path::PathBuf;

/// Why a Dockerfile is not written. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerfileError {
    /// An image on which pykeel builds nothing, or that has no apt.
    #[error("{image} cannot be used: {reason}")]
    NotDebian {
        /// The image.
        image: String,
        /// Why not.
        reason: &'static str,
    },

    /// An image that is another one each time, or that a stage has the name of.
    #[error("{image} does not say which image of its name it is")]
    Untagged {
        /// The image.
        image: String,
    },

    /// An image in which no command can run, so that it gets no updates and no user.
    #[error("{image} has no shell, so no update and no package could be installed in it")]
    NoShell {
        /// The image.
        image: String,
    },

    /// A runtime with an older glibc than that of the builder.
    #[error("what is built on {base} may need a newer glibc than {runtime} has")]
    OlderRuntime {
        /// The image of the builder.
        base: String,
        /// The image of the runtime.
        runtime: String,
    },

    /// The system's libraries, for a runtime that has others or none.
    #[error("{runtime} does not have the libraries of {base}")]
    OtherLibraries {
        /// The image of the builder.
        base: String,
        /// The image of the runtime.
        runtime: String,
    },

    /// A file whose name is not that of a lock.
    #[error("{path} is not a lock: that is requirements.txt, pylock.toml or uv.lock, by its name")]
    NotALock {
        /// The file.
        path: String,
    },

    /// A lock that only uv reads.
    #[error("pip does not read {path}, and a builder has no uv")]
    NoUv {
        /// The lock.
        path: String,
    },

    /// A choice that is for what a lock lists.
    #[error("{reason}, and there is no lock")]
    NoLock {
        /// What was chosen, and what it is for.
        reason: &'static str,
    },

    /// A choice that is for the image that is run.
    #[error("{reason}, and only the image to build with is made")]
    NothingRuns {
        /// What was chosen, and what it is for.
        reason: &'static str,
    },

    /// A label that programs which read Dockerfiles take differently.
    #[error("the label {label} has a backslash, which programs that read Dockerfiles take differently")]
    Unquotable {
        /// The label.
        label: String,
    },

    /// An image to build with that has an application.
    #[error("an application goes into the image that is run, and an image to build with is to be made")]
    BuildImageOfService,

    /// A file that is there.
    #[error("{path} is there already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
}
