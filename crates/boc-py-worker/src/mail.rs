//! What other threads leave for the main interpreter to do.
//!
//! Workers with an interpreter of their own cannot log there, or write to its streams. They leave that for it
//! here. It is done when the main thread comes by: between two instructions of Python code, or while it waits
//! for behaviours.
//!
//! Workers may leave more than it can do. So between two instructions it does a share, and if that was not all,
//! goes on with its own work for as long as the share took.

use pyo3_ffi as ffi;
use std::{
    cell::Cell,
    collections::VecDeque,
    ffi::{CStr, c_int, c_void},
    mem, ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    error::Result,
    interpreter::{self, where_now},
    object::{self, Object},
    parcel::Parcel,
};

/// Something to be done by the main interpreter.
pub enum Letter {
    /// Call a function of a module with a value.
    Call(&'static str, &'static CStr, Parcel),
    /// Call a function of a module with a text.
    Say(&'static str, &'static CStr, String),
}

static BOX: Mutex<VecDeque<Letter>> = Mutex::new(VecDeque::new());

/// Whether a thread is about to fork.
static HELD: AtomicBool = AtomicBool::new(false);

/// How long the main thread delivers between two instructions.
const SHARE: Duration = Duration::from_millis(5);

/// How long it then does something else, at the most.
const LONGEST_REST: Duration = Duration::from_millis(50);

thread_local! {
    /// Until when this thread does something else.
    static RESTS_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Whether this thread is in the middle of a letter.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

/// Locks them. Nothing that waits, or runs Python code, is done meanwhile.
fn letters() -> MutexGuard<'static, VecDeque<Letter>> {
    BOX.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves a letter.
pub fn post(letter: Letter) {
    letters().push_back(letter);
    remind();
}

/// Has the main thread do what was left for it.
pub(crate) fn remind() {
    // Each time, since the interpreter has no room for more than some dozens of calls, and refuses further
    // ones. Those that it takes empty the box.
    // SAFETY: can be called by any thread, as long as there is an interpreter.
    unsafe {
        if ffi::Py_IsInitialized() != 0 {
            ffi::Py_AddPendingCall(Some(called), ptr::null_mut());
        }
    }
}

/// To be called before a fork, until the end of which nothing is delivered, since the child would do so as well.
pub(crate) fn hold() {
    HELD.store(true, Relaxed);
}

/// To be called after a fork, in the parent.
pub(crate) fn let_go() {
    HELD.store(false, Relaxed);
    remind();
}

/// To be called after a fork, in the child: what the workers of the parent have said is the parent's to deliver.
pub(crate) fn let_go_in_child() {
    // Those who can have locked it were attached, and not stopped meanwhile, or had no interpreter.
    if let Ok(mut letters) = BOX.try_lock() {
        let forgotten = mem::take(&mut *letters);
        drop(letters);
        drop(forgotten);
    }
    HELD.store(false, Relaxed);
}

extern "C" fn called(_: *mut c_void) -> c_int {
    let begun = Instant::now();
    if RESTS_UNTIL.get().is_some_and(|until| begun < until) {
        // Some dozens of times between two instructions, which is still quicker than a letter.
        remind();
        return 0;
    }
    let delivered = deliver(Some(SHARE));
    let more = !HELD.load(Relaxed) && !letters().is_empty();
    let rest = more.then(|| begun.elapsed().min(LONGEST_REST));
    RESTS_UNTIL.set(rest.map(|rest| Instant::now() + rest));
    delivered.map_or(-1, |()| 0)
}

/// Does what there was to do when this was called; begins with none of it after `limit`, if there is one. Does
/// nothing on a thread that is not attached to the main interpreter, or is in the middle of a letter, which would
/// come after the next ones; nor while a thread forks.
///
/// Raises what is none of the letters' business, such as `KeyboardInterrupt`.
pub fn deliver(limit: Option<Duration>) -> Result<()> {
    if !where_now().is_main() {
        return Ok(());
    }
    interpreter::main().release_given_up();
    if HELD.load(Relaxed) || DELIVERS.replace(true) {
        return Ok(());
    }
    let delivered = deliver_letters(limit);
    DELIVERS.set(false);
    if !letters().is_empty() {
        remind();
    }
    delivered
}

fn deliver_letters(limit: Option<Duration>) -> Result<()> {
    let begun = Instant::now();
    let count = letters().len();
    for _ in 0..count {
        if limit.is_some_and(|limit| begun.elapsed() > limit) {
            break;
        }
        // In a statement of its own, so that the lock is given back.
        let letter = letters().pop_front();
        match letter {
            Some(Letter::Call(module, function, value)) => call(module, function, value.open())?,
            Some(Letter::Say(module, function, text)) => {
                call(module, function, Object::str(&text))?
            }
            // Another thread has delivered it.
            None => break,
        }
    }
    Ok(())
}

fn call(module: &str, function: &CStr, argument: Result<Object>) -> Result<()> {
    let called = argument.and_then(|argument| object::call(module, function, [&argument]));
    match called {
        Ok(_) => Ok(()),
        // SAFETY: this is a class of exceptions.
        Err(raised) if unsafe { raised.is(ffi::PyExc_Exception) } => {
            raised.write_unraisable();
            Ok(())
        }
        Err(raised) => Err(raised),
    }
}
