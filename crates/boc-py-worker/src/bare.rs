//! Classes written by hand, one of each in each interpreter.

use pyo3_ffi::{self as ffi, PyObject, PyType_Slot, PyType_Spec, PyTypeObject};
use std::{
    cell::UnsafeCell,
    ffi::{CStr, c_int, c_uint, c_void},
    mem, ptr,
};

use crate::error::{Raised, Result};

/// What the C API wants to have a pointer to for as long as the process lives.
#[repr(transparent)]
pub(crate) struct Static<T>(UnsafeCell<T>);

// SAFETY: these are tables of names and functions, which nobody writes to.
unsafe impl<T> Sync for Static<T> {}

impl<T> Static<T> {
    pub(crate) const fn new(table: T) -> Self {
        Self(UnsafeCell::new(table))
    }

    pub(crate) const fn slot(&self, slot: c_int) -> PyType_Slot {
        PyType_Slot { slot, pfunc: self.0.get().cast::<c_void>() }
    }
}

/// Makes a class that has no subclasses and cannot be changed, and adds it to a module.
///
/// It is borrowed: the module and the class itself keep it.
///
/// # Safety
///
/// The thread is attached, `module` is a module. `T` begins with a `PyObject`. The slots, of which the
/// last one is zero, are what the C API says that they are.
pub(crate) unsafe fn add<T>(
    module: *mut PyObject,
    name: &'static CStr,
    slots: &mut [PyType_Slot],
) -> Result<*mut PyTypeObject> {
    let size = c_int::try_from(mem::size_of::<T>()).expect("objects are small");
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_IMMUTABLETYPE;
    let mut spec = PyType_Spec {
        name: name.as_ptr(),
        basicsize: size,
        itemsize: 0,
        flags: flags as c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: passed on to the caller. What the class refers to after this is static. The module takes
    // a reference of its own; the one that is ours is never given up, so the class lives on.
    unsafe {
        let class = ffi::PyType_FromModuleAndSpec(module, &raw mut spec, ptr::null_mut());
        if class.is_null() {
            return Err(Raised::already());
        }
        let class: *mut PyTypeObject = class.cast();
        if ffi::PyModule_AddType(module, class) < 0 {
            ffi::Py_DECREF(class.cast());
            return Err(Raised::already());
        }
        Ok(class)
    }
}

/// Gives up an object's memory, and its reference to its class.
///
/// # Safety
///
/// Called from the object's `tp_dealloc` alone, at its end. The object was made by `tp_alloc`, and its
/// class takes no part in garbage collection.
pub(crate) unsafe fn free(object: *mut PyObject) {
    // SAFETY: passed on to the caller; objects of such classes hold a reference to them.
    unsafe {
        let class = ffi::Py_TYPE(object);
        ffi::PyObject_Free(object.cast());
        ffi::Py_DECREF(class.cast());
    }
}

/// A new object of a class, all zeros behind its header.
///
/// # Safety
///
/// The thread is attached. `class` was made by [`add`].
pub(crate) unsafe fn allocate(class: *mut PyTypeObject) -> Result<*mut PyObject> {
    // SAFETY: passed on to the caller.
    let object = unsafe { ffi::PyType_GenericAlloc(class, 0) };
    if object.is_null() { Err(Raised::already()) } else { Ok(object) }
}
