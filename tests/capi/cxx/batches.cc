// Batches: several behaviours as one step.
#include "check.hh"

#include <string>
#include <stdexcept>
#include <vector>

using check::counted;

int main() {
    check::promise("nobody comes between the behaviours of a batch", [] {
        boc::pump pump;
        const boc::cown<std::string> text("");
        boc::batch batch(pump);
        batch.when(text, [](std::string& it) { it += 'a'; });
        pump.when_detached(text, [](std::string& it) { it += '-'; });
        batch.when(text, [](std::string& it) { it += 'b'; });
        CHECK(batch.size() == 2);
        batch.schedule();
        pump.when_detached(text, [](std::string& it) { it += '+'; });
        pump.run();
        CHECK(boc::when(text, [](std::string& it) { return it; }).get() == "-ab+");
        CHECK(batch.size() == 0);
    });

    check::promise("a behaviour of a batch has a result of its type", [] {
        boc::batch batch;
        const boc::cown<int> cown(3);
        const auto number = batch.when(cown, [](int& it) { return it + 1; });
        const auto text = batch.when([it = counted()] { return std::string("text"); });
        const boc::member<void> nothing = batch.when([] {});
        const boc::scheduled all = batch.schedule();
        const boc::result<int> four = all.result(number);
        CHECK(four == all.result(number));
        CHECK(four.get() == 4);
        CHECK(all.result(text).get() == "text");
        all.result(nothing).get();
    });

    check::promise("a member is one of its batch alone", [] {
        boc::batch first;
        boc::batch second;
        const auto one = first.when([] { return 1; });
        const auto two = second.when([] { return 2; });
        const auto three = second.when([] { return 3; });
        const auto scheduled = first.schedule();
        const auto others = second.schedule();
        CHECK(check::status_of([&] { scheduled.result(two); }) == BOC_INVALID_ARGUMENT);
        CHECK(check::status_of([&] { scheduled.result(three); }) == BOC_INVALID_ARGUMENT);
        CHECK(scheduled.result(one).get() + others.result(two).get() + others.result(three).get() == 6);
    });

    check::promise("results of a batch can be scheduled over, without the batch", [] {
        const boc::cown<int> cown(1);
        boc::result<int> one;
        {
            boc::batch batch;
            const auto member = batch.when(cown, [](int& it) { return it; });
            one = batch.schedule().result(member);
        }
        const auto sum = boc::when(one, cown, [](boc::outcome<int>& a, int& b) { return a.take() + b; });
        CHECK(sum.get() == 2);
    });

    check::promise("a batch that is dropped cancels its behaviours", [] {
        {
            boc::batch batch;
            const auto never = batch.when([it = counted()] { return it.value; });
            CHECK(counted::alive == 1);
        }
        CHECK(counted::alive == 0);
    });

    check::promise("what cannot be added was not, and the rest runs", [] {
        boc::batch batch;
        const boc::cown<int> cown(1);
        const auto good = batch.when(cown, [](int& it) { return it; });
        CHECK(check::status_of([&] {
                  batch.when(cown, cown, [it = counted()](int&, int&) {});
              }) == BOC_DUPLICATE_COWN);
        CHECK(batch.size() == 1);
        CHECK(batch.schedule().result(good).get() == 1);
    });

    check::promise("a batch moves, and is scheduled once", [] {
        boc::batch first;
        const auto value = first.when([] { return 1; });
        boc::batch second = std::move(first);
        CHECK(first.size() == 0 && second.size() == 1);
        CHECK(check::status_of([&] { first.when([it = counted()] {}); }) == BOC_INVALID_HANDLE);
        CHECK(second.schedule().result(value).get() == 1);
        CHECK(check::status_of([&] { second.schedule(); }) == BOC_INVALID_HANDLE);
    });

    check::promise("exceptions in a batch reach their results", [] {
        boc::batch batch;
        const auto fails = batch.when([]() -> int { throw std::runtime_error("one of them"); });
        const auto works = batch.when([] { return 2; });
        const auto all = batch.schedule();
        CHECK(check::message_of([&] { all.result(fails).get(); }) == "one of them");
        CHECK(all.result(works).get() == 2);
    });

    check::promise("many batches of many threads never mix", [] {
        const boc::cown<std::vector<int>> log(std::vector<int>{});
        std::vector<boc::result<void>> writers;
        for (int writer = 0; writer < 8; ++writer) {
            writers.push_back(boc::when([log, writer] {
                for (int round = 0; round < 50; ++round) {
                    boc::batch batch;
                    for (int part = 0; part < 4; ++part) {
                        batch.when(log, [writer](std::vector<int>& it) { it.push_back(writer); });
                    }
                    batch.schedule();
                }
            }));
        }
        for (const auto& writer : writers) writer.get();
        const auto all = boc::when(log, [](std::vector<int>& it) { return it; }).get();
        CHECK(all.size() == 8 * 50 * 4);
        for (std::size_t at = 0; at < all.size(); at += 4) {
            CHECK(all[at] == all[at + 1] && all[at] == all[at + 2] && all[at] == all[at + 3]);
        }
    });

    return check::finish();
}
