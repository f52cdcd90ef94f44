//! `build-details.json`, the description of CPython 3.14 and later for tools that do not run it (PEP 739). Its
//! paths become relative.

use std::path::Path;

use serde_json::Value;

/// Whether a file in the standard library's directory is such a description. Distributions add the ABI and the
/// platform to its name.
pub(super) fn is_description(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let in_library = path.parent().is_some_and(|parent| parent.parent() == Some(Path::new("lib")));
    in_library && name.starts_with("build-details") && path.extension().is_some_and(|extension| extension == "json")
}

/// What a flavor may leave out, each with the table that goes without it.
const PARTS: [(&str, &str, bool); 5] = [
    ("libpython", "static", false),
    ("libpython", "dynamic", false),
    ("libpython", "dynamic_stableabi", false),
    ("c_api", "pkgconfig_path", false),
    ("c_api", "headers", true),
];

/// The description with relative paths: `base_prefix` relative to the file's own directory, all others relative to
/// `base_prefix`, and without the paths that `is_there` denies. None if it names no path of the prefix. `path` is the
/// file's; both are relative to the prefix.
///
/// # Errors
/// A [`serde_json::Error`] if the text is not JSON.
pub(super) fn rewrite(
    path: &Path,
    text: &str,
    prefix: &str,
    is_there: &dyn Fn(&Path) -> bool,
) -> serde_json::Result<Option<String>> {
    let mut details: Value = serde_json::from_str(text)?;
    if !relative_paths(&mut details, prefix) {
        return Ok(None);
    }
    for (table, key, is_required) in PARTS {
        let Some(part) = details[table][key].as_str().and_then(|text| text.strip_prefix("./")) else { continue };
        if is_there(Path::new(part)) {
            continue;
        }
        if let Some(fields) = details[table].as_object_mut() {
            fields.remove(key);
            if is_required || fields.is_empty() {
                details.as_object_mut().map(|tables| tables.remove(table));
            }
        }
    }
    let up: Vec<&str> = path.parent().into_iter().flat_map(Path::components).map(|_| "..").collect();
    details["base_prefix"] = up.join("/").into();
    Ok(Some(format!("{details:#}\n")))
}

/// Makes each string that is a path in the prefix relative to it, and returns whether there was one.
fn relative_paths(value: &mut Value, prefix: &str) -> bool {
    match value {
        Value::String(text) => {
            let Some(inside) = text.strip_prefix(prefix) else { return false };
            if inside.is_empty() {
                ".".clone_into(text);
            } else if inside.starts_with('/') {
                *text = format!(".{inside}");
            } else {
                return false;
            }
            true
        }
        // `any` would stop at the first.
        Value::Array(values) => values.iter_mut().fold(false, |found, value| relative_paths(value, prefix) | found),
        Value::Object(fields) => {
            fields.iter_mut().fold(false, |found, (_, value)| relative_paths(value, prefix) | found)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of `Tools/build/generate-build-details.py`, without the parts that have no paths.
    const DETAILS: &str = r#"{
  "schema_version": "1.0",
  "base_prefix": "/opt/myorg/python-3.14",
  "base_interpreter": "/opt/myorg/python-3.14/bin/python3.14",
  "platform": "linux-x86_64",
  "language": {"version": "3.14", "version_info": {"major": 3, "minor": 14}},
  "abi": {"flags": []},
  "suffixes": {"source": [".py"], "extensions": [".cpython-314-x86_64-linux-gnu.so", ".abi3.so"]},
  "libpython": {"static": "/opt/myorg/python-3.14-old/lib/libpython3.14.a"},
  "c_api": {
    "headers": "/opt/myorg/python-3.14/include/python3.14",
    "pkgconfig_path": "/opt/myorg/python-3.14/lib/pkgconfig"
  }
}
"#;

    #[test]
    fn paths_are_told_from_where_the_file_is() {
        let path = Path::new("lib/python3.14/build-details.json");
        let text = rewrite(path, DETAILS, "/opt/myorg/python-3.14", &|_| true).unwrap().unwrap();
        let details: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(details["base_prefix"], "../..");
        assert_eq!(details["base_interpreter"], "./bin/python3.14");
        assert_eq!(details["c_api"]["headers"], "./include/python3.14");
        assert_eq!(details["c_api"]["pkgconfig_path"], "./lib/pkgconfig");
        // A path beside the prefix is none of the prefix.
        assert_eq!(details["libpython"]["static"], "/opt/myorg/python-3.14-old/lib/libpython3.14.a");
        // What is no path stays, to the order of a list.
        let before: Value = serde_json::from_str(DETAILS).unwrap();
        for key in ["schema_version", "platform", "language", "abi", "suffixes"] {
            assert_eq!(details[key], before[key], "{key}");
        }
        assert!(text.ends_with("}\n") && !text.contains("/opt/myorg/python-3.14/"), "{text}");
    }

    #[test]
    fn what_a_flavor_leaves_out_is_not_described() {
        let path = Path::new("lib/python3.14/build-details.json");
        let text = DETAILS.replace("python-3.14-old", "python-3.14");
        let described = |is_there: &dyn Fn(&Path) -> bool| -> Value {
            serde_json::from_str(&rewrite(path, &text, "/opt/myorg/python-3.14", is_there).unwrap().unwrap()).unwrap()
        };
        let details = described(&|_| false);
        assert!(details.get("libpython").is_none() && details.get("c_api").is_none(), "{details}");
        assert_eq!(details["base_interpreter"], "./bin/python3.14");
        let details = described(&|path| path.starts_with("include"));
        assert!(details.get("libpython").is_none(), "{details}");
        assert_eq!(details["c_api"], serde_json::json!({ "headers": "./include/python3.14" }));
        let details = described(&|path| path == Path::new("lib/libpython3.14.a"));
        assert_eq!(details["libpython"]["static"], "./lib/libpython3.14.a");
    }

    #[test]
    fn a_description_of_something_else_stays_and_a_broken_one_is_an_error() {
        let path = Path::new("lib/python3.14/build-details.json");
        let rewrite = |path, text, prefix| rewrite(path, text, prefix, &|_| true);
        assert_eq!(rewrite(path, DETAILS, "/usr").unwrap(), None);
        let relative = r#"{"base_prefix": "../..", "base_interpreter": "./bin/python3.14"}"#;
        assert_eq!(rewrite(path, relative, "/opt/myorg/python-3.14").unwrap(), None);
        assert!(rewrite(path, "{", "/usr").is_err());
    }

    #[test]
    fn descriptions_are_known_by_their_names() {
        for name in ["build-details.json", "build-details..x86_64-linux-gnu.json", "build-details.t.x.json"] {
            assert!(is_description(&Path::new("lib/python3.14").join(name)), "{name}");
        }
        for name in ["build-details.py", "details.json", "_sysconfig_vars__linux_.json"] {
            assert!(!is_description(&Path::new("lib/python3.14").join(name)), "{name}");
        }
    }
}
