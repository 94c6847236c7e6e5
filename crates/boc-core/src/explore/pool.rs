//! The threads of an exploration, and the schedules that they go through one after the other.

use alloc::{
    boxed::Box,
    format,
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::mem;
use std::{thread, time::Instant};

use super::{
    Explorer, Failed, World,
    baton::{self, Course, Job, Post, Relay},
    strategy::{self, Chooser},
    tasks::{Fault, State, Work},
};
use crate::{
    signal::wait_on,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
        lock,
    },
};

pub(super) type Program = Box<dyn Fn(&World) + Send + Sync>;

pub(super) struct Pool {
    explorer: Explorer,
    pub(super) program: Program,
    /// Changes as long as the program comes to switch points.
    pub(super) steps: AtomicU64,
    roster: Mutex<Roster>,
    changed: Condvar,
}

struct Roster {
    /// Threads without a task.
    idle: Vec<Arc<Post>>,
    /// Set when the exploration is over: threads that come to be idle end.
    closing: bool,
    result: Option<Result<(), Failed>>,
    /// How many schedules have been gone through.
    done: u64,
    /// The most steps that any of them had; 0 before the first one has ended.
    longest: usize,
    seed: u64,
    course: Weak<Course>,
}

/// Explores a program; returns when all schedules have been gone through, or one has failed.
pub(super) fn explore(explorer: Explorer, program: Program) -> Result<(), Failed> {
    let pool = Arc::new(Pool {
        explorer,
        program,
        steps: AtomicU64::new(0),
        roster: Mutex::new(Roster {
            idle: Vec::new(),
            closing: false,
            result: None,
            done: 0,
            longest: 0,
            seed: 0,
            course: Weak::new(),
        }),
        changed: Condvar::new(),
    });
    let job = pool.next_schedule(&mut pool.roster());
    let post = pool.post();
    *lock!(post.job) = Some(job);
    post.give();
    drop(post);
    let result = pool.wait();
    // Threads that never come back from the program's code are left behind.
    let idle = mem::take(&mut pool.roster().idle);
    for post in idle {
        post.give();
        let handle = lock!(post.handle).take().expect("a post has a thread");
        // All that could panic in it is contained.
        let _ = handle.join();
    }
    result
}

impl Pool {
    fn roster(&self) -> MutexGuard<'_, Roster> {
        lock!(self.roster)
    }

    /// A thread without a task.
    pub(super) fn post(self: &Arc<Self>) -> Arc<Post> {
        if let Some(post) = self.roster().idle.pop() {
            return post;
        }
        let post = Arc::new(Post::new());
        let (pool, own) = (Arc::clone(self), Arc::clone(&post));
        let thread = thread::Builder::new().name(String::from("boc-explore"));
        let handle = thread.spawn(move || pool.serve(&own)).expect("cannot start a thread");
        post.man(handle);
        post
    }

    /// What a thread of the pool does.
    fn serve(self: &Arc<Self>, post: &Arc<Post>) {
        loop {
            post.wait();
            let mut job = lock!(post.job).take();
            if job.is_none() {
                return;
            }
            while let Some(now) = job.take() {
                match baton::run(now, post) {
                    Relay::Pass(next) => {
                        let stays = self.rest(post, &mut self.roster());
                        next.give();
                        if !stays {
                            return;
                        }
                    }
                    Relay::Over(outcome) => match self.go_on(outcome, post) {
                        Ok(next) => job = next,
                        Err(Closing) => return,
                    },
                }
            }
        }
    }

    /// Makes a thread one of the idle ones, unless there is nothing to come for them.
    fn rest(&self, post: &Arc<Post>, roster: &mut Roster) -> bool {
        if !roster.closing {
            roster.idle.push(Arc::clone(post));
        }
        !roster.closing
    }

    fn next_schedule(self: &Arc<Self>, roster: &mut Roster) -> Job {
        let Explorer { base, strategy, workers, step_limit, replay, .. } = self.explorer;
        roster.seed =
            replay.unwrap_or_else(|| strategy::seed(base, roster.done, strategy, roster.longest));
        let chooser = Chooser::new(strategy, roster.seed);
        let state = State::new(chooser, workers, step_limit, replay.is_some());
        let course = Course::new(state, Arc::clone(self));
        roster.course = Arc::downgrade(&course);
        Job { course, work: Work::Main }
    }

    /// After the end of a schedule: the next one, for the same thread, if there is one to come.
    fn go_on(
        self: &Arc<Self>,
        outcome: Result<usize, Fault>,
        post: &Arc<Post>,
    ) -> Result<Option<Job>, Closing> {
        let mut roster = self.roster();
        let result = match outcome {
            Ok(steps) => {
                roster.done += 1;
                roster.longest = roster.longest.max(steps);
                if roster.done < self.explorer.count() && !roster.closing {
                    return Ok(Some(self.next_schedule(&mut roster)));
                }
                Ok(())
            }
            Err(failure) => Err(self.failed(&roster, failure)),
        };
        let stays = self.rest(post, &mut roster);
        self.end(&mut roster, result);
        if stays { Ok(None) } else { Err(Closing) }
    }

    fn end(&self, roster: &mut Roster, result: Result<(), Failed>) {
        roster.closing = true;
        roster.result.get_or_insert(result);
        self.changed.notify_all();
    }

    /// Ends the exploration although a thread is left in the middle of a task.
    pub(super) fn end_without(&self, failure: Fault) {
        let mut roster = self.roster();
        let failed = self.failed(&roster, failure);
        self.end(&mut roster, Err(failed));
    }

    fn failed(&self, roster: &Roster, failure: Fault) -> Failed {
        let Explorer { strategy, workers, .. } = self.explorer;
        Failed {
            seed: roster.seed,
            number: roster.done + 1,
            of: self.explorer.count(),
            strategy,
            workers,
            reason: failure.reason,
            trace: failure.trace,
        }
    }

    /// Waits for the end of the exploration, or until nothing has happened for too long.
    fn wait(&self) -> Result<(), Failed> {
        let patience = self.explorer.patience;
        let mut roster = self.roster();
        loop {
            let steps = self.steps.load(Relaxed);
            let deadline = Instant::now().checked_add(patience);
            let in_time = loop {
                if let Some(result) = roster.result.take() {
                    return result;
                }
                match wait_on(&self.changed, roster, deadline) {
                    Ok(guard) => roster = guard,
                    Err(guard) => {
                        roster = guard;
                        break self.steps.load(Relaxed) != steps;
                    }
                }
            };
            let Some(course) = roster.course.upgrade().filter(|_| !in_time) else { continue };
            // Not with the lock, which is taken while the state's is held.
            drop(roster);
            let mut state = course.state();
            let name = state.tasks[state.going].name;
            state.fail(format!(
                "stuck: {name} has not come to a switch point for {patience:?}. It is in an endless \
                 loop, or waits for something that the exploration does not control, such as a \
                 lock or a channel"
            ));
            let failure = state.failure().cloned();
            drop(state);
            roster = self.roster();
            if let (None, Some(failure)) = (&roster.result, failure) {
                roster.closing = true;
                return Err(self.failed(&roster, failure));
            }
        }
    }
}

/// The thread is to end.
struct Closing;
