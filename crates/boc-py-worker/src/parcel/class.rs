//! The class `Parcel`.

use pyo3_ffi::{self as ffi, PyMethodDef, PyObject, PyType_Slot, PyTypeObject};
use std::ffi::{CStr, c_void};

use super::Parcel;
use crate::{
    class::{self, NO_METHOD, NO_SLOT, Table, entered, slot, without},
    error::{Result, type_error},
    object::Object,
};

const DOC: &CStr = c"Parcel(value, /)
--

A value that belongs to no interpreter.

Making one copies the value, and open() makes a copy of it, in any interpreter and on any thread. A
Buffer in it is moved instead.";

const OPEN: &CStr = c"open($self, /)
--

The value.";

const OPEN_TO_READ: &CStr = c"open_to_read($self, /)
--

The value, with Buffers that are read-only and that others can read as well.";

/// Makes the class, which belongs to the caller.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub unsafe fn make_class(module: *mut PyObject) -> Result<Object> {
    // SAFETY: passed on to the caller; the slots are those of a `Parcel`.
    unsafe { class::make::<Parcel>(module, c"boc._boc.Parcel", 0, SLOTS.get()) }
}

static SLOTS: Table<PyType_Slot, 5> = Table::new([
    class::doc(DOC),
    slot(ffi::Py_tp_new, new as *mut c_void),
    slot(ffi::Py_tp_dealloc, class::dealloc::<Parcel> as *mut c_void),
    slot(ffi::Py_tp_methods, METHODS.get().cast()),
    NO_SLOT,
]);

static METHODS: Table<PyMethodDef, 3> = Table::new([
    without(c"open", open, OPEN),
    without(c"open_to_read", open_to_read, OPEN_TO_READ),
    NO_METHOD,
]);

unsafe extern "C" fn new(
    class: *mut PyTypeObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter calls this with the class, a tuple, and a dict or null.
    entered(|| unsafe {
        let named = !keywords.is_null() && ffi::PyDict_Size(keywords) != 0;
        if named || ffi::PyTuple_GET_SIZE(arguments) != 1 {
            return Err(type_error("Parcel() takes one positional argument"));
        }
        let value = Object::from_borrowed(ffi::PyTuple_GET_ITEM(arguments, 0));
        class::instance(class, Parcel::pack(&value)?)
    })
}

unsafe extern "C" fn open(parcel: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter calls this for objects of the class alone; they live meanwhile.
    entered(|| unsafe { class::value::<Parcel>(parcel) }.open())
}

unsafe extern "C" fn open_to_read(parcel: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    entered(|| unsafe { class::value::<Parcel>(parcel) }.open_to_read())
}
