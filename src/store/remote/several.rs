//! The remotes of a configuration, asked in their order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::take::{Fits, Way, take};
use super::{Address, Listed, Offer, Remote, Wanted, is_of_remote, open};
use crate::domain::artifact::GlibcVersion;
use crate::domain::digest::Digest;
use crate::domain::manifest::Manifest;
use crate::error::{Error, RemoteError, Result};
use crate::event::{Event, Reporter};
use crate::store::{CacheStatus, EntryLock, Store, StoredArtifact};

/// How many offers of one remote are tried, if what it sends is not what it offers.
const MOST_TRIES: usize = 3;
/// How many offers of one remote are looked at for one request, whether their artifacts fit or not.
const MOST_LOOKED_AT: usize = 100;

/// The remotes of a configuration. One that is away costs a warning and is not asked again by this process. An artifact
/// that is not what it should be costs a warning, and others are still asked for.
#[derive(Default)]
pub struct Remotes {
    all: Vec<Configured>,
    /// Those that a lock named besides, by their addresses there.
    further: Mutex<BTreeMap<String, Arc<Configured>>>,
    /// The remotes that artifacts of this run came from, by their build keys.
    origins: Mutex<BTreeMap<Digest, String>>,
}

struct Configured {
    address: Address,
    opened: OnceLock<Box<dyn Remote>>,
    is_away: AtomicBool,
    /// The warnings of it, each of which is given once.
    warnings: Mutex<BTreeSet<String>>,
}

/// The result of looking for an artifact by its build key.
#[derive(Debug)]
pub enum ByKey {
    /// It is in the store now.
    Taken(Box<StoredArtifact>),
    /// No remote has it. The holder of the lock builds it.
    Missing(EntryLock),
}

/// Where artifacts go to, and who hears of it.
#[derive(Clone, Copy)]
struct Local<'a> {
    store: &'a Store,
    reporter: &'a dyn Reporter,
}

impl Remotes {
    /// Those at some addresses, the first one first. None is asked yet.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = Address>) -> Self {
        let all = addresses.into_iter().map(Configured::new).collect();
        Self { all, further: Mutex::default(), origins: Mutex::default() }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The remote that an artifact of this run came from.
    #[must_use]
    pub fn origin(&self, build_key: Digest) -> Option<String> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).get(&build_key).cloned()
    }

    /// All that the remotes have, each artifact once. A remote that cannot be listed costs a warning.
    ///
    /// # Errors
    /// That of the last remote, if none can be listed; as [`find`](Self::find).
    pub fn list(&self, reporter: &dyn Reporter) -> Result<Vec<Listed>> {
        let (mut all, mut is_listed) = (BTreeMap::new(), self.all.is_empty());
        for (number, configured) in self.all.iter().enumerate() {
            match configured.remote().and_then(Remote::list) {
                Ok(listed) => {
                    is_listed = true;
                    for one in listed {
                        all.entry(one.digest).or_insert(one);
                    }
                }
                Err(error) if number + 1 == self.all.len() && !is_listed => return Err(error),
                Err(error) => configured.failed(error, reporter)?,
            }
        }
        Ok(all.into_values().collect())
    }

    /// Takes the newest artifact of a request that `fits` into the store, from the first remote that has one, and holds
    /// it. What a remote did wrong is a warning.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Interrupted`] and [`Error::Distrusted`], for what happens on this machine.
    pub fn find(
        &self,
        wanted: Wanted<'_>,
        fits: &Fits<'_>,
        store: &Store,
        reporter: &dyn Reporter,
    ) -> Result<Option<StoredArtifact>> {
        // What an offer says of its request counts for nothing.
        let usable = |manifest: &Manifest| wanted.is_of(manifest) && fits(manifest);
        self.first(self.reachable(), Local { store, reporter }, &usable, |remote| {
            let mut offers = remote.offers(wanted, reporter)?;
            offers.retain(|offer| offer.request_key == wanted.key);
            Ok(for_glibc(newest_first(offers), wanted.glibc))
        })
    }

    /// Takes the artifact with a digest into the store, from the first remote that has it, and holds it. Its debug files
    /// are left.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn pinned(&self, digest: Digest, store: &Store, reporter: &dyn Reporter) -> Result<Option<StoredArtifact>> {
        self.first(self.reachable(), Local { store, reporter }, &|_| true, |remote| pinned(remote, digest))
    }

    /// The same from remotes of a lock. What the configuration has of them is not asked again.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn pinned_at(
        &self,
        addresses: Vec<Address>,
        digest: Digest,
        store: &Store,
        reporter: &dyn Reporter,
    ) -> Result<Option<StoredArtifact>> {
        let known: BTreeSet<String> = self.all.iter().filter_map(|own| own.address.in_lock()).collect();
        let mut further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        let named: Vec<Arc<Configured>> = addresses
            .into_iter()
            .filter_map(|address| address.in_lock().map(|name| (name, address)))
            .filter(|(name, _)| !known.contains(name))
            .map(|(name, address)| {
                Arc::clone(further.entry(name).or_insert_with(|| Arc::new(Configured::new(address))))
            })
            .collect();
        drop(further);
        let reachable = named.iter().map(Arc::as_ref).filter(|named| !named.is_away());
        self.first(reachable, Local { store, reporter }, &|_| true, |remote| pinned(remote, digest))
    }

    /// Asks each remote whether it offers an artifact. One that cannot say costs a warning, and is not in the answer.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn that_offer(&self, digest: Digest, reporter: &dyn Reporter) -> Result<Vec<(Address, bool)>> {
        let mut answers = Vec::new();
        for configured in self.reachable() {
            if let Some((_, offers)) = configured.ask(reporter, |remote| pinned(remote, digest))? {
                answers.push((configured.address.clone(), !offers.is_empty()));
            }
        }
        Ok(answers)
    }

    /// Takes an artifact of a [`list`](Self::list) into the store, with its debug files, and holds it.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn listed(&self, digest: Digest, store: &Store, reporter: &dyn Reporter) -> Result<Option<StoredArtifact>> {
        self.first(self.reachable(), Local { store, reporter }, &|_| true, |remote| {
            Ok(remote.offer(digest)?.into_iter().filter(|offer| offer.digest == digest).collect())
        })
    }

    /// Takes the artifact of a build key into the store, under its lock.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn by_build_key(
        &self,
        wanted: Wanted<'_>,
        lock: EntryLock,
        store: &Store,
        reporter: &dyn Reporter,
    ) -> Result<ByKey> {
        let key = lock.build_key();
        let usable = |manifest: &Manifest| wanted.is_of(manifest) && manifest.plan.build_key() == key;
        let mut lock = Some(lock);
        for configured in self.reachable() {
            let asked = configured.ask(reporter, |remote| remote.offers(wanted, reporter))?;
            let Some((remote, mut offers)) = asked else { continue };
            offers.retain(|offer| offer.build_key == key && offer.request_key == wanted.key);
            for offer in newest_first(offers).into_iter().take(MOST_TRIES) {
                let held = match lock.take() {
                    Some(held) => held,
                    // It went with an artifact that was refused.
                    None => match store.reserve(key, reporter)? {
                        CacheStatus::Hit(artifact) => return Ok(ByKey::Taken(artifact)),
                        CacheStatus::Miss(held) => held,
                    },
                };
                match take(Way { remote, store, reporter }, &offer, held, &usable) {
                    Ok(Some(artifact)) => {
                        self.note(&offer);
                        return Ok(ByKey::Taken(Box::new(artifact)));
                    }
                    Ok(None) => {}
                    Err(error) => configured.failed(error, reporter)?,
                }
                if configured.is_away() {
                    break;
                }
            }
        }
        match lock {
            Some(lock) => Ok(ByKey::Missing(lock)),
            None => Ok(match store.reserve(key, reporter)? {
                CacheStatus::Hit(artifact) => ByKey::Taken(artifact),
                CacheStatus::Miss(lock) => ByKey::Missing(lock),
            }),
        }
    }

    fn reachable(&self) -> impl Iterator<Item = &Configured> {
        self.all.iter().filter(|configured| !configured.is_away())
    }

    /// Asks remotes for offers, and takes the first of the first remote that has any which is of use.
    fn first<'a>(
        &'a self,
        remotes: impl Iterator<Item = &'a Configured>,
        local: Local<'_>,
        usable: &Fits<'_>,
        ask: impl Fn(&dyn Remote) -> Result<Vec<Offer>>,
    ) -> Result<Option<StoredArtifact>> {
        for configured in remotes {
            let Some((remote, offers)) = configured.ask(local.reporter, &ask)? else { continue };
            let mut tries = 0;
            for offer in offers.into_iter().take(MOST_LOOKED_AT) {
                match self.take_or_find(local, remote, &offer, usable) {
                    Ok(Some(artifact)) => return Ok(Some(artifact)),
                    // That one does not fit here is no fault of the remote.
                    Ok(None) => {}
                    Err(error) => {
                        configured.failed(error, local.reporter)?;
                        tries += 1;
                    }
                }
                if tries == MOST_TRIES || configured.is_away() {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Takes an offer, unless another process has done so meanwhile; none if it is of no use.
    fn take_or_find(
        &self,
        local: Local<'_>,
        remote: &dyn Remote,
        offer: &Offer,
        usable: &Fits<'_>,
    ) -> Result<Option<StoredArtifact>> {
        let Local { store, reporter } = local;
        let warn = |text| reporter.report(Event::Warning(text));
        match store.reserve(offer.build_key, reporter)? {
            // That the store has it says nothing of what it is.
            CacheStatus::Hit(artifact) if artifact.record.digest == offer.digest => match artifact.read_manifest() {
                Ok(manifest) => Ok(usable(&manifest).then_some(*artifact)),
                Err(error @ (Error::Damaged { .. } | Error::DigestMismatch { .. })) => {
                    warn(format!("{error}; going on without it"));
                    Ok(None)
                }
                Err(error) => Err(error),
            },
            CacheStatus::Hit(artifact) => {
                warn(format!(
                    "the remote {} offers {} with the digest {}, and the store has another artifact of the same build \
                     key: {}",
                    offer.remote, offer.name, offer.digest, artifact.record.digest
                ));
                Ok(None)
            }
            CacheStatus::Miss(lock) => {
                let taken = take(Way { remote, store, reporter }, offer, lock, usable)?;
                if taken.is_some() {
                    self.note(offer);
                }
                Ok(taken)
            }
        }
    }

    fn note(&self, offer: &Offer) {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.insert(offer.build_key, offer.remote.clone());
    }
}

impl Configured {
    fn new(address: Address) -> Self {
        Self { address, opened: OnceLock::new(), is_away: AtomicBool::new(false), warnings: Mutex::default() }
    }

    /// Asks the remote for offers; `None` if it has failed, which is a warning.
    fn ask(
        &self,
        reporter: &dyn Reporter,
        ask: impl Fn(&dyn Remote) -> Result<Vec<Offer>>,
    ) -> Result<Option<(&dyn Remote, Vec<Offer>)>> {
        reporter.report(Event::Detail(format!("asking the remote {}", self.address)));
        match self.remote().and_then(|remote| Ok((remote, ask(remote)?))) {
            Ok(asked) => Ok(Some(asked)),
            Err(error) => self.failed(error, reporter).map(|()| None),
        }
    }

    fn remote(&self) -> Result<&dyn Remote> {
        if let Some(remote) = self.opened.get() {
            return Ok(&**remote);
        }
        let remote = open(&self.address)?;
        Ok(&**self.opened.get_or_init(|| remote))
    }

    fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Makes a warning of what the remote did wrong. One that cannot be reached, or permits nothing, is not asked again.
    fn failed(&self, error: Error, reporter: &dyn Reporter) -> Result<()> {
        if !is_of_remote(&error) {
            return Err(error);
        }
        if matches!(error, Error::Remote(RemoteError::Unavailable { .. } | RemoteError::Denied { .. })) {
            self.is_away.store(true, Ordering::Relaxed);
        }
        let warning = format!("{error}; going on without it");
        if self.warnings.lock().unwrap_or_else(PoisonError::into_inner).insert(warning.clone()) {
            reporter.report(Event::Warning(warning));
        }
        Ok(())
    }
}

/// The offer of exactly one artifact, without its debug files: the digest says nothing of them.
fn pinned(remote: &dyn Remote, digest: Digest) -> Result<Vec<Offer>> {
    let offer = remote.offer(digest)?.filter(|offer| offer.digest == digest);
    Ok(offer.into_iter().map(|offer| Offer { debug: None, ..offer }).collect())
}

/// Offers in the order in which they are tried.
fn newest_first(mut offers: Vec<Offer>) -> Vec<Offer> {
    offers.sort_by_key(|offer| Reverse((offer.published, offer.build_key, offer.digest)));
    offers
}

/// The offers that run with a glibc by their names. If there is none, the first of the others is enough to say why.
fn for_glibc(offers: Vec<Offer>, glibc: Option<GlibcVersion>) -> Vec<Offer> {
    let runs = |offer: &Offer| glibc.is_none_or(|glibc| offer.glibc_floor() <= glibc);
    let (mut fitting, others): (Vec<_>, Vec<_>) = offers.into_iter().partition(runs);
    if fitting.is_empty() {
        fitting.extend(others.into_iter().next());
    }
    fitting
}
