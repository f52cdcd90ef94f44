//! Plans of the real recipes: they need the headers that a build needs, and build nothing.

use serde_json::Value;

use crate::quick::config::Home;
use crate::support::run;

#[test]
fn settings_reach_the_plan_of_a_build() {
    let home = Home::new();
    home.project("prefix = '/opt/acme/py-{version}{variant}'\nbytecode = 'unchecked-hash'\nflavor = 'all'\ninstall-deps = true\n");
    let plan = |args: &[&str]| -> Value {
        run(home.command(&["build", "3.13.5", "--dry-run", "--json"]).args(args)).exits(0).json()
    };
    let plans = plan(&[]);
    let flavors: Vec<_> =
        plans.as_array().expect("an array").iter().map(|plan| plan["request"]["flavor"].clone()).collect();
    assert_eq!(flavors, ["runtime", "builder"]);
    assert_eq!(plans[0]["request"]["prefix"], "/opt/acme/py-3.13.5");
    assert_eq!(plans[0]["request"]["policies"]["bytecode"], "unchecked-hash");
    let plans = plan(&["--prefix", "/srv/{series}", "--flavor", "builder", "--bytecode", "strip"]);
    let request = &plans[0]["request"];
    let prefix_and_bytecode = (request["prefix"].as_str(), request["policies"]["bytecode"].as_str());
    assert_eq!(prefix_and_bytecode, (Some("/srv/3.13"), Some("strip")));
    assert_eq!(plans.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_flag_settles_what_two_files_contradict_each_other_in() {
    let home = Home::new();
    home.project("offline = true\n");
    home.user("install-deps = true\n");
    run(&mut home.command(&["build", "3.13.5"])).exits(2).says(&["cannot be used with"]);
    run(&mut home.command(&["build", "3.13.5", "--offline=false", "--dry-run"])).exits(0);
}
