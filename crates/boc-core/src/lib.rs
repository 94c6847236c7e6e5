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
//! - `std` (default): [`Runtime`] with worker threads, blocking waits, panics of a behaviour kept
//!   inside of it, and [`explore`] to test programs under many schedules.
//!
//! # Without `std`
//!
//! With `default-features = false` the crate needs `core` and `alloc` only: a global allocator, and
//! a machine with atomic pointers. Behaviours then run on a [`Pump`] or an [`Executor`] of your own;
//! `tests/no-std` of the repository is a whole program with both.
//!
//! ```
//! use boc_core::{Cown, Pump};
//!
//! let pump = Pump::new();
//! let readings = Cown::new(Vec::new());
//! pump.executor().when(&readings, |readings| readings.push(21));
//! // There is no waiting: what comes next is one more behaviour, over a handle.
//! let sum = pump.executor().when(&readings, |readings| readings.iter().sum::<i32>());
//! let doubled = pump.executor().when(&sum, |sum| sum.value().map(|sum| sum * 2));
//! // In the main loop.
//! pump.run_until_idle();
//! assert!(doubled.is_finished());
//! ```
//!
//! What is different:
//!
//! - A panic is whatever your panic handler makes of it. It must not return to the behaviour's
//!   executor by unwinding: the cowns of that behaviour would never be released.
//! - Scheduling waits for whoever is just scheduling over the same cowns. Threads with time slices
//!   never notice. An interrupt handler, or a task that always goes before others, must not schedule
//!   where it can have interrupted that: let the main loop schedule, or close interrupts around it.
//! - When the last handle to a cown goes, its value goes at once, as it does with `std`; but if eight
//!   cowns are being destroyed at that moment, nested or on different threads, one of those threads
//!   destroys it a little later.
#![cfg_attr(not(any(feature = "std", loom)), no_std)]
// The pages are written for the whole crate; some of what they refer to needs `std`.
#![cfg_attr(not(feature = "std"), allow(rustdoc::broken_intra_doc_links))]

extern crate alloc;

mod backoff;
mod batch;
mod behaviour;
mod burial;
#[cfg(feature = "std")]
mod claim;
mod completion;
mod conclusion;
mod cown;
mod executor;
#[cfg(all(feature = "std", not(loom)))]
pub mod explore;
mod handle;
mod mpsc;
mod outcome;
mod promise;
mod pump;
pub mod raw;
mod readers;
mod request;
#[cfg(feature = "std")]
mod runtime;
mod schedule;
mod scope;
#[cfg(feature = "std")]
mod signal;
mod slot;
mod sync;
mod turn;
mod work;

pub use batch::Batch;
pub use cown::{Cown, WeakCown};
pub use executor::{Executor, ExecutorRef, Ready};
pub use handle::Handle;
pub use outcome::{Failure, Outcome, Panic};
pub use promise::Promise;
pub use pump::Pump;
pub use request::{Access, Accessed, Acquire, Acquired, Read, Request, acquire, read};
pub use schedule::DuplicateCown;
pub use scope::Scope;
pub use work::Step;

#[cfg(feature = "std")]
pub use outcome::set_unobserved_panic_hook;
#[cfg(feature = "std")]
pub use runtime::{
    Builder, Host, QuiesceError, RunWorkerError, Runtime, WorkerStats, inside_behaviour, when,
    when_detached,
};
