//! What modules load by name, with code that a test compiles.

use crate::support::{artifact, check, unpack};

/// An extension of `sqlite3` with the function `answer()`. Its entry point is found by the name of the file.
const EXTENSION: &str = r#"
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1
static void answer(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count; (void)values;
    sqlite3_result_int(context, 42);
}
int sqlite3_answer_init(sqlite3 *database, char **error, const sqlite3_api_routines *api)
{
    (void)error;
    SQLITE_EXTENSION_INIT2(api);
    return sqlite3_create_function(database, "answer", 0, SQLITE_UTF8, 0, answer, 0, 0);
}
"#;

const PROGRAM: &str = r#"
import sqlite3, sys
database = sqlite3.connect(":memory:")
# Debian's SQLite allows it from the start.
database.enable_load_extension(False)
try:
    database.load_extension(sys.argv[1])
except sqlite3.OperationalError as error:
    print(error)
database.enable_load_extension(True)
database.load_extension(sys.argv[1])
print(database.execute("SELECT answer()").fetchone()[0])
"#;

#[test]
fn sqlite_loads_an_extension_if_it_is_allowed_to() {
    let runtime = artifact("runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    unpack(&runtime, &directory.path().join("python"));
    fs_err::write(path("answer.c"), EXTENSION).expect("a file");
    check("gcc", &["-shared", "-fPIC", "-o", &path("answer.so"), &path("answer.c")]);
    let python = path(&format!("python/bin/{}", runtime.python()));
    assert_eq!(check(&python, &["-I", "-B", "-c", PROGRAM, &path("answer")]), "not authorized\n42\n");
}
