//! Values of cowns that several threads read at the same time.
//!
//! Nobody writes to such a value, but it may have to be packed first, for those who read it in other interpreters. Who
//! reads looks at its place, and changes its form, under a lock. To pack it can run code of the program, so that is
//! done without the lock, by one thread at a time, which has a [`Turn`] for it; others wait for the end of that. Such
//! code reads nothing of what the behaviour reads, so nobody waits for a turn who has one.

use pyo3_ffi::PyObject;
use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Instant,
};

use super::{Value, packed_at_home};
use crate::{
    error::Result,
    failure, interpreter,
    kept::Kept,
    object::Object,
    parcel::Parcel,
    patience::{self, SLICE},
    per_process::PerProcess,
    pool,
    reading::Reading,
    threads,
};

/// Some of the places of values: by their address, so that few threads meet here.
#[derive(Default)]
#[repr(align(128))]
struct Places {
    /// Those whose values are being packed.
    turns: Mutex<Vec<usize>>,
    turn_ended: Condvar,
}

static PLACES: PerProcess<[Places; 16]> = PerProcess::new();

/// To be called in a child process.
pub fn forget_after_fork() {
    PLACES.forget();
}

fn places(place: *const Value) -> &'static Places {
    /// Cowns are larger than that.
    const APART: usize = 64;
    let all = PLACES.get();
    &all[place as usize / APART % all.len()]
}

/// The right to pack a value, and to put it packed into its place.
struct Turn {
    place: *mut Value,
}

impl Turn {
    /// Puts the value there in another form. Gives what was there before, whose end can run code.
    fn put(&self, value: Value) -> impl Sized {
        let _turns = threads::locked(&places(self.place).turns);
        // SAFETY: others look at the place under the lock alone.
        unsafe { mem::replace(&mut *self.place, value) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let places = places(self.place);
        threads::locked(&places.turns).retain(|place| *place != self.place as usize);
        places.turn_ended.notify_all();
    }
}

/// Looks at a place when nobody packs the value there; until the lock is given back, nobody does.
fn look(place: *mut Value) -> Result<MutexGuard<'static, Vec<usize>>> {
    let places = places(place);
    let is_packed = |turns: &Vec<usize>| turns.contains(&(place as usize));
    loop {
        let turns = threads::locked(&places.turns);
        if !is_packed(&turns) {
            return Ok(turns);
        }
        drop(turns);
        threads::detached(|| {
            let turns = places.turns.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let until = Some(Instant::now() + SLICE);
            threads::wait_until(turns, &places.turn_ended, until, |turns| !is_packed(turns));
        });
        patience::look_up()?;
    }
}

impl Value {
    /// The object, in this thread's interpreter, for one of several who read it. Where values are copied this is a
    /// copy, with `Buffer`s that are read-only.
    ///
    /// # Safety
    ///
    /// This thread holds the cown that the place belongs to, alone or with others that do nothing but this and
    /// [`Self::at_home_shared`].
    pub(crate) unsafe fn read_shared(place: *mut Self) -> Result<Object> {
        let locked = look(place)?;
        // SAFETY: nobody changes it while this is locked.
        let parcel = match unsafe { &*place } {
            Self::Object(object) if interpreter::here().is_main() && !pool::goes_by_value() => {
                return Ok(object.object());
            }
            Self::Parcel(parcel) => {
                let parcel = parcel.clone();
                // To make an object of it can run code, which may come here.
                drop(locked);
                parcel
            }
            Self::Failure(failure) => {
                let failure = Arc::clone(failure);
                drop(locked);
                return failure.exception();
            }
            Self::Cancelled(block) => {
                let block = block.clone();
                drop(locked);
                return failure::cancelled(block.as_deref());
            }
            Self::Object(_) | Self::Resident(_) => {
                let mut turns = locked;
                turns.push(place as usize);
                drop(turns);
                // SAFETY: passed on to the caller.
                unsafe { Self::packed_in_place(&Turn { place })? }
            }
        };
        parcel.open_to_read()
    }

    /// The value as an object of the main interpreter, to which this thread is attached; see [`Self::at_home`].
    ///
    /// # Safety
    ///
    /// As for [`Self::read_shared`].
    pub unsafe fn at_home_shared(place: *mut Self) -> Result<*mut PyObject> {
        let mut turns = look(place)?;
        // SAFETY: nobody changes it while this is locked.
        if let Self::Object(object) = unsafe { &*place } {
            return Ok(object.as_ptr());
        }
        turns.push(place as usize);
        drop(turns);
        let turn = Turn { place };
        // SAFETY: passed on to the caller. Others wait for the end of the turn before they look at the place.
        unsafe {
            match &*place {
                // Others may read the `Buffer`s that are in it.
                Self::Parcel(parcel) if parcel.has_moved() => {
                    let object = parcel.clone().open_copied()?;
                    let pointer = object.as_ptr();
                    drop(turn.put(Self::Object(Kept::new(object))));
                    Ok(pointer)
                }
                _ => Self::at_home(place),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`Self::read_shared`].
    unsafe fn packed_in_place(turn: &Turn) -> Result<Parcel> {
        let _nothing = Reading::nothing();
        // SAFETY: passed on to the caller. Who has the turn may look at the place, since nobody else changes it.
        unsafe {
            if let Self::Object(object) = &*turn.place {
                // It stays as it is: an extension may be looking at it.
                return packed_at_home(object, Parcel::pack_copied);
            }
            let parcel = Self::parcel(turn.place)?;
            drop(turn.put(Self::Parcel(parcel.clone())));
            Ok(parcel)
        }
    }
}
