//! The engine of boc: behaviour-oriented concurrency (BoC) for Rust.
//!
//! A [`Cown`] (concurrently owned) holds data. A *behaviour* is a closure together with the
//! cowns it needs. It runs once, on some worker, when it holds all of them at the same time:
//!
//! ```
//! use boc_core::{Cown, Runtime};
//!
//! let runtime = Runtime::new();
//! let alice = Cown::new(100_i64);
//! let bob = Cown::new(0_i64);
//!
//! runtime.when((&alice, &bob), |(from, to)| {
//!     *from -= 30;
//!     *to += 30;
//! });
//! let total = runtime.when((&alice, &bob), |(a, b)| *a + *b);
//! assert_eq!(total.wait().unwrap(), 100);
//! ```
//!
//! What holds, always:
//!
//! - **No data race.** A cown's data is reached only by the behaviour that holds the cown.
//! - **No deadlock.** Behaviours never hold some of their cowns while they wait for others in a
//!   different order; the order is the runtime's, not the programmer's.
//! - **Order.** Two behaviours that share a cown run in the order in which they were scheduled.
//!
//! The model is that of Cheeseman et al., *When Concurrency Matters: Behaviour-Oriented
//! Concurrency*, OOPSLA 2023.
//!
//! # Features
//!
//! - `std` (default): [`Runtime`] with worker threads, blocking waits, and panics of a behaviour
//!   kept inside of it. Without it the crate needs `core` and `alloc` only; behaviours then run on
//!   a [`Pump`] or an [`Executor`] of your own, and a panic is whatever your panic handler makes
//!   of it.
#![cfg_attr(not(any(feature = "std", loom)), no_std)]

extern crate alloc;

mod backoff;
mod batch;
mod behaviour;
#[cfg(feature = "std")]
mod burial;
#[cfg(feature = "std")]
mod claim;
mod completion;
mod conclusion;
mod cown;
mod executor;
mod handle;
mod mpsc;
mod outcome;
mod pump;
pub mod raw;
mod readers;
mod request;
#[cfg(feature = "std")]
mod runtime;
mod schedule;
#[cfg(feature = "std")]
mod signal;
mod slot;
mod sync;

pub use batch::Batch;
pub use cown::{Cown, WeakCown};
pub use executor::{Executor, ExecutorRef, Ready};
pub use handle::Handle;
pub use outcome::{Failure, Outcome, Panic};
pub use pump::Pump;
pub use request::{Access, Accessed, Read, Request, read};
pub use schedule::DuplicateCown;

#[cfg(feature = "std")]
pub use outcome::set_unobserved_panic_hook;
#[cfg(feature = "std")]
pub use runtime::{
    Builder, Host, QuiesceError, RunWorkerError, Runtime, WorkerStats, inside_behaviour, when,
};
