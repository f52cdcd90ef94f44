//! Compiler launchers.

use super::named_enum;

named_enum! {
    /// A program that starts the compiler, or restores an object from a cache. It changes the duration of a
    /// build and not its output, so it is in no plan and in no key.
    pub enum Launcher {
        /// The compiler is started directly.
        None = "none",
        /// `ccache`, which can start distcc or icecc (`CCACHE_PREFIX`).
        Ccache = "ccache",
        /// `sccache`, whose server stores the objects or has them compiled on another machine.
        Sccache = "sccache",
    }
}
