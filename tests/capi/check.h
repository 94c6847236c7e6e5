/* What the tests of the C API share: checks that say what was expected, and counts of what was destroyed. */
#ifndef BOC_TESTS_CHECK_H
#define BOC_TESTS_CHECK_H

#include <boc/boc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what) ((what) ? (void)0 : check_failed(__FILE__, __LINE__, #what))
/* A call says this status; what is not BOC_OK has a message. */
#define SAYS(status, call) check_status(__FILE__, __LINE__, #call, (status), (call))
#define OK(call) SAYS(BOC_OK, call)
/* Runs a test: a function without arguments, named after what must hold. Nothing is left of it. */
#define TEST(name) check_test(#name, name)

/* What a behaviour, or a value, went through. Counted on any thread. */
typedef struct counted {
    int ran;
    int destroyed;
} counted;

static inline int bump(int *count) { return __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST); }
static inline int look(const int *count) { return __atomic_load_n(count, __ATOMIC_SEQ_CST); }

static inline void check_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
    abort();
}

static inline void check_status(const char *file, int line, const char *call, boc_status wanted, boc_status said) {
    if (said != wanted) {
        fprintf(stderr, "%s:%d: %s says %s (%s), not %s\n", file, line, call, boc_status_name(said),
                boc_last_error(), boc_status_name(wanted));
        abort();
    }
    if (said != BOC_OK && *boc_last_error() == 0) check_failed(file, line, "there is a message");
}

static inline void check_test(const char *name, void (*test)(void)) {
    printf("%s\n", name);
    fflush(stdout);
    test();
    if (boc_live_cowns() != 0) {
        fprintf(stderr, "%s left %d cowns\n", name, (int)boc_live_cowns());
        abort();
    }
}

/* For `counted`: a body, a function that destroys, one that is told of something. */
static inline void counts(boc_body *body, void *const *values, void *env) {
    (void)body;
    (void)values;
    bump(&((counted *)env)->ran);
}

static inline void destroys(void *data) { bump(&((counted *)data)->destroyed); }

static inline void told(void *env) { bump(&((counted *)env)->ran); }

/* A runtime with so many workers, and its end. */
static inline boc_runtime *start(unsigned workers) {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = NULL;
    options.workers = workers;
    OK(boc_runtime_new(&options, &runtime));
    return runtime;
}

static inline void end(boc_runtime *runtime) {
    OK(boc_runtime_shutdown(runtime, BOC_FOREVER));
    OK(boc_runtime_release(runtime));
}

/* A pump of one lane, which runs nothing until it is told to, on this thread. */
static inline boc_pump *make_pump(void) {
    boc_pump *pump = NULL;
    OK(boc_pump_new(1, NULL, NULL, NULL, &pump));
    return pump;
}

static inline size_t run_all(const boc_pump *pump) {
    size_t ran = 0;
    OK(boc_pump_run(pump, SIZE_MAX, &ran));
    return ran;
}

/* A cown that counts its end. */
static inline boc_cown *make_cown(counted *value) {
    boc_cown *cown = NULL;
    OK(boc_cown_new(value, destroys, &cown));
    return cown;
}

static inline boc_request writes(const boc_cown *cown) {
    boc_request request = {cown, BOC_WRITE};
    return request;
}

static inline boc_request reads(const boc_cown *cown) {
    boc_request request = {cown, BOC_READ};
    return request;
}

#endif
