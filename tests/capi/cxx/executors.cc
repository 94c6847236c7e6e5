// Executors of one's own.
#include "check.hh"
#include "stderr.hh"

#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

using check::counted;

namespace {

/// Keeps behaviours until it is told to run them.
class queue {
public:
    void push(boc::ready&& ready) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(ready));
    }
    bool run_one() {
        std::unique_lock lock(mutex_);
        if (waiting_.empty()) return false;
        boc::ready next = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        next.run();
        return true;
    }
    std::size_t run_all() {
        std::size_t count = 0;
        while (run_one()) ++count;
        return count;
    }
    void clear() {
        std::unique_lock lock(mutex_);
        std::deque<boc::ready> dropped;
        dropped.swap(waiting_);
        // Others can become ready by that.
        lock.unlock();
        dropped.clear();
    }

private:
    std::mutex mutex_;
    std::deque<boc::ready> waiting_;
};

} // namespace

static_assert(!std::is_copy_constructible_v<boc::ready> && std::is_nothrow_move_constructible_v<boc::ready>);

int main() {
    check::promise("a functor is an executor", [] {
        const auto waiting = std::make_shared<queue>();
        const auto executor =
            boc::make_executor([waiting](boc::ready&& ready) { waiting->push(std::move(ready)); });
        const boc::cown<int> cown(1);
        const auto first = executor.when(cown, [](int& it) { return it *= 2; });
        const auto second = executor.when(cown, [](int& it) { return it += 1; });
        CHECK(first.status() == BOC_PENDING);
        CHECK(waiting->run_one());
        CHECK(first.get() == 2 && second.status() == BOC_PENDING);
        CHECK(waiting->run_all() == 1);
        CHECK(second.get() == 3);
    });

    check::promise("a functor that takes by value has taken", [] {
        const auto executor = boc::make_executor([](boc::ready ready) {
            std::thread([ready = std::move(ready)]() mutable { ready.run(); }).detach();
        });
        CHECK(executor.when([] { return 8; }).get() == 8);
    });

    check::promise("what is not taken is cancelled", [] {
        const auto executor = boc::make_executor([](boc::ready&&) {});
        CHECK(executor.when([it = counted()] {}).status() == BOC_CANCELLED);
        CHECK(counted::alive == 0);
        const boc::cown<int> cown(1);
        boc::pump pump;
        const auto first = pump.when(cown, [](int&) {});
        // It waits for the cown, and is cancelled when it could run.
        const auto second = executor.when(cown, [it = counted()](int&) {});
        pump.run();
        CHECK(second.status() == BOC_CANCELLED);
        CHECK(boc::when(cown, [](int& it) { return it; }).get() == 1);
    });

    check::promise("what is thrown before a behaviour was taken cancels it, and is reported", [] {
        const std::string text = check::stderr_of([] {
            const auto executor =
                boc::make_executor([](boc::ready&&) { throw std::runtime_error("full"); });
            CHECK(executor.when([it = counted()] {}).status() == BOC_CANCELLED);
        });
        CHECK(check::count(text, "full") == 1);
    });

    check::promise("what is thrown after a behaviour was taken leaves it taken", [] {
        queue waiting;
        const std::string text = check::stderr_of([&] {
            const auto executor = boc::make_executor([&](boc::ready&& ready) {
                waiting.push(std::move(ready));
                throw std::runtime_error("late");
            });
            const auto value = executor.when([] { return 3; });
            CHECK(waiting.run_all() == 1);
            CHECK(value.get() == 3);
        });
        CHECK(check::count(text, "late") == 1);
    });

    check::promise("behaviours that are dropped are cancelled", [] {
        queue waiting;
        const auto executor =
            boc::make_executor([&](boc::ready&& ready) { waiting.push(std::move(ready)); });
        const auto dropped = executor.when([it = counted()] { return it.value; });
        const auto next = executor.when(dropped, [](boc::outcome<int>& it) { return it.status(); });
        waiting.clear();
        CHECK(dropped.status() == BOC_CANCELLED);
        CHECK(waiting.run_all() == 1);
        CHECK(next.get() == BOC_CANCELLED);
    });

    check::promise("a behaviour that is ready is run or cancelled, and then gone", [] {
        std::vector<boc::ready> waiting;
        const auto executor =
            boc::make_executor([&](boc::ready&& ready) { waiting.push_back(std::move(ready)); });
        const auto run = executor.when([] { return 1; });
        const auto cancelled = executor.when([] { return 2; });
        CHECK(waiting.size() == 2 && waiting[0] && waiting[1]);
        waiting[0].run();
        waiting[1].cancel();
        CHECK(!waiting[0] && !waiting[1]);
        CHECK(run.get() == 1);
        CHECK(cancelled.status() == BOC_CANCELLED);
        CHECK(check::status_of([&] { waiting[0].run(); }) == BOC_INVALID_ARGUMENT);
    });

    check::promise("the functor goes with the last handle and the last behaviour", [] {
        queue waiting;
        boc::result<int> value;
        {
            const auto executor = boc::make_executor(
                [&, it = counted()](boc::ready&& ready) { waiting.push(std::move(ready)); });
            const auto copy = executor;
            value = copy.when([] { return 1; });
        }
        CHECK(counted::alive == 1);
        waiting.run_all();
        value = {};
        CHECK(counted::alive == 0);
    });

    check::promise("an executor is handed around as a value", [] {
        const boc::runtime runtime(1);
        boc::executor executor = boc::executor::of(runtime);
        const boc::executor copy = executor;
        const boc::executor moved = std::move(executor);
        CHECK(check::status_of([&] { executor.when([] {}); }) == BOC_INVALID_HANDLE);
        const auto id = runtime.when([] { return std::this_thread::get_id(); }).get();
        CHECK(copy.when([] { return std::this_thread::get_id(); }).get() == id);
        CHECK(moved.when([] { return std::this_thread::get_id(); }).get() == id);
        const boc::cown<int> cown(1);
        moved.when_detached(cown, [](int& it) { it = 5; });
        CHECK(moved.when(cown, [](int& it) { return it; }).get() == 5);
    });

    return check::finish();
}
