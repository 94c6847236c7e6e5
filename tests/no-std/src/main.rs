//! A program without the standard library that uses boc-core without `std`.
//!
//! It brings what a board would bring: an allocator over a fixed piece of memory, a panic handler, a
//! way to write a line ([`machine`]); and an executor of its own ([`lanes`]). It is linked with the C
//! library, which starts it, and with `core` and `alloc`. That the standard library is not there is
//! certain by the panic handler alone: a second one does not compile.
//!
//! Its status says whether all [`checks`] hold.
#![no_std]
#![no_main]

extern crate alloc;

mod checks;
mod lanes;
mod machine;

use core::ffi::c_int;

use machine::{allocations, say};

/// Where the C library hands over.
// SAFETY: it is the program's only `main`, and what it takes no notice of are its arguments.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    for (promise, check) in checks::ALL {
        let before = allocations();
        check();
        assert_eq!(allocations(), before, "something leaked: {promise}");
        say!("ok: {promise}");
    }
    0
}
