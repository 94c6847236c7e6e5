//! Memory for items of one kind.

use std::{
    alloc::{self, Layout},
    ffi::{CStr, c_char},
    ptr::NonNull,
};

/// Enough for the widest vectors, and a cache line.
const ALIGNMENT: usize = 64;

/// What the items are, in the manner of the module `struct`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    code: &'static CStr,
    size: usize,
}

macro_rules! formats {
    ($($code:literal: $kind:ty),* $(,)?) => {
        &[$(Format { code: $code, size: size_of::<$kind>() }),*]
    };
}

/// All that there are, with sizes as in C on this machine.
static FORMATS: &[Format] = formats![
    c"B": u8, c"b": i8, c"c": c_char, c"?": bool,
    c"h": std::ffi::c_short, c"H": std::ffi::c_ushort,
    c"i": std::ffi::c_int, c"I": std::ffi::c_uint,
    c"l": std::ffi::c_long, c"L": std::ffi::c_ulong,
    c"q": std::ffi::c_longlong, c"Q": std::ffi::c_ulonglong,
    c"n": isize, c"N": usize,
    c"e": u16, c"f": f32, c"d": f64,
];

impl Format {
    /// Bytes.
    pub(super) const BYTES: Self = Self { code: c"B", size: 1 };

    /// The one that is written so; `@` means native, as nothing does.
    pub(super) fn find(code: &[u8]) -> Option<Self> {
        let code = code.strip_prefix(b"@").unwrap_or(code);
        FORMATS.iter().copied().find(|format| format.code.to_bytes() == code)
    }

    pub(super) fn code(self) -> &'static CStr {
        self.code
    }

    /// Bytes of an item.
    pub(super) fn size(self) -> usize {
        self.size
    }
}

/// Memory that belongs to no interpreter.
///
/// Of those who have one, either a single one writes and reads, or all of them read only.
pub(super) struct Block {
    memory: NonNull<u8>,
    layout: Layout,
    format: Format,
}

// SAFETY: it owns plain memory; what can be done by a shared reference is to ask for the address.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Memory for so many items, all zeros. `None` if there is none.
    ///
    /// The allocator knows that memory is all zeros which it has just got from the system.
    pub(super) fn zeroed(items: usize, format: Format) -> Option<Self> {
        let layout = Layout::from_size_align(items.checked_mul(format.size)?, ALIGNMENT).ok()?;
        let memory = if layout.size() == 0 {
            // Nobody reads or writes anything there.
            NonNull::new(std::ptr::without_provenance_mut(ALIGNMENT))
        } else {
            // SAFETY: the size is not zero.
            NonNull::new(unsafe { alloc::alloc_zeroed(layout) })
        };
        Some(Self { memory: memory?, layout, format })
    }

    /// Another one with the same content. `None` if there is no memory for it.
    pub(super) fn copy(&self) -> Option<Self> {
        let copy = Self::zeroed(self.items(), self.format)?;
        // SAFETY: both have this size. Whoever has a block may read it, see the top.
        unsafe { self.memory().copy_to_nonoverlapping(copy.memory(), self.bytes()) };
        Some(copy)
    }

    pub(super) fn memory(&self) -> *mut u8 {
        self.memory.as_ptr()
    }

    pub(super) fn bytes(&self) -> usize {
        self.layout.size()
    }

    pub(super) fn items(&self) -> usize {
        self.layout.size() / self.format.size
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.layout.size() != 0 {
            // SAFETY: it was allocated with this layout, and is not used any more.
            unsafe { alloc::dealloc(self.memory.as_ptr(), self.layout) };
        }
    }
}
