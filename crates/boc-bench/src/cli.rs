//! The command line.

use std::path::PathBuf;

use clap::{
    Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

use crate::{
    peers::Peer,
    shapes::{self, Shape},
};

/// Measures what a behaviour costs, beside rayon, tokio and plain threads.
///
/// The figures are nanoseconds per behaviour; the start and the stop of the threads are included.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// A shape to measure; may be repeated [default: all]
    #[arg(long = "shape", value_name = "NAME", value_parser = shape_parser())]
    shapes: Vec<&'static dyn Shape>,

    /// A peer to measure; may be repeated [default: all]
    #[arg(long = "peer", value_name = "NAME", value_enum)]
    peers: Vec<Peer>,

    /// How many threads run the tasks; may be repeated
    #[arg(
        long,
        value_name = "N",
        default_values = ["1", "2"],
        value_parser = clap::value_parser!(u16).range(1..=1024),
    )]
    pub(crate) workers: Vec<u16>,

    /// How many behaviours a run has, in all its chains together [default: 1000000]
    ///
    /// For fib it is the argument [default: 27]. A number that is too large for that (over 40)
    /// leaves fib at its default.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) n: Option<u64>,

    /// How many cowns, chains, pairs or accounts there are
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub(crate) k: u32,

    /// How often each figure is measured; the peers take turns
    #[arg(long, value_name = "R", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// Writes one JSON object for each figure, each on a line, and no table
    ///
    /// All times are nanoseconds; `best`, `mean` and `ns_per_behaviour` (which is the best) are
    /// per behaviour. `calibration_ns` is what it takes to allocate and free 64 bytes and to make
    /// one uncontended atomic exchange.
    #[arg(long)]
    pub(crate) json: bool,

    /// Runs a busy loop in another process meanwhile, to see who suffers from pre-emption
    #[arg(long)]
    pub(crate) beside_busy_loop: bool,

    /// Draws a bar chart into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Args {
    /// The shapes that were asked for.
    pub(crate) fn shapes(&self) -> &[&'static dyn Shape] {
        if self.shapes.is_empty() { shapes::ALL } else { &self.shapes }
    }

    /// The peers that were asked for.
    pub(crate) fn peers(&self) -> &[Peer] {
        if self.peers.is_empty() { &Peer::ALL } else { &self.peers }
    }
}

/// What this program runs itself for.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keeps a processor busy until the standard input ends
    #[command(hide = true)]
    BusyLoop,
}

fn shape_parser() -> impl TypedValueParser<Value = &'static dyn Shape> {
    let values =
        shapes::ALL.iter().map(|shape| PossibleValue::new(shape.name()).help(shape.about()));
    PossibleValuesParser::new(values)
        .map(|name| shapes::by_name(&name).expect("clap lets through the names of shapes only"))
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn everything_is_measured_by_default() {
        let args = Args::parse_from(["boc-bench"]);
        assert_eq!(args.shapes().len(), 11);
        assert_eq!(args.peers().len(), 4);
        assert_eq!(args.workers, [1, 2]);
    }

    #[test]
    fn shapes_are_found_by_name() {
        let args = Args::parse_from(["boc-bench", "--shape", "ringK", "--shape", "fib"]);
        let names: Vec<_> = args.shapes().iter().map(|shape| shape.name()).collect();
        assert_eq!(names, ["ringK", "fib"]);
        assert!(Args::try_parse_from(["boc-bench", "--shape", "square"]).is_err());
    }
}
