//! The words that a recipe gives to other programs: arguments of configure, and variables. A recipe runs code by
//! design; what is refused here is what would not reach a program, or would say again what the plan says elsewhere.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::Layers;
use crate::domain::configure::check_recipe_argument;
use crate::error::Mistake;

/// Variables that pykeel or the user sets.
const RESERVED: &[&str] = &[
    "PATH",
    "LC_ALL",
    "TZ",
    "HOME",
    "TMPDIR",
    "CONFIG_SITE",
    "PYTHONHASHSEED",
    "PYTHON_FOR_REGEN",
    "SOURCE_DATE_EPOCH",
    "PKG_CONFIG_LIBDIR",
    "CC",
    "CFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
];

/// Variables by which another program runs code, or reads files, that the plan does not name: of the shell, make, the
/// compiler, and Python.
const OF_OTHER_PROGRAMS: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "COMPILER_PATH",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "DESTDIR",
    "ENV",
    "GCC_EXEC_PREFIX",
    "GCONV_PATH",
    "GNUMAKEFLAGS",
    "IFS",
    "LIBRARY_PATH",
    "MAKEFILES",
    "MAKEFLAGS",
    "MAKEOVERRIDES",
    "MFLAGS",
    "OBJC_INCLUDE_PATH",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "SHELLOPTS",
    "SUNPRO_DEPENDENCIES",
];

/// Variables of the loader, of which each C library has more.
const OF_THE_LOADER: &str = "LD_";

/// Refuses characters that no argument, variable, file name or pattern can have, wherever they are.
///
/// # Errors
/// [`Mistake`] for the first of them.
pub(super) fn no_control_characters(table: &DeTable<'_>, at: &Layers<'_>) -> Result<(), Mistake> {
    for (key, value) in table {
        plain(key.get_ref(), key.span().start, at)?;
        no_control_characters_in(value, at)?;
    }
    Ok(())
}

fn no_control_characters_in(value: &Spanned<DeValue<'_>>, at: &Layers<'_>) -> Result<(), Mistake> {
    match value.get_ref() {
        DeValue::String(text) => plain(text, value.span().start, at),
        DeValue::Array(list) => list.iter().try_for_each(|value| no_control_characters_in(value, at)),
        DeValue::Table(table) => no_control_characters(table, at),
        _ => Ok(()),
    }
}

fn plain(text: &str, offset: usize, at: &Layers<'_>) -> Result<(), Mistake> {
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        None => Ok(()),
        Some(c) => Err(at.mistake(offset, format!("a text cannot have the character U+{:04X}", u32::from(c)))),
    }
}

/// Checks arguments of configure, and returns them without their places.
///
/// # Errors
/// [`Mistake`] for the first that a recipe cannot give.
pub(super) fn arguments(list: Vec<Spanned<String>>, at: &Layers<'_>) -> Result<Vec<String>, Mistake> {
    for argument in &list {
        check_recipe_argument(argument.get_ref()).map_err(|problem| {
            at.error(argument, format!("a recipe cannot give configure `{}`: {problem}", argument.get_ref()))
        })?;
    }
    Ok(super::place::texts(list))
}

/// Checks the name of a variable that a recipe sets for configure and make.
///
/// # Errors
/// [`Mistake`] if it is no name, or of a variable that a recipe cannot set.
pub(super) fn variable(name: &Spanned<String>, at: &Layers<'_>) -> Result<(), Mistake> {
    let text = name.get_ref().as_str();
    is_variable(name, at)?;
    // A variable that pykeel itself sets would be overridden in silence.
    if RESERVED.contains(&text) {
        return Err(at.error(name, format!("a recipe cannot set {text}: pykeel or the user does")));
    }
    if OF_OTHER_PROGRAMS.contains(&text) || text.starts_with(OF_THE_LOADER) {
        let message = format!("a recipe cannot set {text}: programs would run or read what no plan names");
        return Err(at.error(name, message));
    }
    Ok(())
}

/// Checks that a name is that of a variable.
///
/// # Errors
/// [`Mistake`] if it is not.
pub(super) fn is_variable(name: &Spanned<String>, at: &Layers<'_>) -> Result<(), Mistake> {
    at.name(name, "")?;
    if name.get_ref().starts_with(|c: char| c.is_ascii_digit()) {
        return Err(at.error(name, format!("`{}` begins with a digit, which no variable does", name.get_ref())));
    }
    Ok(())
}
