/* Runtimes: how they are made, what they tell, and how they end. */
#include "check.h"

#include <pthread.h>

/* A behaviour that nobody lets run until the gate opens. */
typedef struct gate {
    boc_promise *promise;
    boc_result *result;
    boc_request request[1];
} gate;

static void close_gate(gate *gate) {
    OK(boc_promise_new(&gate->promise, &gate->result));
    gate->request[0] = reads(boc_result_cown(gate->result));
}

static void open_gate(gate *gate) {
    OK(boc_promise_fulfil(gate->promise, NULL, NULL));
    OK(boc_result_release(gate->result));
}

static void options_tell_their_size(void) {
    struct {
        boc_runtime_options options;
        unsigned char later[16];
    } newer;
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = NULL;
    /* Too small for any version. */
    options.workers = 3;
    options.size = 0;
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_new(&options, &runtime));
    options.size = sizeof(size_t);
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_new(&options, &runtime));
    /* An older program knows fewer fields: what is behind them is not looked at. */
    options.size = offsetof(boc_runtime_options, flags);
    options.flags = ~0u;
    OK(boc_runtime_new(&options, &runtime));
    CHECK(boc_runtime_workers(runtime) == 3);
    OK(boc_runtime_release(runtime));
    /* A newer program knows more, which matters when it is used. */
    memset(&newer, 0, sizeof newer);
    newer.options.size = sizeof newer;
    newer.options.workers = 2;
    runtime = NULL;
    OK(boc_runtime_new(&newer.options, &runtime));
    CHECK(boc_runtime_workers(runtime) == 2);
    OK(boc_runtime_release(runtime));
    newer.later[15] = 1;
    runtime = NULL;
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_new(&newer.options, &runtime));
    CHECK(runtime == NULL);
    /* A size that is only claimed to be that of the program. */
    newer.options.size = sizeof newer.options;
    OK(boc_runtime_new(&newer.options, &runtime));
    OK(boc_runtime_release(runtime));
    OK(boc_runtime_new(NULL, &runtime));
    CHECK(boc_runtime_workers(runtime) >= 1);
    OK(boc_runtime_release(runtime));
}

static void stalls(void *env, const char *report) {
    CHECK(*report);
    bump(&((counted *)env)->ran);
}

static void what_the_options_say_must_make_sense(void) {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    counted env = {0, 0};
    boc_runtime *runtime = NULL;
    options.stall_env = &env;
    options.destroy_stall_env = destroys;
    options.flags = 4;
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_new(&options, &runtime));
    CHECK(look(&env.destroyed) == 1);
    options.flags = 0;
    options.workers = 65536;
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_new(&options, &runtime));
    CHECK(look(&env.destroyed) == 2);
    options.workers = 1;
    options.stall_after_ns = 1;
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_new(&options, &runtime));
    CHECK(look(&env.destroyed) == 3 && runtime == NULL);
    options.on_stall = stalls;
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_new(&options, NULL));
    CHECK(look(&env.destroyed) == 4 && look(&env.ran) == 0);
    /* Without a watchdog nobody needs the env. */
    options.stall_after_ns = 0;
    OK(boc_runtime_new(&options, &runtime));
    OK(boc_runtime_release(runtime));
    CHECK(look(&env.destroyed) == 5);
}

static void *named(void *data) {
    char name[32] = "";
    (void)data;
    CHECK(pthread_getname_np(pthread_self(), name, sizeof name) == 0);
    CHECK(strncmp(name, "clerk", 5) == 0);
    return NULL;
}

static void asks_its_name(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)values;
    named(NULL);
    bump(&((counted *)env)->ran);
}

static void threads_have_the_name_that_was_given(void) {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = NULL;
    counted env = {0, 0};
    char name[] = "clerk";
    options.workers = 1;
    options.thread_name = name;
    OK(boc_runtime_new(&options, &runtime));
    memset(name, 'x', sizeof name - 1);
    OK(boc_when(boc_runtime_executor(runtime), NULL, 0, asks_its_name, &env, NULL, NULL));
    end(runtime);
    CHECK(look(&env.ran) == 1);
}

static void blocks(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)values;
    while (look((int *)env) == 0) {
    }
}

static void lets_go(void *env, const char *report) {
    CHECK(*report);
    bump((int *)env);
}

static void a_stalled_worker_is_told_of(void) {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = NULL;
    int told_of = 0;
    options.workers = 1;
    options.stall_after_ns = 1000000;
    options.on_stall = lets_go;
    options.stall_env = &told_of;
    OK(boc_runtime_new(&options, &runtime));
    /* It ends because it is told of, and not before. */
    OK(boc_when(boc_runtime_executor(runtime), NULL, 0, blocks, &told_of, NULL, NULL));
    end(runtime);
    CHECK(look(&told_of) >= 1);
}

static void a_report_says_what_waits(void) {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = NULL;
    counted env = {0, 0};
    char *report = NULL;
    gate gate;
    close_gate(&gate);
    options.workers = 1;
    OK(boc_runtime_new(&options, &runtime));
    OK(boc_runtime_report(runtime, &report));
    CHECK(report != NULL && *report);
    boc_string_free(report);
    OK(boc_runtime_release(runtime));
    options.flags = BOC_OBSERVE;
    OK(boc_runtime_new(&options, &runtime));
    OK(boc_when(boc_runtime_executor(runtime), gate.request, 1, counts, &env, NULL, NULL));
    OK(boc_runtime_report(runtime, &report));
    CHECK(strstr(report, "wait") != NULL);
    /* The body, by its name or by where it lies in the program. */
    CHECK(strstr(report, "scheduled at runtimes+0x") != NULL ||
          strstr(report, "scheduled at counts in runtimes") != NULL);
    boc_string_free(report);
    boc_string_free(NULL);
    open_gate(&gate);
    end(runtime);
    CHECK(look(&env.ran) == 1);
}

static void counters_count(void) {
    boc_runtime *runtime = start(2);
    boc_worker_stats stats[2];
    struct {
        boc_worker_stats known;
        uint64_t later;
    } newer[2];
    uint64_t older[2] = {9, 9};
    counted env = {0, 0};
    size_t count = 0;
    gate gate;
    int index;
    close_gate(&gate);
    CHECK(boc_runtime_in_flight(runtime) == 0 && boc_runtime_in_flight(NULL) == 0 && boc_runtime_workers(NULL) == 0);
    for (index = 0; index < 10; ++index) {
        OK(boc_when(boc_runtime_executor(runtime), gate.request, 1, counts, &env, NULL, NULL));
    }
    CHECK(boc_runtime_in_flight(runtime) == 10);
    SAYS(BOC_TIMED_OUT, boc_runtime_quiesce(runtime, 0));
    open_gate(&gate);
    OK(boc_runtime_quiesce(runtime, BOC_FOREVER));
    CHECK(boc_runtime_in_flight(runtime) == 0 && look(&env.ran) == 10);
    OK(boc_runtime_shutdown(runtime, BOC_FOREVER));
    OK(boc_runtime_stats(runtime, NULL, 0, 0, &count));
    CHECK(count == 2);
    OK(boc_runtime_stats(runtime, stats, sizeof *stats, 2, NULL));
    CHECK(stats[0].run + stats[1].run == 10);
    /* Only as many as there is room for, and as much of each as both sides know. */
    stats[1].run = 77;
    OK(boc_runtime_stats(runtime, stats, sizeof *stats, 1, &count));
    CHECK(stats[1].run == 77 && count == 2);
    memset(newer, 0xff, sizeof newer);
    OK(boc_runtime_stats(runtime, &newer[0].known, sizeof *newer, 2, NULL));
    CHECK(newer[0].later == 0 && newer[1].later == 0 && newer[0].known.run + newer[1].known.run == 10);
    OK(boc_runtime_stats(runtime, (boc_worker_stats *)(void *)older, sizeof *older, 2, NULL));
    CHECK(older[0] + older[1] == 10);
    SAYS(BOC_INVALID_ARGUMENT, boc_runtime_stats(runtime, stats, 0, 1, &count));
    OK(boc_runtime_release(runtime));
}

static void a_runtime_that_was_shut_down_refuses(void) {
    boc_runtime *runtime = start(1), *clone = boc_runtime_clone(runtime);
    counted env = {0, 0}, late = {0, 0};
    boc_result *result = NULL;
    boc_batch *batch = NULL;
    gate gate;
    close_gate(&gate);
    OK(boc_when(boc_runtime_executor(clone), gate.request, 1, counts, &env, destroys, NULL));
    SAYS(BOC_TIMED_OUT, boc_runtime_shutdown(runtime, 0));
    SAYS(BOC_REFUSED, boc_when(boc_runtime_executor(clone), NULL, 0, counts, &late, destroys, NULL));
    SAYS(BOC_REFUSED, boc_when(boc_runtime_executor(clone), NULL, 0, counts, &late, destroys, &result));
    OK(boc_batch_new(boc_runtime_executor(clone), &batch));
    SAYS(BOC_REFUSED, boc_batch_when(batch, NULL, 0, counts, &late, destroys));
    CHECK(boc_batch_len(batch) == 0);
    OK(boc_batch_release(batch));
    CHECK(look(&late.destroyed) == 3 && look(&late.ran) == 0 && result == NULL);
    open_gate(&gate);
    OK(boc_runtime_shutdown(runtime, BOC_FOREVER));
    OK(boc_runtime_shutdown(clone, 0));
    OK(boc_runtime_stop(clone, 0));
    CHECK(look(&env.ran) == 1 && look(&env.destroyed) == 1);
    OK(boc_runtime_release(runtime));
    OK(boc_runtime_release(clone));
    OK(boc_runtime_release(NULL));
    CHECK(boc_runtime_clone(NULL) == NULL && boc_runtime_executor(NULL) == NULL);
}

static void a_runtime_that_is_stopped_cancels_what_waits(void) {
    boc_runtime *runtime = start(1);
    counted env = {0, 0}, late = {0, 0};
    boc_result *result = NULL;
    gate gate;
    close_gate(&gate);
    OK(boc_when(boc_runtime_executor(runtime), gate.request, 1, counts, &env, destroys, &result));
    OK(boc_when(boc_runtime_executor(runtime), gate.request, 1, counts, &env, destroys, NULL));
    OK(boc_runtime_stop(runtime, BOC_FOREVER));
    SAYS(BOC_REFUSED, boc_when(boc_runtime_executor(runtime), NULL, 0, counts, &late, destroys, NULL));
    CHECK(look(&late.destroyed) == 1);
    /* Nobody runs them when it would be their turn. */
    open_gate(&gate);
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 2);
    CHECK(boc_result_status(result) == BOC_CANCELLED);
    OK(boc_result_release(result));
    OK(boc_runtime_release(runtime));
}

static void the_last_release_waits_for_the_end(void) {
    boc_runtime *runtime = start(2);
    counted env = {0, 0};
    int index;
    for (index = 0; index < 1000; ++index) {
        OK(boc_when(boc_runtime_executor(runtime), NULL, 0, counts, &env, destroys, NULL));
    }
    OK(boc_runtime_release(runtime));
    CHECK(look(&env.ran) == 1000 && look(&env.destroyed) == 1000);
}

static void releases(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)values;
    OK(boc_runtime_release((boc_runtime *)env));
}

static void a_behaviour_may_release_its_own_runtime(void) {
    boc_runtime *runtime = start(1);
    boc_result *result = NULL;
    OK(boc_when(boc_runtime_executor(runtime), NULL, 0, releases, runtime, NULL, &result));
    OK(boc_result_wait(result, BOC_FOREVER));
    CHECK(boc_result_status(result) == BOC_OK);
    OK(boc_result_release(result));
    while (boc_live_cowns() != 0) {
    }
}

static void *works(void *runtime) {
    OK(boc_runtime_run_worker((boc_runtime *)runtime));
    return NULL;
}

static void tries_to_work_twice(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)values;
    SAYS(BOC_INSIDE_BEHAVIOUR, boc_runtime_run_worker((boc_runtime *)env));
}

static void threads_of_others_can_be_workers(void) {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = NULL, *ordinary = start(1);
    pthread_t threads[2];
    counted env = {0, 0};
    int index;
    SAYS(BOC_NO_PLACE, boc_runtime_run_worker(ordinary));
    end(ordinary);
    options.workers = 2;
    options.flags = BOC_FOREIGN_THREADS;
    OK(boc_runtime_new(&options, &runtime));
    for (index = 0; index < 100; ++index) {
        OK(boc_when(boc_runtime_executor(runtime), NULL, 0, counts, &env, destroys, NULL));
    }
    CHECK(look(&env.ran) == 0);
    for (index = 0; index < 2; ++index) CHECK(pthread_create(&threads[index], NULL, works, runtime) == 0);
    OK(boc_runtime_quiesce(runtime, BOC_FOREVER));
    CHECK(look(&env.ran) == 100 && look(&env.destroyed) == 100);
    OK(boc_when(boc_runtime_executor(runtime), NULL, 0, tries_to_work_twice, runtime, NULL, NULL));
    OK(boc_runtime_shutdown(runtime, BOC_FOREVER));
    for (index = 0; index < 2; ++index) CHECK(pthread_join(threads[index], NULL) == 0);
    OK(boc_runtime_release(runtime));
}

static void *fills(void *data) {
    int index;
    for (index = 0; index < 500; ++index) {
        OK(boc_when((const boc_executor *)((void **)data)[0], NULL, 0, counts, ((void **)data)[1], NULL, NULL));
    }
    return NULL;
}

typedef struct bounded {
    int about_to_schedule;
    int scheduled;
} bounded;

static void sees_nobody_get_in(boc_body *body, void *const *values, void *env) {
    bounded *it = (bounded *)env;
    int looked;
    (void)body;
    (void)values;
    while (look(&it->about_to_schedule) == 0) {
    }
    for (looked = 0; looked < 100000; ++looked) CHECK(look(&it->scheduled) == 0);
}

static void a_bound_holds_threads_back(void) {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = NULL;
    bounded shared = {0, 0};
    counted env = {0, 0};
    void *both[2];
    pthread_t other;
    options.workers = 2;
    options.max_in_flight = 1;
    OK(boc_runtime_new(&options, &runtime));
    OK(boc_when(boc_runtime_executor(runtime), NULL, 0, sees_nobody_get_in, &shared, NULL, NULL));
    bump(&shared.about_to_schedule);
    OK(boc_when(boc_runtime_executor(runtime), NULL, 0, counts, &env, NULL, NULL));
    bump(&shared.scheduled);
    /* All of them get in some time. */
    both[0] = (void *)(uintptr_t)boc_runtime_executor(runtime);
    both[1] = &env;
    CHECK(pthread_create(&other, NULL, fills, both) == 0);
    fills(both);
    CHECK(pthread_join(other, NULL) == 0);
    OK(boc_runtime_quiesce(runtime, BOC_FOREVER));
    CHECK(look(&env.ran) == 1001);
    end(runtime);
}

int main(void) {
    TEST(options_tell_their_size);
    TEST(what_the_options_say_must_make_sense);
    TEST(threads_have_the_name_that_was_given);
    TEST(a_stalled_worker_is_told_of);
    TEST(a_report_says_what_waits);
    TEST(counters_count);
    TEST(a_runtime_that_was_shut_down_refuses);
    TEST(a_runtime_that_is_stopped_cancels_what_waits);
    TEST(the_last_release_waits_for_the_end);
    TEST(a_behaviour_may_release_its_own_runtime);
    TEST(threads_of_others_can_be_workers);
    TEST(a_bound_holds_threads_back);
    return 0;
}
