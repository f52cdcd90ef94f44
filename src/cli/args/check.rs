//! The arguments of `check`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use crate::audit::check::finding::Severity;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct CheckArgs {
    /// Directory of a root file system or an OCI layout, archive of an image, or image of docker, podman or buildah
    #[arg(value_name = "ROOTFS|LAYOUT|ARCHIVE|IMAGE")]
    pub image: OsString,

    /// Directory of apt lists with the distribution's security updates, such as /var/lib/apt/lists
    #[arg(long, value_name = "DIR")]
    pub index: Option<PathBuf>,

    /// User that it runs as, instead of the one that the image names
    #[arg(long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// Lowest severity that makes the exit code 4
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub fail_on: FailOn,

    /// Also write the findings as SARIF
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,

    /// Maximum number of findings of a rule and length of lists, in text
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
}

/// The lowest severity that makes a check fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FailOn {
    /// Errors only
    Error,
    /// Warnings too
    Warning,
    /// Every finding
    Note,
    /// Nothing
    Never,
}

impl FailOn {
    /// Whether a severity makes the check fail.
    pub(in crate::cli) fn includes(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity >= Severity::Error,
            Self::Warning => severity >= Severity::Warning,
            Self::Note => true,
            Self::Never => false,
        }
    }
}
