//! Scheduling: entering the queues of all cowns of a behaviour, in two phases.
//!
//! 1. The slots are ordered by the address of their cowns. That order is the same for everybody,
//!    whatever the order of the arguments. Several behaviours can be scheduled as one step; their
//!    slots for the same cown are linked to a chain, in the order of the behaviours.
//! 2. In that order each slot, or chain, enters its cown's queue and links itself behind its
//!    predecessor, if there is one, waiting until that is published. Then all slots are published.
//!
//! Between its first `enqueue` and its `publish` a behaviour is a stretch of time that others
//! cannot pass on any cown they share with it (they spin behind its WAIT), and waiting follows the
//! order of the cowns, so it has no cycle. That gives scheduling atomicity: behaviours that share
//! several cowns stand in the same order in all their queues, hence no deadlock.

use alloc::vec::Vec;
use core::{cmp::Ordering, fmt, ptr::NonNull};

#[cfg(feature = "std")]
use crate::runtime::observe;
use crate::{
    behaviour::{Behaviour, Detached, Part, Pending, Promised, SlotWriter},
    conclusion,
    cown::Header,
    executor::{ExecutorRef, Seat},
    handle::Handle,
    outcome::Outcome,
    raw::ResultCown,
    request::{Cursor, Request},
    slot::{Chain, Mode, Slot},
    sync::atomic::Ordering::{Relaxed, Release},
    work::{Once, Repeated, Step, Work},
};

/// A cown was named twice in one request, and not only to be [read](crate::read).
///
/// A behaviour gets `&mut` to the value of a cown that it does not just read, and while that exists
/// there can be no other reference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateCown;

impl fmt::Display for DuplicateCown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a cown is named twice in one request: name each cown once, or only read it (`read(&cown)`)",
        )
    }
}

impl core::error::Error for DuplicateCown {}

/// What was scheduled, by functions that have no error for a cown that is named twice.
///
/// # Panics
///
/// If a cown was named twice.
#[track_caller]
pub(crate) fn distinct<T>(scheduled: Result<T, DuplicateCown>) -> T {
    match scheduled {
        Ok(scheduled) => scheduled,
        Err(duplicate) => panic!("{duplicate}"),
    }
}

impl ExecutorRef {
    /// Schedules `body` over the cowns of `request`: it runs once, on this executor, when it holds
    /// them all.
    ///
    /// Returns at once. Behaviours that share a cown run in the order in which they were scheduled.
    /// If the executor does not take behaviours any more, the handle says
    /// [`Failure::Cancelled`](crate::Failure::Cancelled).
    ///
    /// `body` runs at some later time, so what it borrows from here may be gone by then:
    ///
    /// ```compile_fail,E0373
    /// # use boc_core::{Cown, Pump};
    /// # let pump = Pump::new();
    /// let mut sum = 0;
    /// pump.executor().when(&Cown::new(1), |number| sum += *number);
    /// ```
    ///
    /// ```compile_fail,E0597
    /// # use boc_core::{Cown, Pump};
    /// # let pump = Pump::new();
    /// let names = vec!["cown", "behaviour"];
    /// let borrowed = &names;
    /// pump.executor().when(&Cown::new(1), move |index| borrowed[*index]);
    /// ```
    ///
    /// It runs on any thread, and so neither what it takes along nor what it gives can be something
    /// that has to stay on its own:
    ///
    /// ```compile_fail,E0277
    /// # let pump = boc_core::Pump::new();
    /// let shared = std::rc::Rc::new(1);
    /// pump.executor().when((), move |()| *shared);
    /// ```
    ///
    /// ```compile_fail,E0277
    /// # let pump = boc_core::Pump::new();
    /// pump.executor().when((), |()| std::rc::Rc::new(1));
    /// ```
    ///
    /// # Panics
    ///
    /// If a cown is named twice; see [`ExecutorRef::try_when`].
    #[track_caller]
    pub fn when<Q, F, R>(&self, request: Q, body: F) -> Handle<R>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        distinct(self.try_when(request, body))
    }

    /// [`ExecutorRef::when`] for requests whose cowns are not known to be distinct.
    ///
    /// # Errors
    ///
    /// [`DuplicateCown`] if a cown is named twice. Nothing was scheduled, and `body` was dropped.
    #[track_caller]
    pub fn try_when<Q, F, R>(&self, request: Q, body: F) -> Result<Handle<R>, DuplicateCown>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.wait_for_room();
        let (prepared, result) = prepare_request(self, &request, body, Entry::Now);
        // SAFETY: the request refers to its cowns.
        unsafe { prepared.schedule()? };
        Ok(Handle::new(result))
    }

    /// [`ExecutorRef::when`] without a handle: nobody can wait for the behaviour, cancel it or ask for
    /// its outcome. It takes less time and memory.
    ///
    /// A panic of `body` goes to the hook that
    /// [`set_unobserved_panic_hook`](crate::set_unobserved_panic_hook) has set.
    ///
    /// # Panics
    ///
    /// If a cown is named twice, and not only to be read.
    #[track_caller]
    pub fn when_detached<Q, F>(&self, request: Q, body: F)
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) + Send + 'static,
    {
        let shape = request.shape();
        let work = move |slots: &[Slot], (): &mut ()| {
            // SAFETY: the slots are those of the behaviour over this request.
            body(unsafe { held::<Q>(shape, slots) });
        };
        self.wait_for_room();
        let prepared = prepare_over::<Detached, _, _>(self, &request, (), Once(work), Entry::Now);
        // SAFETY: the request refers to its cowns.
        distinct(unsafe { prepared.schedule() });
    }

    /// Schedules `body` over the cowns of `request`, again and again until it says that it is done.
    ///
    /// Each run is like a behaviour of its own: in between, the cowns go to those that wait for them.
    /// It takes one allocation for all of them, and one handle.
    ///
    /// ```
    /// # let runtime = boc_core::Runtime::new();
    /// use boc_core::{Cown, Step};
    ///
    /// let jobs = Cown::new(vec![1, 2, 3]);
    /// let mut sum = 0;
    /// let total = runtime.executor().when_repeated(&jobs, move |jobs| match jobs.pop() {
    ///     Some(job) => {
    ///         sum += job;
    ///         Step::Again
    ///     }
    ///     None => Step::Done(sum),
    /// });
    /// assert_eq!(total.wait().unwrap(), 6);
    /// ```
    ///
    /// Cancelling works between two runs as well as before the first one.
    ///
    /// # Panics
    ///
    /// If a cown is named twice, and not only to be read.
    #[track_caller]
    pub fn when_repeated<Q, F, R>(&self, request: Q, mut body: F) -> Handle<R>
    where
        Q: Request,
        F: for<'a> FnMut(Q::Held<'a>) -> Step<R> + Send + 'static,
        R: Send + 'static,
    {
        let shape = request.shape();
        let work = move |slots: &[Slot], outcome: &mut Outcome<R>| {
            // SAFETY: the slots are those of the behaviour over this request.
            match body(unsafe { held::<Q>(shape, slots) }) {
                Step::Again => true,
                Step::Done(value) => {
                    outcome.set(value);
                    false
                }
            }
        };
        self.wait_for_room();
        let state = Outcome::pending();
        let work = Repeated(work);
        let prepared = prepare_over::<Promised<_>, _, _>(self, &request, state, work, Entry::Now);
        // SAFETY: the result is the behaviour's own; the request refers to its cowns.
        unsafe {
            let result = ResultCown::of(prepared.behaviour);
            distinct(prepared.schedule());
            Handle::new(result)
        }
    }
}

/// Schedules a behaviour that has run, once more.
///
/// # Safety
///
/// It is the caller's, all its slots were reset, and its cowns are alive during the call.
pub(crate) unsafe fn reschedule(behaviour: NonNull<Behaviour>) {
    // SAFETY: passed on to the caller; it is as new.
    unsafe {
        let slots = Behaviour::slots(behaviour);
        // Release: pairs with `cancel`, which may take the closure from now on.
        behaviour.as_ref().pending.store(slots.len() as u32 + 1, Release);
        let scheduled = in_order(slots, |ordered| enter(behaviour, ordered));
        debug_assert!(scheduled.is_ok(), "it was in order the first time");
    }
}

/// What a binding to another language calls a behaviour, for who looks from outside.
pub type Label = alloc::sync::Arc<str>;

/// A behaviour that has entered no queue yet.
pub(crate) struct Prepared {
    pub(crate) behaviour: NonNull<Behaviour>,
    /// If its executor took it; else it is over.
    slots: Option<NonNull<[Slot]>>,
}

/// When a behaviour that is made now is to enter its queues.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "std"), allow(dead_code))]
pub(crate) enum Entry {
    /// At once.
    Now,
    /// When the batch is scheduled.
    WithBatch,
}

/// Makes a behaviour that calls `body` with what `request` gives.
#[track_caller]
pub(crate) fn prepare_request<Q, F, R>(
    executor: &ExecutorRef,
    request: &Q,
    body: F,
    entry: Entry,
) -> (Prepared, ResultCown<Outcome<R>>)
where
    Q: Request,
    F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
    R: Send + 'static,
{
    let shape = request.shape();
    let work = move |slots: &[Slot], outcome: &mut Outcome<R>| {
        // SAFETY: the slots are those of the behaviour over this request.
        outcome.set(body(unsafe { held::<Q>(shape, slots) }));
    };
    let prepared =
        prepare_over::<Promised<_>, _, _>(executor, request, Outcome::pending(), Once(work), entry);
    // SAFETY: the result is the behaviour's own.
    let result = unsafe { ResultCown::of(prepared.behaviour) };
    (prepared, result)
}

/// Makes a behaviour over the cowns of `request`; see [`prepare`].
#[track_caller]
fn prepare_over<P: Part, Q: Request, F: Work<P::State>>(
    executor: &ExecutorRef,
    request: &Q,
    state: P::State,
    work: F,
    entry: Entry,
) -> Prepared {
    let fill = |slots: &mut SlotWriter| {
        request.each(&mut |cown, mode| slots.push(cown.0, mode));
    };
    prepare::<P, F>(executor, request.count(), fill, state, work, entry)
}

/// What the closure of a running behaviour gets.
///
/// # Safety
///
/// The slots are those of a behaviour over a request of this type and shape, which is running.
unsafe fn held<Q: Request>(shape: Q::Shape, slots: &[Slot]) -> Q::Held<'_> {
    // SAFETY: the slots are in the order of the request; the behaviour holds their cowns while it
    // runs, and none twice but to read, or it would not have been scheduled.
    unsafe { Q::held(shape, &mut Cursor::new(slots)) }
}

/// Makes a behaviour over `count` cowns, which `fill` names. A reference to its result, if it has one,
/// is the caller's.
#[track_caller]
pub(crate) fn prepare<P, F>(
    executor: &ExecutorRef,
    count: usize,
    fill: impl FnOnce(&mut SlotWriter),
    state: P::State,
    work: F,
    entry: Entry,
) -> Prepared
where
    P: Part,
    F: Work<P::State>,
{
    if let Some(seat) = begin(executor, count) {
        return seated::<P, F>(executor, seat, count, fill, state, work, entry, || None);
    }
    let behaviour = Behaviour::allocate::<P, F>(Seat::nobody(), state, work, 0, |_| ());
    // SAFETY: it was just allocated, so it is in no queue.
    unsafe { conclusion::give_up(behaviour) };
    Prepared { behaviour, slots: None }
}

/// Counts a behaviour over so many cowns in; `None` if the executor takes no more.
#[track_caller]
#[inline]
pub(crate) fn begin(executor: &ExecutorRef, count: usize) -> Option<Seat> {
    // Before the executor counts the behaviour in.
    assert!(count <= Behaviour::MAX_SLOTS, "too many cowns in one request");
    executor.begin()
}

/// [`prepare`] for a behaviour that was counted in by [`begin`], with what a binding calls it.
#[track_caller]
#[inline]
#[cfg_attr(not(feature = "std"), allow(unused_variables))]
#[allow(clippy::too_many_arguments, reason = "each is a part of a behaviour")]
pub(crate) fn seated<P, F>(
    executor: &ExecutorRef,
    seat: Seat,
    count: usize,
    fill: impl FnOnce(&mut SlotWriter),
    state: P::State,
    work: F,
    entry: Entry,
    label: impl FnOnce() -> Option<Label>,
) -> Prepared
where
    P: Part,
    F: Work<P::State>,
{
    let behaviour = Behaviour::allocate::<P, F>(seat, state, work, count, fill);
    // SAFETY: it was just allocated.
    let slots = Some(unsafe { Behaviour::slots(behaviour) });
    // All that it costs those who are not observed is the first comparison.
    #[cfg(feature = "std")]
    if !seat.is_that_of(executor) && seat.watched().is_some() {
        // SAFETY: it was just allocated, with this seat, and is in no queue.
        unsafe { observe::made(behaviour, core::panic::Location::caller(), label(), entry) };
    }
    Prepared { behaviour, slots }
}

impl Prepared {
    /// Schedules the behaviour.
    ///
    /// # Errors
    ///
    /// If a cown is named twice, and not only to be read; the behaviour is over then.
    ///
    /// # Safety
    ///
    /// Its cowns are alive.
    #[inline(always)]
    pub(crate) unsafe fn schedule(self) -> Result<(), DuplicateCown> {
        let Some(slots) = self.slots else { return Ok(()) };
        let (behaviour, first) = (self.behaviour, slots.cast::<Slot>());
        // SAFETY: nobody else has the slots, which stay in place until the behaviour has ended. It
        // cannot do so before they are published.
        unsafe {
            match slots.len() {
                0 => {
                    // Relaxed: nobody else knows the behaviour yet.
                    behaviour.as_ref().pending.store(0, Relaxed);
                    conclusion::start_here(behaviour, Pending::Nothing);
                }
                1 => acquire_one(behaviour, first),
                2 => return acquire_two(behaviour, first, first.add(1)),
                _ => return acquire_several(behaviour, slots),
            }
        }
        Ok(())
    }

    /// Whether its executor took the behaviour; else it is over.
    pub(crate) fn was_accepted(&self) -> bool {
        self.slots.is_some()
    }

    /// Merges the slots for the same cown, for a behaviour that is scheduled later.
    ///
    /// # Errors
    ///
    /// As for [`Prepared::schedule`].
    ///
    /// # Safety
    ///
    /// The behaviour has entered no queue.
    pub(crate) unsafe fn merge(&self) -> Result<(), DuplicateCown> {
        // SAFETY: passed on to the caller.
        self.slots.map_or(Ok(()), |slots| unsafe { acquire(self.behaviour, slots, |_| ()) })
    }
}

/// Calls `enter` with the slots of a behaviour, ordered by their cowns and each cown once.
///
/// # Errors
///
/// As for [`in_order`]; the behaviour is over then.
///
/// # Safety
///
/// The behaviour is new, and these are its slots.
unsafe fn acquire(
    behaviour: NonNull<Behaviour>,
    slots: NonNull<[Slot]>,
    enter: impl FnOnce(&[NonNull<Slot>]),
) -> Result<(), DuplicateCown> {
    // SAFETY: the behaviour is alive and nobody else has its slots.
    unsafe {
        let ordered = in_order(slots, enter);
        if ordered.is_err() {
            conclusion::give_up(behaviour);
        }
        ordered
    }
}

/// Calls `f` with the slots ordered by their cowns, where those that read the same cown are merged,
/// or finds a cown that is there twice in another way.
///
/// # Safety
///
/// The slots are alive, at least until `f` is called; they are in no queue, and the caller's.
unsafe fn in_order(
    slots: NonNull<[Slot]>,
    f: impl FnOnce(&[NonNull<Slot>]),
) -> Result<(), DuplicateCown> {
    /// Requests up to this size are ordered on the stack.
    const SMALL: usize = 8;
    // SAFETY: `index` is below the number of slots in all calls.
    let slot = |index: usize| unsafe { slots.cast::<Slot>().add(index) };
    match slots.len() {
        0 => f(&[]),
        1 => f(&[slot(0)]),
        // SAFETY: the slots are alive.
        2 => match unsafe { cown(&slot(0)).cmp(&cown(&slot(1))) } {
            Ordering::Less => f(&[slot(0), slot(1)]),
            Ordering::Greater => f(&[slot(1), slot(0)]),
            Ordering::Equal => {
                // SAFETY: passed on to the caller.
                unsafe { merge(slot(0), slot(1))? };
                f(&[slot(0)]);
            }
        },
        count => {
            let (mut small, mut large) = ([slot(0); SMALL], Vec::new());
            let ordered = if count <= SMALL {
                (0..count).for_each(|index| small[index] = slot(index));
                &mut small[..count]
            } else {
                large.extend((0..count).map(slot));
                &mut large[..]
            };
            // SAFETY: the slots are alive, and passed on to the caller.
            let count = unsafe {
                ordered.sort_unstable_by_key(|slot| cown(slot));
                merge_neighbours(ordered)?
            };
            f(&ordered[..count]);
        }
    }
    Ok(())
}

/// # Safety
///
/// The slot is alive.
unsafe fn cown(slot: &NonNull<Slot>) -> NonNull<Header> {
    // SAFETY: passed on to the caller.
    unsafe { slot.as_ref() }.cown()
}

/// Merges slots for the same cown, which stand next to each other, and moves those that remain to
/// the front. Returns how many these are.
///
/// # Safety
///
/// As for [`in_order`]; there is at least one slot.
unsafe fn merge_neighbours(ordered: &mut [NonNull<Slot>]) -> Result<usize, DuplicateCown> {
    let mut kept = 0;
    for index in 1..ordered.len() {
        // SAFETY: passed on to the caller.
        unsafe {
            if cown(&ordered[kept]) == cown(&ordered[index]) {
                merge(ordered[kept], ordered[index])?;
            } else {
                kept += 1;
                ordered[kept] = ordered[index];
            }
        }
    }
    Ok(kept + 1)
}

/// Two slots for the same cown: if both read, one place in the queue serves both.
///
/// # Safety
///
/// As for [`in_order`].
unsafe fn merge(kept: NonNull<Slot>, merged: NonNull<Slot>) -> Result<(), DuplicateCown> {
    // SAFETY: passed on to the caller.
    unsafe {
        if kept.as_ref().mode() == Mode::Write || merged.as_ref().mode() == Mode::Write {
            return Err(DuplicateCown);
        }
        merged.as_ref().merge();
    }
    Ok(())
}

/// Enters the queue of a cown, and starts the behaviour if nobody was in its way.
///
/// # Safety
///
/// The behaviour is new, and this is its only slot. The cown is alive.
#[inline(never)]
unsafe fn acquire_one(behaviour: NonNull<Behaviour>, slot: NonNull<Slot>) {
    // SAFETY: passed on to the caller. The slot enters its queue once.
    unsafe {
        if slot.as_ref().mode() == Mode::Read {
            return enter(behaviour, &[slot]);
        }
        // Without the extra one: this slot is published before it can be resolved.
        // Relaxed, both: nobody else knows the behaviour yet.
        let pending = &behaviour.as_ref().pending;
        pending.store(1, Relaxed);
        if Slot::enter_alone(slot) {
            pending.store(0, Relaxed);
            conclusion::start(behaviour, Pending::Nothing);
        }
    }
}

/// Enters the queues of any cowns, and starts the behaviour if nothing was in its way.
///
/// # Errors
///
/// If a cown is named twice, and not only to be read; the behaviour is over then.
///
/// # Safety
///
/// The behaviour is new, and these are its slots. The cowns are alive.
#[inline(never)]
unsafe fn acquire_several(
    behaviour: NonNull<Behaviour>,
    slots: NonNull<[Slot]>,
) -> Result<(), DuplicateCown> {
    // SAFETY: passed on to the caller.
    unsafe { acquire(behaviour, slots, |ordered| enter(behaviour, ordered)) }
}

/// Enters the queues of two cowns, and starts the behaviour if nothing was in its way.
///
/// # Errors
///
/// If they are the same cown, and not only to be read; the behaviour is over then.
///
/// # Safety
///
/// The behaviour is new, and these are its only slots. The cowns are alive.
#[inline(never)]
unsafe fn acquire_two(
    behaviour: NonNull<Behaviour>,
    a: NonNull<Slot>,
    b: NonNull<Slot>,
) -> Result<(), DuplicateCown> {
    // SAFETY: passed on to the caller.
    unsafe {
        let (first, second) = match cown(&a).cmp(&cown(&b)) {
            Ordering::Less => (a, b),
            Ordering::Greater => (b, a),
            // An error, or one that reads it.
            Ordering::Equal => return acquire_several(behaviour, Behaviour::slots(behaviour)),
        };
        enter(behaviour, &[first, second]);
    }
    Ok(())
}

/// Enters the queues, and starts the behaviour if nothing was in its way.
///
/// # Safety
///
/// The behaviour's slots were reset, or it is new; `ordered` are its slots, in the order of their
/// cowns, each cown once. The cowns are alive.
// A copy for each number of cowns that is known where it is called.
#[inline(always)]
unsafe fn enter(behaviour: NonNull<Behaviour>, ordered: &[NonNull<Slot>]) {
    // SAFETY: passed on to the caller. Each slot enters its queue once.
    unsafe {
        // The extra one, which keeps the behaviour from starting before all its slots are published,
        // and those that were merged.
        let merged = Behaviour::slots(behaviour).len() - ordered.len();
        let mut obtained = 1 + merged as u32;
        for slot in ordered {
            obtained += u32::from(Slot::enqueue(*slot));
        }
        ordered.iter().for_each(|slot| slot.as_ref().publish());
        // `obtained` cowns belong to the behaviour. If that is all, it is ours.
        match Behaviour::resolve(behaviour, obtained) {
            Pending::Others => (),
            pending => conclusion::start(behaviour, pending),
        }
    }
}

/// [`enter`] for several behaviours as one step: no other behaviour comes between two of them in
/// the queue of a cown that they share.
///
/// # Safety
///
/// The behaviours are new, each one's slots were ordered by [`in_order`], and the cowns are alive.
pub(crate) unsafe fn acquire_all(behaviours: &[NonNull<Behaviour>]) {
    // SAFETY: the behaviours are new, and have not started before the last loop, so their slots are
    // alive; each slot enters its queue once. At the end each behaviour is resolved once.
    unsafe {
        let slots = |behaviour: &NonNull<Behaviour>| {
            let slots = Behaviour::slots(*behaviour);
            (0..slots.len()).map(move |index| slots.cast::<Slot>().add(index))
        };
        let is_merged = |slot: &NonNull<Slot>| slot.as_ref().is_merged();
        let mut ordered: Vec<_> =
            behaviours.iter().flat_map(slots).filter(|slot| !is_merged(slot)).collect();
        // Stable: the order of the behaviours is kept within the chain of each cown.
        ordered.sort_by_key(|slot| cown(slot));
        let mut lasts = Vec::new();
        for row in ordered.chunk_by(|a, b| cown(a) == cown(b)) {
            let mut chain = Chain::new(row[0]);
            row[1..].iter().for_each(|slot| chain.append(*slot));
            chain.enqueue(|slot| {
                let pending = Behaviour::resolve(slot.as_ref().behaviour(), 1);
                debug_assert_eq!(pending, Pending::Others, "the extra one is still missing");
            });
            lasts.push(chain.last());
        }
        lasts.iter().for_each(|slot| slot.as_ref().publish());
        conclusion::start_all(behaviours.iter().map(|behaviour| {
            let merged = slots(behaviour).filter(is_merged).count() as u32;
            (*behaviour, Behaviour::resolve(*behaviour, 1 + merged))
        }));
    }
}
