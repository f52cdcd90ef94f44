//! The user that an image runs as, and what that user may write to.

use super::image::{Node, Tree};

/// The user that an image runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As the image says it: `app:app`, `1000`; empty means root.
    pub written: String,
    /// The number, if it is known.
    pub uid: Option<u32>,
    /// The groups.
    pub gids: Vec<u32>,
    /// Whether `/etc/passwd` of the image has the user.
    pub in_passwd: bool,
}

impl User {
    /// Looks a user up in the image's `/etc/passwd` and `/etc/group`, as a container's runtime does.
    #[must_use]
    pub fn find(tree: &Tree, written: &str) -> Self {
        let (name, group) = written.split_once(':').map_or((written, None), |(name, group)| (name, Some(group)));
        let name = if name.is_empty() { "0" } else { name };
        let lines = |path| tree.text(path).unwrap_or_default();
        let (passwd, groups) = (lines("/etc/passwd"), lines("/etc/group"));
        let entry = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.len() > 3 && (fields[0] == name || fields[2] == name));
        let uid = entry.as_ref().map_or_else(|| name.parse().ok(), |fields| fields[2].parse().ok());
        let mut gids: Vec<u32> = Vec::new();
        match group {
            Some(group) => {
                let fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
                let number: Option<u32> = fields
                    .filter(|fields| fields.len() > 2 && fields[0] == group)
                    .find_map(|fields| fields[2].parse().ok());
                gids.extend(number.or_else(|| group.parse().ok()));
            }
            None => gids.extend(entry.as_ref().map_or(Some(0), |fields| fields[3].parse().ok())),
        }
        if let Some(fields) = &entry {
            let member = |line: &str| {
                let group: Vec<&str> = line.split(':').collect();
                let is_in = group.get(3)?.split(',').any(|member| member == fields[0]);
                group.get(2)?.parse::<u32>().ok().filter(|_| is_in)
            };
            gids.extend(groups.lines().filter_map(member));
        }
        Self { written: written.to_owned(), uid, gids, in_passwd: entry.is_some() }
    }

    /// Whether it is root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == Some(0)
    }

    /// Whether the permissions of a file or directory let the user write to it.
    #[must_use]
    pub fn may_write(&self, node: &Node) -> bool {
        let bit = if self.uid == Some(node.uid) {
            0o200
        } else if self.gids.contains(&node.gid) {
            0o020
        } else {
            0o002
        };
        self.is_root() || node.mode & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::Fixture;
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_number_with_its_groups() {
        let image = Fixture::default()
            .text("/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/app:/bin/false\n")
            .text("/etc/group", "root:x:0:\nstaff:x:50:app,other\nweb:x:80:\n")
            .image();
        let find = |written| User::find(&image.tree, written);
        assert!(find("").is_root() && find("root").is_root() && find("0:0").is_root());
        let app = find("app");
        assert_eq!((app.uid, app.gids.clone(), app.in_passwd), (Some(1000), vec![1000, 50], true));
        assert_eq!(find("1000:web").gids, [80, 50]);
        assert_eq!((find("65532").in_passwd, find("65532").uid), (false, Some(65532)));
        assert_eq!((find("nobody").in_passwd, find("nobody").uid), (false, None));
        let mut node = image.tree.get("/etc/passwd").unwrap().clone();
        assert!(!app.may_write(&node) && find("").may_write(&node));
        (node.gid, node.mode) = (50, 0o664);
        assert!(app.may_write(&node));
    }
}
