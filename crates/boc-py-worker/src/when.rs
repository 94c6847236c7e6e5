//! `when` and `whencall`.

use boc_core::raw::Mode;
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};

use crate::{
    class::{self, NO_METHOD, Table, entered, with_many, with_named, with_one},
    error::{self, Raised, Result},
    object::{self, Object},
    reading,
    request::{self, Request},
};

/// The functions, for the module.
pub static METHODS: Table<PyMethodDef, 3> = Table::new([
    with_many(
        c"when",
        when,
        c"when($module, /, *cowns)\n--\n\n`when(*cowns)`: a decorator that schedules a function as a behaviour \
          over the cowns.",
    ),
    with_named(
        c"whencall",
        whencall,
        c"whencall($module, /, func, args, captures=None)\n--\n\n`whencall(func, args, captures)`: schedules \
          `func` over the cowns in `args`, and passes it the\ncaptures behind them.",
    ),
    NO_METHOD,
]);

unsafe extern "C" fn when(
    _: *mut PyObject,
    cowns: *mut *mut PyObject,
    count: ffi::Py_ssize_t,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python with so many objects, which are alive during the call; the tuple has a place
        // for each, and takes a reference. The result is a new reference, or null.
        unsafe {
            let checked = Object::from_owned(ffi::PyTuple_New(count))?;
            for index in 0..count {
                let argument = check(index as usize, *cowns.add(index as usize))?;
                ffi::PyTuple_SetItem(checked.as_ptr(), index, argument.into_ptr());
            }
            Object::from_owned(ffi::PyCFunction_New(SCHEDULE.get(), checked.as_ptr()))
        }
    })
}

/// An argument of `when`, with a list of its own in the place of a sequence.
///
/// # Safety
///
/// The object is alive.
unsafe fn check(index: usize, argument: *mut PyObject) -> Result<Object> {
    // SAFETY: passed on to the caller.
    unsafe {
        // What is there to be read was looked at by `read`.
        let (_, mode) = reading::to_read(argument);
        if mode == Mode::Read || request::is_cown(argument) {
            return Ok(Object::from_borrowed(argument));
        }
        let members = request::sequence(argument)
            .ok_or_else(|| request::wrong_argument(index, argument))??;
        for place in 0..ffi::PyList_Size(members.as_ptr()) {
            let member = ffi::PyList_GetItem(members.as_ptr(), place);
            if !request::is_cown(reading::to_read(member).0) {
                return Err(request::wrong_argument(index, member));
            }
        }
        Ok(members)
    }
}

/// A builtin that takes a function and schedules it over the cowns in the tuple that it is made with.
///
/// No class with `__call__`, which costs twice as much to make, to call and to free, and this is done for each
/// behaviour.
static SCHEDULE: Table<PyMethodDef, 1> = Table::new([with_one(
    c"schedule",
    schedule,
    c"schedule($self, function, /)\n--\n\nSchedule the function over the cowns.",
)]);

unsafe extern "C" fn schedule(cowns: *mut PyObject, function: *mut PyObject) -> *mut PyObject {
    entered(|| {
        let mut request = Request::default();
        // SAFETY: the interpreter passes live objects, borrowed for the call; the first one is the tuple that
        // `when` put there.
        unsafe {
            for index in 0..ffi::PyTuple_Size(cowns) {
                request.add(ffi::PyTuple_GetItem(cowns, index))?;
            }
            request.schedule(&Object::from_borrowed(function))
        }
    })
}

unsafe extern "C" fn whencall(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        unsafe {
            let parameters = ["func", "args", "captures"];
            let [function, cowns, captures] =
                class::arguments("whencall", parameters, 2, given, positional, names)?;
            if ffi::PyUnicode_Check(function) != 0 {
                return Err(error::type_error(
                    "whencall takes the function itself, not its name as a string",
                ));
            }
            let mut request = Request::default();
            let cowns = listed(cowns, "args", "cowns, or lists of cowns")?;
            for index in 0..ffi::PyList_Size(cowns.as_ptr()) {
                request.add(ffi::PyList_GetItem(cowns.as_ptr(), index))?;
            }
            if !captures.is_null() && captures != ffi::Py_None() {
                let captures =
                    listed(captures, "captures", "what the function gets behind the cowns")?;
                for index in 0..ffi::PyList_Size(captures.as_ptr()) {
                    let capture = ffi::PyList_GetItem(captures.as_ptr(), index);
                    request.capture(Object::from_borrowed(capture));
                }
            }
            request.schedule(&Object::from_borrowed(function))
        }
    })
}

/// What is in an argument of `whencall`, as a list of its own.
///
/// # Safety
///
/// The object is alive.
unsafe fn listed(argument: *mut PyObject, name: &str, of: &str) -> Result<Object> {
    // SAFETY: passed on to the caller; the class lives as long as the object.
    unsafe {
        let class: *mut PyObject = ffi::Py_TYPE(argument).cast();
        let is_iterable = ffi::PySequence_Check(argument) != 0
            || ffi::PyObject_HasAttrString(class, c"__iter__".as_ptr()) != 0;
        if is_iterable {
            return request::list(argument);
        }
        let kind = object::class_name(argument);
        let hint = if request::is_cown(argument) { ": write [cown]" } else { "" };
        Err(error::type_error(format!(
            "{name} of whencall must be a list of {of}, not an object of type {kind}{hint}"
        )))
    }
}

/// Adds what a module has in every interpreter: the functions here and the classes.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub unsafe fn add_functions(module: *mut PyObject) -> Result<()> {
    // SAFETY: passed on to the caller.
    match unsafe { ffi::PyModule_AddFunctions(module, METHODS.get()) } {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}
