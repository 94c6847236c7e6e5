//! Exceptions of bodies that nobody has looked at, to be logged once.
//!
//! One is logged when the last reference to the result goes, or at the exit of the interpreter if
//! the result is still around then: the name that the decorated function had keeps it.
//!
//! An exception is often part of a cycle, since its traceback refers to the frames it came through.
//! A collector that breaks a cycle takes objects apart in any order, so it would be too late to show
//! the exception when the result goes. Python's finalisers run before that; so what a result holds
//! is a Python object with `__del__`, of the class `boc._unseen.Unseen`.
//!
//! What was raised in a worker's interpreter is in no cycle; see [`Failure`](crate::failure::Failure).

use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use std::{
    ffi::{c_int, c_void},
    ptr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{
            AtomicBool, AtomicPtr,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};

use crate::{
    class::{self, NO_METHOD, NO_PROPERTY, NO_SLOT, Table, entered, property, slot, without},
    error::Result,
    failure::Failure,
    kept::Kept,
    object::{self, Object},
    weak,
};

/// An exception that a body raised, in the main interpreter.
struct Raised {
    entry: Arc<Entry>,
}

struct Entry {
    exception: Kept,
    seen: AtomicBool,
}

/// A `boc._unseen.Unseen`.
pub struct Unseen(Kept);

impl Unseen {
    /// An exception that is logged if nobody looks at it.
    pub(crate) fn remember(exception: &Object) -> Result<Self> {
        let unseen = object::call("boc._unseen", c"Unseen", [exception])?;
        Ok(Self(Kept::new(unseen)))
    }

    /// Another reference to it, of a thread that is attached to the main interpreter.
    pub(crate) fn share(&self) -> Self {
        Self(Kept::new(self.0.object()))
    }

    fn entry(&self) -> &Entry {
        // SAFETY: the class is a subclass of that which was made for this.
        unsafe { &class::value::<Raised>(self.0.as_ptr()).entry }
    }

    /// From now on it counts as seen. Says whether it did before.
    pub(crate) fn mark_seen(&self) -> bool {
        self.entry().seen.swap(true, Relaxed)
    }

    /// Whether somebody has looked at it.
    pub(crate) fn is_seen(&self) -> bool {
        self.entry().seen.load(Relaxed)
    }

    /// The exception.
    pub(crate) fn exception(&self) -> Object {
        self.entry().exception.object()
    }

    /// For the collector.
    pub(crate) fn as_ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }
}

/// Makes the class `Raised`, which belongs to the caller.
///
/// # Safety
///
/// The thread is attached to the main interpreter.
pub unsafe fn make_class(module: *mut PyObject) -> Result<Object> {
    static METHODS: Table<PyMethodDef, 2> = Table::new([
        without(
            c"mark_seen",
            mark_seen,
            c"mark_seen($self, /)\n--\n\nFrom now on the exception counts as seen. Says whether it did before.",
        ),
        NO_METHOD,
    ]);
    static GETTERS: Table<ffi::PyGetSetDef, 2> =
        Table::new([property(c"exception", exception, None, c"The exception."), NO_PROPERTY]);
    static SLOTS: Table<ffi::PyType_Slot, 7> = Table::new([
        class::doc(c"An exception that a body raised."),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_dealloc, class::dealloc::<Raised> as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_methods, METHODS.get().cast()),
        slot(ffi::Py_tp_getset, GETTERS.get().cast()),
        NO_SLOT,
    ]);
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE;
    // SAFETY: passed on to the caller; the slots are those of a `Raised`.
    unsafe { class::make::<Raised>(module, c"boc._boc.Raised", flags, SLOTS.get()) }
}

unsafe extern "C" fn new(
    class: *mut ffi::PyTypeObject,
    arguments: *mut PyObject,
    named: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python.
        let [exception] =
            unsafe { class::arguments_of_new("Raised", ["exception"], 1, arguments, named)? };
        // SAFETY: as above; the main interpreter alone has this class.
        let exception = Kept::new(unsafe { Object::from_borrowed(exception) });
        let entry = Arc::new(Entry { exception, seen: AtomicBool::new(false) });
        let listed = Arc::downgrade(&entry);
        // SAFETY: the class is this one or a subclass.
        let object = unsafe { class::instance(class, Raised { entry })? };
        with_registry(|registry| weak::push(&mut registry.raised, listed));
        Ok(object)
    })
}

unsafe extern "C" fn exception(object: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: called by Python with an object of the class.
    entered(|| Ok(unsafe { class::value::<Raised>(object) }.entry.exception.object()))
}

unsafe extern "C" fn mark_seen(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with an object of the class; the result is a new reference.
    unsafe {
        let seen = class::value::<Raised>(object).entry.seen.swap(true, Relaxed);
        ffi::PyBool_FromLong(seen.into())
    }
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector with an object of the class. The entry is shared with the registry for
    // moments only, and never across a collection, so what it refers to is reachable by nobody else.
    unsafe {
        match class::visit(ffi::Py_TYPE(object).cast(), visit, arg) {
            0 => class::visit(class::value::<Raised>(object).entry.exception.as_ptr(), visit, arg),
            stop => stop,
        }
    }
}

#[derive(Default)]
struct Registry {
    raised: Vec<Weak<Entry>>,
    failures: Vec<Weak<Failure>>,
}

/// A pointer, so that a child process can put a new registry in the place of one that another
/// thread had locked when the process forked.
static REGISTRY: AtomicPtr<Mutex<Registry>> = AtomicPtr::new(ptr::null_mut());

fn with_registry<R>(f: impl FnOnce(&mut Registry) -> R) -> R {
    let mut current = REGISTRY.load(Acquire);
    if current.is_null() {
        let fresh = Box::into_raw(Box::<Mutex<Registry>>::default());
        current = match REGISTRY.compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire) {
            Ok(_) => fresh,
            Err(theirs) => {
                // SAFETY: `fresh` was not published.
                drop(unsafe { Box::from_raw(fresh) });
                theirs
            }
        };
    }
    // SAFETY: a registry that was published is never freed.
    let registry = unsafe { &*current };
    f(&mut registry.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Has the exception of a worker logged at the end, if it is still around then, and unseen.
pub(crate) fn register(failure: &Arc<Failure>) {
    with_registry(|registry| weak::push(&mut registry.failures, Arc::downgrade(failure)));
}

/// To be called in a child process: what the parent's behaviours raised is the parent's to log.
pub fn forget_after_fork() {
    let old = REGISTRY.swap(ptr::null_mut(), AcqRel);
    if !old.is_null()
        // SAFETY: a registry that was published is never freed.
        && let Ok(registry) = unsafe { &*old }.try_lock()
    {
        let raised = registry.raised.iter().filter_map(Weak::upgrade);
        raised.for_each(|entry| entry.seen.store(true, Relaxed));
        let failures = registry.failures.iter().filter_map(Weak::upgrade);
        failures.for_each(|failure| {
            failure.mark_seen();
        });
    }
}

/// The exceptions that nobody has looked at so far; they count as seen from now on. In the main interpreter.
pub fn take_unseen() -> Vec<Object> {
    let all = with_registry(std::mem::take);
    let raised = all.raised.iter().filter_map(Weak::upgrade);
    let raised = raised.filter(|entry| !entry.seen.swap(true, Relaxed));
    let mut unseen: Vec<Object> = raised.map(|entry| entry.exception.object()).collect();
    let failures = all.failures.iter().filter_map(Weak::upgrade);
    let failures = failures.filter(|failure| !failure.mark_seen());
    unseen.extend(failures.filter_map(|failure| class::or_none(failure.exception())));
    unseen
}
