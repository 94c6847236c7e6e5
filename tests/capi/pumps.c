/* Pumps: behaviours in somebody else's loop. */
#include "check.h"

#include <pthread.h>

static void a_pump_runs_as_many_as_it_is_told_to(void) {
    boc_pump *pump = make_pump();
    counted env = {0, 0};
    size_t ran = 99;
    int index;
    for (index = 0; index < 5; ++index) OK(boc_when(boc_pump_executor(pump, 0), NULL, 0, counts, &env, NULL, NULL));
    OK(boc_pump_run(pump, 0, &ran));
    CHECK(ran == 0 && look(&env.ran) == 0);
    OK(boc_pump_run(pump, 2, &ran));
    CHECK(ran == 2 && look(&env.ran) == 2);
    OK(boc_pump_run(pump, 100, &ran));
    CHECK(ran == 3 && look(&env.ran) == 5);
    OK(boc_pump_run(pump, 100, &ran));
    CHECK(ran == 0);
    OK(boc_pump_run(pump, 100, NULL));
    OK(boc_pump_release(pump));
}

typedef struct entry {
    char name;
    char *log;
} entry;

static void logs(boc_body *body, void *const *values, void *env) {
    entry *it = (entry *)env;
    size_t length = strlen(it->log);
    (void)body;
    (void)values;
    it->log[length] = it->name;
    it->log[length + 1] = 0;
}

static void lower_lanes_go_first_and_a_cown_keeps_its_order(void) {
    char log[16] = "";
    entry a = {'a', NULL}, b = {'b', NULL}, c = {'c', NULL}, d = {'d', NULL};
    counted value = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_pump *pump = NULL;
    a.log = b.log = c.log = d.log = log;
    OK(boc_pump_new(3, NULL, NULL, NULL, &pump));
    CHECK(boc_pump_executor(pump, 2) != NULL && boc_pump_executor(pump, 3) == NULL);
    CHECK(boc_pump_executor(NULL, 0) == NULL);
    OK(boc_when(boc_pump_executor(pump, 2), request, 1, logs, &a, NULL, NULL));
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, logs, &b, NULL, NULL));
    OK(boc_when(boc_pump_executor(pump, 1), NULL, 0, logs, &c, NULL, NULL));
    OK(boc_when(boc_pump_executor(pump, 0), NULL, 0, logs, &d, NULL, NULL));
    CHECK(run_all(pump) == 4);
    CHECK(strcmp(log, "dcab") == 0);
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
}

static void a_loop_is_woken_for_each_behaviour_that_becomes_ready(void) {
    boc_pump *pump = NULL;
    counted loop = {0, 0}, env = {0, 0}, value = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    OK(boc_pump_new(1, told, &loop, destroys, &pump));
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &env, NULL, NULL));
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &env, NULL, NULL));
    CHECK(look(&loop.ran) == 1);
    OK(boc_pump_run(pump, 1, NULL));
    CHECK(look(&loop.ran) == 2);
    CHECK(run_all(pump) == 1 && look(&loop.ran) == 2 && look(&loop.destroyed) == 0);
    OK(boc_pump_release(pump));
    CHECK(look(&loop.destroyed) == 1);
    OK(boc_cown_release(cown));
}

static void who_keeps_the_executor_keeps_what_wakes_the_loop(void) {
    boc_pump *pump = NULL;
    counted loop = {0, 0}, env = {0, 0};
    boc_executor *kept;
    OK(boc_pump_new(1, told, &loop, destroys, &pump));
    kept = boc_executor_clone(boc_pump_executor(pump, 0));
    OK(boc_pump_release(pump));
    CHECK(look(&loop.destroyed) == 0);
    boc_when(kept, NULL, 0, counts, &env, destroys, NULL);
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 1 && look(&loop.ran) == 0);
    OK(boc_executor_release(kept));
    CHECK(look(&loop.destroyed) == 1);
}

static void the_end_of_a_pump_cancels_what_has_not_run(void) {
    boc_pump *pump = make_pump(), *other = make_pump();
    counted env = {0, 0}, behind = {0, 0}, value = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    boc_result *first = NULL, *second = NULL;
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &env, destroys, &first));
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &env, destroys, &second));
    OK(boc_when(boc_pump_executor(other, 0), request, 1, counts, &behind, destroys, NULL));
    CHECK(run_all(other) == 0);
    OK(boc_pump_release(pump));
    CHECK(look(&env.ran) == 0 && look(&env.destroyed) == 2);
    CHECK(boc_result_status(first) == BOC_CANCELLED && boc_result_status(second) == BOC_CANCELLED);
    CHECK(run_all(other) == 1 && look(&behind.ran) == 1);
    OK(boc_result_release(first));
    OK(boc_result_release(second));
    OK(boc_cown_release(cown));
    OK(boc_pump_release(other));
    OK(boc_pump_release(NULL));
}

/* A loop that sleeps until it is woken. */
typedef struct loop {
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool work;
} loop;

static void wakes(void *env) {
    loop *it = (loop *)env;
    pthread_mutex_lock(&it->mutex);
    it->work = true;
    pthread_cond_signal(&it->woken);
    pthread_mutex_unlock(&it->mutex);
}

static void *schedules(void *data) {
    enum { EACH = 1000 };
    void **both = (void **)data;
    int index;
    for (index = 0; index < EACH; ++index) {
        boc_request request[] = {writes((boc_cown *)both[1])};
        OK(boc_when((boc_executor *)both[0], request, 1, counts, both[2], destroys, NULL));
    }
    return NULL;
}

static void a_sleeping_loop_misses_nothing_from_other_threads(void) {
    enum { THREADS = 3, ALL = THREADS * 1000 };
    loop loop = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    boc_pump *pump = NULL;
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_executor *executor;
    pthread_t threads[THREADS];
    void *shared[3];
    size_t ran = 0;
    int index;
    OK(boc_pump_new(1, wakes, &loop, NULL, &pump));
    executor = boc_executor_clone(boc_pump_executor(pump, 0));
    shared[0] = executor;
    shared[1] = cown;
    shared[2] = &env;
    for (index = 0; index < THREADS; ++index) CHECK(pthread_create(&threads[index], NULL, schedules, shared) == 0);
    while (ran < ALL) {
        pthread_mutex_lock(&loop.mutex);
        while (!loop.work) pthread_cond_wait(&loop.woken, &loop.mutex);
        loop.work = false;
        pthread_mutex_unlock(&loop.mutex);
        ran += run_all(pump);
    }
    for (index = 0; index < THREADS; ++index) CHECK(pthread_join(threads[index], NULL) == 0);
    CHECK(ran == ALL && look(&env.ran) == ALL && look(&env.destroyed) == ALL);
    OK(boc_executor_release(executor));
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
}

int main(void) {
    TEST(a_pump_runs_as_many_as_it_is_told_to);
    TEST(lower_lanes_go_first_and_a_cown_keeps_its_order);
    TEST(a_loop_is_woken_for_each_behaviour_that_becomes_ready);
    TEST(who_keeps_the_executor_keeps_what_wakes_the_loop);
    TEST(the_end_of_a_pump_cancels_what_has_not_run);
    TEST(a_sleeping_loop_misses_nothing_from_other_threads);
    return 0;
}
