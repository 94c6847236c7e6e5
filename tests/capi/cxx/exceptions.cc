// Exceptions of lambdas: they reach the result, and nobody misses one.
#include "check.hh"
#include "stderr.hh"

#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using check::count;
using check::counted;
using check::stderr_of;

namespace {

struct own : std::runtime_error {
    own(const char* message, int code_) : std::runtime_error(message), code(code_) {}
    int code;
    counted alive;
};

struct no_exception {
    int code;
    counted alive;
};

/// Moves throw, once they are told to.
struct value {
    explicit value(bool* throws_) : throws(throws_) {}
    value(value&& other) : throws(other.throws), alive(std::move(other.alive)) {
        if (*throws) throw std::runtime_error("moved");
    }
    bool* throws;
    counted alive;
};

constexpr const char* unseen = "nobody looked";

} // namespace

int main() {
    check::promise("an exception reaches get with its type", [] {
        const boc::cown<int> cown(1);
        const auto failed = boc::when(cown, [](int& it) -> int {
            it = 2;
            throw own("no money", 7);
        });
        for (int again = 0; again < 2; ++again) {
            try {
                failed.get();
                CHECK(!"it throws");
            } catch (const own& exception) {
                CHECK(exception.code == 7 && exception.what() == std::string("no money"));
            }
        }
        CHECK(failed.status() == BOC_FAILED);
        // The cown went on with what it had.
        CHECK(boc::when(cown, [](int& it) { return it; }).get() == 2);
    });

    check::promise("anything that can be thrown reaches get", [] {
        const auto number = boc::when([] { throw 5; });
        try {
            number.get();
            CHECK(!"it throws");
        } catch (int code) {
            CHECK(code == 5);
        }
        const auto object = boc::when([]() -> std::string { throw no_exception{3, counted()}; });
        try {
            object.get();
            CHECK(!"it throws");
        } catch (const no_exception& thrown) {
            CHECK(thrown.code == 3);
        }
        const auto code = boc::when([] {
            throw std::system_error(std::make_error_code(std::errc::timed_out));
        });
        try {
            code.get();
            CHECK(!"it throws");
        } catch (const std::system_error& thrown) {
            CHECK(thrown.code() == std::errc::timed_out);
        }
    });

    check::promise("a boc::error of a lambda is an exception like others", [] {
        const boc::cown<int> cown(1);
        const auto inner = boc::when([cown] { boc::when(cown, cown, [](int&, int&) {}); });
        CHECK(check::status_of([&] { inner.get(); }) == BOC_DUPLICATE_COWN);
        CHECK(inner.status() == BOC_FAILED);
    });

    check::promise("what making the value throws reaches get", [] {
        bool throws = true;
        const auto made = boc::when([&throws] {
            value result(&throws);
            return std::vector<int>(1), value(std::move(result));
        });
        CHECK(check::message_of([&] { made.get(); }) == "moved");
    });

    check::promise("what moving the value out throws comes out, and the value is gone", [] {
        bool throws = false;
        const auto made = boc::when([&throws] { return value(&throws); });
        made.wait();
        throws = true;
        CHECK(check::message_of([&] { made.get(); }) == "moved");
        CHECK(counted::alive == 0);
        CHECK(check::status_of([&] { made.get(); }) == BOC_TAKEN);

        throws = false;
        const auto again = boc::when([&throws] { return value(&throws); });
        again.wait();
        throws = true;
        const auto taken = again.then([](boc::outcome<value>& it) { it.take(); });
        CHECK(check::message_of([&] { taken.get(); }) == "moved");
    });

    check::promise("behaviours over a failed result get its exception", [] {
        const auto failed = boc::when([]() -> int { throw own("why", 1); });
        const auto handled = boc::when(boc::read(failed), [](const boc::outcome<int>& it) {
            CHECK(it.status() == BOC_FAILED && !it);
            try {
                return it.value();
            } catch (const own& exception) {
                return exception.code + 1;
            }
        });
        const auto passed = failed.then([](boc::outcome<int>& it) { return it.value() + 1; });
        const auto taken = failed.then([](boc::outcome<int>& it) { return it.take(); });
        const auto kept = failed.then([](boc::outcome<int>& it) { return it.exception(); });
        CHECK(handled.get() == 2);
        CHECK(check::message_of([&] { passed.get(); }) == "why");
        CHECK(check::message_of([&] { taken.get(); }) == "why");
        CHECK(check::message_of([&] { std::rethrow_exception(kept.get()); }) == "why");
    });

    check::promise("a failure in a range of results is found", [] {
        std::vector<boc::result<void>> all;
        for (int each = 0; each < 5; ++each) {
            all.push_back(boc::when([each] {
                if (each == 3) throw own("the third", each);
            }));
        }
        const auto failures = boc::when(all, [](boc::values<boc::outcome<void>> outcomes) {
            std::string text;
            for (auto& each : outcomes) text += check::message_of([&] { each.value(); });
            return text;
        });
        CHECK(failures.get() == "the third");
    });

    check::promise("an exception that nobody looked at is reported once", [] {
        const std::string text = stderr_of([] {
            boc::pump pump;
            {
                const auto failed = pump.when([]() -> int { throw own("forgotten", 1); });
                const auto copy = failed;
                pump.run();
                CHECK(failed.wait_for(std::chrono::seconds(0)));
            }
            pump.when([] { throw 4; });
            pump.run();
        });
        CHECK(count(text, unseen) == 2);
        CHECK(count(text, "forgotten") == 1);
        CHECK(count(text, "no std::exception") == 1);
    });

    check::promise("an exception that somebody looked at is not reported", [] {
        const std::string text = stderr_of([] {
            boc::pump pump;
            const auto fail = []() -> int { throw own("known", 1); };
            const auto got = pump.when(fail);
            const auto asked = pump.when(fail);
            const auto followed = pump.when(fail);
            const auto next = pump.when(followed, [](boc::outcome<int>& it) { return it.has_value(); });
            pump.run();
            CHECK(check::message_of([&] { got.get(); }) == "known");
            CHECK(asked.status() == BOC_FAILED);
            CHECK(!next.get());
        });
        CHECK(text.empty());
    });

    check::promise("a lambda that gets a failure, and does not look, leaves it unreported to others", [] {
        const std::string text = stderr_of([] {
            boc::pump pump;
            pump.when([]() -> int { throw own("overlooked", 1); }).then([](boc::outcome<int>&) {});
            pump.run();
            boc::default_runtime().quiesce();
        });
        CHECK(count(text, "overlooked") == 1);
    });

    check::promise("without a result an exception is reported", [] {
        const std::string text = stderr_of([] {
            boc::pump pump;
            pump.when_detached([] { throw own("alone", 1); });
            pump.when_detached([] { throw 4; });
            CHECK(pump.run() == 2);
        });
        CHECK(count(text, "alone") == 1);
        CHECK(count(text, "no std::exception") == 1);
    });

    check::promise("callbacks that throw are reported, and end nothing", [] {
        const std::string text = stderr_of([] {
            boc::pump pump(1, [] { throw own("woken", 1); });
            const auto value = pump.when([] { return 1; });
            value.on_finished([] { throw own("told", 1); });
            CHECK(pump.run() == 1);
            CHECK(value.get() == 1);
        });
        CHECK(count(text, "woken") >= 1);
        CHECK(count(text, "told") == 1);
    });

    check::promise("many failures on many threads leave nothing", [] {
        std::vector<boc::result<int>> all;
        for (int each = 0; each < 2000; ++each) {
            all.push_back(boc::when([each]() -> int { throw own("each", each); }));
        }
        int expected = 0;
        for (const auto& each : all) {
            try {
                each.get();
            } catch (const own& exception) {
                CHECK(exception.code == expected++);
            }
        }
        CHECK(expected == 2000);
    });

    return check::finish();
}
