/*
 * libboc: behaviour-oriented concurrency (BoC) for C and C++.
 *
 * A cown (concurrently owned) holds data. A behaviour is a function together with the cowns it needs: it
 * runs once, on some thread, when it holds all of them at the same time. Behaviours that share a cown run
 * in the order in which they were scheduled. There are no locks to order, so there is no deadlock; data is
 * reached only through a cown that is held, so there is no data race.
 *
 *     static void transfer(boc_body *body, void *const *accounts, void *amount) {
 *         *(long *)accounts[0] -= *(long *)amount;
 *         *(long *)accounts[1] += *(long *)amount;
 *     }
 *     ...
 *     boc_request request[] = {{from, BOC_WRITE}, {to, BOC_WRITE}};
 *     boc_when(NULL, request, 2, transfer, amount, free, NULL);
 *
 * What holds for all functions:
 *
 * - Status. Most functions say how it went. What they give besides comes by pointers at the end, which are
 *   written only on success. After anything else than BOC_OK, boc_last_error() has a message.
 * - NULL. A pointer may be NULL only where that is said. A handle to be released may always be.
 * - Handles. What is made, cloned, or put where a parameter points, is the caller's, and released once. What
 *   is lent is not released. A handle that was released must not be used; a debug build of the library
 *   notices that.
 * - What is handed over, a value or an env with its function to destroy it, is the library's from the call
 *   on, whatever the call says. It is destroyed exactly once, unless it is given back.
 * - Threads. All functions can be called on any thread, several of them at the same time, and inside of
 *   behaviours, unless it is said otherwise.
 * - Time is in nanoseconds, as uint64_t. BOC_FOREVER has no end, 0 does not wait.
 * - Exceptions of C++ do not cross: functions of yours may let one out on x86-64 Unix, where it ends their
 *   behaviour as failed. Elsewhere they must not. <boc/boc.hpp> carries exceptions to results.
 * - After fork() a child must not use what the parent made with this library, except by exec.
 *
 * This file is generated; the documentation is that of crates/boc-capi.
 */


#ifndef BOC_BOC_H
#define BOC_BOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The start of boc_runtime_options: `boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;` */
#define BOC_RUNTIME_OPTIONS_INIT {sizeof(boc_runtime_options), 0, 0, 0, NULL, 0, NULL, NULL, NULL}


/**
 * Without an end: for timeouts, which are in nanoseconds.
 */
#define BOC_FOREVER UINT64_MAX

/**
 * In `boc_runtime_options.flags`: the runtime starts no threads; its workers run on threads that call
 * `boc_runtime_run_worker`.
 */
#define BOC_FOREIGN_THREADS 1

/**
 * In `boc_runtime_options.flags`: `boc_runtime_report` can say what each behaviour does and waits for.
 * A behaviour takes some 350 ns more.
 */
#define BOC_OBSERVE 2

/**
 * The version of this header. A program that was compiled with it runs with each library of the same
 * major version whose minor version is not lower.
 */
#define BOC_VERSION_MAJOR 0

/**
 * See `BOC_VERSION_MAJOR`.
 */
#define BOC_VERSION_MINOR 1

/**
 * See `BOC_VERSION_MAJOR`.
 */
#define BOC_VERSION_PATCH 0

/**
 * What a call says. 0 is success; what is not, has a message: see `boc_last_error`.
 */
enum boc_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It was done.
     */
    BOC_OK = 0,
    /**
     * An argument cannot be: NULL where that is not said to be allowed, an unknown mode, an index
     * beyond the end.
     */
    BOC_INVALID_ARGUMENT = 1,
    /**
     * A handle that was released, or that is one of another kind. A debug build of the library always
     * notices; a release build has no means to.
     */
    BOC_INVALID_HANDLE = 2,
    /**
     * A cown is named twice in one request, and not only to be read.
     */
    BOC_DUPLICATE_COWN = 3,
    /**
     * The time ran out.
     */
    BOC_TIMED_OUT = 4,
    /**
     * It would wait, or end a runtime, inside of a behaviour, which could wait for itself. Schedule
     * over a result instead.
     */
    BOC_INSIDE_BEHAVIOUR = 5,
    /**
     * The executor takes no more behaviours: its runtime was shut down, its pump was released, its
     * scope has ended.
     */
    BOC_REFUSED = 6,
    /**
     * The behaviour has not ended.
     */
    BOC_PENDING = 7,
    /**
     * The behaviour failed: it called `boc_body_fail`, or threw an exception.
     */
    BOC_FAILED = 8,
    /**
     * The behaviour never ran: it was cancelled, or its executor ended.
     */
    BOC_CANCELLED = 9,
    /**
     * The value was taken before.
     */
    BOC_TAKEN = 10,
    /**
     * The promise was released unfulfilled.
     */
    BOC_BROKEN = 11,
    /**
     * The value of the cown is gone.
     */
    BOC_GONE = 12,
    /**
     * The operating system refused a thread.
     */
    BOC_NO_THREAD = 13,
    /**
     * All workers of the runtime have a thread, or the thread is a worker already.
     */
    BOC_NO_PLACE = 14,
    /**
     * Waiting was interrupted. In a Python program a signal handler has raised an exception, which is
     * set.
     */
    BOC_INTERRUPTED = 15,
    /**
     * It is not for this caller: the runtime belongs to the program that this code was loaded into, or
     * the cown is only read.
     */
    BOC_NOT_ALLOWED = 16,
    /**
     * A fault of the library. Please report it.
     */
    BOC_INTERNAL_ERROR = 17,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum boc_status boc_status;
#else
typedef int32_t boc_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a behaviour is going to do with a cown.
 */
enum boc_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It changes the value, and nobody else looks at it meanwhile.
     */
    BOC_WRITE = 0,
    /**
     * It only reads the value, as others may at the same time.
     */
    BOC_READ = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum boc_mode boc_mode;
#else
typedef uint32_t boc_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Behaviours that are going to be scheduled as one step: nobody else's behaviour comes between them in
 * the queues of the cowns that they share. For one thread at a time.
 */
typedef struct boc_batch boc_batch;

/**
 * A running behaviour. It exists while its body runs, for the thread that runs it.
 */
typedef struct boc_body boc_body;

/**
 * A reference to a cown: data that only the behaviour which holds it can reach.
 *
 * Who has a reference releases it by `boc_cown_release`. The cown lives as long as there is one, or a
 * behaviour waits for it. References can be used, and released, on any thread.
 */
typedef struct boc_cown boc_cown;

/**
 * A reference to what behaviours are scheduled on: the workers of a runtime, a pump, a scope, or an
 * executor of one's own. Can be used, and released, on any thread.
 */
typedef struct boc_executor boc_executor;

/**
 * The other end of a result whose value does not come from a behaviour, but from a timer, from input and
 * output, from another library. Can be used on any thread, and is used up by fulfilling it.
 */
typedef struct boc_promise boc_promise;

/**
 * An executor whose behaviours run when it is pumped: on a main thread, in an event loop. Scheduling on
 * it works from any thread.
 */
typedef struct boc_pump boc_pump;

/**
 * A behaviour that holds all its cowns and has not run. For one thread at a time.
 */
typedef struct boc_ready boc_ready;

/**
 * A reference to the outcome of a behaviour, or of a promise.
 *
 * The outcome is a cown, which the behaviour holds from the moment it is scheduled: see
 * `boc_result_cown`. Can be used, and released, on any thread. Releasing it lets the behaviour run all
 * the same.
 */
typedef struct boc_result boc_result;

/**
 * A reference to a runtime: worker threads that run behaviours. Can be used, and released, on any
 * thread.
 */
typedef struct boc_runtime boc_runtime;

/**
 * Behaviours that can be waited for together, with all that they schedule in turn where they run (NULL
 * as executor). Can be used on any thread.
 */
typedef struct boc_scope boc_scope;

/**
 * A reference to a cown that does not keep its value. Can be used, and released, on any thread.
 */
typedef struct boc_weak_cown boc_weak_cown;

/**
 * A cown in a request.
 */
typedef struct boc_request {
    /**
     * The cown, which is borrowed for the call. For a result: `boc_result_cown`.
     */
    const struct boc_cown *cown;
    /**
     * A `boc_mode`.
     */
    uint32_t mode;
} boc_request;

/**
 * The code of a behaviour.
 *
 * @param body The behaviour, to be used until this returns, on this thread.
 * @param values The values of the cowns in the order of the request: for a cown of `boc_cown_new` what it
 *   was made with; for a result what its behaviour left, or NULL if there is nothing. What is only read
 *   must not be changed. They may be used until this returns.
 * @param env What the behaviour was scheduled with.
 *
 * It should not block for long, as its thread does nothing else meanwhile, and it cannot wait for other
 * behaviours. A C++ exception that it lets out ends the behaviour as failed (on x86-64 Unix; elsewhere it
 * ends the process); it must neither end nor cancel its thread, nor leave by longjmp.
 */
typedef void (*boc_body_fn)(struct boc_body *body, void *const *values, void *env);

/**
 * Destroys what was handed over. Called once; possibly on another thread, inside of a behaviour or
 * between two, so it must not wait for behaviours. NULL stands for: nothing is to be done.
 */
typedef void (*boc_destroy_fn)(void *data);

/**
 * Takes a behaviour that holds all its cowns, to run it soon by `boc_ready_run`, on any thread.
 *
 * It is called on the thread that scheduled the behaviour or released the last cown it waited for,
 * possibly on several threads at once. It must not block, and should not run the behaviour itself, since
 * the stack would grow with each behaviour that follows on another.
 *
 * @return 0 if `ready` was taken: it is to be given to `boc_ready_run` or `boc_ready_cancel` once.
 *   Anything else, as well as an exception, refuses it: the behaviour is cancelled, and `ready` must not be
 *   used any more.
 */
typedef int (*boc_execute_fn)(void *env, struct boc_ready *ready);

/**
 * Is told something. It must not block.
 */
typedef void (*boc_notify_fn)(void *env);

/**
 * Is told that a worker has been inside of one behaviour for longer than allowed: which one, what it
 * holds, and who waits for it. `report` belongs to the library, and lives until this returns.
 */
typedef void (*boc_stall_fn)(void *env, const char *report);

/**
 * How to make a runtime. Begin with `BOC_RUNTIME_OPTIONS_INIT`; 0 and NULL stand for the default.
 */
typedef struct boc_runtime_options {
    /**
     * `sizeof(boc_runtime_options)`, so that later versions can add fields.
     */
    size_t size;
    /**
     * How many workers run behaviours at the same time, at most 65535. 0: one for each processor.
     */
    uint32_t workers;
    /**
     * `BOC_FOREIGN_THREADS`, `BOC_OBSERVE`, or both.
     */
    uint32_t flags;
    /**
     * How many behaviours may be in flight before a thread outside of behaviours that schedules one more
     * has to wait. 0: no bound.
     */
    uint64_t max_in_flight;
    /**
     * The name of the threads; each gets a number behind it. Copied. NULL: "boc".
     */
    const char *thread_name;
    /**
     * After so many nanoseconds inside of one behaviour a worker counts as stalled. 0: never.
     */
    uint64_t stall_after_ns;
    /**
     * Told of stalled workers, on a thread of its own. Needed with `stall_after_ns`.
     */
    boc_stall_fn on_stall;
    /**
     * What `on_stall` gets.
     */
    void *stall_env;
    /**
     * Called once with `stall_env`, when nothing calls `on_stall` any more; also if no runtime is made.
     */
    boc_destroy_fn destroy_stall_env;
} boc_runtime_options;

/**
 * What a worker has done since its runtime was made.
 */
typedef struct boc_worker_stats {
    /**
     * Behaviours that ended on it.
     */
    uint64_t run;
    /**
     * Behaviours that it took from other workers.
     */
    uint64_t stolen;
    /**
     * How often it went to sleep.
     */
    uint64_t parked;
    /**
     * How often it was woken.
     */
    uint64_t woken;
} boc_worker_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* Versions, and what went wrong */

/**
 * The version of the library's binary interface: the major version in the upper 16 bits, the minor
 * version in the lower ones. To be compared with the header's.
 */
uint32_t boc_abi_version(void);

/**
 * The version of the library as text, such as "0.1.0". It lives as long as the program.
 */
const char *boc_version(void);

/**
 * What went wrong in the last call on this thread that did not return `BOC_OK`: a sentence that names
 * what was wrong and what to do. Never NULL, and empty if there was no such call.
 *
 * It belongs to the library. The next call on this thread that does not return `BOC_OK` writes its message to
 * the same place, which is there as long as the thread.
 */
const char *boc_last_error(void);

/**
 * The name of a status, such as "BOC_TIMED_OUT"; "unknown status" for other numbers. It lives as long
 * as the program.
 */
const char *boc_status_name(int32_t status);

/* Cowns */

/**
 * Makes a cown that holds `value`, which may be NULL. Nobody else may use what it points to any more.
 *
 * `destroy_value` (may be NULL) is called with the value when the last reference to the cown is gone;
 * or now, if the call does not succeed. `*cown` is the caller's to release.
 *
 * @return BOC_OK; BOC_INVALID_ARGUMENT if `cown` is NULL.
 */
boc_status boc_cown_new(void *value,
                        boc_destroy_fn destroy_value,
                        struct boc_cown **cown);

/**
 * Another reference to the same cown, for the caller to release. NULL gives NULL.
 */
struct boc_cown *boc_cown_clone(const struct boc_cown *cown);

/**
 * Gives up a reference. With the last one the value is destroyed, on this thread; if behaviours wait for
 * the cown, after them. NULL is allowed.
 */
boc_status boc_cown_release(struct boc_cown *cown);

/**
 * Whether two references are to the same cown; also a result's cown. NULL is the same as NULL alone.
 */
bool boc_cown_same(const struct boc_cown *a,
                   const struct boc_cown *b);

/**
 * A reference that does not keep the value: for cycles of cowns, caches, lists of observers. It is the
 * caller's to release. NULL gives NULL.
 */
struct boc_weak_cown *boc_cown_downgrade(const struct boc_cown *cown);

/**
 * The cown, if its value is still there. `*cown` is the caller's to release.
 *
 * @return BOC_OK; BOC_GONE if the value is gone; BOC_INVALID_ARGUMENT if an argument is NULL.
 */
boc_status boc_weak_cown_upgrade(const struct boc_weak_cown *weak, struct boc_cown **cown);

/**
 * Another weak reference, for the caller to release. NULL gives NULL.
 */
struct boc_weak_cown *boc_weak_cown_clone(const struct boc_weak_cown *weak);

/**
 * Gives up a weak reference. NULL is allowed.
 */
boc_status boc_weak_cown_release(struct boc_weak_cown *weak);

/**
 * How many cowns there are in this process, results not included: for finding leaks. Exact while no other
 * thread makes or releases any.
 */
uint64_t boc_live_cowns(void);

/* Scheduling, and what a running behaviour can do */

/**
 * Schedules a behaviour: `body` is called once, on some thread of the executor, when the behaviour holds
 * all cowns that are requested. Returns at once.
 *
 * Behaviours that share a cown, and do not both only read it, run in the order in which they were
 * scheduled. Can be called on any thread, inside of behaviours as well.
 *
 * @param executor Where it runs. NULL: where the running behaviour runs, and outside of behaviours on
 *   the default runtime (see `boc_runtime_default`).
 * @param requests The cowns, borrowed for the call; `count` of them. With none, the behaviour can start
 *   at once. A cown can be named more than once if it is only read.
 * @param body Gets the values of the cowns in this order, and `env`.
 * @param env Whatever the body needs. It is the behaviour's from now on.
 * @param destroy_env Called once with `env`, in every case: when the body has returned, when the
 *   behaviour was cancelled, or before this call returns if it does not succeed. May be NULL.
 * @param result Where to put a handle to the outcome, for the caller to release; the body may have started
 *   when it is written. NULL if nobody wants to know; that takes less time and memory.
 *
 * If the runtime has a bound on what is in flight, a thread outside of behaviours waits for room.
 *
 * @return BOC_OK; BOC_DUPLICATE_COWN; BOC_REFUSED if the executor takes no more; BOC_INVALID_ARGUMENT if
 *   a pointer is NULL or a mode unknown; BOC_NO_THREAD if the default runtime cannot be started.
 */
boc_status boc_when(const struct boc_executor *executor,
                    const struct boc_request *requests,
                    size_t count,
                    boc_body_fn body,
                    void *env,
                    boc_destroy_fn destroy_env,
                    struct boc_result **result);

/**
 * How many cowns the behaviour was scheduled over.
 */
size_t boc_body_count(const struct boc_body *body);

/**
 * The cown at `index` in the request, lent until the body returns: to schedule over it again, or to
 * compare it. NULL if there is none. It is not to be released; `boc_cown_clone` gives one to keep.
 */
const struct boc_cown *boc_body_cown(struct boc_body *body, size_t index);

/**
 * What the behaviour leaves in its result. A value that was set before is destroyed. Without this the
 * value is NULL.
 *
 * `destroy_value` (may be NULL) is called when the value is still there with the last reference to the
 * result; at once if nobody asked for a result, or if the call does not succeed.
 */
boc_status boc_body_set_result(struct boc_body *body,
                               void *value,
                               boc_destroy_fn destroy_value);

/**
 * Says that the behaviour has failed, and why; the body should return then. The cowns go on to the next
 * behaviours with the values that they have. `message` is copied.
 *
 * If nobody asks for the outcome, the message goes to the standard error.
 */
boc_status boc_body_fail(struct boc_body *body,
                         const char *message);

/**
 * Puts another value into the cown at `index`, which was made by `boc_cown_new`; the old one is
 * destroyed. `values[index]` must not be used any more.
 *
 * @return BOC_OK; BOC_NOT_ALLOWED if the cown is only read, or is of another kind; BOC_INVALID_ARGUMENT.
 *   If it is not BOC_OK, the value was destroyed.
 */
boc_status boc_body_set_value(struct boc_body *body,
                              size_t index,
                              void *value,
                              boc_destroy_fn destroy_value);

/**
 * Takes the value out of the result at `index`: from then on it is the caller's to destroy, and the
 * result says BOC_TAKEN. From other cowns made by C likewise, which then hold nothing.
 *
 * @return BOC_OK; how the behaviour ended if there is no value (BOC_FAILED, BOC_CANCELLED, BOC_BROKEN,
 *   BOC_TAKEN); BOC_NOT_ALLOWED if the cown is only read, or is of another kind; BOC_INVALID_ARGUMENT.
 */
boc_status boc_body_take(struct boc_body *body,
                         size_t index,
                         void **value);

/**
 * How the behaviour ended whose result is at `index`: BOC_OK if there is a value, else BOC_FAILED,
 * BOC_CANCELLED, BOC_BROKEN or BOC_TAKEN. `*message` (may be NULL) is why, or NULL if there is a value;
 * it lives until the body returns. A cown that is no result says BOC_OK, or BOC_TAKEN. What it says of the
 * other behaviour is no error of the call, and leaves `boc_last_error` alone.
 */
boc_status boc_body_outcome(struct boc_body *body,
                            size_t index,
                            const char **message);

/**
 * Whether the calling thread runs a behaviour. If so, nothing can be called that waits for others.
 */
bool boc_inside_behaviour(void);

/* Results */

/**
 * Waits until the behaviour has ended, for `timeout_ns` nanoseconds at the most. Not inside of a
 * behaviour.
 *
 * @return BOC_OK, however it ended; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR; BOC_INTERRUPTED;
 *   BOC_INVALID_ARGUMENT if `result` is NULL.
 */
boc_status boc_result_wait(const struct boc_result *result, uint64_t timeout_ns);

/**
 * How the behaviour ended: BOC_PENDING if it has not; BOC_OK if it left a value, which may have been
 * taken since; BOC_FAILED, BOC_CANCELLED or BOC_BROKEN. Does not wait. What it says of the behaviour is no
 * error of the call, and leaves `boc_last_error` alone: see `boc_result_error`.
 */
boc_status boc_result_status(const struct boc_result *result);

/**
 * Why there is no value: a message; NULL if there was one, or the behaviour has not ended. It lives as
 * long as the handle.
 */
const char *boc_result_error(const struct boc_result *result);

/**
 * Waits until the behaviour has ended, and all that was scheduled over its result before this call; then
 * takes the value out, which is the caller's to destroy from then on. Not inside of a behaviour, where
 * `boc_body_take` does it.
 *
 * @param timeout_ns How long to wait at the most, in nanoseconds; 0 does not wait.
 * @return BOC_OK; how the behaviour ended if it left no value (BOC_FAILED, BOC_CANCELLED, BOC_BROKEN), or
 *   BOC_TAKEN; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR; BOC_INTERRUPTED; BOC_INVALID_ARGUMENT.
 */
boc_status boc_result_take(const struct boc_result *result,
                           uint64_t timeout_ns,
                           void **value);

/**
 * Cancels the behaviour, unless it has started. Its `env` is destroyed and its outcome is BOC_CANCELLED
 * at once; its places in the queues of its cowns are given up when it is their turn.
 *
 * @param cancelled Whether it was cancelled by this call. May be NULL.
 */
boc_status boc_result_cancel(const struct boc_result *result,
                             bool *cancelled);

/**
 * Calls `notify` when the behaviour has ended: at once if it has, else on the thread that ends it.
 *
 * `destroy_env` (may be NULL) is called once with `env`, after `notify`; or without that, if the call
 * does not succeed or the behaviour never ends.
 */
boc_status boc_result_on_finished(const struct boc_result *result,
                                  boc_notify_fn notify,
                                  void *env,
                                  boc_destroy_fn destroy_env);

/**
 * The cown of the outcome, to schedule over: a behaviour over it runs after the one whose result it is,
 * and finds how that ended by `boc_body_outcome`. It is lent as long as the handle exists; NULL gives
 * NULL.
 */
const struct boc_cown *boc_result_cown(const struct boc_result *result);

/**
 * Another reference to the same outcome, for the caller to release. NULL gives NULL.
 */
struct boc_result *boc_result_clone(const struct boc_result *result);

/**
 * Gives up a reference to an outcome. With the last one, and the end of the behaviour, the value is
 * destroyed if nobody has taken it. NULL is allowed.
 */
boc_status boc_result_release(struct boc_result *result);

/* Batches: several behaviours as one step */

/**
 * An empty batch for an executor (NULL: as for `boc_when`). `*batch` is to be scheduled by
 * `boc_batch_schedule`, or given up by `boc_batch_release`.
 *
 * Its behaviours count as in flight from the moment they are added: a thread that has a batch, and waits
 * for the end of all, or for room by scheduling something else on a runtime with a bound, waits for ever.
 */
boc_status boc_batch_new(const struct boc_executor *executor,
                         struct boc_batch **batch);

/**
 * Adds a behaviour to a batch; arguments and errors are those of `boc_when`. The results come from
 * `boc_batch_schedule`, and may be written there after the bodies have started. What is refused by an
 * error was not added. `destroy_env` must not use the batch.
 */
boc_status boc_batch_when(struct boc_batch *batch,
                          const struct boc_request *requests,
                          size_t count,
                          boc_body_fn body,
                          void *env,
                          boc_destroy_fn destroy_env);

/**
 * How many behaviours were added. 0 for NULL.
 */
size_t boc_batch_len(const struct boc_batch *batch);

/**
 * Schedules the behaviours of a batch, and releases it.
 *
 * @param results Where to put handles to their outcomes, in the order in which they were added, for the
 *   caller to release. NULL if nobody wants them.
 * @param capacity How many handles there is room for: at least `boc_batch_len`, unless `results` is NULL.
 * @return BOC_OK; BOC_INVALID_ARGUMENT, after which the batch is as before.
 */
boc_status boc_batch_schedule(struct boc_batch *batch,
                              struct boc_result **results,
                              size_t capacity);

/**
 * Gives up a batch that was not scheduled: its behaviours are cancelled. NULL is allowed.
 */
boc_status boc_batch_release(struct boc_batch *batch);

/* Promises: results that come from outside */

/**
 * Makes a promise, and a handle to what it is going to be fulfilled with. Both are the caller's to
 * release; behaviours over the result wait for the promise, and their runtime does not end before.
 */
boc_status boc_promise_new(struct boc_promise **promise, struct boc_result **result);

/**
 * Gives the value, and releases the promise. The value is the result's from now on; if the call does not
 * succeed, it is destroyed.
 *
 * @return BOC_OK; BOC_CANCELLED if the result was cancelled before; BOC_INVALID_ARGUMENT.
 */
boc_status boc_promise_fulfil(struct boc_promise *promise,
                              void *value,
                              boc_destroy_fn destroy_value);

/**
 * Says that there will be no value, and why; releases the promise. `message` is copied.
 *
 * @return As for `boc_promise_fulfil`. If `message` is NULL, the promise is as before.
 */
boc_status boc_promise_fail(struct boc_promise *promise, const char *message);

/**
 * Whether the result was cancelled, so that nobody wants the value any more.
 */
bool boc_promise_is_cancelled(const struct boc_promise *promise);

/**
 * Gives up a promise that was not fulfilled: the outcome is BOC_BROKEN. NULL is allowed.
 */
boc_status boc_promise_release(struct boc_promise *promise);

/* Scopes: waiting for some behaviours, and all that they lead to */

/**
 * A scope of behaviours that run on an executor (NULL: as for `boc_when`). `*scope` is to be closed by
 * `boc_scope_close`.
 */
boc_status boc_scope_new(const struct boc_executor *executor,
                         struct boc_scope **scope);

/**
 * Where to schedule what is to be part of the scope. Lent until the scope is closed; what comes later,
 * from behaviours of the scope, is part of it if it is scheduled with NULL as executor. NULL gives NULL.
 */
const struct boc_executor *boc_scope_executor(const struct boc_scope *scope);

/**
 * Closes and releases a scope: it ends when all its behaviours have ended. They may go on scheduling
 * others until then.
 *
 * A behaviour over the end and over a cown that behaviours of the scope are going to use stands in their way
 * while it waits for them: it waits for ever.
 *
 * @param ended Where to put a handle to the end of the scope, to be waited for or scheduled over; for the
 *   caller to release. NULL if nobody wants to know.
 */
boc_status boc_scope_close(struct boc_scope *scope,
                           struct boc_result **ended);

/* Executors: where behaviours run */

/**
 * The executor that NULL stands for: inside of a behaviour the one where that runs, outside that of the
 * default runtime. `*executor` is the caller's to release.
 *
 * @return BOC_OK; BOC_NO_THREAD if the default runtime cannot be started; BOC_INVALID_ARGUMENT.
 */
boc_status boc_executor_current(struct boc_executor **executor);

/**
 * Another reference to the same executor, for the caller to release. NULL gives NULL.
 */
struct boc_executor *boc_executor_clone(const struct boc_executor *executor);

/**
 * Gives up a reference to an executor. NULL is allowed.
 */
boc_status boc_executor_release(struct boc_executor *executor);

/**
 * An executor of one's own. `*executor` is the caller's to release.
 *
 * `destroy_env` (may be NULL) is called with `env` when the last reference is gone and all behaviours of
 * the executor have ended; or now, if the call does not succeed.
 *
 * For a loop that only wants to run behaviours when it is their turn, `boc_pump_new` is simpler.
 */
boc_status boc_executor_new(boc_execute_fn execute,
                            void *env,
                            boc_destroy_fn destroy_env,
                            struct boc_executor **executor);

/**
 * Runs a behaviour on the calling thread, and releases its cowns. `ready` is used up.
 */
boc_status boc_ready_run(struct boc_ready *ready);

/**
 * Cancels a behaviour instead of running it, and releases its cowns. `ready` is used up. NULL is allowed.
 */
boc_status boc_ready_cancel(struct boc_ready *ready);

/* Pumps: behaviours in somebody else's loop */

/**
 * Makes a pump.
 *
 * @param lanes How many priorities there are, at least 1: behaviours that are ready in lane 0 run before
 *   those in lane 1, and so on. On one cown the order of scheduling holds, whatever the lanes.
 * @param wake Called whenever a behaviour has become ready, on the thread that made it so, possibly on
 *   several threads at once. It must not block, nor pump; to write to a pipe or an eventfd is what it is
 *   for. May be NULL.
 * @param env What `wake` gets. It has to live until `destroy_env`.
 * @param destroy_env Called once with `env` when nothing can call `wake` any more; or before this call
 *   returns, if it does not succeed. May be NULL.
 * @param pump For the caller to release.
 */
boc_status boc_pump_new(size_t lanes,
                        boc_notify_fn wake,
                        void *env,
                        boc_destroy_fn destroy_env,
                        struct boc_pump **pump);

/**
 * The executor of a lane, to schedule on. Lent as long as the pump exists. NULL if there is none: as
 * executor that means another one, so look at it.
 */
const struct boc_executor *boc_pump_executor(const struct boc_pump *pump,
                                             size_t lane);

/**
 * Runs behaviours that are ready, on the calling thread, with those that become ready meanwhile. Not
 * inside of a behaviour. One thread should pump at a time.
 *
 * @param limit How many to run at the most.
 * @param count How many ran. May be NULL.
 * @return BOC_OK, also if none was ready; BOC_INSIDE_BEHAVIOUR; BOC_INVALID_ARGUMENT.
 */
boc_status boc_pump_run(const struct boc_pump *pump,
                        size_t limit,
                        size_t *count);

/**
 * Ends a pump: it takes no more behaviours, and what has not run is cancelled. Can be called by a
 * behaviour that it runs. A thread that makes a behaviour ready just now may still call `wake` after
 * this, but not after `destroy_env`. NULL is allowed.
 */
boc_status boc_pump_release(struct boc_pump *pump);

/* Runtimes: worker threads */

/**
 * Makes a runtime, and starts its threads. `*runtime` is the caller's to release.
 *
 * @param options NULL: the default.
 * @return BOC_OK; BOC_NO_THREAD if the operating system refuses a thread; BOC_INVALID_ARGUMENT.
 */
boc_status boc_runtime_new(const struct boc_runtime_options *options, struct boc_runtime **runtime);

/**
 * The default runtime, which NULL as executor means outside of behaviours. It is started when it is first
 * asked for, with a worker for each processor, and lives as long as the program; in a Python program it
 * is the pool that runs Python's behaviours. `*runtime` is the caller's to release.
 */
boc_status boc_runtime_default(struct boc_runtime **runtime);

/**
 * Another reference to the same runtime, for the caller to release. NULL gives NULL.
 */
struct boc_runtime *boc_runtime_clone(const struct boc_runtime *runtime);

/**
 * Gives up a reference to a runtime. With the last one, a runtime of `boc_runtime_new` ends as by
 * `boc_runtime_shutdown`, and the call waits for that; inside of a behaviour, and on a thread that is a
 * worker, it does not wait. A limit to the wait has only `boc_runtime_shutdown`, before this. NULL is
 * allowed.
 */
boc_status boc_runtime_release(struct boc_runtime *runtime);

/**
 * Where to schedule what is to run on a runtime. Lent as long as this handle exists. NULL gives NULL.
 */
const struct boc_executor *boc_runtime_executor(const struct boc_runtime *runtime);

/**
 * Waits until all behaviours of a runtime have ended, for `timeout_ns` nanoseconds at the most. What is
 * scheduled meanwhile is waited for, too.
 *
 * @return BOC_OK; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR; BOC_INTERRUPTED; BOC_INVALID_ARGUMENT.
 */
boc_status boc_runtime_quiesce(const struct boc_runtime *runtime,
                               uint64_t timeout_ns);

/**
 * Ends a runtime after all its behaviours have ended; these may go on scheduling others. What is
 * scheduled from elsewhere from now on is refused. Waits for the end, for `timeout_ns` nanoseconds at the
 * most; if that runs out, the runtime ends later, and this can be called again to go on waiting. Where no
 * thread is a worker at this moment (BOC_FOREIGN_THREADS), what has not run is cancelled.
 *
 * A runtime does not end while one of its behaviours waits for a promise, or for a cown that others hold.
 *
 * @return BOC_OK, also if it has ended before; BOC_TIMED_OUT; BOC_INSIDE_BEHAVIOUR, after which nothing
 *   has changed; BOC_NOT_ALLOWED if the runtime belongs to the program that this code was loaded into;
 *   BOC_INTERRUPTED; BOC_INVALID_ARGUMENT.
 */
boc_status boc_runtime_shutdown(const struct boc_runtime *runtime,
                                uint64_t timeout_ns);

/**
 * Ends a runtime at once: behaviours that run are waited for, as by `boc_runtime_shutdown`; the others
 * are cancelled.
 */
boc_status boc_runtime_stop(const struct boc_runtime *runtime,
                            uint64_t timeout_ns);

/**
 * Makes the calling thread a worker, until the runtime is told to end. For runtimes with
 * `BOC_FOREIGN_THREADS`.
 *
 * @return BOC_OK when the runtime has ended; BOC_NO_PLACE if all workers have a thread, or this thread is
 *   a worker already; BOC_INSIDE_BEHAVIOUR; BOC_INVALID_ARGUMENT.
 */
boc_status boc_runtime_run_worker(const struct boc_runtime *runtime);

/**
 * How many workers a runtime has. 0 for NULL.
 */
size_t boc_runtime_workers(const struct boc_runtime *runtime);

/**
 * Behaviours of a runtime that were scheduled and have not ended, at this moment. 0 for NULL.
 */
size_t boc_runtime_in_flight(const struct boc_runtime *runtime);

/**
 * What the workers of a runtime have done so far.
 *
 * @param stats Room for `capacity` workers. May be NULL if that is 0.
 * @param stats_size `sizeof(boc_worker_stats)`, so that later versions can add fields.
 * @param count How many workers there are, which can be more than there was room for. May be NULL.
 */
boc_status boc_runtime_stats(const struct boc_runtime *runtime,
                             struct boc_worker_stats *stats,
                             size_t stats_size,
                             size_t capacity,
                             size_t *count);

/**
 * Which behaviours of a runtime have not ended, what each holds and waits for, and for how long: "why is
 * this not running?". A behaviour is called by the name of its body, or by where that lies in its file, which
 * addr2line takes; a cown by its address, which in a release build is that of its handles. The runtime must
 * have been made with `BOC_OBSERVE` or a watchdog, else the text says so.
 *
 * @param report A text, to be freed by `boc_string_free`.
 */
boc_status boc_runtime_report(const struct boc_runtime *runtime,
                              char **report);

/**
 * Frees a text that the library gave. NULL is allowed.
 */
void boc_string_free(char *string);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BOC_BOC_H */
