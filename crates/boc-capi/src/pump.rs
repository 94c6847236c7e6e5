//! Pumps: behaviours that run where somebody else's loop wants them to.

use boc_core::Pump;
use std::{ffi::c_void, ptr, sync::Arc};

use crate::{
    border::{Out, border, quiet},
    executor::{Lent, boc_executor},
    foreign,
    handle::{self, Kind, Known},
    owned::{Owned, boc_destroy_fn},
    result::{boc_notify_fn, refuse_inside},
    status::{
        Error,
        boc_status::{self, BOC_INVALID_ARGUMENT},
    },
};

/// An executor whose behaviours run when it is pumped: on a main thread, in an event loop. Scheduling on
/// it works from any thread.
pub struct boc_pump {
    _private: [u8; 0],
}

/// What a `boc_pump` refers to.
pub(crate) struct Lanes {
    // Before the pump, which keeps them.
    executors: Vec<Lent>,
    pump: Pump,
}

impl Known for Lanes {
    type Opaque = boc_pump;
    const KIND: Kind = Kind::Pump;
}

/// Makes a pump.
///
/// @param lanes How many priorities there are, at least 1: behaviours that are ready in lane 0 run before
///   those in lane 1, and so on. On one cown the order of scheduling holds, whatever the lanes.
/// @param wake Called whenever a behaviour has become ready, on the thread that made it so, possibly on
///   several threads at once. It must not block, nor pump; to write to a pipe or an eventfd is what it is
///   for. May be NULL.
/// @param env What `wake` gets. It has to live until `destroy_env`.
/// @param destroy_env Called once with `env` when nothing can call `wake` any more; or before this call
///   returns, if it does not succeed. May be NULL.
/// @param pump For the caller to release.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_pump_new(
    lanes: usize,
    wake: boc_notify_fn,
    env: *mut c_void,
    destroy_env: boc_destroy_fn,
    pump: *mut *mut boc_pump,
) -> boc_status {
    border(|| {
        let env = Arc::new(Owned::new(env, destroy_env));
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let out = unsafe { Out::new(pump, "pump") }?;
        if lanes == 0 || lanes > 1 << 16 {
            let message = format!("a pump has 1 to 65536 lanes, not {lanes}");
            return Err(Error::new(BOC_INVALID_ARGUMENT, message));
        }
        let pump = match wake {
            None => Pump::with_lanes(lanes),
            Some(wake) => Pump::waking(lanes, move || {
                let data = env.data();
                // SAFETY: it gets what it was handed over with.
                foreign::tell("a function that wakes a loop", || unsafe { wake(data) });
            }),
        };
        // SAFETY: the pump keeps them.
        let executors = (0..lanes).map(|lane| unsafe { Lent::new(pump.lane(lane)) }).collect();
        out.put(handle::give(Arc::new(Lanes { pump, executors })));
        Ok(())
    })
}

/// The executor of a lane, to schedule on. Lent as long as the pump exists. NULL if there is none: as
/// executor that means another one, so look at it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_pump_executor(
    pump: *const boc_pump,
    lane: usize,
) -> *const boc_executor {
    quiet(ptr::null(), || {
        // SAFETY: as above.
        let lanes = unsafe { handle::borrow::<Arc<Lanes>>(pump, "pump") }?;
        match lanes.executors.get(lane) {
            Some(executor) => Ok(executor.handle()),
            None => Err(Error::new(BOC_INVALID_ARGUMENT, format!("there is no lane {lane}"))),
        }
    })
}

/// Runs behaviours that are ready, on the calling thread, with those that become ready meanwhile. Not
/// inside of a behaviour. One thread should pump at a time.
///
/// @param limit How many to run at the most.
/// @param count How many ran. May be NULL.
/// @return BOC_OK, also if none was ready; BOC_INSIDE_BEHAVIOUR; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_pump_run(
    pump: *const boc_pump,
    limit: usize,
    count: *mut usize,
) -> boc_status {
    border(|| {
        // A reference of its own, since a behaviour can release the pump.
        // SAFETY: as above.
        let (lanes, out) = unsafe {
            (Arc::clone(&*handle::borrow::<Arc<Lanes>>(pump, "pump")?), Out::optional(count))
        };
        refuse_inside("pumping", "let the loop do it when the behaviour has returned")?;
        let ran = (0..limit).take_while(|_| lanes.pump.run_one()).count();
        out.into_iter().for_each(|out| out.put(ran));
        Ok(())
    })
}

/// Ends a pump: it takes no more behaviours, and what has not run is cancelled. Can be called by a
/// behaviour that it runs. A thread that makes a behaviour ready just now may still call `wake` after
/// this, but not after `destroy_env`. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_pump_release(pump: *mut boc_pump) -> boc_status {
    border(|| {
        if !pump.is_null() {
            // SAFETY: as above.
            unsafe { handle::take::<Arc<Lanes>>(pump, "pump") }?.pump.close();
        }
        Ok(())
    })
}
