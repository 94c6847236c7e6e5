//! A figure counts only if the run came to the right result.

/// Panics unless the counters sum up to `expected`.
pub(crate) fn sum(counters: impl IntoIterator<Item = u64>, expected: u64) {
    equal("the counters sum up to", counters.into_iter().sum(), expected);
}

/// Panics unless the run gave what it should.
pub(crate) fn equal(what: &str, result: u64, expected: u64) {
    assert!(result == expected, "{what} {result}, and should be {expected}: the run was wrong");
}
