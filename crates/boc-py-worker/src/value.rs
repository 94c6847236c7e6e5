//! The value of a cown, in whatever form it is.
//!
//! As long as behaviours run in the main interpreter, a cown holds the object itself. Where workers have
//! interpreters of their own, the value stays packed while nobody reads it, and what was read stays where it
//! was read.

mod shared;

pub use self::shared::forget_after_fork;

use pyo3_ffi::PyObject;
use std::{mem, sync::Arc};

use crate::{
    atomic::Fate,
    error::{self, Result},
    failure::{self, Failure},
    interpreter,
    kept::Kept,
    object::Object,
    parcel::Parcel,
    resident::Resident,
};

/// A value. The functions here get a pointer to its place, since what they do can run code that comes here
/// again with the same one.
pub enum Value {
    /// An object of the main interpreter.
    Object(Kept),
    /// In no interpreter.
    Parcel(Parcel),
    /// An object of a worker's interpreter.
    Resident(Arc<Resident>),
    /// An exception of a worker.
    Failure(Arc<Failure>),
    /// The exception that says that a behaviour never ran; and the block that it was scheduled in.
    Cancelled(Option<Arc<Fate>>),
}

/// In no interpreter.
impl Default for Value {
    fn default() -> Self {
        Self::NONE
    }
}

impl Value {
    /// Python's `None`.
    pub const NONE: Self = Self::Parcel(Parcel::None);

    /// Whether it is Python's `None`, in no interpreter.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Parcel(Parcel::None))
    }

    /// An object of this thread's interpreter.
    pub fn new(object: Object) -> Self {
        if interpreter::here().is_main() {
            return Self::Object(Kept::new(object));
        }
        match Parcel::scalar(&object) {
            Some(parcel) => Self::Parcel(parcel),
            None => Self::Resident(Resident::new(object, None, false)),
        }
    }

    /// An object of this thread's interpreter, and what it was made of, which may have come from another worker.
    fn opened(object: Object, parcel: Parcel, has_moved: bool) -> Self {
        if interpreter::here().is_main() {
            return Self::Object(Kept::new(object));
        }
        Self::Resident(Resident::new(object, Some(parcel), has_moved))
    }

    /// The object, in this thread's interpreter.
    ///
    /// # Safety
    ///
    /// This thread holds the cown that the place belongs to.
    pub unsafe fn read(place: *mut Self) -> Result<Object> {
        // SAFETY: passed on to the caller; nothing in this block runs code that could come here again.
        let (parcel, keep) = unsafe {
            match &*place {
                Self::Object(object) if interpreter::here().is_main() => return Ok(object.object()),
                Self::Object(_) => (None, true),
                Self::Parcel(parcel) => (Some(parcel.clone()), !parcel.is_scalar()),
                Self::Failure(failure) => {
                    let failure = Arc::clone(failure);
                    return failure.exception();
                }
                Self::Cancelled(block) => {
                    let block = block.clone();
                    return failure::cancelled(block.as_deref());
                }
                Self::Resident(resident) => match resident.object() {
                    Some(object) => return Ok(object),
                    None => (None, true),
                },
            }
        };
        let has_moved = parcel.is_none();
        let parcel = match parcel {
            Some(parcel) => parcel,
            None => {
                // It stays packed if it cannot be opened here.
                // SAFETY: passed on to the caller. What was there can run code when it ends, so that comes last.
                let (parcel, old) = unsafe {
                    let parcel = Self::parcel(place)?;
                    let old = mem::replace(&mut *place, Self::Parcel(parcel.clone()));
                    (parcel, old)
                };
                drop(old);
                parcel
            }
        };
        let object = parcel.open()?;
        if keep {
            let value = Self::opened(object.clone(), parcel, has_moved);
            // SAFETY: passed on to the caller. What was there can run code when it ends, so that comes last.
            drop(unsafe { mem::replace(&mut *place, value) });
        }
        Ok(object)
    }

    /// The value as an object of the main interpreter, to which this thread is attached. The place keeps it.
    ///
    /// # Safety
    ///
    /// As for [`Value::read`].
    unsafe fn at_home(place: *mut Self) -> Result<*mut PyObject> {
        // SAFETY: passed on to the caller. What was there can run code when it ends, so that comes last.
        unsafe {
            let object = Self::read(place)?;
            let pointer = object.as_ptr();
            if !matches!(&*place, Self::Object(_)) {
                drop(mem::replace(&mut *place, Self::Object(Kept::new(object))));
            }
            Ok(pointer)
        }
    }

    /// The value, packed, wherever it is now.
    ///
    /// # Safety
    ///
    /// As for [`Value::read`].
    pub unsafe fn parcel(place: *const Self) -> Result<Parcel> {
        // SAFETY: passed on to the caller. Each arm takes what it needs before it does anything that could
        // run code.
        unsafe {
            match &*place {
                Self::Parcel(parcel) => Ok(parcel.clone()),
                Self::Resident(resident) => {
                    let resident = Arc::clone(resident);
                    resident.parcel()
                }
                Self::Failure(failure) => {
                    let failure = Arc::clone(failure);
                    Parcel::pack(&failure.exception()?)
                }
                Self::Cancelled(block) => {
                    let block = block.clone();
                    Parcel::pack(&failure::cancelled(block.as_deref())?)
                }
                Self::Object(object) => packed_at_home(object, Parcel::pack),
            }
        }
    }

    /// Whether this is an object of this thread's interpreter that has not gone anywhere yet.
    pub(crate) fn is_new_here(&self) -> bool {
        match self {
            Self::Object(_) => interpreter::here().is_main(),
            Self::Resident(resident) => resident.is_fresh_here(),
            Self::Parcel(_) | Self::Failure(_) | Self::Cancelled(_) => false,
        }
    }

    /// Packs an object of the main interpreter, on a thread that is attached there, and sees to it that an
    /// object of a worker that was just set can be packed. Says why not. `user` is who has held the cown; see
    /// [`Resident::check`].
    ///
    /// # Safety
    ///
    /// As for [`Value::read`].
    pub unsafe fn settle(place: *mut Self, user: Option<&Object>) -> Result<()> {
        // SAFETY: passed on to the caller; as in `parcel`.
        unsafe {
            let packed = match &*place {
                Self::Object(object) if interpreter::here().is_main() => {
                    Some(Parcel::pack(&object.object())?)
                }
                Self::Resident(resident) => {
                    let resident = Arc::clone(resident);
                    resident.check(user)?
                }
                Self::Object(_) | Self::Parcel(_) | Self::Failure(_) | Self::Cancelled(_) => None,
            };
            if let Some(parcel) = packed {
                drop(mem::replace(&mut *place, Self::Parcel(parcel)));
            }
            Ok(())
        }
    }
}

/// Packs an object of the main interpreter, where that lives. The cown keeps it until there is a reference there, and
/// nobody changes what the cown has meanwhile.
fn packed_at_home(object: &Kept, pack: fn(&Object) -> Result<Parcel>) -> Result<Parcel> {
    let object = object.as_ptr();
    let packed = interpreter::main().visit(|| {
        // SAFETY: attached; it is alive, see above.
        let object = unsafe { Object::from_borrowed(object) };
        pack(&object).map_err(|raised| raised.take().text())
    });
    packed.map_or_else(|| Err(failure::lost()), |packed| packed.map_err(error::type_error))
}
