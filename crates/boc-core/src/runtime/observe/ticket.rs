//! What an observed runtime knows each behaviour by.
//!
//! The *ticket* is the behaviour's seat, and goes with it. The *tag* is what others may look at, also
//! when the behaviour is gone: it refers to nothing.

use alloc::{boxed::Box, vec::Vec};
use core::{cell::Cell, fmt, panic::Location, ptr::NonNull};

use super::{
    super::{
        shared::Shared,
        worker::{self, Context},
    },
    BehaviourId, BehaviourState, CownId, Mode, NamedCown, Observer,
    observer::{Listing, Whence},
};
use crate::{
    behaviour::Behaviour,
    conclusion,
    executor::{Head, Seat, VTable, Watched},
    schedule::{Entry, Label},
    slot::Slot,
    sync::{
        self, Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
};

/// Where a behaviour comes from, for texts.
pub(super) struct Origin<'a> {
    pub(super) location: &'static Location<'static>,
    pub(super) label: Option<&'a str>,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label {
            Some(label) => f.write_str(label),
            None => write!(f, "{}", self.location),
        }
    }
}

/// A behaviour, for who looks from outside.
pub(super) struct Tag {
    pub(super) id: BehaviourId,
    /// Where it was scheduled.
    pub(super) location: &'static Location<'static>,
    /// What a binding calls it.
    pub(super) label: Option<Label>,
    pub(super) cowns: Box<[NamedCown]>,
    /// The cown of its outcome.
    pub(super) result: Option<CownId>,
    /// Whether another executor runs it.
    pub(super) elsewhere: bool,
    // These are written under the lock of one lane by who has the behaviour. They are read by him, under
    // the locks of all lanes, or under that of the worker which is inside of it. So nothing has to be
    // ordered by them.
    state: AtomicU8,
    since: AtomicU64,
    order: AtomicU64,
}

impl Tag {
    /// Where it comes from, in words.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { location: self.location, label: self.label.as_deref() }
    }

    pub(super) fn state(&self) -> BehaviourState {
        BehaviourState::ALL[usize::from(self.state.load(Relaxed))]
    }

    /// When it came to be in this state.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }

    /// In a queue, it comes behind all with a lower number.
    pub(super) fn order(&self) -> u64 {
        self.order.load(Relaxed)
    }

    pub(super) fn set(&self, state: BehaviourState, now: u64) {
        self.state.store(state as u8, Relaxed);
        self.since.store(now, Relaxed);
    }

    pub(super) fn set_order(&self, order: u64) {
        self.order.store(order, Relaxed);
    }
}

/// A behaviour's tie to its runtime, between `begin` and `end`.
#[repr(C)]
pub(in crate::runtime) struct Ticket {
    head: Head,
    /// Alive until the behaviour is counted out.
    shared: NonNull<Shared>,
    /// There as soon as the behaviour has named its cowns.
    tag: Option<(Arc<Tag>, Listing)>,
}

impl Ticket {
    /// A ticket for a behaviour that was just counted in.
    pub(in crate::runtime) fn issue(shared: NonNull<Shared>) -> NonNull<Head> {
        let ticket = Box::new(Ticket { head: Head::new(&TICKET), shared, tag: None });
        NonNull::from(Box::leak(ticket)).cast()
    }

    /// # Safety
    ///
    /// `ticket` is that of a behaviour whose closure this thread is about to call.
    pub(in crate::runtime) unsafe fn started(ticket: NonNull<Head>, here: Whence) {
        // SAFETY: the behaviour has not ended.
        let ticket = unsafe { ticket.cast::<Ticket>().as_ref() };
        ticket.tag().inspect(|tag| ticket.observer().started(here, tag));
    }

    /// # Safety
    ///
    /// As for [`Ticket::started`], and the closure has just returned.
    pub(in crate::runtime) unsafe fn returned(ticket: NonNull<Head>, here: Whence, again: bool) {
        // SAFETY: as above.
        let ticket = unsafe { ticket.cast::<Ticket>().as_ref() };
        ticket.tag().inspect(|tag| ticket.observer().returned(here, tag, again));
    }

    fn tag(&self) -> Option<&Arc<Tag>> {
        self.tag.as_ref().map(|(tag, _)| tag)
    }

    fn shared(&self) -> &Shared {
        // SAFETY: the behaviour, which has not been counted out, keeps it alive.
        unsafe { self.shared.as_ref() }
    }

    fn observer(&self) -> &Observer {
        self.shared().observer.as_ref().expect("a runtime with tickets is observed")
    }

    /// Where the calling thread is.
    fn here(&self) -> Whence {
        // While the thread is torn down it runs nothing.
        let elsewhere = ELSEWHERE.try_with(Cell::get).unwrap_or(core::ptr::null());
        if core::ptr::eq(elsewhere, self.shared.as_ptr()) {
            return Whence::Elsewhere;
        }
        worker::with_context(self.shared(), |context: Option<&Context>| {
            context.map_or(Whence::Outside, |context| Whence::Worker(context.index()))
        })
    }
}

static TICKET: VTable = VTable {
    end: |head| {
        // SAFETY: `issue` made it, and this is its last use.
        let ticket = unsafe { Box::from_raw(head.cast::<Ticket>().as_ptr()) };
        if let Some((tag, listing)) = &ticket.tag {
            ticket.observer().ended(ticket.here(), tag, *listing);
        }
        let shared = ticket.shared;
        drop(ticket);
        // SAFETY: the behaviour was counted in, and is counted out by this.
        unsafe { Seat::at(shared.cast()).end() };
    },
    execute: |head, ready| {
        // SAFETY: the behaviour in `ready` has not ended. The ticket may be gone when `execute` returns.
        unsafe {
            self::ready(head);
            let shared = head.cast::<Ticket>().as_ref().shared;
            Seat::at(shared.cast()).execute(ready)
        }
    },
    watched: Some(|head| {
        // SAFETY: the behaviour has not ended.
        let shared = unsafe { head.cast::<Ticket>().as_ref() }.shared;
        Some(Watched { ticket: head, lender: Some(Seat::at(shared.cast())) })
    }),
    ..VTable::OF_ONE_BEHAVIOUR
};

sync::local! {
    /// The runtime whose behaviour this thread runs although it is none of its workers. Nothing but compared.
    static ELSEWHERE: Cell<*const Shared> = Cell::new(core::ptr::null());
}

/// A behaviour holds all its cowns, and is about to be handed to its executor.
///
/// # Safety
///
/// `ticket` is that of the behaviour, which the caller owns.
pub(crate) unsafe fn ready(ticket: NonNull<Head>) {
    // SAFETY: the behaviour has not ended.
    let ticket = unsafe { ticket.cast::<Ticket>().as_ref() };
    if let Some(tag) = ticket.tag() {
        ticket.observer().advance(ticket.here(), tag, BehaviourState::Ready);
    }
}

/// Runs a behaviour on a thread that is none of its runtime's workers, and releases what it holds. What it schedules has
/// no executor.
///
/// # Safety
///
/// As for [`Behaviour::invoke`]; `ticket` is that of the behaviour, which is given up.
#[cold]
pub(in crate::runtime) unsafe fn run_elsewhere(
    behaviour: NonNull<Behaviour>,
    ticket: NonNull<Head>,
) {
    /// Says until it is dropped where the thread is.
    struct Here(*const Shared);
    impl Drop for Here {
        fn drop(&mut self) {
            let _ = ELSEWHERE.try_with(|elsewhere| elsewhere.set(self.0));
        }
    }
    // SAFETY: passed on to the caller. The ticket, and the runtime it refers to, are there until the behaviour has
    // ended, which it does not before the closure has returned.
    unsafe {
        let shared = ticket.cast::<Ticket>().as_ref().shared.as_ptr().cast_const();
        let before = ELSEWHERE.try_with(|elsewhere| elsewhere.replace(shared));
        let _here = Here(before.unwrap_or(core::ptr::null()));
        let next = Behaviour::invoke_between(behaviour, || {
            Ticket::started(ticket, Whence::Elsewhere);
            |again| Ticket::returned(ticket, Whence::Elsewhere, again)
        });
        conclusion::go_on(behaviour, next);
    }
}

/// The batch of a behaviour is scheduled now.
///
/// # Safety
///
/// It is in no queue yet.
#[cold]
pub(crate) unsafe fn entering(behaviour: NonNull<Behaviour>) {
    // SAFETY: passed on to the caller. The ticket is that of the behaviour, which has not ended.
    unsafe {
        let Some(watched) = behaviour.as_ref().executor.watched() else { return };
        let ticket = watched.ticket.cast::<Ticket>().as_ref();
        if let Some(tag) = ticket.tag() {
            ticket.observer().advance(ticket.here(), tag, BehaviourState::Waiting);
        }
    }
}

/// A behaviour was made, at this place.
///
/// # Safety
///
/// The caller has just made it, and it is in no queue.
#[cold]
pub(crate) unsafe fn made(
    behaviour: NonNull<Behaviour>,
    location: &'static Location<'static>,
    label: Option<Label>,
    entry: Entry,
) {
    // SAFETY: nobody but the caller knows the behaviour, so that the slots and the ticket are his.
    unsafe {
        let Some(watched) = behaviour.as_ref().executor.watched() else { return };
        let ticket = watched.ticket.cast::<Ticket>().as_mut();
        // Not admitted if it is going to be refused.
        let Some(cowns) = distinct(Behaviour::slots(behaviour).as_ref()) else { return };
        let tag = Arc::new(Tag {
            id: ticket.observer().number(),
            location,
            label,
            cowns,
            result: Behaviour::promise(behaviour).map(|(_, result)| CownId::of(result)),
            elsewhere: watched.lender.is_none(),
            state: AtomicU8::new(0),
            since: AtomicU64::new(0),
            order: AtomicU64::new(0),
        });
        let state = match entry {
            Entry::Now => BehaviourState::Waiting,
            Entry::WithBatch => BehaviourState::InBatch,
        };
        let listing = ticket.observer().admit(ticket.here(), &tag, state);
        ticket.tag = Some((tag, listing));
    }
}

/// The cowns of a request, each once, or nothing if one is named twice and not only to be read.
fn distinct(slots: &[Slot]) -> Option<Box<[NamedCown]>> {
    let named = |slot: &Slot| NamedCown { cown: CownId::of(slot.cown()), mode: slot.mode() };
    let cowns: Box<[NamedCown]> = slots.iter().map(named).collect();
    if cowns.len() < 2 {
        return Some(cowns);
    }
    let mut ordered: Vec<_> = cowns.iter().enumerate().collect();
    ordered.sort_unstable_by_key(|(place, named)| (named.cown, *place));
    let clash = |a: &NamedCown, b: &NamedCown| {
        a.cown == b.cown && (a.mode, b.mode) != (Mode::Read, Mode::Read)
    };
    if ordered.windows(2).any(|pair| clash(pair[0].1, pair[1].1)) {
        return None;
    }
    ordered.dedup_by_key(|(_, named)| named.cown);
    ordered.sort_unstable_by_key(|(place, _)| *place);
    Some(ordered.into_iter().map(|(_, named)| *named).collect())
}
