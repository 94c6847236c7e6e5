"""The CPU-bound body, the same for all: pure Python, nothing shared."""


def arithmetic() -> int:
    total = 0
    for n in range(200_000):
        total += n * n % 7
    return total
