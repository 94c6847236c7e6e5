"""Makes everything ready for Python, and prints where:

    direct PATH
    subinterpreters PATH

the interpreters of the two virtual environments that boc is installed in.
With `--without-boc` it stops short of building boc.
"""

from .choice import choose
from .environment import Environment, prepare
from .lock import locked
from .package import check_tools, install
from .places import VENVS
from .search import Search


def ready(*, with_boc: bool = True) -> dict[str, Environment]:
    """Both environments by the name of their backend; raises SetupError."""
    if with_boc:
        check_tools()
    with locked(VENVS / "lock", "setting up this clone"):
        environments = {kind: prepare(interpreter, kind) for kind, interpreter in choose().items()}
        if with_boc:
            for environment in environments.values():
                install(environment)
    return environments


def oldest() -> Environment | None:
    """The environment of the oldest version that has sub-interpreters, with boc installed.

    `None` if there is no such interpreter, or if it is the one of the backend. It is not built where
    it is missing, as no distribution's sources can be counted on to have it.
    """
    check_tools()
    with locked(VENVS / "lock", "setting up this clone"):
        interpreter = Search().oldest()
        if interpreter is None or interpreter == choose()["subinterpreters"]:
            return None
        environment = prepare(interpreter, "oldest")
        install(environment)
        return environment


def main(arguments: list[str]) -> None:
    for kind, environment in ready(with_boc="--without-boc" not in arguments).items():
        print(kind, environment.python)
