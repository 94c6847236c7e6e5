//! Values with objects of other classes than the usual ones, as bytes of pickle.

use pyo3_ffi::{self as ffi, Py_ssize_t};
use smallvec::SmallVec;
use std::slice;

use super::Bytes;
use crate::{
    departure::Departure,
    error::{Raised, Result, system_error},
    object::{self, Object},
    thing::Thing,
};

/// The module that knows how.
const MODULE: &str = "boc._shipping";

/// Bytes for a value, and what they refer to.
pub(super) fn pack(
    departure: &mut Departure,
    name: &str,
    value: &Object,
) -> Result<(Bytes, Box<[Thing]>)> {
    let pair = match object::call(MODULE, c"dumps", [value]) {
        Ok(pair) => pair,
        Err(raised) => return Err(explain(name, value, raised)),
    };
    // SAFETY: each function gets an object of the class that it is for. The bytes do not change; the
    // list, and so what is in it, is used by nobody else any more.
    unsafe {
        if ffi::Py_TYPE(pair.as_ptr()) != &raw mut ffi::PyTuple_Type
            || ffi::PyTuple_GET_SIZE(pair.as_ptr()) != 2
        {
            return Err(unexpected());
        }
        let bytes = ffi::PyTuple_GET_ITEM(pair.as_ptr(), 0);
        let things = ffi::PyTuple_GET_ITEM(pair.as_ptr(), 1);
        if ffi::Py_TYPE(bytes) != &raw mut ffi::PyBytes_Type
            || ffi::Py_TYPE(things) != &raw mut ffi::PyList_Type
        {
            return Err(unexpected());
        }
        let length = ffi::PyBytes_Size(bytes) as usize;
        let bytes = slice::from_raw_parts(ffi::PyBytes_AS_STRING(bytes).cast(), length);
        let things: SmallVec<[_; 8]> = (0..ffi::PyList_GET_SIZE(things))
            .map(|index| ffi::PyList_GET_ITEM(things, index))
            .collect();
        Ok((Bytes::from_slice(bytes), Thing::all(&things, departure)?))
    }
}

/// The value of bytes.
pub(super) fn open(bytes: &[u8], things: &[Object]) -> Result<Object> {
    // SAFETY: there are that many bytes; the result is a new reference, or null.
    let bytes = unsafe {
        let length = bytes.len() as Py_ssize_t;
        Object::from_owned(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), length))?
    };
    let list = Object::list(things.iter().map(|thing| Ok(thing.clone())))?;
    object::call(MODULE, c"loads", [&bytes, &list])
}

/// Makes of what pickle raises a `TypeError` that says which part of the value cannot cross.
fn explain(name: &str, value: &Object, raised: Raised) -> Raised {
    // SAFETY: these are classes of exceptions.
    let passes = unsafe {
        !raised.is(ffi::PyExc_Exception)
            || raised.is(ffi::PyExc_MemoryError)
            || raised.is(ffi::PyExc_RecursionError)
    };
    if passes {
        return raised;
    }
    let exception = raised.take();
    let explained = Object::str(name)
        .and_then(|name| object::call("boc._crossing", c"explain", [&name, value, &exception]));
    match explained {
        Ok(explained) => Raised::restore(explained),
        Err(raised) => raised,
    }
}

fn unexpected() -> Raised {
    system_error("internal error in boc: dumps() returned something else than bytes and a list")
}
