//! Batches, as the scenarios use them.

use boc_core::Batch;

use crate::{
    forms::How,
    model::{Id, Mode},
    play::{Inside, Nested, Play, Promise},
    values::{Ask, Seen},
};

impl Play {
    pub(crate) fn batch(&self) -> Together {
        let batch = self.world.executor().batch();
        Together { play: self.clone(), batch: Some(batch), ids: Vec::new() }
    }
}

/// A batch.
pub(crate) struct Together {
    play: Play,
    batch: Option<Batch>,
    ids: Vec<Id>,
}

impl Together {
    pub(crate) fn when<N: Nested>(
        &mut self,
        cowns: &[Ask<'_>],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) -> Promise {
        self.over(cowns, &[], body).expect("no cown is named twice")
    }

    /// `None` if the request was refused.
    pub(crate) fn over<N: Nested>(
        &mut self,
        cowns: &[Ask<'_>],
        results: &[&Promise],
        body: impl FnOnce(&Inside, &mut [Seen<'_>]) -> N + Send + 'static,
    ) -> Option<Promise> {
        let batch = self.batch.as_mut().expect("it has not been scheduled");
        let promise =
            self.play.put(How::Batch(batch), cowns, results, Mode::Write, body).ok()??;
        self.ids.push(promise.id);
        Some(promise)
    }

    pub(crate) fn schedule(mut self) {
        let batch = self.batch.take().expect("it is scheduled once");
        assert_eq!(batch.len(), self.ids.len());
        // The model before the engine, as cancelled behaviours may be the end of cowns.
        self.play.scene.model().schedule_batch(&self.ids);
        batch.schedule();
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            // The model before the engine, as this may be the end of cowns.
            self.play.scene.model().drop_batch(&self.ids);
            drop(batch);
        }
    }
}
