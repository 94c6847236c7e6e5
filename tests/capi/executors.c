/* Executors of one's own: who takes what is ready, refuses it, or never runs it. */
#include "check.h"

typedef struct shelf {
    boc_ready *ready[16];
    int count;
    int destroyed;
    bool refuse;
} shelf;

static int takes(void *env, boc_ready *ready) {
    shelf *it = (shelf *)env;
    if (it->refuse) return 1;
    it->ready[it->count++] = ready;
    return 0;
}

static void ends(void *env) { ++((shelf *)env)->destroyed; }

static boc_executor *make(shelf *shelf) {
    boc_executor *executor = NULL;
    memset(shelf, 0, sizeof *shelf);
    OK(boc_executor_new(takes, shelf, ends, &executor));
    return executor;
}

static void behaviours_come_when_they_are_ready_and_run_where_they_are_told_to(void) {
    shelf shelf;
    boc_executor *executor = make(&shelf);
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    OK(boc_when(executor, request, 1, counts, &env, destroys, NULL));
    OK(boc_when(executor, request, 1, counts, &env, destroys, NULL));
    CHECK(shelf.count == 1 && look(&env.ran) == 0);
    OK(boc_ready_run(shelf.ready[0]));
    CHECK(shelf.count == 2 && look(&env.ran) == 1 && look(&env.destroyed) == 1);
    OK(boc_ready_run(shelf.ready[1]));
    CHECK(shelf.count == 2 && look(&env.ran) == 2 && look(&env.destroyed) == 2);
    OK(boc_executor_release(executor));
    CHECK(shelf.destroyed == 1);
    OK(boc_cown_release(cown));
}

static void what_is_cancelled_goes_on_with_its_cowns(void) {
    shelf shelf;
    boc_executor *executor = make(&shelf);
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_result *result = NULL;
    OK(boc_when(executor, request, 1, counts, &env, destroys, &result));
    OK(boc_when(executor, request, 1, counts, &env, NULL, NULL));
    OK(boc_ready_cancel(shelf.ready[0]));
    CHECK(boc_result_status(result) == BOC_CANCELLED && look(&env.ran) == 0 && look(&env.destroyed) == 1);
    OK(boc_ready_run(shelf.ready[1]));
    CHECK(look(&env.ran) == 1);
    OK(boc_ready_cancel(NULL));
    OK(boc_result_release(result));
    OK(boc_cown_release(cown));
    OK(boc_executor_release(executor));
    CHECK(shelf.destroyed == 1);
}

static void what_is_refused_is_cancelled(void) {
    shelf shelf;
    boc_executor *executor = make(&shelf);
    counted value = {0, 0}, env = {0, 0}, late = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_result *result = NULL, *second = NULL;
    shelf.refuse = true;
    OK(boc_when(executor, request, 1, counts, &env, destroys, &result));
    OK(boc_when(executor, request, 1, counts, &env, destroys, NULL));
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 2);
    CHECK(boc_result_status(result) == BOC_CANCELLED);
    shelf.refuse = false;
    OK(boc_when(executor, request, 1, counts, &late, destroys, NULL));
    OK(boc_when(executor, request, 1, counts, &late, destroys, &second));
    shelf.refuse = true;
    /* The one behind is refused when it becomes ready. */
    OK(boc_ready_run(shelf.ready[0]));
    CHECK(look(&late.ran) == 1 && look(&late.destroyed) == 2 && boc_result_status(second) == BOC_CANCELLED);
    OK(boc_result_release(result));
    OK(boc_result_release(second));
    OK(boc_cown_release(cown));
    CHECK(look(&value.destroyed) == 1);
    OK(boc_executor_release(executor));
    CHECK(shelf.destroyed == 1);
}

static void an_executor_lives_until_its_behaviours_have_ended(void) {
    shelf shelf;
    boc_executor *executor = make(&shelf), *clone = boc_executor_clone(executor);
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    OK(boc_when(executor, request, 1, counts, &env, NULL, NULL));
    OK(boc_when(executor, request, 1, counts, &env, NULL, NULL));
    OK(boc_executor_release(executor));
    OK(boc_executor_release(clone));
    OK(boc_executor_release(NULL));
    CHECK(boc_executor_clone(NULL) == NULL && shelf.destroyed == 0);
    OK(boc_ready_run(shelf.ready[0]));
    CHECK(shelf.destroyed == 0);
    OK(boc_ready_run(shelf.ready[1]));
    CHECK(shelf.destroyed == 1 && look(&env.ran) == 2);
    OK(boc_cown_release(cown));
}

static void what_was_cancelled_on_the_shelf_does_not_run(void) {
    shelf shelf;
    boc_executor *executor = make(&shelf);
    counted env = {0, 0};
    boc_result *result = NULL;
    bool cancelled = false;
    OK(boc_when(executor, NULL, 0, counts, &env, destroys, &result));
    OK(boc_result_cancel(result, &cancelled));
    CHECK(cancelled && look(&env.destroyed) == 1);
    OK(boc_ready_run(shelf.ready[0]));
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 1);
    OK(boc_result_release(result));
    OK(boc_executor_release(executor));
    CHECK(shelf.destroyed == 1);
}

static void executors_share_cowns(void) {
    shelf shelf;
    boc_executor *executor = make(&shelf);
    boc_pump *pump = make_pump();
    boc_runtime *runtime = start(1);
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &env, NULL, NULL));
    OK(boc_when(executor, request, 1, counts, &env, NULL, NULL));
    OK(boc_when(boc_runtime_executor(runtime), request, 1, counts, &env, NULL, NULL));
    CHECK(shelf.count == 0);
    CHECK(run_all(pump) == 1 && shelf.count == 1);
    OK(boc_ready_run(shelf.ready[0]));
    end(runtime);
    CHECK(look(&env.ran) == 3);
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
    OK(boc_executor_release(executor));
}

int main(void) {
    TEST(behaviours_come_when_they_are_ready_and_run_where_they_are_told_to);
    TEST(what_is_cancelled_goes_on_with_its_cowns);
    TEST(what_is_refused_is_cancelled);
    TEST(an_executor_lives_until_its_behaviours_have_ended);
    TEST(what_was_cancelled_on_the_shelf_does_not_run);
    TEST(executors_share_cowns);
    return 0;
}
