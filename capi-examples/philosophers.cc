// Dining philosophers: each needs the fork on the left and the one on the right to eat.
//
//     c++ -std=c++17 -O2 philosophers.cc -lboc -pthread -o philosophers
//     ./philosophers --philosophers 5 --hunger 1000
//
// A fork is a cown, and a meal is a behaviour over two of them. Nobody takes one fork and waits for the
// other: a meal starts when it has both. So there is no order of forks to agree on, and no deadlock.

#include <boc/boc.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace {

struct utensil {
    long uses = 0;
};

struct philosopher {
    boc::cown<utensil> left;
    boc::cown<utensil> right;
    long hunger;
    long meals = 0;
};

/// Eats once, and sits down again as long as there is hunger. The promise gets the meals.
void eat(philosopher who, boc::promise<long> full) {
    if (who.meals == who.hunger) {
        full.fulfil(who.meals);
        return;
    }
    const auto left = who.left;
    const auto right = who.right;
    boc::when_detached(left, right,
                       [who = std::move(who), full = std::move(full)](utensil& one, utensil& other) mutable {
                           ++one.uses;
                           ++other.uses;
                           ++who.meals;
                           eat(std::move(who), std::move(full));
                       });
}

long number(const char* text, const char* name, long least) {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < least) {
        std::fprintf(stderr, "philosophers: --%s needs a number of at least %ld\n", name, least);
        std::exit(2);
    }
    return value;
}

} // namespace

int main(int argc, char** argv) {
    long philosophers = 5;
    long hunger = 1000;
    for (int at = 1; at < argc; at += 2) {
        const char* value = at + 1 < argc ? argv[at + 1] : "";
        if (std::strcmp(argv[at], "--philosophers") == 0) {
            philosophers = number(value, "philosophers", 2);
        } else if (std::strcmp(argv[at], "--hunger") == 0) {
            hunger = number(value, "hunger", 0);
        } else {
            std::fprintf(stderr, "usage: %s [--philosophers N] [--hunger MEALS]\n", argv[0]);
            return 2;
        }
    }

    const auto seats = static_cast<std::size_t>(philosophers);
    std::vector<boc::cown<utensil>> forks;
    for (std::size_t seat = 0; seat < seats; ++seat) forks.push_back(boc::make_cown<utensil>());

    const auto start = std::chrono::steady_clock::now();
    std::vector<boc::result<long>> dinners;
    for (std::size_t seat = 0; seat < seats; ++seat) {
        boc::promise<long> full;
        dinners.push_back(full.result());
        eat({forks[seat], forks[(seat + 1) % seats], hunger}, std::move(full));
    }
    std::vector<long> meals;
    for (const auto& dinner : dinners) meals.push_back(dinner.get());
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;

    // All forks at once: what they say belongs together.
    const auto wrong = boc::when(boc::read(forks), [hunger](boc::values<const utensil> all) {
        return std::count_if(all.begin(), all.end(),
                             [hunger](const utensil& it) { return it.uses != 2 * hunger; });
    });

    for (std::size_t seat = 0; seat < seats; ++seat) {
        std::printf("philosopher %zu ate %ld times\n", seat + 1, meals[seat]);
    }
    const double total = static_cast<double>(philosophers) * static_cast<double>(hunger);
    std::printf("%.0f meals in %.3f s (%.2f us each)\n", total, time.count(),
                total > 0 ? 1e6 * time.count() / total : 0.0);
    if (const auto count = wrong.get(); count > 0) {
        std::printf("%td forks were not used %ld times\n", count, 2 * hunger);
        return 1;
    }
    std::printf("each fork was used %ld times\n", 2 * hunger);
    return 0;
}
