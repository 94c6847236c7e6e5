"""The documentation's examples run, and it names what there is."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import pytest

import boc

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    REPOSITORY / "README.md",
    *(
        REPOSITORY / "docs" / name
        for name in (
            *("index.md", "guide.md", "python.md", "python-backends.md", "python-testing.md"),
            *("python-watching.md", "migrating-from-bocpy.md"),
        )
    ),
]

BLOCK = re.compile(
    r"^```python\n(.*?)^```$(?:\n\nprints\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)
"""An example, and what it prints if that does not stand beside its calls of `print`."""

VARIES = re.compile(r"0x[0-9a-f]+|\d+(\.\d+)? (µs|ms|s)\b|\((direct|subinterpreters)\)|worker \d+")
"""What is different each time."""

SAYS = re.compile(r"^[ \t]*print\(.*\)  # (.*)$", re.MULTILINE)
LITERAL = re.compile(r"::\n\n((?:(?: {4}.*)?\n)+)")


PRINTED: dict[str, str] = {}


def examples() -> dict[str, str]:
    found = {}
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text()):
            line = page.read_text()[: block.start()].count("\n") + 2
            found[f"{page.name}:{line}"] = block[1]
            if block[2] is not None:
                PRINTED[f"{page.name}:{line}"] = VARIES.sub("…", block[2])
    for name in ["boc", *(f"boc.{name}" for name in boc.__all__)]:
        thing = boc if name == "boc" else getattr(boc, name.removeprefix("boc."))
        text = inspect.cleandoc(getattr(thing, "__doc__", None) or "") + "\n"
        for number, block in enumerate(LITERAL.finditer(text)):
            found[f"{name} docstring {number}"] = textwrap.dedent(block[1])
    return found


EXAMPLES = examples()


@pytest.mark.once
def test_there_are_examples() -> None:
    for page in PAGES:
        assert any(name.startswith(page.name) for name in EXAMPLES), page
    assert any(name.startswith("boc docstring") for name in EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run_and_print_what_they_say(program, name: str, tmp_path: Path) -> None:
    done = program(EXAMPLES[name], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    # Programs that do not wait for what they have scheduled are told so.
    complaints = [line for line in done.stderr.splitlines() if "were dropped" not in line]
    assert complaints == []
    if name in PRINTED:
        assert VARIES.sub("…", done.stdout) == PRINTED[name]
    else:
        assert done.stdout.splitlines() == SAYS.findall(EXAMPLES[name])


@pytest.mark.once
def test_everything_public_is_documented() -> None:
    for name in boc.__all__:
        thing = getattr(boc, name)
        if callable(thing):
            assert inspect.getdoc(thing), name
            told = f"`{name}`" if isinstance(thing, type) and issubclass(thing, Warning) else f"{name}("
            assert any(told in page.read_text() for page in PAGES), name


@pytest.mark.once
def test_the_reference_has_all_names() -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text()
    named = re.findall(r"^\.\. auto(?:class|function|data|exception):: (\w+)$", page, re.MULTILINE)
    assert sorted(named) == sorted(set(boc.__all__) - {"__version__"})


@pytest.mark.once
def test_what_is_said_to_be_missing_is_missing() -> None:
    page = (REPOSITORY / "docs" / "migrating-from-bocpy.md").read_text()
    missing = re.findall(r"^\| `(\w+).*\| not there yet \|", page, re.MULTILINE)
    assert "Matrix" in missing
    assert [name for name in missing if hasattr(boc, name)] == []


@pytest.mark.once
def test_members_of_cowns_are_documented() -> None:
    public = [name for name in vars(boc.Cown) if not name.startswith("_")]
    assert set(public) == {
        *("value", "acquired", "exception", "acquire", "release", "unwrap"),
        *("result", "done", "cancel", "future", "add_done_callback"),
    }
    for name in public:
        assert getattr(boc.Cown, name).__doc__, name


@pytest.mark.once
def test_links_within_the_repository() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.once
def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", boc.__version__)
    assert "unknown" not in boc.__version__
