"""Rules about single expressions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from ..outline import Outline


def assert_on_tuple(outline: Outline) -> Iterator[tuple[int, str]]:
    """``assert (condition, message)`` never fails."""
    for node in outline.nodes(ast.Assert):
        if isinstance(node.test, ast.Tuple) and node.test.elts:
            yield node.lineno, "assert on a tuple is always true"


def comparison_with_none(outline: Outline) -> Iterator[tuple[int, str]]:
    for node in outline.nodes(ast.Compare):
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, (ast.Eq, ast.NotEq)) and _is_none(right):
                yield node.lineno, "comparison with None by ==, where `is` is meant"


def identity_of_literal(outline: Outline) -> Iterator[tuple[int, str]]:
    """Whether two equal strings or numbers are one object is left to chance."""
    for node in outline.nodes(ast.Compare):
        operands = [node.left, *node.comparators]
        for operator, pair in zip(node.ops, pairwise(operands), strict=True):
            if isinstance(operator, (ast.Is, ast.IsNot)) and any(map(_is_literal, pair)):
                yield node.lineno, "identity of a literal, where == is meant"


def repeated_dict_key(outline: Outline) -> Iterator[tuple[int, str]]:
    """Of equal keys in one dict display, all values but the last are lost."""
    for node in outline.nodes(ast.Dict):
        seen = set()
        for key in node.keys:
            if isinstance(key, ast.Constant):
                # 1 and True are equal keys, but hardly the same mistake.
                identity = (type(key.value), key.value)
                if identity in seen:
                    yield key.lineno, f"dict key {_shortened(key.value)} is given twice"
                seen.add(identity)


def string_without_placeholders(outline: Outline) -> Iterator[tuple[int, str]]:
    specifications = {id(node.format_spec) for node in outline.nodes(ast.FormattedValue)}
    for node in outline.nodes(ast.JoinedStr):
        if id(node) in specifications:
            continue
        if not any(isinstance(part, ast.FormattedValue) for part in node.values):
            yield node.lineno, "f-string without placeholders"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (str, bytes, int, float, complex)


def _shortened(value: object) -> str:
    if type(value) is int:
        return hex(value)[:40]
    return ascii(value)[:40]
