/* Several threads at once: each behaviour runs once, alone, and in the order of the thread it came from. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 4, CELLS = 5, EACH = 3000, ALL = THREADS * EACH };

/* What only the behaviour that holds the cown touches. */
typedef struct cell {
    int inside;
    int last[THREADS];
    long changes;
} cell;

typedef struct job {
    int thread;
    int number;
    bool write[2];
    int ran;
    int destroyed;
} job;

typedef struct world {
    boc_runtime *runtime;
    boc_cown *cowns[CELLS];
    cell cells[CELLS];
    job jobs[THREADS][EACH];
    boc_result *results[THREADS][EACH];
    boc_weak_cown *weak;
} world;

static world shared;

static void works(boc_body *body, void *const *values, void *env) {
    job *it = (job *)env;
    size_t index;
    CHECK(bump(&it->ran) == 1 && look(&it->destroyed) == 0);
    for (index = 0; index < boc_body_count(body); ++index) {
        cell *cell = values[index];
        if (it->write[index]) {
            /* A writer takes the cell as a whole, a reader leaves a mark that is seen by writers. */
            CHECK(__atomic_exchange_n(&cell->inside, 1000000, __ATOMIC_SEQ_CST) == 0);
            CHECK(cell->last[it->thread] < it->number);
            cell->last[it->thread] = it->number;
            ++cell->changes;
            CHECK(__atomic_exchange_n(&cell->inside, 0, __ATOMIC_SEQ_CST) == 1000000);
        } else {
            CHECK(bump(&cell->inside) < 1000000);
            CHECK(cell->last[it->thread] < it->number);
            __atomic_sub_fetch(&cell->inside, 1, __ATOMIC_SEQ_CST);
        }
    }
    OK(boc_body_set_result(body, it, NULL));
}

static void ends(void *env) { CHECK(bump(&((job *)env)->destroyed) == 1); }

static void *schedules(void *data) {
    int thread = (int)(intptr_t)data, number;
    unsigned random = (unsigned)thread * 2654435761u + 1;
    for (number = 0; number < EACH; ++number) {
        job *job = &shared.jobs[thread][number];
        boc_request request[2];
        int first, second;
        random = random * 1664525u + 1013904223u;
        first = (int)(random >> 8) % CELLS;
        second = (first + 1 + (int)(random >> 16) % (CELLS - 1)) % CELLS;
        job->thread = thread;
        job->number = number + 1;
        job->write[0] = (random >> 24 & 3) != 0;
        job->write[1] = (random >> 26 & 1) != 0;
        request[0] = job->write[0] ? writes(shared.cowns[first]) : reads(shared.cowns[first]);
        request[1] = job->write[1] ? writes(shared.cowns[second]) : reads(shared.cowns[second]);
        OK(boc_when(boc_runtime_executor(shared.runtime), request, 1 + (random >> 28) % 2, works, job, ends,
                    number % 2 ? &shared.results[thread][number] : NULL));
        if (number % 7 == 0) {
            boc_cown *again = NULL, *clone = boc_cown_clone(shared.cowns[first]);
            OK(boc_weak_cown_upgrade(shared.weak, &again));
            OK(boc_cown_release(again));
            OK(boc_cown_release(clone));
        }
        if (number % 44 == 21) OK(boc_result_wait(shared.results[thread][number], BOC_FOREVER));
    }
    return NULL;
}

static void behaviours_of_all_threads_run_once_alone_and_in_order(void) {
    pthread_t threads[THREADS];
    int thread, number, index;
    memset(&shared, 0, sizeof shared);
    shared.runtime = start(3);
    for (index = 0; index < CELLS; ++index) OK(boc_cown_new(&shared.cells[index], NULL, &shared.cowns[index]));
    shared.weak = boc_cown_downgrade(shared.cowns[0]);
    for (thread = 0; thread < THREADS; ++thread) {
        CHECK(pthread_create(&threads[thread], NULL, schedules, (void *)(intptr_t)thread) == 0);
    }
    for (thread = 0; thread < THREADS; ++thread) CHECK(pthread_join(threads[thread], NULL) == 0);
    OK(boc_runtime_quiesce(shared.runtime, BOC_FOREVER));
    for (thread = 0; thread < THREADS; ++thread) {
        for (number = 0; number < EACH; ++number) {
            job *job = &shared.jobs[thread][number];
            boc_result *result = shared.results[thread][number];
            CHECK(look(&job->ran) == 1 && look(&job->destroyed) == 1);
            if (result) {
                void *value = NULL;
                OK(boc_result_take(result, 0, &value));
                CHECK(value == job);
                OK(boc_result_release(result));
            }
        }
    }
    OK(boc_weak_cown_release(shared.weak));
    for (index = 0; index < CELLS; ++index) OK(boc_cown_release(shared.cowns[index]));
    end(shared.runtime);
}

/* Many threads want one result: one of them gets the value. */
typedef struct prize {
    boc_result *result;
    counted value;
    int winners;
    int cancellers;
} prize;

static void *grabs(void *data) {
    prize *it = data;
    void *value = NULL;
    boc_result *own = boc_result_clone(it->result);
    boc_status said = boc_result_take(own, BOC_FOREVER, &value);
    CHECK(said == BOC_OK || said == BOC_TAKEN);
    if (said == BOC_OK) {
        CHECK(value == &it->value);
        bump(&it->winners);
    }
    OK(boc_result_release(own));
    return NULL;
}

static void one_thread_gets_the_value(void) {
    enum { ROUNDS = 50 };
    int round, index;
    for (round = 0; round < ROUNDS; ++round) {
        pthread_t threads[THREADS];
        prize prize = {NULL, {0, 0}, 0, 0};
        boc_promise *promise = NULL;
        OK(boc_promise_new(&promise, &prize.result));
        for (index = 0; index < THREADS; ++index) CHECK(pthread_create(&threads[index], NULL, grabs, &prize) == 0);
        OK(boc_promise_fulfil(promise, &prize.value, destroys));
        for (index = 0; index < THREADS; ++index) CHECK(pthread_join(threads[index], NULL) == 0);
        OK(boc_result_release(prize.result));
        CHECK(look(&prize.winners) == 1 && look(&prize.value.destroyed) == 0);
    }
}

static void *cancels(void *data) {
    prize *it = data;
    bool cancelled = false;
    OK(boc_result_cancel(it->result, &cancelled));
    if (cancelled) bump(&it->cancellers);
    return NULL;
}

static void a_behaviour_runs_or_is_cancelled_and_never_both(void) {
    enum { ROUNDS = 100 };
    boc_runtime *runtime = start(2);
    int round, index;
    for (round = 0; round < ROUNDS; ++round) {
        pthread_t threads[2];
        prize prize = {NULL, {0, 0}, 0, 0};
        OK(boc_when(boc_runtime_executor(runtime), NULL, 0, counts, &prize.value, destroys, &prize.result));
        for (index = 0; index < 2; ++index) CHECK(pthread_create(&threads[index], NULL, cancels, &prize) == 0);
        for (index = 0; index < 2; ++index) CHECK(pthread_join(threads[index], NULL) == 0);
        OK(boc_result_wait(prize.result, BOC_FOREVER));
        CHECK(look(&prize.value.ran) + look(&prize.cancellers) == 1 && look(&prize.value.destroyed) == 1);
        CHECK(boc_result_status(prize.result) == (look(&prize.cancellers) ? BOC_CANCELLED : BOC_OK));
        OK(boc_result_release(prize.result));
    }
    end(runtime);
}

int main(void) {
    TEST(behaviours_of_all_threads_run_once_alone_and_in_order);
    TEST(one_thread_gets_the_value);
    TEST(a_behaviour_runs_or_is_cancelled_and_never_both);
    return 0;
}
