//! For programs that contain the library and have cowns of their own: from their references to the
//! handles of C, and back.

use boc_core::raw::{Access, AnyCown, CownPtr, Held};
use std::{
    cell::Cell,
    ffi::{CString, c_void},
};

use crate::{
    body::{self, Body, boc_body},
    cown::boc_cown,
    foreign, handle,
    owned::{Owned, boc_destroy_fn},
    request::{self, boc_request},
    status::Error,
    value::{Ended, Value},
};

/// A handle for C, which is C's to release.
pub fn give(cown: AnyCown) -> *mut boc_cown {
    handle::give(cown)
}

/// The cown that a handle stands for.
///
/// # Errors
///
/// If the handle is NULL; in a debug build, if it is none.
///
/// # Safety
///
/// It is NULL, or a handle that is not released during the call.
pub unsafe fn cown(cown: *const boc_cown) -> Result<AnyCown, Error> {
    // SAFETY: passed on to the caller.
    Ok((*unsafe { handle::borrow::<AnyCown>(cown, "cown") }?).clone())
}

/// The cowns of a request.
///
/// # Errors
///
/// As `boc_when` says.
///
/// # Safety
///
/// There are `count` requests at `requests`, with handles that are not released as long as the addresses
/// are used.
pub unsafe fn requested(requests: *const boc_request, count: usize) -> Result<Vec<Access>, Error> {
    // SAFETY: passed on to the caller.
    unsafe { Ok(request::accesses(request::checked(requests, count)?).collect()) }
}

/// What a cown that was made by C holds: the pointer; `None` if it is another one.
///
/// # Safety
///
/// The caller holds the cown.
pub unsafe fn pointer_in(cown: CownPtr) -> Option<*mut c_void> {
    // SAFETY: passed on to the caller.
    unsafe { Value::pointer_in(cown) }
}

/// The cown at `index` in the request of a running behaviour, and what that may do with it.
///
/// # Errors
///
/// If there is none.
///
/// # Safety
///
/// `body` is NULL, or what a running body was called with, on its thread.
pub unsafe fn held_by(body: *mut boc_body, index: usize) -> Result<Access, Error> {
    // SAFETY: passed on to the caller.
    unsafe { body::access(body, index) }
}

/// What C hands over with a function: destroyed when this is dropped.
pub struct Env(Owned);

impl Env {
    /// Takes it over.
    pub fn new(env: *mut c_void, destroy_env: boc_destroy_fn) -> Self {
        Self(Owned::new(env, destroy_env))
    }

    /// The pointer.
    pub fn data(&self) -> *mut c_void {
        self.0.data()
    }
}

/// How the function of somebody else has ended that [`run`] has called.
pub struct Ran<R> {
    /// What it returned; `None` if it threw an exception.
    pub returned: Option<R>,
    /// What it gave to `boc_body_fail`, or has thrown.
    pub failure: Option<CString>,
}

/// Calls `f` with what the body of a behaviour gets that holds `held`. `f` calls a function of somebody
/// else and does nothing besides.
pub fn run<R>(
    held: Held<'_>,
    f: impl FnOnce(*mut boc_body, *const *mut c_void) -> R + Copy,
) -> Ran<R> {
    let mut outcome = Value::pending();
    let returned = Cell::new(None);
    let thrown = Body::call(held, &mut outcome, |body, values| {
        let returned = &returned;
        foreign::call(|| returned.set(Some(f(body, values))))
    });
    Body::finish(&mut outcome, thrown);
    let failure = match &outcome.ended {
        Ended::Failed(message) => Some(message.clone()),
        _ => None,
    };
    outcome.forget();
    Ran { returned: returned.take(), failure }
}
