"""The example scanner: what its parts find, and that all ways of running agree."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

from codescan import behaviours, by_hand, sequential  # noqa: E402
from codescan.analysis import FileFacts, analyse, analyse_text  # noqa: E402
from codescan.command import main  # noqa: E402
from codescan.progress import unwatched  # noqa: E402
from codescan.reading import Unusable, decode, parse, read_text  # noqa: E402
from codescan.report import Inconsistent, assemble  # noqa: E402
from codescan.rules import RULES, name_of  # noqa: E402
from codescan.sources import TOP_LEVEL, Selection, Source, select, standard_library  # noqa: E402
from codescan.totals import PackageTotals, Shard, by_shard, put  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

BIG_BODY = """
    result = []
    for index, item in enumerate(sequence):
        if index % 2 and item is not None:
            result.append(item * 2 + index)
        elif item in (1, 2, 3):
            result.extend([item, index])
    return sorted(result, key=str)[: len(sequence) - 1]
"""
BIG_FUNCTION = f"def first(sequence):{BIG_BODY}"


def facts_of(text: str, name: str = "package/module.py") -> FileFacts:
    source = Source(name, name, "package", len(text))
    return analyse_text(textwrap.dedent(text), source)


def rules_in(text: str, name: str = "package/module.py") -> list[tuple[str, int]]:
    return [(finding.rule, finding.line) for finding in facts_of(text, name).findings]


# Rules: what is reported, what looks alike and is not, one case each.

BAD = [
    ("assert-on-tuple", 1, "assert (1 == 2, 'never fails')"),
    ("bare-except", 3, "try:\n    pass\nexcept:\n    pass"),
    ("comparison-with-none", 1, "x = 1 == None"),
    ("identity-of-literal", 1, "x = 1\ny = x is 'a'".replace("x = 1\n", "")),
    ("method-defined-twice", 4, "class A:\n    def f(self):\n        pass\n    def f(self): pass"),
    ("mutable-default", 1, "def f(a=[]): pass"),
    ("mutable-default", 1, "def f(*, a=dict()): pass"),
    ("over-long-function", 1, "def f():\n" + "    pass\n" * 100),
    ("raised-not-implemented", 1, "raise NotImplemented('later')"),
    ("repeated-dict-key", 1, "x = {'a': 1, 'b': 2, 'a': 3}"),
    ("return-in-finally", 5, "def f():\n    try:\n        pass\n    finally:\n        return 1"),
    ("string-without-placeholders", 1, "x = f'nothing'"),
    ("too-complex", 1, "def f(a):\n" + "    if a: pass\n" * 15),
    ("too-many-arguments", 1, "def f(a, b, c, d, e, f, g, h, i): pass"),
    ("unreachable-code", 3, "def f():\n    return 1\n    print()"),
    ("unused-import", 1, "import os"),
    ("unused-import", 2, "import sys\nfrom os import path as p\nsys"),
]

GOOD = [
    "assert ()",
    "try:\n    pass\nexcept:\n    raise",
    "x = 1 == 2 or x is None",
    "x = a is None or a is ... or a is b",
    "class A:\n    @property\n    def f(self): pass\n    @f.setter\n    def f(self, x): pass",
    "class A:\n    def f(self): pass\n    a = f\n    def f(self): pass",
    "def f(a=(), b=None, c=0): pass",
    "def f():\n" + "    pass\n" * 99,
    "raise NotImplementedError",
    "x = {'a': 1, b'a': 2, **y, True: 3, 1: 4}",
    "try:\n    pass\nfinally:\n    def f():\n        return 1",
    "x = f'{y:>{width}}' + f'{y:>8}'",
    "def f(a):\n" + "    if a: pass\n" * 14,
    "def f(self, a, b, c, d, e, f, g, h): pass",
    "def f():\n    return\n    yield",
    "import os\nos.getcwd()",
    "import os.path\nos.getcwd()",
    "from os import path as path, sep\n__all__ = ['sep']",
    "try:\n    import fast\nexcept ImportError:\n    pass",
    "from __future__ import annotations",
    "from os import *",
    "from os import __all__",
    "import os  # noqa: F401",
    "class A:\n    import os",
    "def f():\n    global os\n    import os",
    "import typing\nx: 'typing.Any' = 1",
]


@pytest.mark.once
@pytest.mark.parametrize(("rule", "line", "text"), BAD)
def test_a_rule_reports_what_it_is_for(rule: str, line: int, text: str) -> None:
    assert rules_in(text) == [(rule, line)]


@pytest.mark.once
@pytest.mark.parametrize("text", GOOD)
def test_a_rule_leaves_good_code_alone(text: str) -> None:
    assert rules_in(text) == []


@pytest.mark.once
def test_every_rule_is_tried() -> None:
    assert {name_of(rule) for rule in RULES} == {rule for rule, _, _ in BAD}


@pytest.mark.once
def test_a_package_may_import_what_it_offers() -> None:
    assert rules_in("from os import path", name="package/__init__.py") == []


# Complexity and totals of a file.


@pytest.mark.once
def test_complexity_counts_every_way_through() -> None:
    facts = facts_of(
        """
        class Thing:
            def method(self, a, b):
                if a and b or not a:          # 1 + 2
                    return [x for x in a if x if not x]  # 1 + 2
                for x in a:                   # 1
                    while b:                  # 1
                        pass
                try:
                    pass
                except ValueError:            # 1
                    pass
                def inner():
                    return 1 if a else 2      # inner: 1
                match b:
                    case 1: pass              # 1
                    case _: pass              # 1
        """
    )
    assert [(f.name, f.complexity) for f in facts.functions] == [
        ("Thing.method", 12),
        ("Thing.method.inner", 2),
    ]


@pytest.mark.once
@pytest.mark.parametrize(
    ("text", "lines"), [("", 0), ("x", 1), ("x\n", 1), ("x\n\n", 2), ("x\ny", 2)]
)
def test_lines_are_counted_as_editors_do(text: str, lines: int) -> None:
    source = Source("x.py", "x.py", "p", 0)
    assert analyse_text(text, source).lines == lines


# Duplicates.


def fingerprints(text: str) -> list[str]:
    return [body.fingerprint for body in facts_of(text).bodies]


@pytest.mark.once
@pytest.mark.parametrize(
    "same",
    [
        BIG_FUNCTION.replace("first", "second"),
        BIG_FUNCTION.replace("result", "found").replace("index", "n").replace("item", "x"),
        BIG_FUNCTION.replace("sequence", "values"),
        BIG_FUNCTION.replace(":\n    result", ':\n    """Say something."""\n    result'),
        BIG_FUNCTION.replace("result = []", "result   =  [ ]  # empty"),
    ],
)
def test_names_layout_and_docstrings_do_not_hide_a_duplicate(same: str) -> None:
    one, other = fingerprints(BIG_FUNCTION) + fingerprints(same)
    assert one == other


@pytest.mark.once
@pytest.mark.parametrize(
    "different",
    [
        BIG_FUNCTION.replace("item * 2", "item * 3"),
        BIG_FUNCTION.replace("item * 2", "item + 2"),
        BIG_FUNCTION.replace("append", "remove"),
        BIG_FUNCTION.replace("sorted", "reversed"),
        BIG_FUNCTION.replace("2, 3", "2, '3'"),
        BIG_FUNCTION.replace("(result, ", "(sequence, "),
        BIG_FUNCTION.replace("elif", "else:\n            pass\n        if"),
    ],
)
def test_a_real_difference_is_no_duplicate(different: str) -> None:
    one, other = fingerprints(BIG_FUNCTION) + fingerprints(different)
    assert one != other


@pytest.mark.once
def test_swapped_parameters_are_no_duplicate() -> None:
    swapped = BIG_FUNCTION.replace("(sequence)", "(item, sequence)")
    plain = BIG_FUNCTION.replace("(sequence)", "(sequence, item)")
    one, other = fingerprints(plain) + fingerprints(swapped)
    assert one != other


@pytest.mark.once
def test_small_bodies_are_not_compared() -> None:
    assert fingerprints("def f(a):\n    return a + 1") == []


@pytest.mark.once
def test_huge_numbers_and_odd_strings_have_fingerprints() -> None:
    odd = BIG_FUNCTION.replace("(1, 2, 3)", f"(0x{'f' * 9000}, '\\ud800', b'\\xff', ...)")
    assert len(fingerprints(odd)) == 1


# Reading: everything that a file can be.


@pytest.mark.once
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"x = '\xc3\xa4'", "x = 'ä'"),
        (b"\xef\xbb\xbfx = 1", "x = 1"),
        (b"# coding: latin-1\nx = '\xe4'", "# coding: latin-1\nx = 'ä'"),
        (b"#!/usr/bin/python\n# -*- coding: cp1252 -*-\n\x80", None),
        (b"x\r\ny\rz\n", "x\ny\nz\n"),
        (b"", ""),
    ],
)
def test_bytes_are_decoded_as_python_does(data: bytes, text: str | None) -> None:
    assert decode(data) == (text or data.decode("cp1252"))


@pytest.mark.once
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"x = '\xe4'", "cannot be decoded"),
        (b"# coding: no-such-codec\n", "cannot be decoded"),
        (b"# coding: hex\n", "cannot be decoded"),
        (b"# coding: undefined\n", "cannot be decoded"),
        (b"\xef\xbb\xbf# coding: latin-1\n", "cannot be decoded"),
        ("x = 1".encode("utf-16"), "cannot be decoded"),
        (b"x = 1\0", "null bytes"),
    ],
)
def test_undecodable_bytes_are_refused(data: bytes, kind: str) -> None:
    with pytest.raises(Unusable) as caught:
        decode(data)
    assert caught.value.kind == kind
    assert caught.value.detail


PATHOLOGICAL = {
    "minus": "-" * 100_000 + "1",
    "attributes": "a" + ".b" * 100_000,
    "sum": "1" + "+1" * 100_000,
    "parentheses": "(" * 10_000,
    "lambda": "lambda: " * 100_000 + "1",
    "elif": "if a: pass\n" + "elif a: pass\n" * 20_000,
    "digits": "1" * 100_000,
    "indentation": "".join(f"{' ' * n}if a:\n" for n in range(150)),
    "escape": '"\\N{no such name}"',
    "surrogates": "# \ud800\n",
}


@pytest.mark.once
@pytest.mark.parametrize("name", sorted(PATHOLOGICAL))
def test_pathological_programs_are_scanned_or_refused(name: str) -> None:
    try:
        facts_of(PATHOLOGICAL[name])
    except Unusable as error:
        assert error.detail


@pytest.mark.once
def test_syntax_errors_name_the_line() -> None:
    with pytest.raises(Unusable) as caught:
        parse("x = 1\ny = = 2\n")
    assert (caught.value.kind, caught.value.detail[:6]) == ("syntax error", "line 2")


def write_bad_files(folder: Path) -> dict[str, str]:
    """One file for each way of being unusable, and what is said about it."""
    (folder / "latin.py").write_bytes(b"x = '\xe4'")
    (folder / "null.py").write_bytes(b"x = 1\0")
    (folder / "syntax.py").write_text("def f(:\n")
    (folder / "deep.py").write_text("-" * 100_000 + "1")
    expected = {
        "latin.py": "cannot be decoded",
        "null.py": "null bytes",
        "syntax.py": "syntax error",
        "deep.py": "too deeply nested",
    }
    if hasattr(os, "mkfifo"):
        (folder / "broken.py").symlink_to(folder / "nowhere")
        (folder / "loop.py").symlink_to(folder / "loop.py")
        os.mkfifo(folder / "fifo.py")
        expected |= {
            "broken.py": "cannot be read",
            "loop.py": "cannot be read",
            "fifo.py": "not a regular file",
        }
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        (folder / "secret.py").write_text("x = 1")
        (folder / "secret.py").chmod(0)
        expected["secret.py"] = "cannot be read"
    return expected


@pytest.mark.once
def test_unusable_files_are_facts_and_no_exceptions(tmp_path: Path) -> None:
    expected = write_bad_files(tmp_path)
    (tmp_path / "folder.py").mkdir()
    selection = select(str(tmp_path))
    found = {source.name: analyse(source).failure for source in selection.sources}
    assert {name: failure and failure.kind for name, failure in found.items()} == expected


@pytest.mark.once
def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable):
        read_text(str(tmp_path))


@pytest.mark.once
def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "huge.py", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(Unusable) as caught:
        read_text(str(tmp_path / "huge.py"))
    assert caught.value.kind == "too large"


# Which files are scanned.


def write_project(folder: Path) -> None:
    for name in ("top.py", "a/__init__.py", "a/b/deep.py", "c/x.py", "c/y.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import os\n{BIG_FUNCTION}\nx = {len(name)}\n" + "y = 1\n" * len(name))
    for name in ("site-packages/z.py", "__pycache__/z.py", ".hidden/z.py", "env/lib/z.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1")
    (folder / "env" / "pyvenv.cfg").touch()
    (folder / "notes.txt").write_text("nothing")


@pytest.mark.once
def test_a_selection_skips_what_is_installed(tmp_path: Path) -> None:
    write_project(tmp_path)
    found = {source.name: source.package for source in select(str(tmp_path)).sources}
    assert found == {
        "top.py": TOP_LEVEL,
        "a/__init__.py": "a",
        "a/b/deep.py": "a.b",
        "c/x.py": "c",
        "c/y.py": "c",
    }


@pytest.mark.once
def test_a_selection_starts_with_the_biggest(tmp_path: Path) -> None:
    write_project(tmp_path)
    sizes = [source.size for source in select(str(tmp_path)).sources]
    assert sizes == sorted(sizes, reverse=True)
    assert [s.name for s in select(str(tmp_path), limit=1).sources] == ["a/__init__.py"]


@pytest.mark.once
def test_a_selection_may_be_one_file(tmp_path: Path) -> None:
    write_project(tmp_path)
    (source,) = select(str(tmp_path / "c" / "x.py")).sources
    assert (source.name, source.package) == ("x.py", TOP_LEVEL)


@pytest.mark.once
def test_odd_file_names_are_printable(tmp_path: Path) -> None:
    for name in (b"new\nline.py", b"\xff.py", b"[bold].py"):
        try:
            Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("x = 1")
        except OSError:
            pytest.skip("this file system refuses such names")
    selection = select(str(tmp_path))
    assert sorted(source.name for source in selection.sources) == [
        "[bold].py",
        "\\xff.py",
        "new\\nline.py",
    ]
    assert sequential.scan(selection, unwatched).scanned == 3


# All ways agree.


def assert_all_ways_agree(selection: Selection) -> None:
    expected = sequential.scan(selection, unwatched)
    assert by_hand.scan(selection, 3, unwatched) == expected
    for workers in (1, 2, 4):
        assert behaviours.scan(selection, workers, unwatched) == expected


def test_all_ways_agree_on_a_project_with_bad_files(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "bad").mkdir()
    bad = write_bad_files(tmp_path / "bad")
    for name, text in PATHOLOGICAL.items():
        data = text.encode("utf-8", "surrogatepass")
        (tmp_path / "bad" / f"odd_{name}.py").write_bytes(data)
    selection = select(str(tmp_path))
    report = sequential.scan(selection, unwatched)
    assert len(report.failures) >= len(bad)
    assert [len(group.places) for group in report.duplicates] == [5]
    assert report.by_rule()[0] == ("unused-import", 4)
    assert_all_ways_agree(selection)


def test_all_ways_agree_on_a_part_of_the_standard_library() -> None:
    assert_all_ways_agree(select(standard_library(), limit=60))


@pytest.mark.once
def test_the_order_of_the_files_leaves_no_trace(tmp_path: Path) -> None:
    write_project(tmp_path)
    selection = select(str(tmp_path))
    turned = Selection(selection.root, selection.sources[::-1], selection.failures)
    report = sequential.scan(selection, unwatched)
    again = sequential.scan(turned, unwatched)
    assert (again, again.digest()) == (report, report.digest())


@pytest.mark.once
def test_a_lost_update_is_noticed() -> None:
    package, shard = PackageTotals("p"), Shard()
    (bodies,) = by_shard(facts_of(BIG_FUNCTION).bodies).values()
    put(bodies, package, shard)
    assemble([package], [shard], [])
    package.indexed -= 1
    with pytest.raises(Inconsistent):
        assemble([package], [shard], [])


# The command line.


def test_the_command_prints_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    (tmp_path / "[red].py").write_text("x = (\n")
    assert main([str(tmp_path), "--workers", "2", "--threads", "--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    for expected in ("boc, 2 workers", "threads by hand", "identical", "[red].py", "unused-import"):
        assert expected in printed


def test_the_command_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    assert main([str(tmp_path), "--json", "--workers", "2"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["identical"] is True
    assert content["totals"]["files"] == 5
    assert [run["workers"] for run in content["runs"]] == [0, 1, 2]
    assert content["report"]["findings"][0]["rule"] == "unused-import"


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments",
    [
        ["/no/such/folder"],
        ["--workers", "0"],
        ["--workers", "many"],
        ["--limit", "-1"],
        ["--rounds", "1.5"],
        ["--nonsense"],
    ],
)
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_nothing_to_scan_is_a_failure(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
    (tmp_path / "bad.py").write_text("x = (")
    assert main([str(tmp_path)]) == 1
    (tmp_path / "good.py").write_text("x = 1")
    assert main([str(tmp_path)]) == 0


def wait_for_threads(process: subprocess.Popen[str]) -> None:
    """Until the program has started its workers, where one can see that."""
    tasks = Path(f"/proc/{process.pid}/task")
    if not tasks.exists():
        time.sleep(0.5)
        return
    until = time.monotonic() + 20
    while process.poll() is None and len(os.listdir(tasks)) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("pause", [0.5, 1.5, 2.5])
def test_ctrl_c_ends_the_scan_at_once(tmp_path: Path, pause: float) -> None:
    # One round takes well below a second, so the pauses hit all ways.
    write_project(tmp_path)
    scan = [str(EXAMPLES / "scan.py"), str(tmp_path), "--rounds", "100000"]
    command = [sys.executable, "-X", "faulthandler", *scan]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_threads(process)
        time.sleep(pause)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # so that it says where it is
            _, errors = process.communicate()
        waited = time.monotonic() - sent
    assert process.returncode == 130, errors
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    assert waited < 5


def test_the_bank_keeps_its_money() -> None:
    command = [sys.executable, str(EXAMPLES / "bank.py"), "--accounts", "10"]
    command += ["--transfers", "2000", "--workers", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "total always 1,000" in done.stdout
    assert "every transfer counted" in done.stdout
