//! Judges an image by what makes a good container for Python. Each rule is a file of `rules`; `docs/check.md` describes
//! them.

pub mod finding;
#[cfg(test)]
mod fixtures;
pub mod ignore;
pub mod image;
pub mod index;
mod linker;
mod packages;
mod python;
mod rule;
mod rules;
mod sarif;
mod sizes;
mod subject;
#[cfg(test)]
mod tests;
mod unmet;
mod user;

use serde::Serialize;

use self::finding::{Finding, Severity};
use self::ignore::Ignore;
use self::image::Image;
pub use self::rule::Rule;
pub use self::rules::ALL as RULES;
pub use self::sarif::sarif;
pub use self::sizes::Sizes;
use self::subject::Subject;
pub use self::subject::{KnownSeries, Standards};
pub use self::unmet::{Placed, Unmet, unmet};

/// The judgement of an image.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The image, as the user named it.
    pub image: String,
    /// The platform: `linux/amd64`; none for a root file system.
    pub platform: Option<String>,
    /// The user that it runs as, as the image says it.
    pub user: Option<String>,
    /// The Pythons in it.
    pub pythons: Vec<FoundPython>,
    /// The number of programs and libraries.
    pub elf_files: usize,
    /// What the rules found, the worst first. Ignored findings are among them.
    pub findings: Vec<Finding>,
    /// The rules that could not judge the image.
    pub skipped: Vec<Skipped>,
    /// The ignores of the configuration that cover no finding.
    pub unused_ignores: Vec<String>,
    /// The index of the distribution that was used.
    pub index: Option<IndexAge>,
    /// What takes up its size.
    pub sizes: Sizes,
}

/// A Python in an image.
#[derive(Debug, Serialize)]
pub struct FoundPython {
    /// Where it is installed.
    pub prefix: String,
    /// Its release, or its series if the release is unknown.
    pub version: String,
}

/// A rule that could not judge the image.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The rule's identity.
    pub rule: &'static str,
    /// The rule's name.
    pub name: &'static str,
    /// Why.
    pub reason: String,
}

/// How old an index is.
#[derive(Debug, Serialize)]
pub struct IndexAge {
    /// The lists of security updates that were read.
    pub lists: usize,
    /// The age of the newest list in days, if it says when it was made.
    pub age_days: Option<i64>,
}

impl Report {
    /// How many findings of a severity count.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.ignored.is_none() && finding.severity == severity).count()
    }

    /// The worst severity of the findings that count.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().filter(|finding| finding.ignored.is_none()).map(|finding| finding.severity).max()
    }
}

/// Judges an image by every rule.
#[must_use]
pub fn judge(name: &str, image: &Image, standards: &Standards, ignores: &[Ignore]) -> Report {
    let subject = Subject::new(image, standards);
    let (mut findings, mut skipped) = (Vec::new(), Vec::new());
    for rule in rules::ALL {
        match rule.judge.run(&subject) {
            Ok(found) => findings.extend(found.into_iter().map(|found| Finding {
                rule: rule.id,
                name: rule.name,
                severity: found.severity.unwrap_or(rule.severity),
                path: found.path,
                message: found.message,
                remedy: rule.remedy,
                ignored: None,
            })),
            Err(reason) => skipped.push(Skipped { rule: rule.id, name: rule.name, reason }),
        }
    }
    for finding in &mut findings {
        finding.ignored = ignores.iter().find(|ignore| ignore.covers(finding)).map(|ignore| ignore.reason.clone());
    }
    let unused = ignores.iter().filter(|ignore| !findings.iter().any(|finding| ignore.covers(finding)));
    let unused_ignores = unused.map(Ignore::describe).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.rule.cmp(b.rule)));
    let pythons = subject.pythons.iter().map(|python| FoundPython {
        prefix: python.prefix.clone(),
        version: python.version.clone().unwrap_or_else(|| python.series.to_string()),
    });
    let index = standards.index.as_ref();
    Report {
        image: name.to_owned(),
        platform: image.config.as_ref().map(|config| config.platform.clone()),
        user: subject.user.as_ref().map(|user| user.written.clone()),
        pythons: pythons.collect(),
        elf_files: image
            .tree
            .iter()
            .filter(|(_, node)| node.file().is_some_and(|file| file.content.linkage().is_some()))
            .count(),
        findings,
        skipped,
        unused_ignores,
        index: index.map(|index| IndexAge { lists: index.lists, age_days: index.age_days }),
        sizes: Sizes::of(&subject),
    }
}
