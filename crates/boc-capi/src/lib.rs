//! libboc: behaviour-oriented concurrency for C and C++.
//!
//! The functions and types with the prefix `boc_` are the C ABI, as `include/boc/boc.h` shows it. That
//! header is made of this crate's documentation, so what is said here of those is written for who
//! programs in C.
//!
//! - [`status`]: what a call says, and why; [`border`]: no panic comes out of here;
//! - [`handle`]: from references to the pointers that C has, and back;
//! - [`foreign`]: calling the functions of others, which may throw; [`owned`]: what they hand over;
//!   [`complain`]: what to do with errors that nobody can be told;
//! - [`value`]: what a cown of C holds, and how a behaviour ends; [`symbol`]: what a behaviour is called;
//! - [`cown`], [`request`], [`when`], [`body`], [`result`], [`batch`], [`scope`], [`promise`],
//!   [`executor`], [`pump`], [`runtime`]: one page of the header each;
//! - [`host`]: what is different inside of a program that has a scheduler of its own, and [`binding`],
//!   what such a program needs;
//! - [`table`]: the same functions for who does not link the library.
#![allow(non_camel_case_types, reason = "the names are those of C")]
#![allow(
    clippy::missing_safety_doc,
    reason = "what the caller must keep to is said by the header's documentation, for all functions at once"
)]

mod batch;
pub mod binding;
mod body;
mod border;
mod complain;
mod cown;
mod executor;
mod foreign;
mod handle;
pub mod host;
mod owned;
mod promise;
mod pump;
mod request;
mod result;
mod runtime;
mod scope;
mod status;
mod symbol;
pub mod table;
mod value;
mod version;
mod when;

pub use batch::*;
pub use body::*;
pub use cown::*;
pub use executor::*;
pub use owned::boc_destroy_fn;
pub use promise::*;
pub use pump::*;
pub use request::*;
pub use result::*;
pub use runtime::*;
pub use scope::*;
pub use status::*;
pub use version::*;
pub use when::*;

/// A behaviour is allocated by the thread that schedules it and freed by the worker that ran it; the
/// C library's allocator takes a lock for that which both want all the time.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
