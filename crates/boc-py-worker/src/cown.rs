//! The class `Cown`, and who may look into it.
//!
//! # Who may look into a cown
//!
//! The *holder* is the thread that runs a behaviour over the cown, or that acquired it by `acquire()`; see
//! [`Contents::holder`]. In the main interpreter, where cowns hold objects, there is one Python object for each
//! cown; where cowns are packed there can be several, which are equal.
//!
//! # Garbage collection
//!
//! The object owns the value only while nobody else refers to the cown: behaviours that are queued
//! or running do, and then the value is theirs as well. So it is shown to the collector if the
//! object's reference to the cown is the only one. Whether it is cannot change from yes to no during
//! a collection, when no Python thread of the interpreter runs: a new reference can only be made from the
//! object, by a thread that is attached.

mod class;
mod native;

use boc_core::raw::{self, Access, AnyCown, Claim, CownPtr, Mode, ResultCown, Signal};
use pyo3_ffi::{self as ffi, PyObject};
use std::{
    cell::Cell,
    mem,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    atomic,
    callbacks::{self, Due},
    contents::{Contents, Held, Outcome},
    departure::Departure,
    error::{self, Raised, Result},
    failure::{self, Failure},
    interpreter::{self, Interpreter},
    kept::Kept,
    object::{Object, class_name},
    patience, pinned, pool, reading,
    threads::{NOBODY, this_thread},
    value::Value,
};

pub use self::{
    class::{make_class, make_pinned_class, set_importing},
    native::Native,
};

/// What is behind an object of the class.
pub struct Cown {
    body: Kind,
    /// What holds the cown for a thread that acquired it.
    claim: Mutex<Option<Claim>>,
    /// By what it is found again if the cown comes back from an extension.
    known: OnceLock<Box<dyn Send + Sync>>,
    /// The interpreter that the object belongs to.
    home: &'static Interpreter,
}

enum Kind {
    Plain(boc_core::Cown<Contents>),
    /// Its value is for the main thread alone; see [`pinned`].
    Pinned(boc_core::Cown<Contents>),
    Result {
        cown: ResultCown<Contents>,
        /// Set at the end of the behaviour, once somebody has waited for that.
        ended: OnceLock<Arc<Signal>>,
    },
    /// Made by an extension.
    Native {
        native: Box<dyn Native>,
        /// As in [`Contents`].
        holder: AtomicU32,
    },
}

/// The `Cown` behind an object; `None` if it is something else.
///
/// # Safety
///
/// The thread is attached, and the object lives as long as the result is used.
#[inline]
pub unsafe fn behind<'a>(object: *mut PyObject) -> Option<&'a Cown> {
    // SAFETY: passed on to the caller.
    unsafe {
        let classes = &interpreter::here().classes;
        let is_one = classes.cown.is_of(object) || classes.pinned_cown.is_of(object);
        is_one.then(|| crate::class::value::<Cown>(object))
    }
}

/// An object for a cown of the engine, in this thread's interpreter.
pub fn object(cown: AnyCown) -> Result<Object> {
    let cown = match cown.downcast::<Contents>() {
        Ok(cown) => Cown::of(cown),
        Err(cown) => Cown::native(native::unknown(cown)),
    };
    cown.into_object()
}

impl Cown {
    /// A new cown, with an object of this thread's interpreter.
    pub fn new(value: Object) -> Self {
        Self::from_kind(Kind::Plain(boc_core::Cown::new(Contents::new(value))))
    }

    /// A new cown that is pinned to the main thread, with an object of the main interpreter.
    pub fn pinned(value: Object) -> Self {
        pinned::note_use();
        Self::from_kind(Kind::Pinned(boc_core::Cown::new(Contents::pinned(value))))
    }

    /// A pinned cown without a value, in the interpreter of a worker.
    fn pinned_elsewhere() -> Self {
        let contents = Contents { is_pinned: true, ..Contents::default() };
        Self::from_kind(Kind::Pinned(boc_core::Cown::new(contents)))
    }

    /// The result of a behaviour.
    pub fn result_of(cown: ResultCown<Contents>) -> Self {
        Self::from_kind(Kind::Result { cown, ended: OnceLock::new() })
    }

    /// A cown that has been somewhere else.
    pub fn of(cown: boc_core::Cown<Contents>) -> Self {
        match ResultCown::try_from(cown) {
            Ok(result) => Self::result_of(result),
            // SAFETY: the contents live as long as the cown, and this is never changed in there.
            Err(cown) if unsafe { (*raw::value_ptr(&cown)).is_pinned } => {
                Self::from_kind(Kind::Pinned(cown))
            }
            Err(cown) => Self::from_kind(Kind::Plain(cown)),
        }
    }

    /// A cown of an extension.
    pub fn native(native: Box<dyn Native>) -> Self {
        Self::from_kind(Kind::Native { native, holder: AtomicU32::new(NOBODY) })
    }

    fn from_kind(body: Kind) -> Self {
        let home = interpreter::here();
        Self { body, claim: Mutex::new(None), known: OnceLock::new(), home }
    }

    /// The object, in this thread's interpreter.
    pub fn into_object(self) -> Result<Object> {
        let classes = &interpreter::here().classes;
        let class = if self.is_pinned() { &classes.pinned_cown } else { &classes.cown };
        // SAFETY: the thread is attached, and the class was made for this.
        unsafe { crate::class::instance(class.get(), self) }
    }

    /// The cown of the engine, if Python has made it.
    fn body(&self) -> Option<&boc_core::Cown<Contents>> {
        match &self.body {
            Kind::Plain(cown) | Kind::Pinned(cown) => Some(cown),
            Kind::Result { cown, .. } => Some(cown.cown()),
            Kind::Native { .. } => None,
        }
    }

    /// The cown of the engine, which lives as long as this.
    pub fn address(&self) -> CownPtr {
        match &self.body {
            Kind::Plain(cown) | Kind::Pinned(cown) => cown.into(),
            Kind::Result { cown, .. } => cown.cown().into(),
            Kind::Native { native, .. } => native.cown().into(),
        }
    }

    /// In a request.
    pub(crate) fn access(&self) -> Access {
        Access { cown: self.address(), mode: Mode::Write }
    }

    /// Another reference to the cown.
    pub fn share(&self) -> AnyCown {
        // SAFETY: `self` keeps it alive.
        unsafe { self.address().to_owned() }
    }

    /// Whether the value is one of Python.
    pub fn is_python(&self) -> bool {
        self.body().is_some()
    }

    /// What an extension says of the cown that it has made.
    pub fn as_native(&self) -> Option<&dyn Native> {
        match &self.body {
            Kind::Native { native, .. } => Some(&**native),
            Kind::Plain(_) | Kind::Pinned(_) | Kind::Result { .. } => None,
        }
    }

    /// By what it is found again if the cown comes back from an extension.
    pub fn known(&self) -> &OnceLock<Box<dyn Send + Sync>> {
        &self.known
    }

    /// The token of who holds the cown.
    #[inline]
    pub(crate) fn holder(&self) -> &AtomicU32 {
        match &self.body {
            // SAFETY: the contents live as long as the cown, and this is used by shared references alone.
            Kind::Plain(cown) | Kind::Pinned(cown) => unsafe { &(*raw::value_ptr(cown)).holder },
            // SAFETY: as above.
            Kind::Result { cown, .. } => unsafe { &(*raw::value_ptr(cown.cown())).holder },
            Kind::Native { holder, .. } => holder,
        }
    }

    /// Whether behaviours over it run on the main thread.
    #[inline]
    pub fn is_pinned(&self) -> bool {
        matches!(self.body, Kind::Pinned(_))
    }

    /// Raises where a pinned cown cannot be held.
    fn check_thread(&self) -> Result<()> {
        if !self.is_pinned() || pinned::is_main_thread() {
            return Ok(());
        }
        Err(error::runtime_error(
            "a pinned cown can be held in the main thread of the main interpreter alone: schedule a behaviour \
             over it with @when(cown), which runs there",
        ))
    }

    fn is_mine(&self) -> bool {
        self.holder().load(Relaxed) == this_thread()
    }

    /// Whether this thread holds the cown, alone or together with others that read it.
    fn is_acquired(&self) -> bool {
        self.is_mine() || self.is_read()
    }

    /// Whether the behaviour of this thread reads the cown, and cannot write to it.
    fn is_read(&self) -> bool {
        reading::is_read(self.address())
    }

    fn check_mine(&self) -> Result<()> {
        if self.is_mine() {
            return Ok(());
        }
        if self.is_read() {
            return Err(error::runtime_error(
                "this behaviour only reads the cown, as others may at the same time: schedule it with the \
                 cown itself, without read(), to change the value",
            ));
        }
        Err(error::runtime_error(
            "the value of a cown can be used only by the behaviour that holds it: schedule one with \
             @when(cown), and use the value inside of it; for the result of a behaviour there is \
             also result()",
        ))
    }

    /// What this thread can use once it holds the cown.
    fn held(&self) -> Result<*mut Held> {
        let body = self.body().ok_or_else(|| {
            error::runtime_error(
                "the value of this cown belongs to the extension that made it, which alone can take \
                 it out or say whether it is an exception",
            )
        })?;
        // SAFETY: the contents live as long as the cown; this is an address in them.
        Ok(unsafe { &raw mut (*raw::value_ptr(body)).held })
    }

    /// The contents, if nobody else has a reference to the cown; see the module's documentation.
    fn contents_if_sole_owner(&self) -> Option<*mut Contents> {
        let body = self.body()?;
        raw::is_unshared(body).then(|| raw::value_ptr(body))
    }

    /// Raises for the result of a behaviour that its thread has not scheduled yet.
    #[inline]
    pub fn check_scheduled(&self) -> Result<()> {
        match &self.body {
            Kind::Result { cown, .. } if atomic::is_in_block(cown) => Err(error::runtime_error(
                "the result of a behaviour in a block of atomic() cannot be used before the end of the \
                 block, which schedules it",
            )),
            _ => Ok(()),
        }
    }

    fn take_place(&self) -> Claim {
        // SAFETY: `self` keeps the cown alive.
        unsafe { raw::claim(&[self.access()]) }.expect("one cown has no duplicate")
    }

    /// Holds the cown while `f` uses what it holds.
    fn while_held<R>(&self, f: impl FnOnce(*mut Held) -> R) -> Result<R> {
        let held = self.held()?;
        if self.is_mine() {
            return Ok(f(held));
        }
        self.check_scheduled()?;
        let claim = self.take_place();
        patience::wait_for_behaviours(None, |until, _| claim.wait(until))?;
        let result = f(held);
        drop(claim);
        Ok(result)
    }

    /// Whether the value is an exception; that counts as having seen it.
    ///
    /// # Safety
    ///
    /// This thread holds the cown.
    unsafe fn look_at_exception(&self, held: *mut Held) -> bool {
        if let Some(outcome) = self.outcome() {
            outcome.mark_seen();
        }
        // SAFETY: passed on to the caller.
        unsafe { (*held).exception }
    }

    /// Sees to it that the value can go to another interpreter, before the cown itself does, or a behaviour
    /// over it. What is to move moves with the departure.
    ///
    /// `what` is what an exception calls it.
    ///
    /// Does nothing if others refer to the cown: then it was seen to before, or an extension has it, and the
    /// value is packed when it is read.
    pub(crate) fn make_ready_to_go(&self, departure: &mut Departure, what: &str) -> Result<()> {
        if self.is_pinned() {
            return Ok(());
        }
        let Some(contents) = self.contents_if_sole_owner() else { return Ok(()) };
        // SAFETY: nobody else can come to hold the cown, since no Python code runs here.
        if !unsafe { (*contents).held.value.is_new_here() } {
            return Ok(());
        }
        // Cowns in cowns in cowns take stack. What lies deeper is packed when it is read.
        let Some(_deeper) = Depth::enter() else { return Ok(()) };
        // What packs the value can let other threads run, which are to wait for their turn then.
        let claim = self.take_place();
        if !claim.wait(Some(Instant::now())) {
            return Ok(());
        }
        // SAFETY: the claim holds the cown.
        unsafe {
            departure.add_value(what, &raw mut (*contents).held.value, claim, || self.share())
        }
    }

    fn value(&self) -> Result<Object> {
        if !self.is_mine() && self.is_read() {
            let place = self.held()?;
            // SAFETY: the behaviour of this thread holds the cown, together with others that read it; if it is
            // pinned, all of them run here.
            return reading::value(self.address(), || unsafe {
                let place = &raw mut (*place).value;
                if self.is_pinned() { Value::read(place) } else { Value::read_shared(place) }
            });
        }
        self.check_mine()?;
        if let Some(native) = self.as_native() {
            // SAFETY: this thread holds the cown.
            return unsafe { native.get() };
        }
        let held = self.held()?;
        // SAFETY: this thread holds the cown.
        unsafe { Value::read(&raw mut (*held).value) }
    }

    fn set_value(&self, object: Object) -> Result<()> {
        self.check_mine()?;
        if let Some(native) = self.as_native() {
            // SAFETY: this thread holds the cown.
            return unsafe { native.set(&object) };
        }
        let (held, value) = (self.held()?, Value::new(object));
        // SAFETY: this thread holds the cown.
        let old = unsafe {
            (*held).exception = false;
            mem::replace(&mut (*held).value, value)
        };
        // The old value's end may run any code, so it comes after the exchange.
        drop(old);
        Ok(())
    }

    fn exception(&self) -> Result<bool> {
        if self.is_acquired() {
            // SAFETY: this thread holds the cown.
            return Ok(unsafe { self.look_at_exception(self.held()?) });
        }
        pool::refuse_inside_behaviour(
            "asking a cown that is not held for its exception",
            "name it in @when(…)",
        )?;
        // SAFETY: the cown is held meanwhile.
        self.while_held(|held| unsafe { self.look_at_exception(held) })
    }

    fn set_exception(&self, exception: bool) -> Result<()> {
        self.check_mine()?;
        let held = self.held()?;
        // SAFETY: this thread holds the cown.
        unsafe {
            self.look_at_exception(held);
            (*held).exception = exception;
        }
        Ok(())
    }

    fn acquire(&self) -> Result<()> {
        if self.is_acquired() {
            return Err(error::runtime_error(
                "this thread holds the cown already, by its behaviour or by acquire(): use its value",
            ));
        }
        pool::refuse_inside_behaviour("acquire()", "name the cown in @when(…)")?;
        self.check_thread()?;
        self.check_scheduled()?;
        let claim = self.take_place();
        patience::wait_for_behaviours(None, |until, _| claim.wait(until))?;
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
        self.holder().store(this_thread(), Relaxed);
        Ok(())
    }

    fn release(&self) -> Result<()> {
        if self.is_mine() {
            let claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(claim) = claim {
                let settled = match self.held() {
                    // What cannot be packed stays.
                    // SAFETY: this thread holds the cown.
                    Ok(held) if pool::goes_by_value() && !self.is_pinned() => unsafe {
                        Value::settle(&raw mut (*held).value, None)
                    },
                    Ok(_) => Ok(()),
                    // Of an extension.
                    Err(raised) => {
                        raised.clear();
                        Ok(())
                    }
                };
                self.holder().store(NOBODY, Relaxed);
                drop(claim);
                return settled;
            }
        }
        Err(error::runtime_error(
            "only the thread that called acquire() can release the cown; a behaviour's cowns are \
             released when it ends",
        ))
    }

    fn enter(&self) -> Result<Object> {
        self.acquire()?;
        self.value().or_else(|raised| {
            // There is no end of the block to release it.
            let exception = raised.take();
            self.release()?;
            Err(Raised::restore(exception))
        })
    }

    fn unwrap(&self) -> Result<Object> {
        let in_use = || {
            error::runtime_error(
                "unwrap() while behaviours are running or waiting that use the cown: call quiesce() or wait() \
                 before, or use result() to wait for one behaviour alone",
            )
        };
        if pool::inside_behaviour() {
            return Err(in_use());
        }
        self.check_thread()?;
        self.check_scheduled()?;
        let held = self.held()?;
        let claim = (!self.is_mine()).then(|| self.take_place());
        if let Some(claim) = &claim {
            // Who has just told of its end, or given up its place, may be about to leave the queue.
            const MOMENT: Duration = Duration::from_millis(100);
            if !patience::wait(Some(Instant::now() + MOMENT), |until| claim.wait(until))? {
                return Err(in_use());
            }
        }
        let outcome = self.outcome();
        // SAFETY: the cown is held meanwhile.
        unsafe {
            let raised = self.look_at_exception(held);
            let opened = outcome.and_then(|outcome| outcome.opened(&(*held).value));
            let value = opened.map_or_else(|| Value::read(&raw mut (*held).value), Ok)?;
            if raised && ffi::PyExceptionInstance_Check(value.as_ptr()) == 0 {
                return Err(error::type_error(format!(
                    "unwrap() would raise the value, since `exception` is set, but it is an object of \
                     type {}, which is no exception",
                    class_name(value.as_ptr())
                )));
            }
            (*held).exception = false;
            // These can run code when they end, so that comes last.
            let old = mem::take(&mut (*held).value);
            drop((old, outcome.map(Outcome::empty)));
            if raised { Err(Raised::restore(value)) } else { Ok(value) }
        }
    }

    /// The result of a behaviour, and the signal of its end.
    fn as_result(&self) -> Result<(&ResultCown<Contents>, &OnceLock<Arc<Signal>>)> {
        if let Kind::Result { cown, ended } = &self.body {
            return Ok((cown, ended));
        }
        Err(error::runtime_error(
            "this cown is not the result of a behaviour, so there is nothing to wait for; \
             schedule a behaviour over it with @when(cown)",
        ))
    }

    fn is_done(&self) -> Result<bool> {
        Ok(self.as_result()?.0.is_finished())
    }

    fn cancel(&self) -> Result<bool> {
        self.check_scheduled()?;
        Ok(self.as_result()?.0.cancel())
    }

    /// Has the callback called with the object of this cown, once the behaviour has ended. In the main interpreter.
    fn add_done_callback(&self, this: &Object, callback: &Object) -> Result<()> {
        let (cown, _) = self.as_result()?;
        self.check_scheduled()?;
        callbacks::serve()?;
        let due = Due { callback: Kept::new(callback.clone()), result: Kept::new(this.clone()) };
        cown.on_finished(move || callbacks::post(due));
        Ok(())
    }

    fn result(&self, timeout: Option<f64>) -> Result<Object> {
        let (cown, ended) = self.as_result()?;
        if !cown.is_finished() {
            self.check_scheduled()?;
            pool::refuse_inside_behaviour("result()", "schedule over the result, @when(result)")?;
            let deadline = patience::deadline(timeout);
            let ended = ended.get_or_init(|| {
                let signal = Arc::new(Signal::new());
                let set = Arc::clone(&signal);
                cown.on_finished(move || {
                    set.set();
                    pinned::ring();
                });
                signal
            });
            let wait = |until: Option<Instant>, served: bool| {
                if !served {
                    return ended.wait(until);
                }
                pinned::wait_or(|| ended.wait(Some(Instant::now())), until)
            };
            if !patience::wait_for_behaviours(deadline, wait)? {
                return Err(error::timeout_error("the behaviour has not ended in time"));
            }
        }
        match self.outcome() {
            // Others may look at it at the same time.
            Some(Outcome::Returned(_)) if self.is_read() => self.value(),
            Some(Outcome::Returned(value)) => value.get().unwrap_or_else(|| {
                Err(error::runtime_error(
                    "the value of this result was taken by unwrap(), which hands it over: use what \
                     unwrap() returned, or result() alone, which can be called as often as you like",
                ))
            }),
            Some(Outcome::Raised(unseen)) => {
                unseen.mark_seen();
                Err(Raised::restore(unseen.exception()))
            }
            Some(Outcome::Failed(failure)) => Err(failure.raise()),
            Some(Outcome::Cancelled(block)) => {
                Err(Raised::restore(failure::cancelled(block.as_deref())?))
            }
            None => Ok(Object::none()),
        }
    }

    /// How many references the cown itself has to its value, which this thread holds.
    pub(crate) fn own_references(&self) -> usize {
        let result = match self.outcome() {
            Some(Outcome::Returned(returned)) => returned.has_object(),
            Some(Outcome::Raised(_)) => true,
            Some(Outcome::Failed(_) | Outcome::Cancelled(_)) | None => false,
        };
        1 + usize::from(result)
    }

    fn repr(&self) -> String {
        let class = if self.is_pinned() { "PinnedCown" } else { "Cown" };
        let kind = match &self.body {
            Kind::Plain(_) | Kind::Pinned(_) => "",
            Kind::Result { cown, .. } if cown.is_finished() => " result",
            Kind::Result { .. } => " pending result",
            Kind::Native { .. } => " of an extension",
        };
        format!("<boc.{class}{kind} at {:p}>", self.address().into_raw())
    }

    /// How the behaviour ended whose result this is; `None` if it has not, or this is no result.
    fn outcome(&self) -> Option<&Outcome> {
        match &self.body {
            Kind::Result { cown, .. } if cown.is_finished() => {
                // SAFETY: written before the end of the behaviour, and not changed any more.
                unsafe { (*raw::value_ptr(cown.cown())).outcome.as_ref() }
            }
            _ => None,
        }
    }
}

impl Drop for Cown {
    fn drop(&mut self) {
        let claim = self.claim.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if claim.is_some() {
            // Nobody can release it any more, and there may be other objects for the cown.
            self.holder().store(NOBODY, Relaxed);
        }
    }
}

/// How many cowns this thread is making ready, one for the value of the other.
struct Depth;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

impl Depth {
    const LIMIT: u32 = 50;

    fn enter() -> Option<Self> {
        let depth = DEPTH.get();
        (depth < Self::LIMIT).then(|| {
            DEPTH.set(depth + 1);
            Self
        })
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Lets go of what a behaviour has held that goes by value. If it has set a value that cannot go to other
/// interpreters, that is replaced by the exception that says so; but a value that it has changed stays, and so does a
/// `Buffer` that somebody looks at, which can go later. `user` is the behaviour; see
/// [`Resident::check`](crate::resident::Resident::check).
///
/// # Safety
///
/// This thread holds what belongs to the cown.
pub(crate) unsafe fn settle(held: *mut Held, user: Option<&Object>) -> Result<()> {
    // SAFETY: passed on to the caller.
    unsafe {
        Value::settle(&raw mut (*held).value, user).map_err(|raised| {
            if raised.is(ffi::PyExc_BufferError) || !(*held).value.is_new_here() {
                return raised;
            }
            let exception = raised.take();
            let failure = Failure::of(Raised::restore(exception.clone())).seen();
            (*held).exception = true;
            drop(mem::replace(&mut (*held).value, Value::Failure(failure)));
            Raised::restore(exception)
        })
    }
}

/// A number for hashing, and for the order of cowns.
fn number(cown: &Cown) -> usize {
    cown.address().into_raw().as_ptr() as usize
}

/// The hash of a cown, which is never -1.
fn hash(cown: &Cown) -> ffi::Py_hash_t {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(number(cown));
    match hash as ffi::Py_hash_t {
        -1 => -2,
        hash => hash,
    }
}
