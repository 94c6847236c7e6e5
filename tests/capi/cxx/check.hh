// What the test programs of boc.hpp share: checks that say where they failed, and objects that are counted.
#ifndef BOC_TESTS_CHECK_HH
#define BOC_TESTS_CHECK_HH

#include <boc/boc.hpp>

#include <atomic>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

namespace check {

inline std::atomic<int> failures{0};

inline void that(bool condition, const char* text, const char* file, int line) {
    if (condition) return;
    ++failures;
    std::printf("    %s:%d: not so: %s\n", file, line, text);
}

/// Each object is constructed and destroyed once, wherever it is moved to.
class counted {
public:
    explicit counted(int value_ = 0) : value(value_) { ++alive; }
    counted(const counted& other) : value(other.value) { ++alive; }
    counted(counted&& other) noexcept : value(std::exchange(other.value, -1)) { ++alive; }
    counted& operator=(const counted&) = default;
    counted& operator=(counted&& other) noexcept {
        value = std::exchange(other.value, -1);
        return *this;
    }
    ~counted() {
        if (mark_ != good) ++failures;
        mark_ = 0;
        --alive;
    }

    int value;
    static inline std::atomic<long> alive{0};

private:
    static constexpr unsigned good = 0xC0FFEE;
    volatile unsigned mark_ = good;
};

/// The status of the boc::error that `f` throws; BOC_OK if it throws none.
template <class F>
boc_status status_of(F f) {
    try {
        f();
    } catch (const boc::error& error) {
        return error.status();
    }
    return BOC_OK;
}

/// What `f` throws that is a std::exception, in words; empty if it throws none.
template <class F>
std::string message_of(F f) {
    try {
        f();
    } catch (const std::exception& exception) {
        return exception.what();
    }
    return {};
}

/// Runs one promise of the documentation. Nothing of it may be left behind.
template <class F>
void promise(const char* name, F body) {
    std::printf("%s\n", name);
    std::fflush(stdout);
    try {
        body();
    } catch (const std::exception& exception) {
        ++failures;
        std::printf("    it threw: %s\n", exception.what());
    } catch (...) {
        ++failures;
        std::printf("    it threw something\n");
    }
    boc::default_runtime().quiesce();
    that(boc::live_cowns() == 0, "no cown is left", name, 0);
    that(counted::alive == 0, "each object was destroyed once", name, 0);
}

/// The exit status of the program.
inline int finish() {
    std::printf(failures == 0 ? "ok\n" : "failed\n");
    return failures == 0 ? 0 : 1;
}

} // namespace check

/// For LeakSanitizer: the threads of the default runtime live as long as the program.
extern "C" const char* __lsan_default_suppressions() {
    return "leak:6Thread3new\nleak:Thread::new\n";
}

#define CHECK(...) check::that(bool(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

#endif
