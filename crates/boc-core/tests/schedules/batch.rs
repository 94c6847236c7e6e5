//! Batches, as the scenarios use them.

use boc_core::Batch;

use crate::{
    forms::How,
    model::{Id, Mode},
    play::{Added, Inside, Nested, Play, Promise},
    values::{Ask, Seen},
};

impl Play {
    pub(crate) fn batch(&self) -> Together {
        let batch = self.world.executor().batch();
        Together { play: self.clone(), batch: Some(batch), members: Vec::new() }
    }
}

/// A batch.
pub(crate) struct Together {
    play: Play,
    batch: Option<Batch>,
    members: Vec<Added>,
}

impl Together {
    pub(crate) fn when<N: Nested>(
        &mut self,
        cowns: &[Ask<'_>],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) {
        let before = self.members.len();
        self.over(cowns, &[], body);
        assert!(self.members.len() > before, "no cown is named twice");
    }

    /// Nothing comes of it if the request is refused.
    pub(crate) fn over<N: Nested>(
        &mut self,
        cowns: &[Ask<'_>],
        results: &[&Promise],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) {
        let batch = self.batch.as_mut().expect("it has not been scheduled");
        let put = self.play.put(How::Batch(batch), cowns, results, Mode::Write, body);
        self.members.extend(put.ok().map(|put| put.added()));
    }

    pub(crate) fn schedule(mut self) -> Vec<Promise> {
        let batch = self.batch.take().expect("it is scheduled once");
        assert_eq!(batch.len(), self.members.len());
        // The model before the engine, as cancelled behaviours may be the end of cowns.
        self.play.scene.model().schedule_batch(&self.ids());
        let scheduled = batch.schedule();
        self.members.drain(..).map(|member| member.promise(scheduled)).collect()
    }

    fn ids(&self) -> Vec<Id> {
        self.members.iter().map(|member| member.id).collect()
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            // The model before the engine, as this may be the end of cowns.
            self.play.scene.model().drop_batch(&self.ids());
            drop(batch);
            self.members.iter().for_each(|one| self.play.assert_gone(one.id, one.closure));
        }
    }
}
