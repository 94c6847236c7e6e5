//! Runtimes: worker threads that run behaviours.

use boc_core::{Builder, RunWorkerError, Runtime, raw};
use std::{
    ffi::{CString, c_char, c_void},
    mem::{self, ManuallyDrop, offset_of},
    ptr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    border::{self, Out, border, quiet},
    executor::{Lent, boc_executor},
    foreign,
    handle::{self, Kind, Known},
    host,
    owned::{Owned, boc_destroy_fn},
    result::refuse_inside,
    status::{
        Error,
        boc_status::{self, *},
    },
};

/// A reference to a runtime: worker threads that run behaviours. Can be used, and released, on any
/// thread.
pub struct boc_runtime {
    _private: [u8; 0],
}

/// What a `boc_runtime` refers to.
pub(crate) struct Shared {
    // Before the runtime, which keeps it.
    executor: Lent,
    runtime: Arc<Runtime>,
    keeper: Keeper,
}

/// Who ends a runtime.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// Whoever releases its last handle, at the latest.
    Handles,
    /// The end of the program, at the latest.
    Program,
    /// The program that this library is a part of.
    Host,
}

impl Shared {
    fn new(runtime: Arc<Runtime>, keeper: Keeper) -> Arc<Self> {
        // SAFETY: the runtime keeps it.
        let executor = unsafe { Lent::new(runtime.executor()) };
        Arc::new(Self { runtime, keeper, executor })
    }
}

impl Known for Shared {
    type Opaque = boc_runtime;
    const KIND: Kind = Kind::Runtime;
}

/// In `boc_runtime_options.flags`: the runtime starts no threads; its workers run on threads that call
/// `boc_runtime_run_worker`.
pub const BOC_FOREIGN_THREADS: u32 = 1;
/// In `boc_runtime_options.flags`: `boc_runtime_report` can say what each behaviour does and waits for.
/// A behaviour takes some 350 ns more.
pub const BOC_OBSERVE: u32 = 2;

/// Is told that a worker has been inside of one behaviour for longer than allowed: which one, what it
/// holds, and who waits for it. `report` belongs to the library, and lives until this returns.
pub type boc_stall_fn =
    Option<unsafe extern "C-unwind" fn(env: *mut c_void, report: *const c_char)>;

/// How to make a runtime. Begin with `BOC_RUNTIME_OPTIONS_INIT`; 0 and NULL stand for the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct boc_runtime_options {
    /// `sizeof(boc_runtime_options)`, so that later versions can add fields.
    pub size: usize,
    /// How many workers run behaviours at the same time, at most 65535. 0: one for each processor.
    pub workers: u32,
    /// `BOC_FOREIGN_THREADS`, `BOC_OBSERVE`, or both.
    pub flags: u32,
    /// How many behaviours may be in flight before a thread outside of behaviours that schedules one more
    /// has to wait. 0: no bound.
    pub max_in_flight: u64,
    /// The name of the threads; each gets a number behind it. Copied. NULL: "boc".
    pub thread_name: *const c_char,
    /// After so many nanoseconds inside of one behaviour a worker counts as stalled. 0: never.
    pub stall_after_ns: u64,
    /// Told of stalled workers, on a thread of its own. Needed with `stall_after_ns`.
    pub on_stall: boc_stall_fn,
    /// What `on_stall` gets.
    pub stall_env: *mut c_void,
    /// Called once with `stall_env`, when nothing calls `on_stall` any more; also if no runtime is made.
    pub destroy_stall_env: boc_destroy_fn,
}

/// The options that C gave, in the form of this version, and what they hand over; and what is wrong with
/// them.
///
/// # Safety
///
/// `options` is NULL, or points to as many bytes as its first field says.
unsafe fn read(
    options: *const boc_runtime_options,
) -> (boc_runtime_options, Owned, Result<(), Error>) {
    /// Where the fields end, so that none is read by half.
    const ENDS: [usize; 8] = [
        offset_of!(boc_runtime_options, flags),
        offset_of!(boc_runtime_options, max_in_flight),
        offset_of!(boc_runtime_options, thread_name),
        offset_of!(boc_runtime_options, stall_after_ns),
        offset_of!(boc_runtime_options, on_stall),
        offset_of!(boc_runtime_options, stall_env),
        offset_of!(boc_runtime_options, destroy_stall_env),
        size_of::<boc_runtime_options>(),
    ];
    /// No version of the options is going to be larger.
    const LARGEST: usize = 4096;
    // SAFETY: zeros are values of all fields.
    let mut known: boc_runtime_options = unsafe { mem::zeroed() };
    if options.is_null() {
        return (known, Owned::nothing(), Ok(()));
    }
    let invalid = |message: String| Err(Error::new(BOC_INVALID_ARGUMENT, message));
    // SAFETY: passed on to the caller.
    let size = unsafe { (&raw const (*options).size).read() };
    if size < ENDS[0] || size > LARGEST {
        let message = format!("`options->size` is {size}: begin with BOC_RUNTIME_OPTIONS_INIT");
        return (known, Owned::nothing(), invalid(message));
    }
    let common = ENDS.into_iter().rfind(|end| *end <= size).unwrap_or(0);
    // SAFETY: both are as large; passed on to the caller.
    let newer = unsafe {
        ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut known).cast::<u8>(), common);
        let rest = size.saturating_sub(size_of::<boc_runtime_options>());
        let rest = std::slice::from_raw_parts(options.cast::<u8>().add(size - rest), rest);
        rest.iter().any(|byte| *byte != 0)
    };
    let stall_env = Owned::new(known.stall_env, known.destroy_stall_env);
    let message = "`options` uses a field that this version of the library does not know";
    (known, stall_env, if newer { invalid(message.into()) } else { Ok(()) })
}

/// Makes a runtime, and starts its threads. `*runtime` is the caller's to release.
///
/// @param options NULL: the default.
/// @return BOC_OK; BOC_NO_THREAD if the operating system refuses a thread; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_new(
    options: *const boc_runtime_options,
    runtime: *mut *mut boc_runtime,
) -> boc_status {
    border(|| {
        // SAFETY: passed on to the caller, as everywhere in this crate.
        let (options, stall_env, checked) = unsafe { read(options) };
        checked?;
        // SAFETY: as above.
        let out = unsafe { Out::new(runtime, "runtime") }?;
        // SAFETY: as above; the name ends with a zero.
        let builder = unsafe { builder(&options, stall_env) }?;
        let runtime = builder.build().map_err(|error| {
            Error::new(BOC_NO_THREAD, format!("cannot start a worker: {error}"))
        })?;
        out.put(handle::give(Shared::new(Arc::new(runtime), Keeper::Handles)));
        Ok(())
    })
}

/// # Safety
///
/// The name is NULL or ends with a zero.
unsafe fn builder(options: &boc_runtime_options, stall_env: Owned) -> Result<Builder, Error> {
    let invalid = |message: String| Err(Error::new(BOC_INVALID_ARGUMENT, message));
    let mut builder = Builder::new();
    let unknown = options.flags & !(BOC_FOREIGN_THREADS | BOC_OBSERVE);
    if unknown != 0 {
        return invalid(format!("`options->flags` has bits that mean nothing: {unknown:#x}"));
    }
    if options.workers > u32::from(u16::MAX) {
        return invalid(format!("a runtime has at most 65535 workers, not {}", options.workers));
    }
    if options.workers > 0 {
        builder = builder.workers(options.workers as usize);
    }
    if options.max_in_flight > 0 {
        builder =
            builder.max_in_flight(usize::try_from(options.max_in_flight).unwrap_or(usize::MAX));
    }
    if !options.thread_name.is_null() {
        // SAFETY: passed on to the caller.
        let name = unsafe { border::text(options.thread_name, "thread_name") }?;
        builder = builder.thread_name(name.to_string_lossy());
    }
    if options.flags & BOC_FOREIGN_THREADS != 0 {
        builder = builder.foreign_threads();
    }
    if options.flags & BOC_OBSERVE != 0 {
        builder = builder.observe();
    }
    match (options.stall_after_ns, options.on_stall) {
        (0, _) => {}
        (_, None) => return invalid("`options->stall_after_ns` needs `on_stall`".into()),
        (nanoseconds, Some(on_stall)) => {
            builder = builder.watchdog(Duration::from_nanos(nanoseconds), move |stall| {
                let report = border::for_c(&stall.to_string());
                let (env, text) = (stall_env.data(), report.as_ptr());
                // SAFETY: it gets what it was handed over with.
                foreign::tell("a function that is told of stalls", || unsafe {
                    on_stall(env, text)
                });
            });
        }
    }
    Ok(builder)
}

/// The default runtime, which NULL as executor means outside of behaviours. It is started when it is first
/// asked for, with a worker for each processor, and lives as long as the program; in a Python program it
/// is the pool that runs Python's behaviours. `*runtime` is the caller's to release.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_default(runtime: *mut *mut boc_runtime) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let out = unsafe { Out::new(runtime, "runtime") }?;
        let (runtime, own) = host::current().runtime()?;
        let keeper = if own { Keeper::Program } else { Keeper::Host };
        out.put(handle::give(Shared::new(runtime, keeper)));
        Ok(())
    })
}

/// Another reference to the same runtime, for the caller to release. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_clone(runtime: *const boc_runtime) -> *mut boc_runtime {
    quiet(ptr::null_mut(), || {
        // SAFETY: as above.
        let runtime = unsafe { handle::borrow::<Arc<Shared>>(runtime, "runtime") }?;
        Ok(handle::give(Arc::clone(&runtime)))
    })
}

/// Gives up a reference to a runtime. With the last one, a runtime of `boc_runtime_new` ends as by
/// `boc_runtime_shutdown`, and the call waits for that; inside of a behaviour, and on a thread that is a
/// worker, it does not wait. A limit to the wait has only `boc_runtime_shutdown`, before this. NULL is
/// allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_release(runtime: *mut boc_runtime) -> boc_status {
    border(|| {
        if runtime.is_null() {
            return Ok(());
        }
        // SAFETY: as above.
        let shared = unsafe { handle::take::<Arc<Shared>>(runtime, "runtime") }?;
        match Arc::into_inner(shared) {
            Some(last) if last.keeper == Keeper::Handles => {
                end_by_itself(Arc::clone(&last.runtime))
            }
            _ => (),
        }
        Ok(())
    })
}

/// Ends a runtime to which C has no handle any more.
fn end_by_itself(runtime: Arc<Runtime>) {
    runtime.drain();
    let is_worker = raw::with_current_executor(|executor| executor.is_some());
    if boc_core::inside_behaviour() || is_worker {
        // The end of a runtime waits, which this thread must not.
        let waiting = std::thread::Builder::new().name("boc-end".into());
        let runtime = ManuallyDrop::new(runtime);
        // Without a thread it ends as well, but is never freed.
        let _ = waiting.spawn(move || drop(ManuallyDrop::into_inner(runtime)));
        return;
    }
    let ended = |until: Option<Instant>| runtime.wait_ended(left(until));
    while host::current().wait(None, &ended) != host::Waited::Done {}
}

fn left(until: Option<Instant>) -> Option<Duration> {
    until.map(|until| until.saturating_duration_since(Instant::now()))
}

/// Where to schedule what is to run on a runtime. Lent as long as this handle exists. NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_executor(runtime: *const boc_runtime) -> *const boc_executor {
    quiet(ptr::null(), || {
        // SAFETY: as above.
        let runtime = unsafe { handle::borrow::<Arc<Shared>>(runtime, "runtime") }?;
        Ok(runtime.executor.handle())
    })
}

/// Waits until all behaviours of a runtime have ended, for `timeout_ns` nanoseconds at the most. What is
/// scheduled meanwhile is waited for, too.
///
/// @return BOC_OK; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR; BOC_INTERRUPTED; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_quiesce(
    runtime: *const boc_runtime,
    timeout_ns: u64,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let runtime = unsafe { handle::borrow::<Arc<Shared>>(runtime, "runtime") }?;
        refuse_inside("waiting for a runtime", "use a scope, and schedule over its end")?;
        let late = "behaviours were still running or waiting when the time ran out";
        let quiesce = |until: Option<Instant>| runtime.runtime.quiesce(left(until)).is_ok();
        host::wait(host::Deadline::after(timeout_ns), late, &quiesce)
    })
}

/// Ends a runtime after all its behaviours have ended; these may go on scheduling others. What is
/// scheduled from elsewhere from now on is refused. Waits for the end, for `timeout_ns` nanoseconds at the
/// most; if that runs out, the runtime ends later, and this can be called again to go on waiting. Where no
/// thread is a worker at this moment (BOC_FOREIGN_THREADS), what has not run is cancelled.
///
/// A runtime does not end while one of its behaviours waits for a promise, or for a cown that others hold.
///
/// @return BOC_OK, also if it has ended before; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR, after which nothing
///   has changed; BOC_NOT_ALLOWED if the runtime belongs to the program that this code was loaded into;
///   BOC_INTERRUPTED; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_shutdown(
    runtime: *const boc_runtime,
    timeout_ns: u64,
) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { end(runtime, timeout_ns, "ending a runtime", Runtime::drain) })
}

/// Ends a runtime at once: behaviours that run are waited for, as by `boc_runtime_shutdown`; the others
/// are cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_stop(
    runtime: *const boc_runtime,
    timeout_ns: u64,
) -> boc_status {
    // SAFETY: as above.
    border(|| unsafe { end(runtime, timeout_ns, "ending a runtime", Runtime::stop) })
}

/// # Safety
///
/// As for [`handle::borrow`].
unsafe fn end(
    runtime: *const boc_runtime,
    timeout_ns: u64,
    what: &str,
    tell: impl FnOnce(&Runtime),
) -> Result<(), Error> {
    // SAFETY: passed on to the caller.
    let shared = unsafe { handle::borrow::<Arc<Shared>>(runtime, "runtime") }?;
    refuse_inside(what, "end it from a thread outside")?;
    if shared.keeper == Keeper::Host {
        return Err(Error::new(
            BOC_NOT_ALLOWED,
            "the runtime belongs to the program that this code was loaded into, which ends it",
        ));
    }
    tell(&shared.runtime);
    let late = "behaviours were still running or waiting when the time ran out";
    let ended = |until: Option<Instant>| shared.runtime.wait_ended(left(until));
    host::wait(host::Deadline::after(timeout_ns), late, &ended)
}

/// Makes the calling thread a worker, until the runtime is told to end. For runtimes with
/// `BOC_FOREIGN_THREADS`.
///
/// @return BOC_OK when the runtime has ended; BOC_NO_PLACE if all workers have a thread, or this thread is
///   a worker already; BOC_INSIDE_BEHAVIOUR; BOC_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_run_worker(runtime: *const boc_runtime) -> boc_status {
    border(|| {
        // A reference of its own, since others may release theirs meanwhile, which ends the runtime.
        // SAFETY: as above.
        let shared = unsafe { handle::borrow::<Arc<Shared>>(runtime, "runtime") }?;
        let runtime = Arc::clone(&shared.runtime);
        refuse_inside("becoming a worker", "a thread outside can be one")?;
        let ran = runtime.run_worker(&mut ());
        ran.map_err(|error: RunWorkerError| Error::new(BOC_NO_PLACE, error.to_string()))
    })
}

/// How many workers a runtime has. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_workers(runtime: *const boc_runtime) -> usize {
    quiet(0, || {
        // SAFETY: as above.
        Ok(unsafe { handle::borrow::<Arc<Shared>>(runtime, "runtime") }?.runtime.workers())
    })
}

/// Behaviours of a runtime that were scheduled and have not ended, at this moment. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_in_flight(runtime: *const boc_runtime) -> usize {
    quiet(0, || {
        // SAFETY: as above.
        Ok(unsafe { handle::borrow::<Arc<Shared>>(runtime, "runtime") }?.runtime.in_flight())
    })
}

/// What a worker has done since its runtime was made.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct boc_worker_stats {
    /// Behaviours that ended on it.
    pub run: u64,
    /// Behaviours that it took from other workers.
    pub stolen: u64,
    /// How often it went to sleep.
    pub parked: u64,
    /// How often it was woken.
    pub woken: u64,
}

/// What the workers of a runtime have done so far.
///
/// @param stats Room for `capacity` workers. May be NULL if that is 0.
/// @param stats_size `sizeof(boc_worker_stats)`, so that later versions can add fields.
/// @param count How many workers there are, which can be more than there was room for. May be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_stats(
    runtime: *const boc_runtime,
    stats: *mut boc_worker_stats,
    stats_size: usize,
    capacity: usize,
    count: *mut usize,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let (shared, out) =
            unsafe { (handle::borrow::<Arc<Shared>>(runtime, "runtime")?, Out::optional(count)) };
        if stats.is_null() && capacity > 0 {
            return Err(Error::null("stats"));
        }
        if stats_size == 0 && capacity > 0 {
            let message = "`stats_size` is 0: it should be sizeof(boc_worker_stats)";
            return Err(Error::new(BOC_INVALID_ARGUMENT, message));
        }
        let all = shared.runtime.stats();
        for (index, worker) in all.iter().take(capacity).enumerate() {
            let known = boc_worker_stats {
                run: worker.run,
                stolen: worker.stolen,
                parked: worker.parked,
                woken: worker.woken,
            };
            // SAFETY: there is room for it; as much is written as both sides know, and the rest is zero.
            unsafe {
                let place = stats.cast::<u8>().add(index * stats_size);
                let common = stats_size.min(size_of::<boc_worker_stats>());
                place.write_bytes(0, stats_size);
                place.copy_from_nonoverlapping((&raw const known).cast(), common);
            }
        }
        out.into_iter().for_each(|out| out.put(all.len()));
        Ok(())
    })
}

/// Which behaviours of a runtime have not ended, what each holds and waits for, and for how long: "why is
/// this not running?". A behaviour is called by the name of its body, or by where that lies in its file, which
/// addr2line takes; a cown by its address, which in a release build is that of its handles. The runtime must
/// have been made with `BOC_OBSERVE` or a watchdog, else the text says so.
///
/// @param report A text, to be freed by `boc_string_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_runtime_report(
    runtime: *const boc_runtime,
    report: *mut *mut c_char,
) -> boc_status {
    border(|| {
        // SAFETY: as above.
        let (shared, out) = unsafe {
            (handle::borrow::<Arc<Shared>>(runtime, "runtime")?, Out::new(report, "report")?)
        };
        out.put(border::for_c(&shared.runtime.report().to_string()).into_raw());
        Ok(())
    })
}

/// Frees a text that the library gave. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn boc_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: it came out of `CString::into_raw`, and is not used any more.
        drop(unsafe { CString::from_raw(string) });
    }
}
