"""One walk over a syntax tree: its scopes, and the nodes of each by type.

The rules then look at lists of the nodes that they care about, instead of
each walking over the whole tree.

This is where a scan spends its time, so the loop avoids objects that all
threads share.  On a free-threaded interpreter every use of such an object
writes its reference count, and cores that write to the same word wait for
each other.  Hence the loop over a list, in place of ``ast.NodeVisitor`` and
its bound methods; hence the table that each walk copies for itself; and hence
the fields that are left out: ``Load()``, ``Add()`` and their kind exist once
for the whole process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, TypeVar

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NOT_WALKED = {"ctx", "op", "ops", "type_comment", "id", "attr", "lineno"}


class Scope:
    """A module, class or function, and the nodes that belong to it alone."""

    __slots__ = ("node", "name", "found")

    def __init__(self, node: ast.AST, name: str) -> None:
        self.node = node
        self.name = name
        self.found: dict[type, list[Any]] = {}

    def nodes(self, kind: type[Node]) -> list[Node]:
        return self.found.get(kind, [])


class Outline:
    """A file by its name, all of its scopes, the module first, and its lines."""

    __slots__ = ("name", "scopes", "lines")

    def __init__(self, name: str, scopes: list[Scope], lines: list[str]) -> None:
        self.name = name
        self.scopes = scopes
        self.lines = lines

    def nodes(self, *kinds: type[Node]) -> Iterator[Node]:
        for scope in self.scopes:
            for kind in kinds:
                yield from scope.found.get(kind, ())

    def functions(self) -> Iterator[tuple[Scope, Function]]:
        for scope in self.scopes:
            if isinstance(scope.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield scope, scope.node


def outline(name: str, tree: ast.Module, lines: list[str]) -> Outline:
    """Sort the nodes of ``tree`` by scope and by type."""
    fields = own_fields()
    scopes = [Scope(tree, "")]
    for scope in scopes:
        found = scope.found
        stack = _children(scope.node, fields)
        while stack:
            node = stack.pop()
            kind = type(node)
            names = fields.get(kind)
            if names is None:
                # Not a node: None, a string, the value of a constant.
                continue
            if kind in found:
                found[kind].append(node)
            else:
                found[kind] = [node]
            if kind in _SCOPES:
                scopes.append(Scope(node, f"{scope.name}.{node.name}" if scope.name else node.name))
                continue
            for field in names:
                value = getattr(node, field)
                if type(value) is list:
                    stack += value
                else:
                    stack.append(value)
    return Outline(name, scopes, lines)


def own_fields() -> dict[type, tuple[str, ...]]:
    """The fields with children of every type of node, as a copy of one's own."""
    return {kind: tuple(list(names)) for kind, names in _FIELDS.items()}


def _children(node: ast.AST, fields: dict[type, tuple[str, ...]]) -> list[Any]:
    stack: list[Any] = []
    for name in fields[type(node)]:
        value = getattr(node, name)
        if type(value) is list:
            stack += value
        else:
            stack.append(value)
    return stack


def _walked_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    if kind is ast.Constant:
        return ()
    return tuple(name for name in kind._fields if name not in _NOT_WALKED)


_FIELDS = {
    kind: _walked_fields(kind)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
