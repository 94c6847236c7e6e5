//! How a behaviour can end, and keeping panics inside of it.

use alloc::{boxed::Box, string::String};
use core::{any::Any, fmt, mem};

/// The payload of a panic in a behaviour.
///
/// The behaviour's cowns go on to those behind it with the values that the panic left in them: there is no
/// poisoning.
///
/// In two boxes, so that an outcome that is no panic does not need room for two pointers.
pub struct Panic(Box<Box<dyn Any + Send>>);

// SAFETY: by a shared reference nothing is reached but a message, which is `Sync`.
unsafe impl Sync for Panic {}

impl Panic {
    /// The payload, as `std::panic::catch_unwind` gives it.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        *self.0
    }

    /// The message, if the panic was raised with one (by `panic!`, `unwrap`, an assertion, …).
    pub fn message(&self) -> Option<&str> {
        match self.0.downcast_ref::<&'static str>() {
            Some(message) => Some(message),
            None => self.0.downcast_ref::<String>().map(String::as_str),
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message().unwrap_or("…")).finish()
    }
}

/// Why a behaviour gave no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Its closure panicked.
    Panicked(Panic),
    /// It never ran: it was cancelled, its runtime was shut down, or its executor dropped it.
    Cancelled,
    /// Its value was taken before, by another behaviour scheduled over its result.
    Taken,
    /// It comes from a [`Promise`](crate::Promise), which was dropped unfulfilled.
    Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Panicked(panic) => match panic.message() {
                Some(message) => write!(f, "the behaviour panicked: {message}"),
                None => f.write_str("the behaviour panicked"),
            },
            Failure::Cancelled => f.write_str(
                "the behaviour was cancelled before it started: by its handle, or because its \
                 runtime was shut down",
            ),
            Failure::Taken => f.write_str("the value of the behaviour was taken before"),
            Failure::Broken => f.write_str("the promise was dropped before it was fulfilled"),
        }
    }
}

impl core::error::Error for Failure {}

/// What a behaviour over the result of another one sees: the value, or why there is none.
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// let answer = runtime.when((), |()| 42);
/// let doubled = runtime.when(&answer, |answer| answer.take().map(|n| n * 2));
/// assert_eq!(doubled.wait().unwrap().unwrap(), 84);
/// ```
#[derive(Debug)]
pub struct Outcome<R>(Stage<R>);

#[derive(Debug)]
enum Stage<R> {
    /// The behaviour has not ended. Nobody else sees this, since it holds its result until then.
    Pending,
    Value(R),
    Panicked(Panic),
    Cancelled,
    Taken,
    Broken,
}

impl<R> Outcome<R> {
    pub(crate) fn pending() -> Self {
        Self(Stage::Pending)
    }

    pub(crate) fn set(&mut self, value: R) {
        self.0 = Stage::Value(value);
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&R> {
        match &self.0 {
            Stage::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if there is one, to be changed in place.
    pub fn value_mut(&mut self) -> Option<&mut R> {
        match &mut self.0 {
            Stage::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Takes the value out.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of a behaviour that gave no value. A panic's payload is taken out with it;
    /// what comes later finds [`Failure::Taken`].
    pub fn take(&mut self) -> Result<R, Failure> {
        match mem::replace(&mut self.0, Stage::Taken) {
            Stage::Value(value) => Ok(value),
            Stage::Panicked(panic) => Err(Failure::Panicked(panic)),
            Stage::Cancelled => {
                self.0 = Stage::Cancelled;
                Err(Failure::Cancelled)
            }
            Stage::Taken => Err(Failure::Taken),
            Stage::Broken => {
                self.0 = Stage::Broken;
                Err(Failure::Broken)
            }
            Stage::Pending => unreachable!("a behaviour holds its result until it has ended"),
        }
    }
}

impl<R> Drop for Outcome<R> {
    fn drop(&mut self) {
        if let Stage::Panicked(panic) = &self.0 {
            report_unobserved(panic);
        }
    }
}

/// What a behaviour leaves its outcome in: the value of the cown that is its result.
pub trait State: Send + 'static {
    /// The closure panicked. Called while the behaviour still holds its cowns and its result.
    fn panicked(&mut self, panic: Panic);

    /// The behaviour was cancelled. Called before its closure is dropped.
    fn cancelled(&mut self);

    /// The [promise](crate::raw::Promise) that the outcome should have come from was dropped.
    fn broken(&mut self) {
        self.cancelled();
    }
}

impl<R: Send + 'static> State for Outcome<R> {
    fn panicked(&mut self, panic: Panic) {
        self.0 = Stage::Panicked(panic);
    }

    fn cancelled(&mut self) {
        self.0 = Stage::Cancelled;
    }

    fn broken(&mut self) {
        self.0 = Stage::Broken;
    }
}

/// For behaviours whose outcome nobody can ask for.
impl State for () {
    fn panicked(&mut self, panic: Panic) {
        report_unobserved(&panic);
    }

    fn cancelled(&mut self) {}
}

/// Calls `f`; a panic comes back as a value.
#[cfg(feature = "std")]
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f))
        .map_err(|payload| Panic(Box::new(payload)))
}

/// Calls `f`. Without `std` a panic cannot be caught, and does not return.
#[cfg(not(feature = "std"))]
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    Ok(f())
}

/// Calls `f` where nobody is there to hear of a panic. Also one of the payload's destructor stays
/// inside.
pub(crate) fn swallow(f: impl FnOnce()) {
    if let Err(panic) = contain(f)
        && let Err(worse) = contain(|| drop(panic))
    {
        mem::forget(worse);
    }
}

#[cfg(feature = "std")]
pub(crate) use hosted::as_behaviour;
#[cfg(feature = "std")]
pub use hosted::set_unobserved_panic_hook;
#[cfg(feature = "std")]
pub(crate) use hosted::{forget_inside, inside, report_unobserved};

#[cfg(not(feature = "std"))]
fn report_unobserved(_: &Panic) {}

/// Runs a behaviour, or what comes at its end.
#[cfg(not(feature = "std"))]
pub(crate) fn as_behaviour<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(feature = "std")]
mod hosted {
    use super::{Panic, swallow};
    use crate::sync;
    use core::cell::Cell;
    use std::{
        io::Write,
        sync::{Arc, PoisonError, RwLock},
    };

    type Hook = Arc<dyn Fn(&Panic) + Send + Sync>;

    static UNOBSERVED: RwLock<Option<Hook>> = RwLock::new(None);

    /// Sets what is called with the panic of a behaviour when the last handle to its outcome goes
    /// and nobody has looked at it. By default a line is written to the standard error.
    ///
    /// The hook is called on the thread that drops the handle, or that runs the behaviour if the
    /// handle was dropped before. A panic of the hook is swallowed.
    pub fn set_unobserved_panic_hook(hook: impl Fn(&Panic) + Send + Sync + 'static) {
        let hook: Hook = Arc::new(hook);
        let old = UNOBSERVED.write().unwrap_or_else(PoisonError::into_inner).replace(hook);
        // Not under the lock, as it may run anything.
        drop(old);
    }

    pub(crate) fn report_unobserved(panic: &Panic) {
        #[cfg(not(loom))]
        if crate::explore::take_unobserved(panic) {
            return;
        }
        // A reference of its own: the hook may set another one.
        let hook = UNOBSERVED.read().unwrap_or_else(PoisonError::into_inner).clone();
        swallow(|| match hook {
            Some(hook) => hook(panic),
            None => {
                let message = panic.message().unwrap_or("(no message)");
                // Unlike `eprintln`, which panics where nothing can be written.
                let _ = writeln!(
                    std::io::stderr(),
                    "boc: a behaviour panicked, and nobody looked at its handle: {message}"
                );
            }
        });
    }

    sync::local! {
        static INSIDE: Cell<bool> = Cell::new(false);
    }

    /// Runs a behaviour, or what comes at its end, so that [`inside`] knows.
    pub(crate) fn as_behaviour<R>(f: impl FnOnce() -> R) -> R {
        struct Restore(bool);
        impl Drop for Restore {
            fn drop(&mut self) {
                let _ = INSIDE.try_with(|inside| inside.set(self.0));
            }
        }
        // While the thread is torn down there is nothing to remember it by.
        let outer = INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(false);
        let _restore = Restore(outer);
        f()
    }

    /// Whether this thread runs a behaviour right now.
    pub(crate) fn inside() -> bool {
        INSIDE.try_with(Cell::get).unwrap_or(false)
    }

    /// Makes this thread forget that it runs a behaviour.
    pub(crate) fn forget_inside() {
        let _ = INSIDE.try_with(|inside| inside.set(false));
    }
}
