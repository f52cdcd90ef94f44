//! `--out` and `--format`: the tarballs that a build writes besides the store's.

use crate::support::{check, run};
use crate::toy_artifact::pykeel;

#[test]
fn tarballs_go_to_out_in_the_format_asked_for_and_hold_the_same() {
    let out = tempfile::tempdir().expect("a directory");
    let list = |path: &str| check("tar", &["-tvf", path]);
    let mut lists = Vec::new();
    for format in ["zst", "xz", "gz"] {
        let mut command = pykeel();
        command.args(["build", "3.13.5", "--json", "--format", format, "--out"]).arg(out.path());
        let ended = run(&mut command).exits(0);
        let tarball = ended.json()[0]["tarball"].as_str().expect("a path").to_owned();
        assert!(tarball.ends_with(&format!(".tar.{format}")));
        let first = fs_err::read(&tarball).expect("the tarball");
        run(&mut command).exits(0);
        assert_eq!(fs_err::read(&tarball).expect("the tarball"), first, "{format} differs the second time");
        lists.push(list(&tarball));
    }
    assert!(lists.windows(2).all(|pair| pair[0] == pair[1]));
    let top: std::collections::BTreeSet<_> =
        lists[0].lines().filter_map(|line| line.split_whitespace().nth(5)?.split('/').next()).collect();
    assert_eq!(top.into_iter().collect::<Vec<_>>(), ["python-3.13"]);
}
