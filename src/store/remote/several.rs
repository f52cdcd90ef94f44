//! The remotes of a configuration, asked in their order.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::take::{Way, take};
use super::{Address, Offer, Remote, Wanted, is_of_remote, open};
use crate::domain::digest::Digest;
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::store::{CacheStatus, EntryLock, Store, StoredArtifact};

/// How many offers of one remote are tried, if what it sends is not what it offers.
const MOST_TRIES: usize = 3;

/// The remotes of a configuration. One that is away, or sends what it should not, costs a warning and is not asked again
/// by this process.
#[derive(Default)]
pub struct Remotes {
    all: Vec<Configured>,
    /// The remotes that artifacts of this run came from, by their build keys.
    origins: Mutex<BTreeMap<Digest, String>>,
}

struct Configured {
    address: Address,
    opened: OnceLock<Box<dyn Remote>>,
    is_away: AtomicBool,
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
        let configured = |address| Configured { address, opened: OnceLock::new(), is_away: AtomicBool::new(false) };
        Self { all: addresses.into_iter().map(configured).collect(), origins: Mutex::default() }
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

    /// Takes the newest artifact of a request that `fits` into the store, from the first remote that has one, and holds
    /// it. What a remote did wrong is a warning.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Interrupted`] and [`Error::Distrusted`], for what happens on this machine.
    pub fn find(
        &self,
        wanted: Wanted<'_>,
        fits: &dyn Fn(&Offer) -> bool,
        store: &Store,
        reporter: &dyn Reporter,
    ) -> Result<Option<StoredArtifact>> {
        self.first(Local { store, reporter }, |remote| {
            let mut offers = remote.offers(wanted)?;
            offers.retain(|offer| offer.request_key == wanted.key && fits(offer));
            Ok(offers)
        })
    }

    /// Takes the artifact with a digest into the store, from the first remote that has it, and holds it.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn pinned(&self, digest: Digest, store: &Store, reporter: &dyn Reporter) -> Result<Option<StoredArtifact>> {
        self.first(Local { store, reporter }, |remote| {
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
        let mut lock = Some(lock);
        for configured in self.reachable() {
            configured.announce(reporter);
            let found = configured.remote().and_then(|remote| {
                let mut offers = remote.offers(wanted)?;
                offers.retain(|offer| offer.build_key == key && offer.request_key == wanted.key);
                Ok(newest_first(offers).into_iter().next().map(|offer| (remote, offer)))
            });
            let held = match lock.take() {
                Some(held) => held,
                // It went with an artifact that was refused.
                None => match store.reserve(key, reporter)? {
                    CacheStatus::Hit(artifact) => return Ok(ByKey::Taken(artifact)),
                    CacheStatus::Miss(held) => held,
                },
            };
            match found {
                Ok(None) => lock = Some(held),
                Ok(Some((remote, offer))) => match take(Way { remote, store, reporter }, &offer, held) {
                    Ok(artifact) => {
                        self.note(&offer);
                        return Ok(ByKey::Taken(Box::new(artifact)));
                    }
                    Err(error) => configured.gave_up(error, reporter)?,
                },
                Err(error) => {
                    lock = Some(held);
                    configured.gave_up(error, reporter)?;
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
        self.all.iter().filter(|configured| !configured.is_away.load(Ordering::Relaxed))
    }

    /// Asks each remote for offers, and takes the newest of the first that has any.
    fn first(
        &self,
        local: Local<'_>,
        ask: impl Fn(&dyn Remote) -> Result<Vec<Offer>>,
    ) -> Result<Option<StoredArtifact>> {
        for configured in self.reachable() {
            configured.announce(local.reporter);
            let asked = configured.remote().and_then(|remote| Ok((remote, ask(remote)?)));
            let (remote, offers) = match asked {
                Ok(asked) => asked,
                Err(error) => {
                    configured.gave_up(error, local.reporter)?;
                    continue;
                }
            };
            for offer in newest_first(offers).into_iter().take(MOST_TRIES) {
                match self.take_or_find(local, remote, &offer) {
                    Ok(Some(artifact)) => return Ok(Some(artifact)),
                    Ok(None) => {}
                    Err(error) => configured.gave_up(error, local.reporter)?,
                }
            }
        }
        Ok(None)
    }

    /// Takes an offer, unless another process has done so meanwhile.
    fn take_or_find(&self, local: Local<'_>, remote: &dyn Remote, offer: &Offer) -> Result<Option<StoredArtifact>> {
        let Local { store, reporter } = local;
        match store.reserve(offer.build_key, reporter)? {
            CacheStatus::Hit(artifact) if artifact.record.digest == offer.digest => Ok(Some(*artifact)),
            CacheStatus::Hit(artifact) => {
                reporter.report(Event::Warning(format!(
                    "the remote {} offers {} with the digest {}, and the store has another artifact of the same build \
                     key: {}",
                    offer.remote, offer.name, offer.digest, artifact.record.digest
                )));
                Ok(None)
            }
            CacheStatus::Miss(lock) => {
                let taken = take(Way { remote, store, reporter }, offer, lock)?;
                self.note(offer);
                Ok(Some(taken))
            }
        }
    }

    fn note(&self, offer: &Offer) {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.insert(offer.build_key, offer.remote.clone());
    }
}

impl Configured {
    fn announce(&self, reporter: &dyn Reporter) {
        reporter.report(Event::Detail(format!("asking the remote {}", self.address)));
    }

    fn remote(&self) -> Result<&dyn Remote> {
        if let Some(remote) = self.opened.get() {
            return Ok(&**remote);
        }
        let remote = open(&self.address)?;
        Ok(&**self.opened.get_or_init(|| remote))
    }

    /// Makes a warning of what the remote did wrong, and does not ask it again.
    fn gave_up(&self, error: Error, reporter: &dyn Reporter) -> Result<()> {
        if !is_of_remote(&error) {
            return Err(error);
        }
        if !self.is_away.swap(true, Ordering::Relaxed) {
            reporter.report(Event::Warning(format!("{error}; going on without it")));
        }
        Ok(())
    }
}

/// Offers in the order in which they are tried.
fn newest_first(mut offers: Vec<Offer>) -> Vec<Offer> {
    offers.sort_by_key(|offer| Reverse((offer.published, offer.build_key, offer.digest)));
    offers
}
