//! Which artifacts of a remote are kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::files::listed;
use super::{Listed, Offer};
use crate::domain::digest::Digest;
use crate::store::files::now;

/// What keeps an artifact. Each rule that is set keeps some; what none of them keeps goes. Without rules all stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// It was published no longer ago than this.
    pub younger_than: Option<Duration>,
    /// It is one of so many newest of its release, variant, target, flavor and kind of libpython.
    pub newest: Option<usize>,
    /// Its digest is one of these.
    pub named: Option<BTreeSet<Digest>>,
}

/// What goes, and what stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruning {
    /// The offers of what goes, the oldest first.
    pub goes: Vec<Offer>,
    /// The number of artifacts that stay.
    pub stays: usize,
    /// The bytes of the files that only what goes has.
    pub freed: u64,
}

impl Retention {
    /// Says what goes of all that a remote offers, now.
    #[must_use]
    pub fn apply(&self, offers: Vec<Offer>) -> Pruning {
        self.apply_at(now(), offers)
    }

    fn apply_at(&self, now: u64, mut offers: Vec<Offer>) -> Pruning {
        offers.sort_by_key(|offer| Reverse((offer.published, offer.build_key, offer.digest)));
        offers.dedup_by_key(|offer| offer.digest);
        let mut of_kind: BTreeMap<String, usize> = BTreeMap::new();
        let has_rules = self != &Self::default();
        let (mut stays, mut goes) = (Vec::new(), Vec::new());
        for offer in offers {
            let Listed { version, target, flavor, shared, .. } = listed(&offer);
            let number = of_kind.entry(format!("{version} {target} {flavor} {shared}")).or_default();
            *number += 1;
            // A time in the future counts as now.
            let age = Duration::from_secs(now.saturating_sub(offer.published));
            let is_kept = self.younger_than.is_some_and(|most| age <= most)
                || self.newest.is_some_and(|most| *number <= most)
                || self.named.as_ref().is_some_and(|named| named.contains(&offer.digest));
            if is_kept || !has_rules { stays.push(offer) } else { goes.push(offer) }
        }
        goes.reverse();
        let kept: BTreeSet<Digest> = stays.iter().flat_map(Offer::blobs).map(|blob| blob.digest).collect();
        let freed: BTreeMap<Digest, u64> = goes
            .iter()
            .flat_map(Offer::blobs)
            .map(|blob| (blob.digest, blob.size))
            .filter(|(digest, _)| !kept.contains(digest))
            .collect();
        Pruning { goes, stays: stays.len(), freed: freed.values().fold(0, |sum, size| sum.saturating_add(*size)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::remote::Blob;

    fn offer(name: &str, published: u64) -> Offer {
        let size = 10;
        Offer {
            name: name.parse().unwrap(),
            digest: Digest::of(format!("{name} {published}")),
            size,
            build_key: Digest::of("key"),
            request_key: Digest::of("request"),
            manifest: Blob { digest: Digest::of("manifest"), size: 1 },
            debug: None,
            published,
            remote: String::new(),
        }
    }

    const NAME: &str = "cpython-3.13.5-x86_64-linux-gnu-glibc2.36-runtime-1a2b3c4d5e6f";
    const OTHER: &str = "cpython-3.13.5-x86_64-linux-gnu-glibc2.36-builder-1a2b3c4d5e6f";

    fn published(pruning: &Pruning) -> Vec<u64> {
        pruning.goes.iter().map(|offer| offer.published).collect()
    }

    #[test]
    fn what_no_rule_keeps_goes() {
        let offers = || {
            [(NAME, 100), (NAME, 300), (OTHER, 200), (NAME, 900), (NAME, 2000)]
                .map(|(name, at)| offer(name, at))
                .to_vec()
        };
        let apply = |retention: &Retention| published(&retention.apply_at(1000, offers()));
        assert_eq!(apply(&Retention::default()), [0_u64; 0]);
        let age = Retention { younger_than: Some(Duration::from_secs(700)), ..Retention::default() };
        assert_eq!(apply(&age), [100, 200]);
        let count = Retention { newest: Some(2), ..Retention::default() };
        assert_eq!(apply(&count), [100, 300]);
        let named = Retention { named: Some(BTreeSet::from([offer(NAME, 100).digest])), ..Retention::default() };
        assert_eq!(apply(&named), [200, 300, 900, 2000]);
        let all = Retention { newest: Some(1), ..age };
        assert_eq!(apply(&all), [100]);
        assert_eq!(apply(&Retention { named: named.named, ..all }), [0_u64; 0]);
        assert_eq!(apply(&Retention { newest: Some(0), ..Retention::default() }).len(), 5);
    }

    #[test]
    fn files_that_others_have_too_are_not_freed() {
        let count = Retention { newest: Some(1), ..Retention::default() };
        let pruning = count.apply_at(1000, vec![offer(NAME, 1), offer(NAME, 2), offer(NAME, 3)]);
        assert_eq!((pruning.stays, pruning.freed), (1, 20));
        let none = Retention { newest: Some(0), ..Retention::default() };
        assert_eq!(none.apply_at(1000, vec![offer(NAME, 1), offer(NAME, 2)]).freed, 21);
    }
}
