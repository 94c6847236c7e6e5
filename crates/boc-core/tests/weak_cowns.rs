//! What the documentation promises of weak references to cowns.

#[path = "shelf/mod.rs"]
mod shelf;
#[path = "tally/mod.rs"]
mod tally;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc, Barrier,
        atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use boc_core::{Cown, Handle, Outcome, Runtime, WeakCown, read};
use shelf::Shelf;
use tally::{Tally, Token};

/// Long enough for anything that is going to happen at all.
const LONG: Duration = Duration::from_secs(60);

/// Counts the blocks in use that are of about one size.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A size that nothing else has here: what grows, grows to powers of two.
const LARGE: usize = 70_000;

static LARGE_BLOCKS: AtomicIsize = AtomicIsize::new(0);

fn is_large(layout: Layout) -> isize {
    isize::from((LARGE..LARGE + 1_000).contains(&layout.size()))
}

// SAFETY: all is passed on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGE_BLOCKS.fetch_add(is_large(layout), SeqCst);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LARGE_BLOCKS.fetch_sub(is_large(layout), SeqCst);
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[test]
fn the_value_goes_with_the_last_cown_and_the_memory_with_the_last_reference() {
    let large_blocks = || LARGE_BLOCKS.load(SeqCst);
    // Only this test makes large ones.
    assert_eq!(large_blocks(), 0);
    let tally = Tally::default();
    let large = || Cown::new((tally.token(), [0_u8; LARGE]));
    // Without a weak one, it all goes at once.
    drop(large());
    assert_eq!((tally.left(), large_blocks()), (0, 0));
    // The value first.
    let cown = large();
    let weak = cown.downgrade();
    let other = weak.clone();
    drop(cown);
    assert_eq!((tally.left(), large_blocks()), (0, 1));
    assert!(weak.upgrade().is_none());
    drop(weak);
    assert_eq!(large_blocks(), 1);
    assert!(other.upgrade().is_none());
    drop(other);
    assert_eq!(large_blocks(), 0);
    // The weak ones first; there has been one, and there is none when the value goes.
    let cown = large();
    let weak = cown.downgrade();
    drop(weak.clone());
    drop(weak);
    assert_eq!((tally.left(), large_blocks()), (1, 1));
    drop(cown);
    assert_eq!((tally.left(), large_blocks()), (0, 0));
    // An outcome lies in the memory of its behaviour.
    let shelf = Shelf::default();
    let token = tally.token();
    let handle = shelf.executor().when((), move |()| (token, [0_u8; LARGE]));
    let weak: WeakCown<Outcome<(Token, [u8; LARGE])>> = handle.cown().downgrade();
    shelf.run_all();
    assert!(weak.upgrade().is_some());
    drop(handle);
    assert_eq!((tally.left(), large_blocks()), (0, 1));
    assert!(weak.upgrade().is_none());
    drop(weak);
    assert_eq!(large_blocks(), 0);
    tally.assert_each_dropped_once();
}

#[test]
fn an_upgraded_one_is_the_same_cown() {
    let runtime = Runtime::with_workers(1);
    let tally = Tally::default();
    let cown = Cown::new((1, tally.token()));
    let weak = cown.downgrade();
    let upgraded = weak.upgrade().unwrap();
    assert_eq!(upgraded, cown);
    runtime.when(&upgraded, |value| value.0 += 1).wait().unwrap();
    drop(cown);
    // It keeps the value like any other.
    assert_eq!(runtime.when(read(&upgraded), |value| value.0).wait().unwrap(), 2);
    assert_eq!(weak.upgrade().as_ref(), Some(&upgraded));
    runtime.quiesce(Some(LONG)).unwrap();
    drop(upgraded);
    assert_eq!(weak.upgrade(), None);
    tally.assert_each_dropped_once();
}

#[test]
fn behaviours_that_hold_the_cown_or_wait_for_it_keep_it() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let executor = shelf.executor();
    // What is in the queue, from the front, and in what order those run that are ready together.
    let (w, r) = (true, false);
    let cases: [(&[bool], &[usize]); 5] = [
        (&[w], &[0]),
        (&[r], &[0]),
        (&[w, r, w], &[0, 0, 0]),
        (&[r, r], &[0, 0]),
        (&[r, r, w, r, r], &[1, 0, 0, 1, 0]),
    ];
    for (queue, order) in cases {
        let cown = Cown::new(tally.token());
        let weak = cown.downgrade();
        for writes in queue {
            let token = tally.token();
            if *writes {
                drop(executor.when(&cown, move |_| drop(token)));
            } else {
                drop(executor.when(read(&cown), move |_| drop(token)));
            }
        }
        drop(cown);
        for index in order {
            assert!(weak.upgrade().is_some());
            shelf.take(*index).run();
        }
        assert_eq!((shelf.len(), tally.left()), (0, 0), "{queue:?}");
        assert!(weak.upgrade().is_none());
    }
    tally.assert_each_dropped_once();
}

#[test]
fn a_behaviour_comes_back_over_what_only_it_keeps() {
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let cown = Cown::new((0, tally.token()));
    let weak = cown.downgrade();
    fn again(shelf: &Shelf, weak: WeakCown<(i32, Token)>) {
        let cown = weak.upgrade().expect("it is held");
        let inner = shelf.clone();
        shelf.executor().when(&cown, move |value| {
            value.0 += 1;
            if value.0 < 10 {
                again(&inner, weak);
            }
        });
    }
    again(&shelf, weak.clone());
    drop(cown);
    for _ in 0..10 {
        assert_eq!((shelf.len(), tally.left()), (1, 1));
        shelf.take(0).run();
    }
    assert!(weak.upgrade().is_none());
    tally.assert_each_dropped_once();
}

#[test]
fn an_upgrade_races_the_end() {
    let tally = Tally::default();
    let runtime = Runtime::with_workers(1);
    let came_back = AtomicUsize::new(0);
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 0..3_000 {
        let cown = Cown::new((round, tally.token()));
        let before = tally.left();
        let weak = [cown.downgrade(), cown.downgrade()];
        let start = Barrier::new(3);
        let pauses = [(); 3].map(|()| rng.usize(..200));
        let pause = |n: usize| (0..pauses[n]).for_each(|_| std::hint::spin_loop());
        let handles = thread::scope(|scope| {
            let (start, runtime, came_back, pause) = (&start, &runtime, &came_back, &pause);
            let upgrading: Vec<_> = (0..)
                .zip(weak)
                .map(|(n, weak)| {
                    scope.spawn(move || -> Option<Handle<i32>> {
                        start.wait();
                        pause(n);
                        let cown = weak.upgrade()?;
                        came_back.fetch_add(1, SeqCst);
                        // Whoever has got it can use it.
                        Some(match n {
                            0 => runtime.when(&cown, |value| value.0),
                            _ => runtime.when(read(&cown), |value| value.0),
                        })
                    })
                })
                .collect();
            start.wait();
            pause(2);
            match round % 3 {
                0 => drop(cown),
                // The last one goes on the worker.
                1 => drop(runtime.when((), move |()| drop(cown))),
                _ => drop(runtime.when(&cown.clone(), move |_| drop(cown))),
            }
            upgrading.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        for handle in handles.into_iter().flatten() {
            assert_eq!(handle.wait_timeout(LONG).unwrap().unwrap(), round);
        }
        runtime.quiesce(Some(LONG)).unwrap();
        assert_eq!(tally.left(), before - 1);
    }
    let came_back = came_back.into_inner();
    assert!(came_back > 0, "else nothing was tested");
    tally.assert_each_dropped_once();
}

#[test]
fn the_first_weak_one_is_made_while_another_handle_goes() {
    let tally = Tally::default();
    for _ in 0..3_000 {
        let cown = Cown::new(tally.token());
        let other = cown.clone();
        let start = Barrier::new(2);
        let weak = thread::scope(|scope| {
            let dropping = scope.spawn(|| {
                start.wait();
                drop(other);
            });
            start.wait();
            let weak = cown.downgrade();
            drop(cown);
            dropping.join().unwrap();
            weak
        });
        assert_eq!((weak.upgrade(), tally.left()), (None, 0));
    }
    tally.assert_each_dropped_once();
}

/// A tree whose nodes know their parents.
struct Node {
    parent: Option<WeakCown<Node>>,
    children: Vec<Cown<Node>>,
    sum: usize,
    _token: Token,
}

#[test]
fn a_cycle_that_a_weak_one_closes_is_freed() {
    let runtime = Runtime::with_workers(2);
    let tally = Tally::default();
    let node =
        |parent| Cown::new(Node { parent, children: Vec::new(), sum: 0, _token: tally.token() });
    let root = node(None);
    let mut leaves = Vec::new();
    for _ in 0..10 {
        let child = node(Some(root.downgrade()));
        let grandchildren = [(); 10].map(|()| node(Some(child.downgrade())));
        leaves.extend(grandchildren.iter().map(Cown::downgrade));
        runtime.when(&child, move |child| child.children.extend(grandchildren));
        runtime.when(&root, move |root| root.children.push(child));
    }
    runtime.quiesce(Some(LONG)).unwrap();
    // Each leaf tells its parent, which tells its own.
    fn tell(runtime: &boc_core::ExecutorRef, node: &Cown<Node>) {
        let executor = runtime.clone();
        runtime.when(node, move |node| {
            node.sum += 1;
            let parent = node.parent.as_ref().map(|parent| parent.upgrade().expect("it is there"));
            parent.into_iter().for_each(|parent| tell(&executor, &parent));
        });
    }
    for leaf in &leaves {
        tell(runtime.executor(), &leaf.upgrade().expect("the tree is there"));
    }
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.when(read(&root), |root| root.sum).wait().unwrap(), 100);
    assert_eq!(tally.left(), 111);
    runtime.quiesce(Some(LONG)).unwrap();
    drop(root);
    assert_eq!(tally.left(), 0);
    assert!(leaves.iter().all(|leaf| leaf.upgrade().is_none()));
    tally.assert_each_dropped_once();
}

#[test]
fn a_cown_that_refers_to_itself() {
    struct Oneself {
        weak: Option<WeakCown<Oneself>>,
        came_back: Arc<AtomicUsize>,
        _token: Token,
    }
    impl Drop for Oneself {
        fn drop(&mut self) {
            let upgraded = self.weak.as_ref().and_then(WeakCown::upgrade);
            self.came_back.fetch_add(usize::from(upgraded.is_some()), SeqCst);
        }
    }
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let came_back = Arc::new(AtomicUsize::new(0));
    let cown =
        Cown::new(Oneself { weak: None, came_back: Arc::clone(&came_back), _token: tally.token() });
    let weak = cown.downgrade();
    shelf.executor().when(&cown, move |value| value.weak = Some(weak));
    drop(cown);
    shelf.run_all();
    assert_eq!(came_back.load(SeqCst), 0, "a value that ends cannot be had again");
    tally.assert_each_dropped_once();
}

#[test]
fn a_long_list_that_is_linked_back_ends_without_a_deep_stack() {
    struct Link {
        _next: Option<Cown<Link>>,
        _back: Option<WeakCown<Link>>,
        _token: Token,
    }
    let (shelf, tally) = (Shelf::default(), Tally::default());
    let mut head: Option<Cown<Link>> = None;
    let mut middle = None;
    for n in 0..100_000 {
        let next = head.take();
        let link = Cown::new(Link { _next: next.clone(), _back: None, _token: tally.token() });
        if let Some(next) = next {
            let back = link.downgrade();
            shelf.executor().when(&next, move |next| next._back = Some(back));
            shelf.run_all();
        }
        if n == 50_000 {
            middle = Some(link.downgrade());
        }
        head = Some(link);
    }
    drop(head);
    assert!(middle.unwrap().upgrade().is_none());
    tally.assert_each_dropped_once();
}
