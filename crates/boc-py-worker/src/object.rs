//! References to objects of Python, and calls of them.
//!
//! An [`Object`] belongs to the interpreter that its thread is attached to. Whoever detaches the thread,
//! or attaches it to another interpreter, uses none meanwhile.

use pyo3_ffi::{self as ffi, PyObject};
use std::{
    ffi::{CStr, CString},
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{self, NonNull},
};

use crate::{
    ending::{self, Py_DecRef, PyObject_Vectorcall},
    error::{Raised, Result},
};

/// A reference to an object, of the interpreter that this thread is attached to.
#[repr(transparent)]
pub struct Object {
    object: NonNull<PyObject>,
    /// Stays on its thread.
    here: PhantomData<*mut ()>,
}

impl Object {
    /// Takes a new reference over; null means that an exception was raised.
    ///
    /// # Safety
    ///
    /// The thread is attached. `object` is a new reference, or null with an exception set.
    pub unsafe fn from_owned(object: *mut PyObject) -> Result<Self> {
        let object = NonNull::new(object).ok_or_else(Raised::already)?;
        Ok(Self { object, here: PhantomData })
    }

    /// Makes a reference of one's own.
    ///
    /// # Safety
    ///
    /// The thread is attached. `object` is alive.
    pub unsafe fn from_borrowed(object: *mut PyObject) -> Self {
        // SAFETY: passed on to the caller.
        unsafe {
            ffi::Py_INCREF(object);
            Self { object: NonNull::new_unchecked(object), here: PhantomData }
        }
    }

    /// `None`, of a thread that is attached.
    pub fn none() -> Self {
        // SAFETY: it never dies.
        unsafe { Self::from_borrowed(ffi::Py_None()) }
    }

    /// A `str`.
    pub fn str(text: &str) -> Result<Self> {
        // SAFETY: the text has that many bytes; the result is a new reference, or null.
        unsafe {
            let length = text.len() as ffi::Py_ssize_t;
            Self::from_owned(ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), length))
        }
    }

    /// An `int`.
    pub fn int(number: usize) -> Result<Self> {
        // SAFETY: the result is a new reference, or null.
        unsafe { Self::from_owned(ffi::PyLong_FromSize_t(number)) }
    }

    /// A list of objects, the first of which that raises ends it.
    pub fn list(objects: impl ExactSizeIterator<Item = Result<Self>>) -> Result<Self> {
        // SAFETY: the list is new, has a place for each of them, and takes the reference. A place that is empty,
        // since one has raised, is none that anybody sees.
        unsafe {
            let list = Self::from_owned(ffi::PyList_New(objects.len() as ffi::Py_ssize_t))?;
            for (index, object) in objects.enumerate() {
                let place = index as ffi::Py_ssize_t;
                ffi::PyList_SetItem(list.as_ptr(), place, object?.into_ptr());
            }
            Ok(list)
        }
    }

    /// Borrowed.
    pub fn as_ptr(&self) -> *mut PyObject {
        self.object.as_ptr()
    }

    /// Gives the reference away.
    pub fn into_ptr(self) -> *mut PyObject {
        ManuallyDrop::new(self).object.as_ptr()
    }

    /// An attribute.
    pub fn get(&self, name: &CStr) -> Result<Self> {
        // SAFETY: the object is alive; the result is a new reference, or null.
        unsafe {
            let object = self.as_ptr();
            Self::from_owned(ending::guarded(|| {
                ending::PyObject_GetAttrString(object, name.as_ptr())
            }))
        }
    }

    /// Calls the object.
    pub fn call<const COUNT: usize>(&self, arguments: [&Self; COUNT]) -> Result<Self> {
        let arguments = arguments.map(Self::as_ptr);
        // SAFETY: all are alive during the call.
        unsafe { vectorcall(self.as_ptr(), arguments.as_ptr(), COUNT) }
    }

    /// The name of the object's class.
    pub fn class_name(&self) -> String {
        // SAFETY: the object is alive.
        unsafe { class_name(self.as_ptr()) }
    }

    /// What `str()` makes of the object, or what can be said in its place.
    pub fn text(&self) -> String {
        // SAFETY: the object is alive; the text lives as long as `text`.
        unsafe {
            let object = self.as_ptr();
            let Ok(text) = Self::from_owned(ending::guarded(|| ending::PyObject_Str(object)))
            else {
                ffi::PyErr_Clear();
                return format!("<{}>", self.class_name());
            };
            text.as_str().map_or_else(
                |raised| {
                    raised.clear();
                    "<text that is not Unicode>".to_owned()
                },
                str::to_owned,
            )
        }
    }

    /// What `repr()` makes of the object.
    pub fn repr(&self) -> Result<String> {
        // SAFETY: the object is alive; the result is a new reference, or null.
        unsafe {
            let object = self.as_ptr();
            let text = Self::from_owned(ending::guarded(|| ending::PyObject_Repr(object)))?;
            Ok(text.as_str()?.to_owned())
        }
    }

    /// The characters of a `str`. Raises if it is none, or has no form in UTF-8.
    pub fn as_str(&self) -> Result<&str> {
        // SAFETY: the object is alive as long as it is borrowed.
        unsafe { characters(self.as_ptr()) }
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        // SAFETY: `self` keeps it alive, and shows that the thread is attached.
        unsafe { Self::from_borrowed(self.as_ptr()) }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let object = self.as_ptr();
        // SAFETY: the reference is ours, and not used any more. It may be the last one.
        ending::guarded(|| unsafe { Py_DecRef(object) });
    }
}

/// Calls an object.
///
/// # Safety
///
/// The thread is attached. `callable` is an object; at `arguments` there are `count` pointers to more. All are
/// alive during the call.
pub unsafe fn vectorcall(
    callable: *mut PyObject,
    arguments: *const *mut PyObject,
    count: usize,
) -> Result<Object> {
    // SAFETY: passed on to the caller. The result is a new reference, or null with an exception set.
    unsafe {
        Object::from_owned(ending::guarded(|| {
            PyObject_Vectorcall(callable, arguments, count, ptr::null_mut())
        }))
    }
}

/// See [`Object::as_str`].
///
/// # Safety
///
/// The thread is attached, and the object alive, also as long as the text is used.
pub(crate) unsafe fn characters<'a>(text: *mut PyObject) -> Result<&'a str> {
    let mut length = 0;
    // SAFETY: passed on to the caller; the characters live as long as the object, and are so many bytes in UTF-8.
    unsafe {
        let characters = ffi::PyUnicode_AsUTF8AndSize(text, &raw mut length);
        if characters.is_null() {
            return Err(Raised::already());
        }
        let bytes = std::slice::from_raw_parts(characters.cast::<u8>(), length as usize);
        Ok(std::str::from_utf8_unchecked(bytes))
    }
}

/// The name of an object's class.
///
/// # Safety
///
/// The thread is attached, and the object alive.
pub unsafe fn class_name(object: *mut PyObject) -> String {
    // SAFETY: passed on to the caller; a class has a name.
    unsafe {
        let class: *mut PyObject = ffi::Py_TYPE(object).cast();
        match Object::from_borrowed(class).get(c"__name__") {
            Ok(name) => name.as_str().map(str::to_owned).unwrap_or_else(|raised| {
                raised.clear();
                "?".to_owned()
            }),
            Err(raised) => {
                raised.clear();
                "?".to_owned()
            }
        }
    }
}

/// A module, which is imported if it was not.
pub fn import(module: &str) -> Result<Object> {
    let name = CString::new(module)
        .map_err(|_| crate::error::value_error("a module's name has a zero in it"))?;
    // SAFETY: whoever asks for that is attached; the result is a new reference, or null.
    unsafe { Object::from_owned(ending::guarded(|| ending::PyImport_ImportModule(name.as_ptr()))) }
}

/// Calls a function of a module.
pub fn call<const COUNT: usize>(
    module: &str,
    function: &CStr,
    arguments: [&Object; COUNT],
) -> Result<Object> {
    import(module)?.get(function)?.call(arguments)
}
