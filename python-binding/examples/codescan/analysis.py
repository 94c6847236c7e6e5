"""Everything that one file has to say, without a look at any other file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .complexity import cyclomatic_complexity
from .fingerprint import fingerprint, own_grammar
from .outline import Outline, outline
from .reading import Unusable, parse, read_text
from .rules import RULES, is_silenced, name_of
from .rules.functions import length
from .sources import Failure, Source


class FunctionFact(NamedTuple):
    complexity: int
    file: str
    line: int
    name: str
    lines: int


class Finding(NamedTuple):
    file: str
    line: int
    rule: str
    message: str


class Body(NamedTuple):
    """A function body that is big enough to be looked for elsewhere."""

    fingerprint: str
    nodes: int
    file: str
    line: int
    name: str
    lines: int


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a scan of one file found; ``failure`` says that it found nothing."""

    package: str
    size: int
    lines: int = 0
    functions: tuple[FunctionFact, ...] = ()
    findings: tuple[Finding, ...] = ()
    bodies: tuple[Body, ...] = ()
    failure: Failure | None = None


def analyse(source: Source) -> FileFacts:
    """Scan one file.  Whatever is wrong with it is part of the answer."""
    try:
        text = read_text(source.path)
        return analyse_text(text, source)
    except Unusable as error:
        failure = Failure(source.name, error.kind, error.detail)
        return FileFacts(source.package, source.size, failure=failure)


def analyse_text(text: str, source: Source) -> FileFacts:
    """Scan ``text`` as the content of ``source``; raises Unusable."""
    shape = outline(source.name, parse(text), text.split("\n"))
    return FileFacts(
        package=source.package,
        size=source.size,
        lines=text.count("\n") + (not text.endswith("\n") and text != ""),
        functions=_functions(shape),
        findings=_findings(shape),
        bodies=_bodies(shape),
    )


def _functions(shape: Outline) -> tuple[FunctionFact, ...]:
    return tuple(
        FunctionFact(
            cyclomatic_complexity(scope), shape.name, node.lineno, scope.name, length(node)
        )
        for scope, node in shape.functions()
    )


def _findings(shape: Outline) -> tuple[Finding, ...]:
    return tuple(
        Finding(shape.name, line, name_of(rule), message)
        for rule in RULES
        for line, message in rule(shape)
        if not is_silenced(shape.lines[line - 1])
    )


def _bodies(shape: Outline) -> tuple[Body, ...]:
    grammar = own_grammar()
    found = []
    for scope, node in shape.functions():
        mark = fingerprint(node, grammar)
        if mark is not None:
            found.append(Body(*mark, shape.name, node.lineno, scope.name, length(node)))
    return tuple(found)
