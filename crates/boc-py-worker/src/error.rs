//! Exceptions, as the C API has them: set for the thread, and told by what a function returns.

use pyo3_ffi::{self as ffi, PyObject};
use std::ffi::CString;

use crate::{ending, object::Object};

/// An exception is set for this thread.
///
/// Who has one passes it on, returns to Python, or clears it.
#[derive(Debug)]
#[must_use = "an exception is set, which must be passed on or cleared"]
pub struct Raised(());

/// What a function returns that may raise.
pub type Result<T> = core::result::Result<T, Raised>;

impl Raised {
    /// Sets an exception.
    ///
    /// # Safety
    ///
    /// The thread is attached; `class` is a class of exceptions.
    pub unsafe fn new(class: *mut PyObject, message: &str) -> Self {
        let message = CString::new(message.replace('\0', "\u{fffd}")).expect("zeros were replaced");
        // SAFETY: passed on to the caller.
        unsafe { ffi::PyErr_SetString(class, message.as_ptr()) };
        Self(())
    }

    /// What a function of the C API has set.
    pub fn already() -> Self {
        Self(())
    }

    /// Whether it is of this class of exceptions.
    ///
    /// # Safety
    ///
    /// `class` is such a class, of this thread's interpreter.
    pub unsafe fn is(&self, class: *mut PyObject) -> bool {
        // SAFETY: an exception is set, so the thread is attached; the rest is passed on to the caller.
        unsafe { ffi::PyErr_ExceptionMatches(class) != 0 }
    }

    /// The exception, which is not set any more.
    pub fn take(self) -> Object {
        // SAFETY: an exception is set, so the thread is attached; what is returned is a new reference.
        unsafe { Object::from_owned(compat::get_raised()) }.expect("an exception is set")
    }

    /// Sets an exception that was taken.
    pub fn restore(exception: Object) -> Self {
        // SAFETY: the thread is attached, as for all objects; the reference is given up.
        unsafe { compat::set_raised(exception.into_ptr()) };
        Self(())
    }

    /// As if it were raised here; what it comes from stays.
    pub fn without_traceback(self) -> Self {
        let exception = self.take();
        // SAFETY: both are alive; `None` stands for no traceback.
        unsafe { ffi::PyException_SetTraceback(exception.as_ptr(), ffi::Py_None()) };
        Self::restore(exception)
    }

    /// Nobody wants to know.
    pub fn clear(self) {
        // SAFETY: an exception is set, so the thread is attached.
        ending::guarded(|| unsafe { ending::PyErr_Clear() });
    }

    /// Reports it as one that cannot be raised anywhere.
    pub fn write_unraisable(self) {
        // SAFETY: as above.
        unsafe { ffi::PyErr_WriteUnraisable(std::ptr::null_mut()) };
    }
}

/// What came with 3.12.
mod compat {
    #[cfg(not(Py_3_12))]
    use pyo3_ffi::{self as ffi, PyObject};

    #[cfg(Py_3_12)]
    pub(super) use pyo3_ffi::{
        PyErr_GetRaisedException as get_raised, PyErr_SetRaisedException as set_raised,
    };

    /// # Safety
    ///
    /// The thread is attached.
    #[cfg(not(Py_3_12))]
    pub(super) unsafe fn get_raised() -> *mut PyObject {
        let (mut class, mut value, mut traceback) =
            (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: passed on to the caller; what is fetched are references, or null.
        unsafe {
            ffi::PyErr_Fetch(&raw mut class, &raw mut value, &raw mut traceback);
            ffi::PyErr_NormalizeException(&raw mut class, &raw mut value, &raw mut traceback);
            if !traceback.is_null() {
                ffi::PyException_SetTraceback(value, traceback);
            }
            ffi::Py_XDECREF(class);
            ffi::Py_XDECREF(traceback);
        }
        value
    }

    /// # Safety
    ///
    /// The thread is attached; `value` is an exception, whose reference is given up.
    #[cfg(not(Py_3_12))]
    pub(super) unsafe fn set_raised(value: *mut PyObject) {
        // SAFETY: passed on to the caller.
        unsafe {
            let class = ffi::Py_TYPE(value).cast();
            ffi::Py_INCREF(class);
            ffi::PyErr_Restore(class, value, ffi::PyException_GetTraceback(value));
        }
    }
}

macro_rules! raise {
    ($($(#[$doc:meta])* $name:ident = $class:ident),* $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(message: impl AsRef<str>) -> Raised {
            // SAFETY: only who is attached has anything to raise; the class is the interpreter's.
            unsafe { Raised::new(ffi::$class, message.as_ref()) }
        }
    )*};
}

raise! {
    /// Raises a `RuntimeError`.
    runtime_error = PyExc_RuntimeError,
    /// Raises a `TypeError`.
    type_error = PyExc_TypeError,
    /// Raises a `ValueError`.
    value_error = PyExc_ValueError,
    /// Raises a `SyntaxError`.
    syntax_error = PyExc_SyntaxError,
    /// Raises a `TimeoutError`.
    timeout_error = PyExc_TimeoutError,
    /// Raises an `AttributeError`.
    attribute_error = PyExc_AttributeError,
    /// Raises a `BufferError`.
    buffer_error = PyExc_BufferError,
    /// Raises a `SystemError`.
    system_error = PyExc_SystemError,
}
