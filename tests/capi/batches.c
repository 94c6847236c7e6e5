/* Batches: several behaviours as one step. */
#include "check.h"

static void nothing_of_a_batch_runs_before_it_is_scheduled(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_batch *batch = NULL;
    OK(boc_batch_new(boc_pump_executor(pump, 0), &batch));
    CHECK(boc_batch_len(batch) == 0 && boc_batch_len(NULL) == 0);
    OK(boc_batch_when(batch, request, 1, counts, &env, destroys));
    OK(boc_batch_when(batch, request, 1, counts, &env, destroys));
    OK(boc_batch_when(batch, NULL, 0, counts, &env, NULL));
    CHECK(boc_batch_len(batch) == 3 && run_all(pump) == 0);
    OK(boc_batch_schedule(batch, NULL, 0));
    CHECK(run_all(pump) == 3 && look(&env.ran) == 3 && look(&env.destroyed) == 2);
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
}

typedef struct place {
    int number;
    counted *log;
} place;

static void takes_its_place(boc_body *body, void *const *values, void *env) {
    place *it = (place *)env;
    (void)values;
    CHECK(bump(&it->log->ran) == it->number);
    OK(boc_body_set_result(body, it, NULL));
}

static void results_come_in_the_order_in_which_behaviours_were_added(void) {
    enum { COUNT = 20 };
    boc_pump *pump = make_pump();
    counted value = {0, 0}, log = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_batch *batch = NULL;
    boc_result *results[COUNT + 1];
    place places[COUNT];
    int index;
    memset(results, 0, sizeof results);
    OK(boc_batch_new(boc_pump_executor(pump, 0), &batch));
    for (index = 0; index < COUNT; ++index) {
        places[index].number = index + 1;
        places[index].log = &log;
        OK(boc_batch_when(batch, request, 1, takes_its_place, &places[index], NULL));
    }
    /* Without room nothing has happened. */
    SAYS(BOC_INVALID_ARGUMENT, boc_batch_schedule(batch, results, COUNT - 1));
    CHECK(boc_batch_len(batch) == COUNT && results[0] == NULL && run_all(pump) == 0);
    OK(boc_batch_schedule(batch, results, COUNT + 1));
    CHECK(results[COUNT] == NULL && run_all(pump) == COUNT);
    for (index = 0; index < COUNT; ++index) {
        void *taken = NULL;
        OK(boc_result_take(results[index], 0, &taken));
        CHECK(taken == &places[index]);
        OK(boc_result_release(results[index]));
    }
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
}

static void what_is_refused_was_not_added(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0}, refused = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request twice[] = {writes(cown), reads(cown)};
    boc_batch *batch = NULL;
    boc_result *result = NULL;
    OK(boc_batch_new(boc_pump_executor(pump, 0), &batch));
    SAYS(BOC_DUPLICATE_COWN, boc_batch_when(batch, twice, 2, counts, &refused, destroys));
    CHECK(look(&refused.destroyed) == 1 && boc_batch_len(batch) == 0);
    OK(boc_batch_when(batch, twice, 1, counts, &env, destroys));
    SAYS(BOC_INVALID_ARGUMENT, boc_batch_when(batch, twice, 1, NULL, &refused, destroys));
    CHECK(look(&refused.destroyed) == 2 && boc_batch_len(batch) == 1);
    OK(boc_batch_schedule(batch, &result, 1));
    CHECK(run_all(pump) == 1 && look(&env.ran) == 1 && look(&refused.ran) == 0);
    OK(boc_result_release(result));
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
}

static void a_batch_that_is_given_up_is_cancelled(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0}, env = {0, 0}, behind = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_batch *batch = NULL;
    OK(boc_batch_new(boc_pump_executor(pump, 0), &batch));
    OK(boc_batch_when(batch, request, 1, counts, &env, destroys));
    OK(boc_batch_when(batch, request, 1, counts, &env, destroys));
    OK(boc_batch_release(batch));
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 2);
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &behind, NULL, NULL));
    CHECK(run_all(pump) == 1 && look(&behind.ran) == 1);
    OK(boc_batch_new(boc_pump_executor(pump, 0), &batch));
    OK(boc_batch_schedule(batch, NULL, 0));
    OK(boc_batch_release(NULL));
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
}

/* A writer that finds how many behaviours of a batch came before it: all, or none. */
enum { IN_BATCH = 8, ROUNDS = 200 };

typedef struct pair {
    int seen;
} pair;

static void adds(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)env;
    ++((pair *)values[0])->seen;
}

static void finds_whole_batches(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)env;
    CHECK(((pair *)values[0])->seen % IN_BATCH == 0);
}

static void intrudes(boc_body *body, void *const *values, void *env) {
    int round;
    boc_request request[] = {writes((const boc_cown *)env)};
    (void)body;
    (void)values;
    for (round = 0; round < ROUNDS; ++round) {
        OK(boc_when(NULL, request, 1, finds_whole_batches, NULL, NULL, NULL));
    }
}

static void nobody_comes_between_the_behaviours_of_a_batch(void) {
    boc_runtime *runtime = start(2);
    const boc_executor *executor = boc_runtime_executor(runtime);
    pair all = {0};
    boc_cown *cown = NULL;
    boc_request request[1];
    int round, index;
    OK(boc_cown_new(&all, NULL, &cown));
    request[0] = writes(cown);
    OK(boc_when(executor, NULL, 0, intrudes, cown, NULL, NULL));
    for (round = 0; round < ROUNDS; ++round) {
        boc_batch *batch = NULL;
        OK(boc_batch_new(executor, &batch));
        for (index = 0; index < IN_BATCH; ++index) OK(boc_batch_when(batch, request, 1, adds, NULL, NULL));
        OK(boc_batch_schedule(batch, NULL, 0));
    }
    OK(boc_runtime_quiesce(runtime, BOC_FOREVER));
    CHECK(all.seen == IN_BATCH * ROUNDS);
    OK(boc_cown_release(cown));
    end(runtime);
}

int main(void) {
    TEST(nothing_of_a_batch_runs_before_it_is_scheduled);
    TEST(results_come_in_the_order_in_which_behaviours_were_added);
    TEST(what_is_refused_was_not_added);
    TEST(a_batch_that_is_given_up_is_cancelled);
    TEST(nobody_comes_between_the_behaviours_of_a_batch);
    return 0;
}
