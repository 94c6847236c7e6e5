//! The engine under the model checker: every interleaving of small programs, up to a bound on
//! pre-emptions where there are too many, with all the freedom that the memory orderings leave.
//!
//! Parts that nobody outside of the crate can see are checked beside their code, in modules named
//! `model`. `src/PROTOCOL.md` says which test explores which claim.
#![cfg(loom)]

mod awaiting;
mod backpressure;
mod cancelling;
mod completion;
mod cowns;
mod model;
mod observe;
mod promises;
mod protocol;
mod pump;
mod repeating;
mod runtime;
mod scopes;
