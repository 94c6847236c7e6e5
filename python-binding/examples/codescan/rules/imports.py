"""Imports that nothing uses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..outline import Outline, Scope


def unused_import(outline: Outline) -> Iterator[tuple[int, str]]:
    """An import whose name occurs nowhere else in the file.

    Names in strings count as used: they may be in ``__all__``, in a doctest
    or in a quoted annotation.  Not reported: ``__init__.py``, whose imports
    are what the package offers; ``import a as a``, which asks to be exported
    again; and an import inside of ``try`` or ``with``, which asks whether it
    works at all.
    """
    if outline.name.endswith("__init__.py"):
        return
    imported = [
        (scope, statement, name)
        for scope in outline.scopes
        for statement in _imports(scope)
        for name in _bound_names(scope, statement)
    ]
    if not imported:
        return
    used = {node.id for node in outline.nodes(ast.Name)}
    used.update(name for node in outline.nodes(ast.Global) for name in node.names)
    unused = [found for found in imported if found[2] not in used]
    if not unused:
        return
    words = _words_in_strings(outline)
    for scope, statement, name in unused:
        if name not in words and not _is_tried(scope, statement):
            yield statement.lineno, f"{name} is imported but not used"


def _imports(scope: Scope) -> list[ast.Import | ast.ImportFrom]:
    return [*scope.nodes(ast.Import), *scope.nodes(ast.ImportFrom)]


def _bound_names(scope: Scope, statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(scope.node, ast.ClassDef):
        # What a class imports is one of its attributes.
        return
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return
    for alias in statement.names:
        if alias.name not in ("*", "__all__") and alias.asname != alias.name:
            yield alias.asname or alias.name.partition(".")[0]


def _is_tried(scope: Scope, statement: ast.stmt) -> bool:
    blocks = [*scope.nodes(ast.Try), *scope.nodes(ast.With)]
    return any(inner is statement for block in blocks for inner in ast.walk(block))


def _words_in_strings(outline: Outline) -> set[str]:
    words: set[str] = set()
    for node in outline.nodes(ast.Constant):
        if isinstance(node.value, str):
            words.update(re.findall(r"\w+", node.value))
    return words
