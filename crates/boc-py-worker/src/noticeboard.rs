//! The noticeboard: values under keys that everybody can read, outside of cowns.
//!
//! - [`board`]: what is there, and how it changes;
//! - [`reading`]: entries as objects, and what a behaviour sees.
//!
//! There is one for all interpreters of the process, until it forks: the child begins with another one, since some
//! thread of the parent may have been in the middle of a change.

mod board;
mod reading;

use pyo3_ffi::{self as ffi, PyMethodDef, PyObject};
use std::{cell::Cell, ffi::CStr, sync::Arc};

pub use self::board::DEFAULT_LIMIT;
use self::board::{Board, Change, Full, Turn};
pub(crate) use self::reading::{Opened, forget_seen};
use crate::{
    class::{self, NO_METHOD, Table, entered, with_named, without},
    error::{self, Raised, Result},
    interpreter, mail,
    message::Message,
    object::{self, Object, class_name},
    parcel::Parcel,
    patience,
    per_process::PerProcess,
    pool, threads,
};

/// The functions, for the module.
static METHODS: Table<PyMethodDef, 7> = Table::new([
    with_named(c"notice_write", notice_write, WRITE),
    with_named(c"notice_seed", notice_seed, SEED),
    with_named(c"notice_update", notice_update, UPDATE),
    with_named(c"notice_delete", notice_delete, DELETE),
    with_named(c"notice_read", notice_read, READ),
    without(c"noticeboard", noticeboard, ALL),
    NO_METHOD,
]);

const WRITE: &CStr = c"notice_write($module, /, key, value)\n--\n\n\
Put a value on the noticeboard, in the place of the one that was there.

Behaviours that start after that see it. Nobody waits, also if the entry is being updated: then the
value is put there when the update has ended.

:param key: A string of at most 63 bytes in UTF-8, without NUL.
:param value: The value. On the backend \"direct\" everybody reads the object itself, on
    \"subinterpreters\" a copy.
:raises TypeError: If the key is no string, or the value cannot leave its interpreter.
:raises ValueError: If the key is too long, or has a NUL in it.
:raises RuntimeError: If there are as many keys as start(notice_limit=...) says.";

const SEED: &CStr = c"notice_seed($module, /, key, value)\n--\n\n\
Put a value on the noticeboard, in the main program; it is there when this returns.

As notice_write(), but an update of the entry that is going on is waited for.

:raises RuntimeError: In a behaviour as well.";

const UPDATE: &CStr = c"notice_update($module, /, key, fn, default=None)\n--\n\n\
Put on the noticeboard what a function makes of the value that is there, in one step.

Nobody else changes the entry between the look at it and the change. The function is called once,
here and now. Other updates of the same key wait meanwhile; so it should not take long, and must not
wait for somebody who updates.

:param key: As for notice_write().
:param fn: A function of the value that gives the next one, or REMOVED to delete the entry.
:param default: The value to begin with if there is none.
:raises TypeError: If the key is no string, or `fn` cannot be called; or as notice_write() does.
:raises ValueError: If the key is too long, or has a NUL in it.
:raises RuntimeError: If there is no room for another key, and in a function that updates.

What the function raises comes out of this, and the entry stays as it was.";

const DELETE: &CStr = c"notice_delete($module, /, key)\n--\n\n\
Take a value off the noticeboard, if it is there.

:param key: As for notice_write().
:raises TypeError: If the key is no string.
:raises ValueError: If the key is too long, or has a NUL in it.";

const READ: &CStr = c"notice_read($module, /, key, default=None)\n--\n\n\
The value that is on the noticeboard under a key.

A behaviour sees the noticeboard as it was when it first looked at it, until it ends; everybody else
sees it as it is.

:param key: As for notice_write().
:param default: What to return if there is no such key.
:raises TypeError: If the key is no string.
:raises ValueError: If the key is too long, or has a NUL in it.";

const ALL: &CStr = c"noticeboard($module, /)\n--\n\n\
A mapping of all keys to their values, as it was at one moment. It cannot be changed.

A behaviour sees the noticeboard as it was when it first looked at it, until it ends; everybody else
sees it as it is.";

/// Adds the functions.
///
/// # Safety
///
/// The thread is attached; `module` is the module `boc._boc`.
pub(crate) unsafe fn add_functions(module: *mut PyObject) -> Result<()> {
    // SAFETY: passed on to the caller.
    match unsafe { ffi::PyModule_AddFunctions(module, METHODS.get()) } {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}

static BOARD: PerProcess<Board> = PerProcess::new();

fn current() -> &'static Board {
    BOARD.get()
}

/// To be called in a child process, which begins with nothing on the board.
pub fn forget_after_fork() {
    BOARD.forget();
}

/// Takes everything off the board. On a thread that is attached to the main interpreter.
pub fn clear() {
    drop(current().clear());
    interpreter::here().opened_notices.clear();
}

/// Says how many keys there can be from now on.
pub fn set_limit(limit: usize) {
    current().set_limit(limit);
}

/// All that is on the board, as a dict.
pub fn everything() -> Result<Object> {
    reading::everything()
}

/// A key.
///
/// # Safety
///
/// The thread is attached, and the object alive, also as long as the text is used.
unsafe fn key_of<'a>(key: *mut PyObject) -> Result<&'a str> {
    /// As in bocpy.
    const LONGEST: usize = 63;
    // SAFETY: passed on to the caller.
    let key = unsafe {
        if ffi::PyUnicode_Check(key) == 0 {
            let kind = class_name(key);
            return Err(error::type_error(format!("a noticeboard key must be a str, not {kind}")));
        }
        object::characters(key)?
    };
    if key.contains('\0') {
        return Err(error::value_error("a noticeboard key must not contain NUL characters"));
    }
    if key.len() > LONGEST {
        return Err(error::value_error(format!(
            "a noticeboard key must have at most {LONGEST} bytes in UTF-8, not {}",
            key.len()
        )));
    }
    Ok(key)
}

/// A value on its way to the board.
///
/// # Safety
///
/// The thread is attached, and the object alive.
unsafe fn message(value: *mut PyObject) -> Result<Message> {
    // SAFETY: passed on to the caller.
    unsafe {
        // Each reader makes its own, without the way of one object's count of references from core to core.
        match Parcel::scalar(&Object::from_borrowed(value)) {
            Some(scalar) => Ok(Message::Parcel(scalar)),
            None => Message::new("value", value),
        }
    }
}

/// The board belongs to the workers, and ends with them.
fn start_workers() -> Result<()> {
    let are_there = !interpreter::here().is_main()
        || pool::inside_behaviour()
        || pool::known(|target| target.is_some());
    if are_there { Ok(()) } else { pool::start() }
}

#[cold]
fn is_full(Full { limit }: Full) -> Raised {
    error::runtime_error(format!(
        "the noticeboard is full: it has {limit} keys; notice_delete() makes room, and \
         boc.start(notice_limit=...) gives it more"
    ))
}

unsafe extern "C" fn notice_write(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        unsafe {
            let parameters = ["key", "value"];
            let [key, value] =
                class::arguments("notice_write", parameters, 2, given, positional, names)?;
            let key = key_of(key)?;
            start_workers()?;
            let change = Change::Write(message(value)?);
            drop(current().change(key, change).map_err(is_full)?);
        }
        Ok(Object::none())
    })
}

unsafe extern "C" fn notice_delete(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        unsafe {
            let [key] = class::arguments("notice_delete", ["key"], 1, given, positional, names)?;
            drop(current().change(key_of(key)?, Change::Delete).map_err(is_full)?);
        }
        Ok(Object::none())
    })
}

unsafe extern "C" fn notice_seed(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        unsafe {
            let parameters = ["key", "value"];
            let [key, value] =
                class::arguments("notice_seed", parameters, 2, given, positional, names)?;
            let key = key_of(key)?;
            if !interpreter::here().is_main() || pool::inside_behaviour() {
                return Err(error::runtime_error(
                    "notice_seed() is for the main program: a behaviour uses notice_write()",
                ));
            }
            refuse_inside_update("notice_seed()")?;
            start_workers()?;
            let value = message(value)?;
            turn(key)?.end(Change::Write(value));
        }
        Ok(Object::none())
    })
}

unsafe extern "C" fn notice_update(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        unsafe {
            let parameters = ["key", "fn", "default"];
            let [key, function, default] =
                class::arguments("notice_update", parameters, 2, given, positional, names)?;
            let key = key_of(key)?;
            if ffi::PyCallable_Check(function) == 0 {
                let kind = class_name(function);
                return Err(error::type_error(format!(
                    "fn of notice_update() must be a function of the value, not {kind}"
                )));
            }
            refuse_inside_update("notice_update()")?;
            start_workers()?;
            let turn = turn(key)?;
            let value = match turn.entry() {
                Some(entry) => reading::fresh_object(&entry)?,
                None if default.is_null() => Object::none(),
                None => Object::from_borrowed(default),
            };
            let next = {
                let _updating = Updating::begin();
                Object::from_borrowed(function).call([&value])?
            };
            let removed = object::import("boc._removed")?.get(c"REMOVED")?;
            turn.end(if next.as_ptr() == removed.as_ptr() {
                Change::Delete
            } else {
                Change::Write(message(next.as_ptr())?)
            });
        }
        Ok(Object::none())
    })
}

thread_local! {
    /// Whether this thread is in the function of an update.
    static UPDATING: Cell<bool> = const { Cell::new(false) };
}

/// The call of the function of an update.
struct Updating;

impl Updating {
    fn begin() -> Self {
        UPDATING.set(true);
        Self
    }
}

impl Drop for Updating {
    fn drop(&mut self) {
        UPDATING.set(false);
    }
}

/// Two that update, each in the other's function, would wait for each other.
fn refuse_inside_update(what: &str) -> Result<()> {
    if UPDATING.get() {
        return Err(error::runtime_error(format!(
            "{what} inside of the function of notice_update() could wait for ever: return the value instead, or \
             use notice_write()"
        )));
    }
    Ok(())
}

/// Waits for one's turn to update an entry.
fn turn(key: &str) -> Result<Turn<'static>> {
    let key: Arc<str> = key.into();
    let mut begun = current().try_turn(&key);
    loop {
        if let Some(turn) = begun {
            return turn.map_err(is_full);
        }
        let (until, _) = patience::slice(None);
        // Another board if a signal's handler has forked.
        begun = threads::detached(|| current().turn(&key, until));
        if begun.is_none() {
            mail::deliver(Some(patience::SLICE))?;
            patience::look_up()?;
        }
    }
}

unsafe extern "C" fn notice_read(
    _: *mut PyObject,
    given: *const *mut PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entered(|| {
        // SAFETY: called by Python; the arguments are alive during the call.
        unsafe {
            let parameters = ["key", "default"];
            let [key, default] =
                class::arguments("notice_read", parameters, 1, given, positional, names)?;
            match reading::get(key_of(key)?)? {
                Some(value) => Ok(value),
                None if default.is_null() => Ok(Object::none()),
                None => Ok(Object::from_borrowed(default)),
            }
        }
    })
}

unsafe extern "C" fn noticeboard(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entered(reading::mapping)
}
