//! Behaviours that run in any interpreter: what they are made of belongs to none.

use boc_core::raw::{Access, Held, Mode};
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

use crate::{
    contents::Contents,
    cown,
    error::{Raised, Result},
    function::{self, Function},
    noticeboard,
    object::{self, Object},
    orphan,
    parcel::Parcel,
    reading::Reading,
    threads::{self, NOBODY, this_thread},
    worker,
};

/// An argument of a behaviour.
pub(crate) enum Argument {
    /// The cown at this place of the request.
    Cown(usize),
    /// A list of such.
    Cowns(Box<[usize]>),
    /// What was captured.
    Value(Parcel),
}

/// A function and its arguments.
pub(crate) struct Errand {
    pub(crate) function: Function,
    /// If they are anything else than the cowns in their order.
    pub(crate) arguments: Option<Box<[Argument]>>,
}

impl Errand {
    /// Calls the function. The caller holds the cowns, and the result.
    pub(crate) fn run(self, held: Held<'_>, result: &mut Contents) {
        run_among_copies(self, held, result, Self::call);
    }

    /// Notes whose code is called; see [`Resident::check`](crate::resident::Resident::check).
    fn call(&self, held: Held<'_>, user: &mut Option<Object>) -> Result<Object> {
        // First what can fail, so that nobody has seen the cowns then.
        let function = self.function.build()?;
        if held.iter().next().is_some() {
            *user = function::user(&function);
        }
        let cowns: SmallVec<[Object; 4]> = held.iter().map(object_of).collect::<Result<_>>()?;
        let Some(arguments) = &self.arguments else { return call(&function, &cowns) };
        let arguments = arguments.iter().map(|argument| match argument {
            Argument::Cown(place) => Ok(cowns[*place].clone()),
            Argument::Cowns(places) => {
                Object::list(places.iter().map(|place| Ok(cowns[*place].clone())))
            }
            Argument::Value(parcel) => parcel.open(),
        });
        let arguments: SmallVec<[Object; 4]> = arguments.collect::<Result<_>>()?;
        call(&function, &arguments)
    }
}

/// Has `call` call a body over cowns whose values are packed for those who come next, and tell whose code it is. The
/// caller holds the cowns, and the result.
pub(crate) fn run_among_copies<W>(
    work: W,
    held: Held<'_>,
    result: &mut Contents,
    call: impl FnOnce(&W, Held<'_>, &mut Option<Object>) -> Result<Object>,
) {
    orphan::end_if_outermost();
    worker::before_behaviour();
    threads::attached(|| {
        noticeboard::forget_seen();
        let thread = this_thread();
        let reading = Reading::begin(held);
        written(held).for_each(|contents| {
            // SAFETY: the behaviour holds the cown.
            unsafe { (*contents).holder.store(thread, Relaxed) };
        });
        let mut user = None;
        // Taken, since an exception must not be set while other code runs.
        let mut returned =
            orphan::end_after_body(call(&work, held, &mut user)).map_err(Raised::take);
        worker::after_behaviour();
        drop(reading);
        written(held).for_each(|contents| {
            // SAFETY: as above; the token is this thread's until now.
            let settled = unsafe {
                let settled = if (*contents).is_pinned {
                    Ok(())
                } else {
                    cown::settle(&raw mut (*contents).held, user.as_ref())
                };
                (*contents).holder.store(NOBODY, Relaxed);
                settled
            };
            match settled {
                Err(raised) if returned.is_ok() => returned = Err(raised.take()),
                Err(raised) => raised.clear(),
                Ok(()) => {}
            }
        });
        result.finish_packed(returned.map_err(Raised::restore));
        drop(work);
        noticeboard::forget_seen();
    });
}

/// The contents of those cowns that Python has made, and that it does not only read.
fn written(held: Held<'_>) -> impl Iterator<Item = *mut Contents> {
    let written = held.iter().filter(|access| access.mode == Mode::Write);
    // SAFETY: the behaviour keeps its cowns alive, and the type is looked at first.
    written.filter_map(|Access { cown, .. }| unsafe {
        cown.holds::<Contents>().then(|| cown.value::<Contents>())
    })
}

fn object_of(access: Access) -> Result<Object> {
    // SAFETY: the behaviour keeps its cowns alive.
    cown::object(unsafe { access.cown.to_owned() })
}

fn call(function: &Object, arguments: &[Object]) -> Result<Object> {
    // SAFETY: an `Object` is a transparent pointer to a Python object, so this is an array of such pointers.
    worker::body(|| unsafe {
        object::vectorcall(function.as_ptr(), arguments.as_ptr().cast(), arguments.len())
    })
}
