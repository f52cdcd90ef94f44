//! What compilers are started through.

use super::named_enum;

named_enum! {
    /// A program that starts the compiler, or brings what it would have made. It changes how long a
    /// build takes and nothing of what comes out, so it is in no plan and in no key.
    pub enum Launcher {
        /// The compiler is started by itself.
        None = "none",
        /// `ccache`, and behind it what `CCACHE_PREFIX` names: distcc or icecc.
        Ccache = "ccache",
        /// `sccache`, whose server keeps the objects or has them made elsewhere.
        Sccache = "sccache",
    }
}
