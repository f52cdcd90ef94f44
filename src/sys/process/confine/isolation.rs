//! What a program is kept from, and what the system does not allow.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::NOBODY;

/// A namespace that a program has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// It knows one user, and no capability reaches beyond it.
    User,
    /// It has no network but a loopback device.
    Network,
    /// It reaches no other process.
    Pid,
    /// What is mounted in it is mounted nowhere else.
    Mount,
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::Network => "network",
            Self::Pid => "PID",
            Self::Mount => "mount",
        })
    }
}

/// The user that a program ran as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunAs {
    /// The user of pykeel, who is not root.
    #[default]
    Caller,
    /// Root of a user namespace that has no user nobody. Outside of it that is an ordinary user.
    Root,
    /// The user nobody.
    Nobody,
}

/// Something that the system does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The namespace.
    pub namespace: Namespace,
    /// Why there is none.
    pub reason: String,
}

/// What a program was kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Isolation {
    /// The user that it ran as.
    pub user: RunAs,
    /// The namespaces that it had for itself.
    pub namespaces: Vec<Namespace>,
    /// The namespaces that it shared with the system, and why.
    pub lacking: Vec<Lack>,
}

impl Isolation {
    /// Notes that the program has a namespace for itself.
    pub(super) fn has(&mut self, namespace: Namespace) {
        self.lacking.retain(|lack| lack.namespace != namespace);
        if !self.namespaces.contains(&namespace) {
            self.namespaces.push(namespace);
            self.namespaces.sort();
        }
    }

    /// Notes that the system does not allow a namespace. The first reason counts.
    pub(super) fn lacks(&mut self, namespace: Namespace, reason: String) {
        let is_known = self.lacking.iter().any(|lack| lack.namespace == namespace);
        if !is_known && !self.namespaces.contains(&namespace) {
            self.lacking.push(Lack { namespace, reason });
            self.lacking.sort_by_key(|lack| lack.namespace);
        }
    }

    /// Adds what another run lacked: a namespace counts as had only if all runs had it.
    pub fn and(&mut self, other: &Self) {
        for lack in &other.lacking {
            self.namespaces.retain(|namespace| *namespace != lack.namespace);
            self.lacks(lack.namespace, lack.reason.clone());
        }
    }

    /// Returns what was lacking as a text: `without its own network and PID namespace: this system allows none (reason)`.
    /// It is empty if nothing was.
    #[must_use]
    pub fn shortcomings(&self) -> String {
        let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
        for Lack { namespace, reason } in &self.lacking {
            match by_reason.iter_mut().find(|(other, _)| other == reason) {
                Some((_, names)) => names.push(namespace.to_string()),
                None => by_reason.push((reason, vec![namespace.to_string()])),
            }
        }
        let mut text = String::new();
        if self.user == RunAs::Root {
            text.push_str("as root: this user namespace has no other user");
        }
        for (reason, names) in by_reason {
            let between = if text.is_empty() { "" } else { "; " };
            let names = listed(&names);
            let _ = write!(text, "{between}without its own {names} namespace: this system allows none ({reason})");
        }
        text
    }
}

/// Returns names as a list: `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Whether a program that is confined runs as nobody: if this process is root, unless it is root in a user namespace that
/// has no such user.
#[must_use]
pub fn becomes_nobody() -> bool {
    // A kernel without user namespaces has no such file, and all users.
    let map = std::fs::read_to_string("/proc/self/uid_map");
    rustix::process::geteuid().is_root() && map.map_or(true, |map| is_mapped(&map, NOBODY))
}

/// Whether a user is in a map of users: lines of the first identifier, that of the parent namespace, and their number.
fn is_mapped(map: &str, user: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(user)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_has_nobody_or_not() {
        assert!(is_mapped("         0          0 4294967295\n", NOBODY));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", NOBODY));
        assert!(!is_mapped("0 0 1\n", NOBODY));
        assert!(!is_mapped("0 1000 65534\n", NOBODY));
        assert!(!is_mapped("", NOBODY));
    }

    #[test]
    fn what_is_lacking_is_said_once_for_each_reason() {
        let mut isolation = Isolation::default();
        assert_eq!(isolation.shortcomings(), "");
        for namespace in [Namespace::Network, Namespace::Mount, Namespace::Pid] {
            isolation.lacks(namespace, "EPERM".into());
        }
        isolation.lacks(Namespace::User, "another".into());
        assert_eq!(
            isolation.shortcomings(),
            "without its own user namespace: this system allows none (another); without its own network, PID and mount \
             namespace: this system allows none (EPERM)"
        );
        // It is refused to root and then allowed in a user namespace.
        isolation.has(Namespace::Network);
        assert_eq!(isolation.namespaces, [Namespace::Network]);
        assert_eq!(isolation.lacking.len(), 3);
        let mut both = Isolation { namespaces: vec![Namespace::Pid, Namespace::Network], ..Isolation::default() };
        both.and(&isolation);
        assert_eq!((both.namespaces, both.lacking.len()), (vec![Namespace::Network], 3));
    }
}
