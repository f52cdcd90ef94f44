//! Security updates for the libraries that a Python of pykeel bundles.

use serde_json::Value;

use super::super::finding::{Found, Severity};
use super::super::index::Index;
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;
use crate::domain::manifest::MANIFEST_PATH;
use crate::domain::release::DistroRelease;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK604",
    name: "bundled-update",
    severity: Severity::Warning,
    what: "The distribution whose libraries a Python of pykeel bundles has a security update for one of them.",
    why: "A bundled library is out of reach of `apt-get upgrade`. The index has to be of the release that the Python \
          was built on.",
    remedy: "update the build host, build the Python again, and rebuild the image with it",
    judge: Judge::Sometimes(judge),
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Found>, String> {
    let Some(index) = &subject.standards.index else {
        return Err("no lists of the distribution's packages were given".to_owned());
    };
    let mut found = Vec::new();
    for python in &subject.pythons {
        let text = subject.tree.text(&format!("{}/{MANIFEST_PATH}", python.prefix));
        let Some(manifest) = text.and_then(|text| serde_json::from_str::<Value>(&text).ok()) else { continue };
        let libraries = manifest["libraries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if libraries.is_empty() {
            continue;
        }
        if !is_of_release(&manifest, index) {
            let release = index.release.as_deref().unwrap_or("a release that it does not name");
            return Err(format!("the index is of {release}, and {} was built on another one", python.prefix));
        }
        let architecture = architecture(&manifest);
        found.extend(libraries.iter().filter_map(|library| {
            let text = |key: &str| library[key].as_str();
            let (soname, package, version) = (text("soname")?, text("package")?, text("version")?);
            let update = index.update(package, architecture, version)?;
            let message = format!("it is of {package} {version}, which has the update {update}");
            Some(Found::at(format!("{}/lib/{soname}", python.prefix), message))
        }));
    }
    Ok(found)
}

/// The name that Debian has for the processor.
fn architecture(manifest: &Value) -> &'static str {
    let target = manifest["plan"]["request"]["target"].as_str().unwrap_or_default();
    if target.starts_with("aarch64") { "arm64" } else { "amd64" }
}

/// Whether the libraries are from the release that an index is of: `Debian 12`, `Ubuntu 24.04`.
fn is_of_release(manifest: &Value, index: &Index) -> bool {
    let plan = &manifest["plan"];
    let packages = plan["provenance"]["environment"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |key: &str| plan["toolchain"][key].as_str().unwrap_or_default();
    let environment = packages.iter().filter_map(Value::as_str);
    let built_on = DistroRelease::of_build(environment, text("compiler"), text("glibc"));
    built_on.is_some_and(|built_on| {
        let release = index.release.as_deref().and_then(|release| release.split_once(' '));
        release.is_some_and(|(origin, version)| {
            // A point release of Debian, `12.11`, is the same release.
            let version = if origin == "Debian" { version.split('.').next().unwrap_or_default() } else { version };
            built_on.to_string() == format!("{origin} {version}")
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::fixtures::{Fixture, standards};
    use super::*;

    fn python(version: &str, base_files: &str) -> Fixture {
        let manifest = json!({
            "libraries": [{"soname": "libssl.so.3", "package": "libssl3", "version": version}],
            "plan": {
                "request": {"target": "x86_64-linux-gnu"},
                "provenance": {"environment": [format!("base-files:amd64={base_files}")]},
            },
        });
        Fixture::default()
            .python("/opt/python-3.13", "3.13", "3.13.9")
            .text("/opt/python-3.13/share/pykeel/manifest.json", &manifest.to_string())
    }

    #[test]
    fn good() {
        assert_eq!(python("3.0.17-1~deb12u3", "12.4+deb12u12").judged(&RULE), Vec::<String>::new());
        assert_eq!(Fixture::default().python("/usr/local", "3.13", "3.13.9").judged(&RULE), Vec::<String>::new());
        let error = python("3.0.17-1~deb12u2", "13.8+deb13u1").judged_by(&RULE, &standards()).unwrap_err();
        assert_eq!(error, "the index is of Debian 12, and /opt/python-3.13 was built on another one");
    }

    #[test]
    fn bad() {
        let found = python("3.0.17-1~deb12u2", "12.4+deb12u11").judged(&RULE);
        let message = "it is of libssl3 3.0.17-1~deb12u2, which has the update 3.0.17-1~deb12u3";
        assert_eq!(found, [format!("warning /opt/python-3.13/lib/libssl.so.3: {message}")]);
    }

    #[test]
    fn a_release_of_ubuntu_is_told_by_the_compiler() {
        let manifest = json!({"plan": {
            "toolchain": {"compiler": "gcc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0", "glibc": "2.39"},
            "provenance": {"environment": ["base-files:amd64=13ubuntu10.3"]},
        }});
        let of = |release: &str| Index { release: Some(release.to_owned()), ..Index::default() };
        assert!(is_of_release(&manifest, &of("Ubuntu 24.04")) && !is_of_release(&manifest, &of("Ubuntu 22.04")));
        assert!(!is_of_release(&manifest, &of("Debian 13")) && !is_of_release(&manifest, &Index::default()));
    }
}
