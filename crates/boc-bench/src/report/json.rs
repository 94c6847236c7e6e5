//! One object for each figure, each on a line.

use serde::Serialize;

use super::Run;
use crate::{
    allocator,
    measure::{Figure, Row},
    peers::Peer,
};

/// All times are nanoseconds; those of the figure are per behaviour.
#[derive(Serialize)]
struct Record {
    shape: &'static str,
    peer: Peer,
    workers: usize,
    /// The best.
    ns_per_behaviour: f64,
    #[serde(flatten)]
    figure: Figure,
    n: u64,
    k: u32,
    behaviours: u64,
    rounds: u32,
    /// That of the reference for the same shape and workers, next to boc's.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Figure>,
    beside_busy_loop: bool,
    allocator: &'static str,
    /// The sum of the two that follow.
    calibration_ns: f64,
    allocate_ns: f64,
    exchange_ns: f64,
    handover_ns: f64,
}

/// Prints the figures of a row.
pub(crate) fn print(run: &Run, row: &Row) {
    for &(peer, figure) in &row.figures {
        let record = Record {
            shape: row.shape.name(),
            peer,
            workers: row.workers,
            ns_per_behaviour: figure.best,
            figure,
            n: row.n,
            k: run.k,
            behaviours: row.shape.behaviours(row.n),
            rounds: run.rounds,
            reference: row.reference.filter(|_| peer == Peer::Boc),
            beside_busy_loop: run.beside_busy_loop,
            allocator: allocator::NAME,
            calibration_ns: run.calibration.total_ns(),
            allocate_ns: run.calibration.allocate_ns,
            exchange_ns: run.calibration.exchange_ns,
            handover_ns: run.calibration.handover_ns,
        };
        println!("{}", serde_json::to_string(&record).expect("a record has nothing but figures"));
    }
}
