// What happens to the lambda of a behaviour: one allocation, moved in, destroyed once.
#include "check.hh"

#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>

using check::counted;

namespace {
std::atomic<long> allocations{0};
}

// Not inlined: a compiler that sees one of them alone takes it for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* place = std::malloc(size)) return place;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t) noexcept {
    std::free(place);
}

namespace {

/// Its copies, or moves, throw.
struct fragile {
    enum class when { copied, moved };
    explicit fragile(when throws_) : throws(throws_) {}
    fragile(const fragile& other) : count(other.count), throws(other.throws) {
        if (throws == when::copied) throw std::runtime_error("copied");
    }
    fragile(fragile&& other) : count(std::move(other.count)), throws(other.throws) {
        if (throws == when::moved) throw std::runtime_error("moved");
    }
    fragile& operator=(const fragile&) = delete;
    counted count;
    when throws;
};

int twice(int& value) { return value *= 2; }

struct once {
    std::unique_ptr<int> value;
    int operator()() && { return *value; }
    int operator()() & = delete;
};

struct throws_at_the_end {
    ~throws_at_the_end() noexcept(false) {}
    void operator()() const {}
};
// A destructor that throws would throw on a thread of the library: it is refused when it is compiled.
static_assert(!boc::is_behaviour_v<throws_at_the_end>);
static_assert(boc::is_behaviour_v<once> && boc::is_behaviour_v<int(int&), boc::cown<int>>);

} // namespace

/// Whether this program's allocations come here: valgrind takes them over.
bool counts() {
    const long before = allocations;
    delete new std::string(100, ' ');
    return allocations != before;
}

int main() {
    check::promise("a behaviour is one allocation, with its result", [] {
        if (!counts()) {
            std::printf("    allocations cannot be counted here\n");
            return;
        }
        boc::pump pump;
        const boc::cown<long> a(1L);
        const boc::cown<long> b(2L);
        std::array<char, 200> large{};

        long before = allocations;
        const auto sum = pump.when(a, boc::read(b), [large](long& x, const long& y) {
            return x + y + large[0];
        });
        CHECK(allocations - before == 1);
        before = allocations;
        const auto next = sum.then([](boc::outcome<long>& it) { return it.take() + 1; });
        CHECK(allocations - before == 1);
        before = allocations;
        pump.when_detached(a, [large](long& x) { x += large[0]; });
        CHECK(allocations - before == 1);
        before = allocations;
        pump.run();
        CHECK(next.get() == 4);
        CHECK(allocations == before);
    });

    check::promise("move-only lambdas run", [] {
        const boc::cown<int> cown(1);
        auto owned = std::make_unique<int>(5);
        const auto sum =
            boc::when(cown, [owned = std::move(owned)](int& it) { return it + *owned; });
        CHECK(sum.get() == 6);
        auto more = std::make_unique<int>(7);
        boc::when_detached(cown, [more = std::move(more)](int& it) { it = *more; });
        CHECK(boc::when(cown, [](int& it) { return it; }).get() == 7);
    });

    check::promise("anything that can be called runs: functions, std::function, by value, once", [] {
        const boc::cown<int> cown(2);
        CHECK(boc::when(cown, twice).get() == 4);
        CHECK(boc::when(cown, &twice).get() == 8);
        const std::function<int(int&)> function = twice;
        CHECK(boc::when(cown, function).get() == 16);
        CHECK(boc::when(cown, [](int it) { return it; }).get() == 16);
        CHECK(boc::when(once{std::make_unique<int>(3)}).get() == 3);
        int calls = 0;
        CHECK(boc::when([calls]() mutable { return ++calls; }).get() == 1);
    });

    check::promise("a lambda is gone when its result is there", [] {
        const auto done = boc::when([it = counted()] { return it.value; });
        done.get();
        CHECK(counted::alive == 0);
        // What it leaves is not.
        const auto left = boc::when([] { return counted(4); });
        left.wait();
        CHECK(counted::alive == 1);
    });

    check::promise("a lambda that is given by name is copied, and stays", [] {
        const auto lambda = [it = counted(3)] { return it.value; };
        CHECK(boc::when(lambda).get() == 3);
        CHECK(boc::when(lambda).get() == 3);
    });

    check::promise("captures are destroyed once if the behaviour is cancelled", [] {
        boc::pump pump;
        const auto never = pump.when([it = counted()] { return it.value; });
        CHECK(counted::alive == 1);
        CHECK(never.cancel());
        CHECK(counted::alive == 0);
        CHECK(!never.cancel());
        CHECK(pump.run() == 0);
    });

    check::promise("captures are destroyed once if the executor ends", [] {
        boc::result<int> never;
        {
            boc::pump pump;
            never = pump.when([it = counted()] { return it.value; });
            pump.when_detached([it = counted()] {});
            CHECK(counted::alive == 2);
        }
        CHECK(counted::alive == 0);
        CHECK(check::status_of([&] { never.get(); }) == BOC_CANCELLED);
    });

    check::promise("captures are destroyed once if the executor refuses", [] {
        const boc::runtime runtime(1);
        runtime.shutdown();
        CHECK(check::status_of([&] { runtime.when([it = counted()] {}); }) == BOC_REFUSED);
        CHECK(check::status_of([&] { runtime.when_detached([it = counted()] {}); }) == BOC_REFUSED);
    });

    check::promise("what copying a capture throws comes out, and nothing is scheduled", [] {
        boc::pump pump;
        const boc::cown<int> cown(1);
        const auto lambda = [one = counted(), two = fragile(fragile::when::copied)](int&) {};
        CHECK(check::message_of([&] { pump.when(cown, lambda); }) == "copied");
        CHECK(check::message_of([&] { pump.when_detached(cown, lambda); }) == "copied");
        boc::batch batch(pump);
        CHECK(check::message_of([&] { batch.when(cown, lambda); }) == "copied");
        CHECK(batch.size() == 0 && pump.run() == 0);
    });

    check::promise("what moving a capture throws comes out, and nothing is scheduled", [] {
        boc::pump pump;
        const boc::cown<int> cown(1);
        fragile original(fragile::when::moved);
        CHECK(check::message_of([&] { pump.when(cown, [original](int&) {}); }) == "moved");
        CHECK(check::message_of([&] { pump.when_detached(cown, [original](int&) {}); }) == "moved");
        CHECK(pump.run() == 0);
    });

    return check::finish();
}
