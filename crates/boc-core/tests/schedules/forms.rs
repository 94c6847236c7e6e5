//! The forms in which one and the same request can be written.

use boc_core::{
    Access, Accessed, Acquired, Batch, Cown, DuplicateCown, Handle, Member, Outcome, Request,
    acquire, read,
};

use crate::{
    model::Mode,
    play::{Play, Promise, Work},
    values::{
        Ask::{self, R, W},
        Given, Seen, Value,
    },
};

/// How a behaviour is scheduled.
pub(crate) enum How<'b> {
    When,
    Detached,
    Batch(&'b mut Batch),
}

/// What a closure gets, made into a list in the order of the request.
pub(crate) trait Look<'a> {
    fn look(self, seen: &mut Vec<Seen<'a>>);
}

impl<'a> Look<'a> for &'a mut Value {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        seen.push(Seen::Write(self));
    }
}

impl<'a> Look<'a> for &'a Value {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        seen.push(Seen::Read(self));
    }
}

impl<'a> Look<'a> for Acquired<'a, Value> {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        seen.push(Seen::Acquired(self));
    }
}

impl<'a> Look<'a> for Accessed<'a, Value> {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        seen.push(match self {
            Self::Write(value) => Seen::Write(value),
            Self::Read(value) => Seen::Read(value),
        });
    }
}

impl<'a> Look<'a> for &'a mut Outcome<Given> {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        seen.push(Seen::Result(self));
    }
}

impl<'a> Look<'a> for &'a Outcome<Given> {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        seen.push(Seen::ResultToRead(self));
    }
}

impl<'a> Look<'a> for Accessed<'a, Outcome<Given>> {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        seen.push(match self {
            Self::Write(outcome) => Seen::Result(outcome),
            Self::Read(outcome) => Seen::ResultToRead(outcome),
        });
    }
}

impl<'a, V: Look<'a>> Look<'a> for Vec<V> {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        self.into_iter().for_each(|one| one.look(seen));
    }
}

impl<'a, V: Look<'a>, const N: usize> Look<'a> for [V; N] {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        self.into_iter().for_each(|one| one.look(seen));
    }
}

impl<'a> Look<'a> for () {
    fn look(self, _: &mut Vec<Seen<'a>>) {}
}

impl<'a, A: Look<'a>> Look<'a> for (A,) {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        self.0.look(seen);
    }
}

impl<'a, A: Look<'a>, B: Look<'a>> Look<'a> for (A, B) {
    fn look(self, seen: &mut Vec<Seen<'a>>) {
        self.0.look(seen);
        self.1.look(seen);
    }
}

/// What scheduling returns.
pub(crate) enum Got {
    Handle(Handle<Given>),
    Member(Member<Given>),
    Nothing,
}

type Answer = Result<Got, DuplicateCown>;

/// Schedules `work` over these cowns and results, in one of the forms that there are for them.
pub(crate) fn hand_in(
    play: &Play,
    how: How<'_>,
    cowns: &[Ask<'_>],
    results: &[&Promise],
    results_mode: Mode,
    work: Work,
) -> Answer {
    let on = Place { play, how, work };
    match results {
        [] => hand_in_cowns(on, cowns),
        results if play.one_in(4) => {
            let access: fn(_) -> _ = match results_mode {
                Mode::Write => Access::Write,
                Mode::Read => Access::Read,
            };
            let results: Vec<_> = results.iter().map(|one| access(&one.handle)).collect();
            on.put((accesses(cowns), results))
        }
        results if results_mode == Mode::Read => hand_in_to_read(on, cowns, results),
        [one] if cowns.is_empty() => match play.draw(3) {
            0 => on.put(&one.handle),
            1 => on.put(one.handle.cown()),
            _ => on.put(((), [&one.handle])),
        },
        [one] => match (cowns, play.draw(2)) {
            ([W(a)], 0) => on.put((&a.cown, &one.handle)),
            ([R(a)], 0) => on.put((read(&a.cown), one.handle.cown())),
            _ => on.put((accesses(cowns), &one.handle)),
        },
        [one, two] => match play.draw(2) {
            0 => on.put((accesses(cowns), (&one.handle, &two.handle))),
            _ => on.put((accesses(cowns), [&one.handle, &two.handle])),
        },
        _ => panic!("no scenario wants more results in one request"),
    }
}

fn hand_in_to_read(on: Place<'_, '_>, cowns: &[Ask<'_>], results: &[&Promise]) -> Answer {
    match (cowns, results, on.play.draw(2)) {
        ([], [one], 0) => on.put(read(&one.handle)),
        (_, [one], 0) => on.put((accesses(cowns), read(one.handle.cown()))),
        (_, [one], _) => on.put((accesses(cowns), read(&one.handle))),
        (_, [one, two], 0) => on.put((accesses(cowns), read([&one.handle, &two.handle]))),
        (_, [one, two], _) => on.put((accesses(cowns), (read(&one.handle), read(&two.handle)))),
        _ => panic!("no scenario wants more results in one request"),
    }
}

fn hand_in_cowns(on: Place<'_, '_>, cowns: &[Ask<'_>]) -> Answer {
    let form = on.play.draw(8);
    let reads = cowns.iter().position(|ask| ask.mode() == Mode::Read).unwrap_or(cowns.len());
    let (writing, reading) = cowns.split_at(reads);
    let is_sorted = reading.iter().all(|ask| ask.mode() == Mode::Read);
    match (cowns, form) {
        // These take what others were scheduled with.
        (_, 0) => on.put(accesses(cowns)),
        (_, 1) => on.put(&*accesses(cowns)),
        ([], _) => hand_in_nothing(on, form),
        ([W(a)], 2) => on.put((&a.cown,)),
        ([W(a)], 3) => on.put([&a.cown]),
        ([W(a)], 4) => on.put(&a.cown),
        ([W(a)], _) => on.put(acquire(&a.cown)),
        ([R(a)], 2) => on.put((read(&a.cown),)),
        ([R(a)], 3) => on.put(read([&a.cown])),
        ([R(a)], _) => on.put(read(&a.cown)),
        ([W(a), W(b)], 2) => on.put([&a.cown, &b.cown]),
        ([W(a), W(b)], 3) => on.put((acquire(&a.cown), acquire(&b.cown))),
        ([W(a), W(b)], 4) => on.put((acquire(&a.cown), &b.cown)),
        ([W(a), W(b)], _) => on.put((&a.cown, &b.cown)),
        ([R(a), R(b)], 2) => on.put(read([&a.cown, &b.cown])),
        ([R(a), R(b)], _) => on.put((read(&a.cown), read(&b.cown))),
        ([W(a), R(b)], 2) => on.put((acquire(&a.cown), read(&b.cown))),
        ([W(a), R(b)], _) => on.put((&a.cown, read(&b.cown))),
        ([R(a), W(b)], 2) => on.put((read(&a.cown), acquire(&b.cown))),
        ([R(a), W(b)], _) => on.put((read(&a.cown), &b.cown)),
        ([W(a), W(b), W(c)], 2 | 3) => on.put((&a.cown, [&b.cown, &c.cown])),
        ([R(a), R(b), R(c)], 2 | 3) => on.put((read(&a.cown), read([&b.cown, &c.cown]))),
        _ if !is_sorted => on.put(accesses(cowns)),
        (_, 4 | 5) => on.put((&*list(writing), read(&*list(reading)))),
        _ => on.put((&list(writing), read(&list(reading)))),
    }
}

fn hand_in_nothing(on: Place<'_, '_>, form: usize) -> Answer {
    let none: [Cown<Value>; 0] = [];
    match form {
        2 => on.put(&none),
        3 => on.put(&none[..]),
        4 => on.put(read(&none)),
        5 => on.put((read(&none[..]), ())),
        6 => on.put(&Vec::<Handle<Given>>::new()),
        _ => on.put(()),
    }
}

fn list(cowns: &[Ask<'_>]) -> Vec<Cown<Value>> {
    cowns.iter().map(|ask| ask.shared().cown.clone()).collect()
}

fn accesses<'c>(cowns: &[Ask<'c>]) -> Vec<Access<'c, Cown<Value>>> {
    let access = |ask: &Ask<'c>| match ask {
        W(shared) => Access::Write(&shared.cown),
        R(shared) => Access::Read(&shared.cown),
    };
    cowns.iter().map(access).collect()
}

/// Where a request goes.
struct Place<'p, 'b> {
    play: &'p Play,
    how: How<'b>,
    work: Work,
}

impl Place<'_, '_> {
    fn put<Q>(self, request: Q) -> Answer
    where
        Q: Request,
        for<'a> Q::Held<'a>: Look<'a>,
    {
        let Self { play, how, work } = self;
        match how {
            How::When => play.world.try_when(request, move |held| work.run(held)).map(Got::Handle),
            How::Batch(batch) => {
                batch.try_when(request, move |held| work.run(held)).map(Got::Member)
            }
            How::Detached => {
                let body = move |held: Q::Held<'_>| drop(work.run(held));
                play.world.executor().when_detached(request, body);
                Ok(Got::Nothing)
            }
        }
    }
}
