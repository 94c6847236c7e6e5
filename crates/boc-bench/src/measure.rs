//! The rounds.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::{
    cli::Args,
    peers::Peer,
    reference::Reference,
    shapes::{Shape, Size},
};

/// Nanoseconds per behaviour, over several rounds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) best: f64,
    pub(crate) mean: f64,
}

impl Figure {
    /// From the times of some runs, of which there is at least one.
    fn new(runs: &[Duration], behaviours: u64) -> Self {
        let each = |run: Duration| run.as_nanos() as f64 / behaviours as f64;
        let best = runs.iter().min().expect("there is at least one round");
        let sum: Duration = runs.iter().sum();
        Self { best: each(*best), mean: each(sum) / runs.len() as f64 }
    }
}

/// What was measured of one shape with one number of workers.
pub(crate) struct Row {
    pub(crate) shape: &'static dyn Shape,
    pub(crate) workers: usize,
    pub(crate) n: u64,
    /// In the order in which the peers were asked for.
    pub(crate) figures: Vec<(Peer, Figure)>,
    /// What the reference has for it.
    pub(crate) reference: Option<Figure>,
}

impl Row {
    /// The figure of one peer, if that was measured.
    pub(crate) fn figure(&self, peer: Peer) -> Option<Figure> {
        self.figures.iter().find(|(of, _)| *of == peer).map(|(_, figure)| *figure)
    }

    /// How many times as long boc takes as the reference does, at their best.
    pub(crate) fn ratio_to_reference(&self) -> Option<f64> {
        Some(self.figure(Peer::Boc)?.best / self.reference?.best)
    }
}

/// Measures all that was asked for. `done` gets each row when it is there, and the progress bar,
/// to be suspended while something is printed.
pub(crate) fn all(args: &Args, mut done: impl FnMut(&Row, &ProgressBar)) -> Vec<Row> {
    let reference = Reference::load();
    let progress = progress(args);
    let mut rows = Vec::new();
    for shape in args.shapes().iter().copied() {
        for workers in args.workers.iter().copied().map(usize::from) {
            let size = Size { n: shape.n(args.n), k: args.k as usize, workers };
            let row = Row {
                shape,
                workers,
                n: size.n,
                figures: rounds(shape, size, args, &progress),
                reference: reference.figure(shape.name(), workers),
            };
            done(&row, &progress);
            rows.push(row);
        }
    }
    progress.finish_and_clear();
    rows
}

/// The peers take turns, A B C A B C, so that all meet the same machine.
fn rounds(
    shape: &dyn Shape,
    size: Size,
    args: &Args,
    progress: &ProgressBar,
) -> Vec<(Peer, Figure)> {
    let mut runs: Vec<_> = args.peers().iter().map(|peer| (*peer, Vec::new())).collect();
    for _ in 0..args.rounds {
        for (peer, runs) in &mut runs {
            let (shape_name, workers) = (shape.name(), size.workers);
            progress.set_message(format!("{shape_name}, workers: {workers}, {}", peer.name()));
            runs.push(peer.run(shape, size));
            progress.inc(1);
        }
    }
    let behaviours = shape.behaviours(size.n);
    runs.into_iter().map(|(peer, runs)| (peer, Figure::new(&runs, behaviours))).collect()
}

/// On the standard error, if that is a terminal. It is drawn between runs only, so that it takes
/// nothing from what is measured.
fn progress(args: &Args) -> ProgressBar {
    let figures = args.shapes().len() * args.workers.len() * args.peers().len();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left  {msg}")
        .expect("the template is valid");
    ProgressBar::new(figures as u64 * u64::from(args.rounds)).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::Figure;
    use std::time::Duration;

    #[test]
    fn a_figure_is_per_behaviour() {
        let runs = [30, 10, 20].map(Duration::from_micros);
        assert_eq!(Figure::new(&runs, 1000), Figure { best: 10.0, mean: 20.0 });
    }
}
