/*
 * What a behaviour costs from C: the same patterns of behaviours and cowns as in ../src/shapes, of the same
 * size, with the same checks. A program as others would write it: plain C, linked to the shared library.
 *
 *     shapes SHAPE WORKERS N K ROUNDS
 *
 * measures ROUNDS runs of N behaviours each, and prints the best as `boc-bench --json` does.
 */

#define _POSIX_C_SOURCE 200809L

#include <boc/boc.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** How large a run is. */
typedef struct size {
    uint64_t n;       /* Behaviours. */
    size_t k;         /* Cowns, chains, pairs or accounts. */
    uint32_t workers; /* Threads. */
} size;

/** A run that went wrong has no figure. */
static void check(bool holds, const char *format, ...) {
    if (!holds) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fprintf(stderr, "; the last error: %s\n", boc_last_error());
        exit(1);
    }
}

/** What every call here should say. */
static void ok(boc_status status) {
    if (status != BOC_OK) {
        check(false, "%s", boc_status_name(status));
    }
}

/* The clock includes the start and the end of the threads, as in ../src/peers/boc.rs. */

static double now_ns(void) {
    struct timespec now;
    check(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "there is no clock");
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

/** Runs `seed` as the first behaviour, until all that it led to has ended. Says how long that took. */
static double run(uint32_t workers, boc_body_fn seed, void *env) {
    double started = now_ns();
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    options.workers = workers;
    boc_runtime *runtime;
    boc_result *result;
    ok(boc_runtime_new(&options, &runtime));
    ok(boc_when(boc_runtime_executor(runtime), NULL, 0, seed, env, NULL, &result));
    ok(boc_runtime_shutdown(runtime, BOC_FOREVER));
    double elapsed = now_ns() - started;
    ok(boc_runtime_release(runtime));
    ok(boc_result_wait(result, 0));
    ok(boc_result_status(result));
    ok(boc_result_release(result));
    return elapsed;
}

/* Cowns, each with a value that was allocated for it. */

static boc_cown **cowns_new(size_t count, const void *value, size_t value_size) {
    boc_cown **cowns = malloc(count * sizeof *cowns);
    check(cowns != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        void *copy = malloc(value_size);
        check(copy != NULL, "out of memory");
        memcpy(copy, value, value_size);
        ok(boc_cown_new(copy, free, &cowns[i]));
    }
    return cowns;
}

/** Calls `look` over each cown on this thread, and gives the cowns up. */
static void cowns_end(boc_cown **cowns, size_t count, boc_body_fn look, void *env) {
    boc_pump *pump;
    size_t looked;
    ok(boc_pump_new(1, NULL, NULL, NULL, &pump));
    for (size_t i = 0; i < count; i++) {
        boc_request request = {cowns[i], BOC_READ};
        ok(boc_when(boc_pump_executor(pump, 0), &request, 1, look, env, NULL, NULL));
    }
    ok(boc_pump_run(pump, SIZE_MAX, &looked));
    check(looked == count, "the pump ran %zu behaviours of %zu", looked, count);
    ok(boc_pump_release(pump));
    for (size_t i = 0; i < count; i++) {
        ok(boc_cown_release(cowns[i]));
    }
    free(cowns);
}

/* Counters: cowns with a number that starts at 0. */

static boc_cown **counters_new(size_t count) {
    return cowns_new(count, &(uint64_t){0}, sizeof(uint64_t));
}

static void add(boc_body *body, void *const *values, void *sum) {
    (void)body;
    *(uint64_t *)sum += *(const uint64_t *)values[0];
}

static void counters_end(boc_cown **counters, size_t count, uint64_t expected) {
    uint64_t sum = 0;
    cowns_end(counters, count, add, &sum);
    check(sum == expected, "the counters sum up to %llu, and should be %llu: the run was wrong",
          (unsigned long long)sum, (unsigned long long)expected);
}

/* A small number fits into the pointer that a behaviour gets. */

static void *from_number(uint64_t number) {
    return (void *)(uintptr_t)number;
}

static uint64_t to_number(void *pointer) {
    return (uintptr_t)pointer;
}

/* Chains that reschedule themselves. */

typedef struct chains {
    size size;
    size_t count;
    size_t cowns_each;
    boc_cown **cowns;
} chains;

/** One step of a chain over one cown. Its env is how many there are to go, this one included. */
static void step_one(boc_body *body, void *const *values, void *env) {
    uint64_t steps = to_number(env);
    *(uint64_t *)values[0] += 1;
    if (steps > 1) {
        boc_request request = {boc_body_cown(body, 0), BOC_WRITE};
        ok(boc_when(NULL, &request, 1, step_one, from_number(steps - 1), NULL, NULL));
    }
}

/** The same over two. */
static void step_two(boc_body *body, void *const *values, void *env) {
    uint64_t steps = to_number(env);
    *(uint64_t *)values[0] += 1;
    *(uint64_t *)values[1] += 1;
    if (steps > 1) {
        boc_request requests[] = {
            {boc_body_cown(body, 0), BOC_WRITE},
            {boc_body_cown(body, 1), BOC_WRITE},
        };
        ok(boc_when(NULL, requests, 2, step_two, from_number(steps - 1), NULL, NULL));
    }
}

static void seed_chains(boc_body *body, void *const *values, void *env) {
    (void)body, (void)values;
    const chains *all = env;
    for (size_t chain = 0; chain < all->count; chain++) {
        uint64_t steps = all->size.n / all->count + (chain < all->size.n % all->count);
        boc_request requests[2];
        for (size_t i = 0; i < all->cowns_each; i++) {
            requests[i] = (boc_request){all->cowns[chain * all->cowns_each + i], BOC_WRITE};
        }
        if (steps > 0) {
            boc_body_fn step = all->cowns_each == 1 ? step_one : step_two;
            ok(boc_when(NULL, requests, all->cowns_each, step, from_number(steps), NULL, NULL));
        }
    }
}

static double run_chains(size size, size_t count, size_t cowns_each) {
    chains all = {size, count, cowns_each, counters_new(count * cowns_each)};
    double elapsed = run(size.workers, seed_chains, &all);
    counters_end(all.cowns, count * cowns_each, cowns_each * size.n);
    return elapsed;
}

/** One chain over one cown. */
static double chain1(size size) {
    return run_chains(size, 1, 1);
}

/** K chains, each over two cowns of its own. */
static double pairK(size size) {
    return run_chains(size, size.k, 2);
}

/* Behaviours over K cowns in turn, from a producer. */

typedef struct producer {
    size size;
    boc_cown **cowns;
} producer;

static void increment(boc_body *body, void *const *values, void *env) {
    (void)body, (void)env;
    *(uint64_t *)values[0] += 1;
}

static void seed_fan(boc_body *body, void *const *values, void *env) {
    (void)body, (void)values;
    const producer *all = env;
    size_t next = 0;
    for (uint64_t i = 0; i < all->size.n; i++) {
        boc_request request = {all->cowns[next], BOC_WRITE};
        ok(boc_when(NULL, &request, 1, increment, NULL, NULL, NULL));
        next = next + 1 == all->size.k ? 0 : next + 1;
    }
}

static double fanK(size size) {
    producer all = {size, counters_new(size.k)};
    double elapsed = run(size.workers, seed_fan, &all);
    counters_end(all.cowns, size.k, size.n);
    return elapsed;
}

/* Transfers between random pairs of K cowns, from a producer. */

enum { START = 1000 };

typedef struct account {
    int64_t balance;
    uint64_t transfers; /* From and to it. */
} account;

/** A number below `bound`: wyrand, with a seed that starts at 0, as in ../src/shapes/bank.rs. */
static uint64_t draw(uint64_t *seed, uint64_t bound) {
    __extension__ typedef unsigned __int128 wide;
    for (;;) {
        *seed += 0x2d358dccaa6c78a5;
        wide mixed = (wide)*seed * (*seed ^ 0x8bb84b93962eacc9);
        wide product = (wide)((uint64_t)mixed ^ (uint64_t)(mixed >> 64)) * bound;
        /* Without the lowest ones all numbers are equally likely. */
        if ((uint64_t)product >= bound || (uint64_t)product >= -bound % bound) {
            return (uint64_t)(product >> 64);
        }
    }
}

static void transfer(boc_body *body, void *const *values, void *amount) {
    (void)body;
    account *from = values[0], *to = values[1];
    from->balance -= (int64_t)to_number(amount);
    to->balance += (int64_t)to_number(amount);
    from->transfers += 1;
    to->transfers += 1;
}

static void seed_bank(boc_body *body, void *const *values, void *env) {
    (void)body, (void)values;
    const producer *all = env;
    uint64_t seed = 0;
    for (uint64_t i = 0; i < all->size.n; i++) {
        size_t from = draw(&seed, all->size.k);
        size_t to = (from + 1 + draw(&seed, all->size.k - 1)) % all->size.k;
        uint64_t amount = 1 + draw(&seed, 99);
        boc_request requests[] = {{all->cowns[from], BOC_WRITE}, {all->cowns[to], BOC_WRITE}};
        ok(boc_when(NULL, requests, 2, transfer, from_number(amount), NULL, NULL));
    }
}

static void add_account(boc_body *body, void *const *values, void *env) {
    (void)body;
    const account *one = values[0];
    account *sum = env;
    sum->balance += one->balance;
    sum->transfers += one->transfers;
}

static double bank(size size) {
    const account fresh = {START, 0};
    producer all = {size, cowns_new(size.k, &fresh, sizeof fresh)};
    double elapsed = run(size.workers, seed_bank, &all);
    account sum = {0, 0};
    cowns_end(all.cowns, size.k, add_account, &sum);
    check(sum.transfers == 2 * size.n, "a transfer was left out: the run was wrong");
    check(sum.balance == START * (int64_t)size.k, "money was lost or made: the run was wrong");
    return elapsed;
}

static const struct {
    const char *name;
    double (*run)(size size);
} SHAPES[] = {{"chain1", chain1}, {"pairK", pairK}, {"fanK", fanK}, {"bank", bank}};

int main(int argc, char **argv) {
    check(argc == 6, "usage: shapes SHAPE WORKERS N K ROUNDS");
    size size = {.n = strtoull(argv[3], NULL, 10),
                 .k = strtoull(argv[4], NULL, 10),
                 .workers = (uint32_t)strtoul(argv[2], NULL, 10)};
    unsigned long rounds = strtoul(argv[5], NULL, 10);
    check(size.n > 0 && size.k > 1 && size.workers > 0 && rounds > 0, "a number is too small");
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        if (strcmp(SHAPES[i].name, argv[1]) == 0) {
            double best = SHAPES[i].run(size);
            while (--rounds > 0) {
                double elapsed = SHAPES[i].run(size);
                best = elapsed < best ? elapsed : best;
            }
            printf("{\"shape\": \"%s\", \"workers\": %u, \"ns_per_behaviour\": %.2f}\n", argv[1],
                   (unsigned)size.workers, best / (double)size.n);
            return 0;
        }
    }
    check(false, "there is no shape %s here", argv[1]);
}
