//! Errors of images: of those that are read, and of what goes into one.

/// What is wrong with an image, or with what goes into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Exit code 2.
    #[error("{path} is not an image: {reason}")]
    NotAnImage {
        /// The file or directory.
        path: String,
        /// How that shows.
        reason: String,
    },

    /// Exit code 2.
    #[error("{name} is neither a file nor a directory, and no program here has an image of that name")]
    NotFound {
        /// The name.
        name: String,
        /// The programs that were asked, and what each said.
        asked: Vec<(String, String)>,
    },

    /// Exit code 2.
    #[error("{path} holds several images, and one is read at a time: {}", .names.join(", "))]
    Several {
        /// The file or directory.
        path: String,
        /// Their names or platforms, at most ten.
        names: Vec<String>,
    },

    /// Exit code 2. An image that is whole, and that a Python cannot be added to.
    #[error("{image} cannot be the base: {reason}")]
    Unfit {
        /// The image.
        image: String,
        /// Why not.
        reason: String,
    },

    /// Exit code 2.
    #[error("the image has no user `{user}`")]
    UnknownUser {
        /// The user asked for.
        user: String,
        /// Those that it has.
        known: Vec<String>,
    },

    /// Exit code 2.
    #[error("{path} cannot go into an image: {reason}")]
    Tree {
        /// A file or directory that the user named, or something in it.
        path: String,
        /// Why not.
        reason: String,
    },

    /// Exit code 1.
    #[error("cannot take {file} from this system: {reason}")]
    HostFile {
        /// The file or library.
        file: String,
        /// Why not.
        reason: String,
        /// What to do on this system.
        remedy: String,
    },
}
