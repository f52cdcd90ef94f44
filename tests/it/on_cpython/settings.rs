//! Settings that decide where an artifact is installed.

use crate::on_cpython::install::Site;
use crate::support::run;

#[test]
fn settings_reach_installation_and_removal() {
    let site = Site::new();
    let run_in = |args: &[&str], template: &str| {
        run(site.command(args).arg("--root").arg(site.path("out")).env("PYKEEL_PREFIX", template))
    };
    let install = ["install", "3.13.5", "--no-build", "--quiet"];
    // Nothing was compiled for that prefix; the template of the default is the one that was.
    run_in(&install, "/opt/acme/python-{series}").exits(2).says(&["no usable artifact of Python 3.13.5"]);
    run_in(&install, "/opt/{variant}/myorg/python-3.13").exits(0);
    let moved = ["install", "3.13.5", "--no-build", "--prefix", "/opt/acme/python-{version}"];
    let ended = run_in(&moved, "").exits(0);
    assert_eq!(ended.out.trim(), site.path("out/opt/acme/python-3.13.5").display().to_string());
    run_in(&["uninstall", "3.13"], "/opt/acme/python-{version}").exits(0);
    assert!(site.neighbours("out/opt/acme").is_empty());
    assert_eq!(site.neighbours("out/opt/myorg"), ["python-3.13"]);
    // `all` is for builds: one prefix takes one tree.
    let mut command = site.command(&["install", "3.13.5", "--no-build", "--json", "--force", "--root"]);
    let ended = run(command.arg(site.path("out")).env("PYKEEL_FLAVOR", "all")).exits(0).json();
    assert!(ended[0]["name"].as_str().is_some_and(|name| name.contains("-runtime-")), "{ended}");
}
