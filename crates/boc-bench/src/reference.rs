//! What verona-rt, the C++ runtime of those who invented the model, takes for the same shapes.
//!
//! Measured in June 2026 with its own allocator (snmalloc) on two quiet processors: the best and
//! the mean of nine rounds of 1,000,000 behaviours (fib: its argument was 27) with K = 64. The
//! start and the stop of the threads are included. The figures are in `reference.json`.

use serde::Deserialize;

use crate::measure::Figure;

/// What the reference is called.
pub(crate) const NAME: &str = "verona-rt";

/// The figures of the reference.
#[derive(Deserialize)]
pub(crate) struct Reference {
    figures: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    shape: String,
    workers: usize,
    #[serde(flatten)]
    figure: Figure,
}

impl Reference {
    pub(crate) fn load() -> Self {
        serde_json::from_str(include_str!("../reference.json"))
            .expect("a test has read the figures of the reference")
    }

    /// The figure for that shape with so many workers, if it was measured.
    pub(crate) fn figure(&self, shape: &str, workers: usize) -> Option<Figure> {
        self.figures
            .iter()
            .find(|entry| entry.shape == shape && entry.workers == workers)
            .map(|entry| entry.figure)
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;
    use crate::{measure::Figure, shapes};

    #[test]
    fn there_is_a_figure_for_each_shape_with_one_and_two_workers() {
        let reference = Reference::load();
        for shape in shapes::ALL {
            for workers in [1, 2] {
                let figure = reference.figure(shape.name(), workers);
                let Figure { best, mean } = figure.unwrap_or_else(|| panic!("{}", shape.name()));
                assert!(0.0 < best && best <= mean, "{}, {workers} workers", shape.name());
            }
        }
        assert_eq!(reference.figures.len(), 2 * shapes::ALL.len());
    }

    #[test]
    fn figures_are_found() {
        let reference = Reference::load();
        let expected = Figure { best: 33.6, mean: 35.3 };
        assert_eq!(reference.figure("ringK", 2), Some(expected));
        assert_eq!(reference.figure("ringK", 3), None);
    }
}
