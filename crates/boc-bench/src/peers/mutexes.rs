//! What the peers of boc share between their tasks.
//!
//! Each mutex has its cache lines to itself, so that no peer is slowed down by neighbours that
//! have nothing to do with each other.

use std::{
    ops::Deref,
    ptr,
    sync::{Arc, Mutex},
};

use crossbeam_utils::CachePadded;

/// For tasks that borrow, and for plain loops.
pub(crate) type Shared<T> = CachePadded<Mutex<T>>;

/// For tasks of tokio, which live as long as they like and so count references.
pub(crate) type AsyncShared<T> = Arc<CachePadded<tokio::sync::Mutex<T>>>;

/// Mutexes with the same value in each.
pub(crate) fn shared<T: Copy>(count: usize, value: T) -> Vec<Shared<T>> {
    (0..count).map(|_| CachePadded::new(Mutex::new(value))).collect()
}

/// Mutexes with the same value in each.
pub(crate) fn async_shared<T: Copy>(count: usize, value: T) -> Vec<AsyncShared<T>> {
    (0..count).map(|_| Arc::new(CachePadded::new(tokio::sync::Mutex::new(value)))).collect()
}

/// What is in them, once all tasks have ended.
pub(crate) fn values<T>(mutexes: Vec<Shared<T>>) -> impl Iterator<Item = T> {
    mutexes.into_iter().map(|mutex| mutex.into_inner().into_inner().expect("no task has panicked"))
}

/// What is in them, once all tasks have ended.
pub(crate) fn async_values<T: Copy>(mutexes: &[AsyncShared<T>]) -> impl Iterator<Item = T> {
    mutexes.iter().map(|mutex| *mutex.try_lock().expect("no task is left"))
}

/// The two in the order in which everybody takes them, and whether that is the other way round.
///
/// Without one order for all there would be deadlocks.
pub(crate) fn in_address_order<P: Deref>(a: P, b: P) -> (P, P, bool) {
    if ptr::from_ref(&*a).addr() < ptr::from_ref(&*b).addr() { (a, b, false) } else { (b, a, true) }
}

#[cfg(test)]
mod tests {
    use super::in_address_order;

    #[test]
    fn the_order_does_not_depend_on_the_arguments() {
        let values = [1, 2];
        assert_eq!(in_address_order(&values[0], &values[1]), (&1, &2, false));
        assert_eq!(in_address_order(&values[1], &values[0]), (&1, &2, true));
    }
}
