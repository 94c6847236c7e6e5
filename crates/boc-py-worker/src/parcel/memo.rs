//! Which objects were met before, by their address.

use pyo3_ffi::PyObject;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// From objects to their numbers.
pub(crate) type Memo = HashMap<*mut PyObject, usize, BuildHasherDefault<AddressHasher>>;

/// Spreads the address of an object over all bits.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }

    #[inline]
    fn write_usize(&mut self, address: usize) {
        // Objects are aligned to 16 bytes. The table looks at the lowest and the highest bits.
        let spread = (self.0 ^ address as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ spread >> 32;
    }
}
