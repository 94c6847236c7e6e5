//! Workers with interpreters of their own.
//!
//! Each is a thread that makes an interpreter, runs behaviours there, and ends it. The main interpreter's lock is
//! needed to make one, so whoever waits for that must have detached.
//!
//! - [`life`]: how an interpreter begins and ends;
//! - [`crew`]: the workers of a pool;
//! - [`interrupt`]: ending a body from outside;
//! - [`leak`]: what must not be freed at the end of the process;
//! - [`reserve`]: those that wait for the next pool;
//! - [`living`]: how many interpreters there are, and pauses in which there are none;
//! - [`fork`](self::fork): what is done before and after a fork.

mod crew;
mod fork;
mod interrupt;
mod leak;
mod life;
mod living;
mod reserve;

pub use self::{
    crew::{Crew, end_resting, try_import},
    fork::{after_fork_in_child, after_fork_in_parent, before_fork},
    leak::free_nothing,
};
pub(crate) use self::{
    crew::{after_behaviour, before_behaviour, flush_after_behaviour, name},
    interrupt::body,
};
