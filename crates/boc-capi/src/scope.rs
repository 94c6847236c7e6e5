//! Scopes: waiting for some behaviours, and all that they lead to.

use boc_core::raw::{Counting, Promise, ResultCown};
use std::ptr::{self, NonNull};

use crate::{
    border::{Out, border, quiet},
    executor::{self, boc_executor, lend_executor},
    handle::{self, Handle, Kind},
    owned::Owned,
    result::boc_result,
    status::boc_status,
    value::Value,
};

/// Behaviours that can be waited for together, with all that they schedule in turn where they run (NULL
/// as executor). Can be used on any thread.
pub struct boc_scope {
    _private: [u8; 0],
}

/// What a `boc_scope` refers to.
pub(crate) struct Open {
    /// The scope's share in its own count.
    _counting: Counting,
    ended: ResultCown<Value>,
    /// The handle that is lent.
    executor: *mut boc_executor,
}

impl Drop for Open {
    fn drop(&mut self) {
        handle::end_loan(self.executor);
    }
}

// SAFETY: the address of a box.
unsafe impl Handle for Box<Open> {
    type Opaque = boc_scope;
    const KIND: Kind = Kind::Scope;

    fn into_raw(self) -> NonNull<()> {
        NonNull::from(Box::leak(self)).cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { Box::from_raw(raw.cast().as_ptr()) }
    }
}

/// A scope of behaviours that run on an executor (NULL: as for `boc_when`). `*scope` is to be closed by
/// `boc_scope_close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_scope_new(
    executor: *const boc_executor,
    scope: *mut *mut boc_scope,
) -> boc_status {
    border(|| {
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let (out, inner) = unsafe { (Out::new(scope, "scope")?, executor::resolve(executor)?) };
        let (promise, ended) = Promise::new(Value::pending());
        let counting = Counting::new(&inner, move || {
            promise.fulfil(|value| drop(value.succeed(Owned::nothing())));
        });
        // SAFETY: the scope keeps it.
        let executor = unsafe { lend_executor(counting.executor()) };
        out.put(handle::give(Box::new(Open { _counting: counting, ended, executor })));
        Ok(())
    })
}

/// Where to schedule what is to be part of the scope. Lent until the scope is closed; what comes later,
/// from behaviours of the scope, is part of it if it is scheduled with NULL as executor. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_scope_executor(scope: *const boc_scope) -> *const boc_executor {
    quiet(ptr::null(), || {
        // SAFETY: as above.
        let scope = unsafe { handle::borrow::<Box<Open>>(scope, "scope") }?;
        Ok(scope.executor.cast_const())
    })
}

/// Closes and releases a scope: it ends when all its behaviours have ended. They may go on scheduling
/// others until then.
///
/// A behaviour over the end and over a cown that behaviours of the scope are going to use stands in their way
/// while it waits for them: it waits for ever.
///
/// @param ended Where to put a handle to the end of the scope, to be waited for or scheduled over; for the
///   caller to release. NULL if nobody wants to know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_scope_close(
    scope: *mut boc_scope,
    ended: *mut *mut boc_result,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let (scope, out) =
            unsafe { (handle::take::<Box<Open>>(scope, "scope")?, Out::optional(ended)) };
        if let Some(out) = out {
            out.put(handle::give(scope.ended.clone()));
        }
        drop(scope);
        Ok(())
    })
}
