//! How the figures are shown.

pub(crate) mod chart;
pub(crate) mod json;
pub(crate) mod summary;
pub(crate) mod table;

use crate::calibration::Calibration;

/// What all figures of a run have in common.
pub(crate) struct Run {
    pub(crate) k: u32,
    pub(crate) rounds: u32,
    pub(crate) calibration: Calibration,
    pub(crate) beside_busy_loop: bool,
}
