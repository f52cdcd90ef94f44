//! Fetch: finds the source archive that has a digest of the recipe, and downloads it if the store does not have it.

mod copy;
mod landing;
mod mirror;
mod pool;

use std::path::{Path, PathBuf};

use self::landing::Landing;
pub use self::mirror::Mirror;
use crate::domain::artifact::Format;
use crate::domain::digest::Digest;
use crate::domain::plan::SourceSums;
use crate::domain::version::Release;
use crate::error::{Error, Result, SourceAttempt};
use crate::event::{Event, Reporter, Unit};
use crate::recipe::ReleaseRecipe;
use crate::store::{SourceSlot, Store, StoredSource};
use crate::sys::http::{self, DownloadError, Downloaded, Limits, Resume};
use crate::sys::process::Runner;

/// A source archive whose SHA-256 is the recipe's.
#[derive(Debug)]
pub struct VerifiedSource {
    stored: StoredSource,
    format: Format,
    name: String,
}

impl VerifiedSource {
    /// The archive.
    pub(super) fn path(&self) -> &Path {
        self.stored.path()
    }

    /// How it is compressed.
    pub(super) const fn format(&self) -> Format {
        self.format
    }

    /// Its name, for people: `Python-3.13.5.tar.xz`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Where sources may come from.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// The places to try first.
    pub mirrors: Vec<Mirror>,
    /// Whether only the store and directories may be read.
    pub offline: bool,
    /// A directory that gets a copy of the archive, for other tools.
    pub copies: Option<PathBuf>,
    /// The limits on time and size of a download.
    pub limits: Limits,
}

/// One archive that upstream published.
struct Archive {
    file: String,
    format: Format,
    digest: Digest,
}

fn archives(release: Release, sums: SourceSums) -> Vec<Archive> {
    let xz = sums.xz.map(|digest| Archive { file: format!("Python-{release}.tar.xz"), format: Format::Xz, digest });
    let tgz = sums.tgz.map(|digest| Archive { file: format!("Python-{release}.tgz"), format: Format::Gz, digest });
    xz.into_iter().chain(tgz).collect()
}

/// One place where an archive may be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Directory(PathBuf),
    File(PathBuf),
    Url(String),
    Pool(String),
}

impl Place {
    /// Returns the place that a mirror's URL names.
    fn of_user(url: String) -> Self {
        let is_file = url.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:"));
        // The template was checked when it was parsed.
        match http::url::file_path(&url) {
            Ok(path) if is_file => Self::File(path),
            _ => Self::Url(url),
        }
    }
}

/// Fills in the placeholders of a URL.
fn expanded(template: &str, release: Release, archive: &Archive) -> String {
    template
        .replace("{version}", &release.to_string())
        .replace("{base}", &release.base())
        .replace("{sha256}", &archive.digest.to_string())
        .replace("{file}", &archive.file)
}

/// Fetches the source of a release: from the store, the user's mirrors, the recipe's mirrors, upstream, or the
/// source pool of the distribution, in this order. Wherever it comes from, it must have the recipe's SHA-256.
///
/// # Errors
/// [`Error::SourceUnavailable`] with every place that was tried and the reason why it failed; [`Error::Io`] if
/// the store cannot be written to; [`Error::Interrupted`].
pub fn fetch(
    recipe: &ReleaseRecipe,
    options: &FetchOptions,
    store: &Store,
    runner: &dyn Runner,
    reporter: &dyn Reporter,
) -> Result<VerifiedSource> {
    let source = find(recipe, options, store, runner, reporter)?;
    if let Some(directory) = &options.copies {
        // The build can go on without the copy.
        if let Err(error) = copy::keep(source.path(), directory, source.name()) {
            reporter.report(Event::Warning(format!("cannot keep a copy of {}: {error}", source.name())));
        }
    }
    Ok(source)
}

fn find(
    recipe: &ReleaseRecipe,
    options: &FetchOptions,
    store: &Store,
    runner: &dyn Runner,
    reporter: &dyn Reporter,
) -> Result<VerifiedSource> {
    let archives = archives(recipe.version, recipe.sums);
    if let Some(source) = from_store(&archives, store, reporter)? {
        return Ok(source);
    }
    let mut attempts = Vec::new();
    let mut fetcher = Fetcher { recipe, options, runner, reporter, client: None };
    for archive in &archives {
        // Another process may have downloaded it while this one waited for the slot.
        let slot = store.reserve_source(archive.digest, reporter)?;
        if let Some(source) = from_store(std::slice::from_ref(archive), store, reporter)? {
            return Ok(source);
        }
        for place in fetcher.places(archive) {
            if let Some(reason) = fetcher.attempt(&place, archive, &slot)? {
                let place = shown(&place);
                reporter.report(Event::Detail(format!("cannot fetch from {place}: {reason}")));
                attempts.push(SourceAttempt { place, reason });
                continue;
            }
            let stored = store.keep_source(slot)?;
            return Ok(VerifiedSource { stored, format: archive.format, name: archive.file.clone() });
        }
    }
    Err(Error::SourceUnavailable { release: recipe.version.to_string(), attempts })
}

fn from_store(archives: &[Archive], store: &Store, reporter: &dyn Reporter) -> Result<Option<VerifiedSource>> {
    for archive in archives {
        if let Some(stored) = store.source(archive.digest, reporter)? {
            return Ok(Some(VerifiedSource { stored, format: archive.format, name: archive.file.clone() }));
        }
    }
    Ok(None)
}

/// The result of trying one place. An error of this machine is an [`Error`] instead.
enum Attempt {
    /// A file with this digest is in the slot.
    Got(Digest),
    /// The place does not have it, for this reason.
    Failed(String),
}

struct Fetcher<'a> {
    recipe: &'a ReleaseRecipe,
    options: &'a FetchOptions,
    runner: &'a dyn Runner,
    reporter: &'a dyn Reporter,
    client: Option<http::Client>,
}

impl Fetcher<'_> {
    fn places(&self, archive: &Archive) -> Vec<Place> {
        let expand = |template: &str| expanded(template, self.recipe.version, archive);
        let user = self.options.mirrors.iter().map(|mirror| match mirror {
            Mirror::Url(url) => Place::of_user(expand(url)),
            Mirror::Directory(directory) => Place::Directory(directory.clone()),
        });
        let source = &self.recipe.shared.source;
        let recipe = source.mirrors.iter().chain([&source.url]).map(|url| Place::Url(expand(url)));
        let mut places: Vec<_> = user.chain(recipe).collect();
        if self.options.offline {
            places.retain(|place| matches!(place, Place::Directory(_) | Place::File(_)));
        } else if let Some(package) = &source.pool {
            places.extend(
                pool::urls(self.runner, package, self.recipe.version, archive.format).into_iter().map(Place::Pool),
            );
        }
        places
    }

    /// Tries one place, and returns the reason if it does not have the archive.
    fn attempt(&mut self, place: &Place, archive: &Archive, slot: &SourceSlot) -> Result<Option<String>> {
        if !matches!(place, Place::Directory(_)) {
            self.reporter.report(Event::Trying { file: archive.file.clone(), place: shown(place) });
        }
        let found = match place {
            Place::Directory(directory) => copy::copy(&directory.join(&archive.file), slot, self.options.limits)?,
            Place::File(file) => copy::copy(file, slot, self.options.limits)?,
            Place::Url(url) => self.download(url, archive.digest, slot)?,
            Place::Pool(url) => pool::download(url, slot, self.runner)?,
        };
        Ok(match found {
            Attempt::Got(found) if found == archive.digest => None,
            Attempt::Got(found) => Some(format!("its SHA-256 is {found}, not {}", archive.digest)),
            Attempt::Failed(reason) => Some(reason),
        })
    }

    fn download(&mut self, url: &str, expected: Digest, slot: &SourceSlot) -> Result<Attempt> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => match http::Client::new(self.options.limits) {
                Ok(client) => self.client.insert(client).clone(),
                Err(reason) => return Ok(Attempt::Failed(reason)),
            },
        };
        let reporter = self.reporter;
        let progress = |done, total| reporter.report(Event::Progress { done, total, unit: Unit::Bytes });
        let mut resume = Resume::Allowed;
        loop {
            let mut landing = Landing::create(slot.part())?;
            let how = match client.download(url, resume, &mut landing, &progress) {
                Ok(how) => how,
                Err(DownloadError::Local(error)) => return Err(error),
                Err(error) => return Ok(Attempt::Failed(error.to_string())),
            };
            let found = landing.finish()?;
            if found == expected || how == Downloaded::AtOnce {
                return Ok(Attempt::Got(found));
            }
            // The server may have replaced the file between two pieces.
            let place = http::shown(url);
            reporter.report(Event::Detail(format!(
                "the parts from {place} do not match: downloading the whole file again"
            )));
            resume = Resume::Forbidden;
        }
    }
}

/// A place for messages, without user and password.
fn shown(place: &Place) -> String {
    match place {
        Place::Directory(path) | Place::File(path) => path.display().to_string(),
        Place::Url(url) | Place::Pool(url) => http::shown(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_can_name_an_archive_by_its_digest() {
        let digest = Digest::of("x");
        let archive = Archive { file: "Python-3.14.0b1.tar.xz".into(), format: Format::Xz, digest };
        let release: Release = "3.14.0b1".parse().unwrap();
        let filled = |template| expanded(template, release, &archive);
        let hex = digest.to_string();
        assert!(hex.len() == 64 && hex.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)), "{hex}");
        assert_eq!(filled("https://m.test/{sha256}"), format!("https://m.test/{hex}"));
        assert_eq!(filled("{base}/{version}/{file}"), "3.14.0/3.14.0b1/Python-3.14.0b1.tar.xz");
        assert_eq!(Place::of_user(filled("file:///a%20b/{file}")), Place::File("/a b/Python-3.14.0b1.tar.xz".into()));
        assert!(matches!(Place::of_user(filled("https://m.test/{file}")), Place::Url(_)));
    }

    #[test]
    fn credentials_are_not_shown() {
        let place = Place::Url("https://user:secret@mirror.test/Python-3.13.5.tgz".into());
        assert_eq!(shown(&place), "https://mirror.test/Python-3.13.5.tgz");
    }
}
