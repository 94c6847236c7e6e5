//! Behaviours that run in the main interpreter, with its objects.

use boc_core::raw::{Held, Mode};
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

use crate::{
    contents::Contents,
    cown::Cown,
    debug, errand,
    error::Result,
    function,
    kept::Kept,
    noticeboard,
    object::{self, Object},
    orphan,
    reading::Reading,
    threads::{self, NOBODY, this_thread},
};

/// The objects of a behaviour's cowns, each once.
pub(crate) type Cowns = SmallVec<[Kept; 2]>;

/// A function and the cowns it needs.
pub(crate) struct Body {
    pub(crate) function: Kept,
    pub(crate) cowns: Cowns,
    /// The arguments, if they are anything else than the cowns in their order.
    pub(crate) arguments: Option<Box<[Kept]>>,
}

impl Body {
    /// Calls the function. The caller holds the cowns, and the result.
    pub(crate) fn run(self, held: Held<'_>, result: &mut Contents) {
        orphan::end_if_outermost();
        threads::attached(|| {
            noticeboard::forget_seen();
            let thread = this_thread();
            let reading = Reading::begin(held);
            self.written(held).for_each(|(_, cown)| cown.holder().store(thread, Relaxed));
            let mut returned = orphan::end_after_body(self.call());
            if debug::is_on() {
                returned = returned.and_then(|returned| debug::look(&self, held, returned));
            }
            self.written(held).for_each(|(_, cown)| cown.holder().store(NOBODY, Relaxed));
            drop(reading);
            result.finish(returned);
            drop(self);
            noticeboard::forget_seen();
        });
    }

    /// As [`Self::run`], where the values of cowns that are not pinned go to other interpreters.
    pub(crate) fn run_among_copies(self, held: Held<'_>, result: &mut Contents) {
        errand::run_among_copies(self, held, result, |body, held, user| {
            *user = function::user(&body.function.object());
            // Those of extensions, which have their holder in the object.
            let natives = || body.written(held).filter(|(_, cown)| cown.as_native().is_some());
            natives().for_each(|(_, cown)| cown.holder().store(this_thread(), Relaxed));
            let returned = body.call();
            natives().for_each(|(_, cown)| cown.holder().store(NOBODY, Relaxed));
            returned
        });
    }

    /// The cowns that it does not only read.
    pub(crate) fn written(&self, held: Held<'_>) -> impl Iterator<Item = (&Kept, &Cown)> {
        let written = self.cowns.iter().zip(held.iter());
        let written = written.filter(|(_, access)| access.mode == Mode::Write);
        // SAFETY: they are objects of the class, which `self` keeps alive.
        written.map(|(object, _)| (object, unsafe { crate::class::value(object.as_ptr()) }))
    }

    fn call(&self) -> Result<Object> {
        let arguments: &[Kept] = self.arguments.as_deref().unwrap_or(&self.cowns);
        // SAFETY: a `Kept` is a transparent pointer to a Python object, so this is an array of such pointers;
        // objects and array outlive the call.
        unsafe {
            object::vectorcall(self.function.as_ptr(), arguments.as_ptr().cast(), arguments.len())
        }
    }
}
