//! Behaviours that run in the main interpreter, with its objects.

use boc_core::raw::Held;
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

use crate::{
    contents::Contents,
    cown::Cown,
    errand,
    error::Result,
    function,
    kept::Kept,
    noticeboard,
    object::{self, Object},
    orphan,
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
    pub(crate) fn run(self, _: Held<'_>, result: &mut Contents) {
        orphan::end_if_outermost();
        threads::attached(|| {
            noticeboard::forget_seen();
            let thread = this_thread();
            self.cowns().for_each(|cown| cown.holder().store(thread, Relaxed));
            let returned = orphan::end_after_body(self.call());
            self.cowns().for_each(|cown| cown.holder().store(NOBODY, Relaxed));
            result.finish(returned);
            drop(self);
            noticeboard::forget_seen();
        });
    }

    /// As [`Self::run`], where the values of cowns that are not pinned go to other interpreters.
    pub(crate) fn run_among_copies(self, held: Held<'_>, result: &mut Contents) {
        errand::run_among_copies(self, held, result, |body, _, user| {
            *user = function::user(&body.function.object());
            // Those of extensions, which have their holder in the object.
            let natives = || body.cowns().filter(|cown| cown.as_native().is_some());
            natives().for_each(|cown| cown.holder().store(this_thread(), Relaxed));
            let returned = body.call();
            natives().for_each(|cown| cown.holder().store(NOBODY, Relaxed));
            returned
        });
    }

    fn cowns(&self) -> impl Iterator<Item = &Cown> {
        // SAFETY: they are objects of the class, which `self` keeps alive.
        self.cowns.iter().map(|cown| unsafe { crate::class::value(cown.as_ptr()) })
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
