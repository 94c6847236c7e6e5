/* Handles that were released, are of another kind, or only lent: a debug build of the library notices. */
#include "check.h"

#ifdef BOC_CHECKED

enum kind { COWN, WEAK, RESULT, BATCH, PROMISE, SCOPE, EXECUTOR, READY, PUMP, RUNTIME, KINDS };

static boc_status given(const void *something) { return something ? BOC_OK : BOC_INVALID_HANDLE; }
static boc_status said(bool something) { return something ? BOC_OK : BOC_INVALID_HANDLE; }

static counted env;
static boc_executor *lane;

#define USE(name, call)                       \
    static boc_status name(void *handle) {    \
        return call;                          \
    }

static boc_status use_in_request(void *handle) {
    boc_request request[] = {reads((boc_cown *)handle)};
    return boc_when(lane, request, 1, counts, &env, destroys, NULL);
}
static boc_status use_in_batch(void *handle) {
    boc_request request[] = {writes((boc_cown *)handle)};
    boc_batch *batch = NULL;
    boc_status status;
    OK(boc_batch_new(lane, &batch));
    status = boc_batch_when(batch, request, 1, counts, &env, destroys);
    OK(boc_batch_release(batch));
    return status;
}
static boc_status use_for_batch(void *handle) {
    boc_batch *batch = NULL;
    return boc_batch_new((boc_executor *)handle, &batch);
}
static boc_status use_for_scope(void *handle) {
    boc_scope *scope = NULL;
    return boc_scope_new((boc_executor *)handle, &scope);
}
static boc_status use_to_upgrade(void *handle) {
    boc_cown *cown = NULL;
    return boc_weak_cown_upgrade((boc_weak_cown *)handle, &cown);
}
static boc_status use_to_take(void *handle) {
    void *value = NULL;
    return boc_result_take((boc_result *)handle, 0, &value);
}
static boc_status use_for_report(void *handle) {
    char *report = NULL;
    return boc_runtime_report((boc_runtime *)handle, &report);
}
USE(cown_clone, given(boc_cown_clone(handle)))
USE(cown_downgrade, given(boc_cown_downgrade(handle)))
USE(cown_same, said(boc_cown_same(handle, handle)))
USE(cown_release, boc_cown_release(handle))
USE(weak_clone, given(boc_weak_cown_clone(handle)))
USE(weak_release, boc_weak_cown_release(handle))
USE(result_wait, boc_result_wait(handle, 0))
USE(result_status, boc_result_status(handle))
USE(result_error, given(boc_result_error(handle)))
USE(result_cancel, boc_result_cancel(handle, NULL))
USE(result_on_finished, boc_result_on_finished(handle, told, &env, destroys))
USE(result_clone, given(boc_result_clone(handle)))
USE(result_release, boc_result_release(handle))
USE(batch_when, boc_batch_when(handle, NULL, 0, counts, &env, destroys))
USE(batch_len, said(boc_batch_len(handle) != 0))
USE(batch_schedule, boc_batch_schedule(handle, NULL, 0))
USE(batch_release, boc_batch_release(handle))
USE(promise_fulfil, boc_promise_fulfil(handle, &env, destroys))
USE(promise_fail, boc_promise_fail(handle, "no"))
USE(promise_is_cancelled, said(boc_promise_is_cancelled(handle)))
USE(promise_release, boc_promise_release(handle))
USE(scope_executor, given(boc_scope_executor(handle)))
USE(scope_close, boc_scope_close(handle, NULL))
USE(executor_when, boc_when(handle, NULL, 0, counts, &env, destroys, NULL))
USE(executor_clone, given(boc_executor_clone(handle)))
USE(executor_release, boc_executor_release(handle))
USE(ready_run, boc_ready_run(handle))
USE(ready_cancel, boc_ready_cancel(handle))
USE(pump_executor, given(boc_pump_executor(handle, 0)))
USE(pump_run, boc_pump_run(handle, 1, NULL))
USE(pump_release, boc_pump_release(handle))
USE(runtime_clone, given(boc_runtime_clone(handle)))
USE(runtime_release, boc_runtime_release(handle))
USE(runtime_executor, given(boc_runtime_executor(handle)))
USE(runtime_quiesce, boc_runtime_quiesce(handle, 0))
USE(runtime_shutdown, boc_runtime_shutdown(handle, 0))
USE(runtime_stop, boc_runtime_stop(handle, 0))
USE(runtime_run_worker, boc_runtime_run_worker(handle))
USE(runtime_workers, said(boc_runtime_workers(handle) != 0))
USE(runtime_in_flight, said(boc_runtime_in_flight(handle) != 0))
USE(runtime_stats, boc_runtime_stats(handle, NULL, 0, 0, NULL))

/* Each place of a handle in the API. `result` says that one to a result will do. */
static const struct use {
    enum kind kind;
    boc_status (*use)(void *handle);
    bool result;
    /* What it hands over, which is destroyed all the same. */
    bool env;
} uses[] = {
    {COWN, cown_clone, true, false}, {COWN, cown_downgrade, true, false}, {COWN, cown_same, true, false},
    {COWN, cown_release, false, false}, {COWN, use_in_request, true, true}, {COWN, use_in_batch, true, true},
    {WEAK, use_to_upgrade, false, false}, {WEAK, weak_clone, false, false}, {WEAK, weak_release, false, false},
    {RESULT, result_wait, false, false}, {RESULT, result_status, false, false},
    {RESULT, result_error, false, false}, {RESULT, use_to_take, false, false},
    {RESULT, result_cancel, false, false}, {RESULT, result_on_finished, false, true},
    {RESULT, result_clone, false, false}, {RESULT, result_release, false, false},
    {BATCH, batch_when, false, true}, {BATCH, batch_len, false, false}, {BATCH, batch_schedule, false, false},
    {BATCH, batch_release, false, false}, {PROMISE, promise_fulfil, false, true},
    {PROMISE, promise_fail, false, false}, {PROMISE, promise_is_cancelled, false, false},
    {PROMISE, promise_release, false, false}, {SCOPE, scope_executor, false, false},
    {SCOPE, scope_close, false, false}, {EXECUTOR, executor_when, false, true},
    {EXECUTOR, use_for_batch, false, false}, {EXECUTOR, use_for_scope, false, false},
    {EXECUTOR, executor_clone, false, false}, {EXECUTOR, executor_release, false, false},
    {READY, ready_run, false, false}, {READY, ready_cancel, false, false}, {PUMP, pump_executor, false, false},
    {PUMP, pump_run, false, false}, {PUMP, pump_release, false, false}, {RUNTIME, runtime_clone, false, false},
    {RUNTIME, runtime_release, false, false}, {RUNTIME, runtime_executor, false, false},
    {RUNTIME, runtime_quiesce, false, false}, {RUNTIME, runtime_shutdown, false, false},
    {RUNTIME, runtime_stop, false, false}, {RUNTIME, runtime_run_worker, false, false},
    {RUNTIME, runtime_workers, false, false}, {RUNTIME, runtime_in_flight, false, false},
    {RUNTIME, runtime_stats, false, false}, {RUNTIME, use_for_report, false, false},
};

static void refuses(const struct use *use, void *handle, boc_status status) {
    boc_pump *pump = NULL;
    int before = look(&env.destroyed);
    char message[200];
    SAYS(BOC_INVALID_ARGUMENT, boc_pump_new(0, NULL, NULL, NULL, &pump));
    snprintf(message, sizeof message, "%s", boc_last_error());
    SAYS(status, use->use(handle));
    CHECK(strcmp(message, boc_last_error()) != 0);
    CHECK(look(&env.destroyed) == before + use->env && look(&env.ran) == 0);
}

static int keeps(void *place, boc_ready *ready) {
    *(boc_ready **)place = ready;
    return 0;
}

static void make(void *handles[KINDS]) {
    boc_cown *cown = NULL;
    boc_promise *promise = NULL;
    boc_result *result = NULL;
    boc_batch *batch = NULL;
    boc_scope *scope = NULL;
    boc_ready *ready = NULL;
    OK(boc_cown_new(NULL, NULL, &cown));
    OK(boc_promise_new(&promise, &result));
    OK(boc_batch_new(lane, &batch));
    OK(boc_scope_new(lane, &scope));
    {
        boc_executor *executor = NULL;
        OK(boc_executor_new(keeps, &ready, NULL, &executor));
        OK(boc_when(executor, NULL, 0, counts, &env, NULL, NULL));
        handles[EXECUTOR] = executor;
    }
    handles[COWN] = cown;
    handles[WEAK] = boc_cown_downgrade(cown);
    handles[RESULT] = result;
    handles[BATCH] = batch;
    handles[PROMISE] = promise;
    handles[SCOPE] = scope;
    handles[READY] = ready;
    handles[PUMP] = make_pump();
    handles[RUNTIME] = start(1);
}

static void release(void *handles[KINDS]) {
    OK(boc_batch_release(handles[BATCH]));
    OK(boc_scope_close(handles[SCOPE], NULL));
    OK(boc_promise_release(handles[PROMISE]));
    OK(boc_result_release(handles[RESULT]));
    OK(boc_ready_cancel(handles[READY]));
    OK(boc_executor_release(handles[EXECUTOR]));
    OK(boc_weak_cown_release(handles[WEAK]));
    OK(boc_cown_release(handles[COWN]));
    OK(boc_pump_release(handles[PUMP]));
    OK(boc_runtime_release(handles[RUNTIME]));
}

enum { USES = sizeof uses / sizeof *uses };

static void a_handle_of_another_kind_is_refused_everywhere(void) {
    void *handles[KINDS];
    boc_pump *pump = make_pump();
    int index, kind;
    lane = boc_executor_clone(boc_pump_executor(pump, 0));
    make(handles);
    for (index = 0; index < USES; ++index) {
        for (kind = 0; kind < KINDS; ++kind) {
            if (kind == (int)uses[index].kind || (kind == RESULT && uses[index].result)) continue;
            /* The cown of a result is lent by the result. */
            refuses(&uses[index], handles[kind],
                    kind == RESULT && uses[index].use == cown_release ? BOC_NOT_ALLOWED : BOC_INVALID_HANDLE);
        }
    }
    /* None of them was used up. */
    release(handles);
    OK(boc_executor_release(lane));
    OK(boc_pump_release(pump));
}

static void a_handle_that_was_released_is_refused_everywhere(void) {
    void *handles[KINDS];
    boc_pump *pump = make_pump();
    int index, local = 0;
    lane = boc_executor_clone(boc_pump_executor(pump, 0));
    make(handles);
    release(handles);
    for (index = 0; index < USES; ++index) {
        refuses(&uses[index], handles[uses[index].kind], BOC_INVALID_HANDLE);
        /* Nor is anything else a handle. */
        refuses(&uses[index], &local, BOC_INVALID_HANDLE);
        refuses(&uses[index], (void *)(uintptr_t)1, BOC_INVALID_HANDLE);
    }
    OK(boc_executor_release(lane));
    OK(boc_pump_release(pump));
}

static void gives_back_what_was_lent(boc_body *body, void *const *values, void *place) {
    boc_cown *lent = (boc_cown *)(uintptr_t)boc_body_cown(body, 0);
    (void)values;
    SAYS(BOC_NOT_ALLOWED, boc_cown_release(lent));
    CHECK(boc_cown_same(lent, boc_body_cown(body, 0)));
    *(boc_cown **)place = lent;
}

static void what_is_lent_is_not_released_and_ends_with_who_lent_it(void) {
    boc_pump *pump = make_pump();
    boc_runtime *runtime = start(1);
    boc_scope *scope = NULL;
    boc_cown *cown = NULL, *lent = NULL;
    boc_executor *of_pump = (boc_executor *)(uintptr_t)boc_pump_executor(pump, 0), *of_scope, *of_runtime;
    boc_request request[1];
    OK(boc_scope_new(of_pump, &scope));
    of_scope = (boc_executor *)(uintptr_t)boc_scope_executor(scope);
    of_runtime = (boc_executor *)(uintptr_t)boc_runtime_executor(runtime);
    SAYS(BOC_NOT_ALLOWED, boc_executor_release(of_pump));
    SAYS(BOC_NOT_ALLOWED, boc_executor_release(of_scope));
    SAYS(BOC_NOT_ALLOWED, boc_executor_release(of_runtime));
    OK(boc_cown_new(NULL, NULL, &cown));
    request[0] = writes(cown);
    OK(boc_when(of_scope, request, 1, gives_back_what_was_lent, &lent, NULL, NULL));
    CHECK(run_all(pump) == 1);
    SAYS(BOC_INVALID_HANDLE, boc_cown_release(lent));
    CHECK(boc_cown_clone(lent) == NULL);
    OK(boc_scope_close(scope, NULL));
    CHECK(boc_executor_clone(of_scope) == NULL);
    OK(boc_pump_release(pump));
    CHECK(boc_executor_clone(of_pump) == NULL);
    end(runtime);
    CHECK(boc_executor_clone(of_runtime) == NULL);
    OK(boc_cown_release(cown));
}

static void a_cown_of_a_result_is_released_with_the_result(void) {
    boc_promise *promise = NULL;
    boc_result *result = NULL;
    boc_cown *cown;
    OK(boc_promise_new(&promise, &result));
    cown = (boc_cown *)(uintptr_t)boc_result_cown(result);
    SAYS(BOC_NOT_ALLOWED, boc_cown_release(cown));
    OK(boc_promise_release(promise));
    OK(boc_result_release(result));
    CHECK(boc_cown_clone(cown) == NULL);
}

int main(void) {
    TEST(a_handle_of_another_kind_is_refused_everywhere);
    TEST(a_handle_that_was_released_is_refused_everywhere);
    TEST(what_is_lent_is_not_released_and_ends_with_who_lent_it);
    TEST(a_cown_of_a_result_is_released_with_the_result);
    return 0;
}

#else

int main(void) {
    puts("a release build of the library has no means to notice");
    return 0;
}

#endif
