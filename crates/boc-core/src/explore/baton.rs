//! Passing the baton: real threads, of which one runs at a time.
//!
//! A thread that runs a task has a [`Context`], through which the task comes to its switch points.
//! There the [`State`] says who goes on. If that is somebody else, the thread gives the baton to the
//! other one's [`Post`] and waits at its own. A thread whose task has ended starts the next one
//! itself, if one that has not started was chosen, so that fewer threads have to change.
//!
//! What the threads share is ordered by the baton. The lock of the state is for the border: threads
//! that the exploration does not control.

use alloc::{boxed::Box, format, sync::Arc};
use core::{
    cell::Cell,
    panic::Location,
    ptr::{self, NonNull},
};
use std::{
    panic,
    sync::OnceLock,
    thread::{self, JoinHandle, Thread},
};

use super::{
    World,
    pool::Pool,
    tasks::{Condition, Fault, Id, State, Turn, Wait, Woken, Work},
};
use crate::{
    executor::{ExecutorRef, Head, Ready, Seat, VTable},
    outcome::{self, Panic},
    sync::{
        self, Mutex, MutexGuard,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
        lock,
    },
};

/// Where a thread waits for the baton.
pub(super) struct Post {
    baton: AtomicBool,
    /// Whether the task that is blocked here is in a destructor, called by a panic.
    unwinding: AtomicBool,
    /// What to do with the baton, for a thread that has no task.
    pub(super) job: Mutex<Option<Job>>,
    thread: OnceLock<Thread>,
    pub(super) handle: Mutex<Option<JoinHandle<()>>>,
}

/// A task to be run from its beginning.
pub(super) struct Job {
    pub(super) course: Arc<Course>,
    pub(super) work: Work,
}

impl Post {
    pub(super) fn new() -> Self {
        Self {
            baton: AtomicBool::new(false),
            unwinding: AtomicBool::new(false),
            job: Mutex::new(None),
            thread: OnceLock::new(),
            handle: Mutex::new(None),
        }
    }

    /// Tells the post its thread, before anybody gives it the baton.
    pub(super) fn man(&self, handle: JoinHandle<()>) {
        let _ = self.thread.set(handle.thread().clone());
        *lock!(self.handle) = Some(handle);
    }

    pub(super) fn give(&self) {
        // Release: pairs with the Acquire in `wait`, for all that was done with the baton so far.
        self.baton.store(true, Release);
        self.thread.get().expect("a post has a thread").unpark();
    }

    pub(super) fn wait(&self) {
        // The program may park and unpark threads, too, so that a token says nothing.
        while !self.baton.load(Acquire) {
            thread::park();
        }
        // Relaxed: nobody else gives the baton to who has it.
        self.baton.store(false, Relaxed);
    }

    pub(super) fn is_unwinding(&self) -> bool {
        self.unwinding.load(Relaxed)
    }
}

/// One schedule, from its start to its end. It is an executor.
#[repr(C)]
pub(super) struct Course {
    /// First, so that a pointer to it is one to all.
    head: Head,
    state: Mutex<State>,
    pub(super) pool: Arc<Pool>,
}

/// How a thread's part in a schedule ends.
pub(super) enum Relay {
    /// The baton goes to somebody else.
    Pass(Arc<Post>),
    /// The schedule is over, after so many steps.
    Over(Result<usize, Fault>),
}

/// The payload that unwinds the tasks of an abandoned schedule.
struct Abandoned;

impl Course {
    pub(super) fn new(state: State, pool: Arc<Pool>) -> Arc<Self> {
        Arc::new(Self { head: Head::new(&VTABLE), state: Mutex::new(state), pool })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock!(self.state)
    }

    pub(super) fn executor(this: &Arc<Self>) -> ExecutorRef {
        // SAFETY: the reference of the `Arc` goes to the `ExecutorRef`.
        unsafe {
            let data = Arc::into_raw(Arc::clone(this)).cast_mut();
            ExecutorRef::from_raw(NonNull::new_unchecked(data).cast())
        }
    }

    /// Something came from a thread that is not one of the schedule's.
    fn fail_by_stranger(&self, what: &str) {
        self.state().fail(format!(
            "a thread that the exploration does not control {what}: use `World::spawn` for threads, \
             and no `Runtime` over the same cowns"
        ));
    }
}

/// What a thread knows while it runs tasks of a schedule.
pub(super) struct Context {
    pub(super) course: Arc<Course>,
    executor: ExecutorRef,
    post: Arc<Post>,
    /// Who called the `when` that is just going to schedule a behaviour.
    caller: Cell<Option<&'static Location<'static>>>,
}

sync::local! {
    static CURRENT: Cell<*const Context> = Cell::new(ptr::null());
}

/// Calls `f` with this thread's context, if it runs a task of a schedule.
pub(super) fn with_context<R>(f: impl FnOnce(Option<&Context>) -> R) -> R {
    // While the thread is torn down there is no context any more.
    let context = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: set while `run` is on this thread's stack, which owns the context.
    f(unsafe { context.as_ref() })
}

/// Calls `f` with this thread's context, if it runs a task of this schedule.
pub(super) fn with_context_of<R>(course: &Course, f: impl FnOnce(Option<&Context>) -> R) -> R {
    with_context(|context| f(context.filter(|context| ptr::eq(&*context.course, course))))
}

/// Runs a task, and those that are started after it, until another thread is to go on.
pub(super) fn run(job: Job, post: &Arc<Post>) -> Relay {
    struct Restore(*const Context);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.with(|current| current.set(self.0));
        }
    }
    let Job { course, mut work } = job;
    let executor = Course::executor(&course);
    let context = Context { course, executor, post: Arc::clone(post), caller: Cell::new(None) };
    let _restore = Restore(CURRENT.with(|current| current.replace(&context)));
    loop {
        match work {
            Work::Behaviour(ready) => ready.run(),
            Work::Thread(body) => context.watch(body),
            Work::Main => context.watch(|| {
                let world = World::new(&context.course);
                (context.course.pool.program)(&world);
            }),
        }
        match context.finish() {
            Ok(next) => work = next,
            Err(relay) => return relay,
        }
    }
}

impl Context {
    fn state(&self) -> MutexGuard<'_, State> {
        self.course.state()
    }

    fn choose(&self, state: &mut State) -> Option<Turn> {
        // Relaxed: it only has to change now and then.
        self.course.pool.steps.fetch_add(1, Relaxed);
        state.choose()
    }

    /// Runs a task that is not a behaviour; its panic fails the schedule.
    fn watch(&self, body: impl FnOnce()) {
        if let Err(panic) = outcome::contain(body) {
            let mut state = self.state();
            let name = state.tasks[state.going].name;
            state.fail(format!("{name} panicked: {}", message(&panic)));
            drop(state);
            outcome::swallow(|| drop(panic));
        }
    }

    /// A switch point: lets the strategy say who goes on.
    pub(super) fn switch(&self) {
        let mut state = self.state();
        let me = state.going;
        match self.choose(&mut state) {
            Some(Turn::Keep) => return,
            Some(turn) => {
                state.pause(me, &self.post);
                self.pass(state, turn);
            }
            None => drop(state),
        }
        if self.state().is_abandoned() {
            unwind();
        }
    }

    /// [`Context::switch`], by a task that can do nothing but wait for others.
    pub(super) fn yield_now(&self) {
        self.state().step_back();
        self.switch();
    }

    /// Waits, and lets others go on meanwhile.
    pub(super) fn block(&self, wait: Wait) -> Woken {
        let mut state = self.state();
        if !state.is_abandoned() {
            if state.holds(&wait) {
                return Woken::Holds;
            }
            self.post.unwinding.store(thread::panicking(), Relaxed);
            state.block(&self.post, wait);
            match self.choose(&mut state) {
                Some(turn) => {
                    self.pass(state, turn);
                    state = self.state();
                    if !state.is_abandoned() {
                        return state.woken();
                    }
                }
                None => {
                    state.fail_by_deadlock();
                    state.unblock();
                }
            }
        }
        drop(state);
        unwind();
        self.outlast(wait)
    }

    /// Waits in an abandoned schedule, where a destructor insists on it.
    #[cold]
    fn outlast(&self, wait: Wait) -> Woken {
        if let Wait::Condition { timed: true, .. } = wait {
            return Woken::TimedOut;
        }
        self.post.unwinding.store(true, Relaxed);
        loop {
            let mut state = self.state();
            if state.holds(&wait) {
                return Woken::Holds;
            }
            state.block(&self.post, wait);
            if let Some(post) = state.choose_to_unwind() {
                self.pass(state, Turn::Resume(post));
                continue;
            }
            state.unblock();
            let unstarted = state.take_unstarted();
            if !unstarted.is_empty() {
                drop(state);
                outcome::swallow(|| drop(unstarted));
                continue;
            }
            // It would wait for ever, and there is no other way out of a destructor.
            let failure = state.failure().cloned().expect("the schedule was abandoned");
            drop(state);
            self.course.pool.end_without(failure);
            loop {
                thread::park();
            }
        }
    }

    /// Gives the baton to another task, and waits for it to come back.
    fn pass(&self, state: MutexGuard<'_, State>, turn: Turn) {
        drop(state);
        let next = match turn {
            Turn::Resume(post) => post,
            Turn::Start(work) => {
                let post = self.course.pool.post();
                *lock!(post.job) = Some(Job { course: Arc::clone(&self.course), work });
                post
            }
            Turn::Keep => unreachable!("the baton goes to somebody else"),
        };
        next.give();
        drop(next);
        self.post.wait();
    }

    /// The end of a task: what to run next on this thread, or who has the baton now.
    fn finish(&self) -> Result<Work, Relay> {
        let mut state = self.state();
        state.end();
        match self.choose(&mut state) {
            Some(Turn::Start(work)) => return Ok(work),
            Some(Turn::Resume(post)) => return Err(Relay::Pass(post)),
            Some(Turn::Keep) => unreachable!("the task has ended"),
            None => {}
        }
        if !state.is_abandoned() {
            if state.is_complete() {
                state.closed = true;
                return Err(Relay::Over(Ok(state.steps)));
            }
            state.fail_by_deadlock();
        }
        loop {
            if let Some(post) = state.choose_to_unwind() {
                return Err(Relay::Pass(post));
            }
            let unstarted = state.take_unstarted();
            if unstarted.is_empty() {
                state.closed = true;
                let failure = state.failure().cloned().expect("the schedule was abandoned");
                return Err(Relay::Over(Err(failure)));
            }
            // It may run anything, and bring the task with it to switch points.
            drop(state);
            outcome::swallow(|| drop(unstarted));
            state = self.state();
        }
    }

    /// Calls `f`, which schedules a behaviour for the caller at this place.
    pub(super) fn called_at<R>(
        &self,
        at: &'static Location<'static>,
        f: impl FnOnce(&ExecutorRef) -> R,
    ) -> R {
        self.caller.set(Some(at));
        let result = f(&self.executor);
        self.caller.set(None);
        result
    }

    /// Counts a behaviour in. `None` if the schedule was abandoned.
    fn begin(&self) -> Option<Box<Ticket>> {
        let at = self.caller.take();
        self.switch();
        let mut state = self.state();
        if state.is_abandoned() {
            return None;
        }
        let id = state.schedule(at);
        Some(Box::new(Ticket { head: Head::new(&VTABLE), course: Arc::clone(&self.course), id }))
    }
}

/// Leaves a task of an abandoned schedule; returns if the thread is on its way out already.
fn unwind() {
    if !thread::panicking() {
        // Without the message that `panic!` would print.
        panic::resume_unwind(Box::new(Abandoned));
    }
}

fn message(panic: &Panic) -> &str {
    panic.message().unwrap_or("(no message)")
}

/// The exploration of which this thread runs a task, for a `when` by `caller`.
#[cold]
pub(crate) fn current_seat(caller: &'static Location<'static>) -> Option<Seat> {
    with_context(|context| {
        let context = context?;
        context.caller.set(Some(caller));
        Some(Seat::of(&context.executor))
    })
}

/// Waits until `holds`, if this thread runs a task of an exploration, and says whether it does; with
/// a time limit it may not.
pub(crate) fn wait(timed: bool, holds: &(dyn Fn() -> bool + Sync)) -> Option<bool> {
    with_context(|context| {
        let context = context?;
        // SAFETY: `holds` is borrowed until `block` has returned, which it does after the task has
        // gone on, if ever.
        let holds = unsafe { Condition::new(holds) };
        Some(context.block(Wait::Condition { holds, timed }) == Woken::Holds)
    })
}

/// Takes note of a panic that nobody looked at, if this thread runs a task of an exploration.
pub(crate) fn take_unobserved(panic: &Panic) -> bool {
    with_context(|context| {
        let Some(context) = context else { return false };
        let mut state = context.state();
        let name = state.tasks[state.going].name;
        state.fail(format!(
            "a behaviour panicked, and nobody looked at its handle: {}\n  (noticed in {name})",
            message(panic)
        ));
        true
    })
}

/// A behaviour's tie to its schedule: what the schedule knows it by.
#[repr(C)]
struct Ticket {
    head: Head,
    course: Arc<Course>,
    id: Id,
}

/// The first three functions are called with courses, the others with tickets, which `begin` gives.
static VTABLE: VTable = VTable {
    retain: |data| {
        // SAFETY: `data` came out of `Arc::into_raw`, and the caller knows of a live reference.
        unsafe { Arc::increment_strong_count(data.cast::<Course>().as_ptr()) }
    },
    release: |data| {
        // SAFETY: `data` came out of `Arc::into_raw`, and the caller gives up a reference.
        unsafe { Arc::decrement_strong_count(data.cast::<Course>().as_ptr()) }
    },
    wait_for_room: None,
    begin: |data| {
        // SAFETY: the caller has a reference.
        let course = unsafe { data.cast::<Course>().as_ref() };
        with_context_of(course, |context| match context {
            Some(context) => context.begin().map(|ticket| NonNull::from(Box::leak(ticket)).cast()),
            None => {
                course.fail_by_stranger("schedules a behaviour");
                None
            }
        })
    },
    end: |data| {
        // SAFETY: `data` is the ticket that `begin` gave, and this its last use.
        let ticket = unsafe { Box::from_raw(data.cast::<Ticket>().as_ptr()) };
        ticket.course.state().count_out();
    },
    execute: |data, ready: Ready| {
        // SAFETY: `data` is the ticket that `begin` gave. The behaviour in `ready` is not counted
        // out before this returns, since only a task that goes on later runs it.
        let ticket = unsafe { data.cast::<Ticket>().as_ref() };
        if with_context_of(&ticket.course, |context| context.is_none()) {
            ticket.course.fail_by_stranger("hands a cown on to a behaviour");
        }
        let mut state = ticket.course.state();
        if state.is_abandoned() || state.closed {
            return Err(ready);
        }
        state.make_ready(ticket.id, ready);
        Ok(())
    },
    execute_all: None,
    is_executor: false,
    watched: None,
};
