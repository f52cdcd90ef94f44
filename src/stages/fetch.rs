//! Fetch: finds the source archive that has a digest of the recipe, and downloads it if the store does not have it.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::artifact::Format;
use crate::domain::digest::{Digest, HashingWriter};
use crate::domain::plan::SourceSums;
use crate::domain::version::Release;
use crate::error::{Error, Result, SourceAttempt};
use crate::event::{Event, Reporter, Unit};
use crate::recipe::ReleaseRecipe;
use crate::store::{SourceSlot, Store, StoredSource};
use crate::sys::distro::manager_environment;
use crate::sys::http::{self, DownloadError, Downloaded, Limits, Resume, Sink};
use crate::sys::interrupt;
use crate::sys::process::{Runner, Spec};

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
    /// The limits on time and size of a download.
    pub limits: Limits,
}

/// A place that the user named for archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A directory that holds them.
    Directory(PathBuf),
    /// A URL with `{file}`, and perhaps `{version}` and `{base}`.
    Url(String),
}

impl Mirror {
    /// Parses a mirror: text with a scheme is a URL, other text a directory.
    ///
    /// # Errors
    /// [`Error::Mirror`], without the credentials that a URL may hold.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let url = text.to_str().and_then(|text| Some((text, text.split_once("://")?.0)));
        let wrong = |reason: &str| {
            let mirror = text.to_str().map(http::shown).unwrap_or_default();
            Err(Error::Mirror { mirror, reason: reason.to_owned() })
        };
        match url {
            Some((url, "http" | "https")) if url.contains("{file}") => Ok(Self::Url(url.to_owned())),
            Some((_, "http" | "https")) => wrong("it has no {file}, which stands for the archive's name"),
            Some((_, scheme)) => {
                wrong(&format!("the scheme {scheme} is neither http nor https; name a directory by its path"))
            }
            None if text.is_empty() => Err(Error::Mirror { mirror: "``".into(), reason: "it is empty".into() }),
            None => Ok(Self::Directory(text.into())),
        }
    }
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
    Url(String),
    Pool(String),
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
        let expand = |template: &str| {
            template
                .replace("{version}", &self.recipe.version.to_string())
                .replace("{base}", &self.recipe.version.base())
                .replace("{file}", &archive.file)
        };
        let user = self.options.mirrors.iter().map(|mirror| match mirror {
            Mirror::Url(url) => Place::Url(expand(url)),
            Mirror::Directory(directory) => Place::Directory(directory.clone()),
        });
        let source = &self.recipe.shared.source;
        let recipe = source.mirrors.iter().chain([&source.url]).map(|url| Place::Url(expand(url)));
        let mut places: Vec<_> = user.chain(recipe).collect();
        if self.options.offline {
            places.retain(|place| matches!(place, Place::Directory(_)));
        } else if let Some(package) = &source.pool {
            places.extend(
                pool_urls(self.runner, package, self.recipe.version, archive.format).into_iter().map(Place::Pool),
            );
        }
        places
    }

    /// Tries one place, and returns the reason if it does not have the archive.
    fn attempt(&mut self, place: &Place, archive: &Archive, slot: &SourceSlot) -> Result<Option<String>> {
        let found = match place {
            Place::Directory(directory) => copy(&directory.join(&archive.file), slot, self.options.limits)?,
            Place::Url(url) => self.download(url, archive.digest, slot)?,
            Place::Pool(url) => self.apt_download(url, slot)?,
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

    /// Downloads with apt, which uses the proxies and credentials of its configuration.
    fn apt_download(&self, url: &str, slot: &SourceSlot) -> Result<Attempt> {
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
        let outcome = self.runner.run(&spec, &mut |_, line| {
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
}

/// Copies an archive from a directory.
fn copy(file: &Path, slot: &SourceSlot, limits: Limits) -> Result<Attempt> {
    let unreadable = |error: std::io::Error| Ok(Attempt::Failed(format!("{}: {error}", file.display())));
    match std::fs::metadata(file) {
        // Opening a pipe would wait for a writer.
        Ok(metadata) if !metadata.is_file() => return Ok(Attempt::Failed(format!("{} is not a file", file.display()))),
        Ok(metadata) if metadata.len() > limits.most_bytes => {
            let (size, most) = (metadata.len(), limits.most_bytes);
            let reason = format!("{} has {size} bytes; a source may have at most {most}", file.display());
            return Ok(Attempt::Failed(reason));
        }
        Ok(_) => {}
        Err(error) => return unreadable(error),
    }
    let mut source = match std::fs::File::open(file) {
        Ok(source) => source,
        Err(error) => return unreadable(error),
    };
    let mut landing = Landing::create(slot.part())?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        interrupt::check()?;
        // A mirror that cannot be read is a reason to try the next one. A store that cannot be written to is
        // an error.
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => landing.append(&buffer[..read])?,
            Err(error) => return unreadable(error),
        }
    }
    landing.finish().map(Attempt::Got)
}

/// A file that hashes what is written to it.
struct Landing {
    path: PathBuf,
    writer: HashingWriter<fs_err::File>,
    len: u64,
}

impl Landing {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), writer: HashingWriter::new(fs_err::File::create(path)?), len: 0 })
    }

    fn finish(self) -> Result<Digest> {
        let (mut file, digest, _) = self.writer.finish();
        file.flush()?;
        Ok(digest)
    }
}

impl Sink for Landing {
    fn position(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        *self = Self::create(&self.path)?;
        Ok(())
    }
}

const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// The URLs at which the source pool of the distribution may have an archive. Debian and Ubuntu keep upstream's
/// archive byte for byte, as `python3.13_3.13.5.orig.tar.xz`.
fn pool_urls(runner: &dyn Runner, package: &str, release: Release, format: Format) -> Vec<String> {
    if !Path::new(APT_HELPER).exists() {
        return Vec::new();
    }
    let spec = Spec::new("/usr/bin/apt-get")
        .args(["indextargets", "--format", "$(ORIGIN)|$(SITE)|$(COMPONENT)"])
        .environment(manager_environment())
        .timeout(Duration::from_mins(1));
    // If apt fails there is no pool, and the other places remain.
    let targets = runner.capture(&spec).unwrap_or_default();
    pool_sites(&targets)
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
fn pool_sites(targets: &str) -> Vec<(String, String)> {
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

/// A place for messages, without user and password.
fn shown(place: &Place) -> String {
    match place {
        Place::Directory(directory) => directory.display().to_string(),
        Place::Url(url) | Place::Pool(url) => http::shown(url),
    }
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
            pool_sites(targets),
            [
                site("http://mirror.test/debian", "main"),
                site("http://mirror.test/ubuntu", "universe"),
                site("http://fresh.test/debian", "main"),
            ]
        );
    }

    #[test]
    fn credentials_are_not_shown() {
        let place = Place::Url("https://user:secret@mirror.test/Python-3.13.5.tgz".into());
        assert_eq!(shown(&place), "https://mirror.test/Python-3.13.5.tgz");
    }
}
