//! Exploration: a program of behaviours under many schedules, and any one of them again.
//!
//! A program with a bug that shows under one schedule in a thousand passes its tests, most days. An
//! [`Explorer`] runs such a program over and over, and each time another order of what happens is
//! drawn from a *seed*. If the program fails, the seed is told, and it brings the same schedule back
//! as often as one wants to look at it.
//!
//! ```
//! use boc_core::{
//!     Cown,
//!     explore::{Explorer, World},
//!     when,
//! };
//!
//! fn sell(world: &World, tickets: &Cown<u32>) {
//!     let again = tickets.clone();
//!     world.when(tickets, move |left| {
//!         if *left > 0 {
//!             // Wrong: what was seen here need not be so when the other behaviour runs.
//!             when(&again, |left| *left = left.checked_sub(1).expect("no ticket is left"));
//!         }
//!     });
//! }
//!
//! fn program(world: &World) {
//!     let tickets = Cown::new(1);
//!     sell(world, &tickets);
//!     sell(world, &tickets);
//! }
//!
//! // In a test it would be `Explorer::new().check(program)`, which panics with the report.
//! let failed = Explorer::new().try_check(program).unwrap_err();
//! println!("{failed}");
//! assert!(failed.reason().contains("no ticket is left"));
//!
//! // The same schedule once more.
//! let again = Explorer::new().replay(failed.seed()).try_check(program).unwrap_err();
//! assert_eq!(again.reason(), failed.reason());
//! assert_eq!(again.trace(), failed.trace());
//! ```
//!
//! The report says what to do and what happened. `#1` is the behaviour that was scheduled first; a
//! behaviour *runs* if it starts and ends and nothing comes between. Its place is known if it was
//! scheduled by [`World::when`] or the free [`when`](crate::when):
//!
//! ```text
//! a behaviour panicked, and nobody looked at its handle: no ticket is left
//!   (noticed in #4)
//!
//! schedule 1 of 1000, seed 12035550249420947055; Random, 4 workers
//! to replay it: BOC_SEED=12035550249420947055 cargo test tickets_are_sold_once
//!
//! what happened:
//!     1  main      schedules #1  (tests/tickets.rs:5:11)
//!     2  main      schedules #2  (tests/tickets.rs:5:11)
//!     3  main      ends
//!     4  #1        starts  (tests/tickets.rs:5:11)
//!     5  #1        schedules #3  (tests/tickets.rs:8:13)
//!     6  #1        ends
//!     7  #2        starts  (tests/tickets.rs:5:11)
//!     8  #2        schedules #4  (tests/tickets.rs:8:13)
//!     9  #2        ends
//!    10  #3        runs  (tests/tickets.rs:8:13)
//!    11  #4        starts  (tests/tickets.rs:8:13)
//! ```
//!
//! # What is explored
//!
//! The *order* in which things happen. One task of the program goes on at a time (its main closure,
//! a [thread](World::spawn), or a behaviour), up to a **switch point**. There the [`Strategy`] chooses
//! who goes on: that task, another one, or a behaviour that is ready. Switch points are:
//!
//! - every `when`, before the behaviour takes its place in the queues of its cowns: so the order in
//!   which two tasks schedule is explored, not only that in which ready behaviours start;
//! - the end of a behaviour, which is where the next one starts;
//! - [`World::spawn`], the end of a thread, and whatever waits: [`Handle::wait`], [`World::quiesce`],
//!   [`Thread::join`];
//! - [`yield_now`], for code that shares something else than cowns.
//!
//! Up to as many behaviours as there are [workers](Explorer::workers) can be between their start and
//! their end at the same time.
//!
//! # What counts as a failure
//!
//! - a panic of the main closure or of a thread;
//! - a panic of a behaviour whose handle nobody looked at;
//! - a deadlock: nothing can go on, although some task waits, or some behaviour has not run;
//! - more steps than the [limit](Explorer::step_limit);
//! - a task that does not come to its next switch point for [long](Explorer::patience): it is in
//!   an endless loop, or it waits for a lock, or for something else that is not under control;
//! - a behaviour that is scheduled, or gets its last cown, by a thread that is not under control.
//!
//! When the main closure has returned, the schedule goes on until all else has ended.
//!
//! # What is not explored
//!
//! - *Memory orderings.* Threads run one at a time, and each sees all that those before it wrote. What
//!   a program does with atomics and `unsafe` needs a model checker such as loom, or a sanitizer.
//! - *What lies between two switch points.* For cowns nothing is lost by that: nobody else reaches
//!   the data in the meantime.
//! - *Time.* A [`wait_timeout`](Handle::wait_timeout) runs out when nothing else can go on, and only
//!   then, however long it is.
//! - *All schedules.* That none of a thousand failed does not mean that none fails.
//!
//! # What a program must keep to
//!
//! - It does the same each time: no clock, no random numbers of its own, no order of a `HashMap` with
//!   random keys, nothing that one schedule leaves to the next one. Otherwise a seed does not bring
//!   the same schedule back.
//! - It makes its cowns inside of the closure, its threads by [`World::spawn`], and no
//!   [`Runtime`](crate::Runtime): the threads of that are not under control.
//! - No lock is held, and nothing but cowns is waited for, at a switch point: whoever needs the lock
//!   would keep the one thread that runs.
//! - [`inside_behaviour`](crate::inside_behaviour) and thread-locals are as on any worker: behaviours
//!   share their threads, also with those of other schedules.
//!
//! # Seeds
//!
//! The seed of each schedule comes from the [base seed](Explorer::seed), which is the same in each run
//! unless it is set. Two variables of the environment go before what the program says:
//!
//! | variable | |
//! |---|---|
//! | `BOC_SEED` | run the one schedule of this seed; the report is not shortened |
//! | `BOC_SCHEDULES` | how many schedules to run |
//!
//! A seed belongs to a program, a strategy and its parameters, and a number of workers: when one of
//! them changes, the seed means another schedule.

mod baton;
mod pool;
mod report;
mod strategy;
mod tasks;

use alloc::{boxed::Box, format, string::String, sync::Arc};
use core::{fmt, panic::Location, time::Duration};
use std::{env, sync::Mutex};

use crate::{
    executor::ExecutorRef,
    handle::Handle,
    outcome::{self, Failure},
    request::Request,
    schedule::{DuplicateCown, distinct},
    sync::lock,
};
use baton::{Context, Course, with_context, with_context_of};
pub use report::Failed;
use tasks::{Id, Wait};

pub(crate) use baton::{current_seat, take_unobserved, wait};

/// How it is chosen who goes on at a switch point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Each of those that can go on, with equal probability.
    Random,
    /// Probabilistic concurrency testing: each thread and behaviour has a random priority, and the
    /// foremost of those that can goes on; at `depth - 1` random steps, the one that would go on falls
    /// behind all others.
    ///
    /// `depth` is how many decisions of the schedule must be just so for the bug to show: 1 for an
    /// order of two tasks, 2 for most bugs where one task gets in between two parts of another. Finds
    /// bugs that need one task to be very late, which [`Strategy::Random`] hardly ever does in a long
    /// program.
    ///
    /// Burckhardt, Kothari, Musuvathi, Nagarakatte: *A Randomized Scheduler with Probabilistic
    /// Guarantees of Finding Bugs*, ASPLOS 2010. Their guarantee counts threads; here each behaviour
    /// is one. A task that [yields](yield_now) falls behind, too: it waits for the others.
    Pct {
        /// The number of decisions, at least 1.
        depth: usize,
    },
}

/// Runs a program under many schedules. See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Explorer {
    schedules: u64,
    base: u64,
    replay: Option<u64>,
    strategy: Strategy,
    workers: usize,
    step_limit: usize,
    patience: Duration,
}

impl Explorer {
    /// 1,000 random schedules with four workers.
    pub fn new() -> Self {
        Self {
            schedules: 1_000,
            base: 0,
            replay: None,
            strategy: Strategy::Random,
            workers: 4,
            step_limit: 100_000,
            patience: Duration::from_secs(60),
        }
    }

    /// How many schedules to run.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn schedules(mut self, count: u64) -> Self {
        assert!(count > 0, "an exploration needs at least one schedule");
        self.schedules = count;
        self
    }

    /// The base seed, from which those of the schedules come.
    #[must_use]
    pub fn seed(mut self, base: u64) -> Self {
        self.base = base;
        self
    }

    /// Runs one schedule only: the one of this seed, which a [report](Failed::seed) has told.
    #[must_use]
    pub fn replay(mut self, seed: u64) -> Self {
        self.replay = Some(seed);
        self
    }

    /// How to choose who goes on.
    ///
    /// # Panics
    ///
    /// If it is [`Strategy::Pct`] with a depth of 0.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        assert!(strategy != Strategy::Pct { depth: 0 }, "the depth of a bug is at least 1");
        self.strategy = strategy;
        self
    }

    /// How many behaviours can be between their start and their end at the same time.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn workers(mut self, count: usize) -> Self {
        assert!(count > 0, "an exploration needs at least one worker");
        self.workers = count;
        self
    }

    /// After so many steps (switch points) a schedule fails.
    #[must_use]
    pub fn step_limit(mut self, steps: usize) -> Self {
        self.step_limit = steps;
        self
    }

    /// After so long without a switch point, by the real clock, a schedule fails. It is the one thing
    /// that the clock decides, so that a test that is stuck does not stay so.
    ///
    /// The thread that is stuck is left behind.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Runs the program once for each schedule.
    ///
    /// # Panics
    ///
    /// If it fails under one of them, with the [report](Failed) of that.
    #[track_caller]
    pub fn check(&self, program: impl Fn(&World) + Send + Sync + 'static) {
        if let Err(failed) = self.try_check(program) {
            panic!("the program failed under a schedule that was explored\n\n{failed}");
        }
    }

    /// Runs the program once for each schedule, up to the first one under which it fails.
    ///
    /// # Errors
    ///
    /// What there is to know of that schedule.
    ///
    /// # Panics
    ///
    /// If `BOC_SEED` or `BOC_SCHEDULES` is set to something else than a number, or the operating
    /// system refuses a thread.
    pub fn try_check(
        &self,
        program: impl Fn(&World) + Send + Sync + 'static,
    ) -> Result<(), Failed> {
        let mut explorer = *self;
        if let Some(count) = number("BOC_SCHEDULES") {
            explorer = explorer.schedules(count);
        }
        explorer.replay = number("BOC_SEED").or(explorer.replay);
        pool::explore(explorer, Box::new(program))
    }

    fn count(&self) -> u64 {
        if self.replay.is_some() { 1 } else { self.schedules }
    }
}

impl Default for Explorer {
    fn default() -> Self {
        Self::new()
    }
}

/// The number in a variable of the environment, if that is set.
fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.trim().parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} has to be a number, not `{text}`")))
}

/// The world in which one schedule of the program runs: the executor, and the threads.
///
/// Clones can be taken along to threads and into behaviours. The free function
/// [`when`](crate::when) works there, too, and in the main closure.
#[derive(Clone)]
pub struct World {
    course: Arc<Course>,
    executor: ExecutorRef,
}

impl World {
    fn new(course: &Arc<Course>) -> Self {
        Self { course: Arc::clone(course), executor: Course::executor(course) }
    }

    /// The executor to schedule on.
    pub fn executor(&self) -> &ExecutorRef {
        &self.executor
    }

    /// Schedules `body` over the cowns of `request`; see [`ExecutorRef::when`].
    ///
    /// # Panics
    ///
    /// If a cown is named twice; see [`World::try_when`].
    #[track_caller]
    pub fn when<Q, F, R>(&self, request: Q, body: F) -> Handle<R>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> R + Send + 'static,
        R: Send + 'static,
    {
        distinct(self.try_when(request, body))
    }

    /// [`World::when`] for requests whose cowns are not known to be distinct.
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
        let at = Location::caller();
        self.with_context(|context| {
            context.called_at(at, |executor| executor.try_when(request, body))
        })
    }

    /// Starts a thread of the program, which schedules behaviours concurrently with the others.
    ///
    /// A panic of it fails the schedule.
    ///
    /// # Panics
    ///
    /// On a thread that is not one of this schedule's.
    #[track_caller]
    pub fn spawn<R: Send + 'static>(&self, body: impl FnOnce() -> R + Send + 'static) -> Thread<R> {
        let at = Location::caller();
        let result = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&result);
        let body = Box::new(move || {
            let value = body();
            *lock!(slot) = Some(value);
        });
        self.with_context(|context| {
            let task = context.course.state().spawn(at, body);
            context.switch();
            Thread { world: self.clone(), task, result }
        })
    }

    /// Waits for a behaviour: [`Handle::wait`], which works in an exploration as well.
    ///
    /// # Errors
    ///
    /// As [`Handle::wait`].
    ///
    /// # Panics
    ///
    /// Inside of a behaviour.
    pub fn wait<R: Send + 'static>(&self, handle: Handle<R>) -> Result<R, Failure> {
        handle.wait()
    }

    /// Waits until all behaviours have ended, also those that other threads schedule meanwhile.
    ///
    /// # Panics
    ///
    /// Inside of a behaviour, or on a thread that is not one of this schedule's.
    pub fn quiesce(&self) {
        self.block(Wait::Quiescence);
    }

    /// What has happened in this schedule so far, in the words of a report.
    pub fn trace(&self) -> String {
        self.course.state().trace()
    }

    fn block(&self, wait: Wait) {
        assert!(!outcome::inside(), "waiting inside of a behaviour could deadlock");
        self.with_context(|context| context.block(wait));
    }

    fn with_context<R>(&self, f: impl FnOnce(&Context) -> R) -> R {
        with_context_of(&self.course, |context| match context {
            Some(context) => f(context),
            None => panic!(
                "a `World` works on the threads of its own schedule only: the main closure, those \
                 of `World::spawn`, and behaviours"
            ),
        })
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// A thread of the program that is explored.
///
/// It ends before the schedule does, also if nobody joins it.
pub struct Thread<R> {
    world: World,
    task: Id,
    result: Arc<Mutex<Option<R>>>,
}

impl<R> Thread<R> {
    /// Waits for the end of the thread, and takes its value.
    ///
    /// # Panics
    ///
    /// Inside of a behaviour, or on a thread that is not one of this schedule's.
    pub fn join(self) -> R {
        self.world.block(Wait::EndOf(self.task));
        lock!(self.result).take().expect("a thread that panicked fails the schedule")
    }
}

impl<R> fmt::Debug for Thread<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("Thread({})", self.task))
    }
}

/// A switch point: others may go on before this returns. Does nothing outside of an exploration.
///
/// For code that shares something else than cowns, such as an atomic, between two uses of that; and
/// for loops that wait for something.
pub fn yield_now() {
    with_context(|context| {
        if let Some(context) = context {
            context.yield_now();
        }
    });
}
