// Handles to cowns: what they own, how they compare, and what is left when they go.
#include "check.hh"

#include <memory>
#include <stdexcept>
#include <vector>

using check::counted;

namespace {

struct immovable {
    explicit immovable(int a, int b) : sum(a + b) {}
    immovable(const immovable&) = delete;
    immovable& operator=(const immovable&) = delete;
    int sum;
};

struct refuses {
    refuses() { throw std::runtime_error("no such value"); }
};

struct alignas(128) wide {
    char bytes[128];
};

struct node {
    explicit node(boc::weak_cown<node> parent_) : parent(std::move(parent_)) {}
    boc::weak_cown<node> parent;
    std::vector<boc::cown<node>> children;
    counted count;
};

} // namespace

int main() {
    check::promise("a value is constructed in place, and reached by a behaviour", [] {
        auto cown = boc::make_cown<immovable>(2, 3);
        CHECK(boc::when(cown, [](immovable& it) { return it.sum; }).get() == 5);
        const boc::cown<std::string> text("abc");
        CHECK(boc::when(text, [](std::string& it) { return it.size(); }).get() == 3);
        const boc::cown number(7);
        static_assert(std::is_same_v<decltype(number), const boc::cown<int>>);
        CHECK(boc::when(number, [](int& it) { return it; }).get() == 7);
        auto moved = boc::make_cown<std::unique_ptr<int>>(std::make_unique<int>(4));
        CHECK(boc::when(moved, [](std::unique_ptr<int>& it) { return *it; }).get() == 4);
    });

    check::promise("an aligned value stays aligned", [] {
        const auto cown = boc::make_cown<wide>();
        CHECK(boc::when(cown, [](wide& it) {
                  return reinterpret_cast<std::uintptr_t>(&it) % alignof(wide);
              }).get() == 0);
    });

    check::promise("what a constructor throws comes out, and no cown is made", [] {
        CHECK(check::message_of([] { boc::make_cown<refuses>(); }) == "no such value");
    });

    check::promise("copies are handles to the same cown", [] {
        boc::cown<counted> a(counted(1));
        boc::cown<counted> b = a;
        const boc::cown<counted> other(counted(1));
        CHECK(a == b && !(a != b) && a != other);
        boc::when_detached(a, [](counted& it) { it.value = 2; });
        CHECK(boc::when(b, [](counted& it) { return it.value; }).get() == 2);
        boc::default_runtime().quiesce();
        CHECK(counted::alive == 2);
        a = other;
        CHECK(a == other && a != b);
        b = a;
        CHECK(counted::alive == 1);
    });

    check::promise("what was moved from is empty, and says so", [] {
        boc::cown<counted> a(counted(1));
        const boc::cown<counted> b = std::move(a);
        CHECK(!a && b && a != b);
        CHECK(check::status_of([&] { boc::when(a, [](counted&) {}); }) == BOC_INVALID_ARGUMENT);
        boc::cown<counted> c = a;
        CHECK(!c && c == a);
        const boc::weak_cown<counted> weak = c;
        CHECK(!weak.upgrade());
    });

    check::promise("a value outlives its handles while a behaviour waits for it", [] {
        boc::pump pump;
        auto cown = std::make_unique<boc::cown<counted>>(counted(5));
        auto seen = pump.when(*cown, [](counted& it) { return it.value; });
        cown.reset();
        CHECK(counted::alive == 1);
        CHECK(pump.run() == 1);
        CHECK(counted::alive == 0);
        CHECK(seen.get() == 5);
    });

    check::promise("a weak handle does not keep the value", [] {
        boc::weak_cown<counted> weak;
        CHECK(!weak.upgrade());
        {
            const boc::cown<counted> strong(counted(1));
            weak = strong;
            const auto again = weak.upgrade();
            CHECK(again && *again == strong);
            const boc::weak_cown<counted> copy = weak;
            CHECK(*copy.upgrade() == strong);
        }
        CHECK(counted::alive == 0);
        CHECK(!weak.upgrade());
    });

    check::promise("a cycle with a weak handle is freed", [] {
        const auto root = boc::make_cown<node>(boc::weak_cown<node>());
        boc::when(root, [weak = boc::weak_cown(root)](node& it) {
            for (int child = 0; child < 3; ++child) it.children.emplace_back(std::in_place, weak);
        }).get();
        boc::default_runtime().quiesce();
        CHECK(counted::alive == 4);
        const auto parent = boc::when(root, [](node& it) { return it.children.front(); })
                                .then([](boc::outcome<boc::cown<node>>& child) {
                                    return boc::when(child.value(), [](node& it) {
                                        return it.parent.upgrade();
                                    });
                                });
        CHECK(*parent.get().get() == root);
    });

    check::promise("C and C++ share cowns", [] {
        boc_cown* raw = nullptr;
        boc_cown_new(new counted(3), [](void* it) { delete static_cast<counted*>(it); }, &raw);
        const auto cown = boc::cown<counted>::adopt(raw);
        CHECK(boc::when(cown, [](counted& it) { return it.value; }).get() == 3);

        const boc_request request = {cown.c_handle(), BOC_WRITE};
        boc_when(
            nullptr, &request, 1,
            [](boc_body*, void* const* values, void*) {
                static_cast<counted*>(values[0])->value = 8;
            },
            nullptr, nullptr, nullptr);
        CHECK(boc::when(cown, [](counted& it) { return it.value; }).get() == 8);
    });

    return check::finish();
}
