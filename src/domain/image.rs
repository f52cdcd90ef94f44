//! What a user can choose of an image.

use super::named_enum;

named_enum! {
    /// How a layer of an image is compressed.
    pub enum Compression {
        /// gzip: what every registry and every engine reads.
        Gzip = "gzip",
        /// Zstandard: faster and smaller; Docker 20.10 cannot read it.
        Zstd = "zstd",
    }
}

named_enum! {
    /// Where an image without a base has its C library from.
    pub enum Libc {
        /// Copied from the packages of this system: loader, libc, and what else the Python needs.
        Bundle = "bundle",
        /// It has none.
        None = "none",
    }
}

named_enum! {
    /// What builds an image of a Dockerfile.
    pub enum Builder {
        /// `BuildKit`: mounts of caches, secrets and other stages.
        BuildKit = "buildkit",
        /// Docker's first builder, which has no mounts.
        Classic = "classic",
        /// buildah, and with it `podman build`.
        Buildah = "buildah",
    }
}
