//! Pruning of registries: what is removed is not offered any more, and a registry that removes nothing is said.

use std::process::Command;

use super::registries::{Registry, address, pull, said};
use super::remotes::elsewhere;
use crate::missing::Missing;
use crate::server::{Server, empty};
use crate::skip;
use crate::support::run;
use crate::toy_artifact::pykeel;

#[test]
fn what_is_pruned_from_a_registry_is_offered_no_more() {
    let Some(registry) = Registry::start(false) else {
        skip!(Missing::Program("docker-registry"), "there is no docker-registry")
    };
    let address = registry.address();
    let with = |mut command: Command| {
        command.env("NO_PROXY", "127.0.0.1");
        command
    };
    run(with(pykeel()).args(["push", "--all", "--json", &address])).exits(0);
    let prune = |words: &[&str]| run(with(pykeel()).args(["prune", "--json", &address]).args(words));
    assert_eq!(prune(&["--keep", "1"]).exits(0).json()["left"], 2);
    let dry = prune(&["--keep", "0", "--dry-run"]).exits(0).json();
    assert_eq!(dry["removed"].as_array().map(Vec::len), Some(2));
    let list = || {
        let list = run(elsewhere(&registry.path("empty")).args(["list", "--json", &address])).exits(0).json();
        list["artifacts"].as_array().map(Vec::len)
    };
    assert_eq!(list(), Some(2));
    assert_eq!(prune(&["--keep", "0"]).exits(0).json()["left"], 0);
    assert_eq!(list(), Some(0));
    pull(&registry.path("gone"), &address).exits(2).says_not(&["going on without it"]);
}

#[test]
fn a_registry_that_permits_no_removal_is_said() {
    let place = tempfile::tempdir().expect("a directory");
    let said = said();
    let server = Server::start(move |request, stream| {
        let is_removal = request.head.starts_with("delete ");
        stream.write_all(&if is_removal { empty("405 Method Not Allowed") } else { said.answer(request) })
    });
    let mut prune = elsewhere(&place.path().join("store"));
    run(prune.args(["prune", "--keep", "0", &address(&server)])).exits(5).says(&["removes nothing (405)"]);
    assert!(server.heads().iter().any(|head| head.starts_with("delete /v2/team/python/manifests/sha256:")));
}
