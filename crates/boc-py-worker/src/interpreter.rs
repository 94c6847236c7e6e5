//! The interpreters that boc is used in: the main one, and those of workers.

use pyo3_ffi::{self as ffi, PyInterpreterState, PyObject, PyThreadState, PyTypeObject};
use std::{
    cell::Cell,
    mem, ptr,
    sync::{
        Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{
            AtomicBool, AtomicPtr,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use crate::{
    ending::{self, Py_DecRef},
    function,
    label::Labels,
    mail,
    noticeboard::Opened,
    resident::Resident,
    threads, weak,
};

/// What there is once in each interpreter. Never freed, nor used for another one, so that a place tells which one
/// it was also when the interpreter has ended.
pub struct Interpreter {
    state: AtomicPtr<PyInterpreterState>,
    /// The classes, once the module was made.
    pub classes: Classes,
    /// What it remembers of functions.
    pub functions: LazyLock<function::Caches>,
    /// What it calls them in reports.
    pub(crate) labels: LazyLock<Labels>,
    /// Whether the interpreter is there to be visited. Locked by visitors, and by who ends it.
    alive: RwLock<bool>,
    /// Whether all values that lived here are packed, since the interpreter ends.
    closed: Mutex<bool>,
    /// Told when that is so.
    has_closed: Condvar,
    /// Objects that others have given up, to be released here.
    given_up: Mutex<Vec<GivenUp>>,
    /// Whether there are any, so that nobody has to lock for that.
    any_given_up: AtomicBool,
    /// Values of cowns that live here, to be packed at the end.
    residents: Mutex<Vec<Weak<Resident>>>,
    /// What it has made of the entries of the noticeboard.
    pub(crate) opened_notices: Opened,
}

/// A reference of an interpreter that was given up elsewhere.
struct GivenUp(*mut PyObject);

// SAFETY: it is used by the interpreter that the object belongs to.
unsafe impl Send for GivenUp {}

/// The classes of the module, as this interpreter has them.
pub struct Classes {
    /// `boc.Cown`.
    pub cown: Class,
    /// `boc.PinnedCown`.
    pub pinned_cown: Class,
    /// `boc.Buffer`.
    pub buffer: Class,
    /// `boc._boc.Definition`.
    pub definition: Class,
    /// `boc._boc.Parcel`.
    pub parcel: Class,
    /// `boc._boc.ToRead`.
    pub to_read: Class,
}

/// A class, or a place for one.
pub struct Class(AtomicPtr<PyTypeObject>);

impl Class {
    const fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Null before the module was made. Borrowed: it lives as long as the interpreter.
    #[inline]
    pub fn get(&self) -> *mut PyTypeObject {
        self.0.load(Relaxed)
    }

    /// Whether this is the class of an object.
    ///
    /// # Safety
    ///
    /// The thread is attached, and the object alive.
    #[inline]
    pub unsafe fn is_of(&self, object: *mut PyObject) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { ffi::Py_TYPE(object) == self.get() }
    }

    /// The place keeps the reference.
    pub fn set(&self, class: *mut PyTypeObject) {
        self.0.store(class, Release);
    }
}

static MAIN: Interpreter = Interpreter::new();

/// Those of workers that have not ended.
static WORKERS: Mutex<Vec<&'static Interpreter>> = Mutex::new(Vec::new());

fn workers() -> MutexGuard<'static, Vec<&'static Interpreter>> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static HERE: Cell<Option<&'static Interpreter>> = const { Cell::new(None) };
}

/// The interpreter that this thread is attached to.
#[inline]
pub fn here() -> &'static Interpreter {
    HERE.get().unwrap_or_else(look)
}

/// Once for each thread: a thread belongs to one interpreter, but for visits, which set this.
#[cold]
fn look() -> &'static Interpreter {
    // SAFETY: only who is attached asks.
    let state = unsafe { ffi::PyInterpreterState_Get() };
    let known = workers().iter().find(|known| known.state.load(Acquire) == state).copied();
    let found = known.unwrap_or(&MAIN);
    HERE.set(Some(found));
    found
}

/// Where this thread is attached, if it is.
#[inline]
pub fn where_now() -> Where {
    // SAFETY: asks for nothing.
    if unsafe { ffi::compat::PyThreadState_GetUnchecked() }.is_null() {
        Where(None)
    } else {
        Where(Some(here()))
    }
}

/// Where a thread is attached.
#[derive(Clone, Copy)]
pub struct Where(Option<&'static Interpreter>);

impl Where {
    /// To any interpreter.
    pub fn is_attached(self) -> bool {
        self.0.is_some()
    }

    /// To that of a worker.
    pub(crate) fn is_worker(self) -> bool {
        self.is_attached() && !self.is_main()
    }

    /// To this one.
    pub(crate) fn is(self, interpreter: &Interpreter) -> bool {
        self.0.is_some_and(|here| ptr::eq(here, interpreter))
    }

    /// To the main one.
    #[inline]
    pub fn is_main(self) -> bool {
        self.0.is_some_and(Interpreter::is_main)
    }
}

/// The main interpreter.
pub fn main() -> &'static Interpreter {
    &MAIN
}

/// To be called when the module is made in the main interpreter.
pub fn enter_main() {
    // SAFETY: the module is made by a thread that is attached.
    MAIN.state.store(unsafe { ffi::PyInterpreterState_Get() }, Release);
    *MAIN.alive.write().unwrap_or_else(PoisonError::into_inner) = true;
    HERE.set(Some(&MAIN));
}

impl Interpreter {
    const fn new() -> Self {
        Self {
            state: AtomicPtr::new(ptr::null_mut()),
            classes: Classes {
                cown: Class::empty(),
                pinned_cown: Class::empty(),
                buffer: Class::empty(),
                definition: Class::empty(),
                parcel: Class::empty(),
                to_read: Class::empty(),
            },
            functions: LazyLock::new(function::Caches::default),
            labels: LazyLock::new(Labels::default),
            alive: RwLock::new(false),
            closed: Mutex::new(false),
            has_closed: Condvar::new(),
            given_up: Mutex::new(Vec::new()),
            any_given_up: AtomicBool::new(false),
            residents: Mutex::new(Vec::new()),
            opened_notices: Opened::new(),
        }
    }

    /// Enters the interpreter of a worker, on its thread, which is attached to it.
    pub(crate) fn enter() -> &'static Self {
        let this: &'static Self = Box::leak(Box::new(Self::new()));
        // SAFETY: the thread is attached.
        this.state.store(unsafe { ffi::PyInterpreterState_Get() }, Release);
        workers().push(this);
        *this.alive.write().unwrap_or_else(PoisonError::into_inner) = true;
        HERE.set(Some(this));
        this
    }

    /// Whether this is the main interpreter.
    #[inline]
    pub fn is_main(&self) -> bool {
        ptr::eq(self, &MAIN)
    }

    /// Calls `f` on this thread, attached to this interpreter; `None` if that has ended. `f` leaves no
    /// exception behind.
    pub(crate) fn visit<R>(&'static self, f: impl FnOnce() -> R) -> Option<R> {
        /// Leaves the interpreter.
        struct Visit {
            state: *mut PyThreadState,
            from: Option<&'static Interpreter>,
        }
        impl Drop for Visit {
            fn drop(&mut self) {
                // SAFETY: the state was made for this visit, and is the current one.
                unsafe {
                    ffi::PyThreadState_Clear(self.state);
                    ffi::PyThreadState_DeleteCurrent();
                }
                HERE.set(self.from);
            }
        }
        if where_now().is(self) {
            return Some(f());
        }
        let visit = || {
            // Before this thread waits for the interpreter's lock, so that the interpreter does not end
            // meanwhile; and not while it has that of another one.
            let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
            if !*alive {
                return None;
            }
            // SAFETY: the interpreter is alive, and the state is used by this thread for this visit.
            let state = unsafe { ffi::PyThreadState_New(self.state.load(Acquire)) };
            assert!(!state.is_null(), "there is memory for the state of a thread");
            // SAFETY: as above; the thread is not attached.
            unsafe { ffi::PyEval_RestoreThread(state) };
            let _visit = Visit { state, from: HERE.replace(Some(self)) };
            let result = f();
            self.release_given_up();
            Some(result)
        };
        threads::unattached(visit)
    }

    /// Locks what others have given up. Nothing that waits, or runs Python code, is done meanwhile.
    fn given_up(&self) -> MutexGuard<'_, Vec<GivenUp>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves an object of this interpreter to it, to be released.
    pub(crate) fn give_up(&self, object: *mut PyObject) {
        // Without waiting, since this thread may be on a visit, for which another one waits. If this
        // interpreter is about to end, the object ends with its memory.
        let Ok(alive) = self.alive.try_read() else { return };
        if !*alive {
            return;
        }
        self.given_up().push(GivenUp(object));
        self.any_given_up.store(true, Release);
        if self.is_main() {
            // No worker comes by here before each behaviour.
            mail::remind();
        }
    }

    /// Releases what others have given up. On a thread that is attached to this.
    pub(crate) fn release_given_up(&self) {
        if !self.any_given_up.load(Relaxed) {
            return;
        }
        self.any_given_up.store(false, Relaxed);
        let all = mem::take(&mut *self.given_up());
        for GivenUp(object) in all {
            // SAFETY: the reference is this interpreter's, and was given up.
            ending::guarded(|| unsafe { Py_DecRef(object) });
        }
    }

    /// Remembers a value that lives here.
    pub(crate) fn add_resident(&self, resident: &Arc<Resident>) {
        let mut residents = self.residents.lock().unwrap_or_else(PoisonError::into_inner);
        weak::push(&mut residents, Arc::downgrade(resident));
    }

    /// Nobody can visit any more, and the values of cowns that live here are packed. On a thread that is
    /// attached to this, which has its classes until then.
    pub(crate) fn close(&self) {
        threads::detached(|| {
            *self.alive.write().unwrap_or_else(PoisonError::into_inner) = false;
        });
        loop {
            let residents =
                mem::take(&mut *self.residents.lock().unwrap_or_else(PoisonError::into_inner));
            if residents.is_empty() {
                break;
            }
            residents.iter().filter_map(Weak::upgrade).for_each(|resident| resident.leave());
        }
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.has_closed.notify_all();
        self.functions.clear();
        self.labels.clear();
        self.opened_notices.clear();
        self.release_given_up();
    }

    /// Waits until the interpreter, which cannot be visited any more, has packed what lived there.
    pub(crate) fn wait_closed(&self) {
        threads::unattached(|| {
            let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.has_closed.wait_while(closed, |closed| !*closed));
        });
    }

    /// The interpreter has ended. What it had is gone with its memory, and nobody comes here again.
    pub(crate) fn leave(&self) {
        HERE.set(None);
        workers().retain(|known| !ptr::eq(*known, self));
    }
}
