//! Scopes: behaviours that are waited for together, with all that they schedule in turn.
//!
//! A behaviour belongs to the scope in whose block it was scheduled, or to that of the behaviour that has
//! scheduled it, and to those around it. The block is that of a context variable of Python, so that tasks of an
//! event loop have their own.

use boc_core::raw::{self, Promise, ResultCown, State as _};
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use std::{
    cell::RefCell,
    ffi::{c_int, c_void},
    iter, mem, ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicPtr, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use crate::{
    atomic,
    class::{self, NO_METHOD, NO_SLOT, Table, entered, slot, without},
    contents::{Contents, Outcome},
    cown::Cown,
    error::Result,
    interpreter,
    object::Object,
    pool,
};

/// Behaviours that are waited for together.
pub(crate) struct Scope {
    state: Mutex<State>,
    /// The scope around this one.
    outer: Option<Arc<Self>>,
    /// Whether what is scheduled from now on is cancelled, and so is what has not started.
    cancelled: AtomicBool,
    /// The process that it belongs to. In a child nothing of it goes on, and somebody may have locked it at the fork.
    process: u32,
}

struct State {
    /// How many behaviours have not ended, and one while the block has not.
    count: usize,
    /// Those that have not ended, or have failed without anybody's notice; others may still be in here.
    members: Vec<ResultCown<Contents>>,
    /// How many members there may be before those are looked for that need not be here.
    bound: usize,
    /// To be fulfilled at the end.
    end: Option<Promise<Contents>>,
}

/// How many scopes there are in the process, so that those who use none pay nothing.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// The context variable that has the scope of a block, and the class of what is in there. Null before there
/// was any; both live for ever.
static VARIABLE: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());
static CLASS: AtomicPtr<PyObject> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// The scope of the behaviour that runs on this thread.
    static MINE: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
}

/// The scope of what this thread schedules now.
#[inline]
pub(crate) fn current() -> Option<Arc<Scope>> {
    // Relaxed: who is in a scope has seen it made.
    if ALIVE.load(Relaxed) == 0 { None } else { look() }
}

#[cold]
fn look() -> Option<Arc<Scope>> {
    if pool::inside_behaviour() {
        return MINE.with_borrow(Clone::clone);
    }
    if !interpreter::here().is_main() {
        return None;
    }
    // Pairs with `make_variable`.
    let variable = VARIABLE.load(Acquire);
    let mut value = ptr::null_mut();
    // SAFETY: attached to the main interpreter. What is found is a new reference, or null.
    unsafe {
        if ffi::PyContextVar_Get(variable, ptr::null_mut(), &raw mut value) < 0 {
            ffi::PyErr_Clear();
            return None;
        }
        let value = Object::from_owned(value).ok()?;
        let is_scope = ffi::Py_TYPE(value.as_ptr()).cast() == CLASS.load(Relaxed);
        is_scope.then(|| Arc::clone(class::value(value.as_ptr())))
    }
}

/// Calls a body that belongs to a scope, or to none; unless it is to be cancelled.
pub(crate) fn within(
    scope: Option<Arc<Scope>>,
    result: &mut Contents,
    body: impl FnOnce(&mut Contents),
) {
    let Some(scope) = scope else { return body(result) };
    if scope.all().any(Scope::is_cancelled) {
        // It was scheduled, and began, before it was in the list of those that are cancelled.
        return result.cancelled();
    }
    let before = MINE.replace(Some(scope));
    body(result);
    drop(MINE.replace(before));
}

impl Scope {
    fn new(outer: Option<Arc<Self>>) -> (Arc<Self>, ResultCown<Contents>) {
        const FEW: usize = 64;
        let (promise, ended) = Promise::new(Contents::default());
        let state = State { count: 1, members: Vec::new(), bound: FEW, end: Some(promise) };
        ALIVE.fetch_add(1, Relaxed);
        let process = std::process::id();
        let (state, cancelled) = (Mutex::new(state), AtomicBool::new(false));
        (Arc::new(Self { state, outer, cancelled, process }), ended)
    }

    /// Nothing that runs Python code, or waits, is done while this is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This one, and those around it.
    fn all(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        iter::successors(Some(self), |scope| scope.outer.as_ref())
    }

    /// Takes in a behaviour that was scheduled in its block, or by one of its behaviours.
    pub(crate) fn add(self: &Arc<Self>, result: &ResultCown<Contents>) {
        for scope in self.all() {
            if scope.add_alone(result) {
                cancel_one(result);
            }
        }
    }

    /// Says whether the behaviour is to be cancelled.
    fn add_alone(self: &Arc<Self>, result: &ResultCown<Contents>) -> bool {
        if self.process != std::process::id() {
            return false;
        }
        let mut state = self.state();
        if state.count == 0 {
            // A task has gone on behind the end of the block.
            return false;
        }
        state.count += 1;
        let old = if state.members.len() >= state.bound { state.take_ended() } else { Vec::new() };
        state.members.push(result.clone());
        // Under the lock, so that `cancel` has it in its list if this does not see it.
        let cancelled = self.is_cancelled();
        drop(state);
        // What they refer to can run code when it ends.
        drop(old);
        let scope = Arc::clone(self);
        result.on_finished(move || scope.leave());
        cancelled
    }

    /// A behaviour, or the block, has ended.
    fn leave(&self) {
        let mut state = self.state();
        state.count -= 1;
        let end = if state.count == 0 { state.end.take() } else { None };
        drop(state);
        if let Some(promise) = end {
            promise.fulfil(Contents::finish_empty);
        }
    }

    fn is_cancelled(self: &Arc<Self>) -> bool {
        self.cancelled.load(Relaxed)
    }

    /// Cancels those that have not started, and what is scheduled from now on.
    fn cancel(&self) {
        let state = self.state();
        self.cancelled.store(true, Relaxed);
        let members = state.members.clone();
        drop(state);
        members.iter().for_each(cancel_one);
    }

    /// The exceptions that nobody has looked at, which count as seen from now on.
    fn failures(&self) -> Result<Vec<Object>> {
        let members = mem::take(&mut self.state().members);
        members.iter().filter_map(|member| outcome(member)?.take_unseen()).collect()
    }
}

impl State {
    /// Those that need not be here any more.
    fn take_ended(&mut self) -> Vec<ResultCown<Contents>> {
        let needless = |member: &ResultCown<Contents>| {
            member.is_finished() && !outcome(member).is_some_and(Outcome::is_unseen)
        };
        let (old, kept) = mem::take(&mut self.members).into_iter().partition(needless);
        self.members = kept;
        self.bound = self.bound.max(2 * self.members.len());
        old
    }
}

/// Cancels a behaviour, unless it has started. One that is in no queue yet will find out when it begins.
fn cancel_one(member: &ResultCown<Contents>) {
    if !atomic::is_in_block(member) {
        member.cancel();
    }
}

/// How a behaviour has ended; `None` if it has not.
fn outcome(result: &ResultCown<Contents>) -> Option<&Outcome> {
    if !result.is_finished() {
        return None;
    }
    // SAFETY: written before the end of the behaviour, and not changed any more.
    unsafe { (*raw::value_ptr(result.cown())).outcome.as_ref() }
}

impl Drop for Scope {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Relaxed);
    }
}

/// Makes the context variable that has the scope of a block. It belongs to the caller.
///
/// # Safety
///
/// The thread is attached to the main interpreter, and calls this once.
pub unsafe fn make_variable() -> Result<Object> {
    // SAFETY: passed on to the caller; the result is a new reference, or null.
    let variable = unsafe {
        Object::from_owned(ffi::PyContextVar_New(c"boc.scope".as_ptr(), ptr::null_mut()))?
    };
    // Pairs with `look`.
    VARIABLE.store(variable.clone().into_ptr(), Release);
    Ok(variable)
}

/// Makes the class `Scope`, which belongs to the caller.
///
/// # Safety
///
/// As for [`make_variable`].
pub unsafe fn make_class(module: *mut PyObject) -> Result<Object> {
    static METHODS: Table<PyMethodDef, 4> = Table::new([
        without(
            c"close",
            close,
            c"close($self, /)\n--\n\nNothing more is scheduled in the block.",
        ),
        without(
            c"cancel",
            cancel,
            c"cancel($self, /)\n--\n\nCancels what has not started, and what is scheduled from now on.",
        ),
        without(
            c"failures",
            failures,
            c"failures($self, /)\n--\n\nThe exceptions that nobody has looked at, which count as seen from now on.",
        ),
        NO_METHOD,
    ]);
    static SLOTS: Table<ffi::PyType_Slot, 5> = Table::new([
        class::doc(c"Behaviours that are waited for together."),
        slot(ffi::Py_tp_dealloc, class::dealloc::<Arc<Scope>> as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_methods, METHODS.get().cast()),
        NO_SLOT,
    ]);
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    // SAFETY: passed on to the caller; the slots are those of a scope.
    let class =
        unsafe { class::make::<Arc<Scope>>(module, c"boc._boc.Scope", flags, SLOTS.get())? };
    CLASS.store(class.clone().into_ptr(), Relaxed);
    Ok(class)
}

/// A scope in the one that is open here, and the cown that is the result of its end.
pub fn open() -> Result<(Object, Object)> {
    let (scope, ended) = Scope::new(current());
    // SAFETY: the class was made for this, and the thread is attached to the main interpreter.
    let scope = unsafe { class::instance(CLASS.load(Relaxed).cast(), scope)? };
    Ok((scope, Cown::result_of(ended).into_object()?))
}

/// The scope behind `self` of a method.
///
/// # Safety
///
/// The object is of the class, and lives as long as the result is used.
unsafe fn this<'a>(object: *mut PyObject) -> &'a Arc<Scope> {
    // SAFETY: passed on to the caller.
    unsafe { class::value(object) }
}

unsafe extern "C" fn close(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python with an object of the class, as in all of these functions.
        unsafe { this(object) }.leave();
        Ok(Object::none())
    })
}

unsafe extern "C" fn cancel(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| {
        // SAFETY: as above.
        unsafe { this(object) }.cancel();
        Ok(Object::none())
    })
}

unsafe extern "C" fn failures(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| {
        // SAFETY: as above.
        let failures = unsafe { this(object) }.failures()?;
        Object::list(failures.into_iter().map(Ok))
    })
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector with an object of the class.
    unsafe { class::visit(ffi::Py_TYPE(object).cast(), visit, arg) }
}
