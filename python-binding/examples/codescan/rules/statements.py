"""Rules about the order of statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..outline import Outline

_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
# All have a body; mypy sees no more in them than their common base, which has none.
_BLOCKS: tuple[type[Any], ...] = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.ExceptHandler,
)


def unreachable_code(outline: Outline) -> Iterator[tuple[int, str]]:
    """What follows a return, raise, continue or break in the same block.

    A yield there has a meaning all the same: it makes the function a generator.
    """
    for block in _blocks(outline):
        for statement, following in pairwise(block):
            if isinstance(statement, _ENDS):
                if not any(map(_yields, block[block.index(following) :])):
                    yield following.lineno, "unreachable code"
                break


def _blocks(outline: Outline) -> Iterator[list[ast.stmt]]:
    for _, function in outline.functions():
        yield function.body
    for node in outline.nodes(*_BLOCKS):
        yield node.body
        yield getattr(node, "orelse", [])
    for node in outline.nodes(ast.Try):
        yield node.body
        yield node.orelse
        yield node.finalbody


def _yields(statement: ast.stmt) -> bool:
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(statement))
