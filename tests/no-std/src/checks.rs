//! What has to hold. A check that fails panics, which ends the program.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    array, mem,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use boc_core::{Cown, DuplicateCown, ExecutorRef, Failure, Handle, Pump};

use crate::{lanes::Lanes, machine::say};

/// Each promise, and what checks it.
pub const ALL: &[(&str, fn())] = &[
    ("behaviours over one cown run in the order in which they were scheduled", order),
    ("behaviours over several cowns hold them all at once", several_cowns),
    ("a request names each cown once", duplicates),
    ("behaviours schedule behaviours", behaviours_that_schedule),
    ("a behaviour over a handle sees the outcome of the one before", handles),
    ("what a pump has not run is cancelled when it goes", cancellation),
    ("an executor of the program's own decides what runs first", priorities),
    ("behaviours of different executors share cowns", two_executors),
    ("a value is gone when its last handle has been dropped", prompt_ends),
    ("a long chain of cowns ends on a low stack", long_chain),
    ("a wide tree of cowns ends on a low stack", wide_tree),
    ("a long queue is cancelled on a low stack", long_queue),
];

/// Takes the value of a behaviour that has run, or is about to.
fn outcome<R: Send + 'static>(pump: &Pump, handle: Handle<R>) -> Result<R, Failure> {
    let (taken, take) = shared(None);
    pump.executor().when(&handle, move |outcome| *take.lock() = Some(outcome.take()));
    pump.run_until_idle();
    assert!(handle.is_finished());
    let outcome = taken.lock().take();
    outcome.expect("the pump has run what was scheduled")
}

/// Something for a behaviour to write to, and for a check to read.
fn shared<T>(value: T) -> (Arc<spin::Mutex<T>>, Arc<spin::Mutex<T>>) {
    let one = Arc::new(spin::Mutex::new(value));
    (Arc::clone(&one), one)
}

fn order() {
    let pump = Pump::new();
    let log = Cown::new(Vec::new());
    for n in 0..1_000 {
        pump.executor().when(&log, move |log| log.push(n));
    }
    assert_eq!(pump.run_until_idle(), 1_000);
    let log = outcome(&pump, pump.executor().when(&log, mem::take)).unwrap();
    assert!(log.iter().copied().eq(0..1_000));
}

fn several_cowns() {
    const ACCOUNTS: usize = 8;
    let pump = Pump::new();
    let accounts: [Cown<i64>; ACCOUNTS] = array::from_fn(|_| Cown::new(100));
    for n in 0..10_000 {
        // Every pair, in both orders.
        let from = n % ACCOUNTS;
        let to = (from + 1 + n / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS;
        pump.executor().when((&accounts[from], &accounts[to]), move |(from, to)| {
            let amount = (n % 50) as i64;
            *from -= amount;
            *to += amount;
        });
    }
    let sum = |held: &[&mut i64]| held.iter().map(|account| **account).sum::<i64>();
    let total = pump.executor().when(&accounts, move |held| sum(&held));
    let half = pump
        .executor()
        .when((&accounts[..4], &accounts[4..]), move |(low, high)| (sum(&low), sum(&high)));
    assert_eq!(outcome(&pump, total).unwrap(), 100 * ACCOUNTS as i64);
    let (low, high) = outcome(&pump, half).unwrap();
    assert_eq!(low + high, 100 * ACCOUNTS as i64);
}

fn duplicates() {
    let pump = Pump::new();
    let (one, other) = (Cown::new(1), Cown::new(2));
    let twice = pump.executor().try_when((&one, &other, &one), |_| ());
    assert_eq!(twice.map(|_| ()), Err(DuplicateCown));
    assert_eq!(pump.run_until_idle(), 0);
}

fn behaviours_that_schedule() {
    /// Counts down, one behaviour for each number.
    fn count_down(executor: &ExecutorRef, left: &Cown<u32>) {
        let (again, same) = (executor.clone(), left.clone());
        executor.when(left, move |left| {
            *left -= 1;
            if *left > 0 {
                count_down(&again, &same);
            }
        });
    }
    let pump = Pump::new();
    let left = Cown::new(10_000);
    count_down(pump.executor(), &left);
    assert_eq!(pump.run_until_idle(), 10_000);
    assert_eq!(outcome(&pump, pump.executor().when(&left, |left| *left)).unwrap(), 0);
}

fn handles() {
    let pump = Pump::new();
    let executor = pump.executor();
    let first = executor.when((), |()| 20);
    let second = executor.when(&first, |first| first.value().map(|n| n + 1));
    let cown = Cown::new(2);
    let third = executor
        .when((&second, &cown), |(second, factor)| second.take().map(|n| n.map(|n| n * *factor)));
    assert!(!third.is_finished());
    assert_eq!(outcome(&pump, third).unwrap().unwrap(), Some(42));
    assert!(matches!(outcome(&pump, second), Err(Failure::Taken)));
    assert_eq!(outcome(&pump, first).unwrap(), 20);
}

fn cancellation() {
    let (pump, other) = (Pump::new(), Pump::new());
    let token = Arc::new(());
    let cown = Cown::new(0);
    let closures = [Arc::clone(&token), Arc::clone(&token)];
    let [first, second] = closures.map(|token| pump.executor().when(&cown, move |_| drop(token)));
    let executor = pump.executor().clone();
    drop(pump);
    assert_eq!(Arc::strong_count(&token), 1);
    let late = executor.when(&cown, |_| ());
    for handle in [first, second, late] {
        assert!(matches!(outcome(&other, handle), Err(Failure::Cancelled)));
    }
    // The cown is free again.
    assert_eq!(outcome(&other, other.executor().when(&cown, |n| *n)).unwrap(), 0);
}

fn priorities() {
    let lanes = Lanes::new();
    let (seen, see) = shared(Vec::new());
    let when = |executor: &ExecutorRef, cown: &Cown<()>, name| {
        let see = Arc::clone(&see);
        executor.when(cown, move |()| see.lock().push(name));
    };
    let [a, b, c] = [(), (), ()].map(Cown::new);
    when(&lanes.ordinary, &a, "a, ordinary");
    when(&lanes.ordinary, &b, "b, ordinary");
    when(&lanes.urgent, &c, "c, urgent");
    // Is not ready before the first one has run, and then goes before the second one.
    when(&lanes.urgent, &a, "a, urgent");
    assert_eq!(lanes.run(), 4);
    assert_eq!(*seen.lock(), ["c, urgent", "a, ordinary", "a, urgent", "b, ordinary"]);

    when(&lanes.ordinary, &a, "never");
    when(&lanes.urgent, &a, "never");
    drop(lanes);
    assert_eq!(seen.lock().len(), 4);
}

fn two_executors() {
    let (pump, lanes) = (Pump::new(), Lanes::new());
    let shared = Cown::new(0);
    let mine = Cown::new(0);
    for n in 0..1_000 {
        let executor = if n % 2 == 0 { pump.executor() } else { &lanes.ordinary };
        executor.when((&shared, &mine), move |(shared, mine)| {
            assert_eq!(*shared, n);
            *shared += 1;
            *mine += 1;
        });
    }
    let mut ran = 0;
    while ran < 1_000 {
        ran += usize::from(pump.run_one());
        ran += lanes.run();
    }
    assert_eq!(outcome(&pump, pump.executor().when(&shared, |n| *n)).unwrap(), 1_000);
}

/// Counts its ends.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn prompt_ends() {
    /// A value that ends another cown in its own end, and relies on that.
    struct Outer(Option<Cown<Counted>>, Arc<AtomicUsize>);
    impl Drop for Outer {
        fn drop(&mut self) {
            let before = self.1.load(Relaxed);
            self.0 = None;
            assert_eq!(self.1.load(Relaxed), before + 1);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let inner = Cown::new(Counted(Arc::clone(&ended)));
    let outer = Cown::new(Outer(Some(inner), Arc::clone(&ended)));
    let handle = outer.clone();
    drop(outer);
    assert_eq!(ended.load(Relaxed), 0);
    drop(handle);
    assert_eq!(ended.load(Relaxed), 1);
}

/// How far down the stack values have ended.
struct Depth {
    lowest: AtomicUsize,
    ended: AtomicUsize,
}

impl Depth {
    /// What is enough for the ends that may be nested, also in a build without optimisations.
    const LIMIT: usize = 8 << 10;

    fn new() -> Arc<Self> {
        Arc::new(Self { lowest: AtomicUsize::new(usize::MAX), ended: AtomicUsize::new(0) })
    }

    /// The place of the caller on the stack, more or less.
    #[inline(never)]
    fn here() -> usize {
        let local = 0_u8;
        (&raw const local).addr()
    }

    fn value_ends(&self) {
        self.lowest.fetch_min(Self::here(), Relaxed);
        self.ended.fetch_add(1, Relaxed);
    }

    /// Calls `f`, in which all `count` values end.
    fn check(&self, count: usize, f: impl FnOnce()) {
        let top = Self::here();
        f();
        assert_eq!(self.ended.load(Relaxed), count);
        let depth = top - self.lowest.load(Relaxed);
        assert!(depth < Self::LIMIT, "{depth} bytes of stack");
        say!("    {count} values, {depth} bytes of stack");
    }
}

/// Refers to other cowns.
struct Node {
    _next: [Option<Cown<Node>>; 2],
    depth: Arc<Depth>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.depth.value_ends();
    }
}

fn long_chain() {
    const LENGTH: usize = 300_000;
    let depth = Depth::new();
    let mut head = None;
    for _ in 0..LENGTH {
        head = Some(Cown::new(Node { _next: [head, None], depth: Arc::clone(&depth) }));
    }
    depth.check(LENGTH, || drop(head));
}

fn wide_tree() {
    fn tree(levels: u32, depth: &Arc<Depth>) -> Option<Cown<Node>> {
        let below = || tree(levels.checked_sub(1)?, depth);
        (levels > 0)
            .then(|| Cown::new(Node { _next: [below(), below()], depth: Arc::clone(depth) }))
    }
    const LEVELS: u32 = 16;
    let depth = Depth::new();
    let root = tree(LEVELS, &depth);
    depth.check((1 << LEVELS) - 1, || drop(root));
}

fn long_queue() {
    const LENGTH: usize = 30_000;
    /// Ends with the closure that it is in.
    struct Mark(Arc<Depth>);
    impl Drop for Mark {
        fn drop(&mut self) {
            self.0.value_ends();
        }
    }
    let depth = Depth::new();
    let pump = Pump::new();
    let cown = Cown::new(());
    let mut last: Option<Handle<()>> = None;
    for _ in 0..LENGTH {
        let mark = Mark(Arc::clone(&depth));
        // Over the one before, and taking its handle along.
        last = Some(match last {
            Some(before) => {
                let before = Box::new(before);
                let request = before.cown().clone();
                pump.executor().when((&cown, &request), move |_| drop((mark, before)))
            }
            None => pump.executor().when(&cown, move |_| drop(mark)),
        });
    }
    depth.check(LENGTH, || drop(pump));
}
