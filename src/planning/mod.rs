//! From a request to a [`BuildPlan`](crate::domain::plan::BuildPlan): the host's toolchain and inputs, the user's
//! choices, and the profile that fits. Nothing is built here.

pub mod choices;
pub mod inputs;
mod libpython;
mod loaded;
pub mod preflight;
pub mod profile;
pub mod resolve;
pub mod toolchain;
