//! A child pipeline of GitLab.

use serde_json::{Map, Value, json};

use super::{Cell, Commands};

/// The most jobs that GitLab takes of one `parallel:matrix`.
const MOST_JOBS: usize = 200;
/// The job that the user describes: the image, the tags of runners, credentials.
const TEMPLATE: &str = ".pykeel";

/// Returns a child pipeline. It is JSON, which YAML contains.
#[must_use]
pub fn gitlab(cells: &[Cell], commands: &Commands) -> String {
    // The names of jobs have the values of their variables in them, and at most 255 characters: the commands are in the
    // script, where only these values differ.
    let mut script = vec![commands.build("\"$PYTHON\"", "\"$FLAVOR\"")];
    script.extend(commands.push("\"$PYTHON\""));
    let mut jobs = Map::new();
    let several = cells.len() > MOST_JOBS;
    for (number, cells) in cells.chunks(MOST_JOBS).enumerate() {
        let name = if several { format!("python-{}", number + 1) } else { "python".to_owned() };
        let matrix: Vec<Value> = cells
            .iter()
            .map(|cell| json!({ "PYTHON": cell.version, "TARGET": cell.target, "FLAVOR": cell.flavor }))
            .collect();
        jobs.insert(name, json!({ "extends": TEMPLATE, "parallel": { "matrix": matrix }, "script": script }));
    }
    if jobs.is_empty() {
        // A pipeline without jobs is an error.
        jobs.insert("nothing-to-build".into(), json!({ "script": ["true"] }));
    }
    format!("{:#}\n", Value::Object(jobs))
}
