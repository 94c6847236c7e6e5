//! Behaviours that became ready together, on their way to an executor.

use core::ptr::NonNull;

use crate::{behaviour::Behaviour, executor::Ready, mpsc::Link};

/// Ready behaviours in a row, linked through themselves. Dropping it cancels those in it.
pub(crate) struct Row {
    /// The first and the last one.
    ends: Option<(NonNull<Link>, NonNull<Link>)>,
}

impl Row {
    pub(crate) const fn new() -> Self {
        Self { ends: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// Appends a behaviour.
    pub(crate) fn push(&mut self, ready: Ready) {
        let link = ready.into_inner().cast::<Link>();
        // SAFETY: the row owns its behaviours, and so their links.
        unsafe {
            link.as_ref().set(None);
            if let Some((_, last)) = self.ends {
                last.as_ref().set(Some(link));
            }
        }
        self.ends = Some((self.ends.map_or(link, |(first, _)| first), link));
    }

    /// Takes the first behaviour out.
    pub(crate) fn pop(&mut self) -> Option<Ready> {
        let (first, last) = self.ends?;
        // SAFETY: the row owns the behaviour, and gives it up.
        unsafe {
            self.ends = first.as_ref().take().map(|next| (next, last));
            Some(Ready::new(first.cast::<Behaviour>()))
        }
    }

    /// The links of the first and the last behaviour. All of them now belong to the caller.
    #[cfg(feature = "std")]
    pub(crate) fn into_ends(mut self) -> Option<(NonNull<Link>, NonNull<Link>)> {
        self.ends.take()
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        while let Some(ready) = self.pop() {
            drop(ready);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Pump, raw};
    use std::sync::{Arc, Mutex};

    #[test]
    fn first_in_first_out_and_the_rest_is_cancelled() {
        let (pump, seen, token) = (Pump::new(), Arc::new(Mutex::new(Vec::new())), Arc::new(()));
        let mut row = Row::new();
        for n in 0..4 {
            let (seen, token) = (Arc::clone(&seen), Arc::clone(&token));
            row.push(raw::ready(pump.executor(), move || {
                drop(token);
                seen.lock().unwrap().push(n);
            }));
        }
        for _ in 0..2 {
            row.pop().unwrap().run();
        }
        assert!(!row.is_empty());
        drop(row);
        assert_eq!(*seen.lock().unwrap(), [0, 1]);
        assert_eq!(Arc::strong_count(&token), 1);
    }
}
