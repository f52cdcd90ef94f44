//! The builds that the other tests look at. They come first by their name, so that the time of no other
//! test is that of a build that it waits for.

use crate::missing::{Missing, skipped};
use crate::support::{RELEASE, artifact, artifact_of, old_releases};

#[test]
fn the_release_that_most_tests_look_at_builds_in_both_flavors() {
    for flavor in ["runtime", "builder"] {
        let artifact = artifact(flavor);
        assert!(artifact.name.starts_with(&format!("cpython-{RELEASE}-")), "{}", artifact.name);
        assert!(artifact.name.contains(&format!("-{flavor}-")), "{}", artifact.name);
    }
}

/// What the README promises, bundled libraries included.
#[test]
fn the_runtime_flavor_has_at_most_30_megabytes() {
    let bytes = artifact("runtime").manifest["sizes"]["bytes"].as_u64().expect("a number");
    assert!((20_000_000..=30_000_000).contains(&bytes), "{bytes} bytes");
}

#[test]
fn the_older_series_build_in_both_flavors() {
    for release in old_releases() {
        for flavor in ["runtime", "builder"] {
            match artifact_of(release, flavor) {
                Some(artifact) => assert!(artifact.name.starts_with(&format!("cpython-{release}-"))),
                None => skipped(Some(Missing::Source(release)), &format!("no mirror has the source of {release}")),
            }
        }
    }
}
