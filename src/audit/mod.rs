//! Reads existing artifacts: what one contains, how two differ, whether one is reproducible, whether a
//! tarball is fit to be installed, and whether an image is a good container for Python.

pub mod check;
pub mod compare;
pub mod inspect;
pub mod reproduce;
pub mod tarball;
