//! Pip: installs pip into a staged prefix, from the wheels in CPython's source.

use super::BuildContext;
use super::staging::StagedPrefix;
use crate::error::Result;
use crate::sys::process::Spec;

/// Installs pip. Nothing is downloaded.
///
/// # Errors
/// [`Error::Command`](crate::error::Error::Command) if ensurepip fails.
pub fn install(staged: StagedPrefix, context: &BuildContext<'_>) -> Result<StagedPrefix> {
    let spec = Spec::new(staged.root().join(context.plan.interpreter()))
        .args(["-I", "-B", "-m", "ensurepip", "--default-pip"])
        .environment([
            ("PATH", "/usr/bin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("HOME", "/nonexistent"),
            ("PYTHONHASHSEED", "0"),
            ("SOURCE_DATE_EPOCH", &staged.epoch().to_string()),
        ]);
    context.log.run(&spec, |_| {})?;
    Ok(staged)
}
