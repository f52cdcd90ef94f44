use super::*;

fn commands() -> Commands {
    let options = ["--prefix", "/opt/acme/python-{series}", "--configure-arg", "--with-x=${y} \"%{z}\" \\"];
    Commands::new(
        [("CFLAGS", "-O1 -g")],
        &options.map(str::to_owned),
        Some("oci://registry.example/team/python?token-server=auth.example"),
    )
    .unwrap()
}

fn cell(version: &str, target: Target, missing: &[Flavor], commands: &Commands) -> Option<Cell> {
    Cell::new(version.into(), "3.13".into(), target, missing, commands)
}

fn cells(commands: &Commands) -> Vec<Cell> {
    let both = cell("3.13.5", Target::X86_64, Flavor::ALL, commands);
    let one = cell("3.13.5t", Target::Aarch64, &[Flavor::Builder], commands);
    both.into_iter().chain(one).collect()
}

#[test]
fn github_gets_a_matrix_on_one_line() {
    let text = github(&cells(&commands()));
    assert_eq!(text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    insta::assert_snapshot!(format!("{value:#}"));
    assert_eq!(github(&[]), "{\"include\":[]}\n");
}

#[test]
fn gitlab_gets_a_child_pipeline() {
    let commands = commands();
    insta::assert_snapshot!(gitlab(&cells(&commands), &commands));
    assert!(gitlab(&[], &commands).contains("nothing-to-build"));
    // So many it does not take of one job.
    let one = cell("3.13.5", Target::X86_64, Flavor::ALL, &commands).unwrap();
    let jobs: serde_json::Value = serde_json::from_str(&gitlab(&vec![one; 201], &commands)).unwrap();
    let count = |name: &str| jobs[name]["parallel"]["matrix"].as_array().map(Vec::len);
    assert_eq!((count("python-1"), count("python-2")), (Some(200), Some(1)));
}

#[test]
fn bake_gets_a_target_for_each_build() {
    insta::assert_snapshot!(bake(&cells(&commands())));
}

#[test]
fn a_build_without_a_remote_pushes_nothing() {
    let commands = Commands::new([], &[], None).unwrap();
    let cell = cell("3.13.5", Target::X86_64, &[Flavor::Runtime], &commands).unwrap();
    assert_eq!((cell.build.as_str(), cell.push), ("pykeel build 3.13.5 --flavor runtime", None));
    assert!(super::tests::cell("3.13.5", Target::X86_64, &[], &commands).is_none());
    assert!(Commands::new([("CC", "a\nb")], &[], None).is_err());
    assert!(Commands::new([], &["\u{1b}[2J".into()], None).is_err());
}
