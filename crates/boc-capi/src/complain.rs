//! Saying what nobody can be told otherwise.

use std::{
    fmt::Arguments,
    io::{self, Write},
};

use crate::host;

/// Has the host tell its user, or writes a line to the standard error. Unlike `eprintln` that does not panic
/// where it is closed or full.
pub(crate) fn complain(message: Arguments<'_>) {
    let told = host::containing().is_some_and(|host| host.complain(&message.to_string()));
    if !told {
        let _ = writeln!(io::stderr(), "boc: {message}");
    }
}
