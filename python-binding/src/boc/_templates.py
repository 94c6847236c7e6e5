"""Functions without their defaults and closures: what is the same each time a ``def`` is run.

A function that is defined in a loop is another one each time, but its template is sent once.
"""

from __future__ import annotations

import marshal
import pickle
from collections import OrderedDict
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from boc import _definitions
from boc._boc import Definition
from boc._guards import MISSING, NAME, Guard, all_hold, holds, is_data
from boc._importable import module_of

_KNOWN = 512
"""So many templates are remembered; the oldest are forgotten."""

_Key: TypeAlias = tuple[CodeType, str, str, int]


class Captured:
    """What is known of a definition that was made here."""

    __slots__ = ("data", "definition", "guards", "things", "varying", "volatile")

    def __init__(
        self,
        definition: Definition,
        data: bytes,
        things: list[Any],
        guards: list[Guard],
        volatile: bool,
        varying: frozenset[str],
    ) -> None:
        self.definition = definition
        self.data = data
        self.things = things
        self.guards = guards
        self.volatile = volatile
        self.varying = varying

    def is_current(self) -> bool:
        """Whether it would be made the same again, as far as one can see without doing so."""
        return not self.volatile and all_hold(self.guards)


class Template:
    """A template, and the definition of it that was made last."""

    __slots__ = ("captured", "function")

    def __init__(self, function: FunctionType) -> None:
        self.function = _definitions.make_template(
            function.__code__, function.__globals__, function.__name__, function.__qualname__
        )
        module = module_of(function)
        if module is None:
            self.captured = self._capture(None)
        else:
            data = pickle.dumps(_InModule(self.function, module), 5)
            self.captured = Captured(Definition(data, []), data, [], [], False, frozenset())
            _definitions.know(self.captured.definition, self.function)

    def update(self) -> None:
        """Make another definition, if this one does not hold any more."""
        before = self.captured
        scope = self.function.__globals__
        data = (is_data(scope.get(name, MISSING)) for name in before.varying)
        if not (before.is_current() and all(data)):
            self.captured = self._capture(before)

    def _capture(self, before: Captured | None) -> Captured:
        from boc._capture import capture
        from boc._names import names_stored_by

        scope = self.function.__globals__
        # What a behaviour assigns must not be there when the next one runs.
        names: Iterable[str] = names_stored_by(self.function.__code__)
        if before is not None:
            changed = (
                guard[2] or ""
                for guard in before.guards
                if guard[0] == NAME and guard[1] is scope and not holds(guard)
            )
            names = *names, *before.varying, *changed
        varying = (name for name in names if is_data(scope.get(name, MISSING)))
        return capture(self.function, before, frozenset(varying))

    def variables(self, captured: Captured) -> dict[str, Any]:
        """The globals that are sent each time, as they are now."""
        return {name: self.function.__globals__[name] for name in sorted(captured.varying)}


_templates: OrderedDict[_Key, Template] = OrderedDict()


def template_of(function: FunctionType) -> Template:
    """The template of a function, as it is now."""
    code = function.__code__
    # Equal code can differ in these. The globals live as long as the template.
    key = (code, code.co_filename, code.co_qualname, id(function.__globals__))
    known = _templates.get(key)
    if known is None:
        known = _templates[key] = Template(function)
        if len(_templates) > _KNOWN:
            _templates.popitem(last=False)
    else:
        known.update()
    return known


def forget() -> None:
    """Forget all templates."""
    _templates.clear()


class _InModule:
    """Pickles as the template of a function of an importable module."""

    def __init__(self, function: FunctionType, module: str) -> None:
        self._function, self._module = function, module

    def __reduce__(self) -> Any:
        function = self._function
        code = marshal.dumps(function.__code__)
        names = function.__name__, function.__qualname__
        return _definitions.make_module_function, (code, self._module, *names)
