//! What a cown of Python holds.

use boc_core::{Panic, raw::State};
use pyo3_ffi as ffi;
use std::{
    ffi::{c_int, c_void},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{
    atomic::Fate,
    class,
    error::{self, Raised, Result},
    failure::{self, Failure},
    interpreter,
    kept::Kept,
    object::{self, Object},
    parcel::Parcel,
    threads::{self, NOBODY},
    unseen::Unseen,
    value::Value,
};

/// Behaviours that never ran, in this process.
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

/// How many behaviours were cancelled before they started, since the process began.
pub fn cancelled() -> usize {
    CANCELLED.load(Relaxed)
}

/// The value of a cown, and for a result how its behaviour ended.
#[derive(Default)]
pub struct Contents {
    /// The token of the thread that holds the cown for Python, or [`NOBODY`].
    ///
    /// A thread writes its own token only while it holds the cown, and takes it away before it releases
    /// the cown. So a thread that reads its own token here holds the cown, and one that reads anything else
    /// does not; no ordering is needed for that, since a thread always sees its own writes.
    pub holder: AtomicU32,
    /// Belongs to who holds the cown.
    pub held: Held,
    /// Written once, by the behaviour whose result this is, before it ends; after that anybody may
    /// read it.
    pub(crate) outcome: Option<Outcome>,
    /// For the result of a behaviour in a block: what becomes of that; see [`atomic`](crate::atomic).
    pub(crate) in_block: Option<Arc<Fate>>,
    /// Whether the value stays an object of the main interpreter, for its main thread. Never changed.
    pub(crate) is_pinned: bool,
}

/// What only who holds the cown may use.
#[derive(Default)]
pub struct Held {
    /// `None` also in a cown that was emptied.
    pub value: Value,
    /// Whether the value is an exception that a body raised and nobody has dealt with.
    pub exception: bool,
}

/// How a behaviour ended.
pub(crate) enum Outcome {
    Returned(Returned),
    /// In the main interpreter.
    Raised(Unseen),
    /// In that of a worker.
    Failed(Arc<Failure>),
    /// It never ran; and the block that it was scheduled in.
    Cancelled(Option<Arc<Fate>>),
}

/// What a body returned, until `unwrap` takes it.
pub(crate) struct Returned(Mutex<Option<Kind>>);

enum Kind {
    /// An object of the main interpreter.
    Object(Kept),
    /// In no interpreter, and as the main one has opened it, which always gives the same object.
    Parcel(Parcel, Option<Kept>),
}

impl Returned {
    fn new(kind: Kind) -> Self {
        Self(Mutex::new(Some(kind)))
    }

    /// Nothing that runs Python code, or waits, is done while this is locked.
    fn locked(&self) -> MutexGuard<'_, Option<Kind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, unless it was taken.
    pub(crate) fn get(&self) -> Option<Result<Object>> {
        let is_main = interpreter::here().is_main();
        let parcel = match self.locked().as_ref()? {
            Kind::Object(object) | Kind::Parcel(_, Some(object)) if is_main => {
                return Some(Ok(object.object()));
            }
            Kind::Parcel(parcel, _) => Some(parcel.clone()),
            Kind::Object(_) => None,
        };
        let parcel = parcel.map_or_else(|| self.pack(), Ok);
        let object = parcel.and_then(|parcel| parcel.open());
        Some(if is_main { object.map(|object| self.keep(object)) } else { object })
    }

    /// Whether there is an object of the main interpreter.
    pub(crate) fn has_object(&self) -> bool {
        matches!(&*self.locked(), Some(Kind::Object(_) | Kind::Parcel(_, Some(_))))
    }

    /// The main interpreter always gives the same object, also if two threads were at it.
    fn keep(&self, object: Object) -> Object {
        match &mut *self.locked() {
            // A `Buffer` knows itself as long as somebody has it, and nobody else can have it then.
            Some(Kind::Parcel(parcel, opened)) if !parcel.has_moved() => match opened {
                Some(earlier) => earlier.object(),
                None => opened.insert(Kept::new(object)).object(),
            },
            _ => object,
        }
    }

    /// On a visit to the main interpreter, from that of a worker.
    fn pack(&self) -> Result<Parcel> {
        let packed = interpreter::main().visit(|| {
            let object = self.get().unwrap_or_else(|| Err(failure::lost()));
            let parcel = object.and_then(|object| Parcel::pack(&object));
            parcel.map_err(|raised| raised.take().text())
        });
        packed.unwrap_or_else(|| Err(String::new())).map_err(error::type_error)
    }
}

impl Outcome {
    /// Whether the body has raised, and nobody has looked at the exception.
    pub(crate) fn is_unseen(&self) -> bool {
        match self {
            Self::Raised(raised) => !raised.is_seen(),
            Self::Failed(failure) => !failure.is_seen(),
            Self::Returned(_) | Self::Cancelled(_) => false,
        }
    }

    /// The exception of the body, unless somebody has looked at it; now somebody has.
    pub(crate) fn take_unseen(&self) -> Option<Result<Object>> {
        match self {
            Self::Raised(raised) => (!raised.mark_seen()).then(|| Ok(raised.exception())),
            Self::Failed(failure) => (!failure.mark_seen()).then(|| failure.exception()),
            Self::Returned(_) | Self::Cancelled(_) => None,
        }
    }

    /// Somebody has looked at the exception, if it is one.
    pub(crate) fn mark_seen(&self) {
        match self {
            Self::Raised(raised) => {
                raised.mark_seen();
            }
            Self::Failed(failure) => {
                failure.mark_seen();
            }
            Self::Returned(_) | Self::Cancelled(_) => {}
        }
    }

    /// What the main interpreter has made of what the body returned, if `value` is still that.
    pub(crate) fn opened(&self, value: &Value) -> Option<Object> {
        let Self::Returned(returned) = self else { return None };
        match (&*returned.locked(), value) {
            (Some(Kind::Parcel(parcel, Some(opened))), Value::Parcel(left))
                if interpreter::here().is_main() && left.is_same(parcel) =>
            {
                Some(opened.object())
            }
            _ => None,
        }
    }

    /// Lets go of what the body returned. Gives what can run code when it ends.
    pub(crate) fn empty(&self) -> impl Sized {
        match self {
            Self::Returned(returned) => returned.locked().take(),
            Self::Raised(_) | Self::Failed(_) | Self::Cancelled(_) => None,
        }
    }
}

/// How a behaviour has ended, for who does not want its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It has returned, or not ended yet.
    Well,
    /// It has raised.
    Failed,
    /// It never ran.
    Cancelled,
}

impl Contents {
    /// How the behaviour has ended whose result this is.
    pub fn ended(&self) -> Ended {
        match &self.outcome {
            Some(Outcome::Raised(_) | Outcome::Failed(_)) => Ended::Failed,
            Some(Outcome::Cancelled(_)) => Ended::Cancelled,
            Some(Outcome::Returned(_)) | None => Ended::Well,
        }
    }

    /// Of the result of a behaviour that is scheduled with its block.
    pub(crate) fn in_block(fate: Arc<Fate>) -> Self {
        Self { in_block: Some(fate), ..Self::default() }
    }

    /// With an object of this thread's interpreter.
    pub fn new(value: Object) -> Self {
        let held = Held { value: Value::new(value), exception: false };
        Self { held, ..Self::default() }
    }

    /// Of a cown that is pinned to the main thread, with an object of the main interpreter.
    pub(crate) fn pinned(value: Object) -> Self {
        Self { is_pinned: true, ..Self::new(value) }
    }

    /// The body has returned or raised, in the main interpreter.
    pub fn finish(&mut self, result: Result<Object>) {
        match result {
            Ok(value) => {
                // Who scheduled the behaviour will look at it, on another thread.
                // SAFETY: attached to the main interpreter, with an object of that.
                self.held.value = Value::Object(unsafe { Kept::for_others(value.as_ptr()) });
                // SAFETY: as above.
                let returned = Kind::Object(unsafe { Kept::for_others(value.as_ptr()) });
                self.outcome = Some(Outcome::Returned(Returned::new(returned)));
            }
            Err(raised) => self.raise(raised),
        }
    }

    /// The body has returned or raised, in any interpreter, and what it returned goes to others.
    pub(crate) fn finish_packed(&mut self, result: Result<Object>) {
        match result.and_then(|value| Parcel::pack(&value)) {
            Ok(parcel) => {
                self.held.value = Value::Parcel(parcel.clone());
                let returned = Returned::new(Kind::Parcel(parcel, None));
                self.outcome = Some(Outcome::Returned(returned));
            }
            Err(raised) => self.raise(raised),
        }
    }

    /// What has no value has ended well.
    pub(crate) fn finish_empty(&mut self) {
        self.outcome = Some(Outcome::Returned(Returned::new(Kind::Parcel(Parcel::None, None))));
    }

    fn raise(&mut self, raised: Raised) {
        if !interpreter::here().is_main() {
            return self.fail(Failure::of(raised));
        }
        // SAFETY: the classes are the interpreter's.
        let may_be_misuse =
            unsafe { raised.is(ffi::PyExc_TypeError) || raised.is(ffi::PyExc_AttributeError) };
        let exception = raised.take();
        if may_be_misuse {
            // Whose answer says nothing.
            class::or_none(object::call("boc._advice", c"advise", [&exception]));
        }
        match Unseen::remember(&exception) {
            Ok(unseen) => {
                self.held.value = Value::Object(Kept::new(exception));
                self.held.exception = true;
                self.outcome = Some(Outcome::Raised(unseen));
            }
            Err(other) => {
                // The interpreter is on its way out, or out of memory.
                other.write_unraisable();
                self.fail(Failure::of(Raised::restore(exception)));
            }
        }
    }

    fn fail(&mut self, failure: Arc<Failure>) {
        self.held.value = Value::Failure(Arc::clone(&failure));
        self.held.exception = true;
        self.outcome = Some(Outcome::Failed(failure));
    }

    /// Visits what this refers to, for the collector of the main interpreter.
    ///
    /// # Safety
    ///
    /// No Python thread runs, and nobody else uses the contents.
    pub(crate) unsafe fn traverse(&self, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
        let mut stop = 0;
        let mut look = |object| {
            if stop == 0 {
                // SAFETY: passed on to the caller.
                stop = unsafe { class::visit(object, visit, arg) };
            }
        };
        if let Value::Object(object) = &self.held.value {
            look(object.as_ptr());
        }
        match &self.outcome {
            Some(Outcome::Returned(Returned(value))) => {
                // Nobody was stopped while it had the lock.
                if let Ok(value) = value.try_lock()
                    && let Some(Kind::Object(object) | Kind::Parcel(_, Some(object))) = &*value
                {
                    look(object.as_ptr());
                }
            }
            Some(Outcome::Raised(unseen)) => look(unseen.as_ptr()),
            Some(Outcome::Failed(failure)) => {
                // One owner is here, and another one may be the value.
                let value_too = matches!(&self.held.value, Value::Failure(value) if Arc::ptr_eq(value, failure));
                if Arc::strong_count(failure) == 1 + usize::from(value_too) {
                    failure.with_object(&mut look);
                }
            }
            Some(Outcome::Cancelled(_)) | None => {}
        }
        stop
    }
}

impl State for Contents {
    fn panicked(&mut self, panic: Panic) {
        // Bodies raise exceptions, which are no panics; so this is a fault of this crate.
        let message = format!(
            "internal error in boc while running a behaviour: {}",
            panic.message().unwrap_or("(no message)")
        );
        threads::attached(|| self.raise(error::runtime_error(message)));
    }

    fn cancelled(&mut self) {
        CANCELLED.fetch_add(1, Relaxed);
        let block = self.in_block.clone();
        self.held = Held { value: Value::Cancelled(block.clone()), exception: true };
        self.outcome = Some(Outcome::Cancelled(block));
    }
}

const _: () = assert!(NOBODY == 0, "what `Default` gives");
