//! A remote in a directory, and what one that lies can do.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::*;
use crate::domain::artifact::ArtifactName;
use crate::event::{Event, Silent};
use crate::store::fixtures::MadeUp;
use crate::store::{CacheStatus, Store};

/// A store with a made-up artifact that was published long ago, and a directory that is its remote.
struct Place {
    directory: tempfile::TempDir,
    artifact: StoredArtifact,
    made_up: MadeUp,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made_up = made_up(directory.path(), |plan| plan.request.policies.debug_files = true);
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
        let manifest = &self.made_up.manifest;
        Wanted { request: &manifest.plan.request, key: manifest.request_key, glibc: None }
    }

    fn find(&self, fits: bool) -> Result<Option<StoredArtifact>> {
        let store = Store::new(self.path("store"));
        let found = Remotes::new([self.address()]).find(self.wanted(), &|_| fits, &store, &Silent);
        if let Ok(artifacts) = fs_err::read_dir(store.root().join("artifacts")) {
            let names: Vec<_> = artifacts.map(|entry| entry.unwrap().file_name()).collect();
            assert!(names.iter().all(|name| !name.to_string_lossy().contains('.')), "{names:?}");
        }
        found
    }

    /// Pushes another artifact of the same request, which was published then.
    fn push_another(&self, name: &str, published: u64) -> StoredArtifact {
        let made_up = made_up(self.directory.path(), |plan| {
            plan.request = self.made_up.manifest.plan.request.clone();
            plan.toolchain.compiler.push_str(name);
        });
        let mut artifact = made_up.publish(&Store::new(self.path("origin")));
        artifact.record.published = published;
        self.remote().push(&artifact, &Silent).unwrap();
        artifact
    }

    /// Damages the tarball of an artifact in the remote.
    fn damage(&self, artifact: &StoredArtifact) {
        let size = usize::try_from(artifact.record.size).unwrap();
        fs_err::write(self.path("remote/blobs").join(artifact.record.digest.to_string()), vec![7; size]).unwrap();
    }

    /// The file of the offers for the request.
    fn offers_file(&self) -> String {
        format!("requests/{}.json", self.artifact.record.request_key)
    }

    /// Changes a file of the remote.
    fn edit(&self, file: &str, edit: impl FnOnce(String) -> String) {
        let path = self.path("remote").join(file);
        fs_err::write(&path, edit(fs_err::read_to_string(&path).unwrap())).unwrap();
    }
}

/// A made-up artifact of another plan.
fn made_up(directory: &Path, edit: impl FnOnce(&mut crate::domain::plan::BuildPlan)) -> MadeUp {
    let mut made_up = MadeUp::new(directory);
    let manifest = &mut made_up.manifest;
    edit(&mut manifest.plan);
    (manifest.build_key, manifest.request_key) = (manifest.plan.build_key(), manifest.plan.request_key());
    manifest.name = ArtifactName::new(&manifest.plan, manifest.glibc_floor);
    let json = manifest.to_json();
    made_up.pack(json.as_bytes());
    made_up
}

/// Keeps warnings.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn report(&self, event: Event) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }

    fn task(&self, _: &str) -> Box<dyn Reporter + Send + '_> {
        Box::new(Silent)
    }
}

impl Heard {
    fn warnings(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
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
    // A digest says nothing of debug files, so they are not taken by it.
    let pinned = remotes.pinned(record.digest, &other, &Silent).unwrap().unwrap();
    assert_eq!((pinned.record.digest, pinned.debug_tarball()), (record.digest, None));
    assert_eq!(remotes.origin(record.build_key), Some(place.address().to_string()));
    let listed = remotes.listed(record.digest, &Store::new(place.path("listed")), &Silent).unwrap().unwrap();
    assert_eq!(listed.record, *record);
    // In the store already it has to fit too.
    assert!(place.find(false).unwrap().is_none());
}

#[test]
fn an_artifact_of_the_store_is_not_what_a_remote_says_it_is() {
    let place = Place::new();
    place.push();
    let store = Store::new(place.path("store"));
    let other = made_up(place.directory.path(), |plan| plan.request.policies.shared = true).publish(&store);
    // The remote offers the artifact that the store has as one of the request that is wanted.
    let mut offer = offer_for(&other, "").unwrap();
    offer.request_key = place.artifact.record.request_key;
    let lie = serde_json::json!({"format": 1, "offers": [offer]}).to_string();
    place.edit(&place.offers_file(), |_| lie);
    assert!(place.find(true).unwrap().is_none());
}

#[test]
fn of_what_does_not_fit_only_the_manifest_is_received_and_no_warning_is_given() {
    let place = Place::new();
    place.push();
    let unfit: Vec<_> = (0..5).map(|number| place.push_another(&format!("{number}"), 2_000_000_000)).collect();
    for artifact in &unfit {
        place.damage(artifact);
    }
    let fits = |manifest: &Manifest| manifest.build_key == place.artifact.record.build_key;
    let (store, heard) = (Store::new(place.path("store")), Heard::default());
    let found = Remotes::new([place.address()]).find(place.wanted(), &fits, &store, &heard).unwrap().unwrap();
    assert_eq!(found.record, place.artifact.record);
    assert_eq!(heard.warnings(), Vec::<String>::new());
}

#[test]
fn a_damaged_artifact_costs_a_warning_and_hides_no_other() {
    let place = Place::new();
    place.push();
    let damaged = [place.push_another("a", 2_000_000_000), place.push_another("b", 2_000_000_001)];
    for artifact in &damaged {
        place.damage(artifact);
    }
    let (store, heard, remotes) = (Store::new(place.path("store")), Heard::default(), Remotes::new([place.address()]));
    assert!(remotes.pinned(damaged[0].record.digest, &store, &heard).unwrap().is_none());
    let found = remotes.find(place.wanted(), &|_| true, &store, &heard).unwrap().unwrap();
    assert_eq!(found.record, place.artifact.record);
    let warnings = heard.warnings();
    assert!(warnings.len() == 2 && warnings.iter().all(|text| text.contains("going on without it")), "{warnings:?}");
    // Three are enough.
    place.damage(&place.push_another("c", 2_000_000_002));
    let fresh = Store::new(place.path("fresh"));
    assert!(remotes.find(place.wanted(), &|_| true, &fresh, &Silent).unwrap().is_none());
}

#[test]
fn more_than_the_newest_offer_for_a_build_key_is_tried() {
    let place = Place::new();
    place.push();
    let mut offer = offer_for(&place.artifact, "").unwrap();
    (offer.digest, offer.published) = (Digest::of("absent"), 2_000_000_000);
    DirectoryRemote::new(String::new(), place.path("remote")).record(&offer, &Silent).unwrap();
    let store = Store::new(place.path("store"));
    let CacheStatus::Miss(lock) = store.reserve(offer.build_key, &Silent).unwrap() else { panic!("it is there") };
    let remotes = Remotes::new([place.address()]);
    let found = remotes.by_build_key(place.wanted(), lock, &store, &Silent).unwrap();
    let ByKey::Taken(artifact) = found else { panic!("{found:?}") };
    assert_eq!(artifact.record, place.artifact.record);
}

#[test]
fn debug_files_that_the_plan_has_not_are_refused() {
    let place = Place::new();
    let without = made_up(place.directory.path(), |_| {});
    let artifact = without.publish(&Store::new(place.path("origin")));
    place.remote().push(&artifact, &Silent).unwrap();
    let wanted = Wanted { request: &without.manifest.plan.request, key: without.manifest.request_key, glibc: None };
    let (store, heard) = (Store::new(place.path("store")), Heard::default());
    assert!(Remotes::new([place.address()]).find(wanted, &|_| true, &store, &heard).unwrap().is_none());
    let warnings = heard.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("debug files"), "{warnings:?}");
}

#[test]
fn what_needs_a_newer_glibc_is_asked_for_once_to_say_why() {
    let place = Place::new();
    place.push();
    place.push_another("a", 2_000_000_000);
    let (store, asked) = (Store::new(place.path("store")), Mutex::new(0));
    let fits = |_: &Manifest| {
        *asked.lock().unwrap() += 1;
        false
    };
    for (glibc, expected) in [("2.34", 1), ("2.35", 2)] {
        let wanted = Wanted { glibc: Some(glibc.parse().unwrap()), ..place.wanted() };
        assert!(Remotes::new([place.address()]).find(wanted, &fits, &store, &Silent).unwrap().is_none());
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), expected, "{glibc}");
    }
}

#[test]
fn all_that_can_be_listed_is_listed() {
    let place = Place::new();
    place.push();
    let away = Address::parse(&format!("file://{}", place.path("absent").display())).unwrap();
    let heard = Heard::default();
    for addresses in [vec![away.clone(), place.address()], vec![place.address(), away.clone(), place.address()]] {
        let listed = Remotes::new(addresses).list(&heard).unwrap();
        assert_eq!(listed.iter().map(|one| one.digest).collect::<Vec<_>>(), [place.artifact.record.digest]);
    }
    assert_eq!(heard.warnings().len(), 2);
    assert!(Remotes::new([away]).list(&Silent).is_err());
    assert!(Remotes::new([]).list(&Silent).unwrap().is_empty());
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
    assert_eq!(place.remote().offers(place.wanted(), &Silent).unwrap().len(), 8);
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
        assert!(remotes.find(wanted, &|_| true, &store, &Silent).unwrap().is_none());
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
    let found = remotes.find(place.wanted(), &|_| true, &store, &Silent).unwrap().unwrap();
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
