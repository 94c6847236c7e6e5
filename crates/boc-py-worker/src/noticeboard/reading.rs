//! Entries as objects, and what a behaviour sees of the board.

use arc_swap::Guard;
use pyo3_ffi::{self as ffi, PyObject};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::BuildHasherDefault,
    mem::{self, ManuallyDrop},
    ptr::{self, NonNull},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    board::{Entry, Snapshot},
    current,
};
use crate::{
    ending::{self, Py_DecRef},
    error::{Raised, Result},
    interpreter::{self, Interpreter},
    message::{Message, packed_at_home},
    object::Object,
    pool,
};

/// What a behaviour has seen of the board, and goes on seeing.
struct Seen {
    snapshot: Guard<Arc<Snapshot>>,
    /// The interpreter that the behaviour runs in.
    home: &'static Interpreter,
    /// What `noticeboard()` has given. Not dropped with the thread, which may not be attached then.
    mapping: Option<ManuallyDrop<Object>>,
}

thread_local! {
    /// Whether there is something in `SEEN`, for each behaviour to ask.
    static HAS_SEEN: Cell<bool> = const { Cell::new(false) };
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// To be called before and after each behaviour, which sees the board as it is when it looks first. The thread is
/// attached to the interpreter that the behaviour runs in.
#[inline]
pub(crate) fn forget_seen() {
    if HAS_SEEN.get() {
        forget();
    }
}

#[cold]
fn forget() {
    HAS_SEEN.set(false);
    let seen = SEEN.take();
    // The last reader of a snapshot drops what is in it, which can run code.
    if let Some(Seen { mapping: Some(mapping), .. }) = seen {
        drop(ManuallyDrop::into_inner(mapping));
    }
}

/// Calls `f` with what this thread sees of the board: in a behaviour what the behaviour has seen first, elsewhere what
/// is there now.
fn with_snapshot<R>(f: impl FnOnce(&Snapshot) -> R) -> R {
    if !pool::inside_behaviour() {
        return f(&current().read());
    }
    let here = interpreter::here();
    let snapshot = SEEN.with_borrow_mut(|seen| {
        let seen = seen.get_or_insert_with(|| {
            HAS_SEEN.set(true);
            Seen { snapshot: current().read(), home: here, mapping: None }
        });
        // On a visit to another interpreter, code that makes a value or packs it is no part of the behaviour.
        ptr::eq(seen.home, here).then(|| ptr::from_ref::<Snapshot>(&seen.snapshot))
    });
    match snapshot {
        // SAFETY: the guard stays where it is until the behaviour has ended, and with it this call.
        Some(snapshot) => f(unsafe { &*snapshot }),
        None => f(&current().read()),
    }
}

/// The value under a key, if there is one.
pub(super) fn get(key: &str) -> Result<Option<Object>> {
    with_snapshot(|snapshot| snapshot.get(key).map(|entry| object(entry)).transpose())
}

/// A mapping that cannot be changed, of keys to values.
pub(super) fn mapping() -> Result<Object> {
    let here = interpreter::here();
    let known = SEEN.with_borrow(|seen| {
        let seen = seen.as_ref().filter(|seen| HAS_SEEN.get() && ptr::eq(seen.home, here));
        seen.and_then(|seen| seen.mapping.as_deref().cloned())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let all = with_snapshot(dict)?;
    // SAFETY: attached, as there are objects; the result is a new reference, or null.
    let mapping = unsafe { Object::from_owned(ffi::PyDictProxy_New(all.as_ptr()))? };
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen
            && ptr::eq(seen.home, here)
        {
            // Nothing was there, unless code that made a value has just put it there.
            seen.mapping.get_or_insert_with(|| ManuallyDrop::new(mapping.clone()));
        }
    });
    Ok(mapping)
}

/// All that is there now, as a dict.
pub(super) fn everything() -> Result<Object> {
    dict(&current().read())
}

fn dict(snapshot: &Snapshot) -> Result<Object> {
    // SAFETY: attached; the dict is new, and takes references of its own.
    unsafe {
        let all = Object::from_owned(ffi::PyDict_New())?;
        for (key, entry) in snapshot.sorted() {
            let (key, value) = (Object::str(key)?, object(entry)?);
            if ffi::PyDict_SetItem(all.as_ptr(), key.as_ptr(), value.as_ptr()) != 0 {
                return Err(Raised::already());
            }
        }
        Ok(all)
    }
}

/// The value of an entry, in this thread's interpreter, which makes it once.
fn object(entry: &Entry) -> Result<Object> {
    match &entry.value {
        Message::Object(object) if interpreter::here().is_main() => return Ok(object.object()),
        Message::Parcel(parcel) if parcel.is_scalar() => return parcel.open(),
        Message::Object(_) | Message::Parcel(_) => {}
    }
    let opened = &interpreter::here().opened_notices;
    if let Some(known) = opened.get(entry.version) {
        return Ok(known);
    }
    let value = fresh_object(entry)?;
    Ok(opened.add(entry.version, value))
}

/// The value of an entry, which is another one each time where it is a copy. Others can read its `Buffer`s.
pub(super) fn fresh_object(entry: &Entry) -> Result<Object> {
    match &entry.value {
        Message::Object(object) if interpreter::here().is_main() => Ok(object.object()),
        Message::Object(object) => packed_at_home(object)?.open_to_read(),
        Message::Parcel(parcel) => parcel.open_to_read(),
    }
}

/// Values that an interpreter has made of entries, by the versions of those.
pub(crate) struct Opened(Mutex<Known>);

struct Known {
    by_version: HashMap<u64, Reference, BuildHasherDefault<VersionHasher>>,
    /// The snapshot that they were last compared with.
    compared: u64,
}

/// A reference of the interpreter that this belongs to.
struct Reference(NonNull<PyObject>);

// SAFETY: it is used by threads that are attached to the interpreter.
unsafe impl Send for Reference {}

impl Reference {
    /// Gives it up. The thread is attached to the interpreter.
    fn release(self) {
        // SAFETY: the reference was the interpreter's, and is not used any more.
        ending::guarded(|| unsafe { Py_DecRef(self.0.as_ptr()) });
    }
}

impl Opened {
    pub(crate) const fn new() -> Self {
        let by_version = HashMap::with_hasher(BuildHasherDefault::new());
        Self(Mutex::new(Known { by_version, compared: 0 }))
    }

    /// Nothing that runs Python code, or waits, is done while this is locked.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, version: u64) -> Option<Object> {
        let known = self.known();
        let Reference(object) = known.by_version.get(&version)?;
        // SAFETY: it is one of this thread's interpreter, and alive as long as it is in there.
        Some(unsafe { Object::from_borrowed(object.as_ptr()) })
    }

    /// Keeps an object, and lets go of those whose entries are gone. Gives the one that is kept, since another thread
    /// may have been quicker.
    fn add(&self, version: u64, object: Object) -> Object {
        let snapshot = current().read();
        let mut known = self.known();
        let mut gone = Vec::new();
        if known.compared != snapshot.version {
            known.compared = snapshot.version;
            let current = snapshot.versions();
            gone.extend(known.by_version.extract_if(|version, _| !current.contains(version)));
        }
        // SAFETY: it is alive.
        let kept = known.by_version.entry(version).or_insert_with(|| {
            let reference = object.clone().into_ptr();
            Reference(NonNull::new(reference).expect("objects are not null"))
        });
        // SAFETY: as in `get`.
        let kept = unsafe { Object::from_borrowed(kept.0.as_ptr()) };
        drop(known);
        gone.into_iter().for_each(|(_, reference)| reference.release());
        kept
    }

    /// Lets go of all. On a thread that is attached to the interpreter.
    pub(crate) fn clear(&self) {
        let all = mem::take(&mut self.known().by_version);
        all.into_values().for_each(Reference::release);
    }
}

/// Versions are numbers of their own.
#[derive(Default)]
pub(crate) struct VersionHasher(u64);

impl std::hash::Hasher for VersionHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, version: u64) {
        self.0 = (self.0 ^ version).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
