/*
 * A bank without locks: transfers between accounts, and audits meanwhile.
 *
 * Each account is a cown. A transfer is a behaviour over two of them, so it cannot be seen half done; an
 * audit is one over all of them, so it always finds the same total, however many transfers are on their
 * way. The accounts come in any order, and there is no deadlock.
 *
 *     bank -a 1000 -t 1000000 -w 4
 */
#define _POSIX_C_SOURCE 200809L
#include "example.h"

#include <unistd.h>

enum { OPENING_BALANCE = 100, AUDITS = 10, IN_FLIGHT = 10000 };

struct account {
    long balance;
    long received;
    long refused;
};

static void transfer(boc_body *body, void *const *values, void *env) {
    struct account *from = values[0], *to = values[1];
    long amount = (long)(intptr_t)env;
    (void)body;
    if (from->balance < amount) {
        from->refused++;
        return;
    }
    from->balance -= amount;
    to->balance += amount;
    to->received++;
}

/* Adds up the accounts, which it only reads, and leaves the sums as its result. */
static void audit(boc_body *body, void *const *values, void *env) {
    struct account *total = calloc(1, sizeof *total);
    (void)env;
    for (size_t i = 0; i < boc_body_count(body); i++) {
        const struct account *account = values[i];
        total->balance += account->balance;
        total->received += account->received;
        total->refused += account->refused;
    }
    must(boc_body_set_result(body, total, free));
}

static boc_result *schedule_audit(const boc_executor *bank, boc_cown *const *accounts, size_t count) {
    boc_request *requests = malloc(count * sizeof *requests);
    for (size_t i = 0; i < count; i++) {
        requests[i] = (boc_request){accounts[i], BOC_READ};
    }
    boc_result *result;
    must(boc_when(bank, requests, count, audit, NULL, NULL, &result));
    free(requests);
    return result;
}

/* Whether the audit found all the money. Gives back its result. */
static bool conserved(boc_result *audited, size_t accounts, struct account *total) {
    void *found;
    must(boc_result_take(audited, BOC_FOREVER, &found));
    must(boc_result_release(audited));
    *total = *(struct account *)found;
    free(found);
    return total->balance == OPENING_BALANCE * (long)accounts;
}

/* xorshift: the dice, which always fall alike. */
static size_t below(size_t end) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % end);
}

static void print_workers(const boc_runtime *runtime) {
    size_t count = boc_runtime_workers(runtime);
    boc_worker_stats *stats = calloc(count, sizeof *stats);
    must(boc_runtime_stats(runtime, stats, sizeof *stats, count, NULL));
    printf("worker        run     stolen     parked      woken\n");
    for (size_t i = 0; i < count; i++) {
        printf("%6zu %10llu %10llu %10llu %10llu\n", i, (unsigned long long)stats[i].run,
               (unsigned long long)stats[i].stolen, (unsigned long long)stats[i].parked,
               (unsigned long long)stats[i].woken);
    }
    free(stats);
}

static size_t number(const char *text, const char *program) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0) {
        fprintf(stderr, "%s: %s is not a number from 1 on\n", program, text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv) {
    size_t accounts = 1000, transfers = 1000000;
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    /* Who is too far ahead of the workers waits, so that memory does not fill with transfers. */
    options.max_in_flight = IN_FLIGHT;
    for (int option; (option = getopt(argc, argv, "a:t:w:")) != -1;) {
        switch (option) {
        case 'a': accounts = number(optarg, argv[0]); break;
        case 't': transfers = number(optarg, argv[0]); break;
        case 'w': options.workers = (uint32_t)number(optarg, argv[0]); break;
        default:
            fprintf(stderr, "usage: %s [-a accounts] [-t transfers] [-w workers]\n", argv[0]);
            return 2;
        }
    }
    if (accounts < 2) {
        fprintf(stderr, "%s: a transfer takes two accounts\n", argv[0]);
        return 2;
    }

    boc_runtime *runtime;
    must(boc_runtime_new(&options, &runtime));
    const boc_executor *bank = boc_runtime_executor(runtime);

    boc_cown **all = malloc(accounts * sizeof *all);
    for (size_t i = 0; i < accounts; i++) {
        struct account *account = calloc(1, sizeof *account);
        account->balance = OPENING_BALANCE;
        must(boc_cown_new(account, free, &all[i]));
    }

    boc_result *audits[AUDITS + 1];
    size_t audited = 0;
    double began = seconds();
    for (size_t i = 0; i < transfers; i++) {
        size_t from = below(accounts);
        size_t to = (from + 1 + below(accounts - 1)) % accounts;
        boc_request request[] = {{all[from], BOC_WRITE}, {all[to], BOC_WRITE}};
        intptr_t amount = 1 + (intptr_t)below(OPENING_BALANCE);
        must(boc_when(bank, request, 2, transfer, (void *)amount, NULL, NULL));
        if (i * AUDITS / transfers == audited) {
            audits[audited++] = schedule_audit(bank, all, accounts);
        }
    }
    must(boc_runtime_quiesce(runtime, BOC_FOREVER));
    double took = seconds() - began;
    audits[audited++] = schedule_audit(bank, all, accounts);

    bool good = true;
    struct account total = {0};
    for (size_t i = 0; i < audited; i++) {
        good &= conserved(audits[i], accounts, &total);
    }
    good &= (size_t)(total.received + total.refused) == transfers;

    printf("%ld transfers done, %ld refused, in %.2f s: %.0f transfers/s\n", total.received,
           total.refused, took, (double)transfers / took);
    print_workers(runtime);
    printf(good ? "%zu audits, and the total is always %ld\n" : "WRONG after %zu audits: %ld\n",
           audited, total.balance);

    for (size_t i = 0; i < accounts; i++) {
        must(boc_cown_release(all[i]));
    }
    free(all);
    must(boc_runtime_release(runtime));
    return good ? 0 : 1;
}
