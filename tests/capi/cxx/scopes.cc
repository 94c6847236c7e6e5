// Scopes: waiting for some behaviours, and all that they lead to.
#include "check.hh"

#include <thread>

using check::counted;
using namespace std::chrono_literals;

namespace {

/// Schedules two of itself, `depth` times.
void spread(const boc::cown<int>& leaves, int depth) {
    if (depth == 0) {
        boc::when_detached(leaves, [](int& it) { ++it; });
        return;
    }
    for (int child = 0; child < 2; ++child) {
        boc::when_detached([leaves, depth] { spread(leaves, depth - 1); });
    }
}

} // namespace

int main() {
    check::promise("a scope ends when all that it led to has ended", [] {
        const boc::cown<int> leaves(0);
        boc::scope scope;
        scope.when_detached([leaves] { spread(leaves, 8); });
        scope.close().get();
        CHECK(boc::when(leaves, [](int& it) { return it; }).get() == 256);
    });

    check::promise("others are not waited for", [] {
        boc::pump pump;
        const auto other = pump.when([] {});
        boc::scope scope;
        scope.when([] { return 1; });
        scope.close().get();
        CHECK(other.status() == BOC_PENDING);
        pump.run();
    });

    check::promise("the end of a scope can be scheduled over", [] {
        boc::pump pump;
        boc::scope scope(pump);
        const auto value = scope.when([] { return 1; });
        const auto ended = scope.close();
        const auto after = ended.then([](boc::outcome<void>& it) { return it.has_value(); });
        CHECK(!ended.wait_for(0s) && ended.status() == BOC_PENDING);
        pump.run();
        CHECK(after.get() && value.get() == 1);
        ended.get();
    });

    check::promise("an empty scope ends", [] {
        boc::scope scope;
        scope.close().get();
    });

    check::promise("a scope in a scope holds it open", [] {
        boc::pump pump;
        boc::scope outer(pump);
        boc::scope inner = boc::scope::inside(outer);
        const auto value = inner.when([] { return 1; });
        const auto outer_end = outer.close();
        const auto inner_end = inner.close();
        CHECK(outer_end.status() == BOC_PENDING);
        CHECK(pump.run() == 1);
        CHECK(value.get() == 1);
        outer_end.get();
        inner_end.get();
    });

    check::promise("exceptions stay with their results", [] {
        boc::scope scope;
        const auto failed = scope.when([]() -> int { throw 3; });
        scope.close().get();
        CHECK(failed.status() == BOC_FAILED);
    });

    check::promise("what was cancelled is not waited for", [] {
        boc::pump pump;
        boc::scope scope(pump);
        const auto never = scope.when([it = counted()] { return it.value; });
        const auto ended = scope.close();
        CHECK(never.cancel());
        pump.run();
        ended.get();
    });

    check::promise("a scope is closed once, moves, and closes when it goes", [] {
        boc::scope first;
        boc::scope second = std::move(first);
        CHECK(check::status_of([&] { first.close(); }) == BOC_INVALID_HANDLE);
        CHECK(check::status_of([&] { first.when([] {}); }) == BOC_INVALID_HANDLE);
        const auto value = second.when([] { return 1; });
        second.close().get();
        CHECK(check::status_of([&] { second.when([] {}); }) == BOC_INVALID_HANDLE);
        CHECK(value.get() == 1);
        boc::scope third;
        third.when_detached([it = counted()] {});
    });

    check::promise("batches can be part of a scope", [] {
        const boc::cown<int> sum(0);
        boc::scope scope;
        boc::batch batch(scope);
        for (int each = 0; each < 10; ++each) batch.when(sum, [](int& it) { ++it; });
        batch.schedule();
        scope.close().get();
        CHECK(boc::when(sum, [](int& it) { return it; }).get() == 10);
    });

    return check::finish();
}
