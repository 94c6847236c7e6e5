//! The threads of a pool whose workers have interpreters of their own.

use boc_core::{Host, Runtime};
use pyo3_ffi as ffi;
use std::{
    cell::{Cell, RefCell},
    ffi::c_ulong,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    interrupt,
    life::{self, Life, Settings},
    living,
    reserve::{self, Next},
};
use crate::{
    error::{self, Raised, Result},
    interpreter::{Interpreter, where_now},
    mail::{self, Letter},
    object::{self, Object},
    orphan,
    parcel::Parcel,
    patience, threads, watched,
};

/// The workers of a pool.
pub struct Crew {
    runtime: Arc<Runtime>,
    settings: Settings,
    workers: usize,
    state: Mutex<State>,
    /// Told when the state has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Those whose interpreter is there: which one it is, and the identifier of its thread.
    working: Vec<(usize, c_ulong, &'static Interpreter)>,
    /// How many have ended.
    ended: usize,
    /// Why one could not begin.
    failure: Option<String>,
}

thread_local! {
    static MINE: RefCell<Option<Member>> = const { RefCell::new(None) };
    /// Whether the body has begun a line that was not sent on.
    static IN_A_LINE: Cell<bool> = const { Cell::new(false) };
    /// Which worker this thread is, of the pool that it serves.
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

/// All crews, some of which may have ended.
static CREWS: Mutex<Vec<Weak<Crew>>> = Mutex::new(Vec::new());

pub(super) fn crews() -> MutexGuard<'static, Vec<Weak<Crew>>> {
    threads::locked(&CREWS)
}

/// One of a crew, on its thread.
struct Member {
    crew: Arc<Crew>,
    index: usize,
    /// None after a fork, if it could not be had again.
    life: Option<Life>,
}

impl Crew {
    /// Starts the workers, and waits until their interpreters are there. `path` and `settings` are objects of
    /// the main interpreter: `sys.path`, and what `boc._worker.prepare` gets.
    ///
    /// Raises a `RuntimeError` if one of them could not begin; then there are none.
    pub fn start(
        runtime: Arc<Runtime>,
        workers: usize,
        path: Parcel,
        settings: Parcel,
    ) -> Result<Arc<Self>> {
        let crew = Arc::new(Self {
            runtime,
            settings: Settings { path, rest: settings },
            workers,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut all = crews();
        all.retain(|crew| crew.strong_count() > 0);
        all.push(Arc::downgrade(&crew));
        drop(all);
        let resting = reserve::call_up(&crew, workers);
        for index in resting..workers {
            let member = Arc::clone(&crew);
            let thread = thread::Builder::new().name("boc-worker".to_owned());
            match thread.stack_size(STACK).spawn(move || live(member, index)) {
                Ok(thread) => reserve::remember(thread),
                Err(error) => {
                    let mut state = crew.state();
                    state.failure = Some(format!("the system has no thread for it: {error}"));
                    state.ended += workers - index;
                    break;
                }
            }
        }
        let ready = |state: &State| state.working.len() + state.ended >= workers;
        let waited = patience::wait(None, |until| crew.wait(until, ready));
        let failure = crew.state().failure.take();
        let outcome = match (waited, failure) {
            (Err(raised), _) => Err(raised),
            (Ok(_), Some(why)) => Err(error::runtime_error(format!(
                "a worker could not start: {}; boc.start(backend=\"direct\") needs no interpreters",
                why.trim_end()
            ))),
            (Ok(_), None) => return Ok(crew),
        };
        // Nobody knows of them but this, so none must be left when this returns.
        threads::detached(|| {
            crew.runtime.stop();
            crew.wait(None, |state| state.ended >= workers);
        });
        outcome
    }

    /// Wakes those that sleep.
    pub(super) fn wake(&self) {
        self.runtime.wake_workers();
    }

    /// Nothing that runs Python code, or waits, is done while this is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `what` holds; says whether it does. Not attached.
    fn wait(&self, until: Option<Instant>, what: impl Fn(&State) -> bool) -> bool {
        threads::wait_until(self.state(), &self.changed, until, what)
    }

    /// One of the workers of this pool, until the pool has ended. Gives the interpreter back.
    fn serve(self: Arc<Self>, index: usize, life: Option<Life>) -> Option<Life> {
        INDEX.set(index);
        let begun = match life {
            None => Life::begin(&self.settings),
            Some(life) => life.begin_again(&self.settings),
        };
        match begun {
            Ok(life) => {
                self.begun(index, &life);
                let (crew, runtime) = (Arc::clone(&self), Arc::clone(&self.runtime));
                MINE.set(Some(Member { crew, index, life: Some(life) }));
                // The runtime has a place for each of them.
                let _ = runtime.run_worker(&mut Parking);
                MINE.take().and_then(|member| member.life)
            }
            Err(why) => {
                self.state().failure.get_or_insert(why);
                None
            }
        }
    }

    fn begun(&self, index: usize, life: &Life) {
        // SAFETY: asks for nothing.
        let ident = unsafe { ffi::PyThread_get_thread_ident() };
        self.state().working.push((index, ident, life.interpreter()));
        self.changed.notify_all();
    }

    /// A worker does not serve here any more.
    fn ended(&self, index: usize) {
        let mut state = self.state();
        state.working.retain(|(working, ..)| *working != index);
        state.ended += 1;
        self.changed.notify_all();
    }

    /// Waits until all workers have ended; says whether they have.
    pub fn join(&self, timeout: Option<f64>) -> Result<bool> {
        let all_ended = |state: &State| state.ended >= self.workers;
        patience::wait(patience::deadline(timeout), |until| self.wait(until, all_ended))
    }

    /// Raises `SystemExit` in all workers that have not ended; gives their names.
    pub fn interrupt(self: &Arc<Self>) -> Vec<String> {
        self.visit_working(interrupt::raise_in)
    }

    /// Raises it again and again in those that still have not, whatever they catch.
    pub fn insist(self: &Arc<Self>) {
        self.visit_working(|_| interrupt::insist());
    }

    /// Does something in the interpreters of those workers that have not ended, with the identifier of the worker's
    /// thread; gives their names.
    fn visit_working(self: &Arc<Self>, act: fn(c_ulong)) -> Vec<String> {
        let working = self.state().working.clone();
        for &(index, ident, interpreter) in &working {
            let crew = Arc::clone(self);
            // On a thread of its own, since an interpreter that does not let go of its lock would keep it.
            let visitor = thread::Builder::new().spawn(move || {
                interpreter.visit(|| {
                    if crew.state().working.iter().any(|(working, ..)| *working == index) {
                        act(ident);
                    }
                });
            });
            drop(visitor);
        }
        working.iter().map(|(index, ..)| name_of(*index)).collect()
    }

    /// On a worker, which waits without an interpreter until the pause is over.
    #[cold]
    fn pause_here(&self, index: usize, mut life: Option<Life>) -> Option<Life> {
        while living::is_paused() {
            if let Some(life) = life.take() {
                self.state().working.retain(|(working, ..)| *working != index);
                life.end();
            }
            match Life::begin(&self.settings) {
                Ok(begun) => {
                    self.begun(index, &begun);
                    life = Some(begun);
                }
                Err(why) => {
                    // Until the end of the pool this worker's behaviours run in the main interpreter.
                    let why = format!("a worker has lost its interpreter at a fork: {why}");
                    mail::post(Letter::Say("boc._unseen", c"complain", why));
                    break;
                }
            }
        }
        life
    }
}

/// What the thread of a worker does all its life, of which this is the first pool.
fn live(crew: Arc<Crew>, index: usize) {
    let mut life = None;
    let mut next = Next::Serve(crew, index);
    loop {
        match next {
            Next::Serve(crew, index) => {
                life = Arc::clone(&crew).serve(index, life);
                if life.is_none() {
                    return crew.ended(index);
                }
                // Before the pool knows, so that the next one finds it.
                reserve::add();
                crew.ended(index);
                // Nobody interrupts it from here on, and what comes now, such as to wait for the threads of
                // the program, has to be done.
                interrupt::take_back();
            }
            Next::End => break,
        }
        next = life::rest(reserve::next);
    }
    if let Some(life) = life {
        life.end();
    }
    reserve::ended();
}

/// Ends the interpreters that are kept for the next pool, and waits for that; says whether they have ended. Waits no
/// longer if none has ended for as long as `timeout`.
pub fn end_resting(timeout: Option<f64>) -> Result<bool> {
    reserve::end_all();
    loop {
        let left = reserve::ending();
        if patience::wait(patience::deadline(timeout), reserve::wait)? {
            return Ok(true);
        }
        if reserve::ending() == left {
            return Ok(false);
        }
    }
}

/// Imports a module in the interpreter of a worker; says why it cannot be imported there, which is nothing if it
/// can. `None` if there is no such interpreter now.
///
/// Raises what a signal handler raises meanwhile; the import goes on then.
pub fn try_import(name: &str) -> Result<Option<String>> {
    let crews: Vec<_> = crews().iter().filter_map(Weak::upgrade).collect();
    let first =
        |crew: &Arc<Crew>| crew.state().working.first().map(|&(.., interpreter)| interpreter);
    let Some(interpreter) = crews.iter().find_map(first) else { return Ok(None) };
    let (name, (answer, answered)) = (name.to_owned(), mpsc::channel());
    let import = move || {
        let why_not = || {
            let name = Object::str(&name)?;
            Ok(object::call("boc._importable", c"why_not", [&name])?.text())
        };
        let why_not = || why_not().unwrap_or_else(|raised: Raised| raised.take().text());
        // Nobody waits for it any more after Ctrl-C.
        let _ = answer.send(interpreter.visit(why_not));
    };
    // On a thread of its own, so that Ctrl-C is answered whatever the module does.
    if thread::Builder::new().stack_size(STACK).spawn(import).is_err() {
        return Ok(None);
    }
    let why_not = Cell::new(None);
    patience::wait(None, |until| {
        let left = until.map_or(Duration::MAX, |until| until - Instant::now());
        match answered.recv_timeout(left) {
            Ok(answer) => why_not.set(answer),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => {}
        }
        true
    })?;
    Ok(why_not.take())
}

/// Like those of Python's own threads, on most systems.
const STACK: usize = 8 << 20;

/// What the worker is called that this thread is.
pub(crate) fn name() -> String {
    name_of(INDEX.get())
}

fn name_of(index: usize) -> String {
    format!("boc-worker-{index}")
}

/// To be called before each behaviour.
pub(crate) fn before_behaviour() {
    pause_if_wanted();
    let is_there = MINE.with_borrow(|mine| {
        let Some(Member { life: Some(life), .. }) = mine else { return false };
        life.interpreter().release_given_up();
        true
    });
    if is_there {
        watched::adapt();
    }
}

/// Has [`after_behaviour`] send on what was said.
pub(crate) fn flush_after_behaviour() {
    IN_A_LINE.set(true);
}

/// To be called behind each body, before anybody hears of its end. No exception is set.
pub(crate) fn after_behaviour() {
    if IN_A_LINE.get() {
        IN_A_LINE.set(false);
        if let Err(raised) = object::call("boc._worker", c"flush", []) {
            raised.write_unraisable();
        }
    }
}

fn pause_if_wanted() {
    if living::is_paused()
        && let Some(mut member) = MINE.take()
    {
        member.life = member.crew.pause_here(member.index, member.life);
        MINE.set(Some(member));
    }
}

/// How a worker sleeps.
struct Parking;

impl Host for Parking {
    fn park(&mut self, wait: &mut dyn FnMut()) {
        orphan::end_if_outermost();
        pause_if_wanted();
        let interpreter =
            MINE.with_borrow(|mine| mine.as_ref()?.life.as_ref().map(Life::interpreter));
        match interpreter {
            Some(interpreter) if where_now().is_worker() => life::park(interpreter, wait),
            _ => wait(),
        }
    }
}
