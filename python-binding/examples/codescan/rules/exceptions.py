"""Rules about raising and catching."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..outline import Outline

_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def bare_except(outline: Outline) -> Iterator[tuple[int, str]]:
    """``except:`` also swallows KeyboardInterrupt, unless it raises again."""
    for handler in outline.nodes(ast.ExceptHandler):
        if handler.type is None and not _contains(handler.body, ast.Raise):
            yield handler.lineno, "bare except also catches KeyboardInterrupt and SystemExit"


def raised_not_implemented(outline: Outline) -> Iterator[tuple[int, str]]:
    """NotImplemented is a value for operators; raising it gives a TypeError."""
    for node in outline.nodes(ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(raised, ast.Name) and raised.id == "NotImplemented":
            yield node.lineno, "raise NotImplemented: NotImplementedError is meant"


def return_in_finally(outline: Outline) -> Iterator[tuple[int, str]]:
    """A return in ``finally`` discards the exception that is on its way."""
    for node in outline.nodes(ast.Try):
        for statement in _within(node.finalbody):
            if isinstance(statement, ast.Return):
                yield statement.lineno, "return in finally discards exceptions"


def _contains(body: list[ast.stmt], kind: type[ast.AST]) -> bool:
    return any(isinstance(node, kind) for node in _within(body))


def _within(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes of ``body``, without those of functions and classes in it."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if not isinstance(node, _OWN_SCOPE):
            yield node
            stack += ast.iter_child_nodes(node)
