"""What making and keeping a function costs, without scheduling it.

This is the part of a behaviour's price that no library can take away from a
body defined in a loop: the function object, and the garbage collector's visits
to it while it waits.
"""

from program import Work, arguments, queued, report


def keep(count: int) -> Work:
    kept = []

    def make() -> None:
        for _ in range(count):

            def nothing(shared):
                pass

            kept.append(nothing)

    return make, lambda: len(kept) == count


def main() -> None:
    asked = arguments()
    numbers = queued(keep, asked.count, asked.at_once, lambda: lambda: None, lambda: None)
    report(asked.count, numbers, {})


if __name__ == "__main__":
    main()
