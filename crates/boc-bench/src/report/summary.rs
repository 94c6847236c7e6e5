//! What the figures come to.

use super::Run;
use crate::{allocator, measure::Row, peers::Peer, reference};

/// Prints it.
pub(crate) fn print(run: &Run, rows: &[Row]) {
    let ratios: Vec<(f64, &Row)> =
        rows.iter().filter_map(|row| Some((row.ratio_to_reference()?, row))).collect();
    let worst = ratios.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    if let (Some(mean), Some((worst, row))) =
        (geometric_mean(ratios.iter().map(|(ratio, _)| *ratio)), worst)
    {
        println!(
            "boc / {}, best figures: geometric mean {mean:.2} over {} of them, worst {worst:.2} \
             ({}, workers: {})",
            reference::NAME,
            ratios.len(),
            row.shape.name(),
            row.workers,
        );
    }
    if let Some(line) = more_workers(rows) {
        println!("{line}");
    }
    println!(
        "calibration: {:.1} ns to allocate and free 64 bytes, {:.1} ns for an uncontended atomic \
         exchange, {:.0} ns from one core to the other (on virtual machines that can change by the \
         second, and with it all figures for more than one worker)",
        run.calibration.allocate_ns, run.calibration.exchange_ns, run.calibration.handover_ns,
    );
    println!("allocator: {}, for all peers", allocator::NAME);
}

/// The mean by factors; `None` if there is nothing to take it of.
fn geometric_mean(ratios: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = ratios.into_iter().map(f64::ln).collect();
    let count = logarithms.len();
    (count > 0).then(|| (logarithms.iter().sum::<f64>() / count as f64).exp())
}

/// Which shapes boc does slower with two workers than with one.
fn more_workers(rows: &[Row]) -> Option<String> {
    let best = |row: &Row| row.figure(Peer::Boc).map(|figure| figure.best);
    let pairs: Vec<_> = rows
        .iter()
        .filter(|row| row.workers == 1)
        .filter_map(|one| {
            let same = |row: &&Row| row.shape.name() == one.shape.name() && row.workers == 2;
            Some((one.shape.name(), best(one)?, best(rows.iter().find(same)?)?))
        })
        .collect();
    let slower: Vec<_> = pairs
        .iter()
        .filter(|(_, one, two)| two > one)
        .map(|(name, one, two)| format!("{name} ({one:.1} → {two:.1})"))
        .collect();
    match (pairs.is_empty(), slower.is_empty()) {
        (true, _) => None,
        (false, true) => Some("boc: no shape is slower with two workers than with one".to_owned()),
        (false, false) => {
            Some(format!("boc: slower with two workers than with one: {}", slower.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{geometric_mean, more_workers};
    use crate::{
        measure::{Figure, Row},
        peers::Peer,
        shapes,
    };

    fn row(shape: &str, workers: usize, best: f64) -> Row {
        let shape = shapes::by_name(shape).unwrap();
        let figures = vec![(Peer::Boc, Figure { best, mean: best })];
        Row { shape, workers, n: 1, figures, reference: None }
    }

    #[test]
    fn twice_as_fast_and_twice_as_slow_is_the_same() {
        let mean = geometric_mean([0.5, 2.0]).unwrap();
        assert!((mean - 1.0).abs() < 1e-12);
        let mean = geometric_mean([1.0, 2.0, 4.0]).unwrap();
        assert!((mean - 2.0).abs() < 1e-12);
        assert_eq!(geometric_mean([]), None);
    }

    #[test]
    fn shapes_that_are_slower_with_two_workers_are_named() {
        let mut rows = vec![row("chain1", 1, 30.0), row("chain1", 2, 31.0)];
        assert!(more_workers(&rows).unwrap().ends_with("one: chain1 (30.0 → 31.0)"));
        rows[1] = row("chain1", 2, 29.0);
        assert!(more_workers(&rows).unwrap().contains("no shape"));
        rows.truncate(1);
        assert_eq!(more_workers(&rows), None);
    }
}
