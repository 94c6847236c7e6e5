//! With thread-locals: every thread knows how deep it is, and sees to what it has put off itself.

use core::{cell::Cell, ptr, ptr::NonNull};

use super::{before, link};
use crate::{cown::Header, outcome::swallow, sync};

/// So many ends may be nested. Values lie in between, so each can take some hundred bytes of stack.
const NESTED: u32 = 64;

sync::local! {
    /// How many ends are nested right now.
    static DEPTH: Cell<u32> = Cell::new(0);
    /// The cown that was put off last.
    static PUT_OFF: Cell<*mut Header> = Cell::new(ptr::null_mut());
}

/// Destroys a cown, now or a little later on this thread.
///
/// # Safety
///
/// No reference to it is left; the caller does not use it afterwards.
pub(crate) unsafe fn destroy(cown: NonNull<Header>) {
    match DEPTH.try_with(Cell::get) {
        Ok(depth) if depth < NESTED => {
            DEPTH.with(|cell| cell.set(depth + 1));
            // Does the rest also if the value's destructor panics.
            let _level = Level(depth);
            // SAFETY: passed on to the caller.
            unsafe { Header::destroy_now(cown) };
        }
        // SAFETY: passed on to the caller.
        Ok(_) => PUT_OFF.with(|last| unsafe { link(cown, last.replace(cown.as_ptr())) }),
        // The thread is being torn down, and has nothing to remember it by.
        // SAFETY: passed on to the caller.
        Err(_) => unsafe { Header::destroy_now(cown) },
    }
}

/// One of the nested ends; the outermost one sees to those that were put off.
struct Level(u32);

impl Drop for Level {
    fn drop(&mut self) {
        if self.0 == 0 {
            while let Some(next) = NonNull::new(PUT_OFF.with(Cell::get)) {
                // SAFETY: it was put off by `destroy`, which was given it to destroy.
                unsafe {
                    PUT_OFF.with(|last| last.set(before(next)));
                    swallow(|| Header::destroy_now(next));
                }
            }
        }
        DEPTH.with(|cell| cell.set(self.0));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{Cown, Runtime};
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    struct Node {
        _next: Option<Cown<Node>>,
        ended: Arc<AtomicUsize>,
    }

    impl Drop for Node {
        fn drop(&mut self) {
            assert!(self.ended.fetch_add(1, Relaxed) != 10, "a destructor that panics on the way");
        }
    }

    const LENGTH: usize = 300_000;

    fn chain(ended: &Arc<AtomicUsize>) -> Cown<Node> {
        let mut head = None;
        for _ in 0..LENGTH {
            head = Some(Cown::new(Node { _next: head.take(), ended: Arc::clone(ended) }));
        }
        head.expect("the chain is not empty")
    }

    #[test]
    fn a_long_chain_of_cowns_ends_without_a_deep_stack() {
        let ended = Arc::new(AtomicUsize::new(0));
        let chain = chain(&ended);
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(chain)));
        assert!(dropped.is_err());
        assert_eq!(ended.load(Relaxed), LENGTH);
        // The thread can do it again.
        ended.store(100, Relaxed);
        drop(self::chain(&ended));
        assert_eq!(ended.load(Relaxed), LENGTH + 100);
    }

    #[test]
    fn also_on_a_worker() {
        let ended = Arc::new(AtomicUsize::new(100));
        let runtime = Runtime::with_workers(1);
        let chain = chain(&ended);
        runtime.when((), move |()| drop(chain)).wait().unwrap();
        assert_eq!(ended.load(Relaxed), LENGTH + 100);
    }
}
