//! How libpython is built and kept: as the static library of a flavor, or as a shared one.

use globset::GlobBuilder;

use crate::domain::plan::{BuildPlan, Policies};
use crate::error::{Error, Result};
use crate::recipe::ReleaseRecipe;

/// The arguments of configure that decide how libpython is built, each with its other spelling. The policy `shared`
/// decides that, because what links and checks libpython depends on it.
const DECIDED: [&str; 4] =
    ["--enable-shared", "--disable-shared", "--with-static-libpython", "--without-static-libpython"];

/// The one of these that a recipe or a user may add: then no flavor has a static library.
const WITHOUT_STATIC: [&str; 2] = ["--without-static-libpython", "--with-static-libpython=no"];

/// Whether an argument of configure asks for a shared libpython.
fn asks_for_shared(argument: &str) -> bool {
    ["--enable-shared", "--enable-shared=yes"].contains(&argument)
}

/// Whether a recipe asks for a shared libpython: its builds are then builds with `--shared`.
pub(super) fn is_shared(recipe: &ReleaseRecipe) -> bool {
    recipe.shared.configure.arguments.iter().any(|argument| asks_for_shared(argument))
}

/// Returns the recipe's arguments of configure, and those of a shared libpython if there is to be one.
pub(super) fn arguments<'a>(recipe: &'a ReleaseRecipe, policies: &Policies) -> impl Iterator<Item = &'a String> {
    let of_recipe = recipe.shared.configure.arguments.iter().filter(|argument| !asks_for_shared(argument));
    let of_shared: &[String] = if policies.shared { &recipe.shared.shared.configure } else { &[] };
    of_recipe.chain(of_shared)
}

/// Refuses arguments of configure that the policy `shared` decides. A recipe's `--enable-shared` is that policy.
///
/// # Errors
/// [`Error::LibpythonArgument`] for the first of them.
pub(super) fn refuse_arguments(recipe: &ReleaseRecipe, policies: &Policies) -> Result<()> {
    let of_recipe = recipe.shared.configure.arguments.iter().filter(|argument| !asks_for_shared(argument));
    let all = of_recipe.chain(&policies.configure_arguments);
    let decided = |argument: &&String| {
        let name = argument.split('=').next().unwrap_or_default();
        DECIDED.contains(&name) && !WITHOUT_STATIC.contains(&argument.as_str())
    };
    match all.into_iter().find(decided) {
        None => Ok(()),
        Some(argument) => Err(Error::LibpythonArgument { argument: argument.clone() }),
    }
}

/// Whether the flavor of a plan keeps the static library.
///
/// # Errors
/// [`Error::Pattern`] for a pattern that is not a glob.
pub(super) fn is_kept_static(plan: &BuildPlan) -> Result<bool> {
    if plan.request.policies.shared || plan.configure.iter().any(|word| WITHOUT_STATIC.contains(&word.as_str())) {
        return Ok(false);
    }
    let directory = plan.configuration();
    let library = format!("{directory}/libpython{}.a", plan.short_version());
    for pattern in &plan.strip {
        // As the stage `strip` reads it.
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| Error::Pattern { pattern: pattern.clone(), reason: error.kind().to_string() })?;
        let glob = glob.compile_matcher();
        if glob.is_match(&directory) || glob.is_match(&library) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds options of the linker to the variable of make that links the interpreter.
pub(super) fn link_program(words: &mut Vec<String>, options: &str) {
    const VARIABLE: &str = "LINKFORSHARED=";
    match words.iter_mut().find(|word| word.starts_with(VARIABLE)) {
        Some(word) => *word = format!("{word} {options}"),
        None => words.push(format!("{VARIABLE}-Xlinker -export-dynamic {options}")),
    }
}

/// Returns options of link-time optimisation for a library. make hands its jobserver on to the interpreter's link alone;
/// without it the linker uses one processor.
pub(super) fn link(options: &str) -> String {
    options.replace("-flto=jobserver", "-flto=auto")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::tests::plan;

    fn recipe() -> ReleaseRecipe {
        crate::recipe::Catalog::load(None).unwrap().find("3.13.5".parse().unwrap()).unwrap().1
    }

    #[test]
    fn arguments_that_the_policy_decides_are_refused() {
        let mut policies = plan().request.policies;
        refuse_arguments(&recipe(), &policies).unwrap();
        for (argument, is_refused) in [
            ("--enable-shared", true),
            ("--enable-shared=yes", true),
            ("--disable-shared", true),
            ("--with-static-libpython", true),
            ("--without-static-libpython", false),
            ("--with-static-libpython=no", false),
            ("--enable-shared-memory", false),
        ] {
            policies.configure_arguments = vec![argument.to_owned()];
            let refused = refuse_arguments(&recipe(), &policies);
            assert_eq!(refused.is_err(), is_refused, "{argument}: {refused:?}");
        }
    }

    #[test]
    fn a_recipe_that_asks_for_a_shared_libpython_is_as_the_option() {
        let mut policies = plan().request.policies;
        let mut recipe = recipe();
        let without: Vec<String> = arguments(&recipe, &policies).cloned().collect();
        assert!(!is_shared(&recipe) && !without.iter().any(|argument| asks_for_shared(argument)));
        policies.shared = true;
        let by_option: Vec<String> = arguments(&recipe, &policies).cloned().collect();
        assert!(by_option.len() > without.len(), "{by_option:?}");
        std::sync::Arc::make_mut(&mut recipe.shared).configure.arguments.insert(0, "--enable-shared".into());
        refuse_arguments(&recipe, &policies).unwrap();
        assert!(is_shared(&recipe));
        assert!(arguments(&recipe, &policies).eq(&by_option));
    }

    #[test]
    fn a_static_library_is_kept_unless_a_pattern_or_an_argument_says_otherwise() {
        let mut plan = plan();
        plan.strip = vec!["share/man".into(), "lib/python3.13/config-*/python.o".into()];
        assert!(is_kept_static(&plan).unwrap());
        for pattern in ["**/*.a", "lib/python3.13/config-*", "lib/python3.13/config-*/*.a"] {
            plan.strip = vec![pattern.into()];
            assert!(!is_kept_static(&plan).unwrap(), "{pattern}");
        }
        plan.strip = vec!["lib/*.a".into()];
        assert!(is_kept_static(&plan).unwrap(), "`*` stays within a directory");
        plan.configure.push("--without-static-libpython".into());
        assert!(!is_kept_static(&plan).unwrap());
        plan.configure.clear();
        plan.request.policies.shared = true;
        assert!(!is_kept_static(&plan).unwrap());
    }

    #[test]
    fn the_interpreter_alone_is_linked_with_the_options() {
        let mut words = vec!["A=b".to_owned(), "LINKFORSHARED=-pie".to_owned()];
        link_program(&mut words, "-x");
        assert_eq!(words, ["A=b", "LINKFORSHARED=-pie -x"]);
        let mut words = Vec::new();
        link_program(&mut words, "-x");
        assert_eq!(words, ["LINKFORSHARED=-Xlinker -export-dynamic -x"]);
        assert_eq!(link("-flto=jobserver -fuse-linker-plugin"), "-flto=auto -fuse-linker-plugin");
    }
}
