/* Scheduling: what a behaviour holds, when it runs, and in which order. */
#include "check.h"

enum { MANY = 100 };

typedef struct noted {
    counted end;
    size_t count;
    void *values[MANY];
    bool inside;
    boc_cown *kept;
} noted;

static void notes(boc_body *body, void *const *values, void *env) {
    noted *it = (noted *)env;
    size_t index;
    bump(&it->end.ran);
    CHECK(look(&it->end.destroyed) == 0);
    it->count = boc_body_count(body);
    for (index = 0; index < it->count; ++index) it->values[index] = values[index];
    it->inside = boc_inside_behaviour();
    CHECK(boc_body_cown(body, it->count) == NULL);
    if (it->count > 0) it->kept = boc_cown_clone(boc_body_cown(body, it->count - 1));
}

static void a_body_gets_the_values_in_the_order_of_the_request(void) {
    static const size_t counts_of_cowns[] = {0, 1, 2, 4, 5, 8, 9, MANY};
    boc_pump *pump = make_pump();
    counted values[MANY];
    boc_cown *cowns[MANY];
    size_t index, which;
    memset(values, 0, sizeof values);
    for (index = 0; index < MANY; ++index) cowns[index] = make_cown(&values[index]);
    for (which = 0; which < sizeof counts_of_cowns / sizeof *counts_of_cowns; ++which) {
        size_t count = counts_of_cowns[which];
        boc_request request[MANY];
        noted note;
        memset(&note, 0, sizeof note);
        /* Not in the order in which they were made. */
        for (index = 0; index < count; ++index) {
            request[index] = index % 3 ? writes(cowns[index * 7 % MANY]) : reads(cowns[index * 7 % MANY]);
        }
        OK(boc_when(boc_pump_executor(pump, 0), count ? request : NULL, count, notes, &note, destroys, NULL));
        CHECK(look(&note.end.ran) == 0);
        CHECK(run_all(pump) == 1);
        CHECK(look(&note.end.ran) == 1 && look(&note.end.destroyed) == 1 && note.count == count && note.inside);
        for (index = 0; index < count; ++index) CHECK(note.values[index] == &values[index * 7 % MANY]);
        if (count > 0) CHECK(boc_cown_same(note.kept, request[count - 1].cown));
        OK(boc_cown_release(note.kept));
    }
    CHECK(!boc_inside_behaviour());
    for (index = 0; index < MANY; ++index) OK(boc_cown_release(cowns[index]));
    OK(boc_pump_release(pump));
}

static void a_cown_may_be_named_twice_only_to_be_read(void) {
    boc_pump *pump = make_pump();
    const boc_executor *executor = boc_pump_executor(pump, 0);
    counted value = {0, 0};
    boc_cown *cown = make_cown(&value), *clone = boc_cown_clone(cown);
    int first, second;
    for (first = BOC_WRITE; first <= BOC_READ; ++first) {
        for (second = BOC_WRITE; second <= BOC_READ; ++second) {
            boc_request request[] = {{cown, 0}, {clone, 0}};
            bool allowed = first == BOC_READ && second == BOC_READ;
            boc_result *result = NULL;
            noted note, detached;
            memset(&note, 0, sizeof note);
            memset(&detached, 0, sizeof detached);
            request[0].mode = (uint32_t)first;
            request[1].mode = (uint32_t)second;
            SAYS(allowed ? BOC_OK : BOC_DUPLICATE_COWN,
                 boc_when(executor, request, 2, notes, &note, destroys, &result));
            SAYS(allowed ? BOC_OK : BOC_DUPLICATE_COWN,
                 boc_when(executor, request, 2, notes, &detached, destroys, NULL));
            CHECK((result != NULL) == allowed);
            CHECK(run_all(pump) == (allowed ? 2 : 0));
            CHECK(look(&note.end.ran) == allowed && look(&note.end.destroyed) == 1);
            CHECK(look(&detached.end.ran) == allowed && look(&detached.end.destroyed) == 1);
            if (allowed) CHECK(note.values[0] == &value && note.values[1] == &value);
            OK(boc_result_release(result));
            OK(boc_cown_release(note.kept));
            OK(boc_cown_release(detached.kept));
        }
    }
    OK(boc_cown_release(cown));
    OK(boc_cown_release(clone));
    OK(boc_pump_release(pump));
}

/* An executor that keeps what is ready, so that one sees who can run at the same time. */
typedef struct kept {
    boc_ready *ready[8];
    int count;
} kept;

static int keeps(void *env, boc_ready *ready) {
    kept *it = (kept *)env;
    it->ready[it->count++] = ready;
    return 0;
}

static void readers_run_together_and_writers_alone(void) {
    kept shelf = {{NULL}, 0};
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_executor *executor = NULL;
    boc_request read[] = {reads(cown)}, write[] = {writes(cown)};
    OK(boc_executor_new(keeps, &shelf, NULL, &executor));
    OK(boc_when(executor, read, 1, counts, &env, NULL, NULL));
    OK(boc_when(executor, read, 1, counts, &env, NULL, NULL));
    OK(boc_when(executor, write, 1, counts, &env, NULL, NULL));
    OK(boc_when(executor, write, 1, counts, &env, NULL, NULL));
    OK(boc_when(executor, read, 1, counts, &env, NULL, NULL));
    /* Both readers, and nobody behind the first writer. */
    CHECK(shelf.count == 2);
    OK(boc_ready_run(shelf.ready[1]));
    CHECK(shelf.count == 2);
    OK(boc_ready_run(shelf.ready[0]));
    CHECK(shelf.count == 3);
    OK(boc_ready_run(shelf.ready[2]));
    CHECK(shelf.count == 4);
    OK(boc_ready_run(shelf.ready[3]));
    CHECK(shelf.count == 5);
    OK(boc_ready_run(shelf.ready[4]));
    CHECK(shelf.count == 5 && look(&env.ran) == 5);
    OK(boc_executor_release(executor));
    OK(boc_cown_release(cown));
}

typedef struct step {
    long number;
} step;

/* A value that one behaviour at a time may change: what is not atomic shows if two do. */
typedef struct sequence {
    long next;
    int inside;
} sequence;

static void comes_next(boc_body *body, void *const *values, void *env) {
    sequence *it = (sequence *)values[0];
    (void)body;
    CHECK(bump(&it->inside) == 1);
    CHECK(it->next == ((step *)env)->number);
    ++it->next;
    __atomic_sub_fetch(&it->inside, 1, __ATOMIC_SEQ_CST);
}

static void behaviours_of_one_cown_run_in_the_order_of_scheduling(void) {
    enum { STEPS = 5000 };
    boc_runtime *runtime = start(4);
    const boc_executor *executor = boc_runtime_executor(runtime);
    sequence all = {0, 0};
    boc_cown *cown = NULL;
    long number;
    OK(boc_cown_new(&all, NULL, &cown));
    for (number = 0; number < STEPS; ++number) {
        boc_request request[] = {writes(cown)};
        step *env = (step *)malloc(sizeof *env);
        env->number = number;
        OK(boc_when(executor, request, 1, comes_next, env, free, NULL));
    }
    OK(boc_cown_release(cown));
    end(runtime);
    CHECK(all.next == STEPS);
}

typedef struct nesting {
    int depth;
    counted *end;
} nesting;

static void goes_deeper(boc_body *body, void *const *values, void *env) {
    nesting *it = (nesting *)env;
    (void)values;
    bump(&it->end->ran);
    if (it->depth > 0) {
        boc_request request[] = {writes(boc_body_cown(body, 0))};
        nesting *next = (nesting *)malloc(sizeof *next);
        CHECK(boc_body_cown(body, 0) == request[0].cown);
        next->depth = it->depth - 1;
        next->end = it->end;
        OK(boc_when(NULL, request, 1, goes_deeper, next, free, NULL));
    }
}

static void a_behaviour_schedules_over_its_own_cowns_where_it_runs(void) {
    boc_runtime *runtime = start(1);
    counted value = {0, 0}, all = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_worker_stats stats;
    nesting *first = (nesting *)malloc(sizeof *first);
    first->depth = 1000;
    first->end = &all;
    OK(boc_when(boc_runtime_executor(runtime), request, 1, goes_deeper, first, free, NULL));
    OK(boc_cown_release(cown));
    OK(boc_runtime_shutdown(runtime, BOC_FOREVER));
    OK(boc_runtime_stats(runtime, &stats, sizeof stats, 1, NULL));
    CHECK(look(&all.ran) == 1001 && look(&value.destroyed) == 1 && stats.run == 1001);
    OK(boc_runtime_release(runtime));
}

static void come_next_in_both(boc_body *body, void *const *values, void *env) {
    void *const swapped[] = {values[1]};
    comes_next(body, values, env);
    comes_next(body, swapped, env);
}

static void opposite_orders_of_two_cowns_are_one_order(void) {
    enum { STEPS = 4000 };
    boc_runtime *runtime = start(4);
    sequence left = {0, 0}, right = {0, 0};
    boc_cown *a = NULL, *b = NULL;
    long number;
    OK(boc_cown_new(&left, NULL, &a));
    OK(boc_cown_new(&right, NULL, &b));
    for (number = 0; number < STEPS; ++number) {
        boc_request one[] = {writes(a), writes(b)}, other[] = {writes(b), writes(a)};
        step *env = (step *)malloc(sizeof *env);
        env->number = number;
        OK(boc_when(boc_runtime_executor(runtime), number % 2 ? one : other, 2, come_next_in_both, env, free, NULL));
    }
    OK(boc_cown_release(a));
    OK(boc_cown_release(b));
    end(runtime);
    CHECK(left.next == STEPS && right.next == STEPS);
}

static void without_an_executor_the_default_runtime_is_meant(void) {
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_runtime *runtime = NULL, *again = NULL;
    boc_executor *executor = NULL;
    OK(boc_when(NULL, request, 1, counts, &env, destroys, NULL));
    OK(boc_runtime_default(&runtime));
    OK(boc_runtime_default(&again));
    CHECK(boc_runtime_workers(runtime) >= 1 && boc_runtime_workers(runtime) == boc_runtime_workers(again));
    OK(boc_executor_current(&executor));
    OK(boc_when(executor, request, 1, counts, &env, NULL, NULL));
    OK(boc_executor_release(executor));
    OK(boc_runtime_quiesce(again, BOC_FOREVER));
    CHECK(look(&env.ran) == 2 && look(&env.destroyed) == 1);
    OK(boc_cown_release(cown));
    OK(boc_runtime_release(again));
    OK(boc_runtime_release(runtime));
    /* It goes on without handles, and ends for all when it is told to. */
    OK(boc_when(NULL, NULL, 0, counts, &env, NULL, NULL));
    OK(boc_runtime_default(&runtime));
    end(runtime);
    CHECK(look(&env.ran) == 3);
    SAYS(BOC_REFUSED, boc_when(NULL, NULL, 0, counts, &env, destroys, NULL));
    CHECK(look(&env.ran) == 3 && look(&env.destroyed) == 2);
}

int main(void) {
    TEST(a_body_gets_the_values_in_the_order_of_the_request);
    TEST(a_cown_may_be_named_twice_only_to_be_read);
    TEST(readers_run_together_and_writers_alone);
    TEST(behaviours_of_one_cown_run_in_the_order_of_scheduling);
    TEST(a_behaviour_schedules_over_its_own_cowns_where_it_runs);
    TEST(opposite_orders_of_two_cowns_are_one_order);
    TEST(without_an_executor_the_default_runtime_is_meant);
    return 0;
}
