//! What extensions in C and C++ can do: take part in the scheduler of the Python program that has loaded
//! them, by the functions of libboc, which this library contains, and some for Python's cowns.
//!
//! - [`api`]: the functions for Python's cowns, and the capsule by which an extension finds all of them;
//! - [`native`]: cowns that an extension has made, as Python sees them;
//! - [`objects`]: one Python object for each cown;
//! - [`host`]: what is different from a program that links libboc.

mod api;
mod host;
pub(crate) mod native;
pub(crate) mod objects;

pub(crate) use api::add_capsule;
