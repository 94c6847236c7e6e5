//! Values that can go to any interpreter.
//!
//! - [`format`](self::format), [`encode`], [`decode`]: values of the usual classes, by a way of our own;
//! - [`integer`], [`memo`]: what those two need;
//! - [`pickled`]: all other values, by pickle, and what is said of one that cannot cross;
//! - [`class`]: parcels as objects.

mod class;
mod decode;
mod encode;
mod format;
mod integer;
mod memo;
mod pickled;

use pyo3_ffi as ffi;
use smallvec::SmallVec;
use std::{cell::Cell, sync::Arc};

pub use self::class::make_class;
pub(crate) use self::memo::Memo;
use self::{
    decode::Decoder,
    encode::{Encoder, Stop},
};
use crate::{departure::Departure, error::Result, object::Object, thing::Thing};

/// A value that belongs to no interpreter.
#[derive(Clone)]
pub enum Parcel {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An `int` that fits.
    Int(i64),
    /// A `float`
    Float(f64),
    /// Anything else.
    Packed(Arc<Packed>),
}

/// A value as bytes.
pub struct Packed {
    form: Form,
    bytes: Bytes,
    /// What the bytes refer to by its index.
    things: Box<[Thing]>,
}

/// Those of a short value are where the value is, and not in an allocation of their own.
type Bytes = SmallVec<[u8; 64]>;

/// Whose bytes they are.
enum Form {
    Own,
    Pickle,
}

/// The memory for encoding that a thread keeps is not larger than this.
const SCRATCH: usize = 1 << 16;

thread_local! {
    /// Where short values are encoded, so that they need one allocation, of the right size.
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Parcel {
    /// Packs an object of this thread's interpreter.
    ///
    /// A `Buffer` in it is empty after that, unless it is read-only. If an exception is raised, none is, nor has
    /// the value of any cown in it gone anywhere.
    ///
    /// # Errors
    ///
    /// `TypeError` if a part of the value cannot leave its interpreter, `BufferError` if a view of a
    /// `Buffer` exists, `ValueError` if a `Buffer` has moved before.
    pub fn pack(object: &Object) -> Result<Self> {
        Self::pack_as("value", object)
    }

    /// As [`Self::pack`]. The message of a `TypeError` says this name.
    pub(crate) fn pack_as(name: &str, object: &Object) -> Result<Self> {
        if let Some(scalar) = Self::scalar(object) {
            return Ok(scalar);
        }
        let mut departure = Departure::new();
        let parcel = Self::pack_for(&mut departure, name, object)?;
        let _left = departure.go()?;
        Ok(parcel)
    }

    /// As [`Self::pack`], but nothing moves: a `Buffer` is copied.
    pub(crate) fn pack_copied(object: &Object) -> Result<Self> {
        Self::pack_for(&mut Departure::of_copies(), "value", object)
    }

    /// As [`Self::pack_as`], but what is to move moves with the departure.
    pub(crate) fn pack_for(departure: &mut Departure, name: &str, object: &Object) -> Result<Self> {
        if let Some(scalar) = Self::scalar(object) {
            return Ok(scalar);
        }
        let mut encoder = Encoder::new(BYTES.take());
        // SAFETY: an object shows that the thread is attached, and lives longer than the encoder.
        match unsafe { encoder.value(object.as_ptr(), 0) } {
            Ok(()) => {
                // SAFETY: these live as long as the object and the encoder.
                let things = unsafe { Thing::all(encoder.things(), departure)? };
                let mut scratch = encoder.into_bytes();
                let bytes = if scratch.len() <= SCRATCH {
                    let bytes = SmallVec::from_slice(&scratch);
                    if scratch.capacity() <= 2 * SCRATCH {
                        scratch.clear();
                        BYTES.set(scratch);
                    }
                    bytes
                } else {
                    scratch.shrink_to_fit();
                    SmallVec::from_vec(scratch)
                };
                Ok(Self::packed(Form::Own, bytes, things))
            }
            Err(Stop::Raised(raised)) => Err(raised),
            Err(Stop::Foreign) => {
                drop(encoder);
                let (bytes, things) = pickled::pack(departure, name, object)?;
                Ok(Self::packed(Form::Pickle, bytes, things))
            }
        }
    }

    /// Whether it is a value that needs no bytes.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::Packed(_))
    }

    /// Whether both are copies of one parcel, which was packed once.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Packed(this), Self::Packed(other)) => Arc::ptr_eq(this, other),
            _ => false,
        }
    }

    /// Whether a `Buffer` has moved into this from the object it was made of, which has it no more.
    pub fn has_moved(&self) -> bool {
        let is_block = |thing: &Thing| matches!(thing, Thing::Block(_));
        matches!(self, Self::Packed(packed) if packed.things.iter().any(is_block))
    }

    fn packed(form: Form, bytes: Bytes, things: Box<[Thing]>) -> Self {
        Self::Packed(Arc::new(Packed { form, bytes, things }))
    }

    /// A value that needs no bytes.
    #[inline]
    pub fn scalar(object: &Object) -> Option<Self> {
        let object = object.as_ptr();
        // SAFETY: the object is alive. Each function gets an object of the class that it is for.
        unsafe {
            let class = ffi::Py_TYPE(object);
            if class == &raw mut ffi::PyLong_Type {
                let mut overflow = 0;
                let number = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
                (overflow == 0).then_some(Self::Int(number))
            } else if object == ffi::Py_None() {
                Some(Self::None)
            } else if class == &raw mut ffi::PyFloat_Type {
                Some(Self::Float(ffi::PyFloat_AS_DOUBLE(object)))
            } else if class == &raw mut ffi::PyBool_Type {
                Some(Self::Bool(object == ffi::Py_True()))
            } else {
                None
            }
        }
    }

    /// The value as an object of this thread's interpreter, which is attached.
    ///
    /// Each time it is another one, with what can be changed in it; a `Cown` or a `Buffer` in it is
    /// the same each time.
    ///
    /// # Errors
    ///
    /// `ValueError` if a `Buffer` in it is in use by another interpreter, or by those who read it, or has
    /// moved on; and whatever the value's own classes raise when they are made.
    pub fn open(&self) -> Result<Object> {
        self.unpack(Thing::object)
    }

    /// As [`Self::open`], but a `Buffer` in it is read-only, and the same memory can be read in other
    /// interpreters at the same time.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], but not if others read a `Buffer` as well.
    pub fn open_to_read(&self) -> Result<Object> {
        self.unpack(Thing::object_to_read)
    }

    /// As [`Self::open`], but a `Buffer` in it is a copy, so that it does not matter who has it.
    pub(crate) fn open_copied(&self) -> Result<Object> {
        self.unpack(Thing::object_copied)
    }

    fn unpack(&self, object: impl Fn(&Thing) -> Result<Object>) -> Result<Object> {
        match self {
            Self::None => Ok(Object::none()),
            // SAFETY: the thread is attached; the result is a new reference.
            Self::Bool(value) => unsafe {
                Object::from_owned(ffi::PyBool_FromLong((*value).into()))
            },
            Self::Int(number) => decode::int(*number),
            // SAFETY: the thread is attached; the result is a new reference, or null.
            Self::Float(number) => unsafe { Object::from_owned(ffi::PyFloat_FromDouble(*number)) },
            Self::Packed(packed) => {
                // All of them come first, because the content of a function may be code that runs.
                let things: Result<SmallVec<[Object; 4]>> =
                    packed.things.iter().map(object).collect();
                match packed.form {
                    Form::Own => Decoder::new(&packed.bytes, &things?).whole(),
                    Form::Pickle => pickled::open(&packed.bytes, &things?),
                }
            }
        }
    }
}
