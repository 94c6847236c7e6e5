//! Saying what nobody can be told otherwise.

use std::{
    fmt::Arguments,
    io::{self, Write},
};

/// Writes a line to the standard error. Unlike `eprintln` it does not panic where that is closed or full.
pub(crate) fn complain(message: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "boc: {message}");
}
