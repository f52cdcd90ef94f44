//! A remote in a directory, and what one that lies can do.

use std::path::{Path, PathBuf};

use super::*;
use crate::event::Silent;
use crate::store::Store;
use crate::store::fixtures::MadeUp;

/// A store with a made-up artifact that was published long ago, and a directory that is its remote.
struct Place {
    directory: tempfile::TempDir,
    artifact: StoredArtifact,
    made_up: MadeUp,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made_up = MadeUp::new(directory.path());
        let mut artifact = made_up.publish(&Store::new(directory.path().join("origin")));
        artifact.record.published = 1_234_567_890;
        Self { directory, artifact, made_up }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn address(&self) -> Address {
        Address::parse(&format!("file://{}", self.path("remote").display())).unwrap()
    }

    fn remote(&self) -> Box<dyn Remote> {
        open(&self.address()).unwrap()
    }

    fn push(&self) -> Pushed {
        self.remote().push(&self.artifact, &Silent).unwrap()
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted { request: &self.made_up.manifest.plan.request, key: self.made_up.manifest.request_key }
    }

    fn find(&self, fits: bool) -> Result<Option<StoredArtifact>> {
        let store = Store::new(self.path("store"));
        let found = Remotes::new([self.address()]).find(self.wanted(), &|_: &Offer| fits, &store, &Silent);
        if let Ok(artifacts) = fs_err::read_dir(store.root().join("artifacts")) {
            let names: Vec<_> = artifacts.map(|entry| entry.unwrap().file_name()).collect();
            assert!(names.iter().all(|name| !name.to_string_lossy().contains('.')), "{names:?}");
        }
        found
    }

    /// Changes a file of the remote.
    fn edit(&self, file: &str, edit: impl FnOnce(String) -> String) {
        let path = self.path("remote").join(file);
        fs_err::write(&path, edit(fs_err::read_to_string(&path).unwrap())).unwrap();
    }
}

#[test]
fn what_is_pushed_is_found_as_it_was() {
    let place = Place::new();
    let record = &place.artifact.record;
    assert!(place.find(true).unwrap().is_none(), "there is no directory yet");
    assert!(matches!(place.push(), Pushed::New { sent } if sent > record.size));
    assert_eq!(place.push(), Pushed::AlreadyThere);
    assert!(place.find(false).unwrap().is_none());

    let found = place.find(true).unwrap().unwrap();
    assert_eq!(found.record, *record);
    for (own, other) in [
        (found.tarball(), place.artifact.tarball()),
        (found.manifest(), place.artifact.manifest()),
        (found.debug_tarball().unwrap(), place.artifact.debug_tarball().unwrap()),
    ] {
        assert_eq!(fs_err::read(own).unwrap(), fs_err::read(other).unwrap());
    }
    let list = place.remote().list().unwrap();
    assert_eq!((list.len(), list[0].digest, list[0].size), (1, record.digest, Some(record.size)));
    assert!(place.remote().offer(Digest::of("other")).unwrap().is_none());
    let other = Store::new(place.path("other"));
    let remotes = Remotes::new([place.address()]);
    assert_eq!(remotes.pinned(record.digest, &other, &Silent).unwrap().unwrap().record, *record);
    assert_eq!(remotes.origin(record.build_key), Some(place.address().to_string()));
}

#[test]
fn a_push_that_ended_early_is_completed_by_the_next() {
    let place = Place::new();
    place.push();
    let record = &place.artifact.record;
    let remote = place.path("remote");
    for file in [
        format!("requests/{}.json", record.request_key),
        format!("artifacts/{}.json", record.digest),
        "index.json".to_owned(),
        format!("blobs/{}", record.digest),
    ] {
        fs_err::remove_file(remote.join(&file)).unwrap();
        assert!(matches!(place.push(), Pushed::New { .. }), "{file}");
        assert!(remote.join(&file).exists(), "{file}");
    }
    // Half a file, or another one, is written anew.
    for bytes in [&b"half"[..], &vec![0; usize::try_from(record.size).unwrap()]] {
        fs_err::write(remote.join("blobs").join(record.digest.to_string()), bytes).unwrap();
        assert_eq!(place.push(), Pushed::New { sent: record.size });
    }
    // What a killed push left is no obstacle.
    for directory in ["blobs", "requests", "artifacts", "."] {
        fs_err::write(remote.join(directory).join(".unfinished"), "x").unwrap();
    }
    fs_err::remove_file(remote.join("blobs").join(record.digest.to_string())).unwrap();
    place.push();
    assert!(place.find(true).unwrap().is_some());
}

#[test]
fn pushes_at_once_lose_nothing_of_each_other() {
    let place = Place::new();
    let others: Vec<Offer> = (0..8)
        .map(|number| {
            let mut offer = offer_for(&place.artifact, "").unwrap();
            offer.digest = Digest::of(format!("{number}"));
            offer
        })
        .collect();
    std::thread::scope(|scope| {
        for offer in &others {
            scope.spawn(|| DirectoryRemote::new(String::new(), place.path("remote")).record(offer, &Silent).unwrap());
        }
    });
    assert_eq!(place.remote().list().unwrap().len(), 8);
    assert_eq!(place.remote().offers(place.wanted()).unwrap().len(), 8);
}

#[test]
fn what_a_remote_sends_has_to_be_what_it_offers() {
    type Edit = fn(&Place);
    fn offers(place: &Place, from: &str, to: &str) {
        place.edit(&format!("requests/{}.json", place.artifact.record.request_key), |text| text.replace(from, to));
    }
    fn blob(place: &Place, digest: Digest, bytes: &[u8]) {
        fs_err::write(place.path("remote/blobs").join(digest.to_string()), bytes).unwrap();
    }
    let edits: [Edit; 12] = [
        // The tarball: another one, half of it, more of it, none, and a link out of the remote.
        |place| blob(place, place.artifact.record.digest, b"other"),
        |place| {
            let size = usize::try_from(place.artifact.record.size).unwrap();
            blob(place, place.artifact.record.digest, &vec![7; size]);
        },
        |place| {
            let bytes = fs_err::read(place.artifact.tarball()).unwrap();
            blob(place, place.artifact.record.digest, &[&bytes[..], b"more"].concat());
        },
        |place| fs_err::remove_file(place.path("remote/blobs").join(place.artifact.record.digest.to_string())).unwrap(),
        |place| {
            let path = place.path("remote/blobs").join(place.artifact.record.digest.to_string());
            fs_err::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(place.artifact.tarball(), path).unwrap();
        },
        // The manifest: another one, a huge one, none.
        |place| blob(place, place.artifact.record.manifest_digest, b"{}"),
        |place| blob(place, place.artifact.record.manifest_digest, &vec![b' '; 5 << 20]),
        |place| {
            let size = fs_err::metadata(place.artifact.manifest()).unwrap().len();
            offers(place, &format!("\"size\":{size}"), "\"size\":100000000");
        },
        // The offer: not JSON, of another format, of other sizes and keys.
        |place| offers(place, "{", "["),
        |place| offers(place, "\"format\":1", "\"format\":2"),
        |place| offers(place, &format!("\"size\":{}", place.artifact.record.size), "\"size\":99999999999"),
        |place| {
            let key = place.artifact.record.build_key.to_string();
            offers(place, &key, &Digest::of("other").to_string());
        },
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let place = Place::new();
        place.push();
        edit(&place);
        assert!(place.find(true).unwrap().is_none(), "{number}");
        assert!(Store::new(place.path("store")).list().unwrap().is_empty(), "{number}");
    }
}

#[test]
fn an_offer_for_another_request_is_not_taken() {
    let place = Place::new();
    place.push();
    // The remote says that the artifact is for a request that it was not built for.
    let requests = place.path("remote/requests");
    let other = Digest::of("another request");
    let own = requests.join(format!("{}.json", place.artifact.record.request_key));
    let text = fs_err::read_to_string(own).unwrap();
    let lie = text.replace(&place.artifact.record.request_key.to_string(), &other.to_string());
    let file = requests.join(format!("{other}.json"));
    let store = Store::new(place.path("store"));
    for content in [text, lie] {
        fs_err::write(&file, content).unwrap();
        let wanted = Wanted { key: other, ..place.wanted() };
        let remotes = Remotes::new([place.address()]);
        assert!(remotes.find(wanted, &|_: &Offer| true, &store, &Silent).unwrap().is_none());
        assert!(store.find(other).unwrap().is_empty());
    }
}

#[test]
fn a_remote_that_cannot_be_read_costs_a_warning_and_the_next_one() {
    let place = Place::new();
    place.push();
    let file = place.path("file");
    fs_err::write(&file, "").unwrap();
    let address = |path: &Path| Address::parse(&format!("file://{}", path.display())).unwrap();
    let remotes = Remotes::new([address(&file), address(&place.path("absent")), place.address()]);
    let store = Store::new(place.path("store"));
    let found = remotes.find(place.wanted(), &|_: &Offer| true, &store, &Silent).unwrap().unwrap();
    assert_eq!(remotes.origin(found.record.build_key), Some(place.address().to_string()));
}

#[test]
fn a_time_that_lies_ahead_becomes_now() {
    let mut place = Place::new();
    place.artifact.record.published = u64::MAX / 2;
    place.push();
    let found = place.find(true).unwrap().unwrap();
    assert!(found.record.published <= crate::store::files::now());
}
