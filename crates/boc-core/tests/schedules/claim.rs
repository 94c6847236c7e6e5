//! Cowns that are held outside of behaviours, as the scenarios do it.

use std::time::{Duration, Instant};

use boc_core::raw;

use crate::{
    model::{Ending, Id, Mode},
    play::Play,
    scene::Scene,
    values::{Ask, Seen, Shared},
};

impl Play {
    pub(crate) fn claim(&self, cowns: &[Ask<'_>]) -> Held {
        let id = {
            let asks = cowns.iter().map(|ask| (ask.shared().number, ask.mode())).collect();
            self.scene.model().prepare(asks, true)
        };
        let accesses: Vec<_> = cowns
            .iter()
            .map(|ask| {
                let mode = match ask.mode() {
                    Mode::Write => raw::Mode::Write,
                    Mode::Read => raw::Mode::Read,
                };
                raw::Access { cown: (&ask.shared().cown).into(), mode }
            })
            .collect();
        // SAFETY: `cowns` keeps them alive.
        let claim = unsafe { raw::claim(&accesses) };
        let mut model = self.scene.model();
        model.judged(id, claim.is_err());
        model.schedule(id);
        drop(model);
        let cowns = cowns.iter().map(|ask| (ask.shared().clone(), ask.mode())).collect();
        let claim = Some(claim.expect("no cown is named twice"));
        Held { play: self.clone(), id, cowns, claim, held: false }
    }
}

/// Cowns that a thread holds, or waits for.
pub(crate) struct Held {
    play: Play,
    id: Id,
    cowns: Vec<(Shared, Mode)>,
    claim: Option<raw::Claim>,
    held: bool,
}

impl Held {
    /// Waits for the cowns; with a limit it may be that they do not come.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> bool {
        let claim = self.claim.as_ref().expect("it has not been dropped");
        let held = claim.wait(limit.map(|limit| Instant::now() + limit));
        if held && !self.held {
            self.held = true;
            self.with_values(|scene, id, seen| scene.enter(id, seen));
        }
        held
    }

    fn with_values(&self, f: impl FnOnce(&Scene, Id, &mut [Seen<'_>])) {
        let seen = |(cown, mode): &(Shared, Mode)| {
            let value = raw::value_ptr(&cown.cown);
            // SAFETY: the claim holds the cown, to write if that is its mode, and no cown twice.
            unsafe {
                match mode {
                    Mode::Write => Seen::Write(&mut *value),
                    Mode::Read => Seen::Read(&*value),
                }
            }
        };
        let mut seen: Vec<_> = self.cowns.iter().map(seen).collect();
        f(&self.play.scene, self.id, &mut seen);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.held {
            self.with_values(|scene, id, seen| scene.leave(id, seen, Ending::Value));
        } else {
            self.play.scene.model().cancel(self.id);
        }
        drop(self.claim.take());
    }
}
