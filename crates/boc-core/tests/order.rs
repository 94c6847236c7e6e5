//! Every order of a few steps on one thread: scheduling, running what is ready, cancelling. After each
//! step it is held against a model what is ready, what has ended, and what is left.

#[path = "scribble/mod.rs"]
mod scribble;
#[path = "shelf/mod.rs"]
mod shelf;
#[path = "tally/mod.rs"]
mod tally;

use std::sync::{Arc, Mutex};

use boc_core::{Access, Accessed, Batch, Cown, ExecutorRef, Handle, Member};
use scribble::Scribble;
use shelf::Shelf;
use tally::{Tally, Token};

#[global_allocator]
static ALLOCATOR: Scribble = Scribble;

/// What a behaviour does with each cown: `w`rites it, `r`eads it, or does not name it.
type Wanted = Vec<u8>;

/// What is scheduled, one batch after the other. A batch of one is a behaviour on its own.
type Program = Vec<Vec<Wanted>>;

/// Which of several possibilities is tried; goes through all of them, run by run.
#[derive(Default)]
struct Choices {
    /// The one that is tried, and how many there are.
    made: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    fn choose(&mut self, count: usize) -> usize {
        if self.next == self.made.len() {
            self.made.push((0, count));
        }
        self.next += 1;
        self.made[self.next - 1].0
    }

    /// Goes on to the next run. Says whether there is one.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((tried, count)) = self.made.pop() {
            if tried + 1 < count {
                self.made.push((tried + 1, count));
                return true;
            }
        }
        false
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waiting,
    Ready,
    Ended,
}

/// What should be.
struct Model {
    wanted: Vec<Wanted>,
    /// In scheduling order.
    stages: Vec<Stage>,
    cancelled: Option<usize>,
    /// How often each cown was written.
    writes: Vec<usize>,
}

impl Model {
    fn schedule(&mut self, batch: &[Wanted]) {
        self.wanted.extend_from_slice(batch);
        self.stages.extend(batch.iter().map(|_| Stage::Waiting));
        self.settle();
    }

    /// Nobody who has not ended stands before it with a cown of its, unless both read that.
    fn holds_all(&self, one: usize) -> bool {
        let clash = |before: usize| {
            let both = self.wanted[before].iter().zip(&self.wanted[one]);
            both.into_iter().any(|pair| matches!(pair, (b'w', b'w' | b'r') | (b'r', b'w')))
        };
        (0..one).all(|before| self.stages[before] == Stage::Ended || !clash(before))
    }

    fn settle(&mut self) {
        // In order: what ends by that stands before what it frees.
        for one in 0..self.stages.len() {
            if self.stages[one] == Stage::Waiting && self.holds_all(one) {
                let cancelled = self.cancelled == Some(one);
                self.stages[one] = if cancelled { Stage::Ended } else { Stage::Ready };
            }
        }
    }

    fn cancel(&mut self, one: usize) {
        self.cancelled = Some(one);
    }

    fn run(&mut self, one: usize) {
        assert_eq!(self.stages[one], Stage::Ready);
        self.stages[one] = Stage::Ended;
        if self.cancelled != Some(one) {
            for (writes, wanted) in self.writes.iter_mut().zip(&self.wanted[one]) {
                *writes += usize::from(*wanted == b'w');
            }
        }
        self.settle();
    }

    fn count(&self, stage: Stage) -> usize {
        self.stages.iter().filter(|one| **one == stage).count()
    }
}

/// A cown's value: how often it was written.
type Value = (usize, Token);

/// What there is.
struct World {
    model: Model,
    cowns: Vec<Cown<Value>>,
    /// One for each batch.
    shelves: Vec<Shelf>,
    /// As far as they are kept. Without its handle, a behaviour is freed as soon as it has ended.
    handles: Vec<Option<Handle<()>>>,
    keeps: bool,
    tally: Tally,
    last: Last,
}

/// The number of the behaviour that ran last, and how often its cowns had been written before.
type Last = Arc<Mutex<Option<(usize, Vec<usize>)>>>;

enum Target<'a> {
    Executor(ExecutorRef),
    /// And those of its members that are kept.
    Batch(&'a mut Batch, &'a mut Vec<Option<Member<()>>>),
}

impl Target<'_> {
    /// How many behaviours are there that have no handle yet.
    fn members(&self) -> usize {
        match self {
            Target::Executor(_) => 0,
            Target::Batch(_, members) => members.len(),
        }
    }
}

impl World {
    fn new(cowns: usize, keeps: bool) -> Self {
        let tally = Tally::default();
        let model = Model {
            wanted: Vec::new(),
            stages: Vec::new(),
            cancelled: None,
            writes: vec![0; cowns],
        };
        Self {
            model,
            cowns: (0..cowns).map(|_| Cown::new((0, tally.token()))).collect(),
            shelves: Vec::new(),
            handles: Vec::new(),
            keeps,
            tally,
            last: Last::default(),
        }
    }

    fn schedule(&mut self, behaviours: &[Wanted]) {
        let shelf = Shelf::default();
        if let [wanted] = behaviours {
            self.hand_in(Target::Executor(shelf.executor()), wanted);
        } else {
            let (mut batch, mut members) = (shelf.executor().batch(), Vec::new());
            for wanted in behaviours {
                self.hand_in(Target::Batch(&mut batch, &mut members), wanted);
            }
            let scheduled = batch.schedule();
            let handle = |member: Option<_>| Some(scheduled.handle(member?));
            self.handles.extend(members.into_iter().map(handle));
        }
        self.shelves.push(shelf);
        self.model.schedule(behaviours);
    }

    /// A behaviour that tells what it has seen.
    fn hand_in(&mut self, target: Target, wanted: &Wanted) {
        let number = self.handles.len() + target.members();
        let mut request: Vec<_> = self
            .cowns
            .iter()
            .zip(wanted)
            .filter_map(|(cown, wanted)| match wanted {
                b'w' => Some(Access::Write(cown)),
                b'r' => Some(Access::Read(cown)),
                _ => None,
            })
            .collect();
        if number % 2 == 1 {
            request.reverse();
        }
        let (token, last) = (self.tally.token(), Arc::clone(&self.last));
        let body = move |mut values: Vec<Accessed<'_, Value>>| {
            let _token = token;
            if number % 2 == 1 {
                values.reverse();
            }
            let seen = values.iter().map(|value| value.0).collect();
            *last.lock().unwrap() = Some((number, seen));
            values.iter_mut().filter_map(Accessed::as_mut).for_each(|value| value.0 += 1);
        };
        match target {
            Target::Executor(executor) => {
                let handle = executor.when(request, body);
                self.handles.push(Some(handle).filter(|_| self.keeps));
            }
            Target::Batch(batch, members) => {
                let member = batch.when(request, body);
                members.push(Some(member).filter(|_| self.keeps));
            }
        }
    }

    /// Runs what is ready on a shelf, as the `index`th.
    fn run(&mut self, shelf: usize, index: usize) {
        let writes = self.model.writes.clone();
        self.shelves[shelf].take(index).run();
        let Some((ran, seen)) = self.last.lock().unwrap().take() else {
            let cancelled = self.model.cancelled.expect("only a cancelled one does not run");
            return self.model.run(cancelled);
        };
        self.model.run(ran);
        let named = writes.iter().zip(&self.model.wanted[ran]).filter(|(_, want)| **want != b'-');
        assert!(named.map(|(writes, _)| *writes).eq(seen), "what a behaviour has seen");
    }

    /// Cancels a behaviour, and drops its handle.
    fn cancel(&mut self, one: usize) {
        let (left, waits) = (self.tally.left(), self.model.stages[one] != Stage::Ended);
        let handle = self.handles[one].take().expect("it is kept");
        assert_eq!(handle.cancel(), waits);
        assert!(handle.is_finished());
        assert_eq!(self.tally.left(), left - usize::from(waits));
        if waits {
            self.model.cancel(one);
        }
    }

    fn check(&self) {
        let ready: usize = self.shelves.iter().map(Shelf::len).sum();
        assert_eq!(ready, self.model.count(Stage::Ready), "{:?}", self.model.stages);
        for (handle, stage) in self.handles.iter().zip(&self.model.stages) {
            let handle = handle.as_ref();
            assert!(handle.is_none_or(|one| one.is_finished() == (*stage == Stage::Ended)));
        }
        let cancelled =
            self.model.cancelled.is_some_and(|one| self.model.stages[one] != Stage::Ended);
        let closures = self.model.stages.len() - self.model.count(Stage::Ended);
        assert_eq!(self.tally.left(), self.cowns.len() + closures - usize::from(cancelled));
    }
}

/// What else a run is made of.
#[derive(Clone, Copy, PartialEq)]
enum With {
    /// A cancellation at every point, or none.
    Cancellation,
    /// Handles that are kept to the end.
    Handles,
    NoHandles,
}

/// Runs a program in every order there is.
fn explore(cowns: usize, program: &Program, with: With) -> usize {
    let mut choices = Choices::default();
    let mut runs = 0;
    loop {
        run(cowns, program, with, &mut choices);
        runs += 1;
        if !choices.advance() {
            return runs;
        }
    }
}

fn run(cowns: usize, program: &Program, with: With, choices: &mut Choices) {
    let mut world = World::new(cowns, with != With::NoHandles);
    let (mut scheduled, mut cancels) = (0, with == With::Cancellation);
    loop {
        let ready: Vec<(usize, usize)> = world
            .shelves
            .iter()
            .enumerate()
            .flat_map(|(shelf, kept)| (0..kept.len()).map(move |index| (shelf, index)))
            .collect();
        let more = usize::from(scheduled < program.len());
        let victims = if cancels { world.handles.len() } else { 0 };
        if more + ready.len() == 0 {
            break;
        }
        let choice = choices.choose(more + ready.len() + victims);
        if choice < more {
            world.schedule(&program[scheduled]);
            scheduled += 1;
        } else if let Some((shelf, index)) = ready.get(choice - more) {
            world.run(*shelf, *index);
        } else {
            world.cancel(choice - more - ready.len());
            cancels = false;
        }
        world.check();
    }
    assert_eq!(world.model.count(Stage::Ended), program.iter().flatten().count());
    let World { cowns, handles, tally, .. } = world;
    drop((cowns, handles));
    tally.assert_each_dropped_once();
}

/// All behaviours over so many cowns, each at least over one of them.
fn all_wanted(cowns: u32) -> Vec<Wanted> {
    let nth = |n: usize| (0..cowns).map(|cown| b"-rw"[n / 3_usize.pow(cown) % 3]).collect();
    (1..3_usize.pow(cowns)).map(nth).collect()
}

/// All sequences of so many of these.
fn sequences(of: &[Wanted], length: usize) -> Vec<Vec<Wanted>> {
    (0..length).fold(vec![Vec::new()], |shorter, _| {
        let longer = |start: &Vec<Wanted>| {
            let start = start.clone();
            of.iter()
                .map(move |next| [&start[..], std::slice::from_ref(next)].concat())
                .collect::<Vec<_>>()
        };
        shorter.iter().flat_map(longer).collect()
    })
}

/// Cuts a sequence into batches of these lengths.
fn cut(sequence: Vec<Wanted>, lengths: &[usize]) -> Program {
    let mut rest = sequence.into_iter();
    lengths.iter().map(|length| rest.by_ref().take(*length).collect()).collect()
}

fn explore_all(cowns: u32, lengths: &[usize], with: With) {
    let runs = |sequence| explore(cowns as usize, &cut(sequence, lengths), with);
    let runs: usize =
        sequences(&all_wanted(cowns), lengths.iter().sum()).into_iter().map(runs).sum();
    println!("{cowns} cowns, batches of {lengths:?}: {runs} runs");
}

#[test]
fn behaviours_over_one_cown() {
    explore_all(1, &[1; 5], With::NoHandles);
    explore_all(1, &[1; 4], With::Handles);
    explore_all(1, &[1; 4], With::Cancellation);
}

#[test]
fn behaviours_over_two_cowns() {
    explore_all(2, &[1; 4], With::NoHandles);
    explore_all(2, &[1; 3], With::Handles);
    explore_all(2, &[1; 3], With::Cancellation);
}

#[test]
fn batches_over_one_cown() {
    explore_all(1, &[2, 3], With::NoHandles);
    explore_all(1, &[1, 3, 1], With::NoHandles);
    explore_all(1, &[2, 2], With::Cancellation);
}

#[test]
fn batches_over_two_cowns() {
    explore_all(2, &[2, 2], With::NoHandles);
    explore_all(2, &[1, 2], With::Cancellation);
    explore_all(2, &[2, 1], With::Cancellation);
}
