//! From the arguments of `Buffer` to a block.

use pyo3_ffi::{self as ffi, Py_buffer, PyObject};
use std::{ffi::CStr, ptr};

use super::block::{Block, Format};
use crate::{
    ending,
    error::{Raised, Result, type_error, value_error},
    object::Object,
};

/// # Safety
///
/// The thread is attached. `arguments` is a tuple, `keywords` a dict or null.
pub(super) unsafe fn arguments(
    arguments: *mut PyObject,
    keywords: *mut PyObject,
) -> Result<(Object, Option<Format>)> {
    // SAFETY: passed on to the caller. The indexes are in the tuple.
    unsafe {
        let count = ffi::PyTuple_GET_SIZE(arguments);
        let named = if keywords.is_null() { 0 } else { ffi::PyDict_Size(keywords) };
        let mut format = if named == 0 {
            ptr::null_mut()
        } else {
            ffi::PyDict_GetItemString(keywords, c"format".as_ptr())
        };
        if count == 2 && named == 0 {
            format = ffi::PyTuple_GET_ITEM(arguments, 1);
        } else if count != 1 || (named != 0 && (named != 1 || format.is_null())) {
            return Err(type_error(
                "Buffer() takes a size or an object to copy, and as a second argument a format",
            ));
        }
        let source = Object::from_borrowed(ffi::PyTuple_GET_ITEM(arguments, 0));
        if format.is_null() || format == ffi::Py_None() {
            return Ok((source, None));
        }
        let format = Object::from_borrowed(format);
        if ffi::PyUnicode_Check(format.as_ptr()) == 0 {
            let class = format.class_name();
            return Err(type_error(format!("the format of a Buffer is a str, not '{class}'")));
        }
        let known = Format::find(format.as_str()?.as_bytes());
        let known = known.ok_or_else(|| unknown_format(&format.text(), ""))?;
        Ok((source, Some(known)))
    }
}

fn unknown_format(format: &str, advice: &str) -> Raised {
    value_error(format!(
        "a Buffer cannot hold items of format '{format}', but those of one of the native codes \
         B b c ? h H i I l L q Q n N e f d{advice}"
    ))
}

/// The block that the arguments of `Buffer` ask for.
///
/// # Safety
///
/// The thread is attached.
pub(super) unsafe fn block(source: &Object, format: Option<Format>) -> Result<Block> {
    let object = source.as_ptr();
    // SAFETY: the object is alive; each function gets what it is for.
    unsafe {
        // An array of numpy has an `__index__`, which fails; a number of numpy has a buffer.
        let is_size = ffi::PyLong_Check(object) != 0
            || (ffi::PyIndex_Check(object) != 0 && ffi::PySequence_Check(object) == 0);
        if is_size {
            let items =
                ending::guarded(|| ffi::PyNumber_AsSsize_t(object, ffi::PyExc_OverflowError));
            if items == -1 && !ffi::PyErr_Occurred().is_null() {
                return Err(Raised::already());
            }
            let items = usize::try_from(items)
                .map_err(|_| value_error("the size of a Buffer cannot be negative"))?;
            return allocate(items, format.unwrap_or(Format::BYTES));
        }
        if ffi::PyObject_CheckBuffer(object) == 0 {
            let class = source.class_name();
            return Err(type_error(format!(
                "Buffer() wants a size, or an object with the buffer protocol, not '{class}'"
            )));
        }
        copy(&Source::of(source)?, format)
    }
}

/// A view of what is going to be copied.
struct Source(Box<Py_buffer>);

impl Source {
    /// # Safety
    ///
    /// The thread is attached.
    unsafe fn of(object: &Object) -> Result<Self> {
        let mut view = Box::new(Py_buffer::new());
        let pointer = &raw mut *view;
        // SAFETY: the view is at one place until it is released.
        let got = ending::guarded(|| unsafe {
            ffi::PyObject_GetBuffer(object.as_ptr(), pointer, ffi::PyBUF_FULL_RO)
        });
        if got < 0 { Err(Raised::already()) } else { Ok(Self(view)) }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let view = &raw mut *self.0;
        // SAFETY: it was filled, and is not used any more.
        ending::guarded(|| unsafe { ffi::PyBuffer_Release(view) });
    }
}

/// # Safety
///
/// The thread is attached.
unsafe fn copy(source: &Source, format: Option<Format>) -> Result<Block> {
    let view = &*source.0;
    // SAFETY: the view's format is null, or text that ends with a zero. The new memory is as large as what is
    // copied.
    unsafe {
        let format = match format {
            Some(format) => format,
            None if view.format.is_null() => Format::BYTES,
            None => {
                let code = CStr::from_ptr(view.format);
                Format::find(code.to_bytes()).ok_or_else(|| {
                    let advice = "; say format='B', or another one, to take the bytes as they are";
                    unknown_format(&code.to_string_lossy(), advice)
                })?
            }
        };
        let bytes = view.len as usize;
        if !bytes.is_multiple_of(format.size()) {
            return Err(value_error(format!(
                "{bytes} bytes are no whole number of items of format '{}', of {} bytes each",
                format.code().to_string_lossy(),
                format.size()
            )));
        }
        let block = allocate(bytes / format.size(), format)?;
        let memory = block.memory().cast();
        // It only reads the view, and says so from Python 3.11 on.
        let from = ptr::from_ref(view).cast_mut();
        if ffi::PyBuffer_ToContiguous(memory, from, view.len, b'C' as _) < 0 {
            return Err(Raised::already());
        }
        Ok(block)
    }
}

/// # Safety
///
/// The thread is attached.
unsafe fn allocate(items: usize, format: Format) -> Result<Block> {
    // SAFETY: passed on to the caller.
    Block::zeroed(items, format).ok_or_else(|| unsafe { no_memory() })
}

/// # Safety
///
/// The thread is attached.
pub(super) unsafe fn no_memory() -> Raised {
    // SAFETY: passed on to the caller.
    unsafe { ffi::PyErr_NoMemory() };
    Raised::already()
}
