"""The CPU-bound body, the same for all: pure Python, nothing shared."""


def arithmetic(rounds: int = 200_000) -> int:
    total = 0
    for n in range(rounds):
        total += n * n % 7
    return total
