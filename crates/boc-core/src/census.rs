//! Counting the cowns that are alive.
//!
//! Every thread that makes or destroys a cown has a *tally*, which only it writes. The tallies are in
//! a list that only grows; when a thread ends, its tally stays, with what it says, and the next new
//! thread goes on with it. So making a cown is a load and a store to memory that no other processor
//! writes, there is no lock that a fork could leave taken, and there are as many tallies as there have
//! been threads at the same time.

#[cfg(any(test, not(loom)))]
mod list;
#[cfg(not(loom))]
mod process;

#[cfg(not(loom))]
pub use process::live_cowns;
#[cfg(not(loom))]
pub(crate) use process::{destroy, make};

/// Under the checker there is no census of the process, which would tie its runs together.
#[cfg(loom)]
pub(crate) fn make() {}

#[cfg(loom)]
pub(crate) fn destroy() {}
