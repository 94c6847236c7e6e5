//! What the module `boc._boc` has in every interpreter.

use pyo3_ffi::{self as ffi, PyMethodDef, PyModuleDef, PyModuleDef_Slot, PyObject};
use std::{
    cell::UnsafeCell,
    ffi::{CStr, c_int, c_void},
    ptr,
};

use crate::{
    atomic, buffer,
    class::{NO_METHOD, Table, entered, entered_for_status, with_many, with_one, without},
    cown, definition,
    error::{self, Raised, Result},
    interpreter::{self, Class},
    mail::{self, Letter},
    messages, noticeboard,
    object::{self, Object},
    parcel::{self, Parcel},
    reading, when, worker,
};

/// The module as workers have it.
pub(crate) fn in_workers() -> *mut PyModuleDef {
    struct Definition(UnsafeCell<PyModuleDef>);
    // SAFETY: Python keeps its counts there, and sees to it that several interpreters can use it.
    unsafe impl Sync for Definition {}
    static SLOTS: Table<PyModuleDef_Slot, 4> = Table::new([
        PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: execute as *mut c_void },
        #[cfg(Py_3_12)]
        PyModuleDef_Slot {
            slot: ffi::Py_mod_multiple_interpreters,
            value: ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
        },
        #[cfg(not(Py_3_12))]
        NO_SLOT,
        #[cfg(Py_3_13)]
        PyModuleDef_Slot { slot: ffi::Py_mod_gil, value: ffi::Py_MOD_GIL_NOT_USED },
        #[cfg(not(Py_3_13))]
        NO_SLOT,
        NO_SLOT,
    ]);
    static DEFINITION: Definition = Definition(UnsafeCell::new(PyModuleDef {
        m_base: ffi::PyModuleDef_HEAD_INIT,
        m_name: c"boc._boc".as_ptr(),
        m_doc: c"Implementation of the package `boc`, in a worker; use that.".as_ptr(),
        m_size: 0,
        m_methods: METHODS.get(),
        m_slots: SLOTS.get(),
        m_traverse: None,
        m_clear: None,
        m_free: None,
    }));
    // SAFETY: the definition lives for ever.
    unsafe { ffi::PyModuleDef_Init(DEFINITION.0.get()).cast() }
}

const NO_SLOT: PyModuleDef_Slot = PyModuleDef_Slot { slot: 0, value: ptr::null_mut() };

static METHODS: Table<PyMethodDef, 6> = Table::new([
    without(
        c"current_worker",
        current_worker,
        c"current_worker($module, /)\n--\n\nThe name of the worker that this thread is.",
    ),
    without(
        c"flush_after_behaviour",
        flush_after_behaviour,
        c"flush_after_behaviour($module, /)\n--\n\nHas `boc._worker.flush` called at the end of the behaviour.",
    ),
    with_one(
        c"set_importing",
        set_importing,
        c"set_importing($module, begins, /)\n--\n\nSays that a module is imported whose cowns are replaced then.",
    ),
    with_many(
        c"ask",
        ask,
        c"ask($module, question, argument, /)\n--\n\nWhat `boc._answers.answer` gives in the main interpreter, now.",
    ),
    with_one(
        c"tell",
        tell,
        c"tell($module, message, /)\n--\n\nHas the main interpreter call `boc._mail.receive` with a copy of the \
          message, some time later.",
    ),
    NO_METHOD,
]);

unsafe extern "C" fn tell(_: *mut PyObject, message: *mut PyObject) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the object is alive during the call.
        let message = Parcel::pack(&unsafe { Object::from_borrowed(message) })?;
        mail::post(Letter::Call("boc._mail", c"receive", message));
        Ok(Object::none())
    })
}

unsafe extern "C" fn flush_after_behaviour(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| {
        worker::flush_after_behaviour();
        Ok(Object::none())
    })
}

unsafe extern "C" fn set_importing(_: *mut PyObject, begins: *mut PyObject) -> *mut PyObject {
    entered(|| {
        // SAFETY: asks for the address alone.
        cown::set_importing(begins == unsafe { ffi::Py_True() });
        Ok(Object::none())
    })
}

unsafe extern "C" fn current_worker(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| Object::str(&worker::name()))
}

unsafe extern "C" fn ask(
    _: *mut PyObject,
    given: *mut *mut PyObject,
    count: ffi::Py_ssize_t,
) -> *mut PyObject {
    entered(|| {
        if count != 2 {
            return Err(error::type_error("ask() takes a question and an argument"));
        }
        // SAFETY: called by Python; the arguments are alive during the call.
        let [question, argument] =
            unsafe { [*given, *given.add(1)].map(|object| Object::from_borrowed(object)) };
        let (question, argument) = (Parcel::pack(&question)?, Parcel::pack(&argument)?);
        let find = || {
            let (question, argument) = (question.open()?, argument.open()?);
            let answer = object::call("boc._answers", c"answer", [&question, &argument])?;
            Parcel::pack(&answer)
        };
        let find = || find().map_err(|raised: Raised| raised.take().text());
        let answer = interpreter::main().visit(find);
        match answer {
            Some(answer) => answer.map_err(error::runtime_error)?.open(),
            None => Err(error::runtime_error("the main interpreter has ended")),
        }
    })
}

unsafe extern "C" fn execute(module: *mut PyObject) -> c_int {
    entered_for_status(|| {
        // SAFETY: called by Python when the module is made.
        unsafe {
            fill(module)?;
            let in_worker = Object::from_borrowed(ffi::Py_True());
            add(module, c"IN_WORKER", &in_worker)
        }
    })
}

/// Adds the classes and functions.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub unsafe fn fill(module: *mut PyObject) -> Result<()> {
    let classes = &interpreter::here().classes;
    // SAFETY: passed on to the caller.
    unsafe {
        let cown = cown::make_class(module)?;
        let pinned = cown::make_pinned_class(module, &cown)?;
        add_class(module, c"Cown", &classes.cown, cown)?;
        add_class(module, c"PinnedCown", &classes.pinned_cown, pinned)?;
        add_class(module, c"Buffer", &classes.buffer, buffer::make_class(module)?)?;
        add_class(module, c"Definition", &classes.definition, definition::make_class(module)?)?;
        add_class(module, c"Parcel", &classes.parcel, parcel::make_class(module)?)?;
        add_class(module, c"ToRead", &classes.to_read, reading::make_class(module)?)?;
        add(module, c"atomic", &atomic::make_class(module)?)?;
        messages::add_functions(module)?;
        noticeboard::add_functions(module)?;
        reading::add_function(module)?;
        when::add_functions(module)
    }
}

/// # Safety
///
/// As for [`fill`]; `class` is a class.
unsafe fn add_class(
    module: *mut PyObject,
    name: &CStr,
    place: &Class,
    class: Object,
) -> Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { add(module, name, &class)? };
    place.set(class.into_ptr().cast());
    Ok(())
}

/// Adds an object to a module.
///
/// # Safety
///
/// As for [`fill`].
pub unsafe fn add(module: *mut PyObject, name: &CStr, object: &Object) -> Result<()> {
    // SAFETY: passed on to the caller.
    match unsafe { ffi::compat::PyModule_AddObjectRef(module, name.as_ptr(), object.as_ptr()) } {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}
