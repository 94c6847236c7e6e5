//! Requests: what a behaviour needs.

use boc_core::raw::{self, Access, AnyCown, CownPtr, Mode};
use smallvec::SmallVec;

use crate::{
    border,
    cown::boc_cown,
    handle,
    status::{Error, boc_status::BOC_INVALID_ARGUMENT},
};

/// What a behaviour is going to do with a cown.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum boc_mode {
    /// It changes the value, and nobody else looks at it meanwhile.
    BOC_WRITE = 0,
    /// It only reads the value, as others may at the same time.
    BOC_READ = 1,
}

/// A cown in a request.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct boc_request {
    /// The cown, which is borrowed for the call. For a result: `boc_result_cown`.
    pub cown: *const boc_cown,
    /// A `boc_mode`.
    pub mode: u32,
}

/// The cowns of a request, borrowed from C.
pub(crate) type Accesses = SmallVec<[Access; 8]>;

/// Fills `accesses`, which is empty.
///
/// # Safety
///
/// There are `count` requests at `requests`, with handles that are not released during the call.
// Filled in its place, and by the caller itself: for a small request anything else takes longer.
#[inline(always)]
pub(crate) unsafe fn read(
    accesses: &mut Accesses,
    requests: *const boc_request,
    count: usize,
) -> Result<(), Error> {
    if count > raw::MAX_COWNS {
        return Err(too_many(count));
    }
    // SAFETY: passed on to the caller.
    let requests = unsafe { border::array(requests, count, "requests") }?;
    for request in requests {
        let mode = match request.mode {
            mode if mode == boc_mode::BOC_WRITE as u32 => Mode::Write,
            mode if mode == boc_mode::BOC_READ as u32 => Mode::Read,
            mode => return Err(unknown_mode(mode)),
        };
        // SAFETY: passed on to the caller.
        let cown = unsafe { handle::borrow::<AnyCown>(request.cown, "requests[].cown") }?;
        accesses.push(Access { cown: CownPtr::from(&*cown), mode });
    }
    Ok(())
}

#[cold]
fn too_many(count: usize) -> Error {
    let most = raw::MAX_COWNS;
    let message = format!("a request can name {most} cowns at the most, not {count}");
    Error::new(BOC_INVALID_ARGUMENT, message)
}

#[cold]
fn unknown_mode(mode: u32) -> Error {
    let message = format!("there is no mode {mode}: use BOC_WRITE or BOC_READ");
    Error::new(BOC_INVALID_ARGUMENT, message)
}
