//! Scopes: waiting for some behaviours, and all that they lead to.

use boc_core::raw::{Counting, Promise, ResultCown};
use std::ptr;

use crate::{
    border::{Out, border, quiet},
    executor::{self, Lent, boc_executor},
    handle::{self, Kind, Known},
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
    // Before the count, which keeps it.
    executor: Lent,
    /// The scope's share in its own count.
    _counting: Counting,
    ended: ResultCown<Value>,
}

impl Known for Open {
    type Opaque = boc_scope;
    const KIND: Kind = Kind::Scope;
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
        let executor = unsafe { Lent::new(counting.executor()) };
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
        Ok(scope.executor.handle())
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
