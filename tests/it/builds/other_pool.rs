//! Series whose source only the other distribution keeps: Debian and Ubuntu have their pools beside each other on most
//! sites, and each has upstream's own archive.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::sites_beside;
use crate::missing::{Missing, skipped};
use crate::support::{Artifact, pykeel, run, shared_store};

/// Releases of Ubuntu 22.04, 24.04, 25.10 and 26.04.
pub(super) const RELEASES: [&str; 4] = ["3.10.12", "3.12.3", "3.13.7", "3.14.4"];

/// A directory that has the source of a release, or `None` if no site has it. The recipe's sum is checked by pykeel.
pub(super) fn mirror_with(release: &str) -> Option<PathBuf> {
    let directory = shared_store().join("other-pool");
    fs_err::create_dir_all(&directory).expect("a directory");
    let file = directory.join(format!("Python-{release}.tar.xz"));
    let (series, _) = release.rsplit_once('.').expect("a release");
    let urls = sites_beside()
        .into_iter()
        .map(|site| format!("{site}/pool/main/p/python{series}/python{series}_{release}.orig.tar.xz"));
    let download = |url: String| {
        // Another test may be at the same file.
        let aside = tempfile::tempdir_in(&directory).expect("a directory");
        let part = aside.path().join("source");
        let helper = Command::new("/usr/lib/apt/apt-helper").args(["download-file", &url]).arg(&part).output();
        helper.is_ok_and(|output| output.status.success()) && fs_err::rename(&part, &file).is_ok()
    };
    (file.exists() || urls.into_iter().any(download)).then_some(directory)
}

fn builds(release: &str, mirror: &Path) {
    let mut command = pykeel();
    command.args(["build", release, "--allow-eol", "--flavor", "all", "--optimize", "none", "--json", "--mirror"]);
    let built = run(command.arg(mirror)).exits(0).json();
    let artifacts: Vec<Artifact> = built.as_array().expect("an array").iter().map(Artifact::built).collect();
    assert_eq!(artifacts.len(), 2);
    for artifact in artifacts {
        assert!(artifact.name.starts_with(&format!("cpython-{release}-")), "{}", artifact.name);
        run(pykeel().arg("verify").arg(&artifact.tarball)).exits(0);
    }
}

#[test]
#[ignore = "scripts/test --full: builds 3.10.12, 3.12.3, 3.13.7 and 3.14.4"]
fn the_releases_of_ubuntu_build_and_pass_verification() {
    for release in RELEASES {
        match mirror_with(release) {
            Some(mirror) => builds(release, &mirror),
            None => skipped(Some(Missing::Source(release)), &format!("no pool has the source of Python {release}")),
        }
    }
}
