//! The border to C: no panic leaves the library, and pointers are looked at before they are used.

use std::{
    any::Any,
    ffi::{CStr, CString, c_char},
    panic::{self, AssertUnwindSafe},
};

use crate::status::{
    Error,
    boc_status::{self, BOC_INTERNAL_ERROR, BOC_INVALID_ARGUMENT, BOC_OK},
};

/// Runs an exported function.
#[inline]
pub(crate) fn border(f: impl FnOnce() -> Result<(), Error>) -> boc_status {
    match contained(f) {
        Ok(()) => BOC_OK,
        Err(error) => error.tell(),
    }
}

/// Runs an exported function that has no status to tell. A panic gives `otherwise`.
#[inline]
pub(crate) fn quiet<R>(otherwise: R, f: impl FnOnce() -> Result<R, Error>) -> R {
    contained(f).unwrap_or_else(|error| {
        error.tell();
        otherwise
    })
}

#[inline]
fn contained<R>(f: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    panic::catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| Err(panicked(payload)))
}

#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let message = match payload.downcast_ref::<&str>() {
        Some(message) => (*message).to_owned(),
        None => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
    };
    // A payload whose destructor panics would get out of here.
    std::mem::forget(payload);
    Error::new(BOC_INTERNAL_ERROR, format!("internal error in libboc: {message}"))
}

/// Where a call puts what it gives; NULL is refused before anything is done.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    ///
    /// `place` is NULL, or may be written until the call returns.
    pub(crate) unsafe fn new(place: *mut T, name: &str) -> Result<Self, Error> {
        if place.is_null() { Err(Error::null(name)) } else { Ok(Self(place)) }
    }

    /// # Safety
    ///
    /// As for [`Out::new`], for a place that may be missing.
    pub(crate) unsafe fn optional(place: *mut T) -> Option<Self> {
        (!place.is_null()).then_some(Self(place))
    }

    pub(crate) fn put(self, value: T) {
        // SAFETY: the caller of `new` said so.
        unsafe { self.0.write(value) };
    }
}

/// # Safety
///
/// `text` is NULL or ends with a zero.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a CStr, Error> {
    if text.is_null() {
        return Err(Error::null(name));
    }
    // SAFETY: passed on to the caller.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// A text for C, without the zeros that would end it early.
pub(crate) fn for_c(text: &str) -> CString {
    CString::new(text.replace('\0', "")).expect("there is no zero in it")
}

/// # Safety
///
/// There are `count` readable elements at `first`, which may be NULL if that is 0.
pub(crate) unsafe fn array<'a, T>(
    first: *const T,
    count: usize,
    name: &str,
) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() {
        return Err(Error::null(name));
    }
    if !first.is_aligned() || count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(no_array(count, name));
    }
    // SAFETY: passed on to the caller.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

#[cold]
fn no_array(count: usize, name: &str) -> Error {
    let message = format!("`{name}` cannot be an array of {count} elements");
    Error::new(BOC_INVALID_ARGUMENT, message)
}
