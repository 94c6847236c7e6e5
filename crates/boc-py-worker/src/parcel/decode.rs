//! From bytes to an object.
//!
//! No Python code runs meanwhile: what is made has one of the classes that [`super::encode`] writes, and
//! the things were made before. So nobody sees what is not finished.

use pyo3_ffi as ffi;

use super::{format::*, integer};
use crate::{
    error::{Raised, Result, system_error},
    object::Object,
};

/// Bytes on their way to a value.
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    /// The objects with a number.
    numbered: Vec<Object>,
    things: &'a [Object],
}

#[cold]
fn malformed() -> Raised {
    system_error("internal error in boc: a value that was sent is malformed")
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8], things: &'a [Object]) -> Self {
        Self { bytes, numbered: Vec::new(), things }
    }

    /// Reads all, which is one value. The thread is attached.
    pub(super) fn whole(mut self) -> Result<Object> {
        let value = self.value(0)?;
        if self.bytes.is_empty() { Ok(value) } else { Err(malformed()) }
    }

    fn value(&mut self, depth: u32) -> Result<Object> {
        let [tag] = self.take()?;
        let shared = tag & SHARED != 0;
        // SAFETY: the thread is attached, as long as there are objects around. All functions get what
        // they want, and return a new reference or null.
        unsafe {
            let value = match tag & !SHARED {
                NONE => return Ok(Object::none()),
                FALSE => return Ok(Object::from_borrowed(ffi::Py_False())),
                TRUE => return Ok(Object::from_borrowed(ffi::Py_True())),
                INT8 => return int(i8::from_ne_bytes(self.take()?).into()),
                INT32 => return int(i32::from_ne_bytes(self.take()?).into()),
                INT64 => return int(i64::from_ne_bytes(self.take()?)),
                BIG_INT => return integer::read(self.run(1)?.1),
                FLOAT => {
                    let number = f64::from_ne_bytes(self.take()?);
                    return Object::from_owned(ffi::PyFloat_FromDouble(number));
                }
                COMPLEX => {
                    let real = f64::from_ne_bytes(self.take()?);
                    let imaginary = f64::from_ne_bytes(self.take()?);
                    Object::from_owned(ffi::PyComplex_FromDoubles(real, imaginary))?
                }
                STR1 => {
                    let (length, data) = self.run(1)?;
                    text(1, data.as_ptr(), length)?
                }
                STR2 => self.text2()?,
                STR4 => self.text4()?,
                BYTES => {
                    let (length, data) = self.run(1)?;
                    let (data, length) = (data.as_ptr().cast(), length as ffi::Py_ssize_t);
                    Object::from_owned(ffi::PyBytes_FromStringAndSize(data, length))?
                }
                TUPLE => self.tuple(deeper(depth)?)?,
                LIST => return self.list(shared, deeper(depth)?),
                DICT => return self.dict(shared, deeper(depth)?),
                REFERENCE => {
                    let number = self.length()?;
                    return self.numbered.get(number).cloned().ok_or_else(malformed);
                }
                THING => {
                    let index = self.length()?;
                    return self.things.get(index).cloned().ok_or_else(malformed);
                }
                _ => return Err(malformed()),
            };
            if shared {
                self.numbered.push(value.clone());
            }
            Ok(value)
        }
    }

    #[inline(never)]
    fn text2(&mut self) -> Result<Object> {
        // The bytes need not be aligned, the characters have to be.
        let (length, data) = self.run(2)?;
        let pairs = data.chunks_exact(2).map(|two| u16::from_ne_bytes([two[0], two[1]]));
        let data: Vec<u16> = pairs.collect();
        // SAFETY: so many there are.
        unsafe { text(2, data.as_ptr().cast(), length) }
    }

    #[inline(never)]
    fn text4(&mut self) -> Result<Object> {
        let (length, data) = self.run(4)?;
        let fours = data.chunks_exact(4).map(|four| [four[0], four[1], four[2], four[3]]);
        let data: Vec<u32> = fours.map(u32::from_ne_bytes).collect();
        if data.iter().any(|&character| character > 0x10_ffff) {
            return Err(malformed());
        }
        // SAFETY: so many there are, all of which can be.
        unsafe { text(4, data.as_ptr().cast(), length) }
    }

    fn tuple(&mut self, depth: u32) -> Result<Object> {
        let length = self.count()?;
        let mut only_atoms = true;
        // SAFETY: the tuple is new and nobody else has it; each index is in it, and is set once. One
        // that is not filled to the end is dropped, which the interpreter can do.
        unsafe {
            let tuple = Object::from_owned(ffi::PyTuple_New(length as ffi::Py_ssize_t))?;
            for index in 0..length {
                only_atoms &= self.bytes.first().is_some_and(|tag| tag & !SHARED <= LAST_ATOM);
                let item = self.value(depth)?;
                ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as ffi::Py_ssize_t, item.into_ptr());
            }
            if only_atoms && length > 0 {
                // The collector would find out by itself, the first time that it looks at all of these.
                ffi::PyObject_GC_UnTrack(tuple.as_ptr().cast());
            }
            Ok(tuple)
        }
    }

    fn list(&mut self, shared: bool, depth: u32) -> Result<Object> {
        let length = self.count()?;
        // SAFETY: as for tuples; others can have a reference to the list, but nothing looks into it.
        unsafe {
            let list = Object::from_owned(ffi::PyList_New(length as ffi::Py_ssize_t))?;
            if shared {
                self.numbered.push(list.clone());
            }
            for index in 0..length {
                let item = self.value(depth)?;
                ffi::PyList_SET_ITEM(list.as_ptr(), index as ffi::Py_ssize_t, item.into_ptr());
            }
            Ok(list)
        }
    }

    fn dict(&mut self, shared: bool, depth: u32) -> Result<Object> {
        let length = self.count()?;
        // SAFETY: the dict takes references of its own. The keys have classes whose functions for that
        // are not written in Python.
        unsafe {
            let dict = Object::from_owned(ffi::PyDict_New())?;
            if shared {
                self.numbered.push(dict.clone());
            }
            for _ in 0..length {
                let key = self.value(depth)?;
                let item = self.value(depth)?;
                let set = ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), item.as_ptr());
                give_up(key);
                give_up(item);
                if set < 0 {
                    return Err(Raised::already());
                }
            }
            Ok(dict)
        }
    }

    #[inline]
    fn take<const SIZE: usize>(&mut self) -> Result<[u8; SIZE]> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(malformed)?;
        self.bytes = rest;
        Ok(*taken)
    }

    #[inline]
    fn length(&mut self) -> Result<usize> {
        let [short] = self.take()?;
        Ok(match short {
            LENGTH32 => u32::from_ne_bytes(self.take()?) as usize,
            LENGTH64 => u64::from_ne_bytes(self.take()?) as usize,
            _ => short.into(),
        })
    }

    /// How many values follow: each is one byte at least.
    #[inline]
    fn count(&mut self) -> Result<usize> {
        let count = self.length()?;
        if count <= self.bytes.len() { Ok(count) } else { Err(malformed()) }
    }

    /// A length, and that many pieces of this size.
    #[inline]
    fn run(&mut self, size: usize) -> Result<(usize, &'a [u8])> {
        let length = self.length()?;
        let total = length.checked_mul(size).ok_or_else(malformed)?;
        let (run, rest) = self.bytes.split_at_checked(total).ok_or_else(malformed)?;
        self.bytes = rest;
        Ok((length, run))
    }
}

fn deeper(depth: u32) -> Result<u32> {
    if depth < DEPTH { Ok(depth + 1) } else { Err(malformed()) }
}

/// Drops an object as this file makes them: not even the last reference runs code of Python.
#[inline]
fn give_up(object: Object) {
    // SAFETY: the reference was ours; the object shows that the thread is attached.
    unsafe { ffi::Py_DECREF(object.into_ptr()) };
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        self.numbered.drain(..).for_each(give_up);
    }
}

/// An `int`. The thread is attached.
#[inline]
pub(super) fn int(number: i64) -> Result<Object> {
    // SAFETY: the result is a new reference, or null.
    unsafe { Object::from_owned(ffi::PyLong_FromLongLong(number)) }
}

/// A `str`.
///
/// # Safety
///
/// At `data` there are `length` characters of `size` bytes, aligned.
#[inline]
unsafe fn text(size: i32, data: *const u8, length: usize) -> Result<Object> {
    // SAFETY: passed on to the caller; the result is a new reference, or null.
    unsafe {
        let length = length as ffi::Py_ssize_t;
        Object::from_owned(ffi::PyUnicode_FromKindAndData(size, data.cast(), length))
    }
}
