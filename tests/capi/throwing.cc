// Exceptions of C++ stay inside: what throws has failed, and everything else goes on.
#include "check.h"

#include <stdexcept>
#include <string>

#if defined(__x86_64__) && defined(__unix__)

namespace {

struct own {
    int number;
};

void throws_error(boc_body *, void *const *, void *) { throw std::runtime_error("no"); }
void throws_number(boc_body *, void *const *, void *) { throw 7; }
void throws_own(boc_body *, void *const *, void *) { throw own{1}; }

void throws_after_result(boc_body *body, void *const *, void *value) {
    OK(boc_body_set_result(body, value, destroys));
    throw own{2};
}

void destroys_and_throws(void *data) {
    destroys(data);
    throw std::runtime_error("while destroying");
}

void told_and_throws(void *data) {
    told(data);
    throw std::runtime_error("while being told");
}

int executes_and_throws(void *env, boc_ready *) {
    told(env);
    throw std::runtime_error("while taking");
}

// Whether an object on the way out was destroyed.
struct leaves {
    counted *count;
    ~leaves() { bump(&count->destroyed); }
};

void throws_past_a_destructor(boc_body *, void *const *, void *env) {
    leaves guard{static_cast<counted *>(env)};
    throw own{3};
}

void a_body_that_throws_has_failed_and_its_cowns_go_on() {
    boc_pump *pump = make_pump();
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = make_cown(&value);
    boc_request request[] = {writes(cown)};
    const struct {
        boc_body_fn body;
        const char *kind;
    } bodies[] = {{throws_error, "std::runtime_error"}, {throws_number, "int"}, {throws_own, "own"}};
    for (const auto &one : bodies) {
        boc_result *result = nullptr;
        OK(boc_when(boc_pump_executor(pump, 0), request, 1, one.body, &env, destroys, &result));
        OK(boc_when(boc_pump_executor(pump, 0), request, 1, counts, &env, nullptr, nullptr));
        CHECK(run_all(pump) == 2);
        CHECK(boc_result_status(result) == BOC_FAILED);
        CHECK(std::string(boc_result_error(result)).find(one.kind) != std::string::npos);
        OK(boc_result_release(result));
    }
    CHECK(look(&env.ran) == 3 && look(&env.destroyed) == 3);
    CHECK(!boc_inside_behaviour() && std::uncaught_exceptions() == 0);
    OK(boc_when(boc_pump_executor(pump, 0), request, 1, throws_error, &env, destroys, nullptr));
    CHECK(run_all(pump) == 1 && look(&env.destroyed) == 4);
    OK(boc_cown_release(cown));
    OK(boc_pump_release(pump));
}

void what_was_set_before_is_destroyed() {
    boc_pump *pump = make_pump();
    counted value = {0, 0};
    boc_result *result = nullptr;
    OK(boc_when(boc_pump_executor(pump, 0), nullptr, 0, throws_after_result, &value, nullptr, &result));
    run_all(pump);
    CHECK(boc_result_status(result) == BOC_FAILED && look(&value.destroyed) == 1);
    OK(boc_result_release(result));
    CHECK(look(&value.destroyed) == 1);
    OK(boc_pump_release(pump));
}

void destructors_on_the_way_run() {
    boc_runtime *runtime = start(1);
    counted env = {0, 0};
    boc_result *result = nullptr;
    OK(boc_when(boc_runtime_executor(runtime), nullptr, 0, throws_past_a_destructor, &env, nullptr, &result));
    OK(boc_result_wait(result, BOC_FOREVER));
    CHECK(boc_result_status(result) == BOC_FAILED && look(&env.destroyed) == 1);
    OK(boc_result_release(result));
    end(runtime);
}

void a_function_that_destroys_may_throw() {
    boc_pump *pump = make_pump();
    counted value = {0, 0}, env = {0, 0};
    boc_cown *cown = nullptr;
    boc_result *result = nullptr;
    OK(boc_cown_new(&value, destroys_and_throws, &cown));
    OK(boc_cown_release(cown));
    CHECK(look(&value.destroyed) == 1);
    SAYS(BOC_INVALID_ARGUMENT, boc_cown_new(&value, destroys_and_throws, nullptr));
    CHECK(look(&value.destroyed) == 2);
    OK(boc_when(boc_pump_executor(pump, 0), nullptr, 0, counts, &env, destroys_and_throws, &result));
    run_all(pump);
    CHECK(look(&env.destroyed) == 1 && boc_result_status(result) == BOC_OK);
    OK(boc_result_release(result));
    OK(boc_when(boc_pump_executor(pump, 0), nullptr, 0, counts, &env, destroys_and_throws, &result));
    OK(boc_result_cancel(result, nullptr));
    CHECK(look(&env.destroyed) == 2 && boc_result_status(result) == BOC_CANCELLED);
    OK(boc_result_release(result));
    OK(boc_when(boc_pump_executor(pump, 0), nullptr, 0, counts, &env, destroys_and_throws, nullptr));
    OK(boc_pump_release(pump));
    CHECK(look(&env.destroyed) == 3);
}

void who_is_told_may_throw() {
    counted loop = {0, 0}, notified = {0, 0}, env = {0, 0};
    boc_pump *pump = nullptr;
    boc_result *result = nullptr;
    OK(boc_pump_new(1, told_and_throws, &loop, destroys_and_throws, &pump));
    OK(boc_when(boc_pump_executor(pump, 0), nullptr, 0, counts, &env, destroys, &result));
    CHECK(look(&loop.ran) == 1);
    OK(boc_result_on_finished(result, told_and_throws, &notified, destroys_and_throws));
    CHECK(run_all(pump) == 1);
    CHECK(look(&notified.ran) == 1 && look(&notified.destroyed) == 1);
    OK(boc_result_on_finished(result, told_and_throws, &notified, destroys_and_throws));
    CHECK(look(&notified.ran) == 2 && look(&notified.destroyed) == 2);
    OK(boc_result_release(result));
    OK(boc_pump_release(pump));
    CHECK(look(&loop.destroyed) == 1);
}

void an_executor_that_throws_has_refused() {
    counted executor_env = {0, 0}, env = {0, 0};
    boc_executor *executor = nullptr;
    boc_result *result = nullptr;
    OK(boc_executor_new(executes_and_throws, &executor_env, destroys_and_throws, &executor));
    OK(boc_when(executor, nullptr, 0, counts, &env, destroys, &result));
    CHECK(look(&executor_env.ran) == 1 && look(&env.ran) == 0 && look(&env.destroyed) == 1);
    CHECK(boc_result_status(result) == BOC_CANCELLED);
    OK(boc_result_release(result));
    OK(boc_executor_release(executor));
    CHECK(look(&executor_env.destroyed) == 1);
}

void lets_go_and_throws(void *env, const char *) {
    bump(static_cast<int *>(env));
    throw own{4};
}

void blocks(boc_body *, void *const *, void *env) {
    while (look(static_cast<int *>(env)) == 0) {
    }
}

void a_watchdog_may_throw() {
    boc_runtime_options options = BOC_RUNTIME_OPTIONS_INIT;
    boc_runtime *runtime = nullptr;
    int told_of = 0;
    options.workers = 1;
    options.stall_after_ns = 1000000;
    options.on_stall = lets_go_and_throws;
    options.stall_env = &told_of;
    OK(boc_runtime_new(&options, &runtime));
    OK(boc_when(boc_runtime_executor(runtime), nullptr, 0, blocks, &told_of, nullptr, nullptr));
    end(runtime);
    CHECK(look(&told_of) >= 1);
}

void catching_inside_is_nothing_special() {
    boc_pump *pump = make_pump();
    boc_result *result = nullptr;
    boc_body_fn body = [](boc_body *, void *const *, void *) {
        try {
            throw own{5};
        } catch (const own &) {
        }
    };
    OK(boc_when(boc_pump_executor(pump, 0), nullptr, 0, body, nullptr, nullptr, &result));
    run_all(pump);
    CHECK(boc_result_status(result) == BOC_OK);
    OK(boc_result_release(result));
    OK(boc_pump_release(pump));
}

}  // namespace

int main() {
    TEST(a_body_that_throws_has_failed_and_its_cowns_go_on);
    TEST(what_was_set_before_is_destroyed);
    TEST(destructors_on_the_way_run);
    TEST(a_function_that_destroys_may_throw);
    TEST(who_is_told_may_throw);
    TEST(an_executor_that_throws_has_refused);
    TEST(a_watchdog_may_throw);
    TEST(catching_inside_is_nothing_special);
}

#else

int main() { std::puts("exceptions must not leave a function of yours on this platform"); }

#endif
