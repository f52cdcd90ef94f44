//! What is to be built for a lock, and building it: what has the same options in one call.

use super::super::super::config::{BuildPlaces, Config};
use crate::domain::plan::{BuildPlan, Flavor};
use crate::domain::version::VersionRequest;
use crate::error::Result;
use crate::pipeline::{BuildOptions, Built, Pipeline};
use crate::planning::choices::Choices;

/// A release to build in one flavor.
pub(in super::super) struct Order {
    /// Exactly that release.
    pub(in super::super) version: VersionRequest,
    pub(in super::super) flavor: Flavor,
    pub(in super::super) choices: Choices,
}

/// The result of the orders of one release with the same options: one compilation makes all its flavors.
pub(in super::super) struct Delivery {
    /// The numbers of the orders.
    pub(in super::super) orders: Vec<usize>,
    /// The artifacts, in the order of the orders.
    pub(in super::super) built: Result<Vec<Built>>,
}

/// Where and with what it is built.
pub(in super::super) struct Workshop<'a> {
    pub(in super::super) config: &'a Config,
    pub(in super::super) pipeline: Pipeline<'a>,
    pub(in super::super) places: BuildPlaces,
    /// Whether missing packages may be installed.
    pub(in super::super) may_install: bool,
}

/// Releases that are built in one call.
struct Group<'a> {
    choices: &'a Choices,
    flavors: Vec<Flavor>,
    /// Each version with the numbers of its orders, one for each flavor.
    versions: Vec<(VersionRequest, Vec<usize>)>,
}

impl Workshop<'_> {
    /// Builds what the store does not have.
    ///
    /// # Errors
    /// Those that concern all versions.
    pub(in super::super) fn build(&self, orders: &[Order]) -> Result<Vec<Delivery>> {
        let mut deliveries = Vec::new();
        for group in groups(orders) {
            let results = self.pipeline.build(&group.requests(), &self.options(&group)?)?;
            for ((_, orders), result) in group.versions.into_iter().zip(results) {
                deliveries.push(Delivery { orders, built: result.built });
            }
        }
        Ok(deliveries)
    }

    /// Returns the plans, in the order of the orders. Nothing is built.
    ///
    /// # Errors
    /// Those of [`Pipeline::plan`].
    pub(in super::super) fn plans(&self, orders: &[Order]) -> Result<Vec<BuildPlan>> {
        let mut plans = Vec::new();
        for group in groups(orders) {
            let numbers = group.versions.iter().flat_map(|(_, numbers)| numbers.iter().copied());
            plans.extend(numbers.zip(self.pipeline.plan(&group.requests(), &self.options(&group)?)?));
        }
        plans.sort_by_key(|(number, _)| *number);
        Ok(plans.into_iter().map(|(_, plan)| plan).collect())
    }

    fn options(&self, group: &Group<'_>) -> Result<BuildOptions> {
        let mut options = self.config.build_options(&self.places, group.choices.clone(), group.flavors.clone())?;
        options.install_deps &= self.may_install;
        Ok(options)
    }
}

impl Group<'_> {
    fn requests(&self) -> Vec<VersionRequest> {
        self.versions.iter().map(|(version, _)| *version).collect()
    }
}

/// Puts together what is built in one call: the same options, and then the same flavors.
fn groups(orders: &[Order]) -> Vec<Group<'_>> {
    let mut releases: Vec<Group<'_>> = Vec::new();
    let mut numbers: Vec<usize> = (0..orders.len()).collect();
    // A pipeline returns `runtime` before `builder`.
    numbers.sort_by_key(|number| orders[*number].flavor);
    for number in numbers {
        let Order { version, flavor, choices } = &orders[number];
        let mut known = releases.iter_mut();
        let is_it = |group: &&mut Group<'_>| group.requests() == [*version] && is_same(group.choices, choices);
        match known.find(is_it) {
            // It is ordered twice.
            Some(group) if group.flavors.contains(flavor) => {
                releases.push(Group { choices, flavors: vec![*flavor], versions: vec![(*version, vec![number])] });
            }
            Some(group) => {
                group.flavors.push(*flavor);
                group.versions[0].1.push(number);
            }
            None => releases.push(Group { choices, flavors: vec![*flavor], versions: vec![(*version, vec![number])] }),
        }
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    for release in releases {
        let is_it = |group: &&mut Group<'_>| {
            let is_new = !group.requests().contains(&release.versions[0].0);
            is_new && group.flavors == release.flavors && is_same(group.choices, release.choices)
        };
        match groups.iter_mut().find(is_it) {
            Some(group) => group.versions.extend(release.versions),
            None => groups.push(release),
        }
    }
    groups
}

fn is_same(a: &Choices, b: &Choices) -> bool {
    (&a.prefix, a.optimize, &a.profile, &a.policies) == (&b.prefix, b.optimize, &b.profile, &b.policies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::{Bytecode, Hardening, LibraryPolicy, Policies};

    fn order(version: &str, flavor: Flavor, bytecode: Bytecode) -> Order {
        let policies = Policies {
            bytecode,
            library_policy: LibraryPolicy::Bundle,
            hardening: Hardening::Full,
            shared: false,
            debug_files: false,
            configure_arguments: Vec::new(),
            compiler_variables: std::collections::BTreeMap::new(),
            patches: Vec::new(),
        };
        let prefix = "/opt/{series}".parse().unwrap();
        let choices = Choices { prefix, optimize: None, profile: None, policies, patches: Vec::new() };
        Order { version: version.parse().unwrap(), flavor, choices }
    }

    #[test]
    fn what_has_the_same_options_is_built_in_one_call() {
        use Flavor::{Builder, Runtime};
        let (strip, keep) = (Bytecode::Strip, Bytecode::UncheckedHash);
        let orders = [
            order("3.13.5", Builder, strip),
            order("3.14.6", Runtime, strip),
            order("3.13.5", Runtime, strip),
            order("3.14.6", Builder, strip),
            order("3.12.3", Runtime, strip),
            order("3.13.5", Runtime, keep),
            order("3.13.5", Runtime, strip),
        ];
        let described: Vec<_> = groups(&orders)
            .iter()
            .map(|group| {
                let versions = group.versions.iter().map(|(version, numbers)| format!("{version} {numbers:?}"));
                (group.flavors.len(), versions.collect::<Vec<_>>().join(", "))
            })
            .collect();
        let expected = [
            (2, "3.14.6 [1, 3], 3.13.5 [2, 0]".to_owned()),
            (1, "3.12.3 [4], 3.13.5 [6]".to_owned()),
            (1, "3.13.5 [5]".to_owned()),
        ];
        assert_eq!(described, expected);
    }
}
