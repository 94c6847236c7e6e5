/* What a caller can do wrong: a status with a message, and nothing else happens. */
#include "check.h"

/* Refused, with a message of its own: another one is left before. */
#define REFUSED(status, call)                                                              \
    do {                                                                                   \
        char before[200];                                                                  \
        snprintf(before, sizeof before, "%s", provoked());                                 \
        SAYS(status, call);                                                                \
        CHECK(strcmp(before, boc_last_error()) != 0);                                      \
    } while (0)
#define REFUSES(call) REFUSED(BOC_INVALID_ARGUMENT, call)
#define GIVES(nothing, call) REFUSED(BOC_OK, (call) == (nothing) ? BOC_OK : BOC_INTERNAL_ERROR)

static const char *provoked(void) {
    boc_pump *pump = NULL;
    SAYS(BOC_INVALID_ARGUMENT, boc_pump_new(0, NULL, NULL, NULL, &pump));
    CHECK(pump == NULL);
    return boc_last_error();
}

typedef struct shelf {
    boc_ready *ready;
} shelf;

static int keeps(void *env, boc_ready *ready) {
    ((shelf *)env)->ready = ready;
    return 0;
}

/* One handle of each kind. */
typedef struct handles {
    boc_cown *cown;
    boc_weak_cown *weak;
    boc_result *result;
    boc_batch *batch;
    boc_promise *promise;
    boc_scope *scope;
    boc_executor *executor;
    boc_ready *ready;
    boc_pump *pump;
    boc_runtime *runtime;
} handles;

static void make(handles *all) {
    static counted ignored;
    static shelf shelf;
    OK(boc_cown_new(NULL, NULL, &all->cown));
    all->weak = boc_cown_downgrade(all->cown);
    OK(boc_executor_new(keeps, &shelf, NULL, &all->executor));
    OK(boc_when(all->executor, NULL, 0, counts, &ignored, NULL, NULL));
    all->ready = shelf.ready;
    all->pump = make_pump();
    all->runtime = start(1);
    OK(boc_batch_new(boc_pump_executor(all->pump, 0), &all->batch));
    OK(boc_scope_new(boc_pump_executor(all->pump, 0), &all->scope));
    OK(boc_promise_new(&all->promise, &all->result));
}

static void release(handles *all) {
    OK(boc_ready_run(all->ready));
    OK(boc_batch_release(all->batch));
    OK(boc_scope_close(all->scope, NULL));
    OK(boc_promise_release(all->promise));
    OK(boc_result_release(all->result));
    OK(boc_executor_release(all->executor));
    OK(boc_pump_release(all->pump));
    OK(boc_weak_cown_release(all->weak));
    OK(boc_cown_release(all->cown));
    end(all->runtime);
}

static void null_is_refused_in_the_body(boc_body *body, void *const *values, void *env) {
    counted *value = (counted *)env;
    void *taken = NULL;
    (void)values;
    bump(&value->ran);
    REFUSES(boc_body_set_result(NULL, value, destroys));
    CHECK(look(&value->destroyed) == 1);
    REFUSES(boc_body_fail(NULL, "message"));
    REFUSES(boc_body_fail(body, NULL));
    REFUSES(boc_body_set_value(NULL, 0, value, destroys));
    CHECK(look(&value->destroyed) == 2);
    REFUSES(boc_body_take(NULL, 0, &taken));
    REFUSES(boc_body_take(body, 0, NULL));
    REFUSES(boc_body_outcome(NULL, 0, NULL));
    GIVES(0u, boc_body_count(NULL));
    GIVES(NULL, boc_body_cown(NULL, 0));
    /* Beyond the end. */
    GIVES(NULL, boc_body_cown(body, 1));
    GIVES(NULL, boc_body_cown(body, SIZE_MAX));
    REFUSES(boc_body_set_value(body, 1, value, destroys));
    CHECK(look(&value->destroyed) == 3);
    REFUSES(boc_body_take(body, 1, &taken));
    REFUSES(boc_body_outcome(body, SIZE_MAX, NULL));
    CHECK(taken == NULL && boc_body_count(body) == 1);
}

static void null_is_refused_where_it_is_not_said_to_be_allowed(void) {
    handles all;
    counted env = {0, 0};
    boc_request none[] = {{NULL, BOC_WRITE}}, one[1];
    boc_cown *cown = NULL;
    boc_promise *promise = NULL;
    boc_result *result = NULL;
    boc_executor *executor = NULL;
    boc_worker_stats stats;
    char *report = NULL;
    void *value = NULL;
    size_t count = 99;
    int destroyed = 0;
    make(&all);
    one[0] = writes(all.cown);

    REFUSES(boc_cown_new(&env, destroys, NULL));
    REFUSES(boc_weak_cown_upgrade(NULL, &cown));
    REFUSES(boc_weak_cown_upgrade(all.weak, NULL));
    REFUSES(boc_when(all.executor, NULL, 1, counts, &env, destroys, NULL));
    REFUSES(boc_when(all.executor, none, 1, counts, &env, destroys, NULL));
    REFUSES(boc_when(all.executor, none, 1, counts, &env, destroys, &result));
    REFUSES(boc_when(all.executor, one, 1, NULL, &env, destroys, NULL));
    REFUSES(boc_when(all.executor, one, SIZE_MAX, counts, &env, destroys, NULL));
    CHECK(look(&env.destroyed) == (destroyed = 6));
    REFUSES(boc_result_wait(NULL, 0));
    REFUSES(boc_result_status(NULL));
    GIVES(NULL, boc_result_error(NULL));
    REFUSES(boc_result_take(NULL, 0, &value));
    REFUSES(boc_result_take(all.result, 0, NULL));
    REFUSES(boc_result_cancel(NULL, NULL));
    REFUSES(boc_result_on_finished(NULL, told, &env, destroys));
    REFUSES(boc_result_on_finished(all.result, NULL, &env, destroys));
    CHECK(look(&env.destroyed) == (destroyed += 2));
    REFUSES(boc_batch_new(all.executor, NULL));
    REFUSES(boc_batch_when(NULL, one, 1, counts, &env, destroys));
    REFUSES(boc_batch_when(all.batch, NULL, 1, counts, &env, destroys));
    REFUSES(boc_batch_when(all.batch, none, 1, counts, &env, destroys));
    REFUSES(boc_batch_when(all.batch, one, 1, NULL, &env, destroys));
    CHECK(look(&env.destroyed) == (destroyed += 4) && boc_batch_len(all.batch) == 0);
    GIVES(0u, boc_batch_len(NULL));
    REFUSES(boc_batch_schedule(NULL, NULL, 0));
    REFUSES(boc_promise_new(NULL, &result));
    REFUSES(boc_promise_new(&promise, NULL));
    REFUSES(boc_promise_fulfil(NULL, &env, destroys));
    CHECK(look(&env.destroyed) == (destroyed += 1));
    REFUSES(boc_promise_fail(NULL, "message"));
    REFUSES(boc_promise_fail(all.promise, NULL));
    GIVES(false, boc_promise_is_cancelled(NULL));
    REFUSES(boc_scope_new(all.executor, NULL));
    REFUSES(boc_scope_close(NULL, &result));
    REFUSES(boc_executor_current(NULL));
    REFUSES(boc_executor_new(NULL, &env, destroys, &executor));
    REFUSES(boc_executor_new(keeps, &env, destroys, NULL));
    CHECK(look(&env.destroyed) == (destroyed += 2));
    REFUSES(boc_ready_run(NULL));
    REFUSES(boc_pump_new(1, NULL, &env, destroys, NULL));
    CHECK(look(&env.destroyed) == (destroyed += 1));
    REFUSES(boc_pump_run(NULL, 1, &count));
    REFUSES(boc_runtime_new(NULL, NULL));
    REFUSES(boc_runtime_default(NULL));
    REFUSES(boc_runtime_quiesce(NULL, 0));
    REFUSES(boc_runtime_shutdown(NULL, 0));
    REFUSES(boc_runtime_stop(NULL, 0));
    REFUSES(boc_runtime_run_worker(NULL));
    GIVES(0u, boc_runtime_workers(NULL));
    GIVES(0u, boc_runtime_in_flight(NULL));
    REFUSES(boc_runtime_stats(NULL, &stats, sizeof stats, 1, &count));
    REFUSES(boc_runtime_stats(all.runtime, NULL, sizeof stats, 1, &count));
    REFUSES(boc_runtime_report(NULL, &report));
    REFUSES(boc_runtime_report(all.runtime, NULL));

    /* What is given by pointers is written on success alone. */
    CHECK(!cown && !promise && !result && !executor && !report && !value && count == 99 && look(&env.ran) == 0);
    OK(boc_when(boc_pump_executor(all.pump, 0), one, 1, null_is_refused_in_the_body, &env, NULL, NULL));
    env.destroyed = 0;
    CHECK(run_all(all.pump) == 1 && look(&env.ran) == 1);
    release(&all);
}

static void an_unknown_mode_is_refused(void) {
    static const uint32_t modes[] = {2, 3, 0x100, UINT32_MAX};
    handles all;
    counted env = {0, 0};
    boc_result *result = NULL;
    size_t index;
    make(&all);
    for (index = 0; index < sizeof modes / sizeof *modes; ++index) {
        boc_request request[] = {{NULL, 0}, {NULL, 0}};
        request[0].cown = all.cown;
        request[1].cown = boc_result_cown(all.result);
        request[1].mode = modes[index];
        REFUSES(boc_when(all.executor, request, 2, counts, &env, destroys, &result));
        REFUSES(boc_when(all.executor, request, 2, counts, &env, destroys, NULL));
        REFUSES(boc_batch_when(all.batch, request, 2, counts, &env, destroys));
    }
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 12 && result == NULL);
    release(&all);
}

static void a_pump_has_some_lanes(void) {
    boc_pump *pump = NULL;
    counted env = {0, 0};
    SAYS(BOC_INVALID_ARGUMENT, boc_pump_new(0, told, &env, destroys, &pump));
    SAYS(BOC_INVALID_ARGUMENT, boc_pump_new(SIZE_MAX, told, &env, destroys, &pump));
    CHECK(pump == NULL && look(&env.destroyed) == 2 && look(&env.ran) == 0);
}

/* Inside of a behaviour nothing waits for others. */
static void waits(boc_body *body, void *const *values, void *env) {
    handles *all = (handles *)env;
    void *value = NULL;
    size_t count = 99;
    (void)body;
    (void)values;
    CHECK(boc_inside_behaviour());
    REFUSED(BOC_INSIDE_BEHAVIOUR, boc_result_wait(all->result, 0));
    REFUSED(BOC_INSIDE_BEHAVIOUR, boc_result_wait(all->result, BOC_FOREVER));
    REFUSED(BOC_INSIDE_BEHAVIOUR, boc_result_take(all->result, BOC_FOREVER, &value));
    REFUSED(BOC_INSIDE_BEHAVIOUR, boc_pump_run(all->pump, 1, &count));
    REFUSED(BOC_INSIDE_BEHAVIOUR, boc_runtime_quiesce(all->runtime, BOC_FOREVER));
    REFUSED(BOC_INSIDE_BEHAVIOUR, boc_runtime_shutdown(all->runtime, BOC_FOREVER));
    REFUSED(BOC_INSIDE_BEHAVIOUR, boc_runtime_stop(all->runtime, BOC_FOREVER));
    CHECK(value == NULL && count == 99);
}

static void nothing_waits_inside_of_a_behaviour(void) {
    handles all;
    counted env = {0, 0};
    make(&all);
    OK(boc_when(boc_pump_executor(all.pump, 0), NULL, 0, waits, &all, NULL, NULL));
    CHECK(run_all(all.pump) == 1);
    OK(boc_when(boc_runtime_executor(all.runtime), NULL, 0, waits, &all, NULL, NULL));
    OK(boc_runtime_quiesce(all.runtime, BOC_FOREVER));
    /* The runtime was not ended. */
    OK(boc_when(boc_runtime_executor(all.runtime), NULL, 0, counts, &env, NULL, NULL));
    OK(boc_runtime_quiesce(all.runtime, BOC_FOREVER));
    CHECK(look(&env.ran) == 1 && boc_result_status(all.result) == BOC_PENDING);
    release(&all);
}

static void every_status_has_a_name(void) {
    int status;
    CHECK(strcmp(boc_status_name(BOC_OK), "BOC_OK") == 0);
    CHECK(strcmp(boc_status_name(BOC_INTERNAL_ERROR), "BOC_INTERNAL_ERROR") == 0);
    for (status = 0; status <= BOC_INTERNAL_ERROR; ++status) CHECK(strncmp(boc_status_name(status), "BOC_", 4) == 0);
    CHECK(strcmp(boc_status_name(-1), "unknown status") == 0);
    CHECK(strcmp(boc_status_name(BOC_INTERNAL_ERROR + 1), "unknown status") == 0);
    CHECK(boc_abi_version() == (BOC_VERSION_MAJOR << 16 | BOC_VERSION_MINOR));
    {
        char version[40];
        snprintf(version, sizeof version, "%d.%d.%d", BOC_VERSION_MAJOR, BOC_VERSION_MINOR, BOC_VERSION_PATCH);
        CHECK(strcmp(version, boc_version()) == 0);
    }
}

int main(void) {
    CHECK(boc_last_error() != NULL && *boc_last_error() == 0);
    TEST(null_is_refused_where_it_is_not_said_to_be_allowed);
    TEST(an_unknown_mode_is_refused);
    TEST(a_pump_has_some_lanes);
    TEST(nothing_waits_inside_of_a_behaviour);
    TEST(every_status_has_a_name);
    return 0;
}
