//! What moves when something is sent: all of it, or nothing.
//!
//! What is sent together, as the function of a behaviour, its arguments and the values of its cowns, is
//! packed one after the other, and each can turn out not to be able to go. So packing takes nothing away
//! from anybody. A [`Departure`] notes what is to move, and the parcels have an empty [`Passage`] for it. When all
//! is packed and somebody takes it, everything moves in one step, which fails before it has changed anything
//! or not at all. A departure that does not take place is dropped, and nothing has happened.
//!
//! The program's own code can run while something is packed, as `__reduce__`. It finds everything where it
//! was; and what it sends itself is another departure, which has nothing to do with this one. If both have
//! noted the same `Buffer`, the first one has it, and the other one fails.
//!
//! The value of a cown that is new, and has a `Buffer` in it, stays an object until then. Nobody may change it
//! once it is packed, so the departure holds the cown.

use boc_core::raw::{AnyCown, Claim};
use pyo3_ffi::PyObject;
use std::{mem, ptr, sync::Arc};

use crate::{
    buffer::{Moving, Passage},
    error::{Result, value_error},
    interpreter::Interpreter,
    object::Object,
    parcel::{Memo, Parcel},
    value::Value,
};

/// What is going to move.
///
/// Most of what is sent has nothing in it that moves; so that costs next to nothing.
pub(crate) struct Departure {
    noted: Option<Box<Noted>>,
    /// Whose parts are being packed: the place of a cown's value, or null for what goes beside the cowns.
    owner: *const Value,
    /// Whether nothing is to move, and `Buffer`s go as copies.
    copies: bool,
}

#[derive(Default)]
struct Noted {
    buffers: Vec<Waiting>,
    /// The places of the `Buffer`s in that.
    places: Memo,
    values: Vec<Leaving>,
}

/// A `Buffer` that is to move.
struct Waiting {
    buffer: Object,
    passage: Arc<Passage>,
    owner: *const Value,
}

/// The value of a cown that is packed, and is to be an object no more.
struct Leaving {
    parcel: Parcel,
    place: *mut Value,
    /// Holds the cown. Given up before the reference to the cown is.
    claim: Claim,
    cown: AnyCown,
}

/// How much was noted at some time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    buffers: usize,
    values: usize,
}

impl Departure {
    /// Nothing so far.
    #[inline]
    pub(crate) fn new() -> Self {
        Self { noted: None, owner: ptr::null(), copies: false }
    }

    /// Of something of which nothing moves. It does not take place; it is dropped.
    pub(crate) fn of_copies() -> Self {
        Self { copies: true, ..Self::new() }
    }

    /// Notes a `Buffer`, and says where its memory is going to be.
    ///
    /// # Safety
    ///
    /// The thread is attached. The object is a `Buffer` and alive.
    pub(crate) unsafe fn add_buffer(&mut self, buffer: *mut PyObject) -> Result<Arc<Passage>> {
        if self.copies {
            // SAFETY: passed on to the caller.
            return unsafe { Moving::copy(buffer) };
        }
        let noted = self.noted.get_or_insert_default();
        if let Some(&place) = noted.places.get(&buffer) {
            let known = &noted.buffers[place];
            if known.owner != self.owner {
                return Err(value_error(
                    "a Buffer can be at one place only: this one is in the value of a cown, and \
                     goes along in something else as well",
                ));
            }
            return Ok(Arc::clone(&known.passage));
        }
        // SAFETY: passed on to the caller.
        let buffer = unsafe {
            if let Some(copy) = Moving::look(buffer)? {
                return Ok(copy);
            }
            Object::from_borrowed(buffer)
        };
        let passage = Arc::new(Passage::awaiting());
        noted.places.insert(buffer.as_ptr(), noted.buffers.len());
        let waiting = Waiting { buffer, passage: Arc::clone(&passage), owner: self.owner };
        noted.buffers.push(waiting);
        Ok(passage)
    }

    /// Packs the value of a cown, which is an object of this thread's interpreter. If there is nothing in it that
    /// moves, it is an object no more at once. `what` is what an exception calls it.
    ///
    /// # Safety
    ///
    /// The thread is attached. The claim holds the cown, and `place` is that of its value.
    pub(crate) unsafe fn add_value(
        &mut self,
        what: &str,
        place: *mut Value,
        claim: Claim,
        cown: impl FnOnce() -> AnyCown,
    ) -> Result<()> {
        let mark = self.mark();
        let outer = mem::replace(&mut self.owner, place);
        // SAFETY: passed on to the caller.
        let object = unsafe { Value::read(place) };
        let packed = object.and_then(|object| Parcel::pack_for(self, what, &object));
        self.owner = outer;
        let parcel = packed?;
        if self.mark() == mark {
            // SAFETY: passed on to the caller. What was there can run code when it ends, so that comes last.
            drop(unsafe { mem::replace(&mut *place, Value::Parcel(parcel)) });
        } else {
            let noted = self.noted.get_or_insert_default();
            noted.values.push(Leaving { parcel, place, claim, cown: cown() });
        }
        Ok(())
    }

    /// How much is noted so far.
    pub(crate) fn mark(&self) -> Mark {
        self.noted.as_deref().map_or(Mark { buffers: 0, values: 0 }, |noted| Mark {
            buffers: noted.buffers.len(),
            values: noted.values.len(),
        })
    }

    /// Forgets what was noted since, for a parcel that has not come about.
    pub(crate) fn forget_since(&mut self, mark: Mark) {
        let Some(noted) = &mut self.noted else { return };
        for waiting in noted.buffers.drain(mark.buffers..) {
            noted.places.remove(&waiting.buffer.as_ptr());
        }
        noted.values.truncate(mark.values);
    }

    /// Moves nothing, on a thread that is not attached any more. `home` is the interpreter that it was attached to.
    pub(crate) fn give_up(self, home: &Interpreter) {
        let buffers = self.noted.map_or_else(Vec::new, |noted| noted.buffers);
        buffers.into_iter().for_each(|waiting| home.give_up(waiting.buffer.into_ptr()));
    }

    /// Moves everything, or raises and moves nothing. Gives what is left behind, which can run code when it ends.
    ///
    /// # Errors
    ///
    /// If somebody has looked at a `Buffer`, or sent it, since it was noted.
    #[inline]
    pub(crate) fn go(self) -> Result<Option<impl Sized>> {
        self.noted.map(|noted| noted.go()).transpose()
    }
}

/// Moves everything of several departures, or raises and moves nothing; as [`Departure::go`].
///
/// # Errors
///
/// As there. A `Buffer` that was noted by two of them can go with neither.
pub(crate) fn go_together(all: Vec<Departure>) -> Result<Option<impl Sized>> {
    let mut all = all.into_iter().filter_map(|departure| departure.noted);
    let Some(mut noted) = all.next() else { return Ok(None) };
    for other in all {
        noted.buffers.extend(other.buffers);
        noted.values.extend(other.values);
    }
    noted.go().map(Some)
}

impl Noted {
    /// See [`Departure::go`].
    #[cold]
    fn go(self) -> Result<Box<impl Sized>> {
        let Self { buffers, values, .. } = self;
        // SAFETY: they are `Buffer`s of this thread's interpreter, and alive until after `finish`.
        let start = |waiting: &Waiting| unsafe { Moving::start(waiting.buffer.as_ptr()) };
        let moving: Vec<Moving> = buffers.iter().map(start).collect::<Result<_>>()?;
        for (moving, waiting) in moving.into_iter().zip(&buffers) {
            moving.finish(&waiting.passage);
        }
        let left: Vec<_> = values.into_iter().map(Leaving::go).collect();
        Ok(Box::new((left, buffers)))
    }
}

impl Leaving {
    /// From now on the cown has the parcel. Gives what it had, and what else can run code when it ends.
    fn go(self) -> impl Sized {
        let Self { parcel, place, claim, cown } = self;
        // SAFETY: the claim holds the cown, and the reference keeps it alive.
        let old = unsafe { mem::replace(&mut *place, Value::Parcel(parcel)) };
        drop(claim);
        (old, cown)
    }
}
