//! Programs that run as another user.

use super::super::finding::{Found, Severity};
use super::super::rule::{Judge, Rule};
use super::super::subject::Subject;

/// The rule.
pub static RULE: Rule = Rule {
    id: "PK404",
    name: "set-uid",
    severity: Severity::Warning,
    what: "A program has the set-uid or set-gid bit and is not one of those that Debian's, Ubuntu's and Fedora's base \
           systems bring. One of another package of the distribution is a note.",
    why: "It runs as its owner, mostly root, whoever starts it.",
    remedy: "remove the bit (`chmod u-s,g-s`) or the program, and run containers with `no-new-privileges`",
    judge: Judge::Always(judge),
};

/// Programs of the base systems, by their names.
const OF_BASE_SYSTEMS: &[&str] = &[
    "chage",
    "chfn",
    "chsh",
    "expiry",
    "gpasswd",
    "mount",
    "newgrp",
    "pam_extrausers_chkpwd",
    "pam_timestamp_check",
    "passwd",
    "su",
    "umount",
    "unix_chkpwd",
    "wall",
    "write",
    "write.ul",
    "bsd-write",
    "sg",
];

fn judge(subject: &Subject<'_>) -> Vec<Found> {
    let set = subject.tree.iter().filter(|(_, node)| node.file().is_some() && node.mode & 0o6000 != 0);
    let found = set.filter_map(|(path, node)| {
        let (directory, name) = path.rsplit_once('/')?;
        let is_of_base =
            ["/bin", "/sbin", "/usr/bin", "/usr/sbin"].contains(&directory) && OF_BASE_SYSTEMS.contains(&name);
        let owner = subject.packages.owner(path);
        if is_of_base && (owner.is_some() || !subject.packages.has_owners()) {
            return None;
        }
        // Without the right to run it, set-gid means locking.
        if node.mode & 0o111 == 0 {
            return None;
        }
        let bit = if node.mode & 0o4000 != 0 { "set-uid" } else { "set-gid" };
        let of = if node.mode & 0o4000 != 0 { format!("user {}", node.uid) } else { format!("group {}", node.gid) };
        Some(match owner {
            Some(package) => {
                Found::at(path, format!("it is {bit} for {of}, of the package {}", package.name)).with(Severity::Note)
            }
            None => Found::at(path, format!("it is {bit} for {of}, and of no package")),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{Fixture, library};
    use super::*;

    fn with(path: &str) -> Fixture {
        Fixture::default().elf(path, library("", &[])).mode(path, 0o4755)
    }

    #[test]
    fn good() {
        assert_eq!(with("/usr/bin/passwd").judged(&RULE), Vec::<String>::new());
        let fixture = with("/usr/bin/su").package("util-linux", "2.41", &["/bin/su"]);
        assert_eq!(fixture.judged(&RULE), Vec::<String>::new());
    }

    #[test]
    fn bad() {
        let found = with("/usr/bin/sudo").package("sudo", "1.9", &["/usr/bin/sudo"]).judged(&RULE);
        assert_eq!(found, ["note /usr/bin/sudo: it is set-uid for user 0, of the package sudo"]);
        let found = with("/usr/bin/su").package("util-linux", "2.41", &["/usr/bin/other"]).judged(&RULE);
        assert_eq!(found, ["warning /usr/bin/su: it is set-uid for user 0, and of no package"]);
        let found = with("/opt/tool").mode("/opt/tool", 0o2755).judged(&RULE);
        assert_eq!(found, ["warning /opt/tool: it is set-gid for group 0, and of no package"]);
    }
}
