//! Requests: what a behaviour needs.

use boc_core::raw::{self, Access, AnyCown, CownPtr, Mode};

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

/// The requests of C, of which none is wrong.
///
/// # Safety
///
/// There are `count` requests at `requests`, with handles that are not released during the call.
#[inline]
pub(crate) unsafe fn checked<'a>(
    requests: *const boc_request,
    count: usize,
) -> Result<&'a [boc_request], Error> {
    if count > raw::MAX_COWNS {
        return Err(too_many(count));
    }
    // SAFETY: passed on to the caller.
    let requests = unsafe { border::array(requests, count, "requests") }?;
    for (index, request) in requests.iter().enumerate() {
        // SAFETY: passed on to the caller.
        unsafe { access(request) }.map_err(|error| at(index, error))?;
    }
    Ok(requests)
}

/// The cowns of requests, borrowed from C.
///
/// # Safety
///
/// The requests were [`checked`], and their handles are not released as long as the addresses are used.
#[inline]
pub(crate) unsafe fn accesses(requests: &[boc_request]) -> impl Iterator<Item = Access> {
    // SAFETY: passed on to the caller.
    requests.iter().map(|request| unsafe { access(request) }.expect("it was right before"))
}

/// # Safety
///
/// The handle is not released as long as the address is used.
#[inline]
unsafe fn access(request: &boc_request) -> Result<Access, Error> {
    let mode = match request.mode {
        mode if mode == boc_mode::BOC_WRITE as u32 => Mode::Write,
        mode if mode == boc_mode::BOC_READ as u32 => Mode::Read,
        mode => return Err(unknown_mode(mode)),
    };
    // SAFETY: passed on to the caller.
    let cown = unsafe { handle::borrow::<AnyCown>(request.cown, "cown") }?;
    Ok(Access { cown: CownPtr::from(&*cown), mode })
}

#[cold]
fn at(index: usize, error: Error) -> Error {
    Error::new(error.status(), format!("request {index}, counted from 0: {}", error.message()))
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
