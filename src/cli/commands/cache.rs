//! `pykeel cache list` and `pykeel cache prune`.
use super::super::args::CacheCommand;
use super::super::config::Config;
use crate::error::Result;
pub(super) fn run(command: &CacheCommand, config: &Config) -> Result<u8> {
    let _ = (command, config);
    Ok(0)
}
