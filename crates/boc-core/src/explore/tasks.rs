//! The tasks of one schedule, and which of them goes on: what is decided, without the threads that
//! do it.
//!
//! A *task* is the program's main closure, one of its threads, or a behaviour. Exactly one task is
//! *going* at a time: it has the baton. The others are where their [`Status`] says:
//!
//! ```text
//!                 all cowns held          chosen          a switch point
//! Queued (behaviour) ─────────▶ Ready ──────────▶ Going ◀───────────────▶ Paused
//!                                                 │  ▲
//!                                      has to wait│  │chosen, when what it waits for is there
//!                                                 ▼  │
//!                              Ended ◀── Going   Blocked
//! ```
//!
//! After a failure the schedule is *abandoned*: nothing starts any more, and whatever has a stack
//! gets the baton once more, to unwind it.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::{panic::Location, ptr::NonNull};

use super::{
    baton::Post,
    report::{self, Event, What},
    strategy::Chooser,
};
use crate::executor::Ready;

/// Where a task stands in [`State::tasks`]. The main closure's is 0.
pub(super) type Id = usize;

pub(super) const MAIN: Id = 0;

pub(super) struct Task {
    pub(super) name: Name,
    /// Where it was scheduled, if that is known.
    pub(super) at: Option<&'static Location<'static>>,
    pub(super) priority: i64,
    status: Status,
}

/// What a person calls a task. Behaviours are numbered in the order in which they were scheduled.
#[derive(Clone, Copy)]
pub(super) enum Name {
    Main,
    Thread(u32),
    Behaviour(u32),
}

enum Status {
    /// A behaviour that does not hold all its cowns.
    Queued,
    /// Can be started.
    Ready(Work),
    Going,
    /// Can go on, on the thread at this post.
    Paused(Arc<Post>),
    /// Can go on when there is what it waits for.
    Blocked(Arc<Post>, Wait),
    Ended,
}

/// What there is to run.
pub(super) enum Work {
    Main,
    Thread(Box<dyn FnOnce() + Send>),
    Behaviour(Ready),
}

/// What a blocked task waits for.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// No behaviour is scheduled, ready, or running.
    Quiescence,
    EndOf(Id),
    Condition {
        holds: Condition,
        /// Whether the task can go on without it, if nothing else can.
        timed: bool,
    },
}

/// Something that a task waits for.
#[derive(Clone, Copy)]
pub(super) struct Condition(NonNull<dyn Fn() -> bool + Sync>);

// SAFETY: it points to something `Sync`.
unsafe impl Send for Condition {}

impl Condition {
    /// # Safety
    ///
    /// `holds` stays where it is until the task that is blocked by this has gone on.
    pub(super) unsafe fn new(holds: &(dyn Fn() -> bool + Sync)) -> Self {
        let holds = NonNull::from(holds);
        // SAFETY: the two types differ in the lifetime only, which is the caller's business.
        Self(unsafe {
            core::mem::transmute::<
                NonNull<dyn Fn() -> bool + Sync + '_>,
                NonNull<dyn Fn() -> bool + Sync>,
            >(holds)
        })
    }
}

/// How a task comes out of a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    Holds,
    TimedOut,
}

/// How the task that is to go on does so.
pub(super) enum Turn {
    /// It is to be run from its beginning.
    Start(Work),
    /// It has a thread, at this post.
    Resume(Arc<Post>),
    /// It is the one that has the baton already.
    Keep,
}

/// All there is to know about one schedule.
pub(super) struct State {
    pub(super) tasks: Vec<Task>,
    /// Those that are neither queued nor ended.
    active: Vec<Id>,
    /// Room for those that can go on, to choose one of.
    able: Vec<Id>,
    /// Who has the baton.
    pub(super) going: Id,
    woken: Woken,
    chooser: Chooser,
    /// Behaviours that were scheduled and have not been counted out.
    in_flight: usize,
    /// Behaviours that were started and have not ended, and how many those can be.
    running: usize,
    workers: usize,
    behaviours: u32,
    threads: u32,
    events: Vec<Event>,
    pub(super) steps: usize,
    step_limit: usize,
    replay: bool,
    failure: Option<Fault>,
    /// Set when all is over: nothing is taken any more.
    pub(super) closed: bool,
}

/// The first thing that went wrong, and what had happened by then.
#[derive(Clone)]
pub(super) struct Fault {
    pub(super) reason: String,
    pub(super) trace: String,
}

impl State {
    pub(super) fn new(chooser: Chooser, workers: usize, step_limit: usize, replay: bool) -> Self {
        let mut state = Self {
            tasks: Vec::new(),
            active: Vec::new(),
            able: Vec::new(),
            going: MAIN,
            woken: Woken::Holds,
            chooser,
            in_flight: 0,
            running: 0,
            workers,
            behaviours: 0,
            threads: 0,
            events: Vec::new(),
            steps: 0,
            step_limit,
            replay,
            failure: None,
            closed: false,
        };
        state.add(Name::Main, None, Status::Going);
        state
    }

    fn add(&mut self, name: Name, at: Option<&'static Location<'static>>, status: Status) -> Id {
        let id = self.tasks.len();
        if !matches!(status, Status::Queued) {
            self.active.push(id);
        }
        let priority = self.chooser.priority();
        self.tasks.push(Task { name, at, priority, status });
        id
    }

    fn note(&mut self, task: Id, what: What) {
        self.events.push(Event { task, what });
    }

    /// The trace so far, in words.
    pub(super) fn trace(&self) -> String {
        report::trace(&self.events, &self.tasks, self.replay)
    }

    // What the task that is going does.

    pub(super) fn schedule(&mut self, at: Option<&'static Location<'static>>) -> Id {
        self.behaviours += 1;
        self.in_flight += 1;
        let id = self.add(Name::Behaviour(self.behaviours), at, Status::Queued);
        self.note(self.going, What::Schedules(id));
        id
    }

    pub(super) fn spawn(
        &mut self,
        at: &'static Location<'static>,
        body: Box<dyn FnOnce() + Send>,
    ) -> Id {
        self.threads += 1;
        let name = Name::Thread(self.threads);
        let id = self.add(name, Some(at), Status::Ready(Work::Thread(body)));
        self.note(self.going, What::Spawns(id));
        id
    }

    /// A behaviour holds all its cowns.
    pub(super) fn make_ready(&mut self, id: Id, ready: Ready) {
        self.tasks[id].status = Status::Ready(Work::Behaviour(ready));
        self.active.push(id);
    }

    /// A behaviour has run, or was cancelled, and has told all who wanted to know.
    pub(super) fn count_out(&mut self) {
        self.in_flight -= 1;
    }

    pub(super) fn step_back(&mut self) {
        self.note(self.going, What::Yields);
        self.chooser.step_back(&mut self.tasks[self.going]);
    }

    /// The task has been at a switch point while another one was chosen.
    pub(super) fn pause(&mut self, id: Id, post: &Arc<Post>) {
        self.tasks[id].status = Status::Paused(Arc::clone(post));
    }

    /// The task that is going has to wait.
    pub(super) fn block(&mut self, post: &Arc<Post>, wait: Wait) {
        let id = self.going;
        if self.failure.is_none() {
            self.note(id, What::Waits);
        }
        self.tasks[id].status = Status::Blocked(Arc::clone(post), wait);
    }

    /// The task that was just blocked goes on after all, to be unwound.
    pub(super) fn unblock(&mut self) {
        self.tasks[self.going].status = Status::Going;
    }

    /// The task that was going has ended.
    pub(super) fn end(&mut self) {
        let id = self.going;
        if self.failure.is_none() {
            self.note(id, What::Ends);
        }
        let task = &mut self.tasks[id];
        task.status = Status::Ended;
        if matches!(task.name, Name::Behaviour(_)) {
            self.running -= 1;
        }
        self.active.retain(|active| *active != id);
    }

    // Who goes on.

    /// Whether there is what a task waits for.
    pub(super) fn holds(&self, wait: &Wait) -> bool {
        match wait {
            Wait::Quiescence => self.in_flight == 0,
            Wait::EndOf(id) => matches!(self.tasks[*id].status, Status::Ended),
            // SAFETY: the task is blocked by it, so it is still there.
            Wait::Condition { holds, .. } => unsafe { holds.0.as_ref()() },
        }
    }

    fn is_able(&self, id: Id) -> bool {
        match &self.tasks[id].status {
            Status::Going | Status::Paused(_) => true,
            Status::Ready(Work::Behaviour(_)) => self.running < self.workers,
            Status::Ready(_) => true,
            Status::Blocked(_, wait) => self.holds(wait),
            Status::Queued | Status::Ended => false,
        }
    }

    /// Chooses who goes on. `None` if nobody can, or the schedule has to be abandoned.
    pub(super) fn choose(&mut self) -> Option<Turn> {
        if self.failure.is_some() {
            return None;
        }
        let mut able = core::mem::take(&mut self.able);
        able.clear();
        able.extend(self.active.iter().copied().filter(|id| self.is_able(*id)));
        let timed = able.is_empty();
        if timed {
            // Time passes when there is nothing else to do.
            let is_timed = |id: &Id| {
                let wait = &self.tasks[*id].status;
                matches!(wait, Status::Blocked(_, Wait::Condition { timed: true, .. }))
            };
            able.extend(self.active.iter().copied().filter(is_timed));
        }
        let turn = if able.is_empty() {
            None
        } else if self.steps == self.step_limit {
            self.fail(format!(
                "the program did not end within {} steps: it may do so never, or take a higher \
                 limit (`Explorer::step_limit`)",
                self.step_limit
            ));
            None
        } else {
            self.steps += 1;
            let id = self.chooser.choose(self.steps, &able, &mut self.tasks);
            if timed {
                self.note(id, What::TimesOut);
            }
            self.woken = if timed { Woken::TimedOut } else { Woken::Holds };
            Some(self.go_on(id))
        };
        self.able = able;
        turn
    }

    /// Gives the baton to a task that is active.
    fn go_on(&mut self, id: Id) -> Turn {
        self.going = id;
        match core::mem::replace(&mut self.tasks[id].status, Status::Going) {
            Status::Going => Turn::Keep,
            Status::Paused(post) | Status::Blocked(post, _) => Turn::Resume(post),
            Status::Ready(work) => {
                if matches!(work, Work::Behaviour(_)) {
                    self.running += 1;
                }
                self.note(id, What::Starts);
                Turn::Start(work)
            }
            Status::Queued | Status::Ended => unreachable!("the task is active"),
        }
    }

    /// How the task that has just got the baton back came out of its wait.
    pub(super) fn woken(&self) -> Woken {
        self.woken
    }

    // The end.

    /// Whether all tasks have ended.
    pub(super) fn is_complete(&self) -> bool {
        self.active.is_empty() && self.in_flight == 0
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.failure.is_some()
    }

    /// Abandons the schedule, unless that was done before.
    pub(super) fn fail(&mut self, reason: String) {
        if self.failure.is_none() && !self.closed {
            self.failure = Some(Fault { reason, trace: self.trace() });
        }
    }

    pub(super) fn failure(&self) -> Option<&Fault> {
        self.failure.as_ref()
    }

    /// Abandons the schedule because nobody can go on.
    pub(super) fn fail_by_deadlock(&mut self) {
        const SHOWN: usize = 10;
        let mut stuck = Vec::new();
        for task in &self.tasks {
            let what = match &task.status {
                Status::Queued => "has not got all its cowns",
                Status::Ready(_) => "found no worker that was free",
                Status::Blocked(_, Wait::Quiescence) => "waits for quiescence",
                Status::Blocked(_, Wait::EndOf(_)) => "waits for a thread",
                Status::Blocked(_, Wait::Condition { .. }) => {
                    "waits for a handle, a claim or a signal"
                }
                Status::Going | Status::Paused(_) | Status::Ended => continue,
            };
            let place = task.at.map(|at| format!(" ({at})")).unwrap_or_default();
            stuck.push(format!("{}{place} {what}", task.name));
        }
        let more = match stuck.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("\n  … and {more} more"),
        };
        stuck.truncate(SHOWN);
        self.fail(format!(
            "deadlock: nothing that the exploration controls can go on\n  {}{more}",
            stuck.join("\n  ")
        ));
    }

    /// In an abandoned schedule: a task with a stack, to unwind it. `None` if there is none left that
    /// can get any further.
    pub(super) fn choose_to_unwind(&mut self) -> Option<Arc<Post>> {
        let able = |id: &&Id| match &self.tasks[**id].status {
            Status::Paused(_) => true,
            // It waits in a destructor, so it cannot be unwound further before that.
            Status::Blocked(post, wait) if post.is_unwinding() => self.holds(wait),
            Status::Blocked(..) => true,
            _ => false,
        };
        let id = *self.active.iter().find(able)?;
        match self.go_on(id) {
            Turn::Resume(post) => Some(post),
            Turn::Start(_) | Turn::Keep => unreachable!("it was paused or blocked"),
        }
    }

    /// In an abandoned schedule: what was never started, to be dropped.
    pub(super) fn take_unstarted(&mut self) -> Vec<Work> {
        let mut taken = Vec::new();
        let tasks = &mut self.tasks;
        self.active.retain(|id| {
            let status = &mut tasks[*id].status;
            if !matches!(status, Status::Ready(_)) {
                return true;
            }
            if let Status::Ready(work) = core::mem::replace(status, Status::Ended) {
                taken.push(work);
            }
            false
        });
        taken
    }
}
