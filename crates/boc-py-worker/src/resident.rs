//! Values of cowns that live in an interpreter as objects.
//!
//! A value that a behaviour has read or set stays in the interpreter of its worker. If the next behaviour
//! that reads it runs there as well, nothing has to be packed. If it runs elsewhere, its thread visits that
//! interpreter and packs the value there. Who does so holds the cown, so nobody else uses the value.

use pyo3_ffi::{self as ffi, PyObject};
use std::{
    ptr::NonNull,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::{self, Result},
    failure,
    interpreter::{self, Interpreter, where_now},
    object::Object,
    parcel::Parcel,
};

/// A value in the interpreter of a worker.
pub struct Resident {
    home: &'static Interpreter,
    state: Mutex<State>,
}

struct State {
    /// A reference of the home; none once it has ended, or the value has moved.
    object: Option<NonNull<PyObject>>,
    /// The value as it was when it was packed, if nobody has looked at it since.
    parcel: Option<Parcel>,
    /// Whether a behaviour has put the object here, and nobody knows yet whether it can be packed.
    fresh: bool,
    /// How many times it is packed yet, when a behaviour ends that has used it, since it has moved from one worker to
    /// another: then it will move again, and who takes it need not visit.
    restless: u8,
    /// Why the value cannot be had, if it could not be packed when the home ended.
    lost: Option<String>,
}

// SAFETY: the object is used by threads that are attached to its home.
unsafe impl Send for Resident {}
// SAFETY: as above; the rest is behind a lock.
unsafe impl Sync for Resident {}

impl Resident {
    /// Takes an object of this thread's interpreter in, and what it was made of, if it was; and whether that
    /// came from another worker.
    pub(crate) fn new(object: Object, parcel: Option<Parcel>, has_moved: bool) -> Arc<Self> {
        /// After so many uses in one place it is taken to stay there.
        const RESTLESS: u8 = 2;
        let home = interpreter::here();
        let fresh = parcel.is_none();
        // What can be changed will be; and what has moved here is in the parcel no more.
        let parcel = parcel.filter(|_| object.is_unchangeable());
        let object = NonNull::new(object.into_ptr());
        let restless = if has_moved { RESTLESS } else { 0 };
        let state = Mutex::new(State { object, parcel, fresh, restless, lost: None });
        let resident = Arc::new(Self { home, state });
        home.add_resident(&resident);
        resident
    }

    /// Nothing that runs Python code, or waits, is done while this is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object, if this thread is attached to its home. It may be changed from now on.
    pub(crate) fn object(&self) -> Option<Object> {
        if !self.is_here() {
            return None;
        }
        let mut state = self.state();
        // SAFETY: the object is alive, since `self` keeps it, and is one of this interpreter.
        let object = unsafe { Object::from_borrowed(state.object?.as_ptr()) };
        let old = if object.is_unchangeable() { None } else { state.parcel.take() };
        drop(state);
        drop(old);
        Some(object)
    }

    /// Whether this thread is attached to its home.
    fn is_here(&self) -> bool {
        std::ptr::eq(interpreter::here(), self.home)
    }

    /// Whether a behaviour has put the object into this thread's interpreter, and it has not been packed since.
    pub(crate) fn is_fresh_here(&self) -> bool {
        self.is_here() && self.state().fresh
    }

    /// Finds out whether what a behaviour has put here can be packed, and packs what is going to move. Gives the
    /// parcel if the object is not to be used any more. Elsewhere than at its home this does nothing: what could
    /// not be packed there has stayed.
    pub(crate) fn check(&self) -> Result<Option<Parcel>> {
        if !self.is_here() {
            return Ok(None);
        }
        let mut state = self.state();
        let is_moving = state.restless > 0 && state.parcel.is_none();
        if !(state.fresh || is_moving) {
            return Ok(None);
        }
        state.restless = state.restless.saturating_sub(1);
        drop(state);
        let parcel = self.pack_object()?;
        let mut state = self.state();
        state.fresh = false;
        state.parcel = Some(parcel.clone());
        // What moves into its parcel is not in the object any more.
        Ok(parcel.has_moved().then_some(parcel))
    }

    fn pack_object(&self) -> Result<Parcel> {
        let object = self.state().object;
        let object = object.ok_or_else(failure::lost)?;
        // SAFETY: at home; `self` keeps the object.
        Parcel::pack(&unsafe { Object::from_borrowed(object.as_ptr()) })
    }

    /// The value, to be used elsewhere.
    pub(crate) fn parcel(&self) -> Result<Parcel> {
        let visited = self.packed().or_else(|| {
            let packed = self.home.visit(|| self.pack());
            if packed.is_none() {
                // It ends, and leaves a parcel.
                self.home.wait_closed();
            }
            packed
        });
        match visited.or_else(|| self.packed()) {
            Some(Ok(parcel)) => Ok(parcel),
            Some(Err(why)) => Err(error::type_error(why)),
            None => Err(failure::lost()),
        }
    }

    /// The value as it was left, without a look at the object.
    fn packed(&self) -> Option<std::result::Result<Parcel, String>> {
        let state = self.state();
        state.parcel.clone().map(Ok).or_else(|| state.lost.clone().map(Err))
    }

    /// Packs the value, or says why that is not possible. At home.
    fn pack(&self) -> std::result::Result<Parcel, String> {
        if let Some(packed) = self.packed() {
            return packed;
        }
        let parcel = self.pack_object().map_err(|raised| raised.take().text())?;
        let mut state = self.state();
        state.parcel = Some(parcel.clone());
        // What moves into its parcel is not in the object any more.
        let hollow = if parcel.has_moved() { state.object.take() } else { None };
        drop(state);
        if let Some(object) = hollow {
            // SAFETY: at home; the reference is given up.
            drop(unsafe { Object::from_owned(object.as_ptr()) });
        }
        Ok(parcel)
    }

    /// The home is about to end.
    pub(crate) fn leave(&self) {
        let packed = self.pack();
        let mut state = self.state();
        if let Err(why) = packed {
            state.lost = Some(why);
        }
        let object = state.object.take();
        drop(state);
        if let Some(object) = object {
            // SAFETY: at home; the reference is given up.
            drop(unsafe { Object::from_owned(object.as_ptr()) });
        }
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(object) = state.object.take() else { return };
        if where_now().is(self.home) {
            // SAFETY: at home; the reference is given up.
            drop(unsafe { Object::from_owned(object.as_ptr()) });
        } else {
            self.home.give_up(object.as_ptr());
        }
    }
}

impl Object {
    /// Whether this is of a class whose objects never change, nor what they consist of.
    pub(crate) fn is_unchangeable(&self) -> bool {
        let object = self.as_ptr();
        // SAFETY: the object is alive.
        unsafe {
            object == ffi::Py_None()
                || ffi::PyUnicode_CheckExact(object) != 0
                || ffi::PyBytes_CheckExact(object) != 0
                || ffi::PyLong_CheckExact(object) != 0
                || ffi::PyFloat_CheckExact(object) != 0
                || ffi::PyBool_Check(object) != 0
                || ffi::PyComplex_CheckExact(object) != 0
        }
    }
}
