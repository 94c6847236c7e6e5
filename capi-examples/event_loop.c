/*
 * An event loop that computes on all cores and never blocks.
 *
 *     seq 5 | event_loop
 *
 * For each line of input, the program looks for the number that gives it the hash with the most zeros in
 * front. The main thread is a loop around poll(), with three sources of events: input, a timer, and
 * behaviours. Those that touch what is the loop's are scheduled on its pump, and so run on its thread;
 * others run on the workers. Cowns belong to neither: `tally` is written by workers, and read by the loop.
 *
 * The loop is always one line ahead: the search in the next line is scheduled before that has come. It
 * waits for a promise, which the loop fulfils with the line, or breaks at the end of the input.
 */
#define _POSIX_C_SOURCE 200809L
#include "example.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { PARTS = 16, NUMBERS_IN_PART = 1 << 18, LINE = 256 };

static const double TICK_SECONDS = 0.1;

/* Of the loop's thread alone: of what main calls, and of behaviours on its pump. */
struct loop {
    boc_pump *pump;
    int wake[2];            /* a pipe: whoever makes a behaviour ready writes to it */
    boc_promise *next_line; /* NULL after the end of the input */
    size_t searches;        /* that have not been shown */
    char input[LINE];       /* what has come of the next line */
    size_t length;
    boc_cown *tally;        /* how many hashes there were, as uint64_t */
};

static const boc_executor *on_loop(const struct loop *loop) {
    return boc_pump_executor(loop->pump, 0);
}

/* ---- On the workers ---- */

struct part {
    uint64_t index;
    boc_cown *tally;
};

struct found {
    uint64_t hash, number;
};

static void part_free(void *part) {
    must(boc_cown_release(((struct part *)part)->tally));
    free(part);
}

static uint64_t mix(uint64_t state) {
    state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
    state = (state ^ state >> 27) * 0x94d049bb133111ebu;
    return state ^ state >> 31;
}

static uint64_t hash(const char *line, uint64_t number) {
    uint64_t state = mix(number);
    for (; *line != '\0'; line++) {
        state = mix(state + (unsigned char)*line);
    }
    return state;
}

static void count_hashes(boc_body *body, void *const *values, void *env) {
    (void)body, (void)env;
    *(uint64_t *)values[0] += NUMBERS_IN_PART;
}

/* Tries a part of the numbers on a line, which it only reads, as the other parts do meanwhile. */
static void search(boc_body *body, void *const *values, void *env) {
    const struct part *part = env;
    if (boc_body_outcome(body, 0, NULL) != BOC_OK) {
        return; /* There is no such line. */
    }
    struct found *best = malloc(sizeof *best);
    *best = (struct found){UINT64_MAX, 0};
    for (uint64_t i = 0; i < NUMBERS_IN_PART; i++) {
        uint64_t number = part->index * NUMBERS_IN_PART + i, hashed = hash(values[0], number);
        if (hashed < best->hash) {
            *best = (struct found){hashed, number};
        }
    }
    must(boc_body_set_result(body, best, free));
    boc_request tally = {part->tally, BOC_WRITE};
    must(boc_when(NULL, &tally, 1, count_hashes, NULL, NULL, NULL));
}

/* ---- On the loop's thread ---- */

/* Shows the best that was found for a line: over that line, and the results of all parts. */
static void show(boc_body *body, void *const *values, void *env) {
    struct loop *loop = env;
    const struct found *best = values[1];
    loop->searches--;
    if (boc_body_outcome(body, 0, NULL) != BOC_OK) {
        return;
    }
    for (size_t i = 2; i <= PARTS; i++) {
        const struct found *other = values[i];
        best = other->hash < best->hash ? other : best;
    }
    printf("%s: %llu gives %016llx\n", (const char *)values[0], (unsigned long long)best->number,
           (unsigned long long)best->hash);
}

static void show_tally(boc_body *body, void *const *values, void *env) {
    const struct loop *loop = env;
    (void)body;
    printf("... %.1f million hashes, %zu searches to be done\n",
           (double)*(const uint64_t *)values[0] / 1e6,
           loop->searches - (loop->next_line != NULL));
}

/* Schedules the search in the line that comes next. */
static void expect_line(struct loop *loop) {
    boc_result *results[PARTS + 1];
    boc_request over_all[PARTS + 1];
    must(boc_promise_new(&loop->next_line, &results[0]));
    over_all[0] = (boc_request){boc_result_cown(results[0]), BOC_READ};
    for (uint64_t i = 0; i < PARTS; i++) {
        struct part *part = malloc(sizeof *part);
        *part = (struct part){i, boc_cown_clone(loop->tally)};
        must(boc_when(NULL, over_all, 1, search, part, part_free, &results[i + 1]));
        over_all[i + 1] = (boc_request){boc_result_cown(results[i + 1]), BOC_READ};
    }
    must(boc_when(on_loop(loop), over_all, PARTS + 1, show, loop, NULL, NULL));
    loop->searches++;
    for (size_t i = 0; i <= PARTS; i++) {
        must(boc_result_release(results[i]));
    }
}

static void line_came(struct loop *loop) {
    loop->input[loop->length] = '\0';
    loop->length = 0;
    must(boc_promise_fulfil(loop->next_line, strdup(loop->input), free));
    expect_line(loop);
}

static void read_input(struct loop *loop) {
    char buffer[4096];
    ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
    for (ssize_t i = 0; i < count; i++) {
        if (buffer[i] == '\n') {
            line_came(loop);
        } else if (loop->length < LINE - 1) {
            loop->input[loop->length++] = buffer[i];
        }
    }
    if (count == 0) {
        if (loop->length > 0) {
            line_came(loop);
        }
        must(boc_promise_release(loop->next_line));
        loop->next_line = NULL;
    }
}

/* Called on any thread. If the pipe is full, the loop is going to wake up anyway. */
static void wake(void *env) {
    const struct loop *loop = env;
    while (write(loop->wake[1], "", 1) < 0 && errno == EINTR) {
    }
}

static void run(struct loop *loop) {
    double next_tick = seconds() + TICK_SECONDS;
    while (loop->searches > 0) {
        double left = next_tick - seconds();
        struct pollfd events[] = {
            {loop->wake[0], POLLIN, 0},
            {loop->next_line != NULL ? STDIN_FILENO : -1, POLLIN, 0},
        };
        poll(events, 2, left > 0 ? (int)(left * 1e3) + 1 : 0);
        if (events[0].revents != 0) {
            char woken[64];
            while (read(loop->wake[0], woken, sizeof woken) > 0) {
            }
        }
        /* A few at a time, so that input and timer get their turn. */
        size_t ran;
        must(boc_pump_run(loop->pump, 100, &ran));
        if (ran == 100) {
            wake(loop);
        }
        if (events[1].revents != 0) {
            read_input(loop);
        }
        if (seconds() >= next_tick) {
            boc_request tally = {loop->tally, BOC_READ};
            must(boc_when(on_loop(loop), &tally, 1, show_tally, loop, NULL, NULL));
            next_tick = seconds() + TICK_SECONDS;
        }
    }
}

int main(void) {
    static struct loop loop;
    if (pipe(loop.wake) != 0) {
        perror("pipe");
        return 1;
    }
    fcntl(loop.wake[0], F_SETFL, O_NONBLOCK);
    fcntl(loop.wake[1], F_SETFL, O_NONBLOCK);
    must(boc_pump_new(1, wake, &loop, NULL, &loop.pump));
    must(boc_cown_new(calloc(1, sizeof(uint64_t)), free, &loop.tally));

    expect_line(&loop);
    run(&loop);

    must(boc_cown_release(loop.tally));
    /* What is still to be shown of the tally is cancelled. */
    must(boc_pump_release(loop.pump));
    boc_runtime *workers;
    must(boc_runtime_default(&workers));
    must(boc_runtime_quiesce(workers, BOC_FOREVER));
    must(boc_runtime_release(workers));
    close(loop.wake[0]);
    close(loop.wake[1]);
    printf("all is done, and %llu cowns are left\n", (unsigned long long)boc_live_cowns());
    return boc_live_cowns() == 0 ? 0 : 1;
}
