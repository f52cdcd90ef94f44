//! A remote in a repository of an OCI registry.
//!
//! The half-dozen requests of the OCI distribution specification, on the HTTP client that is there. Each answer is
//! bounded, each file is named by its digest, and a tag that moves changes nothing: what it named is read once.

mod access;
mod challenge;
mod document;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use self::access::{Access, Scope};
use self::document::{ImageManifest, MANIFEST_TYPE, Tag};
use super::address::RegistryPlace;
use super::files::absent;
use super::web::refused;
use super::{Blob, LARGEST_MANIFEST, Listed, Offer, Pushed, Remote, Wanted, files_of, offer_for};
use crate::domain::artifact::GlibcVersion;
use crate::domain::digest::Digest;
use crate::error::{Error, RemoteError, Result};
use crate::event::{Event, Reporter};
use crate::store::StoredArtifact;
use crate::sys::credentials::Credentials;
use crate::sys::http::{Answer, Ask, Body, Head, Method, Session, Sink, url};

/// The largest manifest of a registry that is read, in bytes.
const LARGEST_DOCUMENT: u64 = 256 << 10;
/// The largest page of tags, in bytes: a registry that knows no pages sends all of them.
const LARGEST_PAGE: u64 = 16 << 20;
/// How many tags a page should have.
const PAGE: usize = 1000;
/// The most tags of artifacts that are kept while they are read.
const MOST_TAGS: usize = 100_000;
/// The most pages that are read.
const MOST_PAGES: usize = 1000;
/// How long a question may take that has several answers.
const LONGEST_QUESTION: Duration = Duration::from_secs(25);
/// The most artifacts of one request that are looked at.
const MOST_OFFERS: usize = 100;

/// A repository of a registry.
pub(super) struct OciRemote {
    access: Access,
    /// The tags that were there when all of them were read.
    known: Mutex<Vec<Tag>>,
}

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
}

impl OciRemote {
    pub(super) fn new(address: String, place: RegistryPlace, session: Session, credentials: Credentials) -> Self {
        Self { access: Access::new(address, place, session, credentials), known: Mutex::default() }
    }

    fn address(&self) -> &str {
        &self.access.address
    }

    fn wrong(&self, what: &str, reason: impl Into<String>) -> Error {
        let (address, reason) = (self.address().to_owned(), reason.into());
        RemoteError::Wrong { address, what: what.to_owned(), reason }.into()
    }

    fn refused(&self, head: &Head) -> Error {
        refused(self.address(), head, "the registry")
    }

    /// Ends what takes too long in all, however many answers it has.
    fn check_time(&self, began: Instant) -> Result<()> {
        if began.elapsed() <= LONGEST_QUESTION {
            return Ok(());
        }
        let reason = format!("it was not done after {} s", LONGEST_QUESTION.as_secs());
        Err(RemoteError::Unavailable { address: self.address().to_owned(), reason }.into())
    }

    /// The tags of artifacts that begin with a text, in no order.
    fn tags(&self, beginning: &str) -> Result<Vec<Tag>> {
        let began = Instant::now();
        let (mut found, mut last) = (Vec::new(), beginning.to_owned());
        for _ in 0..MOST_PAGES {
            self.check_time(began)?;
            let after = if last.is_empty() { String::new() } else { format!("&last={}", url::encoded(&last)) };
            let url = self.access.url(&format!("tags/list?n={PAGE}{after}"));
            let Answer { head, body } = self.access.small(Scope::Pull, &Ask::new(Method::Get, &url), LARGEST_PAGE)?;
            match head.status() {
                200 => {}
                // Nothing was ever pushed into it.
                404 if is_unknown_repository(&body) => return Ok(Vec::new()),
                _ => return Err(self.refused(&head)),
            }
            let page: Page =
                serde_json::from_slice(&body).map_err(|error| self.wrong("its list of tags", error.to_string()))?;
            let tags = page.tags.unwrap_or_default();
            found.extend(tags.iter().filter(|tag| tag.starts_with(beginning)).filter_map(|tag| tag.parse().ok()));
            if found.len() > MOST_TAGS {
                return Err(self.wrong("its list of tags", format!("it has more than {MOST_TAGS} tags of artifacts")));
            }
            // What the next page is, is computed and not taken from the registry, so no page leads back.
            let Some(greatest) = tags.iter().max().filter(|_| head.header("link").is_some()) else { return Ok(found) };
            if *greatest <= last {
                return Err(self.wrong("its list of tags", "a page has nothing new and is not the last"));
            }
            if !greatest.starts_with(beginning) {
                return Ok(found);
            }
            last.clone_from(greatest);
        }
        Err(self.wrong("its list of tags", format!("it has more than {MOST_PAGES} pages")))
    }

    /// All tags of artifacts, which are remembered: whoever takes many by their digests need not read them for each.
    fn every_tag(&self) -> Result<Vec<Tag>> {
        let tags = self.tags("")?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&tags);
        Ok(tags)
    }

    /// The manifest behind a tag, as the registry has it; none if there is none any more.
    fn document(&self, tag: &Tag) -> Result<Option<Vec<u8>>> {
        let url = self.access.url(&format!("manifests/{tag}"));
        let ask = Ask { headers: &[("accept", MANIFEST_TYPE)], ..Ask::new(Method::Get, &url) };
        let Answer { head, body } = self.access.small(Scope::Pull, &ask, LARGEST_DOCUMENT)?;
        match head.status() {
            200 => {}
            404 => return Ok(None),
            _ => return Err(self.refused(&head)),
        }
        if let Some(said) = head.header("docker-content-digest").filter(|said| said.starts_with("sha256:")) {
            let found = format!("sha256:{}", Digest::of(&body));
            if said != found {
                let reason = format!("it has the digest {found}, and should have {}", said.escape_debug());
                return Err(self.wrong(&format!("the manifest of {tag}"), reason));
            }
        }
        Ok(Some(body))
    }

    /// The offer behind a tag; none if there is none any more.
    fn offer_behind(&self, tag: &Tag) -> Result<Option<Offer>> {
        let what = format!("the manifest of {tag}");
        let Some(body) = self.document(tag)? else { return Ok(None) };
        let manifest: ImageManifest =
            serde_json::from_slice(&body).map_err(|error| self.wrong(&what, error.to_string()))?;
        let offer = manifest.offer(self.address()).map_err(|reason| self.wrong(&what, reason))?;
        if offer.digest != tag.digest {
            return Err(self.wrong(&what, format!("it is of the artifact {}", offer.digest)));
        }
        Ok(Some(offer))
    }

    /// Removes what a tag names; the registry collects the files.
    fn delete(&self, tag: &Tag) -> Result<()> {
        let Some(body) = self.document(tag)? else { return Ok(()) };
        let url = self.access.url(&format!("manifests/sha256:{}", Digest::of(&body)));
        let Answer { head, .. } =
            self.access.small(Scope::Delete, &Ask::new(Method::Delete, &url), LARGEST_DOCUMENT)?;
        match head.status() {
            200 | 202 | 204 | 404 => Ok(()),
            405 => {
                let reason = "the registry removes nothing (405): its configuration has to permit it".to_owned();
                Err(RemoteError::Denied { address: self.address().to_owned(), reason }.into())
            }
            _ => Err(self.refused(&head)),
        }
    }

    fn blob_url(&self, digest: Digest) -> String {
        self.access.url(&format!("blobs/sha256:{digest}"))
    }

    /// Sends a file unless the registry has it, and returns the number of bytes sent.
    fn send(&self, blob: Blob, from: &Path) -> Result<u64> {
        let url = self.blob_url(blob.digest);
        let Answer { head, .. } = self.access.small(Scope::Push, &Ask::new(Method::Head, &url), 0)?;
        match head.status() {
            200 => return Ok(0),
            404 | 405 => {}
            _ => return Err(self.refused(&head)),
        }
        // A registry that finds the file in another repository of its own mounts it.
        let begin = self.access.url(&format!("blobs/uploads/?mount=sha256:{}", blob.digest));
        let Answer { head, .. } = self.access.small(Scope::Push, &Ask::new(Method::Post, &begin), LARGEST_DOCUMENT)?;
        match head.status() {
            201 => return Ok(0),
            202 => {}
            _ => return Err(self.refused(&head)),
        }
        let to =
            head.header("location").ok_or_else(|| self.wrong("its answer", "it has no place to send a file to"))?;
        let to = self.access.joined(&begin, to).map_err(|reason| self.wrong("its answer", reason))?;
        let separator = if to.contains('?') { '&' } else { '?' };
        let to = format!("{to}{separator}digest=sha256:{}", blob.digest);
        let headers = [("content-type", "application/octet-stream")];
        let ask = Ask { headers: &headers, body: Body::File(from), ..Ask::new(Method::Put, &to) };
        let head = self.access.upload(&ask)?;
        if head.status() == 201 { Ok(blob.size) } else { Err(self.refused(&head)) }
    }

    /// Writes the manifest that makes an artifact of the files.
    fn publish(&self, tag: &Tag, offer: &Offer) -> Result<()> {
        let json = serde_json::to_vec(&ImageManifest::of(offer)).map_err(std::io::Error::from)?;
        let url = self.access.url(&format!("manifests/{tag}"));
        let headers = [("content-type", MANIFEST_TYPE)];
        let ask = Ask { headers: &headers, body: Body::Bytes(&json), ..Ask::new(Method::Put, &url) };
        let Answer { head, .. } = self.access.small(Scope::Push, &ask, LARGEST_DOCUMENT)?;
        if head.status() == 201 { Ok(()) } else { Err(self.refused(&head)) }
    }
}

impl Remote for OciRemote {
    fn offers(&self, wanted: Wanted<'_>, reporter: &dyn Reporter) -> Result<Vec<Offer>> {
        let (mut offers, began) = (Vec::new(), Instant::now());
        let tags = for_glibc(self.tags(&Tag::beginning(wanted))?, wanted.glibc);
        if tags.len() > MOST_OFFERS {
            let (address, number) = (self.address(), tags.len());
            let text =
                format!("remote {address}: it has {number} artifacts of the request; {MOST_OFFERS} are looked at");
            reporter.report(Event::Warning(text));
        }
        for tag in tags.iter().take(MOST_OFFERS) {
            self.check_time(began)?;
            match self.offer_behind(tag) {
                Ok(offer) => offers.extend(offer),
                // Whoever may push could otherwise hide all others behind one of them.
                Err(error @ Error::Remote(RemoteError::Wrong { .. })) => {
                    reporter.report(Event::Warning(format!("{error}; going on without it")));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(offers)
    }

    fn offer(&self, digest: Digest) -> Result<Option<Offer>> {
        let of_digest = |tags: &[Tag]| tags.iter().find(|tag| tag.digest == digest).cloned();
        let known = of_digest(&self.known.lock().unwrap_or_else(PoisonError::into_inner));
        // It may have been pushed since.
        let tag = if known.is_some() { known } else { of_digest(&self.every_tag()?) };
        tag.map_or(Ok(None), |tag| self.offer_behind(&tag))
    }

    fn manifest(&self, offer: &Offer) -> Result<Vec<u8>> {
        let url = self.blob_url(offer.manifest.digest);
        let most = offer.manifest.size.min(LARGEST_MANIFEST);
        let Answer { head, body } = self.access.small(Scope::Pull, &Ask::new(Method::Get, &url), most)?;
        match head.status() {
            200 => Ok(body),
            404 => Err(absent(self.address(), offer.manifest)),
            _ => Err(self.refused(&head)),
        }
    }

    fn blob(&self, blob: Blob, sink: &mut dyn Sink) -> Result<()> {
        let url = self.blob_url(blob.digest);
        let head = self.access.receive(&Ask::new(Method::Get, &url), sink)?;
        match head.status() {
            200 | 206 => Ok(()),
            404 => Err(absent(self.address(), blob)),
            _ => Err(self.refused(&head)),
        }
    }

    fn push(&self, artifact: &StoredArtifact, _: &dyn Reporter) -> Result<Pushed> {
        let offer = offer_for(artifact, self.address())?;
        let tag = Tag::of(&offer);
        // The first publication counts: the same artifact may have been built, and pushed, twice.
        if self.offer_behind(&tag)?.is_some() {
            return Ok(Pushed::AlreadyThere);
        }
        let mut sent = 0;
        for (blob, from) in files_of(artifact, &offer) {
            sent += self.send(blob, &from)?;
        }
        self.publish(&tag, &offer)?;
        Ok(Pushed::New { sent })
    }

    fn list(&self) -> Result<Vec<Listed>> {
        Ok(self.every_tag()?.iter().map(Tag::listed).collect())
    }

    fn all(&self) -> Result<Vec<Offer>> {
        let mut offers = Vec::new();
        for tag in self.tags("")? {
            offers.extend(self.offer_behind(&tag)?);
        }
        Ok(offers)
    }

    fn remove(&self, offers: &[Offer], _: &dyn Reporter) -> Result<()> {
        offers.iter().try_for_each(|offer| self.delete(&Tag::of(offer)))
    }
}

/// The tags of what runs with a glibc. If there is none, one of the others is enough to say why.
fn for_glibc(tags: Vec<Tag>, glibc: Option<GlibcVersion>) -> Vec<Tag> {
    let (mut fitting, others): (Vec<_>, Vec<_>) =
        tags.into_iter().partition(|tag| glibc.is_none_or(|glibc| tag.floor <= glibc));
    if fitting.is_empty() {
        fitting.extend(others.into_iter().next());
    }
    fitting
}

/// Whether an answer 404 is that of a registry that does not know the repository yet.
fn is_unknown_repository(body: &[u8]) -> bool {
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    refusal.is_some_and(|refusal| refusal.errors.iter().any(|error| error.code == "NAME_UNKNOWN"))
}
