//! The functions for Python's cowns, and the capsule by which an extension finds all functions.
//!
//! What they promise is said in `include/boc/boc_python.h`.

use boc_capi::{
    Error, binding, boc_body, boc_cown, boc_destroy_fn, boc_request, boc_status,
    table::{TABLE, Table},
};
use boc_core::raw::{self, DuplicateCown, Held, Mode};
use pyo3::{
    exceptions::{PyIndexError, PyRuntimeError, PySystemError, PyTypeError, PyValueError},
    ffi::{self, PyObject},
    prelude::*,
};
use std::{
    any::Any,
    ffi::{c_int, c_void},
    mem,
    panic::{self, AssertUnwindSafe},
    ptr,
};

use boc_py_worker::{
    contents::Contents,
    cown::Cown,
    error::{self, Raised, Result},
    object::Object,
    orphan,
    pool::{self, Refusal},
    threads,
    value::Value,
};

use crate::{
    convert,
    extension::{
        host::Interpreter,
        native::{Pointer, View},
        objects,
    },
};

/// `boc_python_api` of `boc_python.h`. Fields are only ever added, at the end.
#[repr(C)]
struct Api {
    size: usize,
    /// As `boc_abi_version` gives it.
    version: usize,
    table: *const Table,
    cown: unsafe extern "C" fn(*mut PyObject) -> *mut boc_cown,
    object: unsafe extern "C" fn(*const boc_cown, *const View) -> *mut PyObject,
    new_cown: unsafe extern "C" fn(*mut PyObject) -> *mut PyObject,
    set_value: unsafe extern "C" fn(*mut boc_body, usize, *mut PyObject) -> c_int,
    when: unsafe extern "C" fn(
        *const boc_request,
        usize,
        PythonBody,
        *mut c_void,
        boc_destroy_fn,
    ) -> *mut PyObject,
    cown_of: unsafe extern "C" fn(*mut PyObject, *const View) -> *mut boc_cown,
}

// SAFETY: it is never changed, and what it points to are functions.
unsafe impl Sync for Api {}

static API: Api = Api {
    size: size_of::<Api>(),
    version: boc_capi::ABI_VERSION as usize,
    table: &raw const TABLE,
    cown,
    object,
    new_cown,
    set_value,
    when,
    cown_of,
};

/// `boc_python_body_fn`: like that of a behaviour of C, but with a result of Python.
type PythonBody = Option<
    unsafe extern "C-unwind" fn(*mut boc_body, *const *mut c_void, *mut c_void) -> *mut PyObject,
>;

pub(crate) fn add_capsule(module: &Bound<'_, PyModule>) -> PyResult<()> {
    boc_capi::host::set(&Interpreter);
    let pointer = (&raw const API).cast_mut().cast();
    // SAFETY: the table is static, and so is the name, which is that of the attribute.
    let capsule = unsafe {
        let capsule = ffi::PyCapsule_New(pointer, c"boc._C_API".as_ptr(), None);
        Bound::from_owned_ptr_or_err(module.py(), capsule)?
    };
    module.add("_C_API", capsule)
}

/// Runs a function that an extension calls on a thread that is attached. An error is set as Python's
/// exception, and `failed` is returned.
fn entered<R>(failed: R, f: impl FnOnce(Python<'_>) -> PyResult<R>) -> R {
    Python::attach(|py| {
        let result = panic::catch_unwind(AssertUnwindSafe(|| f(py)));
        let internal = |_| Err(PySystemError::new_err("internal error in boc"));
        result.unwrap_or_else(internal).unwrap_or_else(|error| {
            error.restore(py);
            failed
        })
    })
}

fn exception(error: &Error) -> PyErr {
    let message = error.message().to_owned();
    match error.status() {
        boc_status::BOC_DUPLICATE_COWN => PyTypeError::new_err(message),
        boc_status::BOC_INVALID_ARGUMENT => PyValueError::new_err(message),
        _ => PyRuntimeError::new_err(message),
    }
}

/// # Safety
///
/// `object` is NULL or a Python object, borrowed for the call.
unsafe fn given<'py>(py: Python<'py>, object: *mut PyObject) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: passed on to the caller.
    unsafe { Bound::from_borrowed_ptr_or_opt(py, object) }
        .ok_or_else(|| PyValueError::new_err("an object is NULL, which it must not be"))
}

unsafe extern "C" fn cown(object: *mut PyObject) -> *mut boc_cown {
    entered(ptr::null_mut(), |py| {
        // SAFETY: passed on to the caller, as in all of these functions.
        let object = unsafe { given(py, object) }?;
        let Some(cown) = objects::cown_behind(&object) else {
            let kind = object.get_type();
            return Err(PyTypeError::new_err(format!("expected a boc.Cown, not {}", kind.name()?)));
        };
        if cown.is_pinned() {
            return Err(PyTypeError::new_err(
                "a PinnedCown is for the main thread, where no behaviour of an extension runs: pass a Cown",
            ));
        }
        // What an extension schedules waits for the end of no block of `atomic()`.
        cown.check_scheduled().map_err(|raised| convert::error(py, raised))?;
        objects::enter(&object, cown)?;
        Ok(binding::give(cown.share()))
    })
}

unsafe extern "C" fn cown_of(object: *mut PyObject, view: *const View) -> *mut boc_cown {
    entered(ptr::null_mut(), |py| {
        // SAFETY: as above.
        let given = unsafe { given(py, object) }?;
        if let Some(cown) = objects::cown_behind(&given) {
            let (wanted, is_it) = if view.is_null() {
                ("a value of Python", cown.is_python())
            } else {
                (
                    "a value of this extension",
                    view_of(cown).is_some_and(|known| ptr::eq(known, view)),
                )
            };
            if !is_it {
                return Err(PyTypeError::new_err(format!("expected a boc.Cown with {wanted}")));
            }
        }
        // What is no cown is refused there.
        // SAFETY: as above.
        let cown = unsafe { self::cown(object) };
        if cown.is_null() { Err(PyErr::fetch(py)) } else { Ok(cown) }
    })
}

unsafe extern "C" fn object(cown: *const boc_cown, view: *const View) -> *mut PyObject {
    entered(ptr::null_mut(), |py| {
        // SAFETY: as above; a view lives as long as the program.
        let (cown, view) = unsafe { (binding::cown(cown), view.as_ref()) };
        let cown = cown.map_err(|error| exception(&error))?;
        objects::object(py, cown, view).map(Py::into_ptr)
    })
}

unsafe extern "C" fn new_cown(value: *mut PyObject) -> *mut PyObject {
    entered(ptr::null_mut(), |py| {
        // SAFETY: as above.
        let value = unsafe { given(py, value) }?;
        let cown = Cown::new(convert::given(&value));
        convert::object(py, cown.into_object()).map(Py::into_ptr)
    })
}

/// How the extension shows the value that has made the cown.
fn view_of(cown: &Cown) -> Option<&'static View> {
    let native: &dyn Any = cown.as_native()?;
    native.downcast_ref::<Pointer>()?.view()
}

unsafe extern "C" fn set_value(body: *mut boc_body, index: usize, value: *mut PyObject) -> c_int {
    entered(-1, |py| {
        // SAFETY: as above.
        let (held, value) = unsafe { (binding::held_by(body, index), given(py, value)?) };
        let access = held.map_err(|error| PyIndexError::new_err(error.message().to_owned()))?;
        if access.mode == Mode::Read {
            return Err(PyRuntimeError::new_err(format!(
                "cown {index} is only read: request it with BOC_WRITE"
            )));
        }
        // SAFETY: the running behaviour holds the cown, to write.
        let old = unsafe {
            if !access.cown.holds::<Contents>() {
                return Err(PyTypeError::new_err(format!("cown {index} is none of Python's")));
            }
            let held = &mut (*access.cown.value::<Contents>()).held;
            held.exception = false;
            mem::replace(&mut held.value, Value::new(convert::given(&value)))
        };
        // Its end may run any code.
        drop(old);
        Ok(0)
    })
}

unsafe extern "C" fn when(
    requests: *const boc_request,
    count: usize,
    body: PythonBody,
    env: *mut c_void,
    destroy_env: boc_destroy_fn,
) -> *mut PyObject {
    entered(ptr::null_mut(), |py| {
        let env = binding::Env::new(env, destroy_env);
        let body = body.ok_or_else(|| PyValueError::new_err("`body` is NULL"))?;
        // SAFETY: as above.
        let cowns = unsafe { binding::requested(requests, count) };
        let cowns = cowns.map_err(|error| exception(&error))?;
        let body = Body { function: body, env };
        let mut body = Some(body);
        let scheduled = pool::with_target(|target, refusal| {
            let executor = target.executor;
            let Some(begun) = raw::begin(executor, cowns.len()) else {
                let refused = || PyRuntimeError::new_err("the workers were stopped");
                return (refusal == Refusal::IsFinal).then(|| Err(refused()));
            };
            let body = body.take()?;
            let work = move |held: Held<'_>, result: &mut Contents| body.run(held, result);
            // SAFETY: the caller keeps the cowns alive during the call.
            let result =
                unsafe { begun.when(cowns.iter().copied(), || None, Contents::default(), work) };
            Some(result.map(Cown::result_of).map_err(|DuplicateCown| {
                PyTypeError::new_err(
                    "a cown is named twice in one request: name each cown once, or only read it \
                     (BOC_READ)",
                )
            }))
        });
        let cown = scheduled.map_err(|raised| convert::error(py, raised))??;
        convert::object(py, cown.into_object()).map(Py::into_ptr)
    })
}

/// What a behaviour of an extension with a result of Python is made of.
struct Body {
    function: unsafe extern "C-unwind" fn(
        *mut boc_body,
        *const *mut c_void,
        *mut c_void,
    ) -> *mut PyObject,
    env: binding::Env,
}

impl Body {
    /// Calls the function. The caller holds the cowns, and the result.
    fn run(self, held: Held<'_>, result: &mut Contents) {
        orphan::end_if_outermost();
        let run = || {
            let (function, env) = (self.function, self.env.data());
            // SAFETY: it gets what it was made for, on a thread that is attached.
            let ran = binding::run(held, |body, values| unsafe { function(body, values, env) });
            let returned = orphan::end_after_body(outcome(ran));
            result.finish(returned);
            drop(self);
        };
        threads::at_home(|| threads::attached(run));
    }
}

/// What a function of an extension returned, or why it failed.
fn outcome(ran: binding::Ran<*mut PyObject>) -> Result<Object> {
    let object = ran.returned.unwrap_or(ptr::null_mut());
    // SAFETY: the function returns a new reference, or null.
    let object = unsafe { Object::from_owned(object) };
    // SAFETY: attached.
    if !unsafe { ffi::PyErr_Occurred() }.is_null() {
        // Kept aside while the object ends.
        let raised = Raised::already().take();
        drop(object);
        return Err(Raised::restore(raised));
    }
    if let Some(message) = ran.failure {
        return Err(error::runtime_error(message.to_string_lossy()));
    }
    object.map_err(|_| {
        error::system_error("the body of a behaviour returned NULL without setting an exception")
    })
}
