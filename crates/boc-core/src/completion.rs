//! Telling those who wait for the end of a behaviour.
//!
//! A stack of callbacks in one word: `null → node → … → DONE`. [`Completion::complete`] exchanges it
//! for DONE, after which nothing is added any more, and calls what it found.

use alloc::boxed::Box;
use core::ptr;

use crate::{
    outcome::swallow,
    sync::atomic::{
        AtomicPtr,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// The end of a behaviour, and who wants to know of it.
pub(crate) struct Completion {
    head: AtomicPtr<Node>,
}

struct Node {
    next: *mut Node,
    callback: Box<dyn FnOnce() + Send>,
}

/// The behaviour has ended. No node lives at this address.
const DONE: *mut Node = ptr::without_provenance_mut(1);

impl Completion {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Whether the behaviour has ended. If so, what it wrote is visible to the caller.
    pub(crate) fn is_done(&self) -> bool {
        // Acquire: pairs with `complete`.
        self.head.load(Acquire) == DONE
    }

    /// Whether somebody wants to know of the end, as far as the caller knows.
    pub(crate) fn is_awaited(&self) -> bool {
        // Relaxed: what is asked for happened before the call.
        !self.head.load(Relaxed).is_null()
    }

    /// Calls `callback` when the behaviour has ended: at once if it has, else on the thread that
    /// ends it. Callbacks are called in the order in which they were subscribed.
    pub(crate) fn subscribe(&self, callback: Box<dyn FnOnce() + Send>) {
        let node = Box::into_raw(Box::new(Node { next: ptr::null_mut(), callback }));
        // Acquire: if it is DONE, see what the behaviour wrote.
        let mut head = self.head.load(Acquire);
        loop {
            if head == DONE {
                // SAFETY: the node was not published.
                let node = unsafe { Box::from_raw(node) };
                return (node.callback)();
            }
            // SAFETY: the node is not published yet.
            unsafe { (*node).next = head };
            // Release: pairs with the Acquire in `complete`, which reads the node.
            match self.head.compare_exchange_weak(head, node, Release, Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Marks the end and calls all callbacks. Called once.
    pub(crate) fn complete(&self) {
        // Release: what the behaviour wrote is visible to who sees DONE.
        // Acquire: for the nodes.
        call_in_order(self.head.swap(DONE, AcqRel));
    }
}

fn call_in_order(mut newest: *mut Node) {
    let mut oldest = ptr::null_mut();
    while !newest.is_null() {
        // SAFETY: nodes that were taken off the stack belong to the caller.
        unsafe {
            let next = (*newest).next;
            (*newest).next = oldest;
            oldest = newest;
            newest = next;
        }
    }
    while !oldest.is_null() {
        // SAFETY: as above; each node is turned back into its box once.
        let node = unsafe { Box::from_raw(oldest) };
        oldest = node.next;
        // Nobody is there to hear of a callback's panic, and the others must be called.
        swallow(node.callback);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let mut node = self.head.load(Relaxed);
        while !node.is_null() && node != DONE {
            // SAFETY: dropped exclusively, so the nodes are ours.
            let owned = unsafe { Box::from_raw(node) };
            node = owned.next;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn callbacks_are_called_once_in_order_and_late_ones_at_once() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let completion = Completion::new();
        let subscribe = |n: i32| {
            let seen = Arc::clone(&seen);
            completion.subscribe(Box::new(move || seen.lock().unwrap().push(n)));
        };
        subscribe(1);
        subscribe(2);
        assert!(!completion.is_done());
        completion.complete();
        assert!(completion.is_done());
        subscribe(3);
        assert_eq!(*seen.lock().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_completion_that_never_comes_drops_its_callbacks() {
        let token = Arc::new(());
        let completion = Completion::new();
        let held = Arc::clone(&token);
        completion.subscribe(Box::new(move || drop(held)));
        drop(completion);
        assert_eq!(Arc::strong_count(&token), 1);
    }
}
