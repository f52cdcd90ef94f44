//! The source pool of the distribution, from apt's configuration.

use std::path::Path;
use std::time::Duration;

use super::Attempt;
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::version::Release;
use crate::error::Result;
use crate::store::SourceSlot;
use crate::sys::distro::manager_environment;
use crate::sys::http;
use crate::sys::process::{Runner, Spec};

const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// The URLs at which the source pool of the distribution may have an archive. Debian and Ubuntu keep upstream's
/// archive byte for byte, as `python3.13_3.13.5.orig.tar.xz`.
pub(super) fn urls(runner: &dyn Runner, package: &str, release: Release, format: Format) -> Vec<String> {
    if !Path::new(APT_HELPER).exists() {
        return Vec::new();
    }
    let spec = Spec::new("/usr/bin/apt-get")
        .args(["indextargets", "--format", "$(ORIGIN)|$(SITE)|$(COMPONENT)"])
        .environment(manager_environment())
        .timeout(Duration::from_mins(1));
    // If apt fails there is no pool, and the other places remain.
    let targets = runner.capture(&spec).unwrap_or_default();
    sites(&targets)
        .into_iter()
        .map(|(site, component)| {
            let first = package.chars().next().unwrap_or('p');
            let ending = if format == Format::Xz { "xz" } else { "gz" };
            format!("{site}/pool/{component}/{first}/{package}/{package}_{release}.orig.tar.{ending}")
        })
        .collect()
}

/// The sites and components of the distribution itself, from apt's index targets, each once. Before
/// `apt-get update` apt knows no origin, so an empty one counts.
fn sites(targets: &str) -> Vec<(String, String)> {
    let mut sites = Vec::new();
    for line in targets.lines() {
        let mut fields = line.split('|');
        let (Some(origin), Some(site), Some(component)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let pair = (site.trim_end_matches('/').to_owned(), component.to_owned());
        let own = ["", "Debian", "Ubuntu"].contains(&origin);
        if own && !site.is_empty() && ["main", "universe"].contains(&component) && !sites.contains(&pair) {
            sites.push(pair);
        }
    }
    sites
}

/// Downloads with apt, which uses the proxies and credentials of its configuration.
pub(super) fn download(url: &str, slot: &SourceSlot, runner: &dyn Runner) -> Result<Attempt> {
    // apt resumes the download of a file that is there, and this one may be from another place.
    match std::fs::remove_file(slot.part()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let spec = Spec::new(APT_HELPER)
        .args(["-o", "Acquire::Retries=3", "download-file", url])
        .arg(slot.part())
        .environment(manager_environment())
        .timeout(Duration::from_mins(10));
    let mut said = String::new();
    let outcome = runner.run(&spec, &mut |_, line| {
        if line.starts_with("E:") {
            line.clone_into(&mut said);
        }
    })?;
    if !outcome.success() {
        let said = said.replace(url, &http::shown(url));
        return Ok(Attempt::Failed(if said.is_empty() { outcome.to_string() } else { said }));
    }
    let file = fs_err::File::open(slot.part())?;
    Ok(Attempt::Got(Digest::of_reader(file)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_the_distributions_own() {
        let targets = "Debian|http://mirror.test/debian|main\n\
                       Debian|http://mirror.test/debian|main\n\
                       Debian|http://mirror.test/debian|contrib\n\
                       Ubuntu|http://mirror.test/ubuntu/|universe\n\
                       Some Vendor|http://vendor.test/apt|main\n\
                       |http://fresh.test/debian|main\n\
                       nonsense\n";
        let site = |site: &str, component: &str| (site.to_owned(), component.to_owned());
        assert_eq!(
            sites(targets),
            [
                site("http://mirror.test/debian", "main"),
                site("http://mirror.test/ubuntu", "universe"),
                site("http://fresh.test/debian", "main"),
            ]
        );
    }
}
