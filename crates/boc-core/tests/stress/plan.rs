//! What the threads of a round do, and the behaviours that they schedule.

use std::{
    panic,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use boc_core::{
    Access, Accessed, Batch, Cown, ExecutorRef, Failure, Handle, Member, Outcome, Request,
    WeakCown,
    raw::{self, Mode},
    read,
};
use fastrand::Rng;

use crate::{
    STUCK,
    world::{Hold, MOST_NAMED, Ticket, Value, World},
};

/// How deep behaviours schedule behaviours that schedule behaviours.
const DEEPEST: usize = 3;

/// What behaviours need to schedule others.
pub(crate) struct Plan {
    pub(crate) world: Arc<World>,
    /// There from the start of the round to its end.
    pub(crate) cowns: Vec<Known>,
    pub(crate) executors: Vec<ExecutorRef>,
    /// How many of 256 cowns in requests are only read.
    pub(crate) reading: u8,
}

/// A cown, and what is noted down of it.
#[derive(Clone)]
pub(crate) struct Known {
    cown: Cown<Value>,
    index: usize,
    record: usize,
}

impl Known {
    /// A new cown. `None` if the round has enough.
    pub(crate) fn new(world: &Arc<World>) -> Option<Self> {
        let value = world.value()?;
        let (index, record) = (value.index, value.record());
        Some(Self { cown: Cown::new(value), index, record })
    }

    fn downgrade(&self) -> KnownWeak {
        KnownWeak { cown: self.cown.downgrade(), index: self.index, record: self.record }
    }
}

#[derive(Clone)]
struct KnownWeak {
    cown: WeakCown<Value>,
    index: usize,
    record: usize,
}

impl KnownWeak {
    fn upgrade(&self, world: &World) -> Option<Known> {
        let cown = self.cown.upgrade();
        if cown.is_none() {
            world.assert_gone(self.index);
        }
        let known = Known { cown: cown?, index: self.index, record: self.record };
        let dropped = world.records[self.record].dropped.load(Relaxed);
        assert_eq!(dropped, 0, "a cown came back without its value");
        Some(known)
    }
}

/// A behaviour that was scheduled, with its record, which is also its value.
#[derive(Clone)]
struct Kept {
    handle: Arc<Handle<usize>>,
    record: usize,
    /// Whether somebody else has the handle, too.
    shared: bool,
}

impl Kept {
    fn new(handle: Handle<usize>, record: usize) -> Self {
        Self { handle: Arc::new(handle), record, shared: false }
    }

    /// For somebody else.
    fn share(&mut self, world: &World) -> Self {
        self.shared = true;
        world.records[self.record].handle.get_or_init(|| Arc::clone(&self.handle));
        self.clone()
    }
}

/// What a behaviour does to what somebody else has in hand.
#[derive(Default)]
struct Errand {
    cancel: Option<Kept>,
    upgrade: Option<KnownWeak>,
}

type Named = Vec<(Known, Mode)>;

fn accesses(named: &Named) -> Vec<Access<'_, Cown<Value>>> {
    named
        .iter()
        .map(|(known, mode)| match mode {
            Mode::Write => Access::Write(&known.cown),
            Mode::Read => Access::Read(&known.cown),
        })
        .collect()
}

/// Where a behaviour is scheduled.
trait Target {
    type Given;

    fn when<Q, F>(self, request: Q, body: F) -> Self::Given
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> usize + Send + 'static;
}

impl Target for &ExecutorRef {
    type Given = Handle<usize>;

    fn when<Q, F>(self, request: Q, body: F) -> Handle<usize>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> usize + Send + 'static,
    {
        ExecutorRef::when(self, request, body)
    }
}

impl Target for &mut Batch {
    type Given = Member<usize>;

    fn when<Q, F>(self, request: Q, body: F) -> Member<usize>
    where
        Q: Request,
        F: for<'a> FnOnce(Q::Held<'a>) -> usize + Send + 'static,
    {
        Batch::when(self, request, body)
    }
}

/// A thread of the round, or the body of a behaviour. What it schedules has an order.
pub(crate) struct Strand<'a> {
    plan: &'a Arc<Plan>,
    rng: Rng,
    strand: usize,
    number: usize,
    /// As in a record.
    parent: usize,
    depth: usize,
    kept: Vec<Kept>,
    weak: Vec<KnownWeak>,
}

impl<'a> Strand<'a> {
    fn new(plan: &'a Arc<Plan>, rng: Rng, parent: usize, depth: usize) -> Self {
        let strand = plan.world.strand();
        let weak = plan.cowns[..1].iter().map(Known::downgrade).collect();
        Self { plan, rng, strand, number: 0, parent, depth, kept: Vec::new(), weak }
    }

    pub(crate) fn thread(plan: &'a Arc<Plan>, rng: Rng) -> Self {
        Self::new(plan, rng, 0, 0)
    }

    fn world(&self) -> &'a Arc<World> {
        &self.plan.world
    }

    fn is_one_in(&mut self, count: usize) -> bool {
        self.rng.usize(..count) == 0
    }

    fn mode(&mut self) -> Mode {
        if self.rng.u8(..) < self.plan.reading { Mode::Read } else { Mode::Write }
    }

    /// Notes down that something takes its place in the order now.
    fn place(&mut self, record: usize) {
        let record = &self.world().records[record];
        record.strand.store(self.strand, Relaxed);
        record.number.store(self.number, Relaxed);
        record.parent.store(self.parent, Relaxed);
        self.number += 1;
    }

    /// Some of the cowns, in any order; twice at the most, and then only to be read.
    fn request(&mut self, from: &[Known]) -> Named {
        let count = self.rng.usize(0..=6.min(from.len()));
        let mut named: Named = self
            .rng
            .choose_multiple(from.iter().cloned(), count)
            .into_iter()
            .map(|known| (known, self.mode()))
            .collect();
        if self.is_one_in(8) {
            let again = named.iter().find(|(_, mode)| *mode == Mode::Read).cloned();
            named.extend(again);
        }
        self.rng.shuffle(&mut named);
        assert!(named.len() < MOST_NAMED);
        named
    }

    /// A cown out of a weak one, if it is still there.
    fn upgraded(&mut self) -> Option<Known> {
        let weak = self.rng.choice(&self.weak)?;
        let upgraded = weak.upgrade(self.world());
        assert!(
            upgraded.is_some() || weak.index >= self.plan.cowns.len(),
            "a weak cown has lost one that is there"
        );
        upgraded
    }

    fn errand(&mut self) -> Errand {
        let mut errand = Errand::default();
        if self.is_one_in(4)
            && let Some(kept) = self.rng.choice(&mut self.kept)
        {
            errand.cancel = Some(kept.share(&self.plan.world));
        }
        if self.is_one_in(4) {
            errand.upgrade = self.rng.choice(&self.weak).cloned();
        }
        errand
    }

    /// Schedules a behaviour. `None` if the round has enough of them.
    fn one(&mut self) -> Option<Kept> {
        let mut named = self.request(&self.plan.cowns);
        if self.is_one_in(4)
            && let Some(upgraded) = self.upgraded()
            && named.iter().all(|(known, _)| known.index != upgraded.index)
        {
            named.push((upgraded, self.mode()));
        }
        let errand = self.errand();
        self.over(&named, errand)
    }

    /// Schedules a behaviour over these cowns.
    fn over(&mut self, named: &Named, errand: Errand) -> Option<Kept> {
        let ticket = self.world().ticket()?;
        let record = ticket.record;
        self.place(record);
        let which = self.rng.usize(..self.plan.executors.len());
        let target = &self.plan.executors[which];
        let handle = self.hand_in(target, which, ticket, named, errand);
        Some(Kept::new(handle, record))
    }

    /// Hands a behaviour to an executor or a batch, over some cowns and sometimes a result.
    fn hand_in<T: Target>(
        &mut self,
        target: T,
        which: usize,
        mut ticket: Ticket,
        named: &Named,
        errand: Errand,
    ) -> T::Given {
        let record = ticket.record;
        let result = if self.rng.bool() { self.kept.last().cloned() } else { None };
        ticket.enter(named.iter().map(|(known, _)| known.index));
        self.world().records[record].executor.store(which + 1, Relaxed);
        self.world().scheduled[which].fetch_add(1, Relaxed);
        let body = self.body(ticket, errand);
        let accesses = accesses(named);
        let (plan, takes) = (Arc::clone(self.plan), self.rng.bool());
        match result {
            None => target.when(accesses, move |mut values| body(&mut values)),
            Some(Kept { handle, record, .. }) if self.rng.bool() => {
                target.when((accesses, read(&*handle)), move |(mut values, outcome)| {
                    plan.check_value(outcome, record);
                    body(&mut values)
                })
            }
            Some(Kept { handle, record, .. }) => {
                target.when((accesses, &*handle), move |(mut values, outcome)| {
                    plan.check_value(outcome, record);
                    if takes {
                        // Whoever comes later finds it taken.
                        plan.check(&outcome.take(), record);
                    }
                    body(&mut values)
                })
            }
        }
    }

    /// What a behaviour does.
    fn body(
        &mut self,
        ticket: Ticket,
        errand: Errand,
    ) -> impl FnOnce(&mut [Accessed<'_, Value>]) -> usize + Send + 'static {
        let plan = Arc::clone(self.plan);
        let rng = Rng::with_seed(self.rng.u64(..));
        let depth = self.depth + 1;
        move |values| {
            ticket.ran();
            let _hold = Hold::new(&plan.world, values, ticket.record);
            let mut strand = Strand::new(&plan, rng, ticket.record + 1, depth);
            if let Some(victim) = errand.cancel {
                plan.cancel(&victim);
            }
            if let Some(weak) = errand.upgrade {
                let upgraded = weak.upgrade(&plan.world).is_some();
                let holds = values.iter().any(|value| value.index == weak.index);
                assert!(upgraded || !holds, "a weak cown has lost one that is held");
                strand.weak.push(weak);
            }
            let children = if depth <= DEEPEST { strand.rng.usize(0..3) } else { 0 };
            for _ in 0..children {
                match strand.rng.usize(0..8) {
                    0 => strand.batch(),
                    1 => strand.cancel_one(),
                    _ => {
                        let kept = strand.one();
                        strand.kept.extend(kept);
                    }
                }
            }
            (0..strand.rng.usize(0..200)).for_each(|_| std::hint::spin_loop());
            if strand.rng.u8(..) < 10 {
                // Unlike `panic!`, it does not call the hook that tells of a check that failed.
                panic::resume_unwind(Box::new("drawn"));
            }
            ticket.record
        }
    }

    /// Schedules a batch over a few cowns, or drops it.
    fn batch(&mut self) {
        let batch_number = self.world().batch();
        let which = self.rng.usize(..self.plan.executors.len());
        let mut batch = self.plan.executors[which].batch();
        let few = self.rng.usize(1..=3);
        let mut few = self.rng.choose_multiple(self.plan.cowns.iter().cloned(), few);
        few.extend(self.upgraded().filter(|known| known.index >= self.plan.cowns.len()));
        let mut members = Vec::new();
        for _ in 0..self.rng.usize(2..=4) {
            let Some(ticket) = self.world().ticket() else { break };
            let record = ticket.record;
            self.world().records[record].batch.store(batch_number, Relaxed);
            let named = self.request(&few);
            let errand = self.errand();
            members.push((self.hand_in(&mut batch, which, ticket, &named, errand), record));
            if self.is_one_in(8) {
                // Comes before the batch, as it is scheduled before.
                let errand = self.errand();
                let named = self.request(&few);
                self.over(&named, errand);
            }
        }
        if self.is_one_in(4) {
            let records = &self.world().records;
            members
                .iter()
                .for_each(|(_, record)| records[*record].unscheduled.store(true, Relaxed));
            drop(batch);
            for (_, record) in members {
                assert_eq!(records[record].dropped.load(Relaxed), 1);
            }
        } else {
            members.iter().for_each(|(_, record)| self.place(*record));
            let scheduled = batch.schedule();
            let kept = |(member, record)| Kept::new(scheduled.handle(member), record);
            self.kept.extend(members.into_iter().map(kept));
        }
    }

    fn cancel_one(&mut self) {
        if let Some(kept) = self.rng.choice(&self.kept) {
            self.plan.cancel(kept);
        }
    }

    /// What a thread does that schedules.
    pub(crate) fn run(mut self, count: usize) {
        for _ in 0..count {
            match self.rng.usize(0..24) {
                0 => self.claim(),
                1 => self.refused(),
                2 => self.short_lived(),
                3 | 4 => self.batch(),
                5..9 => self.cancel_one(),
                _ => {
                    let Some(kept) = self.one() else { break };
                    match self.rng.usize(0..4) {
                        0 => drop(kept),
                        1 => self.wait_a_little(kept),
                        _ => self.kept.push(kept),
                    }
                }
            }
        }
        drop(self.weak);
        for kept in self.kept {
            self.plan.wait(kept);
        }
    }

    /// A cown that only behaviours keep, in the end.
    fn short_lived(&mut self) {
        let Some(known) = Known::new(self.world()) else { return };
        let weak = known.downgrade();
        for _ in 0..self.rng.usize(0..4) {
            let mut named = self.request(&self.plan.cowns);
            let mode = self.mode();
            named.push((known.clone(), mode));
            let upgrade = Some(weak.clone()).filter(|_| self.rng.bool());
            let errand = Errand { upgrade, ..self.errand() };
            let kept = self.over(&named, errand);
            self.kept.extend(kept);
        }
        assert!(weak.upgrade(self.world()).is_some(), "a weak cown has lost one that is there");
        drop(known);
        for _ in 0..self.rng.usize(0..4) {
            drop(weak.upgrade(self.world()));
        }
        self.weak.push(weak);
    }

    /// Holds some cowns outside of a behaviour, or gives up.
    fn claim(&mut self) {
        let Some(ticket) = self.world().ticket() else { return };
        let named = self.request(&self.plan.cowns);
        let access =
            |(known, mode): &(Known, Mode)| raw::Access { cown: (&known.cown).into(), mode: *mode };
        let pointers: Vec<_> = named.iter().map(access).collect();
        self.place(ticket.record);
        // SAFETY: `named` keeps them alive.
        let claim =
            unsafe { raw::claim(&pointers) }.expect("no cown is written that is there twice");
        if claim.wait(Some(Instant::now() + Duration::from_micros(self.rng.u64(0..200)))) {
            ticket.ran();
            // SAFETY: the claim holds the cowns in these modes, none that is written twice.
            let value = |(known, mode): &(Known, Mode)| unsafe {
                match mode {
                    Mode::Write => Accessed::Write(&mut *raw::value_ptr(&known.cown)),
                    Mode::Read => Accessed::Read(&*raw::value_ptr(&known.cown)),
                }
            };
            let mut values: Vec<_> = named.iter().map(value).collect();
            drop(Hold::new(self.world(), &mut values, ticket.record));
        }
        drop(claim);
    }

    /// Names a cown twice that is written.
    fn refused(&mut self) {
        let Some(ticket) = self.world().ticket() else { return };
        let record = ticket.record;
        let mut named = self.request(&self.plan.cowns);
        let again = self.rng.choice(&self.plan.cowns).expect("there is a cown").clone();
        let mode = self.mode();
        named.push((again.clone(), mode));
        named.push((again, Mode::Write));
        self.rng.shuffle(&mut named);
        let which = self.rng.usize(..self.plan.executors.len());
        let executor = &self.plan.executors[which];
        let body = move |_: Vec<Accessed<'_, Value>>| ticket.ran();
        let handle = if self.rng.bool() {
            executor.try_when(accesses(&named), body)
        } else {
            let mut batch = executor.batch();
            let member = batch.try_when(accesses(&named), body);
            let scheduled = batch.schedule();
            member.map(|member| scheduled.handle(member))
        };
        if let Ok(handle) = handle {
            // An executor that takes nothing any more does not look at the request.
            assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        }
        assert_eq!(self.world().records[record].dropped.load(Relaxed), 1);
    }

    fn wait_a_little(&mut self, mut kept: Kept) {
        // Nobody else has it yet.
        let handle = Arc::into_inner(kept.handle).expect("the handle is new");
        match handle.wait_timeout(Duration::from_micros(self.rng.u64(0..200))) {
            Ok(outcome) => self.plan.check(&outcome, kept.record),
            Err(handle) => {
                kept.handle = Arc::new(handle);
                self.kept.push(kept);
            }
        }
    }
}

impl Plan {
    fn cancel(&self, kept: &Kept) {
        if kept.handle.cancel() {
            let record = &self.world.records[kept.record];
            assert_eq!(record.cancelled.fetch_add(1, Relaxed), 0, "cancelled twice");
            assert_eq!(record.ran.load(Relaxed), 0, "cancelled, but it ran");
            assert_eq!(record.dropped.load(Relaxed), 1, "cancelled, but the closure is there");
            assert!(kept.handle.is_finished());
        }
    }

    fn wait(&self, kept: Kept) {
        if kept.shared {
            let give_up = Instant::now() + STUCK;
            while !kept.handle.is_finished() {
                assert!(Instant::now() < give_up, "a behaviour that never ends");
                thread::sleep(Duration::from_micros(50));
            }
        } else {
            let handle = Arc::into_inner(kept.handle).expect("nobody else has it");
            let outcome = handle.wait_timeout(STUCK).expect("a behaviour that never ends");
            self.check(&outcome, kept.record);
        }
    }

    /// Holds what was said of a behaviour's end against what was counted.
    fn check(&self, outcome: &Result<usize, Failure>, record: usize) {
        let ran = self.world.records[record].ran.load(Relaxed);
        match outcome {
            Ok(value) => assert_eq!((*value, ran), (record, 1)),
            Err(Failure::Cancelled) => assert_eq!(ran, 0, "cancelled, but it ran"),
            Err(Failure::Panicked(_) | Failure::Taken) => assert_eq!(ran, 1),
            Err(other) => panic!("nobody did that: {other}"),
        }
    }

    /// The same by who only looks.
    fn check_value(&self, outcome: &Outcome<usize>, record: usize) {
        if let Some(value) = outcome.value() {
            self.check(&Ok(*value), record);
        }
    }
}
