//! What a test may need besides a compiler, and what may be missing where `CI=true`. A test that lacks
//! something says so with [`skip!`](crate::skip); under `CI=true` that is a failure, unless the thing
//! is on the list of [`Missing::reason_in_ci`].

use std::io::Write as _;

/// Something that a test needs and not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Root, for another user, chroot and mounts.
    Root,
    /// The right to mount a tmpfs or an overlay, or to make a mount namespace.
    Mounts,
    /// FUSE, which disorderfs needs.
    Fuse,
    /// A program that `scripts/test` installs.
    Program(&'static str),
    /// A mirror that still has the source of an old or a new release.
    Source(&'static str),
    /// A Debian mirror for a minimal Debian.
    DebianMirror,
    /// A site that has Ubuntu's archive beside Debian's.
    UbuntuMirror,
    /// A host whose glibc differs from that of Debian 13.
    OlderGlibc,
    /// A directory of the checkout that another user may enter.
    OpenCheckout,
    /// apt, on a system that is not Debian's kin.
    Apt,
    /// A docker daemon, or the right to start one.
    Docker,
    /// An index of Python packages, or of Rust crates.
    PackageIndex,
}

impl Missing {
    /// Why a thing may be missing where `CI=true`; none where it has to be there.
    fn reason_in_ci(self) -> Option<&'static str> {
        match self {
            Self::Fuse => Some("containers have no /dev/fuse; builds of 3.9 run on a tmpfs instead"),
            Self::Source(_) => Some("mirrors drop old releases, and get new ones late"),
            Self::Docker => Some("not every container may run a docker daemon"),
            Self::UbuntuMirror => Some("not every Debian mirror has Ubuntu beside it"),
            Self::PackageIndex => Some("not every network reaches one"),
            Self::OlderGlibc => Some("the host may be a Debian 13"),
            Self::OpenCheckout => Some("a checkout below /root is closed to other users"),
            Self::Root | Self::Mounts | Self::Program(_) | Self::DebianMirror | Self::Apt => None,
        }
    }
}

/// Notes that a test, or a part of it, does not run here: on standard error, and in the file that
/// `PYKEEL_TEST_SKIPS` names.
///
/// # Panics
/// Where `CI=true` and the thing has to be there.
#[track_caller]
pub fn skipped(missing: Option<Missing>, reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("PYKEEL_TEST_SKIPS") {
        let file = fs_err::OpenOptions::new().create(true).append(true).open(std::path::PathBuf::from(path));
        writeln!(file.expect("the file of skipped tests"), "{test}: {reason}").expect("a line");
    }
    let allowed = missing.and_then(Missing::reason_in_ci);
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        !in_ci || allowed.is_some(),
        "{test} was skipped, and tests/it/missing.rs does not allow it in CI: {reason}"
    );
}

/// Ends a test that cannot run here: `skip!(Missing::Root, "only root can chroot")`.
#[macro_export]
macro_rules! skip {
    ($reason:literal $($rest:tt)*) => {{
        $crate::missing::skipped(None, &format!($reason $($rest)*));
        return;
    }};
    ($missing:expr, $($reason:tt)*) => {{
        $crate::missing::skipped(Some($missing), &format!($($reason)*));
        return;
    }};
}
