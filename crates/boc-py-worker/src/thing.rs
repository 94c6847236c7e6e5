//! What goes to another interpreter by reference.

use boc_core::raw::AnyCown;
use pyo3_ffi::{self as ffi, PyObject};
use smallvec::SmallVec;
use std::sync::Arc;

use crate::{
    buffer::{self, Moving, Passage, Sent},
    cown,
    definition::{self, Definition},
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

/// A thing, which is still where it was if it can be at one place only.
enum Leaving {
    Stays(Thing),
    Moves(Moving),
}

impl Thing {
    /// What these objects stand for. All of the `Buffer`s among them are empty after that, or if an
    /// exception is raised none of them.
    ///
    /// # Safety
    ///
    /// The thread is attached and the objects are alive. No `Buffer` is there twice.
    pub unsafe fn all(objects: &[*mut PyObject]) -> Result<Box<[Self]>> {
        let leaving: Result<SmallVec<[Leaving; 4]>> = objects
            .iter()
            .map(|&object| {
                // SAFETY: passed on to the caller.
                unsafe { Leaving::of(object) }.unwrap_or_else(|| {
                    // SAFETY: as above.
                    let class = unsafe { crate::object::class_name(object) };
                    Err(system_error(format!("internal error in boc: sent by reference: {class}")))
                })
            })
            .collect();
        Ok(leaving?.into_iter().map(Leaving::go).collect())
    }

    /// The object that stands for this in the thread's interpreter.
    pub fn object(&self) -> Result<Object> {
        match self {
            Self::Cown(cown) => cown::object(cown.clone()),
            Self::Block(passage) => buffer::object(passage),
            Self::Definition(definition) => definition::object(definition),
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

impl Leaving {
    /// What an object stands for, if it is one of these.
    ///
    /// # Safety
    ///
    /// The thread is attached and the object alive.
    unsafe fn of(object: *mut PyObject) -> Option<Result<Self>> {
        // SAFETY: passed on to the caller; the classes are compared exactly.
        unsafe {
            let class = ffi::Py_TYPE(object);
            let classes = &here().classes;
            if class == classes.buffer.get() {
                Some(Moving::start(object).map(|sent| match sent {
                    Sent::Moving(moving) => Self::Moves(moving),
                    Sent::Copy(passage) => Self::Stays(Thing::Block(passage)),
                }))
            } else if let Some(cown) = cown::behind(object) {
                let ready = cown.make_ready_to_go();
                Some(ready.map(|()| Self::Stays(Thing::Cown(cown.share()))))
            } else {
                let definition = definition::behind(object)?;
                Some(Ok(Self::Stays(Thing::Definition(definition))))
            }
        }
    }

    fn go(self) -> Thing {
        match self {
            Self::Stays(thing) => thing,
            Self::Moves(moving) => Thing::Block(moving.finish()),
        }
    }
}
