//! `read`, and what it gives to `when`.

use boc_core::raw::Mode;
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use std::ffi::{c_int, c_void};

use crate::{
    class::{self, NO_METHOD, NO_SLOT, Table, entered, slot, with_one, without},
    cown,
    error::{self, Raised, Result},
    interpreter, object,
    object::Object,
    request,
};

/// What is behind an object of the class: a cown, or a list of cowns that nobody else has.
struct ToRead(Object);

/// Makes the class, which belongs to the caller.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub(crate) unsafe fn make_class(module: *mut PyObject) -> Result<Object> {
    static METHODS: Table<PyMethodDef, 2> = Table::new([
        without(c"__reduce__", reduce, c"__reduce__($self, /)\n--\n\nIts cowns stay the same."),
        NO_METHOD,
    ]);
    static SLOTS: Table<ffi::PyType_Slot, 6> = Table::new([
        class::doc(
            c"What `read` gives to `when`: a cown, or several, that a behaviour only reads.",
        ),
        slot(ffi::Py_tp_dealloc, class::dealloc::<ToRead> as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_methods, METHODS.get().cast()),
        NO_SLOT,
    ]);
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    // SAFETY: passed on to the caller; the slots are those of such an object.
    unsafe { class::make::<ToRead>(module, c"boc._boc.ToRead", flags, SLOTS.get()) }
}

/// Adds the function to the module.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub(crate) unsafe fn add_function(module: *mut PyObject) -> Result<()> {
    static FUNCTIONS: Table<PyMethodDef, 2> = Table::new([
        with_one(
            c"read",
            read,
            c"read($module, cown, /)\n--\n\nIn `when(a, read(b))`: the behaviour only reads `b`, a cown or a sequence \
              of cowns, together with\nothers that read it as well. Its `.value` cannot be set.",
        ),
        NO_METHOD,
    ]);
    // SAFETY: passed on to the caller.
    match unsafe { ffi::PyModule_AddFunctions(module, FUNCTIONS.get()) } {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}

/// What an argument of `when` stands for, and what becomes of it: an object as it is is there to be changed.
/// Borrowed.
///
/// # Safety
///
/// The thread is attached, and the object alive as long as the result is used.
pub(crate) unsafe fn to_read(argument: *mut PyObject) -> (*mut PyObject, Mode) {
    // SAFETY: passed on to the caller.
    unsafe {
        if interpreter::here().classes.to_read.is_of(argument) {
            (class::value::<ToRead>(argument).0.as_ptr(), Mode::Read)
        } else {
            (argument, Mode::Write)
        }
    }
}

unsafe extern "C" fn read(_: *mut PyObject, argument: *mut PyObject) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the argument is alive during the call.
        unsafe {
            let cowns = match request::sequence(argument) {
                Some(members) => members?,
                None => Object::from_borrowed(argument),
            };
            check(&cowns)?;
            class::instance(interpreter::here().classes.to_read.get(), ToRead(cowns))
        }
    })
}

/// Raises if this is neither a cown of Python nor a list of such.
fn check(cowns: &Object) -> Result<()> {
    let object = cowns.as_ptr();
    // SAFETY: the object is alive, and so is what is in the list, which nobody else has.
    unsafe {
        if request::is_cown(object) || ffi::PyList_CheckExact(object) == 0 {
            return check_cown(object);
        }
        for index in 0..ffi::PyList_Size(object) {
            check_cown(ffi::PyList_GetItem(object, index))?;
        }
    }
    Ok(())
}

/// # Safety
///
/// The thread is attached, and the object alive.
unsafe fn check_cown(object: *mut PyObject) -> Result<()> {
    // SAFETY: passed on to the caller.
    match unsafe { cown::behind(object) } {
        Some(cown) if cown.is_python() => Ok(()),
        Some(_) => Err(error::type_error(
            "the value of this cown belongs to the extension that made it, which has to hold it alone: pass \
             the cown itself, without read()",
        )),
        None => Err(error::type_error(format!(
            "read() takes a cown or a sequence of cowns, and this is or contains an object of type {}",
            // SAFETY: passed on to the caller.
            unsafe { object::class_name(object) }
        ))),
    }
}

/// # Safety
///
/// The object is of the class, and lives as long as the result is used.
unsafe fn this<'a>(object: *mut PyObject) -> &'a Object {
    // SAFETY: passed on to the caller.
    unsafe { &class::value::<ToRead>(object).0 }
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector, with an object of the class.
    unsafe {
        match class::visit(ffi::Py_TYPE(object).cast(), visit, arg) {
            0 => class::visit(this(object).as_ptr(), visit, arg),
            stop => stop,
        }
    }
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an object of the class.
    entered(|| Object::str(&format!("boc.read({})", unsafe { this(object) }.repr()?)))
}

unsafe extern "C" fn reduce(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| {
        let function = object::import("boc._boc")?.get(c"read")?;
        // SAFETY: called by Python with an object of the class; the result is a new reference, or null.
        unsafe {
            let cowns = this(object);
            let arguments = ffi::PyTuple_Pack(1, cowns.as_ptr());
            let arguments = Object::from_owned(arguments)?;
            let both = ffi::PyTuple_Pack(2, function.as_ptr(), arguments.as_ptr());
            Object::from_owned(both)
        }
    })
}
