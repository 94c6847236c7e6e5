//! From an object to bytes.
//!
//! **Nothing runs meanwhile.** With a GIL, what is called here for objects of exactly these classes
//! neither runs Python code nor releases the GIL, and gives up no reference: so no container changes
//! and no object dies while it is looked at. Without a GIL, other threads can change lists and dicts at
//! any time; there a copy of each is read, which is kept to the end together with what is in it.

use pyo3_ffi::{self as ffi, Py_ssize_t, PyObject};
use std::{collections::hash_map::Entry, slice};

use super::{format::*, integer, memo::Memo};
#[cfg(Py_GIL_DISABLED)]
use crate::object::Object;
use crate::{
    error::Raised,
    interpreter::{Interpreter, here},
};

/// Why encoding has ended before the end.
pub(super) enum Stop {
    /// There is an object of another class, or the value is nested too deeply, or a tuple is in itself.
    Foreign,
    /// An exception is set.
    Raised(Raised),
}

/// A number that is not known yet: the tuple is being written.
const UNFINISHED: usize = usize::MAX;

/// A value on its way to bytes.
pub(super) struct Encoder {
    bytes: Vec<u8>,
    /// The numbers of objects, and the indexes of things.
    memo: Memo,
    /// How many objects have a number.
    numbered: usize,
    things: Vec<*mut PyObject>,
    /// What must live to the end.
    #[cfg(Py_GIL_DISABLED)]
    kept: Vec<Object>,
    interpreter: &'static Interpreter,
}

impl Encoder {
    /// Writes to `bytes`, which is empty.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            memo: Memo::default(),
            numbered: 0,
            things: Vec::new(),
            #[cfg(Py_GIL_DISABLED)]
            kept: Vec::new(),
            interpreter: here(),
        }
    }

    /// What the bytes refer to. They live as long as the value and this encoder.
    pub(super) fn things(&self) -> &[*mut PyObject] {
        &self.things
    }

    /// The memory that was written to.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes an object, and all that is in it.
    ///
    /// # Safety
    ///
    /// The thread is attached. The object is alive until this encoder is dropped, as is all that is in it
    /// as long as nobody takes it out.
    pub(super) unsafe fn value(&mut self, object: *mut PyObject, depth: u32) -> Result<(), Stop> {
        // SAFETY: the object is alive, see the top. The class is compared exactly, so that each function
        // gets what it is for.
        unsafe {
            let class = ffi::Py_TYPE(object);
            if class == &raw mut ffi::PyUnicode_Type {
                self.text(object);
            } else if class == &raw mut ffi::PyLong_Type {
                self.int(object)?;
            } else if class == &raw mut ffi::PyFloat_Type {
                self.record(FLOAT, ffi::PyFloat_AS_DOUBLE(object).to_ne_bytes());
            } else if class == &raw mut ffi::PyTuple_Type {
                return self.tuple(object, depth);
            } else if class == &raw mut ffi::PyList_Type {
                return self.list(object, depth);
            } else if class == &raw mut ffi::PyDict_Type {
                return self.dict(object, depth);
            } else if object == ffi::Py_None() {
                self.bytes.push(NONE);
            } else if class == &raw mut ffi::PyBool_Type {
                self.bytes.push(if object == ffi::Py_True() { TRUE } else { FALSE });
            } else if class == &raw mut ffi::PyBytes_Type {
                self.byte_string(object);
            } else if class == &raw mut ffi::PyComplex_Type {
                self.complex(object);
            } else {
                let classes = &self.interpreter.classes;
                let is_thing = class == classes.cown.get()
                    || class == classes.pinned_cown.get()
                    || class == classes.buffer.get()
                    || class == classes.definition.get();
                if !is_thing {
                    return Err(Stop::Foreign);
                }
                self.thing(object);
            }
        }
        Ok(())
    }

    /// # Safety
    ///
    /// As for [`Self::value`]; it is an `int`.
    unsafe fn int(&mut self, object: *mut PyObject) -> Result<(), Stop> {
        let mut overflow = 0;
        // SAFETY: passed on to the caller. An `int` is not asked for its `__index__`.
        let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow) };
        if overflow != 0 {
            // SAFETY: passed on to the caller.
            let bytes = unsafe { integer::bytes(object) }.map_err(Stop::Raised)?;
            self.bytes.push(BIG_INT);
            self.length(bytes.len());
            self.bytes.extend_from_slice(&bytes);
        } else if let Ok(number) = i8::try_from(number) {
            self.record(INT8, number.to_ne_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.record(INT32, number.to_ne_bytes());
        } else {
            self.record(INT64, number.to_ne_bytes());
        }
        Ok(())
    }

    /// # Safety
    ///
    /// As for [`Self::value`]; it is a `complex`.
    unsafe fn complex(&mut self, object: *mut PyObject) {
        if let Some(shared) = self.number(object) {
            // SAFETY: passed on to the caller.
            let (real, imaginary) = unsafe {
                (ffi::PyComplex_RealAsDouble(object), ffi::PyComplex_ImagAsDouble(object))
            };
            self.record(COMPLEX | shared, real.to_ne_bytes());
            self.bytes.extend_from_slice(&imaginary.to_ne_bytes());
        }
    }

    /// # Safety
    ///
    /// As for [`Self::value`]; it is a `str`.
    unsafe fn text(&mut self, object: *mut PyObject) {
        // SAFETY: passed on to the caller. A `str` has as many characters as it says, of the size that it
        // says; there is nothing between them, so they can be read as bytes.
        let (length, size, data) = unsafe {
            let length = ffi::PyUnicode_GET_LENGTH(object) as usize;
            let size = ffi::PyUnicode_KIND(object) as usize;
            (length, size, slice::from_raw_parts(ffi::PyUnicode_DATA(object).cast(), length * size))
        };
        // The interpreter has the shorter ones once.
        let shared = if length > 1 { self.number(object) } else { Some(0) };
        if let Some(shared) = shared {
            let tag = match size {
                1 => STR1,
                2 => STR2,
                _ => STR4,
            };
            self.run(tag | shared, length, data);
        }
    }

    /// # Safety
    ///
    /// As for [`Self::value`]; it is a `bytes`.
    unsafe fn byte_string(&mut self, object: *mut PyObject) {
        if let Some(shared) = self.number(object) {
            // SAFETY: passed on to the caller. It has as many bytes as it says, and never changes.
            let data = unsafe {
                let length = ffi::PyBytes_Size(object) as usize;
                slice::from_raw_parts(ffi::PyBytes_AS_STRING(object).cast(), length)
            };
            self.run(BYTES | shared, data.len(), data);
        }
    }

    /// # Safety
    ///
    /// As for [`Self::value`]; it is a `tuple`.
    unsafe fn tuple(&mut self, tuple: *mut PyObject, depth: u32) -> Result<(), Stop> {
        // SAFETY: passed on to the caller.
        let length = unsafe { ffi::PyTuple_GET_SIZE(tuple) };
        // There is one empty tuple.
        let shared = length > 0 && may_be_shared(tuple);
        if shared {
            match self.memo.entry(tuple) {
                Entry::Occupied(known) if *known.get() == UNFINISHED => return Err(Stop::Foreign),
                Entry::Occupied(known) => {
                    let number = *known.get();
                    self.bytes.push(REFERENCE);
                    self.length(number);
                    return Ok(());
                }
                Entry::Vacant(unknown) => unknown.insert(UNFINISHED),
            };
        }
        let depth = deeper(depth)?;
        self.bytes.push(if shared { TUPLE | SHARED } else { TUPLE });
        self.length(length as usize);
        for index in 0..length {
            // SAFETY: passed on to the caller. The tuple keeps its items as long as it lives.
            unsafe { self.value(ffi::PyTuple_GET_ITEM(tuple, index), depth)? };
        }
        if shared {
            self.memo.insert(tuple, self.numbered);
            self.numbered += 1;
        }
        Ok(())
    }

    /// # Safety
    ///
    /// As for [`Self::value`]; it is a `list`.
    unsafe fn list(&mut self, list: *mut PyObject, depth: u32) -> Result<(), Stop> {
        let Some(shared) = self.number(list) else { return Ok(()) };
        let depth = deeper(depth)?;
        // SAFETY: passed on to the caller.
        #[cfg(Py_GIL_DISABLED)]
        unsafe {
            let items = self.keep(ffi::PyList_AsTuple(list))?;
            let length = ffi::PyTuple_GET_SIZE(items);
            self.bytes.push(LIST | shared);
            self.length(length as usize);
            for index in 0..length {
                self.value(ffi::PyTuple_GET_ITEM(items, index), depth)?;
            }
        }
        // SAFETY: passed on to the caller. Nobody changes the list, see the top.
        #[cfg(not(Py_GIL_DISABLED))]
        unsafe {
            let length = ffi::PyList_GET_SIZE(list);
            self.bytes.push(LIST | shared);
            self.length(length as usize);
            for index in 0..length {
                debug_assert_eq!(ffi::PyList_GET_SIZE(list), length);
                self.value(ffi::PyList_GET_ITEM(list, index), depth)?;
            }
        }
        Ok(())
    }

    /// # Safety
    ///
    /// As for [`Self::value`]; it is a `dict`.
    unsafe fn dict(&mut self, dict: *mut PyObject, depth: u32) -> Result<(), Stop> {
        let Some(shared) = self.number(dict) else { return Ok(()) };
        let depth = deeper(depth)?;
        // SAFETY: passed on to the caller.
        #[cfg(Py_GIL_DISABLED)]
        let dict = unsafe { self.keep(ffi::PyDict_Copy(dict))? };
        let (mut position, mut key, mut item): (Py_ssize_t, _, _) =
            (0, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: passed on to the caller. Nobody changes the dict, or the copy of it, see the top. So
        // there are as many pairs as it says, and they are alive.
        unsafe {
            self.bytes.push(DICT | shared);
            self.length(ffi::PyDict_Size(dict) as usize);
            while ffi::PyDict_Next(dict, &raw mut position, &raw mut key, &raw mut item) != 0 {
                self.value(key, depth)?;
                self.value(item, depth)?;
            }
        }
        Ok(())
    }

    fn thing(&mut self, object: *mut PyObject) {
        let index = *self.memo.entry(object).or_insert_with(|| {
            self.things.push(object);
            self.things.len() - 1
        });
        self.bytes.push(THING);
        self.length(index);
    }

    /// Gives a number to an object that may be met again: what is to be added to its tag. `None` if it
    /// was met before; then a reference to it is written.
    fn number(&mut self, object: *mut PyObject) -> Option<u8> {
        if !may_be_shared(object) {
            return Some(0);
        }
        match self.memo.entry(object) {
            Entry::Occupied(known) => {
                let number = *known.get();
                self.bytes.push(REFERENCE);
                self.length(number);
                None
            }
            Entry::Vacant(unknown) => {
                unknown.insert(self.numbered);
                self.numbered += 1;
                Some(SHARED)
            }
        }
    }

    /// Keeps a new reference to the end.
    ///
    /// # Safety
    ///
    /// As for [`Object::from_owned`].
    #[cfg(Py_GIL_DISABLED)]
    unsafe fn keep(&mut self, object: *mut PyObject) -> Result<*mut PyObject, Stop> {
        // SAFETY: passed on to the caller.
        let object = unsafe { Object::from_owned(object) }.map_err(Stop::Raised)?;
        self.kept.push(object);
        Ok(self.kept.last().expect("just pushed").as_ptr())
    }

    /// Writes a tag and what has a fixed size behind it.
    #[inline]
    fn record<const SIZE: usize>(&mut self, tag: u8, record: [u8; SIZE]) {
        self.bytes.reserve(1 + SIZE);
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&record);
    }

    /// Writes a tag, a length, and data.
    #[inline]
    fn run(&mut self, tag: u8, length: usize, data: &[u8]) {
        self.bytes.reserve(10 + data.len());
        self.bytes.push(tag);
        self.length(length);
        self.bytes.extend_from_slice(data);
    }

    #[inline]
    fn length(&mut self, length: usize) {
        if length < LENGTH32.into() {
            self.bytes.push(length as u8);
        } else if let Ok(length) = u32::try_from(length) {
            self.record(LENGTH32, length.to_ne_bytes());
        } else {
            self.record(LENGTH64, (length as u64).to_ne_bytes());
        }
    }
}

fn deeper(depth: u32) -> Result<u32, Stop> {
    if depth < DEPTH { Ok(depth + 1) } else { Err(Stop::Foreign) }
}

/// Whether an object can be in a value twice.
///
/// One to which there is a single reference is not: each place in the value has its own. Without a GIL
/// the references are counted in two places, and one of the counts is out of date.
#[inline]
fn may_be_shared(object: *mut PyObject) -> bool {
    // SAFETY: the object is alive.
    cfg!(Py_GIL_DISABLED) || unsafe { ffi::Py_REFCNT(object) } != 1
}
