//! Integers that do not fit into 64 bits.

use pyo3_ffi::{self as ffi, PyObject};

#[cfg(Py_3_13)]
use crate::error::Raised;
use crate::{error::Result, object::Object};

/// The bytes of an `int`, to be given to [`read`].
///
/// # Safety
///
/// The thread is attached; `object` is an `int`, and of no subclass.
#[cfg(Py_3_13)]
pub(super) unsafe fn bytes(object: *mut PyObject) -> Result<Vec<u8>> {
    // SAFETY: the buffer has the size that is given. An `int` is not asked for its `__index__`.
    unsafe {
        let size = ffi::PyLong_AsNativeBytes(
            object,
            std::ptr::null_mut(),
            0,
            ffi::Py_ASNATIVEBYTES_NATIVE_ENDIAN,
        );
        if size < 0 {
            return Err(Raised::already());
        }
        let mut bytes = vec![0_u8; size as usize];
        let buffer = bytes.as_mut_ptr().cast();
        let written =
            ffi::PyLong_AsNativeBytes(object, buffer, size, ffi::Py_ASNATIVEBYTES_NATIVE_ENDIAN);
        if written < 0 { Err(Raised::already()) } else { Ok(bytes) }
    }
}

/// The `int` with these bytes.
///
/// # Safety
///
/// The thread is attached.
#[cfg(Py_3_13)]
pub(super) unsafe fn read(bytes: &[u8]) -> Result<Object> {
    // SAFETY: there are that many bytes; the result is a new reference, or null.
    unsafe {
        Object::from_owned(ffi::PyLong_FromNativeBytes(
            bytes.as_ptr().cast(),
            bytes.len(),
            ffi::Py_ASNATIVEBYTES_NATIVE_ENDIAN,
        ))
    }
}

/// The digits of an `int`, to be given to [`read`].
///
/// They are hexadecimal, which takes linear time and has no limit.
///
/// # Safety
///
/// The thread is attached; `object` is an `int`, and of no subclass.
#[cfg(not(Py_3_13))]
pub(super) unsafe fn bytes(object: *mut PyObject) -> Result<Vec<u8>> {
    // SAFETY: the result is a new reference, or null.
    let digits = unsafe { Object::from_owned(ffi::PyNumber_ToBase(object, 16))? };
    Ok(digits.as_str()?.as_bytes().to_vec())
}

/// The `int` with these digits.
///
/// # Safety
///
/// The thread is attached.
#[cfg(not(Py_3_13))]
pub(super) unsafe fn read(bytes: &[u8]) -> Result<Object> {
    let digits = std::ffi::CString::new(bytes)
        .map_err(|_| crate::error::system_error("boc: malformed value: a zero in a number"))?;
    // SAFETY: the digits end with a zero; the result is a new reference, or null.
    unsafe { Object::from_owned(ffi::PyLong_FromString(digits.as_ptr(), std::ptr::null_mut(), 16)) }
}
