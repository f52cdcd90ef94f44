//! Who may write to a store, or where a build works: whoever may decides what is built and installed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Store;
use crate::error::{Error, Result};
use crate::sys::fs::with_path;

/// The directories of a store.
const DIRECTORIES: [&str; 8] =
    ["artifacts", "damaged", "intermediates", "locks", "logs", "profiles", "sources", "work"];

impl Store {
    /// Refuses a store that somebody may write to whom this user does not trust anyway, and one that leads elsewhere.
    ///
    /// # Errors
    /// [`Error::Distrusted`] with the directory and the reason, [`Error::Io`] if it cannot be looked at.
    pub(super) fn require_trust(&self) -> Result<()> {
        let caller = Caller::current();
        check_above(self.root(), "store", &caller)?;
        check(self.root(), std::fs::metadata(self.root()), &caller)?;
        for name in DIRECTORIES {
            let path = self.root().join(name);
            check(&path, std::fs::symlink_metadata(&path), &caller)?;
        }
        Ok(())
    }
}

/// Refuses a directory for work outside the store that somebody may write to or put another one in the place of. It need
/// not exist.
///
/// # Errors
/// [`Error::Distrusted`] with the directory and the reason, [`Error::Io`] if it cannot be looked at.
pub(super) fn require_trust_of_work(directory: &Path) -> Result<()> {
    let caller = Caller::current();
    check_above(directory, "work directory", &caller)?;
    check(directory, std::fs::symlink_metadata(directory), &caller)
}

/// Checks the directories above one: who may rename in one of them can put another one in its place, at any moment. `what`
/// it is says what is in danger.
fn check_above(path: &Path, what: &str, caller: &Caller) -> Result<()> {
    let path = std::path::absolute(path)?;
    let refused = |directory: &Path, reason: String| {
        let reason = format!("{reason}, so the {what} {} could be replaced by another one", path.display());
        Err(Error::Distrusted { path: directory.to_owned(), reason })
    };
    // Who owns a link can lead it elsewhere, also in a sticky directory.
    for link in path.ancestors() {
        if let Ok(metadata) = std::fs::symlink_metadata(link)
            && metadata.is_symlink()
            && !caller.users.contains(&metadata.uid())
        {
            return refused(link, format!("it is a symbolic link of user {}", metadata.uid()));
        }
    }
    // It may be a link, or be reached by one: then both ways count.
    let real = path.ancestors().find_map(|path| fs_err::canonicalize(path).ok()).unwrap_or_default();
    let is_whole = path.exists();
    for directory in path.ancestors().skip(1).chain(real.ancestors().skip(usize::from(is_whole))) {
        let metadata = match std::fs::metadata(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found.map_err(|error| with_path(directory, error))?,
        };
        let mode = metadata.mode() & 0o7777;
        // In a sticky directory such as /tmp only its owner and that of a file can rename it.
        let is_sticky = mode & 0o1000 != 0;
        let writers = if is_sticky { mode & !0o022 } else { mode };
        if let Some(reason) = caller.problem(metadata.uid(), metadata.gid(), writers) {
            return refused(directory, reason);
        }
    }
    Ok(())
}

fn check(path: &Path, found: io::Result<std::fs::Metadata>, caller: &Caller) -> Result<()> {
    let metadata = match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| with_path(path, error))?,
    };
    if metadata.is_symlink() {
        return Err(Error::Distrusted { path: path.to_owned(), reason: "it is a symbolic link".into() });
    }
    let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
    match caller.problem(owner, group, mode) {
        Some(reason) => Err(Error::Distrusted { path: path.to_owned(), reason }),
        None => Ok(()),
    }
}

/// The user of this process, and who ran it by sudo.
struct Caller {
    user: u32,
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl Caller {
    fn current() -> Self {
        let user = rustix::process::geteuid().as_raw();
        let (mut users, mut groups) = (vec![0, user], vec![0]);
        if user == 0 {
            // Who may become root by sudo is trusted with all that root does. Only root's own environment says it.
            let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
            users.extend(number("SUDO_UID"));
            groups.extend(number("SUDO_GID"));
        } else {
            groups.push(rustix::process::getegid().as_raw());
            // Without the list the primary group remains.
            groups.extend(rustix::process::getgroups().unwrap_or_default().iter().map(|group| group.as_raw()));
        }
        Self { user, users, groups }
    }

    /// Why a directory of this owner, group and mode is not to be trusted.
    fn problem(&self, owner: u32, group: u32, mode: u32) -> Option<String> {
        let may_group_write = mode & 0o020 != 0;
        if mode & 0o002 != 0 {
            return Some(format!("everybody may write to it (mode {mode:o})"));
        }
        if may_group_write && !self.groups.contains(&group) {
            return Some(format!("group {group} may write to it (mode {mode:o}), and this is user {}", self.user));
        }
        // The members of a group that shares a store decide together what is in it.
        let is_shared = may_group_write && self.user != 0;
        if self.users.contains(&owner) || is_shared {
            return None;
        }
        Some(format!("it belongs to user {owner}, and this is user {}", self.user))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::event::Silent;

    #[test]
    fn root_trusts_root_and_a_user_also_those_who_share_a_group() {
        let root = Caller { user: 0, users: vec![0, 0, 1000], groups: vec![0, 1000] };
        assert_eq!(root.problem(0, 0, 0o755), None);
        assert_eq!(root.problem(0, 0, 0o2775), None);
        assert_eq!(root.problem(1000, 1000, 0o775), None, "who ran sudo");
        assert_eq!(root.problem(1001, 0, 0o755).unwrap(), "it belongs to user 1001, and this is user 0");
        assert!(root.problem(0, 50, 0o775).unwrap().starts_with("group 50 may write to it (mode 775)"));
        assert!(root.problem(0, 0, 0o1777).unwrap().starts_with("everybody may write to it (mode 1777)"));

        let user = Caller { user: 1000, users: vec![0, 1000], groups: vec![0, 1000, 50] };
        for (owner, group, mode) in [(0, 0, 0o755), (1000, 1000, 0o700), (1001, 50, 0o2775), (1000, 50, 0o775)] {
            assert_eq!(user.problem(owner, group, mode), None, "{owner} {group} {mode:o}");
        }
        for (owner, group, mode) in [(1001, 50, 0o755), (1000, 51, 0o775), (0, 0, 0o777)] {
            assert!(user.problem(owner, group, mode).is_some(), "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn a_store_that_others_could_replace_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let above = place.path().join("above");
        let store = Store::new(above.join("between/store"));
        let mode = |path: &Path, mode| fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for existing in [&above, &above.join("between"), store.root()] {
            fs_err::create_dir(existing).unwrap();
            assert!(store.list().unwrap().is_empty());
            mode(&above, 0o777);
            let error = store.list().unwrap_err().to_string();
            assert!(error.contains("above: everybody may write to it (mode 777), so the store /"), "{error}");
            mode(&above, 0o1777);
            assert!(store.list().unwrap().is_empty(), "only the owner can rename it");
            mode(&above, 0o755);
        }
        // The way through a link is as good as its directories.
        let open = place.path().join("open");
        fs_err::create_dir(&open).unwrap();
        std::os::unix::fs::symlink(store.root(), open.join("link")).unwrap();
        let by_link = Store::new(open.join("link"));
        assert!(by_link.list().unwrap().is_empty());
        for opened in [&open, &above] {
            mode(opened, 0o777);
            assert!(matches!(by_link.list(), Err(Error::Distrusted { path, .. }) if path == *opened));
            mode(opened, 0o755);
        }
    }

    #[test]
    fn a_link_of_another_user_on_the_way_is_not_followed() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let (link, real) = (place.path().join("link"), place.path().join("real"));
        fs_err::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let store = Store::new(link.join("store"));
        assert!(store.list().unwrap().is_empty());
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        let error = store.list().unwrap_err().to_string();
        assert!(error.contains("link: it is a symbolic link of user 65534, so the store /"), "{error}");
    }

    #[test]
    fn a_store_that_others_may_write_to_or_that_leads_elsewhere_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::new(place.path().join("store"));
        assert!(store.list().unwrap().is_empty());
        fs_err::create_dir_all(store.root().join("artifacts")).unwrap();
        let mode = |path: &Path, mode| fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(store.list().unwrap().is_empty());
        for path in [store.root().to_owned(), store.root().join("artifacts")] {
            mode(&path, 0o777);
            let error = store.list().unwrap_err();
            assert!(matches!(&error, Error::Distrusted { path: named, .. } if *named == path), "{error}");
            assert!(store.log("x").is_err());
            assert!(store.source(crate::domain::digest::Digest::of(""), &Silent).is_err());
            mode(&path, 0o755);
        }
        std::os::unix::fs::symlink(place.path(), store.root().join("logs")).unwrap();
        assert!(store.list().unwrap_err().to_string().contains("it is a symbolic link"));
    }
}
