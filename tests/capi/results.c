/* Results: waiting, taking, cancelling, being told, and scheduling over them. */
#include "check.h"

/* What the body of a behaviour does about its result. */
typedef struct plan {
    counted env;
    counted *value;
    counted *instead;
    const char *failure;
} plan;

static void follows(boc_body *body, void *const *values, void *env) {
    plan *it = (plan *)env;
    (void)values;
    bump(&it->env.ran);
    if (it->value) OK(boc_body_set_result(body, it->value, destroys));
    if (it->instead) {
        OK(boc_body_set_result(body, it->instead, destroys));
        CHECK(look(&it->value->destroyed) == 1);
    }
    if (it->failure) OK(boc_body_fail(body, it->failure));
}

static boc_result *schedule(const boc_pump *pump, plan *plan) {
    boc_result *result = NULL;
    OK(boc_when(boc_pump_executor(pump, 0), NULL, 0, follows, plan, destroys, &result));
    CHECK(result != NULL);
    return result;
}

static plan leaving(counted *value) {
    plan plan = {{0, 0}, NULL, NULL, NULL};
    plan.value = value;
    return plan;
}

static void a_value_is_taken_once(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    plan leaves = leaving(&value);
    boc_result *result = schedule(pump, &leaves), *clone = boc_result_clone(result);
    void *taken = NULL, *again = NULL;
    CHECK(boc_result_status(result) == BOC_PENDING && boc_result_error(result) == NULL);
    SAYS(BOC_TIMED_OUT, boc_result_wait(result, 0));
    SAYS(BOC_TIMED_OUT, boc_result_take(result, 0, &taken));
    CHECK(taken == NULL);
    run_all(pump);
    OK(boc_result_wait(result, 0));
    CHECK(boc_result_status(result) == BOC_OK && boc_result_error(result) == NULL);
    OK(boc_result_take(clone, 0, &taken));
    CHECK(taken == &value && look(&value.destroyed) == 0);
    SAYS(BOC_TAKEN, boc_result_take(result, 0, &again));
    CHECK(again == NULL && boc_result_status(result) == BOC_OK);
    OK(boc_result_release(result));
    OK(boc_result_release(clone));
    CHECK(look(&value.destroyed) == 0 && look(&leaves.env.destroyed) == 1);
    OK(boc_pump_release(pump));
}

static void a_value_that_nobody_takes_is_destroyed_with_the_last_handle(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0}, early = {0, 0};
    plan leaves = leaving(&value), also = leaving(&early);
    boc_result *result = schedule(pump, &leaves), *clone = boc_result_clone(result);
    OK(boc_result_release(schedule(pump, &also)));
    run_all(pump);
    CHECK(look(&early.destroyed) == 1 && look(&also.env.ran) == 1);
    OK(boc_result_release(result));
    CHECK(look(&value.destroyed) == 0);
    OK(boc_result_release(clone));
    CHECK(look(&value.destroyed) == 1);
    OK(boc_pump_release(pump));
}

static void a_value_is_null_unless_it_was_set_and_the_last_one_counts(void) {
    boc_pump *pump = make_pump();
    counted first = {0, 0}, second = {0, 0}, unwanted = {0, 0};
    plan nothing = leaving(NULL), twice = leaving(&first), detached = leaving(&unwanted);
    boc_result *none = schedule(pump, &nothing), *last;
    void *taken = &first;
    twice.instead = &second;
    last = schedule(pump, &twice);
    OK(boc_when(boc_pump_executor(pump, 0), NULL, 0, follows, &detached, destroys, NULL));
    run_all(pump);
    OK(boc_result_take(none, 0, &taken));
    CHECK(taken == NULL);
    OK(boc_result_take(last, 0, &taken));
    CHECK(taken == &second && look(&first.destroyed) == 1 && look(&second.destroyed) == 0);
    CHECK(look(&unwanted.destroyed) == 1 && look(&detached.env.destroyed) == 1);
    OK(boc_result_release(none));
    OK(boc_result_release(last));
    OK(boc_pump_release(pump));
}

static void a_failure_has_its_message_and_no_value(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    plan fails = leaving(&value);
    boc_result *result;
    void *taken = NULL;
    char message[] = "the file is gone";
    fails.failure = message;
    result = schedule(pump, &fails);
    run_all(pump);
    memset(message, 'x', sizeof message - 1);
    OK(boc_result_wait(result, 0));
    CHECK(boc_result_status(result) == BOC_FAILED);
    CHECK(strcmp(boc_result_error(result), "the file is gone") == 0);
    CHECK(look(&value.destroyed) == 1);
    SAYS(BOC_FAILED, boc_result_take(result, 0, &taken));
    CHECK(strcmp(boc_last_error(), "the file is gone") == 0 && taken == NULL);
    OK(boc_result_release(result));
    CHECK(look(&fails.env.destroyed) == 1);
    OK(boc_pump_release(pump));
}

static void what_is_cancelled_never_runs_and_loses_its_env_at_once(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0}, behind = {0, 0};
    plan never = leaving(&value);
    counted cell = {0, 0};
    boc_cown *cown = make_cown(&cell);
    boc_request request[] = {writes(cown)};
    boc_result *result = NULL;
    void *taken = NULL;
    bool cancelled = false;
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, follows, &never, destroys, &result));
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &behind, destroys, NULL));
    OK(boc_result_cancel(result, &cancelled));
    CHECK(cancelled && look(&never.env.destroyed) == 1);
    CHECK(boc_result_status(result) == BOC_CANCELLED && boc_result_error(result) != NULL);
    OK(boc_result_cancel(result, &cancelled));
    CHECK(!cancelled);
    OK(boc_result_cancel(result, NULL));
    run_all(pump);
    CHECK(look(&never.env.ran) == 0 && look(&never.env.destroyed) == 1 && look(&behind.ran) == 1);
    SAYS(BOC_CANCELLED, boc_result_take(result, 0, &taken));
    OK(boc_result_wait(result, 0));
    OK(boc_result_release(result));
    OK(boc_cown_release(cown));
    CHECK(look(&cell.destroyed) == 1 && look(&value.destroyed) == 0);
    OK(boc_pump_release(pump));
}

static void what_has_ended_is_not_cancelled(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    plan leaves = leaving(&value);
    boc_result *result = schedule(pump, &leaves);
    bool cancelled = true;
    run_all(pump);
    OK(boc_result_cancel(result, &cancelled));
    CHECK(!cancelled && boc_result_status(result) == BOC_OK && look(&leaves.env.ran) == 1);
    OK(boc_result_release(result));
    OK(boc_pump_release(pump));
}

static void who_asks_is_told_once_of_the_end(void) {
    boc_pump *pump = make_pump();
    counted before = {0, 0}, after = {0, 0}, of_cancelled = {0, 0}, of_pump = {0, 0};
    plan nothing = leaving(NULL), never = leaving(NULL), left = leaving(NULL);
    boc_result *result = schedule(pump, &nothing), *other = schedule(pump, &never);
    OK(boc_result_on_finished(result, told, &before, destroys));
    OK(boc_result_on_finished(result, told, &before, NULL));
    OK(boc_result_on_finished(other, told, &of_cancelled, destroys));
    CHECK(look(&before.ran) == 0 && look(&before.destroyed) == 0);
    OK(boc_result_cancel(other, NULL));
    CHECK(look(&of_cancelled.ran) == 1 && look(&of_cancelled.destroyed) == 1);
    run_all(pump);
    CHECK(look(&before.ran) == 2 && look(&before.destroyed) == 1);
    OK(boc_result_on_finished(result, told, &after, destroys));
    CHECK(look(&after.ran) == 1 && look(&after.destroyed) == 1);
    OK(boc_result_release(result));
    OK(boc_result_release(other));
    result = schedule(pump, &left);
    OK(boc_result_on_finished(result, told, &of_pump, destroys));
    OK(boc_result_release(result));
    OK(boc_pump_release(pump));
    CHECK(look(&of_pump.ran) == 1 && look(&of_pump.destroyed) == 1 && look(&left.env.destroyed) == 1);
}

typedef struct seen {
    counted end;
    boc_status status;
    bool message;
    void *value;
    void *taken;
    bool take;
} seen;

static void sees(boc_body *body, void *const *values, void *env) {
    seen *it = (seen *)env;
    const char *message = "";
    bump(&it->end.ran);
    it->status = boc_body_outcome(body, 0, &message);
    it->message = message != NULL;
    CHECK(!it->message || *message);
    CHECK(boc_body_outcome(body, 0, NULL) == it->status);
    it->value = values[0];
    if (it->take) SAYS(it->status, boc_body_take(body, 0, &it->taken));
}

static void over(const boc_pump *pump, const boc_result *result, boc_mode mode, seen *seen, bool take) {
    boc_request request = {boc_result_cown(result), 0};
    memset(seen, 0, sizeof *seen);
    request.mode = (uint32_t)mode;
    seen->take = take;
    OK(boc_when(boc_pump_executor(pump, 0), &request, 1, sees, seen, destroys, NULL));
}

static void behaviours_over_a_result_come_after_it_and_see_how_it_ended(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    plan leaves = leaving(&value), fails = leaving(NULL), never = leaving(NULL);
    boc_result *good, *bad, *gone;
    seen first, taker, late, failed, cancelled;
    void *taken = NULL;
    fails.failure = "no";
    good = schedule(pump, &leaves);
    bad = schedule(pump, &fails);
    gone = schedule(pump, &never);
    over(pump, good, BOC_READ, &first, false);
    over(pump, good, BOC_WRITE, &taker, true);
    over(pump, good, BOC_READ, &late, false);
    over(pump, bad, BOC_WRITE, &failed, true);
    over(pump, gone, BOC_WRITE, &cancelled, true);
    OK(boc_result_cancel(gone, NULL));
    CHECK(boc_cown_same(boc_result_cown(good), boc_result_cown(good)));
    CHECK(!boc_cown_same(boc_result_cown(good), boc_result_cown(bad)));
    run_all(pump);
    CHECK(first.status == BOC_OK && !first.message && first.value == &value);
    CHECK(taker.status == BOC_OK && taker.taken == &value);
    CHECK(late.status == BOC_TAKEN && late.message && late.value == NULL);
    CHECK(failed.status == BOC_FAILED && failed.message && failed.value == NULL && failed.taken == NULL);
    CHECK(cancelled.status == BOC_CANCELLED && cancelled.message && cancelled.taken == NULL);
    SAYS(BOC_TAKEN, boc_result_take(good, 0, &taken));
    CHECK(look(&value.destroyed) == 0);
    OK(boc_result_release(good));
    OK(boc_result_release(bad));
    OK(boc_result_release(gone));
    OK(boc_pump_release(pump));
}

static void taking_waits_for_behaviours_over_the_result(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    plan leaves = leaving(&value);
    boc_result *result = schedule(pump, &leaves);
    seen reader;
    void *taken = NULL;
    over(pump, result, BOC_READ, &reader, false);
    OK(boc_pump_run(pump, 1, NULL));
    CHECK(boc_result_status(result) == BOC_OK);
    SAYS(BOC_TIMED_OUT, boc_result_take(result, 0, &taken));
    SAYS(BOC_TIMED_OUT, boc_result_take(result, 1000, &taken));
    CHECK(taken == NULL);
    run_all(pump);
    CHECK(reader.value == &value);
    OK(boc_result_take(result, BOC_FOREVER, &taken));
    CHECK(taken == &value);
    OK(boc_result_release(result));
    OK(boc_pump_release(pump));
}

static void a_result_keeps_as_a_cown_and_weakly(void) {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    plan leaves = leaving(&value);
    boc_result *result = schedule(pump, &leaves);
    boc_cown *cown = boc_cown_clone(boc_result_cown(result));
    boc_weak_cown *weak = boc_cown_downgrade(boc_result_cown(result));
    boc_cown *upgraded = NULL;
    OK(boc_result_release(result));
    run_all(pump);
    CHECK(look(&value.destroyed) == 0);
    OK(boc_weak_cown_upgrade(weak, &upgraded));
    CHECK(boc_cown_same(cown, upgraded));
    OK(boc_cown_release(upgraded));
    OK(boc_cown_release(cown));
    CHECK(look(&value.destroyed) == 1);
    SAYS(BOC_GONE, boc_weak_cown_upgrade(weak, &upgraded));
    OK(boc_weak_cown_release(weak));
    OK(boc_pump_release(pump));
}

static void a_thread_waits_for_what_a_runtime_runs(void) {
    boc_runtime *runtime = start(2);
    int round;
    for (round = 0; round < 500; ++round) {
        counted value = {0, 0};
        plan leaves = leaving(&value);
        boc_result *result = NULL;
        void *taken = NULL;
        OK(boc_when(boc_runtime_executor(runtime), NULL, 0, follows, &leaves, destroys, &result));
        if (round % 2) OK(boc_result_wait(result, BOC_FOREVER));
        OK(boc_result_take(result, BOC_FOREVER - 1, &taken));
        CHECK(taken == &value && look(&leaves.env.destroyed) == 1);
        OK(boc_result_release(result));
    }
    CHECK(boc_result_cown(NULL) == NULL && boc_result_clone(NULL) == NULL);
    OK(boc_result_release(NULL));
    end(runtime);
}

int main(void) {
    TEST(a_value_is_taken_once);
    TEST(a_value_that_nobody_takes_is_destroyed_with_the_last_handle);
    TEST(a_value_is_null_unless_it_was_set_and_the_last_one_counts);
    TEST(a_failure_has_its_message_and_no_value);
    TEST(what_is_cancelled_never_runs_and_loses_its_env_at_once);
    TEST(what_has_ended_is_not_cancelled);
    TEST(who_asks_is_told_once_of_the_end);
    TEST(behaviours_over_a_result_come_after_it_and_see_how_it_ended);
    TEST(taking_waits_for_behaviours_over_the_result);
    TEST(a_result_keeps_as_a_cown_and_weakly);
    TEST(a_thread_waits_for_what_a_runtime_runs);
    return 0;
}
