//! What the workers of a runtime share, and its part as an executor.
//!
//! # Counting what is in flight
//!
//! Each worker counts the behaviours that were scheduled and those that ended on its thread, in
//! counters that only it writes; all other threads share one more pair. A behaviour is counted
//! as scheduled before it enters any queue, and as ended after all else. So [`Shared::in_flight`]
//! can read all the `ended` first and all the `scheduled` afterwards: if the sums are equal, then
//! every behaviour that was scheduled by one of those that ended (which happened before its end)
//! is among those that ended, and nothing is left.
//!
//! # Lifetime
//!
//! Behaviours refer to `Shared` without a reference count of their own; `keepalive` is the one
//! reference for all of them. It goes when the runtime has stopped and nothing is in flight. A
//! thread that is not a worker and that is about to count a behaviour out, or to hand one over,
//! takes a reference first, while the behaviour still counts.

use alloc::vec::Vec;
use core::ptr::NonNull;

use super::{
    Progress,
    idle::Idle,
    observe::{Observer, Ticket},
    ring::Ring,
    worker,
};
use crate::{
    backoff::Backoff,
    executor::{ExecutorRef, Head, Ready, VTable},
    mpsc::Queue,
    outcome,
    parker::Parker,
    row::Row,
    signal::wait_on,
    sync::{
        Apart, Arc, Condvar, Mutex,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
            fence,
        },
        lock,
    },
};
use std::time::Instant;

/// The stages of a runtime's life, in `Shared::stage`. It only grows.
pub(super) mod stage {
    /// Takes behaviours from everybody.
    pub(crate) const OPEN: u8 = 0;
    /// Takes behaviours from its own behaviours only; workers leave when nothing is in flight.
    pub(crate) const DRAINING: u8 = 1;
    /// Takes none, and cancels what becomes ready.
    pub(crate) const STOPPED: u8 = 2;
}

#[repr(C)]
pub(super) struct Shared {
    /// First, so that a pointer to it is one to all.
    head: Head,
    /// Read for each behaviour, and hardly ever written: `stage` and `workers`, `waiting`.
    stage: AtomicU8,
    pub(super) workers: Vec<WorkerState>,
    /// Threads in [`Shared::wait_until_quiescent`].
    waiting: AtomicUsize,
    /// How many behaviours may be in flight before threads that schedule have to wait.
    limit: usize,
    /// Threads in [`Shared::wait_for_room`].
    held_back: AtomicUsize,
    /// Ready behaviours from threads that are no workers, and what the rings had no room for.
    pub(super) injector: Queue,
    pub(super) idle: Apart<Idle>,
    /// Behaviours counted by threads that are no workers.
    outside: Apart<Counts>,
    quiescence: Mutex<()>,
    quiescent: Condvar,
    room: Condvar,
    /// Threads that are workers now.
    pub(super) active: Mutex<usize>,
    retired: Condvar,
    keepalive: Mutex<Option<Arc<Shared>>>,
    /// If the runtime can be observed.
    pub(super) observer: Option<Arc<Observer>>,
}

/// What others may see of a worker.
#[repr(align(128))]
pub(super) struct WorkerState {
    pub(super) ring: Ring,
    pub(super) parker: Parker,
    pub(super) counts: Counts,
    pub(super) stolen: AtomicU64,
    pub(super) parked: AtomicU64,
    pub(super) woken: AtomicU64,
    /// Whether a thread is this worker.
    pub(super) taken: AtomicBool,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) scheduled: AtomicUsize,
    pub(super) ended: AtomicUsize,
}

impl Counts {
    fn new() -> Self {
        Self { scheduled: AtomicUsize::new(0), ended: AtomicUsize::new(0) }
    }
}

/// Adds one to a counter that only this thread writes.
///
/// Release: pairs with the Acquire in [`Shared::in_flight`].
pub(super) fn bump(counter: &AtomicUsize) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Release);
}

impl Shared {
    pub(super) fn new(workers: usize, limit: usize, observer: Option<Arc<Observer>>) -> Arc<Self> {
        let worker = |_| WorkerState {
            ring: Ring::new(),
            parker: Parker::new(),
            counts: Counts::new(),
            stolen: AtomicU64::new(0),
            parked: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            taken: AtomicBool::new(false),
        };
        let shared = Arc::new(Self {
            head: Head::new(match (limit, &observer) {
                (usize::MAX, None) => &VTABLE,
                (_, None) => &BOUNDED,
                (usize::MAX, Some(_)) => &OBSERVED,
                (_, Some(_)) => &OBSERVED_AND_BOUNDED,
            }),
            limit,
            held_back: AtomicUsize::new(0),
            room: Condvar::new(),
            stage: AtomicU8::new(stage::OPEN),
            workers: (0..workers).map(worker).collect(),
            waiting: AtomicUsize::new(0),
            injector: Queue::new(),
            idle: Apart(Idle::new()),
            outside: Apart(Counts::new()),
            quiescence: Mutex::new(()),
            quiescent: Condvar::new(),
            active: Mutex::new(0),
            retired: Condvar::new(),
            keepalive: Mutex::new(None),
            observer,
        });
        *lock!(shared.keepalive) = Some(Arc::clone(&shared));
        shared
    }

    /// A reference to schedule on.
    pub(super) fn executor(this: &Arc<Self>) -> ExecutorRef {
        // SAFETY: the reference of the `Arc` goes to the `ExecutorRef`.
        unsafe {
            let data = Arc::into_raw(Arc::clone(this)).cast_mut();
            ExecutorRef::from_raw(NonNull::new_unchecked(data).cast())
        }
    }

    pub(super) fn stage(&self) -> u8 {
        self.stage.load(SeqCst)
    }

    /// Whether the runtime has stopped, as far as this thread knows. A behaviour that is accepted a
    /// moment later is cancelled when it is ready, or by who finds it in a queue.
    pub(super) fn has_stopped(&self) -> bool {
        self.stage.load(Relaxed) == stage::STOPPED
    }

    /// Goes on to a stage, if that is not behind the present one, and lets everybody see it.
    pub(super) fn advance(&self, stage: u8) {
        self.stage.fetch_max(stage, SeqCst);
        self.wake_all();
        self.notify_quiescence_waiters();
    }

    /// Behaviours that were scheduled and have not ended.
    pub(super) fn in_flight(&self) -> usize {
        let Progress { ended, scheduled } = self.progress();
        scheduled.wrapping_sub(ended)
    }

    /// What has ended, and what was scheduled some time after that was counted.
    pub(super) fn progress(&self) -> Progress {
        // A thread that counts a behaviour in and then looks at the stage, and one that sets the stage
        // and then counts: at least one sees the other.
        fence(SeqCst);
        let all = || self.workers.iter().map(|worker| &worker.counts).chain([&*self.outside]);
        // Acquire, both: see above. Wrapping, like the counters.
        let ended = all().fold(0, |sum: usize, c| sum.wrapping_add(c.ended.load(Acquire)));
        let scheduled = all().fold(0, |sum: usize, c| sum.wrapping_add(c.scheduled.load(Acquire)));
        Progress { ended, scheduled }
    }

    /// Whether some queue has something in it.
    pub(super) fn has_work(&self) -> bool {
        !self.injector.is_empty() || self.workers.iter().any(|worker| !worker.ring.is_empty())
    }

    /// Wakes a worker for work that was just made visible, if that is needed.
    pub(super) fn notify(&self) {
        if let Some(worker) = self.idle.worker_to_wake() {
            self.wake(worker);
        }
    }

    fn wake(&self, worker: usize) {
        let state = &self.workers[worker];
        state.woken.fetch_add(1, Relaxed);
        state.parker.unpark();
    }

    /// Wakes all workers that are parked now.
    pub(super) fn wake_all(&self) {
        self.idle.all_parked().into_iter().for_each(|worker| self.wake(worker));
    }

    /// Lets everybody know what this thread, which is no worker, has pushed to the injector.
    fn announce_injected(&self) {
        self.notify();
        // The fence in `notify` pairs with that in `cancel_injected`: either that sees what was
        // pushed, or STOPPED is seen here.
        if self.stage() == stage::STOPPED {
            self.cancel_injected();
        }
    }

    /// Cancels what is in the injector. For a runtime that has stopped.
    pub(super) fn cancel_injected(&self) {
        fence(SeqCst);
        let mut backoff = Backoff::new();
        while !self.injector.is_empty() {
            match self.injector.try_consume().and_then(|mut consumer| consumer.pop()) {
                Some(ready) => drop(ready),
                None => backoff.snooze(),
            }
        }
    }

    /// Waits until nothing is in flight, the deadline has passed, or `unless` holds, which is asked again after
    /// [`Self::notify_quiescence_waiters`]. Says whether nothing is in flight.
    pub(super) fn wait_until_quiescent(
        &self,
        deadline: Option<Instant>,
        unless: &dyn Fn() -> bool,
    ) -> bool {
        self.waiting.fetch_add(1, SeqCst);
        let mut guard = lock!(self.quiescence);
        let quiescent = loop {
            // Pairs with the fence in `notify_if_quiescent`: either that sees `waiting`, or the
            // last end is seen here.
            fence(SeqCst);
            if self.in_flight() == 0 {
                break true;
            }
            if unless() {
                break false;
            }
            match wait_on(&self.quiescent, guard, deadline) {
                Ok(again) => guard = again,
                Err(_) => break self.in_flight() == 0,
            }
        };
        self.waiting.fetch_sub(1, SeqCst);
        quiescent
    }

    /// Wakes who waits for quiescence, if it is reached. Called by a worker that runs out of work,
    /// and by other threads when they count a behaviour out.
    pub(super) fn notify_if_quiescent(&self) {
        fence(SeqCst);
        if self.waiting.load(Relaxed) > 0 && self.in_flight() == 0 {
            self.notify_quiescence_waiters();
        }
    }

    /// Has who waits for quiescence look again.
    pub(super) fn notify_quiescence_waiters(&self) {
        // Under the lock: a thread between its check and its wait must not miss this.
        let _guard = lock!(self.quiescence);
        self.quiescent.notify_all();
        self.room.notify_all();
    }

    /// Waits until fewer behaviours are in flight than the bound says, or the runtime is told to end.
    /// Not inside of a behaviour, which could be the one that is waited for.
    fn wait_for_room(&self) {
        let is_full = || self.in_flight() >= self.limit && self.stage() == stage::OPEN;
        if outcome::inside() || !is_full() {
            return;
        }
        self.held_back.fetch_add(1, SeqCst);
        let mut guard = lock!(self.quiescence);
        // The fence in `in_flight` pairs with that in `make_room`: either that sees `held_back`, or
        // the end is seen here.
        while is_full() {
            guard = self.room.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        drop(guard);
        self.held_back.fetch_sub(1, SeqCst);
    }

    /// A behaviour has ended: if there is a bound, who waits for that may go on.
    #[inline]
    pub(super) fn make_room(&self) {
        if self.limit != usize::MAX {
            self.notify_held_back();
        }
    }

    fn notify_held_back(&self) {
        fence(SeqCst);
        if self.held_back.load(Relaxed) > 0 && self.in_flight() < self.limit {
            let _guard = lock!(self.quiescence);
            self.room.notify_all();
        }
    }

    /// A thread is not a worker any more. The last one finishes the runtime, if that has ended.
    pub(super) fn retire(&self) {
        let mut active = lock!(self.active);
        *active -= 1;
        let last = *active == 0;
        drop(active);
        if self.stage() != stage::OPEN {
            // Others may wait for what this worker saw: that all is done.
            self.wake_all();
            if last {
                self.finish();
            }
        }
        let _active = lock!(self.active);
        self.retired.notify_all();
    }

    /// Ends a runtime that was told to end and has no workers: nobody is going to run what is ready.
    /// What becomes ready while this goes on is cancelled here, or by who hands it over.
    pub(super) fn finish(&self) {
        self.advance(stage::STOPPED);
        self.cancel_injected();
        if let Some(observer) = &self.observer {
            observer.close();
        }
        self.let_go_if_done();
    }

    /// Waits until no thread is a worker, or the deadline has passed; says which.
    pub(super) fn wait_retired(&self, deadline: Option<Instant>) -> bool {
        let mut active = lock!(self.active);
        while *active > 0 {
            match wait_on(&self.retired, active, deadline) {
                Ok(guard) => active = guard,
                Err(guard) => return *guard == 0,
            }
        }
        true
    }

    /// Gives up what keeps `self` alive for the behaviours, if the runtime has stopped, there are
    /// none, and no worker that could count one in.
    pub(super) fn let_go_if_done(&self) {
        if self.stage() == stage::STOPPED && *lock!(self.active) == 0 && self.in_flight() == 0 {
            let keepalive = lock!(self.keepalive).take();
            drop(keepalive);
        }
    }

    /// Counts a behaviour out on a thread that is no worker.
    fn end_outside(&self) {
        self.outside.ended.fetch_add(1, SeqCst);
        self.make_room();
        self.notify_if_quiescent();
        if self.stage() != stage::OPEN {
            // Workers that wait for this to be the last one leave.
            self.wake_all();
            self.let_go_if_done();
        }
    }

    /// Counts a behaviour in on a thread that is no worker, unless the runtime takes none from it.
    fn begin_outside(&self) -> bool {
        // Counted first, so that a runtime that ends either sees it, by the fence in `in_flight`, or is
        // seen. That takes SeqCst for both accesses, which the checker has for fences only.
        self.outside.scheduled.fetch_add(1, SeqCst);
        #[cfg(loom)]
        fence(SeqCst);
        let open = self.stage() == stage::OPEN;
        if !open {
            self.end_outside();
        }
        open
    }

    /// Takes a ready behaviour on a thread that is no worker.
    fn execute_outside(&self, ready: Ready) -> Result<(), Ready> {
        if self.has_stopped() {
            return Err(ready);
        }
        self.injector.push(ready);
        self.announce_injected();
        Ok(())
    }

    /// Takes ready behaviours, likewise, and gives them back if the runtime has stopped.
    fn execute_all_outside(&self, row: Row) -> Row {
        if self.has_stopped() {
            return row;
        }
        self.injector.push_all(row);
        self.announce_injected();
        Row::new()
    }
}

static VTABLE: VTable = vtable(false, false);

/// Of a runtime with a bound on what is in flight.
static BOUNDED: VTable = vtable(true, false);

/// Of a runtime that can be observed. While it is, its behaviours get seats of their own, tickets.
static OBSERVED: VTable = vtable(false, true);

static OBSERVED_AND_BOUNDED: VTable = vtable(true, true);

const fn vtable(bounded: bool, observed: bool) -> VTable {
    let wait_for_room: Option<unsafe fn(NonNull<Head>)> = if bounded {
        // SAFETY: the caller has a reference.
        Some(|data| unsafe { data.cast::<Shared>().as_ref() }.wait_for_room())
    } else {
        None
    };
    let begin: unsafe fn(NonNull<Head>) -> Option<NonNull<Head>> = if observed {
        // SAFETY: the caller has a reference, and is no worker; the behaviour is in flight then.
        |data| unsafe {
            data.cast::<Shared>().as_ref().begin_outside().then(|| observed_seat(data))
        }
    } else {
        // SAFETY: the caller has a reference, and is no worker.
        |data| unsafe { data.cast::<Shared>().as_ref().begin_outside().then_some(data) }
    };
    VTable {
        retain: |data| {
            // SAFETY: `data` came out of `Arc::into_raw`, and the caller knows of a live reference.
            unsafe { Arc::increment_strong_count(data.cast::<Shared>().as_ptr()) }
        },
        release: |data| {
            // SAFETY: `data` came out of `Arc::into_raw`, and the caller gives up a reference.
            unsafe { Arc::decrement_strong_count(data.cast::<Shared>().as_ptr()) }
        },
        wait_for_room,
        begin,
        end,
        execute,
        execute_all: Some(execute_all),
        is_executor: true,
        watched: None,
    }
}

/// The seat of a behaviour that a runtime with an observer has just counted in.
///
/// # Safety
///
/// `data` came out of `Arc::into_raw`, and `Shared` is alive.
#[inline(never)]
pub(super) unsafe fn observed_seat(data: NonNull<Head>) -> NonNull<Head> {
    // SAFETY: passed on to the caller.
    let observer = unsafe { data.cast::<Shared>().as_ref() }.observer.as_ref();
    if observer.is_some_and(|observer| observer.is_on()) {
        Ticket::issue(data.cast())
    } else {
        data
    }
}

/// See [`VTable::end`].
///
/// # Safety
///
/// As there; `data` points to a [`Shared`], and this thread is no worker of it.
unsafe fn end(data: NonNull<Head>) {
    // SAFETY: the behaviour that is counted out keeps `Shared` alive until that is done; the reference
    // lives on until all is done.
    unsafe { referenced(data) }.end_outside();
}

/// See [`VTable::execute`].
///
/// # Safety
///
/// As for [`end`].
unsafe fn execute(data: NonNull<Head>, ready: Ready) -> Result<(), Ready> {
    // SAFETY: the behaviour in `ready` keeps `Shared` alive. Without the reference, that could be gone as
    // soon as another thread has run the behaviour.
    unsafe { referenced(data) }.execute_outside(ready)
}

/// See [`VTable::execute_all`].
///
/// # Safety
///
/// As there; `data` points to a [`Shared`].
unsafe fn execute_all(data: NonNull<Head>, row: Row) -> Row {
    // SAFETY: as in `execute`.
    let shared = unsafe { data.cast::<Shared>().as_ref() };
    worker::with_context(shared, |context| match context {
        Some(context) => context.push_all(row),
        // SAFETY: as in `execute`.
        None => unsafe { referenced(data) }.execute_all_outside(row),
    })
}

/// A reference of one's own.
///
/// # Safety
///
/// `data` came out of `Arc::into_raw`, and `Shared` is alive.
unsafe fn referenced(data: NonNull<Head>) -> Arc<Shared> {
    let shared = data.cast::<Shared>().as_ptr();
    // SAFETY: passed on to the caller.
    unsafe {
        Arc::increment_strong_count(shared);
        Arc::from_raw(shared)
    }
}
