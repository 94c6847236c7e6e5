// Runtimes: their threads, waiting for them, ending them, and what they tell.
#include "check.hh"

#include <condition_variable>
#include <future>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

using check::counted;
using namespace std::chrono_literals;

namespace {

/// Holds behaviours up until it is opened.
class gate {
public:
    void open() { opened_.set_value(); }
    void pass() const { open_.wait(); }

private:
    std::promise<void> opened_;
    std::shared_future<void> open_ = opened_.get_future().share();
};

} // namespace

int main() {
    check::promise("behaviours run on the threads of their runtime, and what they schedule too", [] {
        const boc::runtime runtime(1);
        const auto here = std::this_thread::get_id();
        const auto ids = runtime.when([] { return std::this_thread::get_id(); }).get();
        CHECK(ids != here);
        const auto inner = runtime.when([] { return boc::when([] { return std::this_thread::get_id(); }); });
        CHECK(inner.get().get() == ids);
        CHECK(runtime.workers() == 1);
    });

    check::promise("the default runtime is one", [] {
        CHECK(boc::default_runtime().workers() >= 1);
        CHECK(boc::default_runtime().when([] { return 1; }).get() == 1);
        CHECK(boc::executor::current().when([] { return 2; }).get() == 2);
    });

    check::promise("quiesce waits for all, and can be limited", [] {
        const boc::runtime runtime(2);
        const boc::cown<int> sum(0);
        for (int each = 0; each < 100; ++each) {
            runtime.when_detached(sum, [sum](int&) {
                boc::when_detached(sum, [](int& it) { ++it; });
            });
        }
        runtime.quiesce();
        CHECK(runtime.in_flight() == 0);
        CHECK(runtime.when(sum, [](int& it) { return it; }).get() == 100);

        gate gate;
        runtime.when_detached([&gate] { gate.pass(); });
        CHECK(!runtime.quiesce(0ns));
        CHECK(!runtime.quiesce(1us));
        CHECK(runtime.in_flight() == 1);
        gate.open();
        CHECK(runtime.quiesce(std::chrono::hours::max()));
    });

    check::promise("shutdown runs what was scheduled, and refuses more", [] {
        const boc::runtime runtime(1);
        gate gate;
        const auto before = runtime.when([&gate] { gate.pass(); });
        const auto last = runtime.when([] { return boc::when([] { return 5; }); });
        CHECK(!runtime.shutdown(0ns));
        CHECK(check::status_of([&] { runtime.when([] {}); }) == BOC_REFUSED);
        gate.open();
        runtime.shutdown();
        CHECK(before.status() == BOC_OK);
        CHECK(last.get().get() == 5);
        CHECK(runtime.shutdown(0ns));
    });

    check::promise("stop cancels what has not started", [] {
        const boc::runtime runtime(1);
        gate gate;
        std::promise<void> started;
        const auto first = runtime.when([&] {
            started.set_value();
            gate.pass();
            return 1;
        });
        const auto second = runtime.when([it = counted(2)] { return it.value; });
        started.get_future().wait();
        CHECK(!runtime.stop(0ns));
        gate.open();
        runtime.stop();
        CHECK(first.get() == 1);
        CHECK(check::status_of([&] { second.get(); }) == BOC_CANCELLED);
    });

    check::promise("a runtime ends with its last handle, after its behaviours", [] {
        const boc::cown<int> cown(0);
        {
            const boc::runtime runtime(2);
            const boc::runtime copy = runtime;
            for (int each = 0; each < 100; ++each) copy.when_detached(cown, [](int& it) { ++it; });
        }
        CHECK(boc::when(cown, [](int& it) { return it; }).get() == 100);
    });

    check::promise("a handle that was moved from says so", [] {
        boc::runtime runtime(1);
        const boc::runtime other = std::move(runtime);
        CHECK(check::status_of([&] { runtime.when([] {}); }) == BOC_INVALID_HANDLE);
        CHECK(check::status_of([&] { runtime.quiesce(); }) == BOC_INVALID_ARGUMENT);
        CHECK(runtime.workers() == 0 && runtime.in_flight() == 0);
        CHECK(other.when([] { return 1; }).get() == 1);
    });

    check::promise("inside of a behaviour a runtime is not waited for", [] {
        const boc::runtime runtime(1);
        const auto tried = runtime.when([&runtime] {
            CHECK(check::status_of([&] { runtime.quiesce(); }) == BOC_INSIDE_BEHAVIOUR);
            CHECK(check::status_of([&] { runtime.shutdown(); }) == BOC_INSIDE_BEHAVIOUR);
            CHECK(check::status_of([&] { runtime.stop(); }) == BOC_INSIDE_BEHAVIOUR);
        });
        tried.get();
    });

    check::promise("workers run on threads of others, if that is wanted", [] {
        boc::runtime_options options;
        options.workers = 2;
        options.foreign_threads = true;
        const boc::runtime runtime(options);
        const auto where = runtime.when([] { return std::this_thread::get_id(); });
        CHECK(where.status() == BOC_PENDING);
        std::thread first([&] { runtime.run_worker(); });
        std::thread second([&] { runtime.run_worker(); });
        const auto id = where.get();
        CHECK(id == first.get_id() || id == second.get_id());
        runtime.shutdown();
        first.join();
        second.join();
    });

    check::promise("workers count what they do", [] {
        const boc::runtime runtime(2);
        for (int each = 0; each < 50; ++each) runtime.when_detached([] {});
        runtime.quiesce();
        const auto stats = runtime.stats();
        CHECK(stats.size() == 2);
        const auto run = std::accumulate(stats.begin(), stats.end(), std::uint64_t{0},
                                         [](std::uint64_t sum, const boc::worker_stats& each) {
                                             return sum + each.run;
                                         });
        CHECK(run == 50);
    });

    check::promise("a runtime that observes says what does not run, and why", [] {
        boc::runtime_options options;
        options.workers = 1;
        options.observe = true;
        options.thread_name = "observed";
        const boc::runtime runtime(options);
        const boc::cown<int> cown(1);
        gate gate;
        std::promise<void> started;
        runtime.when_detached(cown, [&](int&) {
            started.set_value();
            gate.pass();
        });
        runtime.when_detached(cown, [](int&) {});
        started.get_future().wait();
        const std::string report = runtime.report();
        gate.open();
        CHECK(report.find("wait") != std::string::npos);
        CHECK(!boc::runtime(1).report().empty());
    });

    check::promise("a stalled worker is told, by a callback that goes with the runtime", [] {
        std::promise<std::string> told;
        {
            auto heard = told.get_future().share();
            boc::runtime_options options;
            options.workers = 1;
            options.stall_after = 1ms;
            options.on_stall = [&told, it = counted(), first = true](const char* report) mutable {
                if (std::exchange(first, false)) told.set_value(report);
            };
            const boc::runtime runtime(options);
            options.on_stall = nullptr;
            CHECK(counted::alive == 1);
            // It stays in there until it was noticed.
            runtime.when([heard] { heard.wait(); }).get();
            CHECK(!heard.get().empty());
        }
        CHECK(counted::alive == 0);
    });

    check::promise("a bound on what is in flight holds threads outside up", [] {
        boc::runtime_options options;
        options.workers = 1;
        options.max_in_flight = 4;
        const boc::runtime runtime(options);
        std::atomic<std::size_t> most{0};
        for (int each = 0; each < 1000; ++each) {
            runtime.when_detached([&] {
                const std::size_t now = runtime.in_flight();
                if (now > most) most = now;
            });
        }
        runtime.quiesce();
        CHECK(most > 0 && most <= 4);
    });

    check::promise("options that cannot be are refused, and the callback goes", [] {
        boc::runtime_options options;
        options.workers = 1u << 20;
        options.on_stall = [it = counted()](const char*) {};
        CHECK(check::status_of([&] { boc::runtime runtime(options); }) == BOC_INVALID_ARGUMENT);
        options.on_stall = nullptr;
        CHECK(counted::alive == 0);
    });

    return check::finish();
}
