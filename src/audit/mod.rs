//! Reads existing artifacts: what one contains, how two differ, and whether one is reproducible.

pub mod compare;
pub mod inspect;
pub mod reproduce;
