//! What is in cowns and results, and the handles to it. All that is made is counted when it is dropped,
//! and the model knows of each handle.

use std::sync::Arc;

use boc_core::{Acquired, Cown, Outcome, WeakCown};

use crate::{
    model::{Id, Mode, Number},
    play::{Play, Promise},
    scene::{Scene, Ticket},
};

/// What is in a cown.
pub(crate) struct Value {
    pub(crate) number: Number,
    /// Who wrote it last, and who is writing it.
    pub(crate) last: Option<Id>,
    pub(crate) inside: Option<Id>,
    /// A cown that goes with it.
    pub(crate) inner: Option<Shared>,
    pub(crate) ticket: Ticket,
}

impl Drop for Value {
    fn drop(&mut self) {
        let mut model = self.ticket.scene.model();
        if model.is_alive(self.number) == Some(true) {
            model.complain(format!("the value of cown {} is dropped too early", self.number));
        }
    }
}

/// What a behaviour gives.
pub(crate) struct Given {
    pub(crate) from: Id,
    /// The handle of a behaviour that was scheduled inside.
    pub(crate) nested: Option<Promise>,
    pub(crate) _ticket: Ticket,
}

/// A handle to a cown.
pub(crate) struct Shared {
    pub(crate) number: Number,
    pub(crate) cown: Cown<Value>,
    pub(crate) scene: Arc<Scene>,
}

impl Shared {
    /// Takes over a handle of which the model does not know yet.
    fn adopt(number: Number, cown: Cown<Value>, scene: &Arc<Scene>) -> Self {
        scene.model().refer(number);
        Self { number, cown, scene: Arc::clone(scene) }
    }

    pub(crate) fn downgrade(&self) -> Frail {
        let (number, scene) = (self.number, Arc::clone(&self.scene));
        Frail { number, weak: self.cown.downgrade(), scene }
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        Self::adopt(self.number, self.cown.clone(), &self.scene)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The handle goes after this.
        self.scene.model().unrefer(self.number);
    }
}

/// A weak handle.
pub(crate) struct Frail {
    number: Number,
    weak: WeakCown<Value>,
    scene: Arc<Scene>,
}

impl Frail {
    pub(crate) fn upgrade(&self) -> Option<Shared> {
        let cown = self.weak.upgrade();
        let expected = self.scene.model().is_alive(self.number);
        if expected.is_some_and(|alive| alive != cown.is_some()) {
            let found = if cown.is_some() { "is still there" } else { "is gone already" };
            self.scene.complain(format!("the value of cown {} {found}", self.number));
        }
        cown.map(|cown| Shared::adopt(self.number, cown, &self.scene))
    }
}

impl Clone for Frail {
    fn clone(&self) -> Self {
        let scene = Arc::clone(&self.scene);
        Self { number: self.number, weak: self.weak.clone(), scene }
    }
}

/// One cown of a request, to write or to read.
#[derive(Clone, Copy)]
pub(crate) enum Ask<'c> {
    W(&'c Shared),
    R(&'c Shared),
}

impl<'c> Ask<'c> {
    pub(crate) fn shared(self) -> &'c Shared {
        let (Self::W(shared) | Self::R(shared)) = self;
        shared
    }

    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::W(_) => Mode::Write,
            Self::R(_) => Mode::Read,
        }
    }
}

/// What a behaviour gets for one cown.
pub(crate) enum Seen<'a> {
    Write(&'a mut Value),
    Read(&'a Value),
    Acquired(Acquired<'a, Value>),
    Result(&'a mut Outcome<Given>),
    ResultToRead(&'a Outcome<Given>),
}

impl Seen<'_> {
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Read(_) | Self::ResultToRead(_) => Mode::Read,
            Self::Write(_) | Self::Acquired(_) | Self::Result(_) => Mode::Write,
        }
    }

    /// The value of a cown that is no result.
    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Self::Write(value) => Some(value),
            Self::Read(value) => Some(value),
            Self::Acquired(value) => Some(value),
            Self::Result(_) | Self::ResultToRead(_) => None,
        }
    }

    /// What a behaviour has given, if it is there.
    pub(crate) fn given(&self) -> Option<&Given> {
        match self {
            Self::Result(outcome) => outcome.value(),
            Self::ResultToRead(outcome) => outcome.value(),
            Self::Write(_) | Self::Read(_) | Self::Acquired(_) => None,
        }
    }

    pub(crate) fn writable(&mut self) -> Option<&mut Value> {
        match self {
            Self::Write(value) => Some(value),
            Self::Acquired(value) => Some(value),
            Self::Read(_) | Self::Result(_) | Self::ResultToRead(_) => None,
        }
    }

    /// The cown whose value this is, if it was asked for in the way that tells.
    pub(crate) fn own(&self, play: &Play) -> Option<Shared> {
        let Self::Acquired(value) = self else { return None };
        Some(Shared::adopt(value.number, value.cown().clone(), &play.scene))
    }

    /// Takes what another behaviour has given.
    pub(crate) fn take(&mut self, of: Id, play: &Play) -> Option<Given> {
        let Self::Result(outcome) = self else { panic!("it is no result to write") };
        let outcome = outcome.take();
        play.scene.taken(of, &outcome);
        outcome.ok()
    }
}
