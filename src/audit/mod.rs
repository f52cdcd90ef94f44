//! Reads existing artifacts: what one contains, how two differ, whether one is reproducible, and whether a
//! tarball is fit to be installed.

pub mod compare;
pub mod inspect;
pub mod reproduce;
pub mod tarball;
