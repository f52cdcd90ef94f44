//! The variables of the user that a launcher is given. The lists leave out those that could change an object
//! file or let a wrong one count as a hit. `docs/launchers.md` has them too.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The variables of ccache about the place and size of its cache, and about logging.
pub(super) const CCACHE: &[&str] = &[
    "CCACHE_COMPRESS",
    "CCACHE_COMPRESSLEVEL",
    "CCACHE_DEBUG",
    "CCACHE_DEBUGDIR",
    "CCACHE_DEBUGLEVEL",
    "CCACHE_DIR",
    "CCACHE_DISABLE",
    "CCACHE_FILECLONE",
    "CCACHE_INODECACHE",
    "CCACHE_LIMIT_MULTIPLE",
    "CCACHE_LOGFILE",
    "CCACHE_MAXFILES",
    "CCACHE_MAXSIZE",
    "CCACHE_NAMESPACE",
    "CCACHE_NOCOMPRESS",
    "CCACHE_NOREMOTE_ONLY",
    "CCACHE_NORESHARE",
    "CCACHE_NOSTATS",
    "CCACHE_PREFIX",
    "CCACHE_READONLY",
    "CCACHE_READONLY_DIRECT",
    "CCACHE_RECACHE",
    "CCACHE_REMOTE_ONLY",
    "CCACHE_REMOTE_STORAGE",
    "CCACHE_RESHARE",
    "CCACHE_SECONDARY_STORAGE",
    "CCACHE_STATS",
    "CCACHE_TEMPDIR",
    "CCACHE_UMASK",
];

/// The keys in ccache's configuration files for the same settings.
pub(super) const CCACHE_KEYS: &[&str] = &[
    "compression",
    "compression_level",
    "file_clone",
    "inode_cache",
    "limit_multiple",
    "log_file",
    "max_files",
    "max_size",
    "namespace",
    "prefix_command",
    "read_only",
    "read_only_direct",
    "remote_only",
    "remote_storage",
    "reshare",
    "secondary_storage",
    "stats",
    "temporary_dir",
    "umask",
];

/// The variables of distcc, which ccache may start.
pub(super) const DISTCC: &[&str] = &[
    "DISTCC_BACKOFF_PERIOD",
    "DISTCC_DIR",
    "DISTCC_FALLBACK",
    "DISTCC_HOSTS",
    "DISTCC_IO_TIMEOUT",
    "DISTCC_LOG",
    "DISTCC_PAUSE_TIME_MSEC",
    "DISTCC_POTENTIAL_HOST",
    "DISTCC_PRINCIPAL",
    "DISTCC_SKIP_LOCAL_RETRY",
    "DISTCC_SSH",
    "DISTCC_TCP_CORK",
    "DISTCC_VERBOSE",
];

/// The variables of icecc, which ccache may start. `ICECC_VERSION` could name another compiler.
pub(super) const ICECC: &[&str] = &[
    "ICECC_CARET_WORKAROUND",
    "ICECC_COMPRESSION",
    "ICECC_DEBUG",
    "ICECC_ENV_COMPRESSION",
    "ICECC_IGNORE_UNVERIFIED",
    "ICECC_LOGFILE",
    "ICECC_PREFERRED_HOST",
    "ICECC_REPEAT_RATE",
    "ICECC_SCHEDULER",
    "ICECC_SLOW_NETWORK",
    "ICECC_TEST_REMOTEBUILD",
    "ICECC_TEST_SOCKET",
];

/// The variables of sccache's client, and of a server that it would start. The credentials of a remote cache
/// (`AWS_*` and the like) are for the server alone, which runs in the user's environment.
pub(super) const SCCACHE: &[&str] = &[
    "SCCACHE_CACHE_SIZE",
    "SCCACHE_CONF",
    "SCCACHE_DIR",
    "SCCACHE_ERROR_LOG",
    "SCCACHE_IDLE_TIMEOUT",
    "SCCACHE_IGNORE_SERVER_IO_ERROR",
    "SCCACHE_LOG",
    "SCCACHE_RECACHE",
    "SCCACHE_SERVER_PORT",
    "SCCACHE_SERVER_UDS",
];

/// The variables of some lists that the user has set.
pub(super) fn forwarded(user: &BTreeMap<String, OsString>, lists: &[&[&str]]) -> BTreeMap<String, OsString> {
    let names = lists.iter().flat_map(|list| list.iter());
    names.filter_map(|name| Some(((*name).to_owned(), user.get(*name)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_launchers_own_variables_are_forwarded() {
        let user: BTreeMap<String, OsString> = [
            ("CCACHE_DIR", "/c"),
            ("CCACHE_SLOPPINESS", "system_headers"),
            ("CCACHE_COMPILER", "clang"),
            ("CCACHE_IGNOREOPTIONS", "-O3"),
            ("SCCACHE_DIR", "/s"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("HOME", "/home/me"),
        ]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into();
        let names = |lists: &[&[&str]]| forwarded(&user, lists).into_keys().collect::<Vec<_>>();
        assert_eq!(names(&[CCACHE, DISTCC, ICECC]), ["CCACHE_DIR"]);
        assert_eq!(names(&[SCCACHE]), ["SCCACHE_DIR"]);
    }

    #[test]
    fn a_launchers_variables_have_its_name() {
        for (prefix, list) in [("CCACHE_", CCACHE), ("DISTCC_", DISTCC), ("ICECC_", ICECC), ("SCCACHE_", SCCACHE)] {
            assert!(list.iter().all(|name| name.starts_with(prefix)) && list.is_sorted(), "{list:?}");
        }
    }
}
