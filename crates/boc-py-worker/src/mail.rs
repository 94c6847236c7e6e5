//! What other threads leave for the main interpreter to do.
//!
//! Workers with an interpreter of their own cannot log there, or write to its streams. They leave that for it
//! here. It is done when the main thread comes by: between two instructions of Python code, or while it waits
//! for behaviours.

use pyo3_ffi as ffi;
use std::{
    ffi::{CStr, c_int, c_void},
    mem, ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::Result,
    interpreter::{self, where_now},
    object::{self, Object},
    parcel::Parcel,
};

/// Something to be done by the main interpreter.
pub enum Letter {
    /// Call a function of a module with a value.
    Call(&'static str, &'static CStr, Parcel),
    /// Call a function of a module with a text.
    Say(&'static str, &'static CStr, String),
}

static BOX: Mutex<Vec<Letter>> = Mutex::new(Vec::new());

/// Locks them. Nothing that waits, or runs Python code, is done meanwhile.
fn letters() -> MutexGuard<'static, Vec<Letter>> {
    BOX.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a letter.
pub fn post(letter: Letter) {
    letters().push(letter);
    remind();
}

/// Has the main thread do what was left for it.
pub(crate) fn remind() {
    // Each time, since the interpreter has no room for more than some dozens of calls, and refuses further
    // ones. Those that it takes empty the box.
    // SAFETY: can be called by any thread, as long as there is an interpreter.
    unsafe {
        if ffi::Py_IsInitialized() != 0 {
            ffi::Py_AddPendingCall(Some(called), ptr::null_mut());
        }
    }
}

extern "C" fn called(_: *mut c_void) -> c_int {
    deliver().map_or(-1, |()| 0)
}

/// Does what there was to do when this was called. Does nothing on a thread that is not attached to the main
/// interpreter.
///
/// Raises what is none of the letters' business, such as `KeyboardInterrupt`.
pub fn deliver() -> Result<()> {
    if !where_now().is_main() {
        return Ok(());
    }
    interpreter::main().release_given_up();
    let all = mem::take(&mut *letters());
    let mut rest = all.into_iter();
    while let Some(letter) = rest.next() {
        let called = match letter {
            Letter::Call(module, function, value) => call(module, function, value.open()),
            Letter::Say(module, function, text) => call(module, function, Object::str(&text)),
        };
        if called.is_err() {
            letters().splice(0..0, rest);
            remind();
            return called;
        }
    }
    Ok(())
}

fn call(module: &str, function: &CStr, argument: Result<Object>) -> Result<()> {
    let called = argument.and_then(|argument| object::call(module, function, [&argument]));
    match called {
        Ok(_) => Ok(()),
        // SAFETY: an exception is set; this is a class of exceptions.
        Err(raised) if unsafe { ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) } != 0 => {
            raised.write_unraisable();
            Ok(())
        }
        Err(raised) => Err(raised),
    }
}
