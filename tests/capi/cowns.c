/* Cowns: who keeps a value, and when it is destroyed. */
#include "check.h"

static void a_value_is_destroyed_once_with_the_last_reference(void) {
    counted value = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_cown *other = boc_cown_clone(cown);
    CHECK(boc_live_cowns() == 1);
    OK(boc_cown_release(cown));
    CHECK(look(&value.destroyed) == 0);
    OK(boc_cown_release(other));
    CHECK(look(&value.destroyed) == 1);
}

static void a_value_may_be_null_and_need_no_end(void) {
    boc_cown *cown = NULL;
    OK(boc_cown_new(NULL, NULL, &cown));
    CHECK(cown != NULL);
    OK(boc_cown_release(cown));
    OK(boc_cown_release(NULL));
    OK(boc_weak_cown_release(NULL));
}

static void a_cown_that_is_not_made_destroys_its_value(void) {
    counted value = {0, 0};
    SAYS(BOC_INVALID_ARGUMENT, boc_cown_new(&value, destroys, NULL));
    CHECK(look(&value.destroyed) == 1);
}

static void references_to_one_cown_are_the_same(void) {
    counted first = {0, 0}, second = {0, 0};
    boc_cown *one = make_cown(&first), *other = make_cown(&second), *clone = boc_cown_clone(one);
    CHECK(boc_cown_same(one, one) && boc_cown_same(one, clone) && boc_cown_same(clone, one));
    CHECK(!boc_cown_same(one, other) && !boc_cown_same(one, NULL) && !boc_cown_same(NULL, one));
    CHECK(boc_cown_same(NULL, NULL));
    CHECK(boc_cown_clone(NULL) == NULL);
    OK(boc_cown_release(clone));
    OK(boc_cown_release(one));
    OK(boc_cown_release(other));
}

static void a_weak_reference_does_not_keep_the_value(void) {
    counted value = {0, 0};
    boc_cown *cown = make_cown(&value), *upgraded = NULL, *untouched = NULL;
    boc_weak_cown *weak = boc_cown_downgrade(cown), *other = boc_weak_cown_clone(weak);
    OK(boc_weak_cown_upgrade(weak, &upgraded));
    CHECK(boc_cown_same(cown, upgraded));
    OK(boc_cown_release(cown));
    CHECK(look(&value.destroyed) == 0);
    OK(boc_cown_release(upgraded));
    CHECK(look(&value.destroyed) == 1);
    SAYS(BOC_GONE, boc_weak_cown_upgrade(weak, &untouched));
    SAYS(BOC_GONE, boc_weak_cown_upgrade(other, &untouched));
    CHECK(untouched == NULL);
    CHECK(boc_cown_downgrade(NULL) == NULL && boc_weak_cown_clone(NULL) == NULL);
    OK(boc_weak_cown_release(weak));
    OK(boc_weak_cown_release(other));
}

static void a_behaviour_that_waits_keeps_its_cowns(void) {
    counted value = {0, 0}, env = {0, 0};
    boc_pump *pump = make_pump();
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &env, destroys, NULL));
    OK(boc_cown_release(cown));
    CHECK(look(&value.destroyed) == 0);
    CHECK(run_all(pump) == 1);
    CHECK(look(&env.ran) == 1 && look(&value.destroyed) == 1);
    OK(boc_pump_release(pump));
}

typedef struct exchange {
    counted *fresh;
    counted *seen;
    bool take;
} exchange;

static void exchanges(boc_body *body, void *const *values, void *env) {
    exchange *it = (exchange *)env;
    it->seen = (counted *)values[0];
    if (it->take) {
        void *taken = NULL;
        OK(boc_body_take(body, 0, &taken));
        CHECK(taken == values[0]);
        SAYS(BOC_TAKEN, boc_body_take(body, 0, &taken));
        CHECK(boc_body_outcome(body, 0, NULL) == BOC_TAKEN);
    } else {
        OK(boc_body_set_value(body, 0, it->fresh, destroys));
        CHECK(boc_body_outcome(body, 0, NULL) == BOC_OK);
    }
}

static void a_behaviour_puts_in_another_value_or_takes_it_out(void) {
    counted first = {0, 0}, second = {0, 0}, third = {0, 0};
    exchange put = {&second, NULL, false}, take = {NULL, NULL, true}, again = {&third, NULL, false};
    boc_pump *pump = make_pump();
    const boc_executor *executor = boc_pump_executor(pump, 0);
    boc_cown *cown = make_cown(&first);
    boc_request request[] = {writes(cown)};
    OK(boc_when(executor, request, 1, exchanges, &put, NULL, NULL));
    run_all(pump);
    CHECK(put.seen == &first && look(&first.destroyed) == 1);
    OK(boc_when(executor, request, 1, exchanges, &take, NULL, NULL));
    OK(boc_when(executor, request, 1, exchanges, &again, NULL, NULL));
    run_all(pump);
    CHECK(take.seen == &second && look(&second.destroyed) == 0);
    CHECK(again.seen == NULL && look(&third.destroyed) == 0);
    OK(boc_cown_release(cown));
    CHECK(look(&third.destroyed) == 1 && look(&second.destroyed) == 0);
    OK(boc_pump_release(pump));
}

static void must_not_write(boc_body *body, void *const *values, void *env) {
    counted *fresh = (counted *)env;
    void *taken = NULL;
    SAYS(BOC_NOT_ALLOWED, boc_body_set_value(body, 0, fresh, destroys));
    SAYS(BOC_NOT_ALLOWED, boc_body_take(body, 0, &taken));
    CHECK(taken == NULL && look(&((counted *)values[0])->destroyed) == 0);
    CHECK(boc_body_outcome(body, 0, NULL) == BOC_OK);
}

static void who_only_reads_puts_nothing_in_and_takes_nothing_out(void) {
    counted value = {0, 0}, fresh = {0, 0};
    boc_pump *pump = make_pump();
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {reads(cown)};
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, must_not_write, &fresh, NULL, NULL));
    CHECK(run_all(pump) == 1);
    CHECK(look(&fresh.destroyed) == 1 && look(&value.destroyed) == 0);
    OK(boc_cown_release(cown));
    CHECK(look(&value.destroyed) == 1);
    OK(boc_pump_release(pump));
}

static void releases(void *data) { OK(boc_cown_release((boc_cown *)data)); }

static void a_long_chain_of_cowns_is_destroyed_without_a_deep_stack(void) {
    boc_cown *chain = NULL;
    int link;
    for (link = 0; link < 20000; ++link) OK(boc_cown_new(chain, releases, &chain));
    CHECK(boc_live_cowns() == 20000);
    OK(boc_cown_release(chain));
}

int main(void) {
    TEST(a_value_is_destroyed_once_with_the_last_reference);
    TEST(a_value_may_be_null_and_need_no_end);
    TEST(a_cown_that_is_not_made_destroys_its_value);
    TEST(references_to_one_cown_are_the_same);
    TEST(a_weak_reference_does_not_keep_the_value);
    TEST(a_behaviour_that_waits_keeps_its_cowns);
    TEST(a_behaviour_puts_in_another_value_or_takes_it_out);
    TEST(who_only_reads_puts_nothing_in_and_takes_nothing_out);
    TEST(a_long_chain_of_cowns_is_destroyed_without_a_deep_stack);
    return 0;
}
