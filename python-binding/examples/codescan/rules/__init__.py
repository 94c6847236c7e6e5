"""The rules: each is a function from an outline to findings ``(line, message)``.

A rule is named after its function.  All of them would rather miss a case than
report a good line: nobody reads a linter that is often wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..outline import Outline
from .exceptions import bare_except, raised_not_implemented, return_in_finally
from .expressions import (
    assert_on_tuple,
    comparison_with_none,
    identity_of_literal,
    repeated_dict_key,
    string_without_placeholders,
)
from .functions import (
    method_defined_twice,
    mutable_default,
    over_long_function,
    too_complex,
    too_many_arguments,
)
from .imports import unused_import
from .statements import unreachable_code

Rule = Callable[[Outline], Iterable[tuple[int, str]]]

RULES: tuple[Rule, ...] = (
    assert_on_tuple,
    bare_except,
    comparison_with_none,
    identity_of_literal,
    method_defined_twice,
    mutable_default,
    over_long_function,
    raised_not_implemented,
    repeated_dict_key,
    return_in_finally,
    string_without_placeholders,
    too_complex,
    too_many_arguments,
    unreachable_code,
    unused_import,
)


def name_of(rule: Rule) -> str:
    return rule.__name__.replace("_", "-")


def is_silenced(line: str) -> bool:
    """Whether the author of the line asked linters to leave it alone."""
    return "# noqa" in line.lower()
