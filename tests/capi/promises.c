/* Promises: results that come from outside. */
#include "check.h"

typedef struct seen {
    int ran;
    boc_status status;
    void *value;
    char message[80];
} seen;

static void sees(boc_body *body, void *const *values, void *env) {
    seen *it = (seen *)env;
    const char *message = NULL;
    ++it->ran;
    it->status = boc_body_outcome(body, 0, &message);
    it->value = values[0];
    if (message) strncpy(it->message, message, sizeof it->message - 1);
}

/* A behaviour that waits for a promise. */
static void await(const boc_pump *pump, const boc_result *result, seen *seen) {
    boc_request request[] = {reads(boc_result_cown(result))};
    memset(seen, 0, sizeof *seen);
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, sees, seen, NULL, NULL));
    CHECK(run_all(pump) == 0);
}

static void behaviours_over_it_wait_for_the_value(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    boc_promise *promise = NULL;
    boc_result *result = NULL;
    seen seen;
    void *taken = NULL;
    OK(boc_promise_new(&promise, &result));
    await(pump, result, &seen);
    CHECK(boc_result_status(result) == BOC_PENDING && !boc_promise_is_cancelled(promise));
    OK(boc_promise_fulfil(promise, &value, destroys));
    CHECK(run_all(pump) == 1 && seen.ran == 1 && seen.status == BOC_OK && seen.value == &value);
    OK(boc_result_take(result, 0, &taken));
    CHECK(taken == &value);
    OK(boc_result_release(result));
    CHECK(look(&value.destroyed) == 0);
    OK(boc_pump_release(pump));
}

static void a_value_that_nobody_takes_is_destroyed(void) {
    counted value = {0, 0}, alone = {0, 0};
    boc_promise *promise = NULL;
    boc_result *result = NULL;
    OK(boc_promise_new(&promise, &result));
    OK(boc_promise_fulfil(promise, &value, destroys));
    CHECK(look(&value.destroyed) == 0);
    OK(boc_result_release(result));
    CHECK(look(&value.destroyed) == 1);
    OK(boc_promise_new(&promise, &result));
    OK(boc_result_release(result));
    OK(boc_promise_fulfil(promise, &alone, destroys));
    CHECK(look(&alone.destroyed) == 1);
}

static void a_promise_fails_with_a_message_or_breaks(void) {
    boc_pump *pump = make_pump();
    boc_promise *promise = NULL;
    boc_result *result = NULL;
    seen seen;
    char reason[] = "no route to host";
    OK(boc_promise_new(&promise, &result));
    await(pump, result, &seen);
    SAYS(BOC_INVALID_ARGUMENT, boc_promise_fail(promise, NULL));
    CHECK(boc_result_status(result) == BOC_PENDING);
    OK(boc_promise_fail(promise, reason));
    memset(reason, 'x', sizeof reason - 1);
    CHECK(run_all(pump) == 1 && seen.status == BOC_FAILED && seen.value == NULL);
    CHECK(strcmp(seen.message, "no route to host") == 0);
    CHECK(strcmp(boc_result_error(result), "no route to host") == 0);
    OK(boc_result_release(result));

    OK(boc_promise_new(&promise, &result));
    await(pump, result, &seen);
    OK(boc_promise_release(promise));
    CHECK(run_all(pump) == 1 && seen.status == BOC_BROKEN && seen.value == NULL && seen.message[0]);
    CHECK(boc_result_status(result) == BOC_BROKEN);
    OK(boc_result_wait(result, BOC_FOREVER));
    OK(boc_result_release(result));
    OK(boc_promise_release(NULL));
    OK(boc_pump_release(pump));
}

static void who_cancels_the_result_wants_no_value(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    boc_promise *promise = NULL;
    boc_result *result = NULL;
    bool cancelled = false;
    seen seen;
    int how;
    for (how = 0; how < 3; ++how) {
        OK(boc_promise_new(&promise, &result));
        await(pump, result, &seen);
        OK(boc_result_cancel(result, &cancelled));
        CHECK(cancelled && boc_promise_is_cancelled(promise));
        if (how == 0) SAYS(BOC_CANCELLED, boc_promise_fulfil(promise, &value, destroys));
        if (how == 1) SAYS(BOC_CANCELLED, boc_promise_fail(promise, "too late"));
        if (how == 2) OK(boc_promise_release(promise));
        CHECK(run_all(pump) == 1 && seen.status == BOC_CANCELLED);
        CHECK(boc_result_status(result) == BOC_CANCELLED);
        OK(boc_result_release(result));
    }
    CHECK(look(&value.destroyed) == 1);
    OK(boc_pump_release(pump));
}

typedef struct fulfilment {
    boc_promise *promise;
    counted *value;
} fulfilment;

static void fulfils(boc_body *body, void *const *values, void *env) {
    fulfilment *it = (fulfilment *)env;
    (void)body;
    (void)values;
    OK(boc_promise_fulfil(it->promise, it->value, destroys));
}

static void a_thread_waits_for_what_another_one_fulfils(void) {
    boc_runtime *runtime = start(1);
    int round;
    for (round = 0; round < 500; ++round) {
        counted value = {0, 0};
        fulfilment job = {NULL, &value};
        boc_result *result = NULL;
        void *taken = NULL;
        OK(boc_promise_new(&job.promise, &result));
        OK(boc_when(boc_runtime_executor(runtime), NULL, 0, fulfils, &job, NULL, NULL));
        OK(boc_result_take(result, BOC_FOREVER, &taken));
        CHECK(taken == &value);
        OK(boc_result_release(result));
        OK(boc_runtime_quiesce(runtime, BOC_FOREVER));
    }
    end(runtime);
}

int main(void) {
    TEST(behaviours_over_it_wait_for_the_value);
    TEST(a_value_that_nobody_takes_is_destroyed);
    TEST(a_promise_fails_with_a_message_or_breaks);
    TEST(who_cancels_the_result_wants_no_value);
    TEST(a_thread_waits_for_what_another_one_fulfils);
    return 0;
}
