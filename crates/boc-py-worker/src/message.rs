//! Values on their way from one piece of the program to another, outside of cowns.

use pyo3_ffi::PyObject;

use crate::{
    error::{self, Result},
    interpreter,
    kept::Kept,
    object::{self, Object},
    parcel::Parcel,
    pool,
};

/// A value that any interpreter can have.
pub(crate) enum Message {
    /// An object of the main interpreter.
    Object(Kept),
    /// In no interpreter.
    Parcel(Parcel),
}

impl Message {
    /// An object of this thread's interpreter: itself where behaviours use the objects themselves, else a copy.
    ///
    /// # Safety
    ///
    /// The thread is attached, and the object alive.
    pub(crate) unsafe fn new(name: &str, object: *mut PyObject) -> Result<Self> {
        if goes_by_value()? {
            // SAFETY: passed on to the caller.
            let object = unsafe { Object::from_borrowed(object) };
            return Parcel::pack_as(name, &object).map(Self::Parcel);
        }
        // SAFETY: attached to the main interpreter, since everything is by value in others.
        Ok(Self::Object(unsafe { Kept::for_others(object) }))
    }

    /// The value in this thread's interpreter, for who is the only one to have it.
    pub(crate) fn into_object(self) -> Result<Object> {
        match self {
            Self::Object(object) if interpreter::here().is_main() => Ok(object.into_object()),
            Self::Object(object) => packed_at_home(&object)?.open(),
            Self::Parcel(parcel) => parcel.open(),
        }
    }
}

/// An object of the main interpreter, on a thread of another one's: it was put where it is when no
/// behaviour could run there.
pub(crate) fn packed_at_home(object: &Kept) -> Result<Parcel> {
    let packed = interpreter::main().visit(|| {
        let object = object.object();
        Parcel::pack(&object).map_err(|raised| raised.take().text())
    });
    match packed {
        Some(packed) => packed.map_err(error::type_error),
        None => Err(error::runtime_error("the main interpreter has ended")),
    }
}

/// Whether values go to other interpreters: those of the workers there are, or would be.
fn goes_by_value() -> Result<bool> {
    // No other backend is possible there.
    if cfg!(any(Py_GIL_DISABLED, not(Py_3_12))) {
        return Ok(false);
    }
    if pool::goes_by_value() {
        return Ok(true);
    }
    // At the exit of the program, too, only the main interpreter stays.
    if pool::known(|target| target.is_some()) || pool::is_exiting() {
        return Ok(false);
    }
    let backend = object::call("boc._runtime", c"backend", [])?;
    Ok(backend.as_str()? == "subinterpreters")
}
