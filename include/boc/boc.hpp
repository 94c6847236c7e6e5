/*
 * Behaviour-oriented concurrency (BoC) for C++17, over boc.h.
 *
 *     boc::cown<account> from(account{100}), to(account{0});
 *
 *     boc::when(from, to, [](account& from, account& to) {
 *         from.balance -= 10;
 *         to.balance += 10;
 *     });
 *     boc::result<long> sum = boc::when(boc::read(from), boc::read(to),
 *         [](const account& from, const account& to) { return from.balance + to.balance; });
 *     std::cout << sum.get();
 *
 * A cown holds a value. A behaviour is a lambda together with the cowns it needs: it runs once, on some
 * thread, when it holds all of them. Behaviours that share a cown run in the order in which they were
 * scheduled. There is nothing to lock, no deadlock, and no data race on what cowns hold.
 *
 * What holds for everything here:
 *
 * - Ownership. What is copyable here is a handle: a copy refers to the same cown, outcome, executor or
 *   runtime, and what that owns goes with the last handle. What was moved from is empty: it can be assigned,
 *   copied, compared and destroyed; what needs more than that throws boc::error.
 * - Lambdas are moved into the behaviour, and destroyed once: when they have run, or when it is certain
 *   that they never will. Captures and values may be move-only. They are used and destroyed on threads of
 *   the library; their destructors must not throw, and must not wait for behaviours.
 * - Threads. All functions can be called on any thread, and inside of behaviours, unless it is said
 *   otherwise. One handle object is for one thread at a time, like any object; copies are independent.
 * - Exceptions of a lambda go to its result. What was not possible is a boc::error, with the status of C.
 * - Waiting is not for behaviours: inside of one, what waits throws BOC_INSIDE_BEHAVIOUR. Schedule over the
 *   result instead.
 * - C. The classes have the handles of boc.h inside (c_handle), and cowns and results can be used from both
 *   sides: a C behaviour gets the address of the T.
 *
 * This is one file, so that a program can take it along as it is. It works with the functions of boc.h as
 * well as with the macros of boc_table.h, if that is included first.
 */
#ifndef BOC_BOC_HPP
#define BOC_BOC_HPP

#include "boc.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace boc {

template <class T> class cown;
template <class T> class weak_cown;
template <class R> class outcome;
template <class R> class result;
template <class R> class promise;
template <class R> class member;
class executor;
class scope;
class scheduled;

/* Errors */

/// Something was not possible: status() says what in the terms of C, what() in words.
class error : public std::runtime_error {
public:
    /// An error with a message of one's own.
    error(boc_status status, const std::string& message)
        : std::runtime_error(message), status_(status) {}

    /// Never BOC_OK.
    boc_status status() const noexcept { return status_; }

private:
    boc_status status_;
};

namespace detail {

[[noreturn]] inline void raise(boc_status status) {
    const char* message = boc_last_error();
    throw error(status, *message != '\0' ? message : boc_status_name(status));
}

inline void check(boc_status status) {
    if (status != BOC_OK) raise(status);
}

/// Whether a wait was over in time.
inline bool in_time(boc_status status) {
    if (status == BOC_TIMED_OUT) return false;
    check(status);
    return true;
}

/// Nanoseconds for C. What is too long for them is for ever, what is negative is no time.
template <class Rep, class Period>
std::uint64_t timeout(std::chrono::duration<Rep, Period> duration) {
    const long double count = std::chrono::duration<long double, std::nano>(duration).count();
    if (!(count > 0)) return 0;
    if (count >= 18446744073709551615.0L) return BOC_FOREVER;
    return static_cast<std::uint64_t>(count);
}

/// Calls `use` with the message of the exception that is being handled.
template <class Use>
void describe_current(Use use) noexcept {
    try {
        throw;
    } catch (const std::exception& exception) {
        use(exception.what());
    } catch (...) {
        use("an exception that is no std::exception");
    }
}

/// A function of the user that C calls, and whose exceptions have nowhere to go.
template <class F>
struct callback {
    template <class... Args>
    static void call(void* env, Args... args) noexcept {
        try {
            (*static_cast<F*>(env))(args...);
        } catch (...) {
            describe_current([](const char* message) {
                std::fprintf(stderr, "boc: a callback threw an exception: %s\n", message);
            });
        }
    }
    static void destroy(void* env) noexcept { delete static_cast<F*>(env); }
};

/// A handle of C that can be cloned, as a value.
template <class Functions>
class shared {
public:
    using type = typename Functions::type;

    shared() noexcept = default;
    explicit shared(type* raw) noexcept : raw_(raw) {}
    shared(const shared& other) noexcept : raw_(Functions::clone(other.raw_)) {}
    shared(shared&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    shared& operator=(shared other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~shared() { Functions::release(raw_); }

    type* get() const noexcept { return raw_; }
    type* release() noexcept { return std::exchange(raw_, nullptr); }

private:
    type* raw_ = nullptr;
};

struct cown_functions {
    using type = boc_cown;
    static type* clone(const type* raw) noexcept { return raw ? boc_cown_clone(raw) : nullptr; }
    static void release(type* raw) noexcept { if (raw) boc_cown_release(raw); }
};

struct weak_cown_functions {
    using type = boc_weak_cown;
    static type* clone(const type* raw) noexcept { return raw ? boc_weak_cown_clone(raw) : nullptr; }
    static void release(type* raw) noexcept { if (raw) boc_weak_cown_release(raw); }
};

struct result_functions {
    using type = boc_result;
    static type* clone(const type* raw) noexcept { return raw ? boc_result_clone(raw) : nullptr; }
    static void release(type* raw) noexcept { if (raw) boc_result_release(raw); }
};

struct executor_functions {
    using type = boc_executor;
    static type* clone(const type* raw) noexcept { return raw ? boc_executor_clone(raw) : nullptr; }
    static void release(type* raw) noexcept { if (raw) boc_executor_release(raw); }
};

struct runtime_functions {
    using type = boc_runtime;
    static type* clone(const type* raw) noexcept { return raw ? boc_runtime_clone(raw) : nullptr; }
    static void release(type* raw) noexcept { if (raw) boc_runtime_release(raw); }
};

/// Releases handles of C that belong to one owner.
struct releases {
    void operator()(boc_ready* raw) const noexcept { boc_ready_cancel(raw); }
    void operator()(boc_batch* raw) const noexcept { boc_batch_release(raw); }
    void operator()(boc_pump* raw) const noexcept { boc_pump_release(raw); }
    void operator()(boc_promise* raw) const noexcept { boc_promise_release(raw); }
    void operator()(boc_scope* raw) const noexcept { boc_scope_close(raw, nullptr); }
    void operator()(char* raw) const noexcept { boc_string_free(raw); }
};

template <class C> using unique = std::unique_ptr<C, releases>;

template <class T> using bare = std::remove_cv_t<std::remove_reference_t<T>>;

} // namespace detail

/* Cowns */

/// A handle to a cown: a T that only the behaviour which holds the cown can reach.
///
/// Copying gives another handle to the same cown, so a vector that is filled with copies of one has one cown.
/// The T is destroyed with the last handle, after the
/// behaviours that wait for the cown, possibly on a thread of the library. If behaviours read it, several
/// threads may use the T at the same time, as const.
template <class T>
class cown {
    static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T>,
                  "a cown holds an object that can change; for less, schedule with boc::read");
    static_assert(std::is_nothrow_destructible_v<T>, "a destructor that throws has no caller here");

public:
    using value_type = T;

    /// A new cown; its value is made of `value`. Throws what the constructor of T throws.
    template <class U = T,
              std::enable_if_t<!std::is_same_v<detail::bare<U>, cown>
                                   && !std::is_same_v<detail::bare<U>, std::in_place_t>
                                   && std::is_constructible_v<T, U>,
                               int> = 0>
    explicit cown(U&& value) : cown(std::in_place, std::forward<U>(value)) {}

    /// A new cown; its value is constructed where it stays: T need not be movable.
    template <class... Args, std::enable_if_t<std::is_constructible_v<T, Args...>, int> = 0>
    explicit cown(std::in_place_t, Args&&... args) {
        T* value = new T(std::forward<Args>(args)...);
        boc_cown* raw = nullptr;
        detail::check(boc_cown_new(value, &destroy, &raw));
        handle_ = detail::shared<detail::cown_functions>(raw);
    }

    /// Takes over a handle of C to a cown whose value is the address of a T.
    static cown adopt(boc_cown* handle) noexcept {
        return cown(detail::shared<detail::cown_functions>(handle));
    }

    /// The handle of C, lent as long as this one exists. NULL if this was moved from.
    const boc_cown* c_handle() const noexcept { return handle_.get(); }

    /// Whether there is a cown: false if this was moved from.
    explicit operator bool() const noexcept { return handle_.get() != nullptr; }

    /// Whether two handles are to the same cown; empty ones are equal.
    friend bool operator==(const cown& a, const cown& b) noexcept {
        return boc_cown_same(a.c_handle(), b.c_handle());
    }
    friend bool operator!=(const cown& a, const cown& b) noexcept { return !(a == b); }

private:
    friend class weak_cown<T>;

    explicit cown(detail::shared<detail::cown_functions> handle) noexcept
        : handle_(std::move(handle)) {}

    static void destroy(void* value) noexcept { delete static_cast<T*>(value); }

    detail::shared<detail::cown_functions> handle_;
};

template <class U> cown(U) -> cown<U>;

/// A new cown whose T is constructed in place of `args`. Throws what the constructor of T throws.
template <class T, class... Args>
cown<T> make_cown(Args&&... args) {
    return cown<T>(std::in_place, std::forward<Args>(args)...);
}

/// A handle to a cown that does not keep the value: for cycles, caches, lists of observers.
template <class T>
class weak_cown {
public:
    /// No cown: upgrade() gives nothing.
    weak_cown() noexcept = default;

    weak_cown(const cown<T>& cown) noexcept
        : handle_(cown ? boc_cown_downgrade(cown.c_handle()) : nullptr) {}

    /// The cown, if its value is still there.
    std::optional<cown<T>> upgrade() const {
        boc_cown* raw = nullptr;
        if (handle_.get() == nullptr) return std::nullopt;
        const boc_status status = boc_weak_cown_upgrade(handle_.get(), &raw);
        if (status == BOC_GONE) return std::nullopt;
        detail::check(status);
        return cown<T>::adopt(raw);
    }

    /// The handle of C, lent as long as this one exists. NULL if there is none.
    const boc_weak_cown* c_handle() const noexcept { return handle_.get(); }

private:
    detail::shared<detail::weak_cown_functions> handle_;
};

template <class T> weak_cown(cown<T>) -> weak_cown<T>;

/// How many cowns there are in this process, results not included: for finding leaks. Exact while no other
/// thread makes or releases any.
inline std::uint64_t live_cowns() noexcept { return boc_live_cowns(); }

/// Whether the calling thread runs a behaviour.
inline bool inside_behaviour() noexcept { return boc_inside_behaviour(); }

/* Outcomes: what behaviours over a result get */

namespace detail {

struct nothing {};

/// What a behaviour leaves, shared by the behaviour itself, the handles to its result, and the library
/// while that has the value. It is one allocation with the lambda.
///
/// The library decides who may touch it, as for all cowns, and whether there is a value, which it knows by
/// the address of this. `thrown` is written before the behaviour ends, and is only read after that.
template <class R>
struct state {
    using value_type = std::conditional_t<std::is_void_v<R>, nothing, R>;
    static_assert(std::is_object_v<value_type> && !std::is_array_v<value_type>,
                  "a behaviour leaves a value: what it has a reference to is not held afterwards");
    static_assert(std::is_nothrow_destructible_v<value_type>,
                  "a destructor that throws has no caller here");

    /// The first member: for C the value is at the address of all.
    alignas(value_type) unsigned char place[sizeof(value_type)];
    std::atomic<std::size_t> references{1};
    std::exception_ptr thrown;
    void (*const dispose)(state*) noexcept;

    explicit state(void (*dispose_)(state*) noexcept) noexcept : dispose(dispose_) {}
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    value_type* value() noexcept {
        return std::launder(reinterpret_cast<value_type*>(&place));
    }
    void retain() noexcept { references.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) dispose(this);
    }
    /// Destroys the value, for whoever has it.
    static void destroy_value(void* self) noexcept {
        state* left = static_cast<state*>(self);
        left->value()->~value_type();
        left->release();
    }
    /// Moves the value out, which is the caller's.
    static R take(void* self) {
        struct owner {
            void* self;
            ~owner() { destroy_value(self); }
        } value{self};
        return std::move(*static_cast<state*>(self)->value());
    }

protected:
    ~state() = default;
};

/// A counted reference to a state.
template <class R>
class state_ref {
public:
    state_ref() noexcept = default;
    explicit state_ref(state<R>* taken) noexcept : state_(taken) {}
    state_ref(const state_ref& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) state_->retain();
    }
    state_ref(state_ref&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    state_ref& operator=(state_ref other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~state_ref() {
        if (state_ != nullptr) state_->release();
    }

    state<R>* get() const noexcept { return state_; }

    /// Throws why there is no value. `status` must say that there is none.
    [[noreturn]] void raise(boc_status status, const char* message) const {
        if (status == BOC_FAILED && state_ != nullptr && state_->thrown) {
            std::rethrow_exception(state_->thrown);
        }
        throw error(status, message != nullptr ? message : boc_last_error());
    }

private:
    state<R>* state_ = nullptr;
};

template <class A, bool Read, class = void> struct request;

/// Makes what its users cannot make.
struct access {
    template <class R>
    static result<R> make_result(boc_result* raw, state_ref<R> left) noexcept {
        return result<R>(raw, std::move(left));
    }
    template <class R>
    static member<R> make_member(std::size_t index, state_ref<R> left) noexcept {
        return member<R>(index, std::move(left));
    }
};

} // namespace detail

/// How a behaviour has ended, for a behaviour over its result: a value, an exception, or neither.
///
/// The lambda gets a reference to it, which it may use until it returns. An exception counts as reported as
/// soon as somebody asks, here or by the result.
template <class R>
class outcome {
    using reference = std::add_lvalue_reference_t<R>;
    using const_reference =
        std::conditional_t<std::is_void_v<R>, void, std::add_lvalue_reference_t<const R>>;

public:
    outcome(const outcome&) = delete;
    outcome& operator=(const outcome&) = delete;

    /// BOC_OK if there is a value; else BOC_FAILED, BOC_CANCELLED, BOC_BROKEN, or BOC_TAKEN.
    boc_status status() const noexcept { return boc_body_outcome(body_, index_, nullptr); }

    bool has_value() const noexcept { return status() == BOC_OK; }
    explicit operator bool() const noexcept { return has_value(); }

    /// The value; to be changed, unless the result is only read. Throws what the behaviour threw, or
    /// boc::error with the status.
    reference value() {
        look();
        if constexpr (!std::is_void_v<R>) return *static_cast<R*>(value_);
    }
    const_reference value() const {
        look();
        if constexpr (!std::is_void_v<R>) return *static_cast<const R*>(value_);
    }

    /// Moves the value out: for others it is BOC_TAKEN from now on. Throws as value().
    R take() {
        static_assert(!std::is_void_v<R>, "there is nothing to take");
        void* taken = nullptr;
        const boc_status status = boc_body_take(body_, index_, &taken);
        if (status != BOC_OK) state_.raise(status, nullptr);
        value_ = nullptr;
        return detail::state<R>::take(taken);
    }

    /// What the behaviour threw; a boc::error if it did not run; null if there is a value.
    std::exception_ptr exception() const noexcept {
        try {
            look();
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }

private:
    template <class, bool, class> friend struct detail::request;

    outcome() noexcept = default;

    void name(const result<R>& result) noexcept { state_ = result.state_; }

    void bind(boc_body* body, std::size_t index, void* value) noexcept {
        body_ = body;
        index_ = index;
        value_ = value;
    }

    void look() const {
        const char* message = nullptr;
        const boc_status status = boc_body_outcome(body_, index_, &message);
        if (status != BOC_OK) state_.raise(status, message);
    }

    boc_body* body_ = nullptr;
    std::size_t index_ = 0;
    void* value_ = nullptr;
    detail::state_ref<R> state_;
};

/* Requests: what a behaviour needs */

/// What a lambda gets for a range of cowns: references to their values, in the order of the range. It can
/// be copied, and used until the lambda returns.
///
/// T is const if the cowns are only read. For a range of results it is boc::outcome.
template <class T>
class values {
public:
    /// A forward iterator over the values.
    class iterator {
    public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = std::remove_const_t<T>;
        using difference_type = std::ptrdiff_t;
        using pointer = T*;
        using reference = T&;

        iterator() noexcept = default;
        T& operator*() const noexcept { return *static_cast<T*>(*place_); }
        T* operator->() const noexcept { return static_cast<T*>(*place_); }
        iterator& operator++() noexcept {
            ++place_;
            return *this;
        }
        iterator operator++(int) noexcept { return iterator(place_++); }
        friend bool operator==(iterator a, iterator b) noexcept { return a.place_ == b.place_; }
        friend bool operator!=(iterator a, iterator b) noexcept { return a.place_ != b.place_; }

    private:
        friend class values;
        explicit iterator(void* const* place) noexcept : place_(place) {}

        void* const* place_ = nullptr;
    };

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// The value of the cown at `index`, which must be less than size().
    T& operator[](std::size_t index) const noexcept { return *static_cast<T*>(first_[index]); }
    iterator begin() const noexcept { return iterator(first_); }
    iterator end() const noexcept { return iterator(first_ + size_); }

private:
    template <class, bool, class> friend struct detail::request;

    values() noexcept = default;

    void* const* first_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

template <class A>
struct reading {
    const A& what;
    explicit reading(const A& what_) noexcept : what(what_) {}
    reading(const reading&) = delete;
    reading& operator=(const reading&) = delete;
};

constexpr std::uint32_t mode(bool read) noexcept { return read ? BOC_READ : BOC_WRITE; }

/// How something is requested. A specialisation has:
///
/// - fixed: whether it always is `many` cowns;
/// - count, name: how many cowns it is, and which, written to `next`;
/// - slot: what the behaviour keeps of it, with bind(), which gives the lambda's argument and moves on to
///   the next request.
template <class A, bool Read, class>
struct request {
    static constexpr bool known = false;
};

/// Where a running behaviour is with its requests.
struct cursor {
    boc_body* body;
    void* const* values;
    std::size_t index;
};

template <class T, bool Read>
struct request<cown<T>, Read, void> {
    static constexpr bool known = true;
    static constexpr bool fixed = true;
    using argument = std::conditional_t<Read, const T&, T&>;

    static std::size_t count(const cown<T>&) noexcept { return 1; }
    static void name(const cown<T>& cown, boc_request*& next) noexcept {
        *next++ = boc_request{cown.c_handle(), mode(Read)};
    }

    struct slot {
        explicit slot(const cown<T>&) noexcept {}
        argument bind(cursor& at) noexcept { return *static_cast<T*>(at.values[at.index++]); }
    };
};

template <class R, bool Read>
struct request<result<R>, Read, void> {
    static constexpr bool known = true;
    static constexpr bool fixed = true;
    using argument = std::conditional_t<Read, const outcome<R>&, outcome<R>&>;

    static std::size_t count(const result<R>&) noexcept { return 1; }
    static void name(const result<R>& result, boc_request*& next) noexcept {
        *next++ = boc_request{boc_result_cown(result.c_handle()), mode(Read)};
    }

    struct slot {
        outcome<R> found;

        explicit slot(const result<R>& result) noexcept { found.name(result); }
        argument bind(cursor& at) noexcept {
            found.bind(at.body, at.index, at.values[at.index]);
            ++at.index;
            return found;
        }
    };
};

template <class A, bool Read>
struct request<reading<A>, Read, void> : request<A, true> {
    using base = request<A, true>;

    static std::size_t count(const reading<A>& reading) { return base::count(reading.what); }
    static void name(const reading<A>& reading, boc_request*& next) {
        base::name(reading.what, next);
    }

    struct slot : base::slot {
        explicit slot(const reading<A>& reading) : base::slot(reading.what) {}
    };
};

template <class A>
using element = bare<decltype(*std::begin(std::declval<const A&>()))>;

template <class A>
std::size_t length(const A& range) {
    return static_cast<std::size_t>(std::distance(std::begin(range), std::end(range)));
}

template <class Element, class A>
void name_all(const A& range, boc_request*& next) {
    for (const auto& each : range) Element::name(each, next);
}

template <class A> struct cown_value;
template <class T> struct cown_value<cown<T>> { using type = T; };
template <class A> struct result_value;
template <class R> struct result_value<result<R>> { using type = R; };

/// A range of cowns.
template <class A, bool Read>
struct request<A, Read, std::void_t<typename cown_value<element<A>>::type>> {
    using T = typename cown_value<element<A>>::type;
    using view = values<std::conditional_t<Read, const T, T>>;
    static constexpr bool known = true;
    static constexpr bool fixed = false;
    using argument = view&;

    static std::size_t count(const A& range) { return length(range); }
    static void name(const A& range, boc_request*& next) {
        name_all<request<cown<T>, Read>>(range, next);
    }

    struct slot {
        view all;

        explicit slot(const A& range) { all.size_ = length(range); }
        argument bind(cursor& at) noexcept {
            all.first_ = at.values + at.index;
            at.index += all.size_;
            return all;
        }
    };
};

/// A range of results.
template <class A, bool Read>
struct request<A, Read, std::void_t<typename result_value<element<A>>::type>> {
    using R = typename result_value<element<A>>::type;
    using view = values<std::conditional_t<Read, const outcome<R>, outcome<R>>>;
    static constexpr bool known = true;
    static constexpr bool fixed = false;
    using argument = view&;

    static std::size_t count(const A& range) { return length(range); }
    static void name(const A& range, boc_request*& next) {
        name_all<request<result<R>, Read>>(range, next);
    }

    struct slot {
        std::unique_ptr<outcome<R>[]> found;
        std::vector<void*> places;
        view all;

        explicit slot(const A& range)
            : found(new outcome<R>[length(range)]), places(length(range)) {
            std::size_t next = 0;
            for (const auto& each : range) {
                found[next].name(each);
                places[next] = &found[next];
                ++next;
            }
            all.first_ = places.data();
            all.size_ = places.size();
        }
        argument bind(cursor& at) noexcept {
            for (std::size_t each = 0; each < places.size(); ++each, ++at.index) {
                found[each].bind(at.body, at.index, at.values[at.index]);
            }
            return all;
        }
    };
};

template <class F, class... Requests>
constexpr bool runs() {
    if constexpr ((Requests::known && ...)) {
        return std::is_invocable_v<F, typename Requests::argument...>
               && std::is_nothrow_destructible_v<F>;
    } else {
        return false;
    }
}

} // namespace detail

/// Says that a behaviour only reads: `what` is a cown, a result, or a range of them. The lambda gets const
/// references, and others that only read may run at the same time.
///
/// To be written inside of the call that schedules: it refers to `what`, and copies nothing.
template <class A>
[[nodiscard]] detail::reading<A> read(const A& what) noexcept {
    static_assert(detail::request<A, true>::known,
                  "boc::read takes a cown, a result, or a range of them");
    return detail::reading<A>(what);
}

/// Whether `when(requests..., f)` is possible: the requests are cowns, results, ranges of them, or
/// boc::read of those, and F can be called with what they give, and destroyed without exceptions.
template <class F, class... Requests>
constexpr bool is_behaviour_v =
    detail::runs<std::decay_t<F>, detail::request<detail::bare<Requests>, false>...>();

/* Scheduling */

namespace detail {

/// A lambda and what it needs of its requests.
template <class F, class... Requests>
class closure {
public:
    using returned = std::invoke_result_t<F, typename Requests::argument...>;

    template <class G, class... Named>
    explicit closure(G&& function, const Named&... requests)
        : function_(std::forward<G>(function)), slots_(requests...) {}

    returned operator()(boc_body* body, void* const* values) {
        return call(body, values, std::index_sequence_for<Requests...>());
    }

private:
    template <std::size_t... At>
    returned call([[maybe_unused]] boc_body* body, [[maybe_unused]] void* const* values,
                  std::index_sequence<At...>) {
        [[maybe_unused]] cursor at{body, values, 0};
        // In braces they are evaluated from left to right.
        std::tuple<typename Requests::argument...> arguments{std::get<At>(slots_).bind(at)...};
        return std::apply(std::forward<F>(function_), arguments);
    }

    F function_;
    std::tuple<typename Requests::slot...> slots_;
};

/// The env of a behaviour that leaves no result.
template <class Closure>
struct detached {
    static void run(boc_body* body, void* const* values, void* env) noexcept {
        try {
            (*static_cast<Closure*>(env))(body, values);
        } catch (...) {
            describe_current([body](const char* message) { boc_body_fail(body, message); });
        }
    }
    static void destroy(void* env) noexcept { delete static_cast<Closure*>(env); }
};

/// The env of a behaviour with a result: its lambda, which goes when it has run, and what it leaves, which
/// stays for the result.
template <class R, class Closure>
class attached : public state<R> {
public:
    template <class... Args>
    explicit attached(Args&&... args)
        : state<R>(&dispose_this), closure_(std::forward<Args>(args)...) {}
    // The closure was destroyed before.
    ~attached() {}

    static void run(boc_body* body, void* const* values, void* env) noexcept {
        attached* self = static_cast<attached*>(env);
        try {
            if constexpr (std::is_void_v<R>) {
                self->closure_(body, values);
            } else {
                ::new (static_cast<void*>(&self->place)) R(self->closure_(body, values));
                self->retain();
                state<R>* left = self;
                boc_body_set_result(body, left, &state<R>::destroy_value);
            }
        } catch (...) {
            self->thrown = std::current_exception();
            // Known to the library as well, which tells it if nobody asks.
            describe_current([body](const char* message) { boc_body_fail(body, message); });
        }
    }
    static void destroy(void* env) noexcept {
        attached* self = static_cast<attached*>(env);
        self->closure_.~Closure();
        self->release();
    }

private:
    static void dispose_this(state<R>* self) noexcept { delete static_cast<attached*>(self); }

    union {
        Closure closure_;
    };
};

/// A call of `when`, taken apart: the last argument is the lambda.
template <class Arguments, class Indices> struct call;

template <class... Args, std::size_t... At>
struct call<std::tuple<Args...>, std::index_sequence<At...>> {
    using arguments = std::tuple<Args...>;
    using function = std::decay_t<std::tuple_element_t<sizeof...(At), arguments>>;
    template <std::size_t Nth>
    using nth = request<bare<std::tuple_element_t<Nth, arguments>>, false>;

    static constexpr bool requests_known = (nth<At>::known && ...);
    static constexpr bool possible = runs<function, nth<At>...>();
    static_assert(requests_known, "a behaviour is scheduled over cowns, results, ranges of them, or "
                                  "boc::read of those; the last argument is the lambda");
    static_assert(!requests_known || possible,
                  "the last argument cannot be called with what is requested: T& for a cown<T>, const T& "
                  "under boc::read, boc::outcome<R>& for a result<R>, boc::values<T> for a range; or its "
                  "destructor may throw, which has no caller");

    /// The cowns for C, and how many.
    static auto requests(arguments& all) {
        if constexpr ((nth<At>::fixed && ...)) {
            std::array<boc_request, sizeof...(At)> list{};
            fill(all, list.data());
            return list;
        } else {
            std::vector<boc_request> list((nth<At>::count(std::get<At>(all)) + ... + 0));
            fill(all, list.data());
            return list;
        }
    }

    template <class Env, class Closure>
    static Env* env(arguments& all) {
        using G = std::tuple_element_t<sizeof...(At), arguments>;
        return new Env(std::forward<G>(std::get<sizeof...(At)>(all)), std::get<At>(all)...);
    }

    template <class Submit>
    static void schedule_detached(arguments all, Submit submit) {
        if constexpr (possible) {
            using body = closure<function, nth<At>...>;
            const auto list = requests(all);
            body* const made = env<body, body>(all);
            submit(list.data(), list.size(), &detached<body>::run, made, &detached<body>::destroy);
        }
    }

    template <class Submit>
    static auto schedule(arguments all, Submit submit) {
        if constexpr (possible) {
            using body = closure<function, nth<At>...>;
            using R = std::remove_cv_t<typename body::returned>;
            using behaviour = attached<R, body>;
            const auto list = requests(all);
            behaviour* const made = env<behaviour, body>(all);
            made->retain();
            state_ref<R> left(made);
            return submit(list.data(), list.size(), &behaviour::run, made, &behaviour::destroy,
                          std::move(left));
        }
    }

private:
    static void fill([[maybe_unused]] arguments& all, [[maybe_unused]] boc_request* next) {
        (nth<At>::name(std::get<At>(all), next), ...);
    }
};

template <class... Args>
using call_of = call<std::tuple<Args&&...>, std::make_index_sequence<sizeof...(Args) - 1>>;

template <class... Args>
auto when_on(const boc_executor* executor, Args&&... args) {
    return call_of<Args...>::schedule(
        std::forward_as_tuple(std::forward<Args>(args)...),
        [executor](const boc_request* requests, std::size_t count, boc_body_fn body, void* env,
                   boc_destroy_fn destroy, auto left) {
            boc_result* raw = nullptr;
            check(boc_when(executor, requests, count, body, env, destroy, &raw));
            return access::make_result(raw, std::move(left));
        });
}

template <class... Args>
void when_detached_on(const boc_executor* executor, Args&&... args) {
    call_of<Args...>::schedule_detached(
        std::forward_as_tuple(std::forward<Args>(args)...),
        [executor](const boc_request* requests, std::size_t count, boc_body_fn body, void* env,
                   boc_destroy_fn destroy) {
            check(boc_when(executor, requests, count, body, env, destroy, nullptr));
        });
}

/// The executor of something to schedule on. NULL would stand for another one.
template <class Where>
const boc_executor* executor_of(const Where& where) {
    const boc_executor* raw = where.c_executor();
    if (raw == nullptr) throw error(BOC_INVALID_HANDLE, "what to schedule on was moved from");
    return raw;
}

/// What can be scheduled on: executors, runtimes, scopes, pumps.
template <class Where>
class schedules {
public:
    /// As boc::when, on this executor.
    template <class... Args>
    auto when(Args&&... args) const {
        return when_on(executor_of(static_cast<const Where&>(*this)), std::forward<Args>(args)...);
    }

    /// As boc::when_detached, on this executor.
    template <class... Args>
    void when_detached(Args&&... args) const {
        when_detached_on(executor_of(static_cast<const Where&>(*this)), std::forward<Args>(args)...);
    }

protected:
    ~schedules() = default;
};

} // namespace detail

/// Schedules a behaviour: `when(requests..., lambda)`. Returns at once; the lambda is called once, on some
/// thread, when the behaviour holds all that is requested.
///
/// For each request the lambda gets an argument:
///
/// - for a `cown<T>` a `T&`, for a `result<R>` an `outcome<R>&`;
/// - for a range of cowns (a vector, an array) `values<T>`, for one of results `values<outcome<R>>`;
/// - for `read(...)` of these the same with const.
///
/// It runs where the running behaviour runs, and in the same scope; outside of behaviours on the default
/// runtime. It should not block for long.
///
/// Returns a handle to what the lambda is going to return, which may be dropped. Throws boc::error if it
/// cannot be scheduled (BOC_DUPLICATE_COWN, BOC_REFUSED, BOC_NO_THREAD), or what copying or moving the
/// lambda threw; then the lambda is destroyed, and never runs.
template <class... Args>
auto when(Args&&... args) {
    return detail::when_on(nullptr, std::forward<Args>(args)...);
}

/// As when, without a result: cheaper. What the lambda returns is dropped; an exception is reported on
/// the standard error.
template <class... Args>
void when_detached(Args&&... args) {
    detail::when_detached_on(nullptr, std::forward<Args>(args)...);
}

/* Results */

/// A handle to the outcome of a behaviour, or of a promise: what the lambda returned, or what it threw.
///
/// Copies refer to the same outcome. Dropping all of them lets the behaviour run all the same; if it
/// throws, and nobody ever asked how it ended, the library reports that once on the standard error.
template <class R>
class result {
public:
    using value_type = R;

    /// No outcome.
    result() noexcept = default;

    /// Whether there is an outcome to refer to: false if this was moved from.
    explicit operator bool() const noexcept { return handle_.get() != nullptr; }

    /// Waits until the behaviour has ended, and all that was scheduled over the result before; then moves
    /// the value out. That works once: for others it is BOC_TAKEN from then on. Without a value (void) it
    /// only waits, as often as one likes.
    ///
    /// Throws what the lambda threw; boc::error with BOC_CANCELLED, BOC_BROKEN or BOC_TAKEN if there is no
    /// value, with BOC_INSIDE_BEHAVIOUR inside of a behaviour, with BOC_INTERRUPTED if waiting was.
    R get() const { return take(BOC_FOREVER); }

    /// As get(); throws boc::error with BOC_TIMED_OUT if that takes longer than `duration`.
    template <class Rep, class Period>
    R get_for(std::chrono::duration<Rep, Period> duration) const {
        return take(detail::timeout(duration));
    }

    /// Waits until the behaviour has ended, however. Throws boc::error inside of a behaviour.
    void wait() const { detail::check(boc_result_wait(handle_.get(), BOC_FOREVER)); }

    /// Waits for `duration` at the most, and says whether the behaviour has ended.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> duration) const {
        return detail::in_time(boc_result_wait(handle_.get(), detail::timeout(duration)));
    }

    /// BOC_PENDING; BOC_OK if there is or was a value; BOC_FAILED if the lambda threw; BOC_CANCELLED;
    /// BOC_BROKEN. BOC_INVALID_ARGUMENT if this is empty.
    boc_status status() const noexcept { return boc_result_status(handle_.get()); }

    /// Cancels the behaviour, unless it has started: its lambda is destroyed at once. Says whether this
    /// call did it.
    bool cancel() const {
        bool cancelled = false;
        detail::check(boc_result_cancel(handle_.get(), &cancelled));
        return cancelled;
    }

    /// `when(*this, lambda)`: what comes next, with the `outcome<R>&`.
    template <class F>
    auto then(F&& function) const {
        return boc::when(*this, std::forward<F>(function));
    }

    /// Calls `function` without arguments when the behaviour has ended: at once if it has, else on the
    /// thread that ends it. It must not block, nor throw: to wake something up is what it is for. It is
    /// destroyed after that.
    template <class F>
    void on_finished(F&& function) const {
        using callback = detail::callback<std::decay_t<F>>;
        detail::check(boc_result_on_finished(handle_.get(), &callback::call,
                                             new std::decay_t<F>(std::forward<F>(function)),
                                             &callback::destroy));
    }

    /// The handle of C, lent as long as this one exists. NULL if this is empty.
    const boc_result* c_handle() const noexcept { return handle_.get(); }

    /// Whether two handles are to the same outcome; empty ones are equal.
    friend bool operator==(const result& a, const result& b) noexcept {
        return boc_cown_same(boc_result_cown(a.c_handle()), boc_result_cown(b.c_handle()));
    }
    friend bool operator!=(const result& a, const result& b) noexcept { return !(a == b); }

private:
    friend struct detail::access;
    friend class outcome<R>;
    friend class promise<R>;

    result(boc_result* handle, detail::state_ref<R> state) noexcept
        : handle_(handle), state_(std::move(state)) {}

    R take(std::uint64_t timeout) const {
        if constexpr (std::is_void_v<R>) {
            detail::check(boc_result_wait(handle_.get(), timeout));
            const boc_status status = boc_result_status(handle_.get());
            if (status != BOC_OK) fail(status);
        } else {
            void* taken = nullptr;
            const boc_status status = boc_result_take(handle_.get(), timeout, &taken);
            if (status != BOC_OK) fail(status);
            return detail::state<R>::take(taken);
        }
    }

    [[noreturn]] void fail(boc_status status) const {
        const bool ended = status == BOC_FAILED || status == BOC_CANCELLED || status == BOC_BROKEN;
        state_.raise(status, ended ? boc_result_error(handle_.get()) : nullptr);
    }

    detail::shared<detail::result_functions> handle_;
    detail::state_ref<R> state_;
};

/* Executors */

/// A handle to what behaviours are scheduled on.
class executor : public detail::schedules<executor> {
public:
    /// A handle to the executor of a runtime, a scope, or a pump.
    template <class Where>
    static executor of(const Where& where) {
        return adopt(boc_executor_clone(detail::executor_of(where)));
    }

    /// Where boc::when schedules.
    static executor current() {
        boc_executor* raw = nullptr;
        detail::check(boc_executor_current(&raw));
        return adopt(raw);
    }

    /// Takes over a handle of C.
    static executor adopt(boc_executor* handle) noexcept {
        return executor(detail::shared<detail::executor_functions>(handle));
    }

    /// The handle of C, lent as long as this one exists. NULL if this was moved from.
    const boc_executor* c_executor() const noexcept { return handle_.get(); }

private:
    explicit executor(detail::shared<detail::executor_functions> handle) noexcept
        : handle_(std::move(handle)) {}

    detail::shared<detail::executor_functions> handle_;
};

/// A behaviour that holds all its cowns and has not run: what an executor of one's own gets. It is moved to
/// the thread that is to run it. Destroying it cancels the behaviour. For one thread at a time.
class ready {
public:
    /// Takes over a handle of C.
    static ready adopt(boc_ready* handle) noexcept { return ready(handle); }

    /// Runs the behaviour on the calling thread, and releases its cowns. This is empty afterwards.
    void run() { detail::check(boc_ready_run(handle_.release())); }

    /// Cancels the behaviour, and releases its cowns. This is empty afterwards.
    void cancel() { handle_.reset(); }

    /// Whether there is a behaviour: false if it was run, cancelled, or moved from.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    /// Gives up the handle of C without cancelling.
    boc_ready* release() noexcept { return handle_.release(); }

private:
    explicit ready(boc_ready* handle) noexcept : handle_(handle) {}

    detail::unique<boc_ready> handle_;
};

/// An executor of one's own: `execute(boc::ready&&)` takes a behaviour, to run it soon, on any thread.
///
/// It is called on the thread that scheduled the behaviour or released the last cown it waited for,
/// possibly on several threads at once. It must not block, and should not run the behaviour itself, since
/// the stack would grow with each one that follows on another. If it does not move the behaviour out of its
/// argument, or throws before, the behaviour is refused, which cancels it.
///
/// `execute` is destroyed when the last handle is gone and all behaviours of the executor have ended.
template <class F>
executor make_executor(F&& execute) {
    using function = std::decay_t<F>;
    struct shim {
        static int execute(void* env, boc_ready* raw) noexcept {
            ready behaviour = ready::adopt(raw);
            auto hand_over = [&behaviour, env] {
                (*static_cast<function*>(env))(std::move(behaviour));
            };
            detail::callback<decltype(hand_over)>::call(&hand_over);
            // Still there: refused, and the library's again.
            return behaviour.release() != nullptr ? 1 : 0;
        }
    };
    boc_executor* raw = nullptr;
    detail::check(boc_executor_new(&shim::execute, new function(std::forward<F>(execute)),
                                   &detail::callback<function>::destroy, &raw));
    return executor::adopt(raw);
}

/* Runtimes */

/// How to make a runtime. What is not set stands for the default.
struct runtime_options {
    /// How many behaviours run at the same time, at most 65535. 0: one for each processor.
    std::uint32_t workers = 0;
    /// Starts no threads: the workers run on threads that call runtime::run_worker.
    bool foreign_threads = false;
    /// runtime::report can say what each behaviour does and waits for. A behaviour takes some 350 ns more.
    bool observe = false;
    /// How many behaviours may be in flight before a thread outside of behaviours that schedules one more
    /// has to wait. 0: no bound.
    std::uint64_t max_in_flight = 0;
    /// The name of the threads; each gets a number behind it. Empty: "boc".
    std::string thread_name;
    /// After so long inside of one behaviour a worker counts as stalled. 0: never.
    std::chrono::nanoseconds stall_after{0};
    /// Is told of stalled workers by a report, on a thread of its own. Needed with stall_after. It must not
    /// throw.
    std::function<void(const char* report)> on_stall;
};

/// What a worker has done since its runtime was made: run, stolen, parked, woken.
using worker_stats = boc_worker_stats;

/// A handle to a runtime: threads that run behaviours.
///
/// With the last handle the runtime ends: its behaviours are waited for, except inside of a behaviour.
class runtime : public detail::schedules<runtime> {
public:
    /// A runtime with `workers` threads; 0: one for each processor. Throws boc::error (BOC_NO_THREAD).
    explicit runtime(std::uint32_t workers = 0) : runtime(with(workers)) {}

    /// Throws boc::error: BOC_NO_THREAD, BOC_INVALID_ARGUMENT.
    explicit runtime(const runtime_options& options) {
        boc_runtime_options raw = BOC_RUNTIME_OPTIONS_INIT;
        raw.workers = options.workers;
        raw.flags = (options.foreign_threads ? static_cast<std::uint32_t>(BOC_FOREIGN_THREADS) : 0U)
                    | (options.observe ? static_cast<std::uint32_t>(BOC_OBSERVE) : 0U);
        raw.max_in_flight = options.max_in_flight;
        raw.thread_name = options.thread_name.empty() ? nullptr : options.thread_name.c_str();
        raw.stall_after_ns = detail::timeout(options.stall_after);
        if (options.on_stall) {
            using callback = detail::callback<std::function<void(const char*)>>;
            raw.stall_env = new std::function<void(const char*)>(options.on_stall);
            raw.on_stall = &callback::call;
            raw.destroy_stall_env = &callback::destroy;
        }
        boc_runtime* made = nullptr;
        detail::check(boc_runtime_new(&raw, &made));
        handle_ = detail::shared<detail::runtime_functions>(made);
    }

    /// Takes over a handle of C.
    static runtime adopt(boc_runtime* handle) noexcept {
        return runtime(detail::shared<detail::runtime_functions>(handle));
    }

    /// Waits until all behaviours have ended, those that are scheduled meanwhile included. Throws
    /// boc::error inside of a behaviour, and if waiting was interrupted.
    void quiesce() const { detail::check(boc_runtime_quiesce(handle_.get(), BOC_FOREVER)); }

    /// Waits for `duration` at the most, and says whether all behaviours have ended.
    template <class Rep, class Period>
    [[nodiscard]] bool quiesce(std::chrono::duration<Rep, Period> duration) const {
        return detail::in_time(boc_runtime_quiesce(handle_.get(), detail::timeout(duration)));
    }

    /// Ends the runtime after all its behaviours have ended, which may go on scheduling others; what is
    /// scheduled from elsewhere is refused. Waits for the end. Throws boc::error: BOC_INSIDE_BEHAVIOUR,
    /// BOC_NOT_ALLOWED, BOC_INTERRUPTED.
    void shutdown() const { detail::check(boc_runtime_shutdown(handle_.get(), BOC_FOREVER)); }

    /// Waits for `duration` at the most, and says whether the runtime has ended. If not, it does later.
    template <class Rep, class Period>
    [[nodiscard]] bool shutdown(std::chrono::duration<Rep, Period> duration) const {
        return detail::in_time(boc_runtime_shutdown(handle_.get(), detail::timeout(duration)));
    }

    /// As shutdown(), but behaviours that have not started are cancelled.
    void stop() const { detail::check(boc_runtime_stop(handle_.get(), BOC_FOREVER)); }

    /// Waits for `duration` at the most, and says whether the runtime has ended. If not, it does later.
    template <class Rep, class Period>
    [[nodiscard]] bool stop(std::chrono::duration<Rep, Period> duration) const {
        return detail::in_time(boc_runtime_stop(handle_.get(), detail::timeout(duration)));
    }

    /// Makes the calling thread a worker until the runtime is told to end; for runtime_options with
    /// foreign_threads. Throws boc::error (BOC_NO_PLACE).
    void run_worker() const { detail::check(boc_runtime_run_worker(handle_.get())); }

    /// How many workers there are.
    std::size_t workers() const noexcept { return boc_runtime_workers(handle_.get()); }

    /// How many behaviours were scheduled and have not ended, at this moment.
    std::size_t in_flight() const noexcept { return boc_runtime_in_flight(handle_.get()); }

    /// What the workers have done so far, one after the other.
    std::vector<worker_stats> stats() const {
        std::vector<worker_stats> all(workers());
        detail::check(boc_runtime_stats(handle_.get(), all.data(), sizeof(worker_stats), all.size(),
                                        nullptr));
        return all;
    }

    /// Which behaviours have not ended, what each holds and waits for, and for how long. Only if the
    /// runtime was made with `observe` or a watchdog; else the text says so.
    std::string report() const {
        char* raw = nullptr;
        detail::check(boc_runtime_report(handle_.get(), &raw));
        const detail::unique<char> text(raw);
        return text.get();
    }

    /// The handle of C, lent as long as this one exists. NULL if this was moved from.
    const boc_runtime* c_handle() const noexcept { return handle_.get(); }

    /// What C schedules on, lent as long as this handle exists. NULL if this was moved from.
    const boc_executor* c_executor() const noexcept {
        return handle_.get() != nullptr ? boc_runtime_executor(handle_.get()) : nullptr;
    }

private:
    explicit runtime(detail::shared<detail::runtime_functions> handle) noexcept
        : handle_(std::move(handle)) {}

    static runtime_options with(std::uint32_t workers) {
        runtime_options options;
        options.workers = workers;
        return options;
    }

    detail::shared<detail::runtime_functions> handle_;
};

/// The runtime that boc::when schedules on outside of behaviours. It is started when it is first used, with
/// a worker for each processor, and lives as long as the program. Throws boc::error (BOC_NO_THREAD).
inline runtime default_runtime() {
    boc_runtime* raw = nullptr;
    detail::check(boc_runtime_default(&raw));
    return runtime::adopt(raw);
}

/* Scopes */

/// Behaviours that can be waited for together, with all that these schedule in turn by boc::when.
///
/// Can be used on any thread, but closed by one. The destructor closes it, and does not wait.
class scope : public detail::schedules<scope> {
public:
    /// A scope of behaviours that run where boc::when schedules.
    scope() { open(nullptr); }

    /// A scope of behaviours that run on `where`: an executor, a runtime, a pump, another scope.
    template <class Where, std::enable_if_t<!std::is_same_v<Where, scope>, int> = 0>
    explicit scope(const Where& where) { open(detail::executor_of(where)); }

    scope(scope&&) noexcept = default;
    scope& operator=(scope&&) noexcept = default;

    /// A scope inside of another one, which ends after it.
    static scope inside(const scope& outer) { return scope(executor::of(outer)); }

    /// Closes the scope: it ends when all its behaviours have ended, which may go on scheduling others.
    /// Gives the end, to be waited for or scheduled over. Nothing can be scheduled here any more.
    result<void> close() {
        boc_result* ended = nullptr;
        if (!handle_) throw error(BOC_INVALID_HANDLE, "the scope was closed, or moved from");
        detail::check(boc_scope_close(handle_.release(), &ended));
        return detail::access::make_result(ended, detail::state_ref<void>());
    }

    /// What C schedules on, lent until the scope is closed. NULL after that.
    const boc_executor* c_executor() const noexcept {
        return handle_ ? boc_scope_executor(handle_.get()) : nullptr;
    }

private:
    void open(const boc_executor* where) {
        boc_scope* raw = nullptr;
        detail::check(boc_scope_new(where, &raw));
        handle_.reset(raw);
    }

    detail::unique<boc_scope> handle_;
};

/* Batches */

/// A behaviour that was added to a batch: scheduled::result makes a result of it. Dropping it lets the
/// behaviour run all the same.
///
/// It is no result yet, since what is scheduled over the result of a behaviour comes behind that; before
/// the batch is scheduled it could come before it on a cown of both, and then each would wait for the other.
template <class R>
class member {
    friend struct detail::access;
    friend class scheduled;

    member(std::size_t index, detail::state_ref<R> state) noexcept
        : index_(index), state_(std::move(state)) {}

    std::size_t index_;
    detail::state_ref<R> state_;
};

/// A batch that was scheduled: keeps the outcomes of its behaviours, for those who want to know them.
class scheduled {
public:
    /// The result of a behaviour of the batch. Throws boc::error if it is one of another batch.
    template <class R>
    boc::result<R> result(const member<R>& member) const {
        if (member.index_ >= all_.size() || all_[member.index_].state != member.state_.get()) {
            throw error(BOC_INVALID_ARGUMENT, "the behaviour is not one of this batch");
        }
        auto handle = all_[member.index_].handle;
        return detail::access::make_result(handle.release(), member.state_);
    }

private:
    friend class batch;

    struct entry {
        /// What tells it from the behaviours of other batches.
        const void* state;
        detail::shared<detail::result_functions> handle;
    };

    std::vector<entry> all_;
};

/// Behaviours that are scheduled as one step: nobody else's behaviour comes between them in the queues of
/// the cowns that they share. For one thread at a time.
///
///     boc::batch batch;
///     const auto one = batch.when(a, [](int& it) { return it; });
///     batch.when(a, b, [](int& from, int& to) { std::swap(from, to); });
///     const boc::scheduled all = batch.schedule();
///     std::cout << all.result(one).get();
///
/// They count as in flight from the moment they are added, so the thread that has the batch must not wait
/// for the end of all. A batch that is destroyed without schedule() cancels them.
class batch {
public:
    /// A batch of behaviours that run where boc::when schedules.
    batch() { open(nullptr); }

    /// A batch of behaviours that run on `where`: an executor, a runtime, a scope, a pump.
    template <class Where, std::enable_if_t<!std::is_same_v<Where, batch>, int> = 0>
    explicit batch(const Where& where) { open(detail::executor_of(where)); }

    /// Adds a behaviour; arguments and errors are those of boc::when. Gives a member<R>, to get the result
    /// when the batch is scheduled. A later behaviour of the batch that needs what this one leaves gets it
    /// by a cown that both name.
    template <class... Args>
    auto when(Args&&... args) {
        need();
        auto add = [this](const boc_request* requests, std::size_t count, boc_body_fn body,
                          void* env, boc_destroy_fn destroy, auto left) {
            detail::check(boc_batch_when(handle_.get(), requests, count, body, env, destroy));
            states_.push_back(left.get());
            return detail::access::make_member(states_.size() - 1, std::move(left));
        };
        // So that nothing can fail once it was added.
        if (states_.size() == states_.capacity()) states_.reserve(2 * states_.size() + 4);
        return detail::call_of<Args...>::schedule(
            std::forward_as_tuple(std::forward<Args>(args)...), add);
    }

    /// How many behaviours were added. 0 after schedule().
    std::size_t size() const noexcept { return states_.size(); }

    /// Schedules the behaviours, and leaves this empty. What it returns may be dropped.
    scheduled schedule() {
        need();
        std::vector<boc_result*> raw(states_.size());
        scheduled all;
        all.all_.resize(states_.size());
        detail::check(boc_batch_schedule(handle_.release(), raw.data(), raw.size()));
        for (std::size_t each = 0; each < raw.size(); ++each) {
            all.all_[each].state = states_[each];
            all.all_[each].handle = detail::shared<detail::result_functions>(raw[each]);
        }
        states_.clear();
        return all;
    }

private:
    void open(const boc_executor* where) {
        boc_batch* raw = nullptr;
        detail::check(boc_batch_new(where, &raw));
        handle_.reset(raw);
    }

    void need() const {
        if (!handle_) throw error(BOC_INVALID_HANDLE, "the batch was scheduled, or moved from");
    }

    detail::unique<boc_batch> handle_;
    std::vector<const void*> states_;
};

/* Pumps */

/// An executor whose behaviours run when it is pumped: on a main thread, in an event loop. Scheduling works
/// from any thread. What has not run when it is destroyed is cancelled, and so is what comes later.
class pump : public detail::schedules<pump> {
public:
    /// A pump with so many priorities: what is ready in lane 0 runs before what is in lane 1, and so on. On
    /// one cown the order of scheduling holds, whatever the lanes.
    explicit pump(std::size_t lanes = 1) { open(lanes, nullptr, nullptr, nullptr); }

    /// `wake` is called without arguments whenever a behaviour has become ready, on the thread that made it
    /// so, possibly on several threads at once. It must not block, pump, nor throw; to write to a pipe or
    /// an eventfd is what it is for.
    template <class Wake, std::enable_if_t<std::is_invocable_v<Wake&>, int> = 0>
    pump(std::size_t lanes, Wake wake) {
        using callback = detail::callback<Wake>;
        open(lanes, &callback::call, new Wake(std::move(wake)), &callback::destroy);
    }

    /// Runs behaviours that are ready on the calling thread, with those that become ready meanwhile, `limit`
    /// at the most, and says how many ran. One thread should pump at a time. Throws boc::error inside of a
    /// behaviour.
    std::size_t run(std::size_t limit = SIZE_MAX) const {
        std::size_t count = 0;
        detail::check(boc_pump_run(handle_.get(), limit, &count));
        return count;
    }

    /// The executor of a lane. when() schedules in lane 0. Throws boc::error if there is no such lane.
    boc::executor lane(std::size_t index) const {
        const boc_executor* raw = handle_ ? boc_pump_executor(handle_.get(), index) : nullptr;
        if (raw == nullptr) throw error(BOC_INVALID_ARGUMENT, "the pump has no such lane");
        return boc::executor::adopt(boc_executor_clone(raw));
    }

    /// What C schedules on, lent as long as this exists. NULL if this was moved from.
    const boc_executor* c_executor() const noexcept {
        return handle_ ? boc_pump_executor(handle_.get(), 0) : nullptr;
    }

private:
    void open(std::size_t lanes, boc_notify_fn wake, void* env, boc_destroy_fn destroy) {
        boc_pump* raw = nullptr;
        detail::check(boc_pump_new(lanes, wake, env, destroy, &raw));
        handle_.reset(raw);
    }

    detail::unique<boc_pump> handle_;
};

/* Promises */

/// The other end of a result whose value does not come from a behaviour, but from a timer, from input and
/// output, from another library. Used up by fulfil() or fail(); destroyed before that, the outcome is
/// BOC_BROKEN. For one thread at a time.
template <class R>
class promise {
public:
    promise() {
        boc_promise* raw = nullptr;
        boc_result* outcome = nullptr;
        detail::state_ref<R> state(new place);
        detail::check(boc_promise_new(&raw, &outcome));
        handle_.reset(raw);
        result_ = detail::access::make_result(outcome, std::move(state));
    }

    promise(promise&&) noexcept = default;
    promise& operator=(promise&&) noexcept = default;

    /// What the promise is going to be fulfilled with.
    boc::result<R> result() const noexcept { return result_; }

    /// Gives the value, constructed of `args`, and says whether somebody wants it: false if the result was
    /// cancelled. Throws boc::error if there was a value, or a failure; and what the constructor throws,
    /// after which the promise is as before.
    template <class... Args>
    bool fulfil(Args&&... args) {
        need();
        if constexpr (std::is_void_v<R>) {
            static_assert(sizeof...(Args) == 0, "a promise<void> is fulfilled with nothing");
            return wanted(boc_promise_fulfil(handle_.release(), nullptr, nullptr));
        } else {
            detail::state<R>* const state = result_.state_.get();
            ::new (static_cast<void*>(&state->place)) R(std::forward<Args>(args)...);
            state->retain();
            return wanted(
                boc_promise_fulfil(handle_.release(), state, &detail::state<R>::destroy_value));
        }
    }

    /// Says that there will be no value: get() throws `exception`, which must not be null. Says whether
    /// somebody wants to know, and throws, as fulfil().
    bool fail(std::exception_ptr exception) {
        need();
        boc_status status = BOC_OK;
        result_.state_.get()->thrown = exception;
        try {
            std::rethrow_exception(std::move(exception));
        } catch (...) {
            detail::describe_current([this, &status](const char* message) {
                status = boc_promise_fail(handle_.release(), message);
            });
        }
        return wanted(status);
    }

    /// Whether the result was cancelled, so that nobody wants the value any more.
    bool is_cancelled() const noexcept {
        return handle_ && boc_promise_is_cancelled(handle_.get());
    }

private:
    struct place : detail::state<R> {
        place() noexcept : detail::state<R>(&dispose_this) {}
        static void dispose_this(detail::state<R>* self) noexcept {
            delete static_cast<place*>(self);
        }
    };

    void need() const {
        if (!handle_) throw error(BOC_INVALID_HANDLE, "the promise was used up, or moved from");
    }

    static bool wanted(boc_status status) {
        if (status == BOC_CANCELLED) return false;
        detail::check(status);
        return true;
    }

    detail::unique<boc_promise> handle_;
    boc::result<R> result_;
};

} // namespace boc

#endif // BOC_BOC_HPP
