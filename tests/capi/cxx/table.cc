// The functions of C are macros over a table, as in code that does not link the library.
#include <boc/boc.h>

// Before the macros are there, each function is known by another name.
#define FUNCTIONS(EACH)                                                                             \
    EACH(boc_abi_version) EACH(boc_version) EACH(boc_last_error) EACH(boc_status_name)              \
    EACH(boc_cown_new) EACH(boc_cown_clone) EACH(boc_cown_release) EACH(boc_cown_same)              \
    EACH(boc_cown_downgrade) EACH(boc_weak_cown_upgrade) EACH(boc_weak_cown_clone)                  \
    EACH(boc_weak_cown_release) EACH(boc_live_cowns) EACH(boc_when) EACH(boc_body_count)            \
    EACH(boc_body_cown) EACH(boc_body_set_result) EACH(boc_body_fail) EACH(boc_body_set_value)      \
    EACH(boc_body_take) EACH(boc_body_outcome) EACH(boc_inside_behaviour) EACH(boc_result_wait)     \
    EACH(boc_result_status) EACH(boc_result_error) EACH(boc_result_take) EACH(boc_result_cancel)    \
    EACH(boc_result_on_finished) EACH(boc_result_cown) EACH(boc_result_clone)                       \
    EACH(boc_result_release) EACH(boc_batch_new) EACH(boc_batch_when) EACH(boc_batch_len)           \
    EACH(boc_batch_schedule) EACH(boc_batch_release) EACH(boc_promise_new) EACH(boc_promise_fulfil) \
    EACH(boc_promise_fail) EACH(boc_promise_is_cancelled) EACH(boc_promise_release)                 \
    EACH(boc_scope_new) EACH(boc_scope_executor) EACH(boc_scope_close) EACH(boc_executor_current)   \
    EACH(boc_executor_clone) EACH(boc_executor_release) EACH(boc_executor_new) EACH(boc_ready_run)  \
    EACH(boc_ready_cancel) EACH(boc_pump_new) EACH(boc_pump_executor) EACH(boc_pump_run)            \
    EACH(boc_pump_release) EACH(boc_runtime_new) EACH(boc_runtime_default) EACH(boc_runtime_clone)  \
    EACH(boc_runtime_release) EACH(boc_runtime_executor) EACH(boc_runtime_quiesce)                  \
    EACH(boc_runtime_shutdown) EACH(boc_runtime_stop) EACH(boc_runtime_run_worker)                  \
    EACH(boc_runtime_workers) EACH(boc_runtime_in_flight) EACH(boc_runtime_stats)                   \
    EACH(boc_runtime_report) EACH(boc_string_free)

namespace {
#define NAME_IT(name) constexpr auto linked_##name = &name;
FUNCTIONS(NAME_IT)
#undef NAME_IT
} // namespace

static const struct boc_table* boc_table_in_use = nullptr;

#include <boc/boc_table.h>

namespace {
#define PLACE(name) linked_##name,
const boc_table table = {sizeof(boc_table), 0, FUNCTIONS(PLACE)};
#undef PLACE
} // namespace

#ifndef boc_when
#error "boc_when is to be a macro here"
#endif

#include "check.hh"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using check::counted;

int main() {
    boc_table_in_use = &table;

    check::promise("everything works by the table", [] {
        const boc::runtime runtime(2);
        const boc::cown<counted> cown(counted(1));
        const boc::weak_cown<counted> weak = cown;
        CHECK(*weak.upgrade() == cown);
        const auto value = runtime.when(boc::read(cown), [](const counted& it) { return it.value; });
        const auto next = value.then([](boc::outcome<int>& it) { return it.take() + 1; });
        CHECK(next.get() == 2);

        std::vector<boc::cown<int>> many = {boc::cown(1), boc::cown(2)};
        boc::when_detached(many, [](boc::values<int> all) { all[0] += all[1]; });
        CHECK(boc::when(many[0], [](int& it) { return it; }).get() == 3);

        const auto failed = runtime.when([]() -> int { throw std::runtime_error("thrown"); });
        CHECK(check::message_of([&] { failed.get(); }) == "thrown");

        boc::pump pump(2, [] {});
        const auto pumped = pump.when([] { return 5; });
        CHECK(pump.run() == 1 && pumped.get() == 5);

        boc::promise<std::string> promise;
        CHECK(promise.fulfil("value") && promise.result().get() == "value");

        boc::scope scope(runtime);
        boc::batch batch(scope);
        const auto member = batch.when([] { return 7; });
        CHECK(batch.schedule().result(member).get() == 7);
        scope.close().get();

        const auto executor = boc::make_executor([](boc::ready ready) { ready.cancel(); });
        CHECK(executor.when([] {}).status() == BOC_CANCELLED);
        runtime.quiesce();
        CHECK(runtime.stats().size() == 2 && !runtime.report().empty());
    });

    return check::finish();
}
