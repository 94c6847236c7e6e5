//! The reference: what behaviours may do, in words for one thread and without any cleverness.
//!
//! Each cown has a queue of the behaviours that were scheduled over it and have not released it. A
//! behaviour *holds* a cown if nobody stands before it there, or if it reads and so do all before it.
//! It may start when it holds all its cowns, and then it runs once. That is all of BoC.
//!
//! The model is told what was observed, in the order in which it was: it does not choose. It takes
//! note of the first thing that is not as it should be. What could start is told as well
//! ([`Model::startable`]), so that an engine which is too careful can be found out.
//!
//! The result of a behaviour is one more cown, in whose queue the behaviour stands from the start.

mod tests;

use std::fmt;

/// How a behaviour, or a claim, is known: they are numbered in the order in which they were made.
pub(crate) type Id = usize;
/// How a cown is known.
pub(crate) type Number = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Read,
}

/// One cown of a request.
pub(crate) type Ask = (Number, Mode);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In no queue yet: its `when` has not returned, or its batch has not been scheduled.
    Prepared,
    Queued,
    Running,
    Ended,
    /// It will never run. Its places in the queues are kept until it holds all its cowns.
    Cancelled,
    /// Not scheduled, since it named a cown twice.
    Refused,
}

/// What there is to find in the result of a behaviour that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Value,
    Panicked,
    Cancelled,
    Taken,
}

#[derive(Default)]
struct Cown {
    queue: Vec<(Id, Mode)>,
    last_writer: Option<Id>,
    /// The behaviour whose result it is.
    producer: Option<Id>,
    /// Handles to it, and requests in batches that have not been scheduled.
    references: usize,
    /// A behaviour over it was cancelled, so that it is not known when exactly the cown is released:
    /// who was ready keeps its cowns until its executor comes to it.
    blurred: bool,
}

struct Behaviour {
    asks: Vec<Ask>,
    stage: Stage,
    result: Number,
    ending: Option<Ending>,
    /// Held by a thread, and not run by an executor.
    claim: bool,
}

enum Event {
    Scheduled(Id),
    Batch(usize),
    Started(Id),
    Ended(Id, Ending),
    Cancelled(Id),
    Refused(Id),
    Taken(Id),
}

#[derive(Default)]
pub(crate) struct Model {
    cowns: Vec<Cown>,
    behaviours: Vec<Behaviour>,
    /// Cancelled, but still in the queues.
    lingering: Vec<Id>,
    history: Vec<Event>,
    wrong: Option<String>,
}

impl Model {
    /// A cown with one handle.
    pub(crate) fn cown(&mut self) -> Number {
        self.cowns.push(Cown { references: 1, ..Cown::default() });
        self.cowns.len() - 1
    }

    /// A behaviour that is not scheduled yet. It holds its result.
    pub(crate) fn prepare(&mut self, asks: Vec<Ask>, claim: bool) -> Id {
        let id = self.behaviours.len();
        let result = self.cown();
        self.cowns[result].producer = Some(id);
        self.cowns[result].queue.push((id, Mode::Write));
        let stage = Stage::Prepared;
        self.behaviours.push(Behaviour { asks, stage, result, ending: None, claim });
        id
    }

    /// The behaviour was added to a batch, which keeps its cowns.
    pub(crate) fn add_to_batch(&mut self, id: Id) {
        self.asks(id).iter().for_each(|(cown, _)| self.cowns[*cown].references += 1);
    }

    /// The opposite.
    fn take_from_batch(&mut self, ids: &[Id]) {
        for id in ids {
            self.asks(*id).iter().for_each(|(cown, _)| self.cowns[*cown].references -= 1);
        }
    }

    /// The request of this behaviour was refused, or not.
    pub(crate) fn judged(&mut self, id: Id, refused: bool) {
        if refused != self.is_to_be_refused(id) {
            self.complain(format!("{id} was {}refused", if refused { "" } else { "not " }));
        }
        if refused {
            self.behaviours[id].stage = Stage::Refused;
            self.history.push(Event::Refused(id));
        }
    }

    /// A cown that is named twice can only be read.
    fn is_to_be_refused(&self, id: Id) -> bool {
        let asks = &self.behaviours[id].asks;
        asks.iter().enumerate().any(|(index, (cown, mode))| {
            asks[..index].iter().any(|(other, other_mode)| {
                cown == other && (*mode == Mode::Write || *other_mode == Mode::Write)
            })
        })
    }

    /// The behaviour was scheduled, all by itself.
    pub(crate) fn schedule(&mut self, id: Id) {
        self.history.push(Event::Scheduled(id));
        self.enter(id);
        self.settle();
    }

    /// The behaviours were scheduled as one step.
    pub(crate) fn schedule_batch(&mut self, ids: &[Id]) {
        self.history.push(Event::Batch(ids.len()));
        for id in ids {
            self.history.push(Event::Scheduled(*id));
            self.enter(*id);
        }
        self.settle();
        self.take_from_batch(ids);
    }

    /// The behaviours of a batch were dropped with it.
    pub(crate) fn drop_batch(&mut self, ids: &[Id]) {
        for id in ids {
            if self.behaviours[*id].stage == Stage::Prepared {
                self.finish_cancelled(*id);
            }
        }
        self.take_from_batch(ids);
    }

    fn enter(&mut self, id: Id) {
        for (cown, mode) in self.asks(id) {
            let queue = &mut self.cowns[cown].queue;
            // Twice to read is once to read.
            if queue.last().is_none_or(|(last, _)| *last != id) {
                queue.push((id, mode));
            }
        }
        match self.behaviours[id].stage {
            Stage::Prepared => self.behaviours[id].stage = Stage::Queued,
            Stage::Cancelled => self.lingering.push(id),
            stage => self.complain(format!("{id} was scheduled, but it is {stage:?}")),
        }
    }

    /// The behaviour has started.
    pub(crate) fn start(&mut self, id: Id) {
        self.history.push(Event::Started(id));
        let stage = self.behaviours[id].stage;
        if stage != Stage::Queued {
            self.complain(format!("{id} started, but it is {stage:?}"));
        }
        for (cown, _) in self.asks(id) {
            if let Some(other) = self.in_the_way(id, cown) {
                self.complain(format!("{id} started before {other} was through with cown {cown}"));
            }
        }
        self.behaviours[id].stage = Stage::Running;
    }

    /// The behaviour has ended.
    pub(crate) fn end(&mut self, id: Id, ending: Ending) {
        self.history.push(Event::Ended(id, ending));
        let stage = self.behaviours[id].stage;
        if stage != Stage::Running {
            self.complain(format!("{id} ended, but it is {stage:?}"));
        }
        for (cown, mode) in self.asks(id) {
            if mode == Mode::Write {
                self.cowns[cown].last_writer = Some(id);
            }
        }
        self.behaviours[id].stage = Stage::Ended;
        self.leave(id);
        self.leave_result(id, ending);
        self.settle();
    }

    /// Somebody cancels the behaviour; says whether that is in time, and then it is cancelled.
    pub(crate) fn cancel(&mut self, id: Id) -> bool {
        let stage = self.behaviours[id].stage;
        if !matches!(stage, Stage::Prepared | Stage::Queued) {
            return false;
        }
        if stage == Stage::Queued {
            self.lingering.push(id);
        }
        self.finish_cancelled(id);
        self.settle();
        true
    }

    fn finish_cancelled(&mut self, id: Id) {
        self.history.push(Event::Cancelled(id));
        self.behaviours[id].stage = Stage::Cancelled;
        for (cown, _) in self.asks(id) {
            self.cowns[cown].blurred = true;
        }
        self.leave_result(id, Ending::Cancelled);
    }

    /// Cancelled behaviours whose turn has come are gone; others may come to their turn by that.
    fn settle(&mut self) {
        while let Some(index) = self.lingering.iter().position(|id| self.holds_all(*id)) {
            let id = self.lingering.swap_remove(index);
            self.leave(id);
        }
    }

    fn leave(&mut self, id: Id) {
        for (cown, _) in self.asks(id) {
            self.cowns[cown].queue.retain(|(member, _)| *member != id);
        }
    }

    fn leave_result(&mut self, id: Id, ending: Ending) {
        let result = self.behaviours[id].result;
        self.cowns[result].queue.retain(|(member, _)| *member != id);
        self.behaviours[id].ending = Some(ending);
    }

    /// Who has to be through with the cown before the behaviour holds it.
    fn in_the_way(&self, id: Id, cown: Number) -> Option<Id> {
        let queue = &self.cowns[cown].queue;
        let Some(place) = queue.iter().position(|(member, _)| *member == id) else {
            return Some(id);
        };
        let shares = |(_, mode): &&(Id, Mode)| *mode == Mode::Read && queue[place].1 == Mode::Read;
        queue[..place].iter().find(|member| !shares(member)).map(|(member, _)| *member)
    }

    fn holds_all(&self, id: Id) -> bool {
        self.behaviours[id].asks.iter().all(|(cown, _)| self.in_the_way(id, *cown).is_none())
    }

    /// A copy, since the model changes while it goes through them.
    pub(crate) fn asks(&self, id: Id) -> Vec<Ask> {
        self.behaviours[id].asks.clone()
    }

    // What can be asked.

    /// The behaviours that can start, and need nothing for it but a worker.
    pub(crate) fn startable(&self) -> Vec<Id> {
        let can_start = |id: &Id| {
            let behaviour = &self.behaviours[*id];
            behaviour.stage == Stage::Queued && !behaviour.claim && self.holds_all(*id)
        };
        (0..self.behaviours.len()).filter(can_start).collect()
    }

    pub(crate) fn is_queued(&self, id: Id) -> bool {
        self.behaviours[id].stage == Stage::Queued
    }

    pub(crate) fn is_over(&self, id: Id) -> bool {
        self.behaviours[id].ending.is_some()
    }

    pub(crate) fn result(&self, id: Id) -> Number {
        self.behaviours[id].result
    }

    /// The opposite; `None` for a cown that is no result.
    pub(crate) fn producer(&self, cown: Number) -> Option<Id> {
        self.cowns[cown].producer
    }

    /// Who was the last to write the cown.
    pub(crate) fn last_writer(&self, cown: Number) -> Option<Id> {
        self.cowns[cown].last_writer
    }

    /// Whether somebody is in the queue of the cown.
    pub(crate) fn is_wanted(&self, cown: Number) -> bool {
        !self.cowns[cown].queue.is_empty()
    }

    /// What whoever holds the result of a behaviour finds there; `None` if that is not over.
    pub(crate) fn ending(&self, id: Id) -> Option<Ending> {
        self.behaviours[id].ending
    }

    /// The result was taken, by somebody who held it.
    pub(crate) fn take(&mut self, id: Id) {
        self.history.push(Event::Taken(id));
        // That a behaviour was cancelled can be told to everybody.
        if self.behaviours[id].ending != Some(Ending::Cancelled) {
            self.behaviours[id].ending = Some(Ending::Taken);
        }
    }

    pub(crate) fn refer(&mut self, cown: Number) {
        self.cowns[cown].references += 1;
    }

    pub(crate) fn unrefer(&mut self, cown: Number) {
        self.cowns[cown].references -= 1;
    }

    /// Whether the cown has to have its value still; `None` if that is not known.
    pub(crate) fn is_alive(&self, cown: Number) -> Option<bool> {
        let cown = &self.cowns[cown];
        match cown.references > 0 || !cown.queue.is_empty() {
            true => Some(true),
            false if cown.blurred => None,
            false => Some(false),
        }
    }

    // What is said in the end.

    pub(crate) fn complain(&mut self, wrong: String) {
        let number = self.history.len();
        self.wrong.get_or_insert_with(|| format!("{wrong} (event {number})"));
    }

    /// What was not as it should be, if all is said to be over.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        for id in 0..self.behaviours.len() {
            let Behaviour { stage, .. } = self.behaviours[id];
            if !matches!(stage, Stage::Ended | Stage::Cancelled | Stage::Refused) {
                self.complain(format!("{id} never came to its end: it is {stage:?}"));
            }
        }
        self.wrong.clone().map_or(Ok(()), Err)
    }
}

/// What was observed.
impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(wrong) = &self.wrong {
            writeln!(f, "the model says: {wrong}")?;
        }
        for (number, event) in self.history.iter().enumerate() {
            write!(f, "{:>5}  ", number + 1)?;
            match event {
                Event::Scheduled(id) => {
                    writeln!(f, "{id} is scheduled over {:?}", self.behaviours[*id].asks)?
                }
                Event::Batch(count) => writeln!(f, "the next {count} are a batch")?,
                Event::Started(id) => writeln!(f, "{id} starts")?,
                Event::Ended(id, ending) => writeln!(f, "{id} ends: {ending:?}")?,
                Event::Cancelled(id) => writeln!(f, "{id} is cancelled")?,
                Event::Refused(id) => writeln!(f, "{id} is refused")?,
                Event::Taken(id) => writeln!(f, "the result of {id} is taken")?,
            }
        }
        Ok(())
    }
}
