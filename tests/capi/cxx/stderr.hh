// What goes to the standard error while a function runs.
#ifndef BOC_TESTS_STDERR_HH
#define BOC_TESTS_STDERR_HH

#include <cstdio>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace check {

template <class F>
std::string stderr_of(F f) {
    std::fflush(stderr);
    std::FILE* const file = std::tmpfile();
    const int before = dup(STDERR_FILENO);
    if (file == nullptr || before < 0 || dup2(fileno(file), STDERR_FILENO) < 0) {
        throw std::runtime_error("cannot redirect the standard error");
    }
    f();
    std::fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    std::rewind(file);
    std::string text;
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
    std::fclose(file);
    return text;
}

inline std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

} // namespace check

#endif
