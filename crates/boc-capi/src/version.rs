//! Versions.

use std::ffi::{CStr, c_char};

/// The version of this header. A program that was compiled with it runs with each library of the same
/// major version whose minor version is not lower.
pub const BOC_VERSION_MAJOR: u32 = 0;
/// See `BOC_VERSION_MAJOR`.
pub const BOC_VERSION_MINOR: u32 = 1;
/// See `BOC_VERSION_MAJOR`.
pub const BOC_VERSION_PATCH: u32 = 0;

/// The version of the library's binary interface: the major version in the upper 16 bits, the minor
/// version in the lower ones. To be compared with the header's.
#[unsafe(no_mangle)]
pub extern "C" fn boc_abi_version() -> u32 {
    ABI_VERSION
}

/// What [`boc_abi_version`] gives.
/// cbindgen:ignore
pub const ABI_VERSION: u32 = BOC_VERSION_MAJOR << 16 | BOC_VERSION_MINOR;

/// The version of the library as text, such as "0.1.0". It lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn boc_version() -> *const c_char {
    const TEXT: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => panic!("a version has no zero in it"),
        };
    TEXT.as_ptr()
}
