/* Scopes: waiting for some behaviours, and all that they lead to. */
#include "check.h"

static void a_scope_ends_when_it_is_closed_and_all_its_behaviours_have_ended(void) {
    boc_pump *pump = make_pump();
    counted env = {0, 0}, other = {0, 0}, over = {0, 0};
    boc_scope *scope = NULL;
    boc_result *ended = NULL;
    boc_request request[1];
    OK(boc_scope_new(boc_pump_executor(pump, 0), &scope));
    OK(boc_when(boc_scope_executor(scope), NULL, 0, counts, &env, destroys, NULL));
    OK(boc_when(boc_pump_executor(pump, 0), NULL, 0, counts, &other, NULL, NULL));
    OK(boc_pump_run(pump, 1, NULL));
    OK(boc_when(boc_scope_executor(scope), NULL, 0, counts, &env, destroys, NULL));
    OK(boc_scope_close(scope, &ended));
    request[0] = reads(boc_result_cown(ended));
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &over, NULL, NULL));
    CHECK(boc_result_status(ended) == BOC_PENDING && look(&over.ran) == 0);
    run_all(pump);
    CHECK(look(&env.ran) == 2 && look(&env.destroyed) == 2 && look(&over.ran) == 1);
    OK(boc_result_wait(ended, 0));
    CHECK(boc_result_status(ended) == BOC_OK);
    OK(boc_result_release(ended));
    OK(boc_pump_release(pump));
}

static void an_empty_scope_ends_when_it_is_closed(void) {
    boc_pump *pump = make_pump();
    boc_scope *scope = NULL;
    boc_result *ended = NULL;
    OK(boc_scope_new(boc_pump_executor(pump, 0), &scope));
    OK(boc_scope_close(scope, &ended));
    OK(boc_result_wait(ended, 0));
    OK(boc_result_release(ended));
    OK(boc_scope_new(boc_pump_executor(pump, 0), &scope));
    OK(boc_scope_close(scope, NULL));
    CHECK(boc_scope_executor(NULL) == NULL);
    OK(boc_pump_release(pump));
}

typedef struct tree {
    int depth;
    counted *all;
} tree;

static void branches(boc_body *body, void *const *values, void *env) {
    tree *it = (tree *)env;
    int child;
    (void)body;
    (void)values;
    for (child = 0; it->depth > 0 && child < 2; ++child) {
        tree *next = (tree *)malloc(sizeof *next);
        next->depth = it->depth - 1;
        next->all = it->all;
        OK(boc_when(NULL, NULL, 0, branches, next, free, NULL));
    }
    bump(&it->all->ran);
}

static void what_its_behaviours_schedule_is_part_of_a_scope(void) {
    boc_runtime *runtime = start(2);
    counted all = {0, 0};
    boc_promise *promise = NULL;
    boc_result *gate = NULL, *ended = NULL;
    boc_scope *scope = NULL;
    tree *root = (tree *)malloc(sizeof *root);
    boc_request request[1];
    counted waiting = {0, 0};
    root->depth = 9;
    root->all = &all;
    /* One behaviour of the runtime that is not in the scope does not end before it. */
    OK(boc_promise_new(&promise, &gate));
    request[0] = reads(boc_result_cown(gate));
    OK(boc_when(boc_runtime_executor(runtime), request, 1, counts, &waiting, NULL, NULL));
    OK(boc_scope_new(boc_runtime_executor(runtime), &scope));
    OK(boc_when(boc_scope_executor(scope), NULL, 0, branches, root, free, NULL));
    OK(boc_scope_close(scope, &ended));
    OK(boc_result_wait(ended, BOC_FOREVER));
    CHECK(look(&all.ran) == (1 << 10) - 1 && look(&waiting.ran) == 0);
    OK(boc_result_release(ended));
    OK(boc_promise_fulfil(promise, NULL, NULL));
    OK(boc_result_release(gate));
    end(runtime);
    CHECK(look(&waiting.ran) == 1);
}

static void what_is_cancelled_is_not_waited_for_any_more(void) {
    boc_pump *pump = make_pump();
    counted env = {0, 0};
    boc_scope *scope = NULL;
    boc_result *result = NULL, *ended = NULL;
    OK(boc_scope_new(boc_pump_executor(pump, 0), &scope));
    OK(boc_when(boc_scope_executor(scope), NULL, 0, counts, &env, destroys, &result));
    OK(boc_scope_close(scope, &ended));
    OK(boc_result_cancel(result, NULL));
    run_all(pump);
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 1);
    OK(boc_result_wait(ended, 0));
    OK(boc_result_release(result));
    OK(boc_result_release(ended));
    OK(boc_pump_release(pump));
}

static void a_scope_that_has_ended_takes_no_more(void) {
    boc_pump *pump = make_pump();
    counted env = {0, 0};
    boc_scope *scope = NULL;
    boc_executor *kept;
    boc_result *result = NULL, *ended = NULL;
    OK(boc_scope_new(boc_pump_executor(pump, 0), &scope));
    kept = boc_executor_clone(boc_scope_executor(scope));
    OK(boc_scope_close(scope, &ended));
    OK(boc_result_wait(ended, 0));
    SAYS(BOC_REFUSED, boc_when(kept, NULL, 0, counts, &env, destroys, NULL));
    SAYS(BOC_REFUSED, boc_when(kept, NULL, 0, counts, &env, destroys, &result));
    CHECK(result == NULL && look(&env.ran) == 0 && look(&env.destroyed) == 2);
    OK(boc_executor_release(kept));
    OK(boc_result_release(ended));
    OK(boc_pump_release(pump));
}

int main(void) {
    TEST(a_scope_ends_when_it_is_closed_and_all_its_behaviours_have_ended);
    TEST(an_empty_scope_ends_when_it_is_closed);
    TEST(what_its_behaviours_schedule_is_part_of_a_scope);
    TEST(what_is_cancelled_is_not_waited_for_any_more);
    TEST(a_scope_that_has_ended_takes_no_more);
    return 0;
}
