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
//! - **No data race.** A cown's data is reached only by the behaviour that holds the cown, or by
//!   several that only read it.
//! - **No deadlock.** Behaviours never hold some of their cowns while they wait for others in a
//!   different order; the order is the runtime's, not the programmer's.
//! - **Order.** Two behaviours that share a cown run in the order in which they were scheduled.
//!
//! The model is that of Cheeseman et al., *When Concurrency Matters: Behaviour-Oriented
//! Concurrency*, OOPSLA 2023.
//!
//! # What a program is made of
//!
//! **Scheduling** returns at once. Inside of a behaviour the free [`when`] schedules on the same
//! runtime, and [`acquire`] lends the cowns, so that they can be named again:
//!
//! ```
//! use boc_core::{Acquired, Cown, Runtime, acquire, when};
//!
//! fn halve(mut number: Acquired<'_, u32>) {
//!     if number.is_multiple_of(2) {
//!         *number /= 2;
//!         // Others that wait for the number come first.
//!         when(acquire(number.cown()), halve);
//!     }
//! }
//!
//! let runtime = Runtime::new();
//! let number = Cown::new(96);
//! runtime.scope(|scope| {
//!     scope.when(acquire(&number), halve);
//! });
//! assert_eq!(runtime.when(&number, |n| *n).wait().unwrap(), 3);
//! ```
//!
//! **Requests** name any number of cowns, in tuples, slices and lists: see [`Request`]. Those that a
//! behaviour only [`read`]s it shares with others that read. Several behaviours can be scheduled as one
//! step, between which nobody comes: see [`Batch`].
//!
//! **Results** are cowns, too. The [`Handle`] that scheduling returns can be waited for outside of
//! behaviours, awaited in async code, cancelled, or scheduled over:
//!
//! ```
//! use boc_core::{Cown, Promise, Runtime, read};
//!
//! let runtime = Runtime::new();
//! let words = Cown::new(vec!["to", "be", "or", "not"]);
//! let count = runtime.when(read(&words), |words| words.len());
//! // From outside of all behaviours: a timer, a socket, another runtime.
//! let (promise, bonus) = Promise::new();
//! let total = runtime.when((&count, &bonus), |(count, bonus)| {
//!     count.take().unwrap() + bonus.take().unwrap()
//! });
//! promise.fulfil(2).unwrap();
//! assert_eq!(total.wait().unwrap(), 6);
//! ```
//!
//! Waiting *inside* of a behaviour panics, since it could deadlock; that is what scheduling over a
//! handle is for. Who has no use for the outcome schedules by [`when_detached`]; who wants the same
//! behaviour to run again and again, by [`ExecutorRef::when_repeated`]; who wants all that some
//! behaviours lead to, in a [`Scope`].
//!
//! **Messages** under tags, from any thread to any thread, are in [`mailbox`].
//!
//! **Panics** stay inside: the cowns go on to those that wait for them, and the handle has the payload.
//!
//! **Executors** say where behaviours run: on the workers of a [`Runtime`], on whatever thread pumps a
//! [`Pump`], or on an [`Executor`] of one's own. Cowns belong to none of them.
//!
//! # Seeing what happens
//!
//! [`Runtime::stats`] and [`Runtime::in_flight`] count, always, and so does [`live_cowns`]. A runtime
//! that is built to be [observed](observe) can say more: which behaviours have not ended, and *why*,
//! what happened when, and that a worker is stuck in somebody's code:
//!
//! ```
//! use boc_core::{Builder, Cown};
//! use std::{sync::mpsc, time::Duration};
//!
//! let (told, stalls) = mpsc::channel();
//! let runtime = Builder::new()
//!     .events(1_000)
//!     .watchdog(Duration::from_millis(10), move |stall| drop(told.send(stall.clone())))
//!     .build()
//!     .unwrap();
//! let account = Cown::new(100);
//! let (go_on, may_go_on) = mpsc::channel::<()>();
//! runtime.when_detached(&account, move |_| may_go_on.recv().unwrap());
//! runtime.when_detached(&account, |balance| *balance -= 30);
//!
//! // worker 0 has been inside of #1 for 10.1ms, scheduled at src/main.rs:12:9
//! //     holds cown 0x7f44a0000c20 to write
//! //     in the way of #2 waiting for 10.1ms, scheduled at src/main.rs:13:9
//! println!("{}", stalls.recv().unwrap());
//! // The same, for all behaviours.
//! println!("{}", runtime.report());
//! go_on.send(()).unwrap();
//! runtime.quiesce(None).unwrap();
//! for event in runtime.take_events().events {
//!     println!("{event}");
//! }
//! ```
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
mod census;
#[cfg(feature = "std")]
mod claim;
mod completion;
mod conclusion;
mod cown;
mod executor;
#[cfg(all(feature = "std", not(loom)))]
pub mod explore;
mod handle;
#[cfg(feature = "std")]
pub mod mailbox;
mod memory;
mod mpsc;
mod outcome;
#[cfg(feature = "std")]
mod parker;
mod place;
mod promise;
mod pump;
pub mod raw;
mod readers;
mod request;
mod row;
#[cfg(feature = "std")]
mod runtime;
mod schedule;
mod scope;
#[cfg(feature = "std")]
mod signal;
mod slot;
mod sync;
mod work;

pub use batch::{Batch, Member, Scheduled};
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

#[cfg(all(feature = "std", not(loom)))]
pub use census::live_cowns;
#[cfg(feature = "std")]
pub use outcome::set_unobserved_panic_hook;
#[cfg(feature = "std")]
pub use runtime::{
    Builder, Host, Progress, QuiesceError, RunWorkerError, Runtime, WorkerStats, inside_behaviour,
    observe, when, when_detached,
};

/// The page for users of the crate: its examples are tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../../../docs/rust.md")]
struct Guide;
