//! Cowns that a behaviour only reads, together with others.
//!
//! Several threads hold such a cown at the same time, so its token of the holder cannot say who they are. Each
//! thread knows by itself what it reads; see [`Reading`].

mod class;

use boc_core::raw::{CownPtr, Held, Mode};
use smallvec::SmallVec;
use std::{cell::RefCell, mem, ptr};

pub(crate) use self::class::{add_function, make_class, to_read};
use crate::{
    error::Result,
    interpreter::{self, Interpreter},
    object::Object,
};

/// What the behaviour of a thread reads.
struct Read {
    cown: CownPtr,
    /// Once it was asked for: the same for the whole behaviour, since where values are copied there is another
    /// copy each time.
    value: Option<Object>,
    /// Where the behaviour runs. What its thread does elsewhere, on a visit, is none of its code.
    home: &'static Interpreter,
}

type All = SmallVec<[Read; 2]>;

thread_local! {
    static READ: RefCell<All> = RefCell::default();
}

/// What the thread reads until this is dropped, while the cowns are held and the thread is attached.
pub(crate) struct Reading {
    /// Of the behaviour in whose middle this one runs.
    before: All,
}

impl Reading {
    /// `None` if the behaviour can write to all that it holds.
    pub(crate) fn begin(held: Held<'_>) -> Option<Self> {
        let is_read = |mode| matches!(mode, Mode::Read);
        if !held.iter().any(|access| is_read(access.mode)) {
            return None;
        }
        let home = interpreter::here();
        let read = held.iter().filter(|access| is_read(access.mode));
        let read = read.map(|access| Read { cown: access.cown, value: None, home }).collect();
        Some(Self { before: READ.replace(read) })
    }

    /// Code runs that is to read nothing.
    pub(crate) fn nothing() -> Self {
        Self { before: READ.take() }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let read = READ.replace(mem::take(&mut self.before));
        // The end of a value can run code, which may come here.
        drop(read);
    }
}

/// Whether the behaviour of this thread reads the cown, and cannot write to it.
pub(crate) fn is_read(cown: CownPtr) -> bool {
    READ.with_borrow(|all| all.iter().any(|read| read.is(cown)))
}

/// The value of a cown that the behaviour of this thread reads, which `read` finds out.
pub(crate) fn value(cown: CownPtr, read: impl FnOnce() -> Result<Object>) -> Result<Object> {
    let known = READ.with_borrow(|all| {
        all.iter().find(|read| read.is(cown)).and_then(|read| read.value.clone())
    });
    if let Some(value) = known {
        return Ok(value);
    }
    let value = read()?;
    // What is made of it can be code that has asked for the same.
    let earlier = READ.with_borrow_mut(|all| {
        let read = all.iter_mut().find(|read| read.is(cown))?;
        Some(read.value.get_or_insert_with(|| value.clone()).clone())
    });
    Ok(earlier.unwrap_or(value))
}

impl Read {
    fn is(&self, cown: CownPtr) -> bool {
        self.cown == cown && ptr::eq(self.home, interpreter::here())
    }
}
