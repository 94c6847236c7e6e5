/* What is handed over is destroyed exactly once, whatever way a behaviour takes. */
#include "check.h"

static void fails(boc_body *body, void *const *values, void *env) {
    counts(body, values, env);
    OK(boc_body_fail(body, "as planned"));
}

static void counts_one(boc_body *body, void *const *values, void *env) {
    counts(body, values, env);
    OK(boc_body_set_result(body, NULL, NULL));
}

/* Where a behaviour can end up, and how it gets there. */
typedef struct way {
    boc_pump *pump;
    boc_executor *executor;
    boc_cown *cown;
    counted value;
    counted env;
    boc_ready *ready;
} way;

static int keeps(void *env, boc_ready *ready) {
    ((way *)env)->ready = ready;
    return 0;
}

static int refuses(void *env, boc_ready *ready) {
    (void)env;
    (void)ready;
    return -1;
}

static boc_result *schedule(way *way, const boc_executor *executor, boc_body_fn body, bool wanted, boc_status status) {
    boc_request request[] = {writes(way->cown)};
    boc_result *result = NULL;
    SAYS(status, boc_when(executor, request, 1, body, &way->env, destroys, wanted ? &result : NULL));
    CHECK((result != NULL) == (wanted && status == BOC_OK));
    return result;
}

/* Each way says whether the body ran. `wanted`: with a handle to the result, which has another form inside. */

static bool by_success(way *way, bool wanted) {
    boc_result *result = schedule(way, boc_pump_executor(way->pump, 0), counts_one, wanted, BOC_OK);
    run_all(way->pump);
    OK(boc_result_release(result));
    return true;
}

static bool by_failure(way *way, bool wanted) {
    boc_result *result = schedule(way, boc_pump_executor(way->pump, 0), fails, wanted, BOC_OK);
    run_all(way->pump);
    if (wanted) CHECK(boc_result_status(result) == BOC_FAILED);
    OK(boc_result_release(result));
    return true;
}

static bool by_cancelling_what_is_ready(way *way, bool wanted) {
    boc_result *result = schedule(way, boc_pump_executor(way->pump, 0), counts, true, BOC_OK);
    (void)wanted;
    OK(boc_result_cancel(result, NULL));
    OK(boc_result_release(result));
    run_all(way->pump);
    return false;
}

static bool by_cancelling_what_waits(way *way, bool wanted) {
    boc_request request[] = {writes(way->cown)};
    boc_result *result;
    (void)wanted;
    OK(boc_when(boc_pump_executor(way->pump, 0), request, 1, counts, &(counted){0, 0}, NULL, NULL));
    result = schedule(way, boc_pump_executor(way->pump, 0), counts, true, BOC_OK);
    OK(boc_result_cancel(result, NULL));
    CHECK(look(&way->env.destroyed) == 1);
    OK(boc_result_release(result));
    run_all(way->pump);
    return false;
}

static bool by_a_null_body(way *way, bool wanted) {
    schedule(way, boc_pump_executor(way->pump, 0), NULL, wanted, BOC_INVALID_ARGUMENT);
    return false;
}

static bool by_an_executor_that_refuses(way *way, bool wanted) {
    boc_executor *executor = NULL;
    OK(boc_executor_new(refuses, NULL, NULL, &executor));
    OK(boc_result_release(schedule(way, executor, counts, wanted, BOC_OK)));
    OK(boc_executor_release(executor));
    return false;
}

static bool by_an_executor_that_cancels(way *way, bool wanted) {
    boc_executor *executor = NULL;
    boc_result *result;
    OK(boc_executor_new(keeps, way, NULL, &executor));
    result = schedule(way, executor, counts, wanted, BOC_OK);
    OK(boc_executor_release(executor));
    OK(boc_ready_cancel(way->ready));
    if (wanted) CHECK(boc_result_status(result) == BOC_CANCELLED);
    OK(boc_result_release(result));
    return false;
}

static bool by_the_end_of_a_pump(way *way, bool wanted) {
    boc_result *result = schedule(way, boc_pump_executor(way->pump, 0), counts, wanted, BOC_OK);
    OK(boc_pump_release(way->pump));
    way->pump = NULL;
    if (wanted) CHECK(boc_result_status(result) == BOC_CANCELLED);
    OK(boc_result_release(result));
    return false;
}

static bool by_the_stop_of_a_runtime(way *way, bool wanted) {
    boc_runtime *runtime = start(1);
    boc_promise *promise = NULL;
    boc_result *gate = NULL, *result = NULL;
    boc_request request[2];
    OK(boc_promise_new(&promise, &gate));
    request[0] = reads(boc_result_cown(gate));
    request[1] = writes(way->cown);
    OK(boc_when(boc_runtime_executor(runtime), request, 2, counts, &way->env, destroys, wanted ? &result : NULL));
    OK(boc_runtime_stop(runtime, BOC_FOREVER));
    OK(boc_promise_release(promise));
    OK(boc_runtime_release(runtime));
    OK(boc_result_release(gate));
    OK(boc_result_release(result));
    return false;
}

static bool by_a_runtime_that_has_ended(way *way, bool wanted) {
    boc_runtime *runtime = start(1);
    OK(boc_runtime_shutdown(runtime, BOC_FOREVER));
    schedule(way, boc_runtime_executor(runtime), counts, wanted, BOC_REFUSED);
    OK(boc_runtime_release(runtime));
    return false;
}

static bool by_a_scope_that_has_ended(way *way, bool wanted) {
    boc_scope *scope = NULL;
    boc_executor *executor;
    OK(boc_scope_new(boc_pump_executor(way->pump, 0), &scope));
    executor = boc_executor_clone(boc_scope_executor(scope));
    OK(boc_scope_close(scope, NULL));
    schedule(way, executor, counts, wanted, BOC_REFUSED);
    OK(boc_executor_release(executor));
    return false;
}

static bool by_a_batch(way *way, bool wanted) {
    boc_request request[] = {writes(way->cown)};
    boc_batch *batch = NULL;
    boc_result *result = NULL;
    OK(boc_batch_new(boc_pump_executor(way->pump, 0), &batch));
    OK(boc_batch_when(batch, request, 1, counts, &way->env, destroys));
    OK(boc_batch_schedule(batch, wanted ? &result : NULL, 1));
    run_all(way->pump);
    OK(boc_result_release(result));
    return true;
}

static bool by_a_batch_that_is_given_up(way *way, bool wanted) {
    boc_request request[] = {writes(way->cown)};
    boc_batch *batch = NULL;
    (void)wanted;
    OK(boc_batch_new(boc_pump_executor(way->pump, 0), &batch));
    OK(boc_batch_when(batch, request, 1, counts, &way->env, destroys));
    OK(boc_batch_release(batch));
    return false;
}

static bool by_a_batch_over_one_cown_twice(way *way, bool wanted) {
    boc_request request[] = {writes(way->cown), writes(way->cown)};
    boc_batch *batch = NULL;
    OK(boc_batch_new(boc_pump_executor(way->pump, 0), &batch));
    SAYS(BOC_DUPLICATE_COWN, boc_batch_when(batch, request, 2, counts, &way->env, destroys));
    if (wanted) OK(boc_batch_schedule(batch, NULL, 0));
    else OK(boc_batch_release(batch));
    return false;
}

static bool by_naming_a_cown_twice(way *way, bool wanted) {
    boc_request request[] = {writes(way->cown), reads(way->cown)};
    boc_result *result = NULL;
    SAYS(BOC_DUPLICATE_COWN, boc_when(boc_pump_executor(way->pump, 0), request, 2, counts, &way->env, destroys,
                                      wanted ? &result : NULL));
    return false;
}

static void each_env_is_destroyed_once_whatever_happens(void) {
    static bool (*const ways[])(way *, bool) = {
        by_success, by_failure, by_cancelling_what_is_ready, by_cancelling_what_waits, by_a_null_body,
        by_an_executor_that_refuses, by_an_executor_that_cancels, by_the_end_of_a_pump,
        by_the_stop_of_a_runtime, by_a_runtime_that_has_ended, by_a_scope_that_has_ended, by_a_batch,
        by_a_batch_that_is_given_up, by_a_batch_over_one_cown_twice, by_naming_a_cown_twice,
    };
    size_t index;
    int wanted;
    for (index = 0; index < sizeof ways / sizeof *ways; ++index) {
        for (wanted = 0; wanted < 2; ++wanted) {
            way way;
            int ran;
            memset(&way, 0, sizeof way);
            way.pump = make_pump();
            way.cown = make_cown(&way.value);
            ran = ways[index](&way, wanted);
            CHECK(look(&way.env.ran) == ran);
            CHECK(look(&way.env.destroyed) == 1);
            /* The cown is free again. */
            if (way.pump) {
                boc_request request[] = {writes(way.cown)};
                OK(boc_when(boc_pump_executor(way.pump, 0), request, 1, counts, &way.value, NULL, NULL));
                CHECK(run_all(way.pump) == 1 && look(&way.value.ran) == 1);
            }
            CHECK(look(&way.value.destroyed) == 0);
            OK(boc_cown_release(way.cown));
            CHECK(look(&way.value.destroyed) == 1);
            OK(boc_pump_release(way.pump));
        }
    }
}

static void nothing_is_destroyed_without_a_function_for_it(void) {
    boc_pump *pump = make_pump();
    counted env = {0, 0};
    boc_result *result = NULL;
    OK(boc_when(boc_pump_executor(pump, 0), NULL, 0, counts, &env, NULL, &result));
    OK(boc_result_on_finished(result, told, &env, NULL));
    run_all(pump);
    OK(boc_result_release(result));
    OK(boc_pump_release(pump));
    CHECK(look(&env.ran) == 2 && look(&env.destroyed) == 0);
}

int main(void) {
    TEST(each_env_is_destroyed_once_whatever_happens);
    TEST(nothing_is_destroyed_without_a_function_for_it);
    return 0;
}
