//! Extensions of the database library: a library that is loaded into a database.

use std::process::Command;

use crate::support::{artifact, check, run, unpack};

const EXTENSION: &str = "\
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1
static void answer(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count, (void)values;
    sqlite3_result_int(context, 42);
}
int sqlite3_answer_init(sqlite3 *database, char **message, const sqlite3_api_routines *api)
{
    (void)message;
    SQLITE_EXTENSION_INIT2(api);
    return sqlite3_create_function(database, \"answer\", 0, SQLITE_UTF8, 0, answer, 0, 0);
}
";

const USE: &str = "\
import sqlite3, sys
database = sqlite3.connect(':memory:')
database.enable_load_extension(True)
database.load_extension(sys.argv[1])
print(database.execute('SELECT answer()').fetchone()[0])
";

#[test]
fn an_extension_of_sqlite_can_be_loaded() {
    let place = tempfile::tempdir().expect("a directory");
    let (source, library) = (place.path().join("answer.c"), place.path().join("answer.so"));
    fs_err::write(&source, EXTENSION).expect("a file");
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    check("gcc", &["-shared", "-fPIC", "-o", &text(&library), &text(&source)]);
    let tree = place.path().join("tree");
    unpack(&artifact("runtime"), &tree);
    let mut python = Command::new(tree.join("bin/python3"));
    let ended = run(python.args(["-I", "-B", "-c", USE]).arg(&library).env_clear()).exits(0);
    assert_eq!(ended.out, "42\n");
}
