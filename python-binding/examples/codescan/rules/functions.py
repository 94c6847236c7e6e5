"""Rules about whole functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..complexity import cyclomatic_complexity
from ..outline import Outline

MOST_LINES = 100
MOST_ARGUMENTS = 8
MOST_PATHS = 15

_MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MUTABLE_TYPES = ("list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict")


def method_defined_twice(outline: Outline) -> Iterator[tuple[int, str]]:
    """The second definition replaces the first, which then never runs.

    Not reported: decorated ones (a property and its setter), and those whose
    first definition the class uses before the second.
    """
    for scope in outline.scopes:
        if not isinstance(scope.node, ast.ClassDef):
            continue
        used = {name.id for name in scope.nodes(ast.Name)}
        first: dict[str, int] = {}
        for statement in scope.node.body:
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if statement.decorator_list or statement.name in used:
                continue
            if statement.name in first:
                where = first[statement.name]
                yield statement.lineno, f"{statement.name} replaces the method of line {where}"
            first[statement.name] = statement.lineno


def mutable_default(outline: Outline) -> Iterator[tuple[int, str]]:
    """A default is made once, and shared by all calls."""
    for _, function in outline.functions():
        arguments = function.args
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            if default is not None and _is_mutable(default):
                yield default.lineno, f"mutable default argument of {function.name}"


def over_long_function(outline: Outline) -> Iterator[tuple[int, str]]:
    for _, function in outline.functions():
        lines = length(function)
        if lines > MOST_LINES:
            yield function.lineno, f"{function.name} has {lines} lines"


def too_complex(outline: Outline) -> Iterator[tuple[int, str]]:
    for scope, function in outline.functions():
        paths = cyclomatic_complexity(scope)
        if paths > MOST_PATHS:
            yield function.lineno, f"{function.name} has a complexity of {paths}"


def too_many_arguments(outline: Outline) -> Iterator[tuple[int, str]]:
    for _, function in outline.functions():
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        count = len([argument for argument in named if argument.arg not in ("self", "cls")])
        if count > MOST_ARGUMENTS:
            yield function.lineno, f"{function.name} takes {count} arguments"


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _is_mutable(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
        return name in _MUTABLE_TYPES
    return isinstance(node, _MUTABLE_DISPLAYS)
