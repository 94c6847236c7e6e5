//! A program as the scenarios write it: each thing is done by the engine, and told to the model.
//!
//! Between what is done and what is told there is no switch point, so the model hears of all in the
//! order in which it happened. (The exploration switches at the start of a `when`, before anything is
//! in a queue.) Locks are never held at a switch point, either.

use std::{
    any::Any,
    ops::Deref,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use boc_core::{
    Cown, DuplicateCown, Failure, Handle, Member, Scheduled,
    explore::{World, yield_now},
};

use crate::{
    forms::{self, Got, How, Look},
    model::{Ending, Id, Mode},
    scene::{Scene, Ticket, lock},
    values::{Ask, Given, Seen, Shared, Value},
};

/// A handle to a behaviour.
pub(crate) struct Promise {
    pub(crate) id: Id,
    pub(crate) handle: Handle<Given>,
    closure: usize,
}

/// A behaviour in a batch that has not been scheduled.
pub(crate) struct Added {
    pub(crate) id: Id,
    member: Member<Given>,
    pub(crate) closure: usize,
}

impl Added {
    pub(crate) fn promise(self, scheduled: Scheduled) -> Promise {
        Promise { id: self.id, handle: scheduled.handle(self.member), closure: self.closure }
    }
}

/// A behaviour that was handed in: the handle is there, or is still to come, or there is none.
pub(crate) struct Put {
    id: Id,
    got: Got,
    closure: usize,
}

impl Put {
    fn promise(self) -> Promise {
        let Got::Handle(handle) = self.got else { panic!("it was not scheduled with a handle") };
        Promise { id: self.id, handle, closure: self.closure }
    }

    pub(crate) fn added(self) -> Added {
        let Got::Member(member) = self.got else { panic!("it was not added to a batch") };
        Added { id: self.id, member, closure: self.closure }
    }
}

/// What a body may return.
pub(crate) trait Nested {
    fn nested(self) -> Option<Promise>;
}

impl Nested for () {
    fn nested(self) -> Option<Promise> {
        None
    }
}

impl Nested for Promise {
    fn nested(self) -> Option<Promise> {
        Some(self)
    }
}

impl Nested for Option<Promise> {
    fn nested(self) -> Option<Promise> {
        self
    }
}

type Body = Box<dyn FnOnce(&Inside, &mut [Seen<'_>]) -> Option<Promise> + Send>;

/// The closure of a behaviour.
pub(crate) struct Work {
    inside: Inside,
    body: Body,
    ticket: Ticket,
}

impl Work {
    pub(crate) fn run<'a>(self, held: impl Look<'a>) -> Given {
        let Self { inside, body, ticket } = self;
        let (scene, from) = (Arc::clone(&inside.play.scene), inside.id);
        let mut seen = Vec::new();
        held.look(&mut seen);
        scene.enter(from, &mut seen);
        let done = panic::catch_unwind(AssertUnwindSafe(|| body(&inside, &mut seen)));
        let ending = if done.is_ok() { Ending::Value } else { Ending::Panicked };
        scene.leave(from, &mut seen, ending);
        drop(ticket);
        match done {
            Ok(nested) => Given { from, nested, _ticket: scene.ticket("the result of", from) },
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

/// What a running behaviour knows.
pub(crate) struct Inside {
    play: Play,
    pub(crate) id: Id,
}

impl Deref for Inside {
    type Target = Play;

    fn deref(&self) -> &Play {
        &self.play
    }
}

/// How a program does what it does.
#[derive(Clone)]
pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) scene: Arc<Scene>,
}

impl Play {
    pub(crate) fn new(world: &World, scene: &Arc<Scene>) -> Self {
        Self { world: world.clone(), scene: Arc::clone(scene) }
    }

    // Chance.

    /// A number below `bound`.
    pub(crate) fn draw(&self, bound: usize) -> usize {
        lock(&self.scene.rng).usize(..bound)
    }

    /// True once in so many times.
    pub(crate) fn one_in(&self, times: usize) -> bool {
        self.draw(times) == 0
    }

    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        lock(&self.scene.rng).shuffle(items);
    }

    // Cowns.

    pub(crate) fn cown(&self) -> Shared {
        self.cown_with(None)
    }

    /// A cown that keeps another one.
    pub(crate) fn cown_with(&self, inner: Option<Shared>) -> Shared {
        let number = self.scene.model().cown();
        let ticket = self.scene.ticket("the value of cown", number);
        let value = Value { number, last: None, inside: None, inner, ticket };
        Shared { number, cown: Cown::new(value), scene: Arc::clone(&self.scene) }
    }

    pub(crate) fn cowns(&self, count: usize) -> Vec<Shared> {
        (0..count).map(|_| self.cown()).collect()
    }

    /// Some of the cowns, none twice, in any order and in any mode.
    pub(crate) fn some<'c>(&self, cowns: &'c [Shared], most: usize) -> Vec<Ask<'c>> {
        let count = self.draw(most.min(cowns.len()) + 1);
        let mut order: Vec<_> = cowns.iter().collect();
        self.shuffle(&mut order);
        order[..count].iter().map(|cown| self.either(cown)).collect()
    }

    pub(crate) fn either<'c>(&self, cown: &'c Shared) -> Ask<'c> {
        if self.one_in(2) { Ask::W(cown) } else { Ask::R(cown) }
    }

    // Behaviours.

    pub(crate) fn when<N: Nested>(
        &self,
        cowns: &[Ask<'_>],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) -> Promise {
        self.over(cowns, &[], body)
    }

    /// A behaviour over results, too.
    pub(crate) fn over<N: Nested>(
        &self,
        cowns: &[Ask<'_>],
        results: &[&Promise],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) -> Promise {
        let put = self.put(How::When, cowns, results, Mode::Write, body);
        put.expect("no cown is named twice").promise()
    }

    /// A behaviour that only reads the results.
    pub(crate) fn over_to_read<N: Nested>(
        &self,
        cowns: &[Ask<'_>],
        results: &[&Promise],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) -> Promise {
        let put = self.put(How::When, cowns, results, Mode::Read, body);
        put.expect("no cown is named twice").promise()
    }

    /// A behaviour whose request may be refused; `None` if it was.
    pub(crate) fn try_when<N: Nested>(
        &self,
        cowns: &[Ask<'_>],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) -> Option<Promise> {
        self.put(How::When, cowns, &[], Mode::Write, body).ok().map(Put::promise)
    }

    pub(crate) fn detached(
        &self,
        cowns: &[Ask<'_>],
        results: &[&Promise],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) + Send + 'static,
    ) {
        let put = self.put(How::Detached, cowns, results, Mode::Write, body);
        assert!(put.is_ok(), "no cown is named twice");
    }

    pub(crate) fn put<N: Nested>(
        &self,
        how: How<'_>,
        cowns: &[Ask<'_>],
        results: &[&Promise],
        results_mode: Mode,
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) -> Result<Put, DuplicateCown> {
        let mut cowns = cowns.to_vec();
        if self.one_in(3) {
            // There are forms for this order only.
            cowns.sort_by_key(|ask| ask.mode() == Mode::Read);
        }
        let batched = matches!(how, How::Batch(_));
        let id = {
            let mut model = self.scene.model();
            let cowns = cowns.iter().map(|ask| (ask.shared().number, ask.mode()));
            let results = results.iter().map(|promise| (model.result(promise.id), results_mode));
            let asks = cowns.chain(results).collect();
            model.prepare(asks, false)
        };
        let ticket = self.scene.ticket("the closure of", id);
        let closure = ticket.number;
        let body: Body = Box::new(move |inside, seen| body(inside, seen).nested());
        let work = Work { inside: Inside { play: self.clone(), id }, body, ticket };
        let answer = forms::hand_in(self, how, &cowns, results, results_mode, work);
        let mut model = self.scene.model();
        model.judged(id, answer.is_err());
        if answer.is_err() {
            if self.scene.dropped(closure) == 0 {
                model.complain(format!("{id} was refused, but its closure is still there"));
            }
        } else if batched {
            model.add_to_batch(id);
        } else {
            model.schedule(id);
        }
        Ok(Put { id, got: answer?, closure })
    }

    pub(crate) fn cancel(&self, promise: &Promise) -> bool {
        // The model before the engine, as this may be the end of cowns.
        let expected = self.scene.model().cancel(promise.id);
        let in_time = promise.handle.cancel();
        if in_time != expected {
            self.scene.complain(format!("`cancel` of {} says {in_time}", promise.id));
        }
        if in_time {
            self.assert_gone(promise.id, promise.closure);
        }
        self.look(promise);
        in_time
    }

    /// The behaviour has just been cancelled.
    pub(crate) fn assert_gone(&self, id: Id, closure: usize) {
        if self.scene.dropped(closure) == 0 {
            self.scene.complain(format!("{id} is cancelled and its closure not gone"));
        }
    }

    /// Looks whether a behaviour has ended.
    pub(crate) fn look(&self, promise: &Promise) {
        let (found, expected) =
            (promise.handle.is_finished(), self.scene.model().is_over(promise.id));
        if found != expected {
            self.scene.complain(format!("`is_finished` of {} says {found}", promise.id));
        }
    }

    /// Waits for a behaviour, and for all that was scheduled over its result.
    pub(crate) fn wait(&self, promise: Promise) -> Option<Given> {
        let outcome = promise.handle.wait();
        self.waited(promise.id, outcome)
    }

    /// The same, unless nothing can go on any more.
    pub(crate) fn wait_for(
        &self,
        promise: Promise,
        time: Duration,
    ) -> Result<Option<Given>, Promise> {
        let Promise { id, handle, closure } = promise;
        match handle.wait_timeout(time) {
            Ok(outcome) => Ok(self.waited(id, outcome)),
            Err(handle) => Err(Promise { id, handle, closure }),
        }
    }

    fn waited(&self, id: Id, outcome: Result<Given, Failure>) -> Option<Given> {
        {
            let mut model = self.scene.model();
            if model.is_wanted(model.result(id)) {
                model.complain(format!("{id} was waited for, but not those over its result"));
            }
        }
        self.scene.taken(id, &outcome);
        outcome.ok()
    }

    // Threads, and time.

    pub(crate) fn spawn(&self, body: impl FnOnce(&Play) + Send + 'static) {
        let play = self.clone();
        let thread = self.world.spawn(move || body(&play));
        lock(&self.scene.threads).push(thread);
    }

    /// Lets others go on.
    pub(crate) fn pause(&self) {
        yield_now();
    }

    /// Waits until some behaviour has started that can start now. If the engine does not let it,
    /// although it could, that takes for ever.
    pub(crate) fn meet(&self) {
        let startable = if self.scene.meetings { self.scene.model().startable() } else { vec![] };
        if startable.is_empty() {
            return self.pause();
        }
        let other = startable[self.draw(startable.len())];
        while self.scene.model().is_queued(other) {
            yield_now();
        }
    }

    /// What a body does that is not about anything else.
    pub(crate) fn act(&self) {
        match self.draw(6) {
            0 | 1 => {}
            2 | 3 => self.pause(),
            _ => self.meet(),
        }
    }

    /// Waits until all has ended.
    pub(crate) fn quiesce(&self) {
        self.world.quiesce();
    }

    /// The end of the schedule: all that was begun has to end, and all that was made to be gone.
    pub(crate) fn finish(&self) {
        loop {
            let thread = lock(&self.scene.threads).pop();
            match thread {
                Some(thread) => thread.join(),
                None => {
                    self.quiesce();
                    if lock(&self.scene.threads).is_empty() {
                        break;
                    }
                }
            }
        }
        let verdict = self.scene.model().finish();
        if let Err(wrong) = verdict {
            panic!("the model says: {wrong}");
        }
        for (what, times) in lock(&self.scene.drops).iter() {
            assert_eq!(*times, 1, "{what} was dropped {times} times");
        }
    }
}

/// A panic that somebody is going to look at.
pub(crate) fn fail() -> ! {
    // Unlike `panic!`, it says nothing on the standard error.
    let payload: Box<dyn Any + Send> = Box::new("drawn");
    panic::resume_unwind(payload)
}

/// A body that is not about anything else than to take some time.
pub(crate) fn act(inside: &Inside, _: &mut [Seen<'_>]) {
    inside.act();
}
