//! Work directories of builds. A directory that a process left behind, however it ended, is removed by the
//! next process that creates one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Store;
use super::trust::require_trust_of_work;
use crate::error::{Error, Result};
use crate::sys::fs;
use crate::sys::lock::Lock;

/// A directory that is removed when this value is dropped, unless it is kept.
#[derive(Debug)]
pub struct WorkDirectory {
    // Removed before the lock is released: fields are dropped in order.
    directory: tempfile::TempDir,
    _lock: Lock,
}

/// The lock of a work directory, beside it and not in it.
pub(super) fn lock_of(directory: &Path) -> PathBuf {
    directory.with_extension("lock")
}

/// The file that marks a work directory to be kept after its process ends. It is beside the directory, like the lock.
pub(super) fn kept_mark_of(directory: &Path) -> PathBuf {
    directory.with_extension("kept")
}

impl WorkDirectory {
    /// Creates a directory in the store, or elsewhere if a build cannot work there: make accepts no path with
    /// a space, and programs must be allowed to run. `elsewhere` has the other places, in order. In a directory that the
    /// user `named` for it, it is created there or nowhere.
    ///
    /// # Errors
    /// [`Error::Distrusted`] if another user can replace the place in the named directory; [`Error::UnfitForMake`] if make cannot
    /// work at the store's path and [`Error::NoExec`] if its file system runs no programs, unless another place serves;
    /// [`Error::Io`] if the directory cannot be created.
    pub fn create(store: &Store, named: Option<&Path>, elsewhere: &[PathBuf]) -> Result<Self> {
        if let Some(named) = named {
            let place = named.join(own_name());
            prepare_elsewhere(&place)?;
            return Self::create_in(&place);
        }
        let in_store = store.root().join("work");
        let why = match prepare(&in_store) {
            Ok(()) => return Self::create_in(&in_store),
            Err(error @ (Error::UnfitForMake { .. } | Error::NoExec { .. })) => error,
            Err(error) => return Err(error),
        };
        let mut others = elsewhere.iter().map(|place| place.join(own_name()));
        match others.find(|place| prepare_elsewhere(place).is_ok()) {
            Some(place) => Self::create_in(&place),
            None => Err(why),
        }
    }

    fn create_in(place: &Path) -> Result<Self> {
        // One process at a time creates and cleans, or a new directory could pass for a stale one.
        let _turn = take_turn(place)?;
        clean(place)?;
        let directory = fs::temporary_directory_in(place, "build-")?;
        // Only `cache list` tries this lock as well, for a moment.
        let lock = Lock::acquire(&lock_of(directory.path()), "the work directory", &crate::event::Silent)?;
        // The lock's file outlives the directory. The next cleaning removes it.
        Ok(Self { directory, _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Leaves the directory where it is, for inspection.
    ///
    /// # Errors
    /// [`Error::Io`] if the mark beside it cannot be written.
    pub fn keep(&mut self) -> Result<()> {
        self.directory.disable_cleanup(true);
        Ok(fs_err::write(kept_mark_of(self.directory.path()), "")?)
    }
}

/// The places where builds of a store may have worked: the store, and the others if the store is not fit.
pub(super) fn places(store: &Store, elsewhere: &[PathBuf]) -> Vec<PathBuf> {
    let in_store = store.root().join("work");
    let fit = is_fit_for_make(&in_store) && (!in_store.exists() || fs::runs_programs(&in_store).unwrap_or(true));
    let mut places = vec![in_store];
    if !fit {
        let others = elsewhere.iter().map(|place| place.join(own_name()));
        places.extend(others.filter(|place| place.exists() && require_own(place).is_ok()));
    }
    places
}

/// The name of this user's place in a directory that is not the store.
fn own_name() -> String {
    format!("pykeel-work-{}", rustix::process::geteuid().as_raw())
}

/// The right to create and remove work directories at a place, for one process at a time.
pub(super) fn take_turn(place: &Path) -> Result<Lock> {
    Lock::acquire(&place.join("turn.lock"), "the work directory", &crate::event::Silent)
}

/// Refuses a place for work that another user made or can replace: that user could change what is built there.
fn require_own(place: &Path) -> Result<()> {
    require_trust_of_work(place)?;
    let user = rustix::process::geteuid().as_raw();
    match fs_err::symlink_metadata(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(metadata) if metadata.is_dir() && metadata.uid() == user => Ok(()),
        Ok(_) => Err(Error::Distrusted { path: place.to_owned(), reason: "another user made it".into() }),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a directory that the user names for builds if another user can replace what a build makes in it. It need not
/// exist.
///
/// # Errors
/// [`Error::Distrusted`], and [`Error::Io`] if it cannot be looked at.
pub fn check_work_place(directory: &Path) -> Result<()> {
    require_own(&directory.join(own_name()))
}

/// Creates a place for work outside the store, if a build can work there and nobody else can change what it does.
fn prepare_elsewhere(place: &Path) -> Result<()> {
    if !is_fit_for_make(place) {
        return Err(Error::UnfitForMake { path: place.to_owned() });
    }
    // Before anything is made, and after it: in a sticky directory another user may have been faster.
    require_own(place)?;
    fs_err::create_dir_all(place)?;
    require_own(place)?;
    prepare(place)
}

/// Creates a place for work, if a build can work there.
fn prepare(place: &Path) -> Result<()> {
    if !is_fit_for_make(place) {
        return Err(Error::UnfitForMake { path: place.to_owned() });
    }
    fs_err::create_dir_all(place)?;
    if fs::runs_programs(place)? { Ok(()) } else { Err(Error::NoExec { path: place.to_owned() }) }
}

fn is_fit_for_make(path: &Path) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    path.is_absolute() && path.to_str().is_some_and(|text| text.chars().all(fit))
}

/// Removes the directories whose processes have ended.
fn clean(place: &Path) -> Result<()> {
    for entry in fs_err::read_dir(place)? {
        let path = entry?.path();
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        if !is_lock || path.file_name().is_some_and(|name| name == "turn.lock") {
            continue;
        }
        let directory = path.with_extension("");
        let mark = kept_mark_of(&directory);
        if mark.exists() && directory.exists() {
            continue;
        }
        if let Some(_lock) = Lock::try_acquire(&path)? {
            fs::remove_tree(&directory)?;
            if mark.exists() {
                fs_err::remove_file(&mark)?;
            }
            fs_err::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_cleaned_and_what_a_live_one_uses_is_not() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path().join("store"));
        let alive = WorkDirectory::create(&store, None, &[]).unwrap();
        // A dead process leaves a directory and a lock that no process holds.
        let dead = alive.path().with_file_name("build-dead");
        fs_err::create_dir_all(dead.join("deep")).unwrap();
        fs_err::write(lock_of(&dead), "").unwrap();
        let next = WorkDirectory::create(&store, None, &[]).unwrap();
        assert!(!dead.exists() && alive.path().exists() && next.path().exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_kept_is_locked_while_it_is_used_and_stays_when_it_is_not() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path().join("store"));
        let mut kept = WorkDirectory::create(&store, None, &[]).unwrap();
        kept.keep().unwrap();
        let path = kept.path().to_owned();
        assert!(Lock::try_acquire(&lock_of(&path)).unwrap().is_none());
        drop(kept);
        drop(WorkDirectory::create(&store, None, &[]).unwrap());
        assert!(path.exists());
        // The user has removed the directory. Its mark is removed with it.
        fs_err::remove_dir_all(&path).unwrap();
        let is_cleaned = || {
            drop(WorkDirectory::create(&store, None, &[]).unwrap());
            !kept_mark_of(&path).exists() && !lock_of(&path).exists()
        };
        // A process that another test starts at this moment has the lock too, until its exec.
        let wait = || std::thread::sleep(std::time::Duration::from_millis(20));
        assert!((0..100).any(|_| is_cleaned() || {
            wait();
            false
        }));
    }

    #[test]
    fn a_directory_that_others_can_replace_is_no_place_for_work() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let (store, named) = (Store::new(root.path().join("store")), root.path().join("named"));
        let mode = |mode| fs_err::set_permissions(&named, std::fs::Permissions::from_mode(mode)).unwrap();
        let create = || WorkDirectory::create(&store, Some(&named), &[]).map(drop);
        fs_err::create_dir(&named).unwrap();
        create().unwrap();
        mode(0o777);
        let error = create().unwrap_err().to_string();
        assert!(error.contains("named: everybody may write to it (mode 777), so the work directory /"), "{error}");
        // Nor is it one for a store that cannot be used.
        let unfit = Store::new(root.path().join("my store"));
        assert!(WorkDirectory::create(&unfit, None, std::slice::from_ref(&named)).is_err());
        assert_eq!(places(&unfit, std::slice::from_ref(&named)).len(), 1);
        // In a sticky one nobody can rename what is this user's.
        mode(0o1777);
        create().unwrap();
        assert_eq!(places(&unfit, std::slice::from_ref(&named)).len(), 2);
        let place = named.join(own_name());
        fs_err::set_permissions(&place, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(create(), Err(Error::Distrusted { path, .. }) if path == place));
        // Nothing is made where a link leads.
        fs::remove_tree(&place).unwrap();
        fs_err::create_dir(root.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(root.path().join("elsewhere"), &place).unwrap();
        assert!(create().unwrap_err().to_string().contains("it is a symbolic link"));
        assert_eq!(fs_err::read_dir(root.path().join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_store_with_a_space_works_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path().join("my store"));
        let work = WorkDirectory::create(&store, None, &[root.path().to_owned()]).unwrap();
        assert!(
            work.path().starts_with(root.path().join(format!("pykeel-work-{}", rustix::process::geteuid().as_raw())))
        );
        assert!(WorkDirectory::create(&store, None, &[]).is_err());
    }
}
