//! Reads existing artifacts: what one contains, and how two differ.

pub mod compare;
pub mod inspect;
