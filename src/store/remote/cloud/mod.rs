//! A remote in an object store: S3 and what speaks as it does, Google Cloud Storage, Azure Blob Storage.
//!
//! Its files are those of a directory, so a web server that has the bucket is a remote too. There is no lock. The files
//! `artifacts/<digest>.json` are what counts: each is written once, by whoever pushes the artifact. The index and the
//! offers of requests follow from them: every push compares and completes them until nothing is left to do, so whoever
//! wrote last has seen everybody's. Where the server can make a write depend on what was read, an old state never
//! replaces a newer one; where it cannot, the comparison after the write finds that.

mod bucket;
mod service;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use object_store::UpdateVersion;
use tokio::runtime::Builder;

use self::bucket::Bucket;
use self::service::{LastFailure, Service};
use super::address::CloudPlace;
use super::files::{Files, INDEX, LARGEST_INDEX, LARGEST_OFFERS, Offers, of_artifact, of_blob, of_request};
use super::{Blob, Offer, Pushed, files_of};
use crate::domain::digest::Digest;
use crate::error::Result;
use crate::event::Reporter;
use crate::store::StoredArtifact;
use crate::sys::http::url::InTheClear;
use crate::sys::http::{Limits, Nonblocking, Sink};
use crate::sys::interrupt;

/// How often the index and the offers are compared with what is there, at most, while others push.
const MOST_ROUNDS: u32 = 40;

/// A remote in an object store.
pub(super) struct CloudRemote {
    bucket: Bucket,
}

impl CloudRemote {
    /// Opens one. Nothing is asked of it yet.
    ///
    /// # Errors
    /// Why this machine has no means to reach it, in words.
    pub(super) fn new(address: String, place: &CloudPlace, in_the_clear: InTheClear) -> Result<Self, String> {
        let limits = Limits { patience: Duration::from_secs(5), ..Limits::default() };
        let failure = LastFailure::default();
        let service = Service { clients: Nonblocking::new(limits, in_the_clear)?, failure: failure.clone() };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let store = settings::object_store(place, service)?;
        Ok(Self { bucket: Bucket { address, prefix: place.prefix.clone(), store, runtime, failure } })
    }

    fn versioned(&self, file: &str, most: u64) -> Result<(Offers, Option<UpdateVersion>)> {
        let found = self.bucket.read(file, most)?;
        let bytes = found.as_ref().map(|found| found.bytes.as_slice());
        let offers = Offers::parse(bytes, &self.bucket.address, file)?;
        Ok((offers, found.map(|found| found.version)))
    }

    /// Makes the index and the offers of requests agree with the artifacts that are there, until they do. Returns
    /// whether there was something to do.
    fn settle(&self, requests: &BTreeSet<Digest>) -> Result<bool> {
        for round in 0..MOST_ROUNDS {
            if !self.settle_once(requests)? {
                return Ok(round > 0);
            }
            if round > 1 {
                // Several are at it: each of them is done sooner if they do not go on at the same time.
                interrupt::check()?;
                std::thread::sleep(Duration::from_millis(u64::from(std::process::id() % 16 * 20 + round * 10)));
            }
        }
        Err(self.bucket.unavailable("others changed its index all the time; try again".into()))
    }

    /// One round. Returns whether something was written, or should have been.
    fn settle_once(&self, requests: &BTreeSet<Digest>) -> Result<bool> {
        let names = self.bucket.names("artifacts")?;
        let there: BTreeSet<Digest> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        let (before, version) = self.versioned(INDEX, LARGEST_INDEX)?;
        let known: BTreeSet<Digest> = before.all().iter().map(|offer| offer.digest).collect();
        let (mut index, mut requests) = (before.clone(), requests.clone());
        for digest in there.difference(&known) {
            interrupt::check()?;
            if let Some(offer) = self.offer_of(*digest)? {
                requests.insert(offer.request_key);
                index.add(&offer);
            }
        }
        for digest in known.difference(&there) {
            // The list was made before the index was read, so the file may be newer.
            if self.bucket.size(&of_artifact(*digest))?.is_none() {
                requests.extend(index.remove(*digest));
            }
        }
        let mut is_done = false;
        for key in requests {
            is_done |= self.settle_request(key, &index)?;
        }
        if index.all() != before.all() {
            is_done = true;
            self.bucket.write(INDEX, &index.to_json()?, version)?;
        }
        Ok(is_done)
    }

    /// Makes the offers for one request those of the index. Returns whether they were not.
    fn settle_request(&self, key: Digest, index: &Offers) -> Result<bool> {
        let file = of_request(key);
        let (offers, version) = self.versioned(&file, LARGEST_OFFERS)?;
        let wanted = index.of_request(key);
        if offers.all() == wanted.all() {
            return Ok(false);
        }
        self.bucket.write(&file, &wanted.to_json()?, version)?;
        Ok(true)
    }
}

impl Files for CloudRemote {
    fn address(&self) -> &str {
        &self.bucket.address
    }

    fn read(&self, file: &str, most: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.bucket.read(file, most)?.map(|found| found.bytes))
    }

    fn receive(&self, blob: Blob, sink: &mut dyn Sink) -> Result<()> {
        self.bucket.receive(&of_blob(blob), blob, sink)
    }

    fn give(&self, artifact: &StoredArtifact, offer: Offer, reporter: &dyn Reporter) -> Result<Pushed> {
        let mut sent = 0;
        for (blob, from) in files_of(artifact, &offer) {
            sent += self.bucket.send(&of_blob(blob), blob, &from, reporter)?;
        }
        // The first publication counts.
        let mut is_new = false;
        if self.offer_of(offer.digest)?.is_none() {
            let mut one = Offers::default();
            one.add(&offer);
            is_new = self.bucket.write(&of_artifact(offer.digest), &one.to_json()?, None)?;
        }
        is_new |= self.settle(&BTreeSet::from([offer.request_key]))?;
        if is_new {
            // Somebody may have pruned the same artifact meanwhile, whose files were found above.
            for (blob, from) in files_of(artifact, &offer) {
                sent += self.bucket.send(&of_blob(blob), blob, &from, reporter)?;
            }
        }
        Ok(if is_new || sent > 0 { Pushed::New { sent } } else { Pushed::AlreadyThere })
    }

    fn take_away(&self, gone: &[Offer], _: &dyn Reporter) -> Result<()> {
        // The index and the offers of requests follow, for everybody who pushes at the same time too.
        for offer in gone {
            self.bucket.remove(&of_artifact(offer.digest))?;
        }
        self.settle(&gone.iter().map(|offer| offer.request_key).collect())?;
        let index = self.versioned(INDEX, LARGEST_INDEX)?.0;
        for blob in index.unnamed(gone) {
            self.bucket.remove(&of_blob(blob))?;
        }
        Ok(())
    }
}
