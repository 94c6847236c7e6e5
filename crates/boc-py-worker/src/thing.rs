//! What goes to another interpreter by reference.

use boc_core::raw::AnyCown;
use pyo3_ffi::{self as ffi, PyObject};
use smallvec::SmallVec;
use std::sync::Arc;

use crate::{
    buffer::{self, Passage},
    cown,
    definition::{self, Definition},
    departure::Departure,
    error::{Result, system_error},
    interpreter::here,
    object::Object,
};

/// Something that a value refers to and that is the same in all interpreters.
#[derive(Clone)]
pub enum Thing {
    /// A cown.
    Cown(AnyCown),
    /// The memory of a `Buffer`.
    Block(Arc<Passage>),
    /// A function or a class that is sent by its content.
    Definition(Arc<Definition>),
}

impl Thing {
    /// What these objects stand for. What moves, moves with the departure.
    ///
    /// # Safety
    ///
    /// The thread is attached and the objects are alive.
    pub(crate) unsafe fn all(
        objects: &[*mut PyObject],
        departure: &mut Departure,
    ) -> Result<Box<[Self]>> {
        let mark = departure.mark();
        // What packs the value of a cown can run the program's code, which can take the others out of the value.
        // SAFETY: passed on to the caller.
        let kept: SmallVec<[Object; 4]> =
            objects.iter().map(|&object| unsafe { Object::from_borrowed(object) }).collect();
        // SAFETY: as above; they stay alive.
        let of = |object: &Object| unsafe { Self::of(object.as_ptr(), departure) };
        let things: Result<_> = kept.iter().map(of).collect();
        if things.is_err() {
            departure.forget_since(mark);
        }
        things
    }

    /// What an object stands for.
    ///
    /// # Safety
    ///
    /// The thread is attached and the object alive.
    unsafe fn of(object: *mut PyObject, departure: &mut Departure) -> Result<Self> {
        // SAFETY: passed on to the caller; the classes are compared exactly.
        unsafe {
            if ffi::Py_TYPE(object) == here().classes.buffer.get() {
                Ok(Self::Block(departure.add_buffer(object)?))
            } else if let Some(cown) = cown::behind(object) {
                cown.make_ready_to_go(departure, "value")?;
                Ok(Self::Cown(cown.share()))
            } else if let Some(definition) = definition::behind(object) {
                Ok(Self::Definition(definition))
            } else {
                let class = crate::object::class_name(object);
                Err(system_error(format!("internal error in boc: sent by reference: {class}")))
            }
        }
    }

    /// The object that stands for this in the thread's interpreter.
    pub fn object(&self) -> Result<Object> {
        match self {
            Self::Cown(cown) => cown::object(cown.clone()),
            Self::Block(passage) => buffer::object(passage),
            Self::Definition(definition) => definition::object(definition),
        }
    }

    /// As [`Self::object`], but a `Buffer` is a copy.
    pub(crate) fn object_copied(&self) -> Result<Object> {
        match self {
            Self::Block(passage) => buffer::object_copied(passage),
            Self::Cown(_) | Self::Definition(_) => self.object(),
        }
    }

    /// As [`Self::object`], but a `Buffer` is read-only, and others can read the same memory.
    pub fn object_to_read(&self) -> Result<Object> {
        match self {
            Self::Block(passage) => buffer::object_to_read(passage),
            Self::Cown(_) | Self::Definition(_) => self.object(),
        }
    }
}
