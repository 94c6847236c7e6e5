//! The loop of a worker.

use core::{cell::Cell, ptr::NonNull};

use super::{
    observe::{Ticket, Whence},
    shared::{self, Shared, WorkerState, bump, stage},
    spare::Spare,
};
use crate::{
    backoff::Backoff,
    behaviour::{Behaviour, Next},
    conclusion,
    executor::{ExecutorRef, Ready, Seat, Watched},
    outcome,
    row::Row,
    slot::Slot,
    sync::{self, Arc, atomic::Ordering::Relaxed},
};

/// What a thread lends to a runtime when it becomes a worker.
///
/// For threads that have to do something around every wait, such as giving up an interpreter's
/// lock.
pub trait Host {
    /// Called when the worker has nothing to do; has to call `wait` once, which returns when there
    /// is something to do again, or after [`Runtime::wake_workers`](crate::Runtime::wake_workers).
    ///
    /// If it does not call it, the worker waits all the same, without the host's care. A panic is
    /// swallowed, and the worker goes on.
    fn park(&mut self, wait: &mut dyn FnMut()) {
        wait();
    }
}

/// A thread that lends nothing but itself.
impl Host for () {}

/// Every so many behaviours a worker looks into the injector first, so that what waits there is not
/// starved by what the worker's own behaviours bring about.
const INJECTOR_INTERVAL: u32 = 61;

/// So many times in a row a worker goes on with the behaviour that the last one made ready, before
/// that has to queue behind others. Few: behaviours that were scheduled one after the other also lie
/// one after the other in memory, and those that wait for one cown may lie far apart.
const STREAK: u32 = 4;

/// So many behaviours are taken out of the injector at once.
const BATCH: usize = if cfg!(loom) { 2 } else { 32 };

/// So often a worker without work looks around before it parks.
const SEARCH_ROUNDS: u32 = if cfg!(loom) { 1 } else { 24 };

/// So many pauses of the processor lie between two looks.
const SEARCH_PAUSES: u32 = if cfg!(loom) { 0 } else { 24 };

/// How long a worker waits before it looks for work elsewhere.
///
/// A worker that is quicker than those who bring work to it would fetch each piece at once, and both
/// would fight for the same cache lines all the time. So one that found several pieces gives the
/// others time to bring more the next time, as network cards gather packets before they interrupt.
/// One that found a single piece does not: there may be somebody who waits for that.
struct Pace {
    /// In pauses of the processor.
    pause: u32,
    /// When it last looked, counted in behaviours.
    searched: u32,
}

impl Pace {
    /// So many behaviours after a search are worth waiting for.
    const SEVERAL: u32 = 3;
    /// The first pause; each one is twice as long as that before.
    const SHORTEST: u32 = if cfg!(loom) { 0 } else { 32 };
    /// Some 5 to 10 microseconds, depending on the processor: less than it takes to wake a thread.
    const LONGEST: u32 = if cfg!(loom) { 0 } else { 256 };

    /// How long to wait before the search that begins now, at behaviour `tick`.
    fn next(&mut self, tick: u32) -> u32 {
        let found = tick.wrapping_sub(core::mem::replace(&mut self.searched, tick));
        self.pause = if found >= Self::SEVERAL {
            (self.pause * 2).clamp(Self::SHORTEST, Self::LONGEST)
        } else {
            0
        };
        self.pause
    }
}

/// What a worker counts down to, in behaviours.
struct Turn {
    /// A look into the injector.
    until_injector: u32,
    /// A look whether something else waits than what the last behaviour made ready.
    streak: u32,
}

/// What only the worker's own thread sees of it.
pub(crate) struct Context {
    shared: Arc<Shared>,
    executor: ExecutorRef,
    /// What others may see of this worker. In `shared`.
    state: NonNull<WorkerState>,
    /// Where the behaviour that is running was scheduled: on this runtime, or in a scope of it. What
    /// it schedules goes there, too. The behaviour keeps it alive.
    seat: Cell<Seat>,
    index: usize,
    /// The behaviour to run next: the first one that the last behaviour's release made ready. Not
    /// to be stolen, since it runs at once and its data is in this processor's cache.
    next: Cell<Option<Ready>>,
    /// Whether the worker is between the end of a behaviour's closure and the next behaviour.
    releasing: Cell<bool>,
    /// Memory of the last behaviour that has ended.
    pub(crate) spare: Spare,
}

sync::local! {
    static CURRENT: Cell<*const Context> = Cell::new(core::ptr::null());
}

/// Calls `f` with this thread's context if it is a worker of `shared`.
pub(super) fn with_context<R>(shared: &Shared, f: impl FnOnce(Option<&Context>) -> R) -> R {
    with_any_context(|context| {
        f(context.filter(|context| core::ptr::eq(Arc::as_ptr(&context.shared), shared)))
    })
}

/// Calls `f` with this thread's context if it is a worker of any runtime.
#[inline]
pub(crate) fn with_any_context<R>(f: impl FnOnce(Option<&Context>) -> R) -> R {
    // While the thread is torn down there is no context any more.
    let context = CURRENT.try_with(Cell::get).unwrap_or(core::ptr::null());
    // SAFETY: set while `run` is on this thread's stack, which owns the context.
    f(unsafe { context.as_ref() })
}

/// Calls `f` with this thread's context if it is a worker of the runtime with this seat.
///
/// What most behaviours need of their executor is done by this, without a call that could go anywhere.
#[inline]
pub(crate) fn with_worker_of<R>(seat: Seat, f: impl FnOnce(Option<&Context>) -> R) -> R {
    with_any_context(|context| f(context.filter(|context| seat.is_that_of(&context.executor))))
}

/// See [`crate::raw::forget_worker`].
pub(crate) fn forget() -> bool {
    let context = CURRENT.try_with(|current| current.replace(core::ptr::null()));
    let was_worker = context.is_ok_and(|context| !context.is_null());
    if was_worker {
        outcome::forget_inside();
    }
    was_worker
}

/// Makes this thread the worker `index` until the runtime is done with it.
pub(super) fn run(shared: Arc<Shared>, index: usize, host: &mut dyn Host) {
    let executor = Shared::executor(&shared);
    let context = Context {
        seat: Cell::new(Seat::of(&executor)),
        executor,
        state: NonNull::from(&shared.workers[index]),
        shared,
        index,
        next: Cell::new(None),
        releasing: Cell::new(false),
        spare: Spare::new(),
    };
    /// The context is gone when `run` is left, however that happens.
    struct Restore(*const Context);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.with(|current| current.set(self.0));
        }
    }
    let _restore = Restore(CURRENT.with(|current| current.replace(&context)));
    // One of the two loops, so that nothing has to be asked for each behaviour.
    if context.shared.observer.is_none() {
        context.run::<false>(host);
    } else {
        context.run::<true>(host);
    }
}

impl Context {
    /// The seat with the executor for what the running behaviour schedules.
    pub(super) fn seat(&self) -> Seat {
        self.seat.get()
    }

    /// From now on what this thread schedules goes there. Gives the seat where it went before.
    pub(super) fn replace_seat(&self, seat: Seat) -> Seat {
        self.seat.replace(seat)
    }

    /// Counts in a behaviour that is scheduled on this worker, if the runtime takes it. Gives its seat.
    #[inline]
    pub(crate) fn begin(&self) -> Option<Seat> {
        if self.shared.has_stopped() {
            return None;
        }
        bump(&self.state().counts.scheduled);
        let seat = Seat::of(&self.executor);
        Some(if self.shared.observer.is_none() {
            seat
        } else {
            // SAFETY: the executor is the runtime.
            Seat::at(unsafe { shared::observed_seat(seat.head()) })
        })
    }

    /// A behaviour has ended on this worker.
    #[inline]
    pub(crate) fn count_out(&self) {
        bump(&self.state().counts.ended);
        self.shared.make_room();
    }

    /// Which of the workers this is.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    fn state(&self) -> &WorkerState {
        // SAFETY: it lives as long as `shared`, which the context refers to.
        unsafe { self.state.as_ref() }
    }

    /// Takes a behaviour that has become ready on this thread, or gives it back if the runtime has
    /// stopped.
    #[inline]
    pub(crate) fn push(&self, ready: Ready) -> Result<(), Ready> {
        if self.shared.has_stopped() {
            return Err(ready);
        }
        if let Some(ready) = self.put_next(ready) {
            self.publish(ready);
        }
        Ok(())
    }

    /// Takes behaviours, likewise, and wakes a worker for all of them: that one wakes the next one, if
    /// there is more than it takes.
    pub(super) fn push_all(&self, mut row: Row) -> Row {
        if self.shared.has_stopped() {
            return row;
        }
        let left = row.pop().and_then(|ready| self.put_next(ready));
        if left.is_some() || !row.is_empty() {
            left.into_iter().for_each(|ready| self.push_to_ring(ready));
            while let Some(ready) = row.pop() {
                self.push_to_ring(ready);
            }
            self.notify();
        }
        row
    }

    /// Makes a behaviour the next one, if it comes from the one that was run last and there is none;
    /// else gives it back.
    #[inline]
    fn put_next(&self, ready: Ready) -> Option<Ready> {
        if !self.releasing.get() {
            return Some(ready);
        }
        let first = self.next.replace(Some(ready));
        if first.is_some() { self.next.replace(first) } else { None }
    }

    /// Makes a behaviour visible to all workers, and wakes one if needed.
    fn publish(&self, ready: Ready) {
        self.push_to_ring(ready);
        self.notify();
    }

    /// Makes a behaviour visible to all workers. Whoever does so notifies them afterwards.
    fn push_to_ring(&self, ready: Ready) {
        if let Err(ready) = self.state().ring.push(ready) {
            // If the runtime has stopped, this worker does not leave before the injector is empty.
            self.shared.injector.push(ready);
        }
    }

    /// Wakes a worker for what was just made visible, if needed. A single worker has nobody to wake.
    fn notify(&self) {
        if !self.is_alone() {
            self.shared.notify();
        }
    }

    fn is_alone(&self) -> bool {
        self.shared.workers.len() == 1
    }

    fn pop_ring(&self) -> Option<Ready> {
        let ring = &self.state().ring;
        if self.is_alone() {
            // SAFETY: only workers of the runtime take from its rings.
            unsafe { ring.pop_alone() }
        } else {
            ring.pop()
        }
    }

    fn run<const OBSERVED: bool>(&self, host: &mut dyn Host) {
        let mut tick = 0_u32;
        let mut turn = Turn { until_injector: INJECTOR_INTERVAL, streak: STREAK };
        let mut pace = Pace { pause: 0, searched: 0 };
        loop {
            tick = tick.wrapping_add(1);
            let ready = self.next_in_line(&mut turn).or_else(|| {
                let pause = pace.next(tick);
                self.search(host, pause)
            });
            match ready {
                Some(ready) => self.execute::<OBSERVED>(ready),
                None => return,
            }
        }
    }

    /// What this worker can get without looking at the others.
    // In both loops, since a call for each behaviour could be seen in a benchmark.
    #[inline(always)]
    fn next_in_line(&self, turn: &mut Turn) -> Option<Ready> {
        turn.until_injector -= 1;
        if turn.until_injector == 0 {
            turn.until_injector = INJECTOR_INTERVAL;
            if let Some(ready) = self.pop_injector_while_busy() {
                // `next` stays where it is: it is still the next after this one, but others may come
                // to be ready meanwhile, so it must not be in their place.
                if let Some(next) = self.next.take() {
                    self.publish(next);
                }
                return Some(ready);
            }
        }
        if let Some(next) = self.next.take() {
            turn.streak -= 1;
            if turn.streak > 0 {
                return Some(next);
            }
            turn.streak = STREAK;
            if self.state().ring.is_empty() {
                return Some(next);
            }
            self.publish(next);
        }
        turn.streak = STREAK;
        self.pop_ring().or_else(|| self.pop_injector_while_busy())
    }

    /// [`Context::pop_injector`] by a worker that does not search. Who pushed may have relied on a
    /// worker that searched and found nothing, because the batch was on its way from the injector to
    /// the ring; so this has to see to it that the rest of the batch does not wait for the first.
    fn pop_injector_while_busy(&self) -> Option<Ready> {
        let ready = self.pop_injector()?;
        if !self.state().ring.is_empty() {
            self.shared.notify();
        }
        Some(ready)
    }

    /// Takes a batch out of the injector: returns the first, and the rest goes to the ring.
    fn pop_injector(&self) -> Option<Ready> {
        if self.shared.injector.is_empty() {
            return None;
        }
        let mut consumer = self.shared.injector.try_consume()?;
        let first = consumer.pop()?;
        for _ in 1..BATCH {
            let Some(ready) = consumer.pop() else { break };
            if let Err(ready) = self.state().ring.push(ready) {
                drop(consumer);
                self.shared.injector.push(ready);
                break;
            }
        }
        Some(first)
    }

    /// Runs a behaviour, or cancels it if the runtime has stopped.
    fn execute<const OBSERVED: bool>(&self, ready: Ready) {
        if self.shared.has_stopped() {
            return drop(ready);
        }
        let behaviour = ready.into_inner();
        // SAFETY: the `Ready` owned the behaviour.
        unsafe {
            outcome::as_behaviour(|| {
                let next = if OBSERVED {
                    self.invoke_observed(behaviour)
                } else {
                    self.invoke_unseen(behaviour)
                };
                self.seat.set(Seat::of(&self.executor));
                self.releasing.set(true);
                conclusion::go_on(behaviour, next);
                self.releasing.set(false);
            });
        }
    }

    /// Runs the closure of a behaviour.
    ///
    /// # Safety
    ///
    /// As for [`Behaviour::invoke`].
    // In both loops, as above.
    #[inline(always)]
    unsafe fn invoke_unseen(&self, behaviour: NonNull<Behaviour>) -> Next {
        // SAFETY: owned by the caller, to whom the rest is passed on.
        unsafe {
            self.seat.set(behaviour.as_ref().executor);
            // Those behind it are touched one after the other when it has run.
            match Behaviour::slots(behaviour).as_ref() {
                [] | [_] => (),
                [a, b] => [a, b].into_iter().for_each(Slot::prefetch_successor),
                slots => prefetch_successors(slots),
            }
            Behaviour::invoke(behaviour)
        }
    }

    /// Runs the closure of a behaviour so that the observer knows, if the behaviour is observed.
    ///
    /// # Safety
    ///
    /// As for [`Behaviour::invoke`].
    unsafe fn invoke_observed(&self, behaviour: NonNull<Behaviour>) -> Next {
        // SAFETY: owned by the caller.
        let watched = unsafe { behaviour.as_ref() }.executor.watched();
        let Some(Watched { ticket, lender: Some(lender) }) = watched else {
            // SAFETY: passed on to the caller.
            return unsafe { self.invoke_unseen(behaviour) };
        };
        self.seat.set(lender);
        let here = Whence::Worker(self.index);
        // SAFETY: passed on to the caller. The ticket is there until the behaviour has ended, which it
        // does not before the closure has returned.
        unsafe {
            Behaviour::invoke_between(behaviour, || {
                Ticket::started(ticket, here);
                |again| Ticket::returned(ticket, here, again)
            })
        }
    }

    /// Looks for work elsewhere, and sleeps when there is none. `None` when the worker is to leave.
    fn search(&self, host: &mut dyn Host, pause: u32) -> Option<Ready> {
        self.shared.notify_if_quiescent();
        self.shared.idle.start_searching();
        sync::spin(pause);
        let mut backoff = Backoff::new();
        loop {
            for _ in 0..SEARCH_ROUNDS {
                // The own ring, too: the host may have scheduled something around a wait.
                let own = self.pop_ring();
                if let Some(ready) = own.or_else(|| self.steal()).or_else(|| self.pop_injector()) {
                    if self.shared.idle.stop_searching() && self.shared.has_work() {
                        self.shared.notify();
                    }
                    return Some(ready);
                }
                sync::spin(SEARCH_PAUSES);
            }
            self.shared.idle.park(self.index);
            if self.shared.has_work() || self.is_done() {
                if !self.shared.idle.unpark(self.index) {
                    // Somebody is waking this worker: take the token.
                    self.state().parker.park();
                }
                // What is there and was not to be had is on its way between two queues, by a thread
                // that may have been pre-empted.
                backoff.snooze();
            } else {
                self.state().parked.fetch_add(1, Relaxed);
                self.sleep(host);
            }
            // Searching again, by `unpark` or by who woke this worker.
            if self.is_done() && !self.shared.has_work() {
                self.shared.idle.stop_searching();
                return None;
            }
        }
    }

    /// Waits for the token that wakes this worker.
    fn sleep(&self, host: &mut dyn Host) {
        let mut waited = false;
        outcome::swallow(|| {
            host.park(&mut || {
                if !core::mem::replace(&mut waited, true) {
                    self.wait_for_token();
                }
            });
        });
        if !waited {
            self.wait_for_token();
        }
    }

    fn wait_for_token(&self) {
        // The host may have scheduled something on this thread, or ended it, since this worker looked.
        if (self.shared.has_work() || self.is_done()) && self.shared.idle.unpark(self.index) {
            return;
        }
        self.shared.notify_if_quiescent();
        self.state().parker.park();
    }

    /// Whether there is nothing left for this runtime's workers to wait for.
    fn is_done(&self) -> bool {
        match self.shared.stage() {
            stage::OPEN => false,
            stage::DRAINING => self.shared.in_flight() == 0,
            _ => true,
        }
    }

    /// Takes half of another worker's ring.
    fn steal(&self) -> Option<Ready> {
        let count = self.shared.workers.len();
        (1..count).find_map(|distance| {
            let victim = &self.shared.workers[(self.index + distance) % count];
            let (ready, taken) = victim.ring.steal_into(&self.state().ring)?;
            self.state().stolen.fetch_add(taken as u64, Relaxed);
            Some(ready)
        })
    }
}

/// Fetches what the release of many cowns is going to need.
#[inline(never)]
fn prefetch_successors(slots: &[Slot]) {
    slots.iter().for_each(Slot::prefetch_successor);
}

impl Drop for Context {
    fn drop(&mut self) {
        // All queues were empty when the loop ended, and only this thread fills `next`.
        let next = self.next.take();
        debug_assert!(next.is_none() || std::thread::panicking());
    }
}
