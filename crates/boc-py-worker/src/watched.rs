//! What workers take over from the program, and whether it has changed since they did.
//!
//! The streams, the environment and the levels of logging change while behaviours run, and nobody tells. So the
//! dictionaries that they are in are watched. Whatever changes there makes workers ask for all of it once more, before
//! their next behaviour.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{error::Result, object};

/// Grows with each change. Who schedules a behaviour after a change has made it visible to who runs it.
static CHANGES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// How many changes the interpreter of this worker knows.
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// Something has changed that workers take over.
pub fn note_change() {
    CHANGES.fetch_add(1, Relaxed);
}

/// To be called when this thread has an interpreter that knows what there was at the start of its pool.
pub(crate) fn begin() {
    SEEN.set(0);
}

/// Makes the interpreter of this worker, which is attached to it, like the main one once more, if that has changed.
#[inline]
pub(crate) fn adapt() {
    let changes = CHANGES.load(Relaxed);
    if changes != SEEN.get() {
        adapt_to(changes);
    }
}

#[cold]
fn adapt_to(changes: u64) {
    SEEN.set(changes);
    if let Err(raised) = object::call("boc._worker", c"adapt", []) {
        raised.write_unraisable();
    }
}

/// Watches the dictionary of `sys`, for the streams in it, and that of the environment. Once, on a thread that is
/// attached to the main interpreter.
#[cfg(Py_3_12)]
pub fn watch(sys: &object::Object, environment: &object::Object) -> Result<()> {
    use crate::error::Raised;
    use pyo3_ffi::{self as ffi, PyObject};
    use std::{ffi::c_int, ptr, sync::atomic::AtomicPtr};

    type Callback =
        unsafe extern "C" fn(c_int, *mut PyObject, *mut PyObject, *mut PyObject) -> c_int;

    // What pyo3-ffi leaves out.
    unsafe extern "C" {
        fn PyDict_AddWatcher(callback: Callback) -> c_int;
        fn PyDict_Watch(watcher: c_int, dictionary: *mut PyObject) -> c_int;
    }

    static SYS: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());

    /// Called before the change, under the lock of the interpreter, which is kept until it is made.
    unsafe extern "C" fn changed(
        _event: c_int,
        dictionary: *mut PyObject,
        key: *mut PyObject,
        _value: *mut PyObject,
    ) -> c_int {
        let is = |name: &std::ffi::CStr| {
            // SAFETY: Python passes a key that is alive, or null; the class is looked at first.
            unsafe {
                !key.is_null()
                    && ffi::PyUnicode_Check(key) != 0
                    && ffi::PyUnicode_CompareWithASCIIString(key, name.as_ptr()) == 0
            }
        };
        if dictionary != SYS.load(Relaxed) || is(c"stdout") || is(c"stderr") {
            note_change();
        }
        0
    }

    SYS.store(sys.as_ptr(), Relaxed);
    // SAFETY: attached; the function has the form that Python wants, and lives for ever. Both are objects, and Python
    // raises if one is no dictionary.
    let watched = unsafe {
        let watcher = PyDict_AddWatcher(changed);
        watcher >= 0
            && PyDict_Watch(watcher, sys.as_ptr()) == 0
            && PyDict_Watch(watcher, environment.as_ptr()) == 0
    };
    if watched { Ok(()) } else { Err(Raised::already()) }
}

/// There are no workers that would take anything over.
#[cfg(not(Py_3_12))]
pub fn watch(_sys: &object::Object, _environment: &object::Object) -> Result<()> {
    Ok(())
}
