//! The sections of a recipe, one a file: as written (`Written`), as checked, and the part of the
//! digest that it decides. A new key of a section is added in that file alone.

pub(super) mod configure;
pub(super) mod flavor;
pub(super) mod hardening;
pub(super) mod library;
pub(super) mod make;
pub(super) mod modules;
pub(super) mod patch;
pub(super) mod pgo;
pub(super) mod profile;
pub(super) mod release;
pub(super) mod shared;
pub(super) mod source;
