//! A remote in an object store that is in memory.

use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;

use super::*;
use crate::event::Silent;
use crate::store::Store;
use crate::store::fixtures::MadeUp;
use crate::store::remote::Remote as _;

fn remote(store: &Arc<InMemory>) -> CloudRemote {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (address, prefix) = ("s3://pythons/team".to_owned(), "team".to_owned());
    CloudRemote {
        bucket: Bucket { address, prefix, store: Arc::clone(store) as _, runtime, failure: LastFailure::default() },
    }
}

/// A file of several parts.
fn large(directory: &Path) -> (std::path::PathBuf, Blob) {
    let bytes: Vec<u8> = (0..12_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let path = directory.join("large");
    fs_err::write(&path, &bytes).unwrap();
    (path, Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 })
}

#[derive(Default)]
struct Kept(Vec<u8>);

impl Sink for Kept {
    fn position(&self) -> u64 {
        self.0.len() as u64
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.0.clear();
        Ok(())
    }
}

#[test]
fn a_large_file_is_sent_in_parts_once_and_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (path, blob) = large(directory.path());
    let remote = remote(&Arc::default());
    assert_eq!(remote.bucket.send("blobs/x", blob, &path, &Silent).unwrap(), blob.size);
    assert_eq!(remote.bucket.send("blobs/x", blob, &path, &Silent).unwrap(), 0);
    let mut sink = Kept(vec![0; 1_000_000]);
    remote.bucket.receive("blobs/x", blob, &mut sink).unwrap();
    assert_eq!(sink.0[1_000_000..], fs_err::read(&path).unwrap()[1_000_000..]);
    let mut whole = Kept::default();
    remote.bucket.receive("blobs/x", blob, &mut whole).unwrap();
    assert_eq!(Digest::of(&whole.0), blob.digest);
}

#[test]
fn a_file_that_changed_on_this_machine_is_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let (path, blob) = large(directory.path());
    let remote = remote(&Arc::default());
    let other = Blob { digest: Digest::of("other"), ..blob };
    assert!(remote.bucket.send("blobs/large", other, &path, &Silent).is_err());
    fs_err::write(&path, "small").unwrap();
    assert!(remote.bucket.send("blobs/small", Blob { size: 5, ..other }, &path, &Silent).is_err());
    assert_eq!(remote.bucket.names("blobs").unwrap(), BTreeSet::new());
}

#[test]
fn a_write_happens_only_to_what_was_read() {
    let remote = remote(&Arc::default());
    assert!(remote.bucket.write("index.json", b"one", None).unwrap());
    assert!(!remote.bucket.write("index.json", b"two", None).unwrap());
    let found = remote.bucket.read("index.json", 3).unwrap().unwrap();
    assert_eq!(found.bytes, b"one");
    assert!(remote.bucket.read("index.json", 2).is_err(), "it is too large");
    assert!(remote.bucket.write("index.json", b"three", Some(found.version.clone())).unwrap());
    assert!(!remote.bucket.write("index.json", b"four", Some(found.version)).unwrap());
    assert_eq!(remote.bucket.read("index.json", 9).unwrap().unwrap().bytes, b"three");
    assert!(remote.bucket.read("absent", 9).unwrap().is_none());
    remote.bucket.remove("absent").unwrap();
}

#[test]
fn what_a_killed_push_left_is_completed_by_whatever_is_pushed_next() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::default();
    let remote = remote(&store);
    let artifact = MadeUp::new(directory.path()).publish(&Store::new(directory.path().join("store")));
    assert!(matches!(remote.push(&artifact, &Silent).unwrap(), Pushed::New { .. }));
    let record = &artifact.record;
    for lost in [INDEX.to_owned(), of_request(record.request_key), of_artifact(record.digest)] {
        remote.bucket.remove(&lost).unwrap();
        // Of the artifact itself it is the offer of it that says that it is there.
        assert!(matches!(remote.push(&artifact, &Silent).unwrap(), Pushed::New { sent: 0 }), "{lost}");
        assert_eq!(remote.push(&artifact, &Silent).unwrap(), Pushed::AlreadyThere);
        assert!(remote.bucket.size(&lost).unwrap().is_some(), "{lost}");
    }
    // An offer that only the index has was being pruned.
    remote.bucket.remove(&of_artifact(record.digest)).unwrap();
    assert!(remote.settle(&BTreeSet::new()).unwrap());
    assert!(remote.list().unwrap().is_empty() && remote.offer_of(record.digest).unwrap().is_none());
    assert!(!remote.settle(&BTreeSet::new()).unwrap());
}
