// Results: values that come back, chains of behaviours, waiting, cancelling.
#include "check.hh"

#include <future>
#include <memory>
#include <string>
#include <thread>

using check::counted;
using namespace std::chrono_literals;

namespace {

/// Cannot be moved: it stays where the behaviour made it.
struct fixed {
    explicit fixed(int value_) : value(value_), self(this) {}
    fixed(const fixed&) = delete;
    fixed& operator=(const fixed&) = delete;
    int value;
    fixed* self;
};

} // namespace

static_assert(std::is_nothrow_move_constructible_v<boc::result<std::string>>);
static_assert(std::is_nothrow_move_assignable_v<boc::result<std::string>>);
static_assert(std::is_nothrow_copy_constructible_v<boc::result<std::unique_ptr<int>>>);

int main() {
    check::promise("a value comes back, once", [] {
        const auto text = boc::when([] { return std::string("value"); });
        static_assert(std::is_same_v<decltype(text), const boc::result<std::string>>);
        CHECK(text.get() == "value");
        CHECK(text.status() == BOC_OK);
        CHECK(check::status_of([&] { text.get(); }) == BOC_TAKEN);
    });

    check::promise("a behaviour without a value can be waited for as often as one likes", [] {
        const boc::cown number(1);
        const boc::result<void> done = boc::when(number, [](int& it) { it = 2; });
        done.get();
        done.get();
        done.wait();
        CHECK(done.status() == BOC_OK);
    });

    check::promise("move-only values come back", [] {
        const auto owned = boc::when([] { return std::make_unique<int>(6); });
        CHECK(*owned.get() == 6);
        const auto many = boc::when([] { return counted(9); });
        CHECK(many.get().value == 9);
        CHECK(counted::alive == 0);
    });

    check::promise("values that cannot be moved are reached where they are", [] {
        const auto there = boc::when([] { return fixed(5); });
        const auto read = there.then([](const boc::outcome<fixed>& it) {
            return it.value().self == &it.value() ? it.value().value : 0;
        });
        CHECK(read.get() == 5);
    });

    check::promise("a result that is dropped lets the behaviour run, and its value go", [] {
        boc::pump pump;
        const boc::cown<int> cown(0);
        pump.when(cown, [](int& it) {
            it = 3;
            return counted(1);
        });
        CHECK(pump.run() == 1);
        CHECK(counted::alive == 0);
        CHECK(boc::when(cown, [](int& it) { return it; }).get() == 3);
    });

    check::promise("a value that nobody took goes with the last handle", [] {
        auto first = boc::when([] { return counted(1); });
        auto second = first;
        first.wait();
        boc::default_runtime().quiesce();
        first = {};
        CHECK(counted::alive == 1);
        second = {};
        CHECK(counted::alive == 0);
    });

    check::promise("waiting has an end, if one is given", [] {
        boc::pump pump;
        const auto later = pump.when([] { return 1; });
        CHECK(later.status() == BOC_PENDING);
        CHECK(!later.wait_for(0s));
        CHECK(!later.wait_for(-1h));
        CHECK(!later.wait_for(1us));
        CHECK(!later.wait_for(std::chrono::duration<double, std::milli>(0.5)));
        CHECK(check::status_of([&] { later.get_for(1ns); }) == BOC_TIMED_OUT);
        pump.run();
        CHECK(later.wait_for(0s));
        CHECK(later.wait_for(std::chrono::hours::max()));
        CHECK(later.get_for(std::chrono::duration<double>(1e300)) == 1);
    });

    check::promise("behaviours over a result run after it, and look at it or take it", [] {
        const auto text = boc::when([] { return std::string("a"); });
        const auto size = boc::when(boc::read(text), [](const boc::outcome<std::string>& it) {
            return it.value().size();
        });
        text.then([](boc::outcome<std::string>& it) { it.value() += "b"; });
        const auto taken = text.then([](boc::outcome<std::string>& it) {
            std::string value = it.take();
            CHECK(it.status() == BOC_TAKEN && !it.has_value());
            CHECK(check::status_of([&] { it.value(); }) == BOC_TAKEN);
            CHECK(check::status_of([&] { it.take(); }) == BOC_TAKEN);
            CHECK(it.exception() != nullptr);
            return value;
        });
        const auto gone = text.then([](boc::outcome<std::string>& it) { return it.status(); });
        CHECK(size.get() == 1);
        CHECK(taken.get() == "ab");
        CHECK(gone.get() == BOC_TAKEN);
    });

    check::promise("get waits for what was scheduled over the result before", [] {
        const auto text = boc::when([] { return std::string("a"); });
        text.then([](boc::outcome<std::string>& it) { it.value() += "b"; });
        CHECK(text.get() == "ab");
    });

    check::promise("results and cowns go into one request", [] {
        const boc::cown<int> cown(1);
        const auto two = boc::when([] { return 2; });
        const auto nothing = boc::when([] {});
        const auto sum = boc::when(cown, two, boc::read(nothing),
                                   [](int& it, boc::outcome<int>& other,
                                      const boc::outcome<void>& third) {
                                       third.value();
                                       CHECK(third.has_value() && third && !third.exception());
                                       return it += other.value();
                                   });
        CHECK(sum.get() == 3);
    });

    check::promise("a chain of results carries a value", [] {
        auto last = boc::when([] { return std::make_unique<int>(0); });
        for (int step = 0; step < 1000; ++step) {
            last = last.then([](boc::outcome<std::unique_ptr<int>>& it) {
                auto value = it.take();
                ++*value;
                return value;
            });
        }
        CHECK(*last.get() == 1000);
    });

    check::promise("a behaviour that has not started can be cancelled", [] {
        boc::pump pump;
        const boc::cown<int> cown(1);
        const auto never = pump.when(cown, [it = counted()](int& value) { value = 100; });
        const auto after = never.then([](boc::outcome<void>& it) {
            CHECK(check::status_of([&] { it.value(); }) == BOC_CANCELLED);
            return it.status();
        });
        CHECK(never.cancel());
        CHECK(never.status() == BOC_CANCELLED);
        CHECK(check::status_of([&] { never.get(); }) == BOC_CANCELLED);
        // Its place in the queue is given up when it is its turn.
        CHECK(pump.run() == 0);
        CHECK(after.get() == BOC_CANCELLED);
        CHECK(boc::when(cown, [](int& it) { return it; }).get() == 1);
        const auto ended = boc::when([] { return 1; });
        ended.wait();
        CHECK(!ended.cancel());
        CHECK(ended.get() == 1);
    });

    check::promise("a behaviour that is cancelled while it may start runs, or does not", [] {
        const boc::cown<int> ran(0);
        int cancelled = 0;
        for (int round = 0; round < 2000; ++round) {
            const auto value = boc::when(ran, [it = counted(1)](int& count) { return count += it.value; });
            if (value.cancel()) {
                ++cancelled;
                CHECK(value.status() == BOC_CANCELLED);
            } else {
                value.get();
            }
        }
        CHECK(boc::when(ran, [](int& it) { return it; }).get() + cancelled == 2000);
    });

    check::promise("a long chain that never runs is dropped", [] {
        boc::pump pump;
        auto last = pump.when([] { return counted(); });
        for (int step = 0; step < 100000; ++step) {
            last = pump.when(last, [it = counted()](boc::outcome<counted>& before) {
                return before.take();
            });
        }
    });

    check::promise("handles to one outcome are equal", [] {
        const auto a = boc::when([] { return 1; });
        const auto b = boc::when([] { return 1; });
        const auto c = a;
        CHECK(a == c && a != b);
        const boc::result<int> none;
        CHECK(!none && none == boc::result<int>() && none != a);
        CHECK(none.status() == BOC_INVALID_ARGUMENT);
        CHECK(check::status_of([&] { none.get(); }) == BOC_INVALID_ARGUMENT);
        CHECK(check::status_of([&] { none.wait(); }) == BOC_INVALID_ARGUMENT);
        CHECK(check::status_of([&] { none.cancel(); }) == BOC_INVALID_ARGUMENT);
        CHECK(check::status_of([&] { none.then([](boc::outcome<int>&) {}); }) == BOC_INVALID_ARGUMENT);
    });

    check::promise("inside of a behaviour nothing waits", [] {
        boc::pump pump;
        const auto later = pump.when([] { return 1; });
        const auto tried = boc::when([later] {
            CHECK(boc::inside_behaviour());
            CHECK(check::status_of([&] { later.wait(); }) == BOC_INSIDE_BEHAVIOUR);
            CHECK(check::status_of([&] { later.get(); }) == BOC_INSIDE_BEHAVIOUR);
            CHECK(check::status_of([&] { (void)later.wait_for(1s); }) == BOC_INSIDE_BEHAVIOUR);
        });
        tried.get();
        CHECK(!boc::inside_behaviour());
        pump.run();
    });

    check::promise("the end of a behaviour can be told to others", [] {
        boc::pump pump;
        const auto value = pump.when([] { return 1; });
        int told = 0;
        value.on_finished([&told, it = counted()] { ++told; });
        CHECK(told == 0 && counted::alive == 1);
        pump.run();
        CHECK(told == 1 && counted::alive == 0);
        value.on_finished([&told] { ++told; });
        CHECK(told == 2);
        std::promise<void> done;
        const auto elsewhere = boc::when([] { return 2; });
        elsewhere.on_finished([&done] { done.set_value(); });
        done.get_future().wait();
        CHECK(elsewhere.status() == BOC_OK);
    });

    check::promise("several threads ask for one outcome, and one gets the value", [] {
        for (int round = 0; round < 200; ++round) {
            const auto value = boc::when([] { return counted(1); });
            std::atomic<int> got{0};
            const auto ask = [&got, copy = value] {
                try {
                    got += copy.get().value;
                } catch (const boc::error& error) {
                    CHECK(error.status() == BOC_TAKEN);
                }
            };
            std::thread other(ask);
            ask();
            other.join();
            CHECK(got == 1);
        }
    });

    check::promise("C finds the value of a result", [] {
        const auto value = boc::when([] { return 11L; });
        const boc_request request = {boc_result_cown(value.c_handle()), BOC_READ};
        long found = 0;
        boc_result* raw = nullptr;
        boc_when(
            nullptr, &request, 1,
            [](boc_body*, void* const* values, void* env) {
                *static_cast<long*>(env) = *static_cast<long*>(values[0]);
            },
            &found, nullptr, &raw);
        CHECK(boc_result_wait(raw, BOC_FOREVER) == BOC_OK && found == 11);
        boc_result_release(raw);
        CHECK(value.get() == 11);
    });

    return check::finish();
}
