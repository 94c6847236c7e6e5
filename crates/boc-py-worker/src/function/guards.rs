//! What must be where it was, for a template to hold; `boc/_guards.py` tells what that is for.

use pyo3_ffi::{self as ffi, PyObject, PyTypeObject};
use std::ptr;

use crate::{
    error::{Raised, Result},
    object::Object,
};

/// Something, and where it was.
pub(super) enum Guard {
    /// In a dictionary of globals.
    Name { globals: Object, name: Object, value: Option<Object> },
    /// In a cell.
    Cell { cell: Object, contents: Option<Object> },
    /// The values of a class's attributes.
    Class { class: Object, values: Object },
}

impl Guard {
    /// Whether it still is there.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Name { globals, name, value } => {
                // SAFETY: both are alive; what is found is borrowed, and only its address is used.
                let now = unsafe { ffi::PyDict_GetItemWithError(globals.as_ptr(), name.as_ptr()) };
                // SAFETY: attached.
                if now.is_null() && unsafe { !ffi::PyErr_Occurred().is_null() } {
                    Raised::already().clear();
                    return false;
                }
                ptr::eq(now, address(value.as_ref()))
            }
            Self::Cell { cell, contents } => {
                // SAFETY: it is a cell. What is in it comes as a new reference, or null.
                let now = unsafe { Object::from_owned(ffi::PyCell_Get(cell.as_ptr())).ok() };
                ptr::eq(address(now.as_ref()), address(contents.as_ref()))
            }
            // SAFETY: they are a class and a tuple, as `read` has seen.
            Self::Class { class, values } => unsafe { has_values(class.as_ptr(), values.as_ptr()) },
        }
    }
}

fn address(object: Option<&Object>) -> *mut PyObject {
    object.map_or(ptr::null_mut(), Object::as_ptr)
}

/// Whether a class has these attributes, in that order, by identity.
///
/// # Safety
///
/// The thread is attached; `class` is a class made in Python and `values` a tuple, both alive.
unsafe fn has_values(class: *mut PyObject, values: *mut PyObject) -> bool {
    // SAFETY: passed on to the caller. Such a class has a dictionary of its own, and nothing that could
    // change that runs here. What is borrowed is only compared.
    unsafe {
        let attributes = (*class.cast::<PyTypeObject>()).tp_dict;
        let count = ffi::PyTuple_Size(values);
        if attributes.is_null() || ffi::PyDict_Size(attributes) != count {
            return false;
        }
        let (mut position, mut index, mut value) = (0, 0, ptr::null_mut());
        while ffi::PyDict_Next(attributes, &raw mut position, ptr::null_mut(), &raw mut value) != 0
        {
            if index == count || !ptr::eq(ffi::PyTuple_GetItem(values, index), value) {
                return false;
            }
            index += 1;
        }
        index == count
    }
}

/// Whether a value can be sent beside a template.
///
/// # Safety
///
/// The thread is attached and the object alive.
pub(super) unsafe fn is_data(value: *mut PyObject) -> bool {
    // SAFETY: passed on to the caller.
    unsafe {
        ffi::Py_TYPE(value) != &raw mut ffi::PyFunction_Type
            && ffi::PyType_Check(value) == 0
            && ffi::PyCFunction_Check(value) == 0
            && ffi::PyModule_Check(value) == 0
    }
}

/// Reads the guards that the Python half has made.
///
/// # Safety
///
/// The thread is attached. `guards` is a list of guards; `missing` is what stands for nothing in them. Both
/// are alive.
pub(super) unsafe fn read(guards: *mut PyObject, missing: *mut PyObject) -> Result<Box<[Guard]>> {
    let read = |index| {
        // SAFETY: passed on to the caller. The list keeps its tuples alive, and they their four items.
        unsafe {
            let guard = ffi::PyList_GetItem(guards, index);
            let item = |index| Object::from_borrowed(ffi::PyTuple_GetItem(guard, index));
            let value = Some(item(3)).filter(|value| !ptr::eq(value.as_ptr(), missing));
            Ok(match ffi::PyLong_AsLong(ffi::PyTuple_GetItem(guard, 0)) {
                0 => Guard::Name { globals: item(1), name: item(2), value },
                1 => Guard::Cell { cell: item(1), contents: value },
                _ => Guard::Class { class: item(1), values: item(3) },
            })
        }
    };
    // SAFETY: it is a list.
    (0..unsafe { ffi::PyList_Size(guards) }).map(read).collect()
}
