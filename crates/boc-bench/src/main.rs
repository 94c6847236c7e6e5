//! What a behaviour costs, in nanoseconds, beside rayon, tokio and plain threads.
//!
//! - [`shapes`]: what is measured. To add a shape, write it there and name it in
//!   [`shapes::ALL`].
//! - [`peers`]: who is measured. To add a peer, add it to [`peers::Peer`]; the compiler then asks
//!   each shape for it.
//! - [`measure`]: the rounds; [`calibration`], [`reference`]: what to hold the figures against;
//!   [`report`]: how they are shown; [`allocator`]: that of all peers.
//!
//! Each figure is the time of a whole run divided by its behaviours, so it includes the start and
//! the stop of the threads, as the figures of the reference do. Making what the tasks share, and
//! checking it at the end, is not included.

mod allocator;
mod busy_loop;
mod calibration;
mod check;
mod cli;
mod measure;
mod peers;
mod reference;
mod report;
mod shapes;
mod tally;

use clap::Parser;

use crate::{
    busy_loop::BusyLoop,
    calibration::Calibration,
    cli::{Args, Command},
    report::Run,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    if let Some(Command::BusyLoop) = args.command {
        busy_loop::run();
    }
    let _busy = args.beside_busy_loop.then(BusyLoop::start).transpose()?;
    let run = Run {
        k: args.k,
        rounds: args.rounds,
        calibration: Calibration::measure(),
        beside_busy_loop: args.beside_busy_loop,
    };
    let rows = measure::all(&args, |row, progress| {
        if args.json {
            progress.suspend(|| report::json::print(&run, row));
        }
    });
    if !args.json {
        report::table::print(&run, &rows);
        report::summary::print(&run, &rows);
    }
    if let Some(path) = &args.svg {
        report::chart::draw(path, &rows)?;
    }
    Ok(())
}
