//! What the tests need: the checker with its bound, data that shows a race, and counted tokens.

use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use boc_core::{Cown, ExecutorRef, Pump};
use loom::{
    cell::UnsafeCell,
    thread::{self, JoinHandle},
};

/// Explores `program` in all interleavings that pre-empt a thread at most `preemptions` times
/// (`None`: all there are).
///
/// A panic inside of a behaviour stays there, also one of the checker, so every panic is noted and
/// fails the model afterwards.
pub(crate) fn check(
    preemptions: impl Into<Option<usize>>,
    program: impl Fn(&Ledger) + Send + Sync + 'static,
) {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.store(true, SeqCst);
            report(info);
        }));
    });
    PANICKED.store(false, SeqCst);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions.into();
    model.max_branches = 20_000;
    let start = Instant::now();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    model.check(move || {
        count.fetch_add(1, SeqCst);
        let ledger = Ledger::default();
        program(&ledger);
        assert!(!PANICKED.load(SeqCst), "something panicked inside of a behaviour");
        assert_eq!(ledger.0.load(SeqCst), 0, "all closures and values are dropped, once");
    });
    println!("{} interleavings, {:.1?}", runs.load(SeqCst), start.elapsed());
}

/// Nobody holds the cown, or stands in its queue.
#[track_caller]
pub(crate) fn assert_free(pump: &Pump, cown: &Cown<Log>) {
    let probe = pump.executor().when(cown, |_| ());
    pump.run_until_idle();
    assert!(probe.is_finished(), "a cown was never released");
}

/// Counts the tokens that exist.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<AtomicUsize>);

/// Something that must be dropped, once, and not before the thread that made it is done with that.
pub(crate) struct Token {
    ledger: Ledger,
    watched: UnsafeCell<()>,
}

impl Ledger {
    pub(crate) fn token(&self) -> Token {
        self.0.fetch_add(1, SeqCst);
        let watched = UnsafeCell::new(());
        watched.with_mut(|_| ());
        Token { ledger: self.clone(), watched }
    }

    /// A cown with an empty log.
    pub(crate) fn log(&self) -> Cown<Log> {
        Cown::new(Log { entries: UnsafeCell::new(Vec::new()), _token: self.token() })
    }

    /// Several of those, in the order in which a request enters their queues.
    ///
    /// That is the order of their addresses, which differ from run to run; the checker repeats the
    /// beginning of a run and relies on all of it being the same.
    pub(crate) fn logs<const N: usize>(&self) -> [Cown<Log>; N] {
        let mut logs = std::array::from_fn(|_| self.log());
        logs.sort();
        logs
    }
}

impl Token {
    /// Complains if nothing orders this and what else is done to it.
    pub(crate) fn touch(&mut self) {
        self.watched.with_mut(|_| ());
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.watched.with_mut(|_| ());
        let before = self.ledger.0.fetch_sub(1, SeqCst);
        assert!(before > 0, "a token was dropped twice");
    }
}

/// What happened on a cown. All access to it is watched by the checker, its end too.
pub(crate) struct Log {
    entries: UnsafeCell<Vec<u32>>,
    _token: Token,
}

// SAFETY: a shared log is only read, and the checker complains if it is written at the same time.
unsafe impl Sync for Log {}

impl Log {
    pub(crate) fn push(&mut self, entry: u32) {
        // SAFETY: `&mut self`.
        self.entries.with_mut(|entries| unsafe { (*entries).push(entry) });
    }

    pub(crate) fn read(&self) -> Vec<u32> {
        // SAFETY: `&self`, and nobody writes without `&mut self`.
        self.entries.with(|entries| unsafe { (*entries).clone() })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.entries.with_mut(|_| ());
    }
}

/// Another thread, which schedules a behaviour that writes into the log and does not keep its handle.
pub(crate) fn push_elsewhere(cown: &Cown<Log>, entry: u32, token: Token) -> JoinHandle<()> {
    let cown = cown.clone();
    thread::spawn(move || {
        ExecutorRef::inline().when(&cown, move |log| {
            log.push(entry);
            drop(token);
        });
    })
}

/// What a log says after all that was scheduled over it.
pub(crate) fn entries(cown: &Cown<Log>) -> Vec<u32> {
    ExecutorRef::inline().when(cown, |log| log.read()).wait().expect("it has run")
}
