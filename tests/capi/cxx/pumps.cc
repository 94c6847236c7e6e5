// Pumps: behaviours that run on the thread that pumps.
#include "check.hh"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

using check::counted;

int main() {
    check::promise("behaviours run when, and where, it is pumped", [] {
        boc::pump pump;
        const auto where = pump.when([] { return std::this_thread::get_id(); });
        CHECK(where.status() == BOC_PENDING);
        CHECK(pump.run() == 1);
        CHECK(where.get() == std::this_thread::get_id());
        CHECK(pump.run() == 0);
    });

    check::promise("as many as are wanted run", [] {
        boc::pump pump;
        int ran = 0;
        for (int each = 0; each < 5; ++each) pump.when_detached([&ran] { ++ran; });
        CHECK(pump.run(2) == 2 && ran == 2);
        CHECK(pump.run(0) == 0 && ran == 2);
        CHECK(pump.run() == 3 && ran == 5);
    });

    check::promise("what becomes ready meanwhile runs, too", [] {
        boc::pump pump;
        const boc::cown<int> cown(0);
        pump.when_detached(cown, [cown, &pump](int& it) {
            it = 1;
            pump.when_detached(cown, [](int& again) { again += 10; });
        });
        CHECK(pump.run() == 2);
        CHECK(boc::when(cown, [](int& it) { return it; }).get() == 11);
    });

    check::promise("lanes have priorities", [] {
        boc::pump pump(3);
        std::string order;
        pump.lane(2).when_detached([&order] { order += '2'; });
        pump.lane(1).when_detached([&order] { order += '1'; });
        pump.when_detached([&order] { order += '0'; });
        CHECK(pump.run() == 3);
        CHECK(order == "012");
        CHECK(check::status_of([&] { pump.lane(3); }) == BOC_INVALID_ARGUMENT);
        CHECK(check::status_of([] { boc::pump none(0); }) == BOC_INVALID_ARGUMENT);
    });

    check::promise("a loop sleeps until it is woken", [] {
        std::mutex mutex;
        std::condition_variable changed;
        int ready = 0;
        boc::pump pump(1, [&, it = counted()] {
            const std::lock_guard lock(mutex);
            ++ready;
            changed.notify_one();
        });
        const boc::cown<int> shown(0);
        std::thread other([&pump, shown] {
            for (int each = 0; each < 100; ++each) {
                // Computed on the runtime, shown by the loop.
                boc::when([each] { return each; }).then([&pump, shown](boc::outcome<int>& it) {
                    pump.when_detached(shown, [more = it.take()](int& all) { all += more; });
                });
            }
        });
        std::size_t ran = 0;
        while (ran < 100) {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return ready > 0; });
            ready = 0;
            lock.unlock();
            ran += pump.run();
        }
        other.join();
        CHECK(boc::when(shown, [](int& it) { return it; }).get() == 4950);
    });

    check::promise("a pump that ends cancels what did not run, and refuses what comes later", [] {
        boc::result<int> never;
        boc::executor lane = boc::executor::current();
        {
            boc::pump pump;
            lane = pump.lane(0);
            never = pump.when([it = counted()] { return it.value; });
            CHECK(counted::alive == 1);
        }
        CHECK(never.status() == BOC_CANCELLED);
        CHECK(check::status_of([&] { lane.when([it = counted()] {}); }) == BOC_REFUSED);
        CHECK(counted::alive == 0);
    });

    check::promise("what its behaviours schedule runs there, too", [] {
        boc::pump pump;
        const auto here = std::this_thread::get_id();
        pump.when_detached([here] {
            boc::when_detached([here] { CHECK(std::this_thread::get_id() == here); });
        });
        CHECK(pump.run() == 2);
    });

    check::promise("what wakes goes with the pump", [] {
        {
            boc::pump pump(1, [it = counted()] {});
            CHECK(counted::alive == 1);
        }
        CHECK(counted::alive == 0);
    });

    check::promise("a pump moves", [] {
        boc::pump first;
        const auto value = first.when([] { return 1; });
        boc::pump second = std::move(first);
        CHECK(check::status_of([&] { first.when([] {}); }) == BOC_INVALID_HANDLE);
        CHECK(check::status_of([&] { first.run(); }) == BOC_INVALID_ARGUMENT);
        CHECK(second.run() == 1 && value.get() == 1);
    });

    check::promise("inside of a behaviour nobody pumps", [] {
        boc::pump pump;
        const auto tried = boc::when([&pump] {
            return check::status_of([&] { pump.run(); });
        });
        CHECK(tried.get() == BOC_INSIDE_BEHAVIOUR);
    });

    check::promise("a move-only functor wakes", [] {
        int woken = 0;
        boc::pump pump(1, [&woken, it = std::make_unique<int>(3)] { woken += *it; });
        pump.when_detached([] {});
        pump.run();
        CHECK(woken >= 3);
    });

    return check::finish();
}
