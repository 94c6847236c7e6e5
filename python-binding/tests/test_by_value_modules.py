"""Modules that workers cannot import, since only the main interpreter can load what they need."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

import compiling

pytestmark = pytest.mark.by_value

PACKAGES = {
    # Tells a long story of what went wrong, as large packages do.
    "native/__init__.py": """
        try:
            import needs_gil
        except ImportError as error:
            raise ImportError(f"PLEASE READ THIS\\n\\nOriginal error was: {error}") from error
        class Array:
            def __init__(self, *items): self.items = items
    """,
    "native/sums.py": """
        def total(array): return sum(array.items)
    """,
    "helper.py": """
        import native.sums
        def total(): return native.sums.total(native.Array(1, 2, 3))
    """,
    "application.py": """
        import helper
        def body(cown): cown.value = helper.total()
    """,
    "cautious.py": """
        try:
            from needs_gil import nothing
        except ImportError:
            pass
        def body(cown): cown.value = 6
    """,
}

PROGRAM = """
    import application, cautious, helper, native
    from boc import Cown, quiesce, when, whencall

    def refused(schedule):
        try:
            schedule()
        except ImportError as error:
            assert error.__cause__ is None and error.__context__ is None
            return error.name, str(error)
        raise AssertionError("was not refused")

    cown = Cown(0)
    {0}
    quiesce()
    # Nothing has become of the cown.
    assert when(cown)(lambda cown: cown.value).result() == 0
    # What does not need it works.
    when(cown)(cautious.body)
    assert when(cown)(lambda cown: cown.value).result() == 6
"""

WHY = (
    "cannot be imported in a worker's interpreter (module needs_gil does not support loading in subinterpreters); "
    'start with boc.start(backend="direct"), or set BOC_BACKEND=direct, to run behaviours'
)


@pytest.fixture
def refusing(program, tmp_path: Path, extensions: Path):
    """Runs the program with a few lines in the middle."""
    compiling.extension(extensions, "needs_gil.c", "needs_gil")
    for name, source in PACKAGES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(source))
    path = os.pathsep.join(filter(None, [str(extensions), str(tmp_path), os.environ.get("PYTHONPATH")]))

    def run(lines: str, text: str = PROGRAM, **environment: str) -> None:
        source = textwrap.dedent(text).format(textwrap.dedent(lines).strip())
        done = program(source, environment={"PYTHONPATH": path, **environment})
        assert (done.returncode, done.stdout) == (0, "") and not done.stderr, done.stderr

    return run


def test_the_module_of_the_function(refusing) -> None:
    refusing(
        f"""
        name, text = refused(lambda: when(cown)(application.body))
        assert name == "application", name
        way = "the module 'application', which imports 'helper', which imports 'native', "
        assert text.startswith(way + {WHY!r}), text
        """
    )


@pytest.mark.parametrize("started", ["import boc; boc.start(2)", ""])
def test_a_module_that_the_function_uses(refusing, started: str) -> None:
    refusing(
        f"""
{started}
def body(cown): cown.value = native.Array(1)
name, text = refused(lambda: when(cown)(body))
assert name == "native", name
assert text.startswith("the module 'native' " + {WHY!r}), text
        """
    )


def test_a_function_of_such_a_module(refusing) -> None:
    refusing(
        """
from helper import total
def body(cown): cown.value = total()
name, text = refused(lambda: when(cown)(body))
assert name == "helper" and "which imports 'native', cannot" in text, text
        """
    )


def test_a_value_of_such_a_module(refusing) -> None:
    refusing(
        """
        made = Cown(native.Array(1))
        name, text = refused(lambda: when(made)(lambda made: made.value))
        assert name == "native", text
        name, text = refused(lambda: whencall(lambda cown, array: None, [cown], [native.Array(2)]))
        assert name == "native", text
        """
    )


def test_each_time(refusing) -> None:
    refusing(
        """
        texts = {refused(lambda: when(cown)(application.body)) for _ in range(3)}
        assert len(texts) == 1
        """
    )


def test_the_backend_that_the_error_names(refusing) -> None:
    program = """
        import application
        from boc import Cown, when
        cown = Cown(0)
        when(cown)(application.body)
        assert when(cown)(lambda cown: cown.value).result() == 6
    """
    refusing("", program, BOC_BACKEND="direct")
