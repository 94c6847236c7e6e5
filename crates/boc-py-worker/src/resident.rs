//! Values of cowns that live in an interpreter as objects.
//!
//! A value that a behaviour has read or set stays in the interpreter of its worker. If the next behaviour
//! that reads it runs there as well, nothing has to be packed. If it runs elsewhere, its thread visits that
//! interpreter and packs the value there. Who does so holds the cown, so nobody else uses the value.
//!
//! What a behaviour puts into the object, where it is, can be something that no other interpreter can have. To find
//! that out means to pack the value, so it is found out when somebody elsewhere wants it; in Python's development
//! mode at the end of each behaviour that has used it. The code of those that used it last is remembered, to be blamed
//! for that; not their functions, which could refer to the cown.

use pyo3_ffi::{self as ffi, PyObject};
use std::{
    mem, ptr,
    ptr::NonNull,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::{
    error::{self, Raised, Result},
    failure,
    interpreter::{self, Interpreter, where_now},
    object::Object,
    parcel::Parcel,
};

/// Whether each value is packed that a behaviour has used.
static CHECKED: AtomicBool = AtomicBool::new(false);

/// Has each behaviour blamed that leaves a value which cannot go to other interpreters.
pub(crate) fn set_checked(checked: bool) {
    CHECKED.store(checked, Relaxed);
}

/// A value in the interpreter of a worker.
pub struct Resident {
    home: &'static Interpreter,
    state: Mutex<State>,
}

type Users = [Option<NonNull<PyObject>>; 3];

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
    /// Whether the behaviour that runs now has got or set the object.
    used: bool,
    /// Who has used the object, the last one first: the code of a behaviour, or the name of its class. References of
    /// the home.
    users: Users,
    /// Whether the object could not be packed, for which those are to blame.
    refused: bool,
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
        let state = State {
            object,
            parcel,
            fresh,
            restless,
            used: true,
            users: Users::default(),
            refused: false,
            lost: None,
        };
        let state = Mutex::new(state);
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
        state.used = true;
        drop(state);
        drop(old);
        Some(object)
    }

    /// Whether this thread is attached to its home.
    fn is_here(&self) -> bool {
        ptr::eq(interpreter::here(), self.home)
    }

    /// Whether a behaviour has put the object into this thread's interpreter, and it has not been packed since.
    pub(crate) fn is_fresh_here(&self) -> bool {
        self.is_here() && self.state().fresh
    }

    /// Finds out whether what a behaviour has put here can be packed, and packs what is going to move. Does nothing
    /// if the behaviour has not used the object, as when its thread is not attached to the home: what could not be
    /// packed there has stayed. `user` is the code of the behaviour, or the name of its class. Gives the parcel if the
    /// object is not to be used any more.
    pub(crate) fn check(&self, user: Option<&Object>) -> Result<Option<Parcel>> {
        let mut state = self.state();
        if !mem::take(&mut state.used) || !self.is_here() {
            return Ok(None);
        }
        let known_to_be_bad = state.refused;
        let is_moving = state.restless > 0;
        let may_differ = is_moving || known_to_be_bad || CHECKED.load(Relaxed);
        let look = state.fresh || may_differ && state.parcel.is_none();
        if look {
            state.restless = state.restless.saturating_sub(1);
        }
        let before = if known_to_be_bad { None } else { state.add_user(user) };
        drop(state);
        drop(before);
        if !look {
            return Ok(None);
        }
        let packed = self.pack_object();
        let mut state = self.state();
        state.refused = packed.is_err();
        match packed {
            Ok(parcel) => {
                state.fresh = false;
                state.parcel = Some(parcel.clone());
                // Whatever comes later is none of theirs.
                let cleared = mem::take(&mut state.users);
                drop(state);
                for user in cleared.into_iter().flatten() {
                    // SAFETY: at home; the reference is given up.
                    drop(unsafe { Object::from_owned(user.as_ptr()) });
                }
                // What moves into its parcel is not in the object any more.
                Ok(parcel.has_moved().then_some(parcel))
            }
            Err(raised) if known_to_be_bad => {
                drop(state);
                raised.clear();
                Ok(None)
            }
            Err(raised) => {
                drop(state);
                Err(self.blame(raised))
            }
        }
    }

    /// Has a `TypeError` say whose behaviour left the value as it is. At home.
    #[cold]
    fn blame(&self, raised: Raised) -> Raised {
        // SAFETY: this is a class of exceptions.
        if !unsafe { raised.is(ffi::PyExc_TypeError) } {
            return raised;
        }
        let why = raised.take().text();
        let users = self.state().users;
        // SAFETY: at home; `self` keeps them, and who holds the cown, as this thread does, is who adds others.
        let users =
            users.iter().flatten().map(|user| unsafe { Object::from_borrowed(user.as_ptr()) });
        let users: Vec<String> = users.map(|user| described(&user)).collect();
        let by = if users.is_empty() { "" } else { " by " };
        error::type_error(format!(
            "a cown's value cannot leave the worker where it was used last{by}{}: {why}",
            users.join(", and before by ")
        ))
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
        let parcel = self.pack_object().map_err(|raised| {
            // From now on it is said of the same behaviour, until the object can be packed.
            self.state().refused = true;
            let hint = "; with `python -X dev` each behaviour is asked at its end what it leaves";
            let hint = if CHECKED.load(Relaxed) { "" } else { hint };
            self.blame(raised).take().text() + hint
        })?;
        let mut state = self.state();
        state.refused = false;
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
        let references = state.take_all();
        drop(state);
        for reference in references {
            // SAFETY: at home; the reference is given up.
            drop(unsafe { Object::from_owned(reference.as_ptr()) });
        }
    }
}

impl State {
    /// Notes who has used the object. At home. Gives who is not remembered any more, whose end can run code.
    fn add_user(&mut self, user: Option<&Object>) -> Option<Object> {
        let user = NonNull::new(user?.as_ptr());
        if self.users[0] == user {
            return None;
        }
        let place = self.users.iter().position(|known| *known == user);
        let last = place.unwrap_or(self.users.len() - 1);
        self.users[..=last].rotate_right(1);
        if place.is_some() {
            return None;
        }
        // SAFETY: at home; it is alive.
        let user = unsafe { Object::from_borrowed(user?.as_ptr()) };
        let forgotten = mem::replace(&mut self.users[0], NonNull::new(user.into_ptr()))?;
        // SAFETY: at home; the reference is given up.
        unsafe { Object::from_owned(forgotten.as_ptr()) }.ok()
    }

    /// Takes all references away.
    fn take_all(&mut self) -> impl Iterator<Item = NonNull<PyObject>> + use<> {
        let users = mem::take(&mut self.users);
        self.object.take().into_iter().chain(users.into_iter().flatten())
    }
}

/// How a behaviour is called by its code; or by the name of its class, if it has none.
fn described(user: &Object) -> String {
    let describe = || -> Result<String> {
        let name = user.get(c"co_qualname")?.text();
        let (file, line) = (user.get(c"co_filename")?.text(), user.get(c"co_firstlineno")?.text());
        Ok(format!("{name}() ({file}:{line})"))
    };
    describe().unwrap_or_else(|raised| {
        raised.clear();
        format!("an object of class {}", user.text())
    })
}

impl Drop for Resident {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for reference in state.take_all() {
            if where_now().is(self.home) {
                // SAFETY: at home; the reference is given up.
                drop(unsafe { Object::from_owned(reference.as_ptr()) });
            } else {
                self.home.give_up(reference.as_ptr());
            }
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
