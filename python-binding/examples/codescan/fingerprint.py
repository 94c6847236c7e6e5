"""Fingerprints of function bodies: equal ones mean duplicated code.

Layout, comments, docstrings and the names of parameters and local variables
do not count: two functions that differ in these alone are duplicates.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from typing import Any

from .outline import Function

# Smaller bodies resemble each other by accident.
SMALLEST_BODY = 40

# For each type of node a label, and the fields that count, the last one first:
# the order in which they go onto a stack.
Grammar = dict[type, tuple[str, tuple[str, ...]]]


def fingerprint(function: Function, grammar: Grammar) -> tuple[str, int] | None:
    """The digest of the body and its number of nodes; None if it is too small."""
    docstring = ast.get_docstring(function, clean=False)
    body = function.body if docstring is None else function.body[1:]
    parts, nodes = _flatten(body, _parameters(function.args), grammar)
    if nodes < SMALLEST_BODY:
        return None
    text = "\n".join(parts).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(text, digest_size=16).hexdigest(), nodes


def own_grammar() -> Grammar:
    """A table for the exclusive use of the caller; ``outline`` says why."""
    return {
        kind: (f"{label} {len(fields)}", tuple(list(fields))) for kind, label, fields in _GRAMMAR
    }


def _flatten(
    body: Sequence[ast.stmt], parameters: list[str], grammar: Grammar
) -> tuple[list[str], int]:
    """``body`` as a list of words, which is the same for duplicates only."""
    words: list[str] = []
    names: list[int] = []
    local = set(parameters)
    nodes = 0
    stack: list[Any] = list(reversed(body))
    while stack:
        item = stack.pop()
        kind = type(item)
        entry = grammar.get(kind)
        if entry is None:
            if kind is list:
                words.append(f"[{len(item)}")
                stack += reversed(item)
            else:
                words.append("-" if item is None else str(item))
            continue
        nodes += 1
        if kind is ast.Name:
            names.append(len(words))
            words.append(item.id)
            if type(item.ctx) is ast.Store:
                local.add(item.id)
        elif kind is ast.arg:
            names.append(len(words))
            words.append(item.arg)
            local.add(item.arg)
        elif kind is ast.Constant:
            words.append(_literal(item.value))
        else:
            label, fields = entry
            words.append(label)
            for field in fields:
                stack.append(getattr(item, field))
    _number(words, names, local, parameters)
    return words, nodes


def _number(words: list[str], names: list[int], local: set[str], parameters: list[str]) -> None:
    """Replace local names by numbers: the parameters first, in their order."""
    numbers = {name: f"${number}" for number, name in enumerate(parameters)}
    for place in names:
        name = words[place]
        if name in local:
            words[place] = numbers.setdefault(name, f"${len(numbers)}")


def _literal(value: object) -> str:
    if type(value) is int:
        # Unlike repr, this has no limit on the number of digits.
        return hex(value)
    return repr(value)


def _parameters(arguments: ast.arguments) -> list[str]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    found += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    return [argument.arg for argument in found]


_GRAMMAR = [
    (
        kind,
        kind.__name__,
        [name for name in reversed(kind._fields) if name not in {"ctx", "type_comment"}],
    )
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
]
