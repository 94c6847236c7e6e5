//! Batches: several behaviours scheduled as one step.

use boc_core::{
    Batch, ExecutorRef,
    raw::{self, Access, Held, ResultCown},
};
use std::ffi::c_void;

use crate::{
    body::boc_body_fn,
    border::{Out, border, quiet},
    cown::release,
    executor::{self, boc_executor},
    handle::{self, Kind, Known},
    owned::{Owned, boc_destroy_fn},
    request::{self, boc_request},
    result::boc_result,
    status::{
        Error,
        boc_status::{self, BOC_INVALID_ARGUMENT},
    },
    symbol,
    value::Value,
    when::{Call, duplicate_error},
};

/// Behaviours that are going to be scheduled as one step: nobody else's behaviour comes between them in
/// the queues of the cowns that they share. For one thread at a time.
pub struct boc_batch {
    _private: [u8; 0],
}

/// What a `boc_batch` refers to.
pub(crate) struct Members {
    batch: Batch,
    results: Vec<ResultCown<Value>>,
}

impl Known for Members {
    type Opaque = boc_batch;
    const KIND: Kind = Kind::Batch;
}

/// An empty batch for an executor (NULL: as for `boc_when`). `*batch` is to be scheduled by
/// `boc_batch_schedule`, or given up by `boc_batch_release`.
///
/// Its behaviours count as in flight from the moment they are added: a thread that has a batch, and waits
/// for the end of all, or for room by scheduling something else on a runtime with a bound, waits for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_batch_new(
    executor: *const boc_executor,
    batch: *mut *mut boc_batch,
) -> boc_status {
    border(|| {
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let out = unsafe { Out::new(batch, "batch") }?;
        // SAFETY: as above.
        let executor: ExecutorRef = unsafe { executor::resolve(executor) }?;
        let members = Members { batch: executor.batch(), results: Vec::new() };
        out.put(handle::give(Box::new(members)));
        Ok(())
    })
}

/// Adds a behaviour to a batch; arguments and errors are those of `boc_when`. The results come from
/// `boc_batch_schedule`, and may be written there after the bodies have started. What is refused by an
/// error was not added. `destroy_env` must not use the batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_batch_when(
    batch: *mut boc_batch,
    requests: *const boc_request,
    count: usize,
    body: boc_body_fn,
    env: *mut c_void,
    destroy_env: boc_destroy_fn,
) -> boc_status {
    border(|| {
        let call = Call::new(body, Owned::new(env, destroy_env))?;
        // SAFETY: as above. One thread uses the batch.
        unsafe {
            let mut members = handle::borrow::<Box<Members>>(batch, "batch")?;
            let cowns: Vec<Access> =
                request::accesses(request::checked(requests, count)?).collect();
            let body = call.body();
            let label = || Some(symbol::describe(body).into());
            let work = move |held: Held<'_>, value: &mut Value| call.run(held, value);
            let added = raw::add(&mut members.batch, &cowns, label, Value::pending(), work);
            let result = added.map_err(duplicate_error)?.ok_or_else(executor::refused)?;
            members.results.push(result);
        }
        Ok(())
    })
}

/// How many behaviours were added. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_batch_len(batch: *const boc_batch) -> usize {
    quiet(0, || {
        // SAFETY: as above.
        Ok(unsafe { handle::borrow::<Box<Members>>(batch, "batch") }?.results.len())
    })
}

/// Schedules the behaviours of a batch, and releases it.
///
/// @param results Where to put handles to their outcomes, in the order in which they were added, for the
///   caller to release. NULL if nobody wants them.
/// @param capacity How many handles there is room for: at least `boc_batch_len`, unless `results` is NULL.
/// @return BOC_OK; BOC_INVALID_ARGUMENT, after which the batch is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_batch_schedule(
    batch: *mut boc_batch,
    results: *mut *mut boc_result,
    capacity: usize,
) -> boc_status {
    border(|| {
        // SAFETY: as above; there is room for `capacity` handles.
        unsafe {
            let count = handle::borrow::<Box<Members>>(batch, "batch")?.results.len();
            if !results.is_null() && capacity < count {
                let message = format!("there is room for {capacity} results of {count} behaviours");
                return Err(Error::new(BOC_INVALID_ARGUMENT, message));
            }
            let members = handle::take::<Box<Members>>(batch, "batch")?;
            let Members { batch, results: handles } = *members;
            batch.schedule();
            if !results.is_null() {
                for (index, result) in handles.into_iter().enumerate() {
                    results.add(index).write(handle::give(result));
                }
            }
        }
        Ok(())
    })
}

/// Gives up a batch that was not scheduled: its behaviours are cancelled. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_batch_release(batch: *mut boc_batch) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { release::<Box<Members>>(batch, "batch") })
}
