//! The options of a lock's entry, together with those that are set now.

use super::super::super::args::{BuiltArtifacts, PolicyArgs, WantedArtifacts};
use super::super::super::config::Config;
use super::super::super::settings::{Origin, Setting};
use crate::domain::plan::Optimize;
use crate::domain::pykeel_lock::LockedOptions;
use crate::error::Result;
use crate::planning::choices::{Choices, NamedProfile};

/// The options that are set now: on the command line, in the environment and in files.
#[derive(Clone, Copy)]
pub(in super::super) struct Given<'a> {
    pub(in super::super) config: &'a Config,
    policies: &'a PolicyArgs,
    debug_files: bool,
}

impl<'a> Given<'a> {
    pub(in super::super) const fn of_built(config: &'a Config, args: &'a BuiltArtifacts) -> Self {
        Self { config, policies: &args.policies, debug_files: args.debug_files }
    }

    pub(in super::super) const fn of_wanted(config: &'a Config, args: &'a WantedArtifacts) -> Self {
        Self { config, policies: &args.policies, debug_files: false }
    }
}

impl Given<'_> {
    /// Returns the options of an entry, those that are set now in place of what is locked. The compiler's variables are
    /// no options in this sense: they count where something is built.
    ///
    /// # Errors
    /// [`Error::Unreadable`](crate::error::Error::Unreadable) for a profile that cannot be read.
    pub(in super::super) fn over(&self, locked: &LockedOptions) -> Result<LockedOptions> {
        let settings = &self.config.settings;
        let mut options = locked.clone();
        take(&settings.prefix, &mut options.prefix);
        take(&settings.libraries, &mut options.libraries);
        take(&settings.bytecode, &mut options.bytecode);
        take(&settings.hardening, &mut options.hardening);
        take(&settings.shared, &mut options.shared);
        options.optimize = settings.optimize.value.unwrap_or(options.optimize);
        options.debug_files |= self.debug_files;
        if let Some(profile) = &self.policies.profile {
            options.profile = Some(profile.find()?.digest);
            // To name a profile is to ask for an optimised build.
            options.optimize = settings.optimize.value.unwrap_or(Optimize::Pgo);
        }
        if !self.policies.configure.arguments.is_empty() {
            options.configure_arguments.clone_from(&self.policies.configure.arguments);
        }
        Ok(options)
    }

    /// Returns the choices of options, with the compiler's variables of the environment.
    ///
    /// # Errors
    /// Those of [`Config::choices`].
    pub(in super::super) fn choices_of(&self, options: &LockedOptions) -> Result<Choices> {
        let mut once = self.policies.once(options.debug_files);
        once.configure_arguments.clone_from(&options.configure_arguments);
        let mut choices = self.config.choices(options.prefix.clone(), once, self.policies.profile.as_ref())?;
        choices.optimize = Some(options.optimize);
        choices.policies.library_policy = options.libraries;
        choices.policies.bytecode = options.bytecode;
        choices.policies.hardening = options.hardening;
        choices.policies.shared = options.shared;
        if choices.profile.is_none() {
            choices.profile = options.profile.map(|digest| NamedProfile { digest, file: None });
        }
        Ok(choices)
    }

    /// Returns the choices of a user who has locked nothing yet.
    ///
    /// # Errors
    /// Those of [`Config::choices`].
    pub(in super::super) fn choices(&self) -> Result<Choices> {
        let prefix = self.config.settings.prefix.value.clone();
        self.config.choices(prefix, self.policies.once(self.debug_files), self.policies.profile.as_ref())
    }
}

/// Takes a setting that is set.
fn take<T: Clone>(setting: &Setting<T>, to: &mut T) {
    if setting.origin != Origin::Default {
        to.clone_from(&setting.value);
    }
}
