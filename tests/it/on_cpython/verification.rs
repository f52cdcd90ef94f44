//! What verification finds in a real Python.

use crate::support::{artifact, run};
use crate::toy::{Behaviour, Toy};

#[test]
fn a_python_that_fails_its_checks_is_not_published_and_every_finding_is_shown() {
    let fails = |install, findings: &[&str]| {
        let toy = Toy::of(&artifact("runtime"), Behaviour { install, ..Behaviour::default() });
        toy.build().exits(4).says(findings);
        assert_eq!(run(&mut toy.command(&["list", "--json"])).exits(0).json().as_array().map(Vec::len), Some(0));
        toy.left_nothing();
    };
    let gone = "rm lib/python3.13/heapq.py && echo 'raise SystemExit(3)' >lib/python3.13/colorsys.py";
    fails(gone, &["checks", "heapq", "colorsys"]);
    // What fails by its files is not run.
    let wrong = "printf '#!/usr/bin/python3\\n' >bin/wrong && printf '#!/usr/bin/perl\\n' >bin/other";
    fails(wrong, &["bin/wrong is run by /usr/bin/python3", "bin/other", "nothing of this tree was run"]);
}
