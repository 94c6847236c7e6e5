//! What can stand in the first argument of `when`.

use alloc::vec::Vec;
use core::{
    fmt,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use crate::{
    cown::{Body, Cown},
    handle::Handle,
    outcome::Outcome,
    raw::CownPtr,
    slot::{Mode, Slot},
};

/// The cowns that a behaviour needs, as the first argument of [`when`](crate::Runtime::when), and
/// what its closure gets for them.
///
/// | request | the closure gets |
/// |---|---|
/// | `()` | `()` |
/// | `&Cown<T>` | `&mut T` |
/// | `&Handle<R>` | `&mut Outcome<R>` |
/// | `&[C]`, `&Vec<C>` of either | `Vec<&mut _>` |
/// | `[&C; N]`, `&[C; N]` of either | `[&mut _; N]` |
/// | [`read`]`(request)`, of one of these | the same with `&` for `&mut` |
/// | [`acquire`]`(&cown)` | [`Acquired`]: the value, and the cown |
/// | `Vec<`[`Access`]`>`, `&[Access]` | `Vec<`[`Accessed`]`>` |
/// | a tuple of up to twelve requests | a tuple of what each gives |
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::{Cown, read};
///
/// let total = Cown::new(0);
/// let parts: Vec<Cown<u32>> = (1..=4).map(Cown::new).collect();
/// runtime.when((&total, read(&parts)), |(total, parts)| {
///     for part in parts {
///         *total += *part;
///     }
/// });
/// assert_eq!(runtime.when(&total, |total| *total).wait().unwrap(), 10);
/// ```
///
/// A cown may be named twice in one request if it is only read; see
/// [`DuplicateCown`](crate::DuplicateCown).
///
/// This trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a request of cowns",
    note = "name each cown by reference, `&cown`, `read(&cown)` or `acquire(&cown)`, and several in a tuple or slice"
)]
pub trait Request: sealed::Parts {}

impl<Q: sealed::Parts> Request for Q {}

/// Cowns that a behaviour only reads: it holds them together with others that read them.
///
/// Behaviours that read a cown run in parallel, between the one that wrote it before and the one that
/// will write it next. One that waits to write is not passed by others that come later to read.
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::{Cown, read};
///
/// let words = Cown::new(vec!["cown", "behaviour"]);
/// let longest = Cown::new(0);
/// runtime.when((read(&words), &longest), |(words, longest)| {
///     *longest = words.iter().map(|word| word.len()).max().unwrap_or(0);
/// });
/// let count = runtime.when(read(&words), |words| words.len());
/// assert_eq!(count.wait().unwrap(), 2);
/// ```
///
/// The value is shared between threads, so it has to be `Sync`:
///
/// ```compile_fail,E0277
/// # use boc_core::{Cown, read};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let cell = Cown::new(std::cell::Cell::new(1));
/// runtime.when(read(&cell), |cell| cell.get());
/// ```
///
/// and it cannot be changed:
///
/// ```compile_fail,E0594
/// # use boc_core::{Cown, read};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let number = Cown::new(1);
/// runtime.when(read(&number), |number| *number += 1);
/// ```
///
/// nor looked at any longer than the behaviour runs:
///
/// ```compile_fail,E0521
/// # use boc_core::{Cown, read};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let number = Cown::new(1);
/// let (sender, receiver) = std::sync::mpsc::channel::<&'static i32>();
/// runtime.when(read(&number), move |number| sender.send(number).unwrap());
/// ```
pub fn read<Q>(request: Q) -> Read<Q>
where
    Read<Q>: Request,
{
    Read(request)
}

/// A request for cowns that are only read, made by [`read`].
#[derive(Clone, Copy, Debug)]
pub struct Read<Q>(Q);

/// A cown that its behaviour wants to name again: it gets the value together with the cown.
///
/// So a behaviour can schedule over its own cowns, without handles of its own:
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::{Acquired, Cown, acquire, when_detached};
///
/// fn count_down(mut number: Acquired<'_, u32>) {
///     if *number > 0 {
///         *number -= 1;
///         // Others that wait for the cown get their turn in between.
///         when_detached(acquire(number.cown()), count_down);
///     }
/// }
///
/// let number = Cown::new(3);
/// runtime.when_detached(acquire(&number), count_down);
/// runtime.quiesce(None).unwrap();
/// assert_eq!(runtime.when(&number, |n| *n).wait().unwrap(), 0);
/// ```
pub fn acquire<T: Send + 'static>(cown: &Cown<T>) -> Acquire<'_, T> {
    Acquire(cown)
}

/// A request for one cown, made by [`acquire`].
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'c, T>(&'c Cown<T>);

/// The value of a cown, and the cown; see [`acquire`].
///
/// It belongs to the behaviour, and so does the cown that it lends:
///
/// ```compile_fail,E0521
/// # use boc_core::{Acquired, Cown, acquire};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let number = Cown::new(1);
/// let (sender, receiver) = std::sync::mpsc::channel::<Acquired<'static, i32>>();
/// runtime.when(acquire(&number), move |number| sender.send(number).unwrap());
/// ```
///
/// ```compile_fail,E0597
/// # use boc_core::{Cown, acquire};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let number = Cown::new(1);
/// let (sender, receiver) = std::sync::mpsc::channel::<&'static Cown<i32>>();
/// runtime.when(acquire(&number), move |number| sender.send(number.cown()).unwrap());
/// ```
///
/// A clone of the cown can go anywhere.
pub struct Acquired<'a, T> {
    value: &'a mut T,
    /// Not counted as a reference: the cown outlives the behaviour that holds it.
    cown: ManuallyDrop<Cown<T>>,
}

impl<T> Acquired<'_, T> {
    /// The cown whose value this is.
    pub fn cown(&self) -> &Cown<T> {
        &self.cown
    }
}

impl<T> Deref for Acquired<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> DerefMut for Acquired<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Acquired<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acquired").field(&self.value).finish()
    }
}

/// One cown of a request that is put together when the program runs, to be written or to be read.
///
/// ```
/// # let runtime = boc_core::Runtime::new();
/// use boc_core::{Access, Accessed, Cown};
///
/// let cells: Vec<Cown<u64>> = (0..10).map(Cown::new).collect();
/// let target = 3;
/// let request: Vec<_> = cells
///     .iter()
///     .enumerate()
///     .map(|(i, cell)| if i == target { Access::Write(cell) } else { Access::Read(cell) })
///     .collect();
/// runtime.when(request, move |mut cells| {
///     let sum = cells.iter().map(|cell| **cell).sum();
///     *cells[target].as_mut().unwrap() = sum;
/// });
/// assert_eq!(runtime.when(&cells[target], |cell| *cell).wait().unwrap(), 45);
/// ```
///
/// As any of the cowns may be read, the values have to be `Sync`:
///
/// ```compile_fail,E0277
/// # use boc_core::{Access, Cown};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let cell = Cown::new(std::cell::Cell::new(1));
/// runtime.when(vec![Access::Write(&cell)], |_| ());
/// ```
#[derive(Debug)]
pub enum Access<'c, C> {
    /// To be changed.
    Write(&'c C),
    /// To be read.
    Read(&'c C),
}

/// What a behaviour gets for an [`Access`].
///
/// To write takes a look at what was asked for, which [`Accessed::as_mut`] does:
///
/// ```compile_fail,E0594
/// # use boc_core::{Access, Cown};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let number = Cown::new(1);
/// runtime.when(vec![Access::Read(&number)], |mut numbers| *numbers[0] += 1);
/// ```
///
/// It belongs to the behaviour:
///
/// ```compile_fail,E0521
/// # use boc_core::{Access, Accessed, Cown};
/// # let runtime = boc_core::Runtime::with_workers(1);
/// let number = Cown::new(1);
/// let (sender, receiver) = std::sync::mpsc::channel::<Vec<Accessed<'static, i32>>>();
/// runtime.when(vec![Access::Read(&number)], move |numbers| sender.send(numbers).unwrap());
/// ```
#[derive(Debug)]
pub enum Accessed<'a, T> {
    /// The value, to be changed.
    Write(&'a mut T),
    /// The value, to be read.
    Read(&'a T),
}

impl<T> Accessed<'_, T> {
    /// The value to be changed, if that was asked for.
    pub fn as_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Write(value) => Some(value),
            Self::Read(_) => None,
        }
    }
}

impl<T> Deref for Accessed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Write(value) => value,
            Self::Read(value) => value,
        }
    }
}

/// Walks over the slots of a running behaviour, in the order of its request.
pub struct Cursor<'a> {
    slots: core::slice::Iter<'a, Slot>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(slots: &'a [Slot]) -> Self {
        Self { slots: slots.iter() }
    }

    /// The next cown.
    ///
    /// # Safety
    ///
    /// It has a value of type `T`.
    unsafe fn next_body<T>(&self) -> NonNull<Body<T>> {
        self.slots.as_slice().first().map_or(NonNull::dangling(), |slot| slot.cown().cast())
    }

    /// What was asked for with the next cown.
    fn next_mode(&self) -> Mode {
        self.slots.as_slice().first().map_or(Mode::Read, Slot::mode)
    }

    /// The value of the next cown.
    ///
    /// # Safety
    ///
    /// The next slot is for a cown with a `T`, which the running behaviour holds for `'a`.
    unsafe fn next_ptr<T>(&mut self) -> *mut T {
        let slot = self.slots.next().expect("a request holds as many cowns as it counts");
        // SAFETY: the cown's header is the first field of its body.
        unsafe { Cown::value_in(slot.cown().cast()) }
    }

    /// The value of the next cown, to be changed.
    ///
    /// # Safety
    ///
    /// As for `next_ptr`; the behaviour holds the cown to write, and no other slot of it is for the
    /// same cown.
    unsafe fn next<T>(&mut self) -> &'a mut T {
        // SAFETY: passed on to the caller. Nobody else reaches the value.
        unsafe { &mut *self.next_ptr() }
    }

    /// The value of the next cown, to be read.
    ///
    /// # Safety
    ///
    /// As for `next_ptr`.
    unsafe fn next_shared<T: Sync>(&mut self) -> &'a T {
        // SAFETY: passed on to the caller. Others can only read the value.
        unsafe { &*self.next_ptr() }
    }
}

pub(crate) mod sealed {
    use super::{CownPtr, Cursor, Mode};

    /// The parts of a [`Request`](super::Request).
    pub trait Parts {
        /// What the closure gets.
        type Held<'a>;
        /// What must be remembered to find the cowns again: lengths, where the type does not say.
        type Shape: Copy + Send + 'static;

        fn shape(&self) -> Self::Shape;

        fn count(&self) -> usize;

        /// Calls `f` with each cown; all are alive as long as `self` is.
        fn each(&self, f: &mut impl FnMut(CownPtr, Mode));

        /// # Safety
        ///
        /// The cursor is at the slots of a request of this shape and type, which a running
        /// behaviour holds for `'a`, no cown twice but to read.
        unsafe fn held<'a>(shape: Self::Shape, cursor: &mut Cursor<'a>) -> Self::Held<'a>;
    }

    /// What stands for one cown.
    pub trait One {
        type Value: Send + 'static;

        fn cown(&self) -> CownPtr;
    }

    /// A list of cowns in a request, and what is made of the references to their values.
    pub trait List: Sized {
        type One: One;
        type Shape: Copy + Send + 'static;
        type Of<V>;

        fn shape(&self) -> Self::Shape;

        fn all(&self) -> impl Iterator<Item = &Self::One>;

        fn collect<V>(shape: Self::Shape, next: impl FnMut() -> V) -> Self::Of<V>;
    }
}
use sealed::{List, One, Parts};

impl<T: Send + 'static> One for Cown<T> {
    type Value = T;

    fn cown(&self) -> CownPtr {
        self.into()
    }
}

impl<R: Send + 'static> One for Handle<R> {
    type Value = Outcome<R>;

    fn cown(&self) -> CownPtr {
        Handle::cown(self).into()
    }
}

impl<C: One> List for &C {
    type One = C;
    type Shape = ();
    type Of<V> = V;

    fn shape(&self) {}

    fn all(&self) -> impl Iterator<Item = &C> {
        core::iter::once(*self)
    }

    fn collect<V>((): (), mut next: impl FnMut() -> V) -> V {
        next()
    }
}

impl<C: One> List for &[C] {
    type One = C;
    type Shape = usize;
    type Of<V> = Vec<V>;

    fn shape(&self) -> usize {
        self.len()
    }

    fn all(&self) -> impl Iterator<Item = &C> {
        self.iter()
    }

    fn collect<V>(length: usize, next: impl FnMut() -> V) -> Vec<V> {
        core::iter::repeat_with(next).take(length).collect()
    }
}

impl<C: One> List for &Vec<C> {
    type One = C;
    type Shape = usize;
    type Of<V> = Vec<V>;

    fn shape(&self) -> usize {
        self.len()
    }

    fn all(&self) -> impl Iterator<Item = &C> {
        self.iter()
    }

    fn collect<V>(length: usize, next: impl FnMut() -> V) -> Vec<V> {
        <&[C]>::collect(length, next)
    }
}

impl<C: One, const N: usize> List for &[C; N] {
    type One = C;
    type Shape = ();
    type Of<V> = [V; N];

    fn shape(&self) {}

    fn all(&self) -> impl Iterator<Item = &C> {
        self.iter()
    }

    fn collect<V>((): (), mut next: impl FnMut() -> V) -> [V; N] {
        core::array::from_fn(|_| next())
    }
}

impl<C: One, const N: usize> List for [&C; N] {
    type One = C;
    type Shape = ();
    type Of<V> = [V; N];

    fn shape(&self) {}

    fn all(&self) -> impl Iterator<Item = &C> {
        self.iter().copied()
    }

    fn collect<V>((): (), mut next: impl FnMut() -> V) -> [V; N] {
        core::array::from_fn(|_| next())
    }
}

impl<L: List> Parts for L {
    type Held<'a> = L::Of<&'a mut <L::One as One>::Value>;
    type Shape = L::Shape;

    fn shape(&self) -> L::Shape {
        List::shape(self)
    }

    fn count(&self) -> usize {
        self.all().count()
    }

    fn each(&self, f: &mut impl FnMut(CownPtr, Mode)) {
        self.all().for_each(|one| f(one.cown(), Mode::Write));
    }

    unsafe fn held<'a>(shape: L::Shape, cursor: &mut Cursor<'a>) -> Self::Held<'a> {
        // SAFETY: passed on to the caller.
        L::collect(shape, || unsafe { cursor.next() })
    }
}

impl<L: List> Parts for Read<L>
where
    <L::One as One>::Value: Sync,
{
    type Held<'a> = L::Of<&'a <L::One as One>::Value>;
    type Shape = L::Shape;

    fn shape(&self) -> L::Shape {
        self.0.shape()
    }

    fn count(&self) -> usize {
        self.0.all().count()
    }

    fn each(&self, f: &mut impl FnMut(CownPtr, Mode)) {
        self.0.all().for_each(|one| f(one.cown(), Mode::Read));
    }

    unsafe fn held<'a>(shape: L::Shape, cursor: &mut Cursor<'a>) -> Self::Held<'a> {
        // SAFETY: passed on to the caller.
        L::collect(shape, || unsafe { cursor.next_shared() })
    }
}

impl<T: Send + 'static> Parts for Acquire<'_, T> {
    type Held<'a> = Acquired<'a, T>;
    type Shape = ();

    fn shape(&self) {}

    fn count(&self) -> usize {
        1
    }

    fn each(&self, f: &mut impl FnMut(CownPtr, Mode)) {
        f(self.0.into(), Mode::Write);
    }

    unsafe fn held<'a>((): (), cursor: &mut Cursor<'a>) -> Acquired<'a, T> {
        // SAFETY: passed on to the caller. The handle is not dropped, and is lent no longer than the
        // behaviour holds the cown.
        unsafe {
            let cown = ManuallyDrop::new(Cown::from_body(cursor.next_body()));
            Acquired { value: cursor.next(), cown }
        }
    }
}

impl<C: One> Parts for &[Access<'_, C>]
where
    C::Value: Sync,
{
    type Held<'a> = Vec<Accessed<'a, C::Value>>;
    type Shape = usize;

    fn shape(&self) -> usize {
        self.len()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn each(&self, f: &mut impl FnMut(CownPtr, Mode)) {
        self.iter().for_each(|access| match access {
            Access::Write(one) => f(one.cown(), Mode::Write),
            Access::Read(one) => f(one.cown(), Mode::Read),
        });
    }

    unsafe fn held<'a>(length: usize, cursor: &mut Cursor<'a>) -> Self::Held<'a> {
        // SAFETY: passed on to the caller; the slot remembers what was asked for.
        let next = || unsafe {
            match cursor.next_mode() {
                Mode::Write => Accessed::Write(cursor.next()),
                Mode::Read => Accessed::Read(cursor.next_shared()),
            }
        };
        core::iter::repeat_with(next).take(length).collect()
    }
}

impl<C: One> Parts for Vec<Access<'_, C>>
where
    C::Value: Sync,
{
    type Held<'a> = Vec<Accessed<'a, C::Value>>;
    type Shape = usize;

    fn shape(&self) -> usize {
        self.len()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn each(&self, f: &mut impl FnMut(CownPtr, Mode)) {
        self.as_slice().each(f);
    }

    unsafe fn held<'a>(length: usize, cursor: &mut Cursor<'a>) -> Self::Held<'a> {
        // SAFETY: passed on to the caller.
        unsafe { <&[Access<'_, C>]>::held(length, cursor) }
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
            fn each(&self, f: &mut impl FnMut(CownPtr, Mode)) {
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
