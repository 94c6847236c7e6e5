// What lambdas get for what is requested.
#include "check.hh"

#include <array>
#include <list>
#include <numeric>
#include <thread>
#include <vector>

using check::counted;

// Wrong requests are no behaviours. `when` says so when it is compiled.
namespace kinds {

struct takes_int { void operator()(int&) const {} };
struct takes_const_int { void operator()(const int&) const {} };
struct takes_all { void operator()(boc::values<int>) const {} };
struct reads_all { void operator()(boc::values<const int>) const {} };
struct takes_outcome { void operator()(boc::outcome<int>&) const {} };
struct reads_outcome { void operator()(const boc::outcome<int>&) const {} };

template <class A> using reading = decltype(boc::read(std::declval<const A&>()));
using one = boc::cown<int>;
using cowns = std::vector<one>;
using left = boc::result<int>;

static_assert(boc::is_behaviour_v<takes_int, one>);
static_assert(boc::is_behaviour_v<takes_int, const one&>);
static_assert(boc::is_behaviour_v<takes_const_int, one>);
static_assert(boc::is_behaviour_v<takes_const_int, reading<one>>);
static_assert(!boc::is_behaviour_v<takes_int, reading<one>>, "who reads does not change");
static_assert(!boc::is_behaviour_v<takes_int, boc::cown<long>>);
static_assert(!boc::is_behaviour_v<takes_int>);
static_assert(!boc::is_behaviour_v<takes_int, one, one>);
static_assert(!boc::is_behaviour_v<takes_int, int>, "a value is no cown");
static_assert(!boc::is_behaviour_v<takes_int, boc::weak_cown<int>>);
static_assert(!boc::is_behaviour_v<takes_int, std::vector<int>>);
static_assert(boc::is_behaviour_v<takes_all, cowns>);
static_assert(!boc::is_behaviour_v<takes_all, reading<cowns>>, "who reads does not change");
static_assert(boc::is_behaviour_v<reads_all, reading<cowns>>);
static_assert(boc::is_behaviour_v<takes_outcome, left>);
static_assert(!boc::is_behaviour_v<takes_outcome, reading<left>>, "who reads does not change");
static_assert(boc::is_behaviour_v<reads_outcome, reading<left>>);

} // namespace kinds

int main() {
    check::promise("the arguments are in the order of the requests", [] {
        const boc::cown a(1);
        const boc::cown b(2.5);
        const boc::cown<std::string> c("c");
        const auto all = boc::when(a, boc::read(b), c,
                                   [](int& first, const double& second, std::string& third) {
                                       return third + std::to_string(first) + std::to_string(int(second));
                                   });
        CHECK(all.get() == "c12");
    });

    check::promise("a behaviour over nothing runs", [] {
        CHECK(boc::when([] { return 3; }).get() == 3);
    });

    check::promise("behaviours over one cown run in the order of scheduling", [] {
        const boc::cown<std::vector<int>> list(std::vector<int>{});
        for (int number = 0; number < 1000; ++number) {
            boc::when_detached(list, [number](std::vector<int>& all) { all.push_back(number); });
        }
        const auto all = boc::when(list, [](std::vector<int>& it) { return std::move(it); }).get();
        std::vector<int> wanted(1000);
        std::iota(wanted.begin(), wanted.end(), 0);
        CHECK(all == wanted);
    });

    check::promise("readers run while others read", [] {
        const boc::runtime runtime(2);
        const boc::cown value(4);
        // Each waits for the other: this ends only if both hold the cown at the same time.
        std::atomic<int> here{0};
        const auto meet = [&here](const int& it) {
            ++here;
            while (here < 2) std::this_thread::yield();
            return it;
        };
        const auto first = runtime.when(boc::read(value), meet);
        const auto second = runtime.when(boc::read(value), meet);
        CHECK(first.get() + second.get() == 8);
    });

    check::promise("a cown can be read twice in one request, not written", [] {
        const boc::cown value(4);
        const auto sum = boc::when(boc::read(value), boc::read(value),
                                   [](const int& a, const int& b) { return a + b; });
        CHECK(sum.get() == 8);
        CHECK(check::status_of([&] {
                  boc::when(value, value, [it = counted()](int&, int&) {});
              }) == BOC_DUPLICATE_COWN);
        CHECK(check::status_of([&] {
                  boc::when_detached(value, boc::read(value), [it = counted()](int&, const int&) {});
              }) == BOC_DUPLICATE_COWN);
    });

    check::promise("a range of cowns gives their values", [] {
        std::vector<boc::cown<int>> many;
        for (int number = 0; number < 10; ++number) many.emplace_back(number);
        const boc::cown<long> total(0L);

        boc::when_detached(many, [](boc::values<int> all) {
            for (int& each : all) each += 1;
            all[0] = 100;
        });
        const auto sum = boc::when(boc::read(many), total, [](auto& all, long& it) {
            static_assert(std::is_same_v<decltype(all[0]), const int&>);
            it = std::accumulate(all.begin(), all.end(), 0L);
            return all.size();
        });
        CHECK(sum.get() == 10);
        CHECK(boc::when(total, [](long& it) { return it; }).get() == 100 + 54);
        // Still usable after it was scheduled over, and while it changes.
        many.clear();
        CHECK(boc::when(many, [](boc::values<int> all) { return all.empty(); }).get());
    });

    check::promise("ranges of any kind, several of them, between other cowns", [] {
        const boc::cown<int> array[] = {boc::cown(1), boc::cown(2)};
        const std::list<boc::cown<int>> list = {boc::cown(3), boc::cown(4), boc::cown(5)};
        const std::array<boc::cown<int>, 1> single = {boc::cown(6)};
        const boc::cown last(7);
        const auto digits = boc::when(array, boc::read(list), single, last,
                                      [](const auto& a, const auto& b, const auto& c, int& d) {
                                          long all = 0;
                                          for (int each : a) all = all * 10 + each;
                                          for (int each : b) all = all * 10 + each;
                                          for (int each : c) all = all * 10 + each;
                                          return all * 10 + d;
                                      });
        CHECK(digits.get() == 1234567);
    });

    check::promise("a range of results gives their outcomes", [] {
        std::vector<boc::result<int>> all;
        for (int number = 0; number < 5; ++number) all.push_back(boc::when([number] { return number; }));
        const auto sum = boc::when(boc::read(all), [](boc::values<const boc::outcome<int>> outcomes) {
            int total = 0;
            for (const auto& each : outcomes) total += each.value();
            return total;
        });
        const auto taken = boc::when(all, [](boc::values<boc::outcome<int>>& outcomes) {
            int total = 0;
            for (auto& each : outcomes) total += each.take();
            return total;
        });
        CHECK(sum.get() == 10);
        CHECK(taken.get() == 10);
        CHECK(check::status_of([&] { all[2].get(); }) == BOC_TAKEN);
    });

    check::promise("what is held together is changed together", [] {
        constexpr int accounts = 8;
        constexpr int rounds = 2000;
        std::vector<boc::cown<long>> bank;
        for (int each = 0; each < accounts; ++each) bank.emplace_back(100L);
        for (int round = 0; round < rounds; ++round) {
            const auto from = static_cast<std::size_t>(round % accounts);
            const auto to = static_cast<std::size_t>((round * 3 + 1) % accounts);
            if (from == to) continue;
            boc::when_detached(bank[from], bank[to], [](long& a, long& b) {
                --a;
                ++b;
            });
            boc::when_detached(boc::read(bank), [](boc::values<const long> all) {
                CHECK(std::accumulate(all.begin(), all.end(), 0L) == 100 * accounts);
            });
        }
    });

    return check::finish();
}
