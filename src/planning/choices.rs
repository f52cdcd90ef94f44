//! The user's choices besides the version.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::configure::check_argument;
use crate::domain::digest::Digest;
use crate::domain::plan::{ArtifactRequest, FORMAT, Flavor, Optimize, Policies};
use crate::domain::prefix::PrefixTemplate;
use crate::domain::target::Target;
use crate::error::{Error, FlagProblem, Result};
use crate::planning::libpython;
use crate::recipe::{PatchText, ReleaseRecipe};

/// The user's choices besides the version.
#[derive(Debug, Clone)]
pub struct Choices {
    /// The compiled-in prefix.
    pub prefix: PrefixTemplate,
    /// How the interpreter is optimised; none is the recipe's default.
    pub optimize: Option<Optimize>,
    /// The profile, if it is not to be the recipe's.
    pub profile: Option<NamedProfile>,
    /// The other options that decide bytes.
    pub policies: Policies,
    /// The texts of the user's patches, which are applied after the recipe's.
    pub patches: Vec<PatchText>,
}

impl Choices {
    /// The compiler: `CC`, or gcc.
    #[must_use]
    pub fn cc(&self) -> &str {
        self.policies.compiler_variables.get("CC").map_or("gcc", String::as_str)
    }

    /// Checks that the compiler's variables have none of some flags.
    ///
    /// # Errors
    /// [`Error::CompilerFlag`] for the first of them that a variable has.
    pub fn refuse_flags(&self, flags: &[&str], problem: FlagProblem) -> Result<()> {
        let all = self.policies.compiler_variables.iter();
        let mut all = all.flat_map(|(name, text)| text.split_whitespace().map(move |word| (name.as_str(), word)));
        match all.find(|(_, word)| flags.contains(word)) {
            None => Ok(()),
            Some((variable, flag)) => {
                Err(Error::CompilerFlag { variable: variable.to_owned(), flag: flag.to_owned(), problem })
            }
        }
    }

    /// Checks the further arguments of configure.
    ///
    /// # Errors
    /// [`Error::ConfigureArgument`] for the first that a build cannot have.
    pub fn check_arguments(&self) -> Result<()> {
        self.policies.configure_arguments.iter().try_for_each(|argument| {
            check_argument(argument).map_err(|problem| Error::ConfigureArgument { argument: argument.clone(), problem })
        })
    }

    /// Returns how a release is optimised.
    #[must_use]
    pub fn optimize(&self, recipe: &ReleaseRecipe) -> Optimize {
        // To name a profile is to ask for an optimised build.
        let named = self.profile.as_ref().map(|_| Optimize::Pgo);
        self.optimize.or(named).unwrap_or_else(|| recipe.default_optimize())
    }

    /// Returns the request, by which `install` looks up: everything that can be chosen without a toolchain.
    #[must_use]
    pub fn request(&self, recipe: &ReleaseRecipe, flavor: Flavor, target: Target) -> ArtifactRequest {
        let mut policies = self.policies.clone();
        policies.shared |= libpython::is_shared(recipe);
        policies.patches = self.patches.iter().map(PatchText::planned).collect();
        ArtifactRequest {
            format: FORMAT,
            release: recipe.version,
            variant: recipe.variant,
            flavor,
            target,
            prefix: self.prefix.prefix(recipe.version, recipe.variant),
            optimize: self.optimize(recipe),
            named_profile: self.profile.as_ref().map(|profile| profile.digest),
            policies,
        }
    }
}

/// Appends words to a variable.
pub fn append(variables: &mut BTreeMap<String, String>, name: &str, words: &str) {
    let words = words.trim();
    if words.is_empty() {
        return;
    }
    let value = variables.entry(name.to_owned()).or_default();
    if !value.is_empty() {
        value.push(' ');
    }
    value.push_str(words);
}

/// A profile that a user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedProfile {
    /// The SHA-256 of its archive.
    pub digest: Digest,
    /// The file; none if it is to be found in the store by its digest.
    pub file: Option<PathBuf>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::Choices;
    use crate::domain::plan::tests::plan;

    /// The choices of a user who sets some compiler variables and nothing else.
    pub(in crate::planning) fn choices(variables: &[(&str, &str)]) -> Choices {
        let mut policies = plan().request.policies;
        policies.compiler_variables = variables.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        Choices { prefix: "/opt/python".parse().unwrap(), optimize: None, profile: None, policies, patches: Vec::new() }
    }
}
