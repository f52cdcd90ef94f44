//! The fields that differ between two plans, or between two values of JSON.

use std::collections::BTreeMap;

use super::change::{Change, changes};
use crate::domain::plan::{BuildPlan, Provenance};

/// Returns the fields that differ between two plans, named `toolchain.compiler`, `environment.CC`,
/// `patches.3.13/name.patch`. Fields of the request have no prefix. Fields that decide no byte are left out.
/// It compares the plans as JSON, so it covers new fields without a change.
#[must_use]
pub fn plan_changes(before: &BuildPlan, after: &BuildPlan) -> Vec<Change<serde_json::Value>> {
    // Serialising a plan never fails; `build_key` relies on that too.
    let value = |plan: &BuildPlan| {
        let plan = BuildPlan { provenance: Provenance::default(), ..plan.clone() };
        serde_json::to_value(plan).unwrap_or_default()
    };
    let mut changes = value_changes(value(before), value(after));
    for change in &mut changes {
        for nested in ["request.", "policies."] {
            if let Some(name) = change.name.strip_prefix(nested) {
                change.name = name.to_owned();
            }
        }
    }
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

/// Returns the fields that differ between two JSON values, by their paths.
#[must_use]
pub fn value_changes(before: serde_json::Value, after: serde_json::Value) -> Vec<Change<serde_json::Value>> {
    let fields = |value: serde_json::Value| {
        let mut fields = BTreeMap::new();
        flatten(String::new(), value, &mut fields);
        fields
    };
    changes(&fields(before), &fields(after))
}

fn flatten(name: String, value: serde_json::Value, fields: &mut BTreeMap<String, serde_json::Value>) {
    use serde_json::Value;
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                flatten(below(&name, &key), value, fields);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.into_iter().enumerate() {
                let key = item.get("name").or_else(|| item.get("soname")).and_then(Value::as_str);
                flatten(below(&name, &key.map_or_else(|| index.to_string(), str::to_owned)), item, fields);
            }
        }
        // A missing value and an empty list mean the same.
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        value => drop(fields.insert(name, value)),
    }
}

fn below(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}
