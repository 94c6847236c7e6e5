//! Whether a behaviour is asked at its end who else can reach what it holds.

use boc_core::raw::Held;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::{
    behaviour::Body,
    error::Result,
    object::{self, Object},
};

static ON: AtomicBool = AtomicBool::new(false);

/// For the behaviours that run from now on.
pub fn set(on: bool) {
    ON.store(on, Relaxed);
}

#[inline]
pub(crate) fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Asks for a behaviour that has returned and still holds its cowns. What that raises is what the behaviour has
/// raised.
#[cold]
pub(crate) fn look(body: &Body, held: Held<'_>, returned: Object) -> Result<Object> {
    // SAFETY: attached to the main interpreter, where the function lives; `body` keeps it alive.
    let function = unsafe { Object::from_borrowed(body.function.as_ptr()) };
    let cowns: Vec<(Object, usize)> = body
        .written(held)
        // What is pinned is for one thread alone.
        .filter(|(_, cown)| cown.is_python() && !cown.is_pinned())
        .map(|(object, cown)| (object.object(), cown.own_references()))
        .collect();
    let objects = Object::list(cowns.iter().map(|(object, _)| Ok(object.clone())))?;
    let counts = Object::list(cowns.iter().map(|(_, count)| Object::int(*count)))?;
    object::call("boc._debug", c"look", [&function, &objects, &counts, &returned])?;
    Ok(returned)
}
