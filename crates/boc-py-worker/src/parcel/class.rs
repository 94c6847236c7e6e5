//! The class `Parcel`.

use pyo3_ffi::{self as ffi, PyMethodDef, PyMethodDefPointer, PyObject, PyType_Slot, PyTypeObject};
use std::ptr;

use super::Parcel;
use crate::{
    bare::{self as class, Static},
    error::{Raised, Result, type_error},
    interpreter::here,
    object::Object,
};

const DOC: &std::ffi::CStr = c"Parcel(value, /)
--

A value that belongs to no interpreter.

Making one copies the value, and open() makes a copy of it, in any interpreter and on any thread. A
Buffer in it is moved instead.";

const OPEN: &std::ffi::CStr = c"open($self, /)
--

The value.";

const OPEN_TO_READ: &std::ffi::CStr = c"open_to_read($self, /)
--

The value, with Buffers that are read-only and that others can read as well.";

#[repr(C)]
struct ParcelObject {
    base: PyObject,
    /// Never changes.
    parcel: Parcel,
}

/// Adds the class to the module of this thread's interpreter.
///
/// # Safety
///
/// The thread is attached, `module` is the module.
pub unsafe fn add_class(module: *mut PyObject) -> Result<()> {
    static METHODS: Static<[PyMethodDef; 3]> = Static::new([
        PyMethodDef {
            ml_name: c"open".as_ptr(),
            ml_meth: PyMethodDefPointer { PyCFunction: open },
            ml_flags: ffi::METH_NOARGS,
            ml_doc: OPEN.as_ptr(),
        },
        PyMethodDef {
            ml_name: c"open_to_read".as_ptr(),
            ml_meth: PyMethodDefPointer { PyCFunction: open_to_read },
            ml_flags: ffi::METH_NOARGS,
            ml_doc: OPEN_TO_READ.as_ptr(),
        },
        PyMethodDef::zeroed(),
    ]);
    let mut slots = [
        PyType_Slot { slot: ffi::Py_tp_doc, pfunc: DOC.as_ptr().cast_mut().cast() },
        PyType_Slot { slot: ffi::Py_tp_new, pfunc: new as *mut _ },
        PyType_Slot { slot: ffi::Py_tp_dealloc, pfunc: dealloc as *mut _ },
        METHODS.slot(ffi::Py_tp_methods),
        PyType_Slot::default(),
    ];
    // SAFETY: passed on to the caller; the functions are those that the slots are for.
    let class = unsafe { class::add::<ParcelObject>(module, c"boc._boc.Parcel", &mut slots)? };
    here().classes.parcel.set(class);
    Ok(())
}

/// A parcel as an object of this thread's interpreter, which is attached.
pub fn object(parcel: Parcel) -> Result<Object> {
    // SAFETY: it is the class of this interpreter.
    unsafe { make(here().classes.parcel.get(), parcel) }
}

/// The parcel behind an object; `None` if it is none.
///
/// # Safety
///
/// The thread is attached and the object alive.
pub unsafe fn behind(object: *mut PyObject) -> Option<Parcel> {
    // SAFETY: passed on to the caller; the class is compared exactly.
    unsafe {
        let is_parcel = ffi::Py_TYPE(object) == here().classes.parcel.get();
        is_parcel.then(|| (*object.cast::<ParcelObject>()).parcel.clone())
    }
}

/// # Safety
///
/// The thread is attached; `class` is the class.
unsafe fn make(class: *mut PyTypeObject, parcel: Parcel) -> Result<Object> {
    // SAFETY: passed on to the caller. The new object is ours alone, and has no parcel yet.
    unsafe {
        let object = class::allocate(class)?;
        (&raw mut (*object.cast::<ParcelObject>()).parcel).write(parcel);
        Object::from_owned(object)
    }
}

unsafe extern "C" fn new(
    class: *mut PyTypeObject,
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> *mut PyObject {
    let new = || {
        // SAFETY: the interpreter calls this with a tuple, and with a dict or null.
        unsafe {
            let named = !keywords.is_null() && ffi::PyDict_Size(keywords) != 0;
            if named || ffi::PyTuple_GET_SIZE(arguments) != 1 {
                return Err(type_error("Parcel() takes one positional argument"));
            }
            let value = Object::from_borrowed(ffi::PyTuple_GET_ITEM(arguments, 0));
            make(class, Parcel::pack(&value)?)
        }
    };
    returned(new())
}

unsafe extern "C" fn open(parcel: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter calls this for objects of the class alone; they live meanwhile.
    returned(unsafe { (*parcel.cast::<ParcelObject>()).parcel.open() })
}

unsafe extern "C" fn open_to_read(parcel: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as above.
    returned(unsafe { (*parcel.cast::<ParcelObject>()).parcel.open_to_read() })
}

unsafe extern "C" fn dealloc(parcel: *mut PyObject) {
    // SAFETY: the interpreter calls this once, for the last reference. A parcel drops nothing that
    // belongs to an interpreter.
    unsafe {
        (&raw mut (*parcel.cast::<ParcelObject>()).parcel).drop_in_place();
        class::free(parcel);
    }
}

fn returned(result: Result<Object>) -> *mut PyObject {
    // The exception is set, which is what null means.
    result.map_or_else(|_: Raised| ptr::null_mut(), Object::into_ptr)
}
