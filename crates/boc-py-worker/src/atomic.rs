//! Blocks whose behaviours are scheduled as one step, at their end.
//!
//! Until then nobody can wait for their results, or schedule over them: what comes behind a behaviour must not get
//! ahead of it in the queue of a cown that both name.
//!
//! The results of a block have one flag for that. It is lowered behind the end of the block, and before that by the
//! first of its behaviours that runs: then all of them are in their queues, and that one may use the results already.

use boc_core::{
    Batch,
    raw::{self, Access, Held, ResultCown},
};
use pyo3_ffi::{self as ffi, PyMethodDef, PyObject, PyTypeObject};
use std::{
    cell::{Cell, RefCell},
    ffi::c_void,
    mem, process,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use crate::{
    class::{self, NO_METHOD, NO_SLOT, Table, entered, slot, with_many, without},
    contents::Contents,
    departure::{self, Departure},
    error::{self, Raised, Result},
    interpreter::{self, Interpreter, where_now},
    object::{self, Object},
    request::Way,
};

/// What was scheduled so far in the outermost block of this thread.
struct Block {
    /// Made with the first behaviour, for the executor that it goes to.
    batch: Option<Batch>,
    fate: Arc<Fate>,
    departures: Vec<Departure>,
    home: &'static Interpreter,
    /// The process that it belongs to.
    process: u32,
}

/// What the results of a block know of it.
pub struct Fate {
    /// Whether its behaviours are not in their queues yet.
    is_open: AtomicBool,
    /// What has ended the block, if something was raised in it.
    raised: OnceLock<String>,
}

thread_local! {
    /// How many blocks this thread is in, and in which process: a child has left them.
    static DEPTH: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
    static BLOCK: RefCell<Option<Block>> = const { RefCell::new(None) };
}

/// Until this is dropped, its thread is in none of the blocks that it is in.
pub(crate) struct Aside {
    depth: (usize, u32),
    block: Option<Block>,
}

impl Aside {
    pub(crate) fn put() -> Self {
        Self { depth: DEPTH.take(), block: BLOCK.take() }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        DEPTH.set(self.depth);
        let left = BLOCK.replace(self.block.take());
        // What was not scheduled is cancelled, which can run code.
        drop(left);
    }
}

/// Whether this thread is in such a block.
#[inline]
pub fn is_open() -> bool {
    let (depth, process) = DEPTH.get();
    depth > 0 && process == process::id()
}

/// Raises where this thread would wait for what it has not scheduled yet.
pub fn refuse_to_wait(what: &str) -> Result<()> {
    if is_open() {
        return Err(error::runtime_error(format!(
            "{what} inside of atomic() could wait for what is scheduled at the end of the block: do it \
             behind the block"
        )));
    }
    Ok(())
}

/// Adds a behaviour to the block of this thread, which is in one. `None` if its executor takes no more; `work` was
/// dropped then.
///
/// # Safety
///
/// The cowns are alive during the call, and distinct.
pub(crate) unsafe fn add(
    way: Way<'_>,
    cowns: &[Access],
    departure: Departure,
    work: impl FnOnce(Held<'_>, &mut Contents) + Send + 'static,
) -> Result<Option<ResultCown<Contents>>> {
    // Taken out, since what is dropped can run code that comes here again.
    let mut block = BLOCK.take().unwrap_or_else(Block::new);
    let batch = block.batch.get_or_insert_with(|| way.target.executor.batch());
    let state = Contents::in_block(Arc::clone(&block.fate));
    let fate = Arc::clone(&block.fate);
    let work = move |held: Held<'_>, result: &mut Contents| {
        // As at the end of the block.
        fate.is_open.store(false, Release);
        work(held, result);
    };
    let label = || way.label();
    // SAFETY: passed on to the caller.
    let added = unsafe {
        match way.to_main {
            None => raw::add(batch, cowns, label, state, work),
            Some(main) => raw::add_elsewhere(batch, main, cowns, label, state, work),
        }
    };
    if let Ok(Some(_)) = &added {
        block.departures.push(departure);
    }
    // What has come meanwhile was cancelled with its block: there is one for each thread.
    drop(BLOCK.replace(Some(block)));
    added.map_err(|duplicate| error::type_error(duplicate.to_string()))
}

impl Fate {
    /// What was raised in the block, and where.
    pub(crate) fn raised(&self) -> Option<&str> {
        self.raised.get().map(String::as_str)
    }
}

impl Block {
    fn new() -> Self {
        Self {
            batch: None,
            fate: Arc::new(Fate { is_open: AtomicBool::new(true), raised: OnceLock::new() }),
            departures: Vec::new(),
            home: interpreter::here(),
            process: process::id(),
        }
    }

    fn schedule(mut self) -> Result<()> {
        // If it does not go, the batch is dropped, which cancels its behaviours.
        let left = departure::go_together(mem::take(&mut self.departures))?;
        if let Some(batch) = self.batch.take() {
            let _ = batch.schedule();
        }
        drop(self);
        drop(left);
        Ok(())
    }
}

/// Cancels what was not scheduled. From now on the results can be used.
impl Drop for Block {
    fn drop(&mut self) {
        if self.process != process::id() {
            // A child leaves it to its parent.
            mem::forget((self.batch.take(), mem::take(&mut self.departures)));
            return;
        }
        drop(self.batch.take());
        // Pairs with `is_in_block`: who sees it comes behind the batch.
        self.fate.is_open.store(false, Release);
        if !where_now().is_attached() {
            // The thread has ended inside of the block.
            for departure in self.departures.drain(..) {
                departure.give_up(self.home);
            }
        }
    }
}

/// Whether this is the result of a behaviour that was not scheduled yet.
pub(crate) fn is_in_block(result: &ResultCown<Contents>) -> bool {
    // SAFETY: the address is that of what lives as long as the cown; this is never changed in there.
    let in_block = unsafe { &(*raw::value_ptr(result.cown())).in_block };
    in_block.as_deref().is_some_and(|fate| fate.is_open.load(Acquire))
}

/// What is behind an object of the class: in which process a block has begun with it.
type Entered = AtomicU32;

/// Makes the class `atomic`, which belongs to the caller.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub unsafe fn make_class(module: *mut PyObject) -> Result<Object> {
    static METHODS: Table<PyMethodDef, 3> = Table::new([
        without(c"__enter__", enter, c"__enter__($self, /)\n--\n\nBegins the block."),
        with_many(
            c"__exit__",
            exit,
            c"__exit__($self, exc_type, exc_value, traceback, /)\n--\n\nSchedules the behaviours.",
        ),
        NO_METHOD,
    ]);
    static SLOTS: Table<ffi::PyType_Slot, 5> = Table::new([
        class::doc(
            c"atomic()\n--\n\n`with atomic():` schedules the behaviours of its block as one step, at its end: in the \
              queues of\ntheir cowns, nobody else's behaviour comes between them. If the block raises, none of them \
              runs.\n\nTheir results cannot be waited for, or scheduled over, before the end of the block.",
        ),
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_dealloc, class::dealloc::<Entered> as *mut c_void),
        slot(ffi::Py_tp_methods, METHODS.get().cast()),
        NO_SLOT,
    ]);
    // SAFETY: passed on to the caller; the slots are those of such an object.
    unsafe { class::make::<Entered>(module, c"boc.atomic", 0, SLOTS.get()) }
}

unsafe extern "C" fn new(
    class: *mut PyTypeObject,
    arguments: *mut PyObject,
    named: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by Python; what it passes is alive during the call.
    entered(|| unsafe {
        class::arguments_of_new("atomic", [], 0, arguments, named)?;
        class::instance(class, Entered::default())
    })
}

unsafe extern "C" fn enter(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(|| {
        let (depth, process) = DEPTH.get();
        let here = process::id();
        if process != here {
            // A child leaves to its parent what was open at the fork.
            drop(BLOCK.take());
        }
        // SAFETY: called by Python with an object of the class.
        unsafe { class::value::<Entered>(object) }.store(here, Relaxed);
        DEPTH.set((if process == here { depth + 1 } else { 1 }, here));
        // SAFETY: it is alive.
        Ok(unsafe { Object::from_borrowed(object) })
    })
}

unsafe extern "C" fn exit(
    object: *mut PyObject,
    given: *mut *mut PyObject,
    count: ffi::Py_ssize_t,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python with so many arguments, which are alive.
        let raised = count > 0 && unsafe { *given != ffi::Py_None() };
        // SAFETY: called by Python with an object of the class.
        let entered_in = unsafe { class::value::<Entered>(object) }.load(Relaxed);
        let here = process::id();
        if entered_in != 0 && entered_in != here {
            // The end of a block that is the parent's.
            return Ok(Object::none());
        }
        let (depth, process) = DEPTH.get();
        if depth == 0 || process != here {
            return Err(error::runtime_error("this thread is in no block of atomic()"));
        }
        DEPTH.set((depth - 1, process));
        let block = if depth == 1 { BLOCK.take() } else { None };
        interpreter::here().release_given_up();
        match block {
            Some(block) if !raised => block.schedule()?,
            Some(block) => {
                // SAFETY: as above: three arguments, the second of which is the exception.
                let what = unsafe { told(*given.add(1), (count > 2).then(|| *given.add(2))) };
                let _ = block.fate.raised.set(what);
                // Which cancels them.
                drop(block);
            }
            None => {}
        }
        Ok(Object::none())
    })
}

/// An exception's class, and the line that raised it, if there is a traceback.
///
/// # Safety
///
/// The thread is attached, and the objects are alive.
unsafe fn told(exception: *mut PyObject, traceback: Option<*mut PyObject>) -> String {
    // SAFETY: passed on to the caller.
    let (name, traceback) = unsafe {
        let name = object::class_name(exception);
        (name, traceback.map(|traceback| Object::from_borrowed(traceback)))
    };
    let place = traceback.and_then(|traceback| {
        let place = || -> Result<String> {
            let file = traceback.get(c"tb_frame")?.get(c"f_code")?.get(c"co_filename")?;
            Ok(format!("{}:{}", file.text(), traceback.get(c"tb_lineno")?.text()))
        };
        place().map_err(Raised::clear).ok()
    });
    place.map_or_else(|| name.clone(), |place| format!("{name} at {place}"))
}
