//! What verification finds in a real Python.

use crate::support::{artifact, run};
use crate::toy::{Behaviour, Toy};

#[test]
fn a_python_that_fails_its_probe_is_not_published_and_every_finding_is_shown() {
    let toy = Toy::of(
        &artifact("runtime"),
        Behaviour {
            install: "rm lib/python3.13/heapq.py && printf '#!/usr/bin/python3\\n' >bin/wrong && echo 'raise SystemExit(3)' >lib/python3.13/colorsys.py",
            ..Behaviour::default()
        },
    );
    toy.build().exits(4).says(&["checks", "bin/wrong is run by /usr/bin/python3", "heapq", "colorsys"]);
    assert_eq!(run(&mut toy.command(&["list", "--json"])).exits(0).json().as_array().map(Vec::len), Some(0));
    toy.left_nothing();
}
