/*
 * Random sequences of calls over the whole API, against a model of what must hold:
 *
 * - what is handed over is destroyed once, and a body runs once, or never if its outcome says so;
 * - who writes is alone in a cown, and who reads is there with readers only;
 * - behaviours that one thread schedules over one cown, and do not both read it, keep their order;
 * - a value goes to one taker, or is destroyed; when a scope has ended, so have its behaviours;
 * - a call says what the arguments deserve; and in the end no cown is left.
 *
 *     fuzz [--seed N] [--steps N] [--runs N] [--seconds N]
 *
 * Run R has the seed N + R, which is printed if something does not hold. Calls are the same for the same
 * seed; with more than one thread in a world, their interleaving is not.
 */
#include "check.h"

#include <pthread.h>
#include <time.h>

enum { THREADS = 3, CELLS = 6, SLOTS = 12, FEW = 3, WRITER = 1000000 };

static unsigned long current_seed;

#define HOLDS(what) ((what) ? (void)0 : broken(__LINE__, #what, BOC_OK))
#define MUST(wanted, call)                                          \
    do {                                                            \
        boc_status must_said = (call);                              \
        if (must_said != (wanted)) broken(__LINE__, #call, must_said); \
    } while (0)

static void broken(int line, const char *what, boc_status said) {
    fprintf(stderr, "fuzz.c:%d: this does not hold: %s (%s: %s)\n  --seed %lu\n", line, what,
            boc_status_name(said), boc_last_error(), current_seed);
    abort();
}

/* What a cown holds. Only who holds the cown touches it, which is what is to be shown. */
typedef struct cell {
    int inside;
    int destroyed;
    /* The last behaviours of each thread. */
    int wrote[THREADS];
    int read[THREADS];
} cell;

typedef struct item {
    int gone;
} item;

/* What must be true of one behaviour. */
typedef struct deed {
    int thread;
    /* Its number among those of its thread; 0 if it was scheduled inside of another one. */
    int number;
    size_t count;
    /* Which are cells, and not results. */
    bool is_cell[FEW];
    bool writes[FEW];
    /* Whether somebody looks at its outcome. */
    bool wanted;
    unsigned random;
    int ran;
    int destroyed;
    int *scope;
    /* Not on a runtime of the world, or in a scope on one. */
    bool elsewhere;
    struct deed *next;
} deed;

typedef struct late {
    boc_result *result;
    struct late *next;
} late;

/* What each thread has. */
typedef struct actor {
    int thread;
    int number;
    unsigned random;
    boc_result *results[SLOTS];
    late *late;
    boc_promise *promises[FEW];
    boc_batch *batch;
    /* In a scope, which may end before the batch is scheduled. */
    bool batch_in_scope;
    bool batch_elsewhere;
    deed *batched[SLOTS];
    boc_scope *scope;
    int *scope_open;
    bool scope_elsewhere;
    boc_result *scope_ended;
    int *scope_closed;
} actor;

typedef struct world {
    boc_cown *cowns[CELLS];
    boc_weak_cown *weak[CELLS];
    boc_runtime *runtimes[2];
    boc_pump *pump;
    boc_executor *lanes[2];
    /* One of our own, which keeps what is ready until somebody takes it from the shelf. */
    boc_executor *own;
    pthread_mutex_t shelf_mutex;
    boc_ready *shelf[SLOTS];
    int shelved;
    int own_gone;
    /* Set before a runtime is told to end, from when on it may refuse. */
    int ending;
    deed *deeds;
    int cells_made;
    int cells_gone;
    int items_made;
    int items_gone;
    actor actors[THREADS];
    int threads;
    int steps;
} world;

static unsigned next(unsigned *state) {
    unsigned x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static unsigned below(unsigned *state, unsigned bound) { return (next(state) >> 4) % bound; }

/* Memory that lives as long as the world, so that what is done twice is seen. */
typedef struct block {
    struct block *next;
} block;
static block *blocks;
static pthread_mutex_t blocks_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *keep(size_t size) {
    block *made = (block *)calloc(1, sizeof(block) + size);
    HOLDS(made);
    pthread_mutex_lock(&blocks_mutex);
    made->next = blocks;
    blocks = made;
    pthread_mutex_unlock(&blocks_mutex);
    return made + 1;
}

static world *earth;

static void cell_ends(void *data) {
    cell *it = (cell *)data;
    HOLDS(bump(&it->destroyed) == 1 && look(&it->inside) == 0);
    bump(&earth->cells_gone);
}

static cell *make_cell(void) {
    cell *made = (cell *)keep(sizeof *made);
    bump(&earth->cells_made);
    return made;
}

static void item_ends(void *data) {
    HOLDS(bump(&((item *)data)->gone) == 1);
    bump(&earth->items_gone);
}

static item *make_item(void) {
    item *made = (item *)keep(sizeof *made);
    bump(&earth->items_made);
    return made;
}

static void deed_ends(void *data) {
    deed *it = (deed *)data;
    HOLDS(bump(&it->destroyed) == 1);
    if (it->scope) __atomic_sub_fetch(it->scope, 1, __ATOMIC_SEQ_CST);
}

static void deed_is_told(void *data) { HOLDS(bump(&((deed *)data)->ran) == 1 && !look(&((deed *)data)->destroyed)); }

static deed *make_deed(int thread, unsigned random, int *scope) {
    deed *made = (deed *)keep(sizeof *made);
    made->thread = thread;
    made->random = random | 1;
    made->scope = scope;
    if (scope) bump(scope);
    made->next = __atomic_load_n(&earth->deeds, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(&earth->deeds, &made->next, made, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    return made;
}

static void enters(cell *cell, const deed *it, bool write) {
    HOLDS(look(&cell->destroyed) == 0);
    if (write) {
        HOLDS(__atomic_exchange_n(&cell->inside, WRITER, __ATOMIC_SEQ_CST) == 0);
        if (it->number) {
            HOLDS(cell->wrote[it->thread] < it->number && look(&cell->read[it->thread]) < it->number);
            cell->wrote[it->thread] = it->number;
        }
    } else {
        int last = look(&cell->read[it->thread]);
        HOLDS(bump(&cell->inside) < WRITER);
        HOLDS(!it->number || cell->wrote[it->thread] < it->number);
        while (last < it->number && !__atomic_compare_exchange_n(&cell->read[it->thread], &last, it->number, false,
                                                                 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
    }
}

static void leaves(cell *cell, bool write) {
    if (write) HOLDS(__atomic_exchange_n(&cell->inside, 0, __ATOMIC_SEQ_CST) == WRITER);
    else __atomic_sub_fetch(&cell->inside, 1, __ATOMIC_SEQ_CST);
}

static void happens(boc_body *body, void *const *values, void *env);

/* Something over some of the cowns of the running behaviour. */
static void happens_again(boc_body *body, deed *it) {
    boc_request request[FEW];
    deed *made = make_deed(it->thread, next(&it->random), NULL);
    size_t index;
    boc_status said;
    for (index = 0; index < it->count && it->is_cell[index]; ++index) {
        made->is_cell[index] = true;
        made->writes[index] = it->writes[index] && below(&it->random, 2);
        request[index].cown = boc_body_cown(body, index);
        request[index].mode = made->writes[index] ? BOC_WRITE : BOC_READ;
        /* Twice only if it is read. */
        if (index > 0 && boc_cown_same(request[index].cown, request[index - 1].cown)) break;
    }
    made->count = index;
    made->elsewhere = it->elsewhere || below(&it->random, 2);
    said = boc_when(made->elsewhere ? earth->lanes[0] : NULL, request, index, happens, made, deed_ends, NULL);
    HOLDS(said == BOC_OK || (said == BOC_REFUSED && look(&earth->ending)));
}

static void happens(boc_body *body, void *const *values, void *env) {
    deed *it = (deed *)env;
    size_t index;
    HOLDS(bump(&it->ran) == 1 && look(&it->destroyed) == 0 && boc_inside_behaviour());
    HOLDS(boc_body_count(body) == it->count);
    for (index = 0; index < it->count; ++index) {
        if (it->is_cell[index]) enters((cell *)values[index], it, it->writes[index]);
        else HOLDS(!values[index] || look(&((item *)values[index])->gone) == 0);
    }
    if (below(&it->random, 4) == 0) happens_again(body, it);
    for (index = 0; index < it->count; ++index) {
        void *value = NULL;
        if (!it->is_cell[index]) {
            boc_status outcome = boc_body_outcome(body, index, NULL);
            HOLDS(outcome == BOC_OK || outcome == BOC_FAILED || outcome == BOC_CANCELLED ||
                  outcome == BOC_BROKEN || outcome == BOC_TAKEN);
            HOLDS(outcome == BOC_OK || !values[index]);
            if (!it->writes[index]) MUST(BOC_NOT_ALLOWED, boc_body_take(body, index, &value));
            else if (below(&it->random, 2)) {
                MUST(outcome, boc_body_take(body, index, &value));
                HOLDS(value == (outcome == BOC_OK ? values[index] : NULL));
                if (value) item_ends(value);
            }
            continue;
        }
        leaves((cell *)values[index], it->writes[index]);
        if (below(&it->random, 8) == 0) {
            cell *fresh = make_cell();
            cell *old = (cell *)values[index];
            if (it->writes[index]) {
                memcpy(fresh->wrote, old->wrote, sizeof fresh->wrote);
                memcpy(fresh->read, old->read, sizeof fresh->read);
            }
            MUST(it->writes[index] ? BOC_OK : BOC_NOT_ALLOWED, boc_body_set_value(body, index, fresh, cell_ends));
            HOLDS(look(&fresh->destroyed) == !it->writes[index] && look(&old->destroyed) == it->writes[index]);
        }
    }
    if (below(&it->random, 2)) MUST(BOC_OK, boc_body_set_result(body, make_item(), item_ends));
    if (it->wanted && below(&it->random, 6) == 0) MUST(BOC_OK, boc_body_fail(body, "as it happens"));
}

static int shelves(void *env, boc_ready *ready) {
    bool room;
    (void)env;
    pthread_mutex_lock(&earth->shelf_mutex);
    room = earth->shelved < SLOTS;
    if (room) earth->shelf[earth->shelved++] = ready;
    pthread_mutex_unlock(&earth->shelf_mutex);
    return !room;
}

static void own_ends(void *env) { HOLDS(bump(&((world *)env)->own_gone) == 1); }

/* Runs, or cancels, what is on the shelf; says whether there was something. */
static bool unshelve(bool run) {
    boc_ready *ready = NULL;
    pthread_mutex_lock(&earth->shelf_mutex);
    if (earth->shelved > 0) ready = earth->shelf[--earth->shelved];
    pthread_mutex_unlock(&earth->shelf_mutex);
    if (ready) MUST(BOC_OK, run ? boc_ready_run(ready) : boc_ready_cancel(ready));
    return ready != NULL;
}

static unsigned roll(actor *actor, unsigned bound) { return below(&actor->random, bound); }

/* A free place for a handle; what is there is given up, at the latest in the end. The outcome is looked at
   before, as the library complains of failures that nobody has seen. */
static boc_result **place(actor *actor) {
    boc_result **found = &actor->results[roll(actor, SLOTS)];
    if (*found && boc_result_status(*found) == BOC_PENDING) {
        late *made = (late *)keep(sizeof *made);
        made->result = *found;
        made->next = actor->late;
        actor->late = made;
    } else {
        MUST(BOC_OK, boc_result_release(*found));
    }
    *found = NULL;
    return found;
}

/* Fills a request; says whether it is one that is to be refused. */
static bool fill(actor *actor, deed *deed, boc_request *request) {
    size_t index, other;
    bool twice = false;
    deed->count = roll(actor, FEW + 1);
    for (index = 0; index < deed->count; ++index) {
        boc_result *result = actor->results[roll(actor, SLOTS)];
        unsigned which = roll(actor, CELLS);
        deed->is_cell[index] = !result || roll(actor, 4);
        deed->writes[index] = roll(actor, 2);
        request[index].mode = deed->writes[index] ? BOC_WRITE : BOC_READ;
        request[index].cown = deed->is_cell[index] ? earth->cowns[which] : boc_result_cown(result);
        for (other = 0; other < index; ++other) {
            if (boc_cown_same(request[index].cown, request[other].cown)) {
                twice = twice || deed->writes[index] || deed->writes[other];
            }
        }
    }
    return twice;
}

static const boc_executor *somewhere(actor *actor, deed *deed) {
    unsigned where = roll(actor, 6);
    deed->elsewhere = where == 0 || where == 1 || where == 5 || (where == 2 && actor->scope && actor->scope_elsewhere);
    switch (where) {
        case 0: return earth->lanes[0];
        case 1: return earth->lanes[1];
        case 5: return earth->own;
        case 2:
            if (actor->scope) {
                deed->scope = actor->scope_open;
                bump(deed->scope);
                return boc_scope_executor(actor->scope);
            }
            return boc_runtime_executor(earth->runtimes[0]);
        case 3: return boc_runtime_executor(earth->runtimes[0]);
        default: return boc_runtime_executor(earth->runtimes[1]);
    }
}

static void schedule(actor *actor) {
    boc_request request[FEW];
    deed *made = make_deed(actor->thread, next(&actor->random), NULL);
    bool twice = fill(actor, made, request);
    const boc_executor *executor = somewhere(actor, made);
    boc_result *result = NULL, **wanted = roll(actor, 3) ? &result : NULL;
    boc_status said;
    made->number = ++actor->number;
    made->wanted = wanted != NULL;
    if (roll(actor, 16) == 0) {
        MUST(BOC_INVALID_ARGUMENT, boc_when(executor, request, made->count, NULL, made, deed_ends, wanted));
        HOLDS(look(&made->destroyed) == 1 && !result);
        return;
    }
    said = boc_when(executor, request, made->count, happens, made, deed_ends, wanted);
    if (said == BOC_REFUSED) HOLDS(look(&earth->ending));
    else if (twice) HOLDS(said == BOC_DUPLICATE_COWN);
    else MUST(BOC_OK, said);
    if (said != BOC_OK) {
        HOLDS(look(&made->destroyed) == 1 && look(&made->ran) == 0 && !result);
    } else if (wanted) {
        HOLDS(result != NULL);
        *place(actor) = result;
    }
}

static void settle_batch(actor *actor) {
    boc_result *results[SLOTS];
    size_t count = boc_batch_len(actor->batch), index;
    bool wanted = roll(actor, 2);
    for (index = 0; index < count; ++index) {
        actor->batched[index]->number = ++actor->number;
        actor->batched[index]->wanted = wanted;
    }
    if (roll(actor, 4) == 0) {
        MUST(BOC_OK, boc_batch_release(actor->batch));
        for (index = 0; index < count; ++index) {
            HOLDS(look(&actor->batched[index]->ran) == 0 && look(&actor->batched[index]->destroyed) == 1);
        }
    } else {
        if (count > 0) MUST(BOC_INVALID_ARGUMENT, boc_batch_schedule(actor->batch, results, count - 1));
        MUST(BOC_OK, boc_batch_schedule(actor->batch, wanted ? results : NULL, SLOTS));
        for (index = 0; wanted && index < count; ++index) *place(actor) = results[index];
    }
    actor->batch = NULL;
}

static void add_to_batch(actor *actor) {
    boc_request request[FEW];
    deed *made;
    bool twice;
    boc_status said;
    size_t before;
    if (!actor->batch) {
        deed *nobody = make_deed(actor->thread, 1, NULL);
        said = boc_batch_new(somewhere(actor, nobody), &actor->batch);
        MUST(BOC_OK, said);
        actor->batch_in_scope = nobody->scope != NULL;
        actor->batch_elsewhere = nobody->elsewhere;
        deed_ends(nobody);
    }
    before = boc_batch_len(actor->batch);
    if (before == SLOTS - 1) {
        settle_batch(actor);
        return;
    }
    made = make_deed(actor->thread, next(&actor->random), NULL);
    made->elsewhere = actor->batch_elsewhere;
    twice = fill(actor, made, request);
    said = boc_batch_when(actor->batch, request, made->count, happens, made, deed_ends);
    if (said == BOC_REFUSED) HOLDS(look(&earth->ending) || actor->batch_in_scope);
    else if (twice) HOLDS(said == BOC_DUPLICATE_COWN);
    else MUST(BOC_OK, said);
    HOLDS(boc_batch_len(actor->batch) == before + (said == BOC_OK));
    if (said == BOC_OK) actor->batched[before] = made;
    else HOLDS(look(&made->destroyed) == 1);
}

static void settle_promise(actor *actor, boc_promise **promise) {
    bool cancelled = boc_promise_is_cancelled(*promise);
    boc_status said = BOC_OK;
    item *value = NULL;
    switch (roll(actor, 3)) {
        case 0: said = boc_promise_fulfil(*promise, value = make_item(), item_ends); break;
        case 1: said = boc_promise_fail(*promise, "it will not be"); break;
        default: MUST(BOC_OK, boc_promise_release(*promise));
    }
    HOLDS(said == BOC_OK || said == BOC_CANCELLED);
    /* Only this thread has handles to the result, and whoever holds it as a cown cannot cancel it. */
    if (cancelled && value) HOLDS(said == BOC_CANCELLED && look(&value->gone) == 1);
    *promise = NULL;
}

static void promise(actor *actor) {
    boc_promise **which = &actor->promises[roll(actor, FEW)];
    if (*which) {
        settle_promise(actor, which);
    } else {
        boc_result *result = NULL;
        MUST(BOC_OK, boc_promise_new(which, &result));
        *place(actor) = result;
    }
}

static void finish_scope(actor *actor) {
    if (actor->scope_ended) {
        if (boc_result_wait(actor->scope_ended, 0) == BOC_OK) HOLDS(look(actor->scope_closed) == 0);
        MUST(BOC_OK, boc_result_release(actor->scope_ended));
        actor->scope_ended = NULL;
    }
    if (actor->scope) {
        MUST(BOC_OK, boc_scope_close(actor->scope, &actor->scope_ended));
        actor->scope_closed = actor->scope_open;
        actor->scope = NULL;
    }
}

static void scope(actor *actor) {
    if (actor->scope) {
        finish_scope(actor);
    } else {
        const boc_executor *inner;
        actor->scope_elsewhere = roll(actor, 2);
        inner = actor->scope_elsewhere ? earth->lanes[0] : boc_runtime_executor(earth->runtimes[0]);
        actor->scope_open = (int *)keep(sizeof(int));
        MUST(BOC_OK, boc_scope_new(inner, &actor->scope));
    }
}

static void reference(actor *actor) {
    unsigned which = roll(actor, CELLS);
    boc_cown *clone = boc_cown_clone(earth->cowns[which]), *again = NULL;
    boc_weak_cown *weak = boc_weak_cown_clone(earth->weak[which]), *other = boc_cown_downgrade(clone);
    HOLDS(boc_cown_same(clone, earth->cowns[which]));
    HOLDS(!boc_cown_same(clone, earth->cowns[(which + 1) % CELLS]));
    MUST(BOC_OK, boc_weak_cown_upgrade(roll(actor, 2) ? weak : other, &again));
    HOLDS(boc_cown_same(clone, again));
    MUST(BOC_OK, boc_cown_release(clone));
    MUST(BOC_OK, boc_weak_cown_release(weak));
    MUST(BOC_OK, boc_weak_cown_release(other));
    MUST(BOC_OK, boc_cown_release(again));
    {
        /* One that nobody else has. */
        boc_cown *alone = NULL;
        cell *value = make_cell();
        MUST(BOC_OK, boc_cown_new(value, cell_ends, &alone));
        weak = boc_cown_downgrade(alone);
        MUST(BOC_OK, boc_cown_release(alone));
        HOLDS(look(&value->destroyed) == 1);
        MUST(BOC_GONE, boc_weak_cown_upgrade(weak, &again));
        MUST(BOC_GONE, boc_weak_cown_upgrade(weak, &again));
        MUST(BOC_OK, boc_weak_cown_release(weak));
    }
}

static void result(actor *actor) {
    boc_result *it = actor->results[roll(actor, SLOTS)], *clone;
    boc_status said, status;
    void *value = NULL;
    bool cancelled = false;
    deed *note;
    if (!it) return;
    switch (roll(actor, 6)) {
        case 0:
            said = boc_result_wait(it, roll(actor, 2) ? 0 : 20000);
            HOLDS(said == BOC_OK || said == BOC_TIMED_OUT);
            if (said == BOC_OK) HOLDS(boc_result_status(it) != BOC_PENDING);
            break;
        case 1:
            said = boc_result_take(it, roll(actor, 2) ? 0 : 20000, &value);
            status = boc_result_status(it);
            HOLDS(said == BOC_TIMED_OUT || said == status || (said == BOC_TAKEN && status == BOC_OK));
            if (value) item_ends(value);
            break;
        case 2:
            MUST(BOC_OK, boc_result_cancel(it, &cancelled));
            if (cancelled) HOLDS(boc_result_status(it) == BOC_CANCELLED);
            break;
        case 3:
            note = make_deed(actor->thread, 1, NULL);
            MUST(BOC_OK, boc_result_on_finished(it, deed_is_told, note, deed_ends));
            note = make_deed(actor->thread, 1, NULL);
            MUST(BOC_INVALID_ARGUMENT, boc_result_on_finished(it, NULL, note, deed_ends));
            HOLDS(look(&note->destroyed) == 1);
            break;
        case 4:
            clone = boc_result_clone(it);
            HOLDS(boc_cown_same(boc_result_cown(it), boc_result_cown(clone)));
            *place(actor) = clone;
            break;
        default:
            status = boc_result_status(it);
            HOLDS((boc_result_error(it) != NULL) || status == BOC_OK || status == BOC_PENDING);
            place(actor);
    }
}

static void step(actor *actor) {
    switch (roll(actor, 16)) {
        case 0: case 1: case 2: case 3: case 4: schedule(actor); break;
        case 5: case 6: case 7: add_to_batch(actor); break;
        case 8: if (actor->batch) settle_batch(actor); break;
        case 9: promise(actor); break;
        case 10: scope(actor); break;
        case 11: reference(actor); break;
        case 12: case 13: result(actor); break;
        case 14:
            unshelve(roll(actor, 8));
            /* One thread pumps. */
            if (actor->thread == 0) MUST(BOC_OK, boc_pump_run(earth->pump, roll(actor, 8), NULL));
            break;
        default: {
            boc_worker_stats stats[4];
            char *report = NULL;
            unsigned which = roll(actor, 64);
            MUST(BOC_OK, boc_runtime_stats(earth->runtimes[which % 2], stats, sizeof *stats, 4, NULL));
            MUST(BOC_OK, boc_runtime_report(earth->runtimes[1], &report));
            boc_string_free(report);
            if (which == 0) {
                boc_status said;
                bump(&earth->ending);
                said = roll(actor, 2) ? boc_runtime_stop(earth->runtimes[0], 0)
                                      : boc_runtime_shutdown(earth->runtimes[0], 0);
                HOLDS(said == BOC_OK || said == BOC_TIMED_OUT);
            }
        }
    }
}

static void *acts(void *data) {
    actor *it = (actor *)data;
    int index;
    for (index = 0; index < earth->steps; ++index) step(it);
    if (it->batch) settle_batch(it);
    for (index = 0; index < FEW; ++index) {
        if (it->promises[index]) settle_promise(it, &it->promises[index]);
    }
    if (it->scope) finish_scope(it);
    return NULL;
}

static bool all_ended(void) {
    deed *it;
    for (it = earth->deeds; it; it = it->next) {
        if (look(&it->destroyed) == 0) return false;
    }
    return true;
}

static void live(unsigned long seed, int steps) {
    world world;
    pthread_t threads[THREADS];
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    unsigned random = (unsigned)(seed * 2654435761u) | 1;
    int index, slot;
    deed *deed;
    memset(&world, 0, sizeof world);
    earth = &world;
    current_seed = seed;
    for (index = 0; index < 8; ++index) next(&random);
    world.threads = 1 + (int)below(&random, THREADS);
    world.steps = steps;
    for (index = 0; index < 2; ++index) {
        options.workers = 1 + below(&random, 3);
        options.flags = index ? BOC_OBSERVE : 0;
        MUST(BOC_OK, boc_runtime_new(&options, &world.runtimes[index]));
    }
    MUST(BOC_OK, boc_pump_new(2, NULL, NULL, NULL, &world.pump));
    for (index = 0; index < 2; ++index) {
        world.lanes[index] = boc_executor_clone(boc_pump_executor(world.pump, (size_t)index));
    }
    HOLDS(pthread_mutex_init(&world.shelf_mutex, NULL) == 0);
    MUST(BOC_OK, boc_executor_new(shelves, &world, own_ends, &world.own));
    for (index = 0; index < CELLS; ++index) {
        MUST(BOC_OK, boc_cown_new(make_cell(), cell_ends, &world.cowns[index]));
        world.weak[index] = boc_cown_downgrade(world.cowns[index]);
    }
    for (index = 0; index < world.threads; ++index) {
        world.actors[index].thread = index;
        world.actors[index].random = next(&random) | 1;
        if (index > 0) HOLDS(pthread_create(&threads[index], NULL, acts, &world.actors[index]) == 0);
    }
    acts(&world.actors[0]);
    for (index = 1; index < world.threads; ++index) HOLDS(pthread_join(threads[index], NULL) == 0);

    /* Nothing holds back any more, but the pump. In some worlds what is in there never runs. */
    if (below(&random, 3) == 0) {
        bump(&world.ending);
        MUST(BOC_OK, boc_pump_release(world.pump));
        world.pump = NULL;
    }
    do {
        while (unshelve(true)) {
        }
        if (world.pump) MUST(BOC_OK, boc_pump_run(world.pump, SIZE_MAX, NULL));
        for (index = 0; index < 2; ++index) {
            boc_status said = boc_runtime_quiesce(world.runtimes[index], 100000);
            HOLDS(said == BOC_OK || said == BOC_TIMED_OUT);
        }
    } while (!all_ended());
    for (index = 0; index < world.threads; ++index) {
        actor *actor = &world.actors[index];
        if (actor->scope_ended) {
            MUST(BOC_OK, boc_result_wait(actor->scope_ended, BOC_FOREVER));
            HOLDS(look(actor->scope_closed) == 0);
            MUST(BOC_OK, boc_result_release(actor->scope_ended));
        }
        for (; actor->late; actor->late = actor->late->next) {
            MUST(BOC_OK, boc_result_wait(actor->late->result, BOC_FOREVER));
            HOLDS(boc_result_status(actor->late->result) != BOC_PENDING);
            MUST(BOC_OK, boc_result_release(actor->late->result));
        }
        for (slot = 0; slot < SLOTS; ++slot) {
            if (actor->results[slot]) {
                MUST(BOC_OK, boc_result_wait(actor->results[slot], BOC_FOREVER));
                HOLDS(boc_result_status(actor->results[slot]) != BOC_PENDING);
            }
            MUST(BOC_OK, boc_result_release(actor->results[slot]));
        }
    }
    for (index = 0; index < CELLS; ++index) {
        MUST(BOC_OK, boc_cown_release(world.cowns[index]));
        MUST(BOC_OK, boc_weak_cown_release(world.weak[index]));
    }
    for (index = 0; index < 2; ++index) {
        MUST(BOC_OK, boc_runtime_shutdown(world.runtimes[index], BOC_FOREVER));
        MUST(BOC_OK, boc_runtime_release(world.runtimes[index]));
        MUST(BOC_OK, boc_executor_release(world.lanes[index]));
    }
    MUST(BOC_OK, boc_pump_release(world.pump));
    MUST(BOC_OK, boc_executor_release(world.own));
    HOLDS(world.own_gone == 1 && pthread_mutex_destroy(&world.shelf_mutex) == 0);
    HOLDS(all_ended());
    for (deed = world.deeds; deed; deed = deed->next) HOLDS(deed->destroyed == 1);
    HOLDS(world.cells_made == world.cells_gone);
    HOLDS(world.items_made == world.items_gone);
    HOLDS(boc_live_cowns() == 0);
    while (blocks) {
        block *first = blocks;
        blocks = first->next;
        free(first);
    }
}

int main(int count, char **words) {
    unsigned long seed = 1, steps = 150, runs = 100, seconds = 0, run;
    time_t started = time(NULL);
    int index;
    for (index = 1; index + 1 < count; index += 2) {
        unsigned long number = strtoul(words[index + 1], NULL, 10);
        if (strcmp(words[index], "--seed") == 0) seed = number;
        else if (strcmp(words[index], "--steps") == 0) steps = number;
        else if (strcmp(words[index], "--runs") == 0) runs = number;
        else if (strcmp(words[index], "--seconds") == 0) seconds = number;
        else index = count;
    }
    if (index != count) {
        fprintf(stderr, "usage: fuzz [--seed N] [--steps N] [--runs N] [--seconds N]\n");
        return 2;
    }
    for (run = 0; run < runs && (!seconds || time(NULL) - started < (time_t)seconds); ++run) {
        live(seed + run, (int)steps);
    }
    printf("%lu runs of %lu steps from seed %lu on\n", run, steps, seed);
    return 0;
}
