"""Cyclomatic complexity: the number of independent paths through a function."""

from __future__ import annotations

import ast

from .outline import Scope

# Each of these adds one way to go on.
_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.match_case,
)


def cyclomatic_complexity(scope: Scope) -> int:
    """1 for a straight function; nested functions count for themselves."""
    paths = 1 + sum(len(scope.nodes(kind)) for kind in _BRANCHES)
    paths += sum(len(node.values) - 1 for node in scope.nodes(ast.BoolOp))
    paths += sum(1 + len(node.ifs) for node in scope.nodes(ast.comprehension))
    return paths
