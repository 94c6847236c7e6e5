// Promises: results that come from outside.
#include "check.hh"
#include "stderr.hh"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

using check::counted;

namespace {

struct choosy {
    explicit choosy(int number_) : number(number_) {
        if (number_ < 0) throw std::runtime_error("negative");
    }
    int number;
};

} // namespace

int main() {
    check::promise("a value comes from another thread", [] {
        boc::promise<std::string> promise;
        const auto result = promise.result();
        const auto size = result.then([](boc::outcome<std::string>& it) { return it.value().size(); });
        CHECK(result.status() == BOC_PENDING);
        std::thread other([promise = std::move(promise)]() mutable {
            CHECK(promise.fulfil(3u, 'x'));
        });
        CHECK(size.get() == 3);
        CHECK(result.get() == "xxx");
        other.join();
    });

    check::promise("promises of nothing, and of what can only be moved", [] {
        boc::promise<void> nothing;
        CHECK(nothing.fulfil());
        nothing.result().get();
        boc::promise<std::unique_ptr<int>> owned;
        CHECK(owned.fulfil(std::make_unique<int>(4)));
        CHECK(*owned.result().get() == 4);
    });

    check::promise("a failure reaches the result, as any exception", [] {
        boc::promise<int> promise;
        const auto result = promise.result();
        const auto next = result.then([](boc::outcome<int>& it) { return it.value(); });
        CHECK(promise.fail(std::make_exception_ptr(std::out_of_range("no"))));
        CHECK(check::message_of([&] { result.get(); }) == "no");
        try {
            next.get();
            CHECK(!"it throws");
        } catch (const std::out_of_range&) {
        }
        boc::promise<void> other;
        CHECK(other.fail(std::make_exception_ptr(5)));
        CHECK(other.result().status() == BOC_FAILED);
    });

    check::promise("a failure that nobody looked at is reported once", [] {
        const std::string text = check::stderr_of([] {
            boc::promise<int> promise;
            promise.fail(std::make_exception_ptr(std::runtime_error("unheard")));
        });
        CHECK(check::count(text, "unheard") == 1);
    });

    check::promise("a promise that is dropped is broken", [] {
        boc::result<counted> result;
        {
            boc::promise<counted> promise;
            result = promise.result();
        }
        CHECK(result.status() == BOC_BROKEN);
        CHECK(check::status_of([&] { result.get(); }) == BOC_BROKEN);
        const auto seen = result.then([](boc::outcome<counted>& it) { return it.status(); });
        CHECK(seen.get() == BOC_BROKEN);
    });

    check::promise("a promise is used once", [] {
        boc::promise<counted> promise;
        CHECK(promise.fulfil(1));
        CHECK(check::status_of([&] { promise.fulfil(2); }) == BOC_INVALID_HANDLE);
        CHECK(check::status_of([&] { promise.fail(std::make_exception_ptr(1)); }) == BOC_INVALID_HANDLE);
        CHECK(promise.result().get().value == 1);
    });

    check::promise("a promise whose result was cancelled says so, and keeps no value", [] {
        boc::promise<counted> promise;
        CHECK(!promise.is_cancelled());
        CHECK(promise.result().cancel());
        CHECK(promise.is_cancelled());
        CHECK(!promise.fulfil(1));
        CHECK(counted::alive == 0);
        CHECK(promise.result().status() == BOC_CANCELLED);
        boc::promise<int> failing;
        failing.result().cancel();
        CHECK(!failing.fail(std::make_exception_ptr(1)));
        CHECK(check::status_of([&] { failing.result().get(); }) == BOC_CANCELLED);
    });

    check::promise("what a constructor throws comes out, and the promise is as before", [] {
        boc::promise<choosy> promise;
        CHECK(check::message_of([&] { promise.fulfil(-1); }) == "negative");
        CHECK(promise.result().status() == BOC_PENDING);
        CHECK(promise.fulfil(2));
        CHECK(promise.result().get().number == 2);
    });

    check::promise("a promise moves", [] {
        boc::promise<int> first;
        boc::promise<int> second = std::move(first);
        CHECK(check::status_of([&] { first.fulfil(1); }) == BOC_INVALID_HANDLE);
        CHECK(!first.result());
        CHECK(second.fulfil(2) && second.result().get() == 2);
    });

    check::promise("behaviours over several promises wait for all", [] {
        boc::pump pump;
        boc::promise<int> a;
        boc::promise<int> b;
        const auto sum = pump.when(a.result(), boc::read(b.result()),
                                   [](boc::outcome<int>& x, const boc::outcome<int>& y) {
                                       return x.take() - y.value();
                                   });
        CHECK(pump.run() == 0);
        b.fulfil(2);
        CHECK(pump.run() == 0);
        a.fulfil(5);
        CHECK(pump.run() == 1 && sum.get() == 3);
    });

    return check::finish();
}
