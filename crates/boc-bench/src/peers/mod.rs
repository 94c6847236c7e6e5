//! Who is measured: one file for each, which starts its threads, runs, and stops them.

pub(crate) mod boc;
pub(crate) mod mutexes;
pub(crate) mod plain;
pub(crate) mod rayon;
pub(crate) mod tokio;

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::shapes::{Shape, Size};

/// A way to do the work of a shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// Behaviours over cowns
    Boc,
    /// Tasks in a rayon pool, which take `std::sync::Mutex`es in a global order
    Rayon,
    /// Tasks in a tokio runtime, which take `tokio::sync::Mutex`es in a global order
    Tokio,
    /// The floor: plain loops over `std::sync::Mutex`es, without any task
    Plain,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] = [Self::Boc, Self::Rayon, Self::Tokio, Self::Plain];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Boc => "boc",
            Self::Rayon => "rayon",
            Self::Tokio => "tokio",
            Self::Plain => "plain",
        }
    }

    /// Does the work of `shape` once, checks the result, and says how long it took from before
    /// the threads were started until after they have ended.
    pub(crate) fn run(self, shape: &dyn Shape, size: Size) -> Duration {
        match self {
            Self::Boc => shape.boc(size),
            Self::Rayon => shape.rayon(size),
            Self::Tokio => shape.tokio(size),
            Self::Plain => shape.plain(size),
        }
    }
}
