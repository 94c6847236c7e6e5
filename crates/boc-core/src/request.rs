//! What can stand in the first argument of `when`.

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::{
    cown::{Body, Cown},
    handle::Handle,
    outcome::Outcome,
    raw::CownPtr,
    slot::Slot,
};

/// The cowns that a behaviour needs, as the first argument of [`when`](crate::Runtime::when), and
/// what its closure gets for them.
///
/// | request | the closure gets |
/// |---|---|
/// | `()` | `()` |
/// | `&Cown<T>` | `&mut T` |
/// | `&Handle<R>` | `&mut Outcome<R>` |
/// | `&[Cown<T>]`, `&Vec<Cown<T>>` | `Vec<&mut T>` |
/// | `[&Cown<T>; N]`, `&[Cown<T>; N]` | `[&mut T; N]` |
/// | a tuple of up to twelve requests | a tuple of what each gives |
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::Cown;
///
/// let total = Cown::new(0);
/// let parts: Vec<Cown<u32>> = (1..=4).map(Cown::new).collect();
/// runtime.when((&total, &parts), |(total, parts)| {
///     for part in parts {
///         *total += *part;
///     }
/// });
/// assert_eq!(runtime.when(&total, |total| *total).wait().unwrap(), 10);
/// ```
///
/// This trait is sealed.
pub trait Request: sealed::Parts {}

impl<Q: sealed::Parts> Request for Q {}

/// Walks over the slots of a running behaviour, in the order of its request.
pub struct Cursor<'a> {
    slots: core::slice::Iter<'a, Slot>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(slots: &'a [Slot]) -> Self {
        Self { slots: slots.iter() }
    }

    /// The value of the next cown.
    ///
    /// # Safety
    ///
    /// The next slot is for a cown with a `T`, which the running behaviour holds for `'a`, and no
    /// other slot of it is for the same cown.
    unsafe fn next<T>(&mut self) -> &'a mut T {
        let slot = self.slots.next().expect("a request holds as many cowns as it counts");
        // SAFETY: the cown's header is the first field of its body. The behaviour holds the cown,
        // so nobody else reaches the value.
        unsafe { &mut *(*slot.cown.cast::<Body<T>>().as_ptr()).value.get() }
    }
}

pub(crate) mod sealed {
    use super::{CownPtr, Cursor};

    /// The parts of a [`Request`](super::Request).
    pub trait Parts {
        /// What the closure gets.
        type Held<'a>;
        /// What must be remembered to find the cowns again: lengths, where the type does not say.
        type Shape: Copy + Send + 'static;

        fn shape(&self) -> Self::Shape;

        fn count(&self) -> usize;

        /// Calls `f` with each cown; all are alive as long as `self` is.
        fn each(&self, f: &mut impl FnMut(CownPtr));

        /// # Safety
        ///
        /// The cursor is at the slots of a request of this shape and type, which a running
        /// behaviour holds for `'a`, no cown twice.
        unsafe fn held<'a>(shape: Self::Shape, cursor: &mut Cursor<'a>) -> Self::Held<'a>;
    }
}
use sealed::Parts;

impl<T: Send + 'static> Parts for &Cown<T> {
    type Held<'a> = &'a mut T;
    type Shape = PhantomData<fn(T)>;

    fn shape(&self) -> Self::Shape {
        PhantomData
    }

    fn count(&self) -> usize {
        1
    }

    fn each(&self, f: &mut impl FnMut(CownPtr)) {
        f((*self).into());
    }

    unsafe fn held<'a>(_: Self::Shape, cursor: &mut Cursor<'a>) -> &'a mut T {
        // SAFETY: passed on to the caller.
        unsafe { cursor.next() }
    }
}

impl<R: Send + 'static> Parts for &Handle<R> {
    type Held<'a> = &'a mut Outcome<R>;
    type Shape = PhantomData<fn(R)>;

    fn shape(&self) -> Self::Shape {
        PhantomData
    }

    fn count(&self) -> usize {
        1
    }

    fn each(&self, f: &mut impl FnMut(CownPtr)) {
        f(self.cown().into());
    }

    unsafe fn held<'a>(_: Self::Shape, cursor: &mut Cursor<'a>) -> &'a mut Outcome<R> {
        // SAFETY: passed on to the caller.
        unsafe { cursor.next() }
    }
}

impl<T: Send + 'static> Parts for &[Cown<T>] {
    type Held<'a> = Vec<&'a mut T>;
    type Shape = usize;

    fn shape(&self) -> usize {
        self.len()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn each(&self, f: &mut impl FnMut(CownPtr)) {
        self.iter().for_each(|cown| f(cown.into()));
    }

    unsafe fn held<'a>(length: usize, cursor: &mut Cursor<'a>) -> Vec<&'a mut T> {
        // SAFETY: passed on to the caller.
        (0..length).map(|_| unsafe { cursor.next() }).collect()
    }
}

impl<T: Send + 'static> Parts for &Vec<Cown<T>> {
    type Held<'a> = Vec<&'a mut T>;
    type Shape = usize;

    fn shape(&self) -> usize {
        self.len()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn each(&self, f: &mut impl FnMut(CownPtr)) {
        self.as_slice().each(f);
    }

    unsafe fn held<'a>(length: usize, cursor: &mut Cursor<'a>) -> Vec<&'a mut T> {
        // SAFETY: passed on to the caller.
        unsafe { <&[Cown<T>]>::held(length, cursor) }
    }
}

impl<T: Send + 'static, const N: usize> Parts for [&Cown<T>; N] {
    type Held<'a> = [&'a mut T; N];
    type Shape = PhantomData<fn(T)>;

    fn shape(&self) -> Self::Shape {
        PhantomData
    }

    fn count(&self) -> usize {
        N
    }

    fn each(&self, f: &mut impl FnMut(CownPtr)) {
        self.iter().for_each(|cown| f((*cown).into()));
    }

    unsafe fn held<'a>(_: Self::Shape, cursor: &mut Cursor<'a>) -> [&'a mut T; N] {
        // SAFETY: passed on to the caller.
        core::array::from_fn(|_| unsafe { cursor.next() })
    }
}

impl<T: Send + 'static, const N: usize> Parts for &[Cown<T>; N] {
    type Held<'a> = [&'a mut T; N];
    type Shape = PhantomData<fn(T)>;

    fn shape(&self) -> Self::Shape {
        PhantomData
    }

    fn count(&self) -> usize {
        N
    }

    fn each(&self, f: &mut impl FnMut(CownPtr)) {
        self.as_slice().each(f);
    }

    unsafe fn held<'a>(_: Self::Shape, cursor: &mut Cursor<'a>) -> [&'a mut T; N] {
        // SAFETY: passed on to the caller.
        core::array::from_fn(|_| unsafe { cursor.next() })
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: Parts),*> Parts for ($($name,)*) {
            type Held<'a> = ($($name::Held<'a>,)*);
            type Shape = ($($name::Shape,)*);

            #[allow(clippy::unused_unit, reason = "the empty tuple has no parts")]
            fn shape(&self) -> Self::Shape {
                ($(self.$index.shape(),)*)
            }

            fn count(&self) -> usize {
                0 $(+ self.$index.count())*
            }

            #[allow(unused_variables, reason = "the empty tuple has nothing to call it with")]
            fn each(&self, f: &mut impl FnMut(CownPtr)) {
                $(self.$index.each(f);)*
            }

            #[allow(
                unused_variables,
                clippy::unused_unit,
                reason = "the empty tuple has no parts"
            )]
            unsafe fn held<'a>(shape: Self::Shape, cursor: &mut Cursor<'a>) -> Self::Held<'a> {
                // SAFETY: each part advances the cursor by its own slots, in the order of `each`;
                // a tuple expression is evaluated from left to right.
                ($(unsafe { $name::held(shape.$index, cursor) },)*)
            }
        }
    };
}

tuple!();
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
