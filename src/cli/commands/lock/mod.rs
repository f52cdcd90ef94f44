//! `pykeel lock`: writes which artifact each version means.

mod table;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use serde::Serialize;

use super::super::args::LockArgs;
use super::super::config::Config;
use super::super::settings::Origin;
use super::super::timings::Recorder;
use super::locked::{Delivery, Given, Order, Workshop, contradictions};
use super::stored::{InStore, from_store, others_of_series};
use super::{full_versions, print, sorted_out, warn_of_unreadable};
use crate::domain::digest::Digest;
use crate::domain::plan::Flavor;
use crate::domain::prefix::PrefixTemplate;
use crate::domain::pykeel_lock::{
    EntryChange, LockedArtifact, LockedRequest, MOST_REMOTES, PykeelLock, changes, exact,
};
use crate::domain::target::Target;
use crate::error::{Error, PykeelLockError, Result};
use crate::event::{Event, Reporter};
use crate::pipeline::Built;
use crate::planning::choices::Choices;
use crate::pykeel_lock::LockFile;
use crate::recipe::{Catalog, ReleaseRecipe};
use crate::store::StoredArtifact;
use crate::store::remote::Address;

/// What became of a lock.
#[derive(Debug, Serialize)]
struct Output<'a> {
    #[serde(serialize_with = "super::lossy")]
    lock: &'a Path,
    /// Whether it has another content now.
    written: bool,
    changes: &'a [EntryChange],
    entries: Vec<Locked<'a>>,
}

/// An entry of the lock.
#[derive(Debug, Serialize)]
struct Locked<'a> {
    #[serde(flatten)]
    request: &'a LockedRequest,
    #[serde(flatten)]
    artifact: &'a LockedArtifact,
}

/// An artifact that is to be locked.
struct Wanted {
    request: LockedRequest,
    recipe: ReleaseRecipe,
    choices: Choices,
}

pub(super) fn run(args: &LockArgs, config: &Config) -> Result<u8> {
    let catalog = config.catalog()?;
    let versions = if args.remove { Vec::new() } else { full_versions(&args.versions, &catalog)? };
    let recorder = Recorder::new(config, &args.artifacts.flags, versions)?;
    let outcome = lock(args, config, &catalog, &recorder);
    recorder.finish(outcome)
}

fn lock(args: &LockArgs, config: &Config, catalog: &Catalog, reporter: &Recorder<'_>) -> Result<u8> {
    let jobs = config.jobs()?;
    let workshop = Workshop {
        config,
        pipeline: config.pipeline(catalog, reporter, &jobs),
        places: (&args.artifacts.flags).into(),
        may_install: true,
    };
    let writes = !args.dry_run && !args.check;
    let file = if writes { LockFile::read_to_write(&args.lock, reporter) } else { LockFile::read(&args.lock) }?;
    let given = Given::of_built(config, &args.artifacts);
    let after = Locking { args, file: &file, given, workshop }.after()?;
    let changes = changes(file.content(), &after);
    note_other_targets(&changes, &after, reporter);
    let written = writes && !changes.is_empty();
    let output = Output {
        lock: &args.lock,
        written,
        changes: &changes,
        entries: after.entries.iter().map(|(request, artifact)| Locked { request, artifact }).collect(),
    };
    let print = || print(config, &output, || table::text(&args.lock, &changes));
    if written && config.json {
        // Whoever reads it takes it for done.
        file.write(&after)?;
        print()?;
    } else {
        print()?;
        if written {
            file.write(&after)?;
            reporter.report(Event::Note(format!("{} is written", args.lock.display())));
        }
    }
    if args.check && !changes.is_empty() {
        return Err(PykeelLockError::OutOfDate { lock: args.lock.clone() }.into());
    }
    Ok(0)
}

/// Says which targets still have the release of before.
fn note_other_targets(changes: &[EntryChange], after: &PykeelLock, reporter: &dyn Reporter) {
    let mut behind: BTreeMap<Target, Vec<String>> = BTreeMap::new();
    for change in changes {
        let Some(new) = &change.after else { continue };
        for (request, artifact) in &after.entries {
            let is_other = (request.version, request.flavor) == (change.request.version, change.request.flavor)
                && request.target != change.request.target;
            if is_other && artifact.version() != new.version() {
                behind.entry(request.target).or_default().push(format!(
                    "{} is {}",
                    request.version,
                    artifact.version()
                ));
            }
        }
    }
    for (target, releases) in behind {
        let text = format!("on {target} {}: lock it on a machine of that kind", releases.join(", "));
        reporter.report(Event::Note(text));
    }
}

/// What the command does, and what it does it with.
struct Locking<'a> {
    args: &'a LockArgs,
    file: &'a LockFile,
    given: Given<'a>,
    workshop: Workshop<'a>,
}

impl Locking<'_> {
    /// Returns the content that the lock is to have.
    fn after(&self) -> Result<PykeelLock> {
        let mut after = self.file.content().clone();
        if self.args.remove {
            for version in &self.args.versions {
                let before = after.entries.len();
                after.entries.retain(|request, _| request.version != *version || !self.may_remove(request.flavor));
                if after.entries.len() == before {
                    return Err(self.not_locked(version.to_string()));
                }
            }
            return Ok(after);
        }
        let mut wanted = Vec::new();
        for request in self.requests()? {
            wanted.extend(self.wanted(request)?);
        }
        let found = if self.args.build { self.built(&wanted)? } else { self.stored(&wanted)? };
        after.entries.extend(self.with_remotes(found)?);
        Ok(after)
    }

    /// Notes where artifacts are to be had.
    fn with_remotes(
        &self,
        found: Vec<(LockedRequest, LockedArtifact)>,
    ) -> Result<Vec<(LockedRequest, LockedArtifact)>> {
        let (remotes, reporter) = (&self.given.config.remotes, self.workshop.pipeline.reporter);
        let mut answers: BTreeMap<Digest, Vec<(Address, bool)>> = BTreeMap::new();
        let mut entries = Vec::new();
        for (request, mut artifact) in found {
            let asked = match answers.entry(artifact.digest) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(remotes.that_offer(artifact.digest, reporter)?),
            };
            // What cannot be asked here and now, and had it before, has it still.
            let before = self.file.content().entries.get(&request).filter(|before| before.digest == artifact.digest);
            let mut known = before.map(|before| before.remotes.clone()).unwrap_or_default();
            for (address, offers) in asked.iter() {
                let Some(address) = address.in_lock() else { continue };
                if *offers {
                    known.insert(address);
                } else {
                    known.remove(&address);
                }
            }
            if !asked.is_empty() && !asked.iter().any(|(_, offers)| *offers) {
                reporter.report(Event::Note(format!("no remote has {request} yet: `pykeel push` gives it to one")));
            }
            artifact.remotes = known.into_iter().take(MOST_REMOTES).collect();
            entries.push((request, artifact));
        }
        Ok(entries)
    }

    /// The flavors that are set, if they are set.
    fn flavors(&self) -> Option<Vec<Flavor>> {
        let flavor = &self.given.config.settings.flavor;
        (flavor.origin != Origin::Default).then(|| flavor.value.flavors())
    }

    fn may_remove(&self, flavor: Flavor) -> bool {
        // Only the command line says what goes.
        self.args.artifacts.flavor.is_none_or(|named| named.flavors().contains(&flavor))
    }

    fn not_locked(&self, request: String) -> Error {
        let lock = self.file.path().to_owned();
        let has = self.file.content().entries.keys().map(ToString::to_string).collect();
        PykeelLockError::NotLocked { lock, request, has }.into()
    }

    /// Returns what is to be locked: what the user names, or what is locked for this machine.
    fn requests(&self) -> Result<Vec<LockedRequest>> {
        let (lock, target) = (self.file.content(), Target::OF_THIS_PROGRAM);
        if self.args.versions.is_empty() {
            let is_wanted = |request: &&LockedRequest| {
                request.target == target && self.flavors().is_none_or(|flavors| flavors.contains(&request.flavor))
            };
            let requests: Vec<_> = lock.entries.keys().filter(is_wanted).copied().collect();
            if requests.is_empty() {
                let place = self.file.path().display();
                return Err(Error::Usage(format!("{place} locks nothing for {target}: name the versions to lock")));
            }
            return Ok(requests);
        }
        let mut requests = Vec::new();
        for version in &self.args.versions {
            let locked: Vec<Flavor> = lock.flavors(*version, target).collect();
            let usual = if locked.is_empty() { vec![Flavor::Runtime] } else { locked };
            for flavor in self.flavors().unwrap_or(usual) {
                let request = LockedRequest { version: *version, flavor, target };
                if !requests.contains(&request) {
                    requests.push(request);
                }
            }
        }
        Ok(requests)
    }

    /// Returns what has to be looked for, or `None` if what is locked stays.
    fn wanted(&self, request: LockedRequest) -> Result<Option<Wanted>> {
        let pipeline = &self.workshop.pipeline;
        let allow_eol = self.given.config.settings.allow_eol.value;
        // Whether somebody forgot to lock can be said without a store.
        let only_checks = self.args.check && !self.args.upgrade;
        let Some(locked) = self.file.content().entries.get(&request) else {
            if only_checks {
                return Err(self.not_locked(request.to_string()));
            }
            let recipe = pipeline.recipe(request.version, allow_eol)?;
            return Ok(Some(Wanted { request, recipe, choices: self.given.choices()? }));
        };
        let options = self.given.over(&locked.plan.options)?;
        let differing = contradictions(&locked.plan.options.rows(), &options.rows());
        if !self.args.upgrade && differing.is_empty() {
            return Ok(None);
        }
        if only_checks {
            let (lock, request) = (self.file.path().to_owned(), request.to_string());
            return Err(PykeelLockError::OtherOptions { lock, request, differences: differing }.into());
        }
        // Other options are no reason for another release.
        let version = if self.args.upgrade { request.version } else { locked.version() };
        let mut recipe = pipeline.recipe(version, allow_eol)?;
        if recipe.version < locked.plan.release {
            let (newest, stays) = (recipe.full_version(), locked.version());
            let text = format!("the newest {version} of the recipes is {newest}: {request} stays at {stays}");
            pipeline.reporter.report(Event::Warning(text));
            if differing.is_empty() {
                return Ok(None);
            }
            recipe = pipeline.recipe(stays, allow_eol)?;
        }
        Ok(Some(Wanted { request, recipe, choices: self.given.choices_of(&options)? }))
    }

    /// Takes the newest artifacts of the store.
    fn stored(&self, wanted: &[Wanted]) -> Result<Vec<(LockedRequest, LockedArtifact)>> {
        if !wanted.is_empty() {
            warn_of_unreadable(self.given.config, &self.given.config.reporter)?;
        }
        let found = wanted.iter().map(|wanted| {
            let artifact = self.newest(wanted).and_then(|artifact| described(wanted, &artifact));
            (wanted.recipe.full_version(), artifact)
        });
        let (found, failure) = sorted_out(found)?;
        failure.map_or(Ok(found), Err)
    }

    fn newest(&self, wanted: &Wanted) -> Result<StoredArtifact> {
        let Wanted { request, recipe, choices } = wanted;
        let artifact = choices.request(recipe, request.flavor, request.target);
        let why = match from_store(&artifact, recipe.digest(), None, self.given.config, &self.given.config.reporter)? {
            InStore::Usable(artifact) => return Ok(*artifact),
            InStore::Unfit(why) => Some(why),
            InStore::Nothing => others_of_series(recipe, self.given.config)?,
        };
        let version = recipe.full_version();
        let command = self.command(wanted);
        Err(PykeelLockError::NothingToLock { version, flavor: request.flavor.to_string(), why, command }.into())
    }

    /// The command line that builds an artifact with the options that no file and no variable sets.
    fn command(&self, wanted: &Wanted) -> String {
        let (settings, Choices { policies, .. }) = (&self.given.config.settings, &wanted.choices);
        let mut words = vec!["pykeel".to_owned(), "build".to_owned(), wanted.recipe.full_version()];
        let mut add = |name: &str, value: &str, usual: &str| {
            if value != usual {
                words.extend([format!("--{name}"), value.to_owned()]);
            }
        };
        // What was set on this command line will have to be set on that one too.
        let usual = |origin: &Origin, value: &dyn ToString, default: &str| match origin {
            Origin::CommandLine | Origin::Default => default.to_owned(),
            Origin::File { .. } | Origin::Environment { .. } => value.to_string(),
        };
        let runtime = Flavor::Runtime.to_string();
        let prefix = usual(&settings.prefix.origin, &settings.prefix.value, PrefixTemplate::DEFAULT);
        add("flavor", wanted.request.flavor.name(), &usual(&settings.flavor.origin, &"", &runtime));
        add("prefix", &wanted.choices.prefix.to_string(), &prefix);
        add(
            "libraries",
            policies.library_policy.name(),
            &usual(&settings.libraries.origin, &settings.libraries.value, "bundle"),
        );
        add("bytecode", policies.bytecode.name(), &usual(&settings.bytecode.origin, &settings.bytecode.value, "strip"));
        add(
            "hardening",
            policies.hardening.name(),
            &usual(&settings.hardening.origin, &settings.hardening.value, "full"),
        );
        let how = wanted.choices.optimize(&wanted.recipe);
        let usually = settings.optimize.value.filter(|_| settings.optimize.origin != Origin::CommandLine);
        add("optimize", how.name(), usually.unwrap_or_else(|| wanted.recipe.default_optimize()).name());
        if let Some(profile) = &wanted.choices.profile {
            let file = profile.file.as_ref().map(|file| file.display().to_string());
            words.extend(["--profile".to_owned(), file.unwrap_or_else(|| format!("sha256:{}", profile.digest))]);
        }
        words.extend(policies.shared.then(|| "--shared".to_owned()));
        words.extend(policies.debug_files.then(|| "--debug-files".to_owned()));
        for argument in &policies.configure_arguments {
            words.extend(["--configure-arg".to_owned(), argument.clone()]);
        }
        // No argument of configure and no path of a prefix has a NUL.
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }

    /// Builds what is to be locked.
    fn built(&self, wanted: &[Wanted]) -> Result<Vec<(LockedRequest, LockedArtifact)>> {
        let order = |wanted: &Wanted| Order {
            version: exact(wanted.recipe.version, wanted.recipe.variant),
            flavor: wanted.request.flavor,
            choices: wanted.choices.clone(),
        };
        let orders: Vec<Order> = wanted.iter().map(order).collect();
        let deliveries = self.workshop.build(&orders)?.into_iter().map(|Delivery { orders, built }| {
            let entries = built.and_then(|built| {
                let entry = |(number, built): (&usize, Built)| described(&wanted[*number], &built.artifact);
                orders.iter().zip(built).map(entry).collect::<Result<Vec<_>>>()
            });
            (orders.first().map(|number| wanted[*number].recipe.full_version()).unwrap_or_default(), entries)
        });
        let (built, failure) = sorted_out(deliveries)?;
        failure.map_or_else(|| Ok(built.into_iter().flatten().collect()), Err)
    }
}

/// Returns the entry of an artifact.
fn described(wanted: &Wanted, artifact: &StoredArtifact) -> Result<(LockedRequest, LockedArtifact)> {
    let manifest = artifact.read_manifest()?;
    Ok((wanted.request, LockedArtifact::of(&artifact.record, &manifest, &wanted.choices.prefix)))
}
