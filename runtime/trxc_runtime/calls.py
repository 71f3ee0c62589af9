"""Calls in a manifest, such as ``{"call": "trxc_runtime.data.sources:Text", "args": {"path": "a.txt"}}``.

A manifest may come from a stranger, so that a call names one of *our* classes or it is refused: modules are
imported from an allow-list only, and of what a module holds only what is meant to be called can be.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from .declared import Declared
from .user_errors import DataError, names, nearest

_TARGET = re.compile(r"(trxc_runtime\.(?:data|sample|search)(?:\.[a-z][a-z0-9_]*)*):([A-Za-z][A-Za-z0-9_]*)", re.ASCII)
_MAX_DEPTH = 32


class CallError(DataError):
    """A call that names nothing we offer, or that passes what it does not take."""


def resolve_call(call: object, depth: int = 0) -> Any:
    """What a call makes, its arguments resolved first; :class:`CallError` if it may not or cannot be made."""
    if depth > _MAX_DEPTH:
        raise CallError(f"calls are nested more than {_MAX_DEPTH} deep")
    target, shown, arguments = _parts(call)
    made = _target(target, shown)
    values = {name: _argument(value, depth + 1) for name, value in arguments.items()}
    _check_arguments(made, shown, values)
    return made(**values)


def is_call(value: object) -> bool:
    """Whether a value of a manifest is a call."""
    return isinstance(value, Mapping) and "call" in value


def _parts(call: object) -> tuple[str, str, Mapping[str, object]]:
    if not isinstance(call, Mapping):
        raise CallError(f'{_shown(call)} stands where a call such as `text("data/*.txt")` should')
    fields = cast(Mapping[str, object], call)
    target, arguments = fields.get("call"), fields.get("args", {})
    if not isinstance(target, str) or not isinstance(arguments, Mapping):
        raise CallError("the manifest holds a call that is not well formed")
    shown = fields.get("name")
    return target, shown if isinstance(shown, str) else target, cast(Mapping[str, object], arguments)


def _target(target: str, shown: str) -> Callable[..., object]:
    match = _TARGET.fullmatch(target)
    if not match:
        raise CallError(f"`{shown}` calls {target!r}, which a recipe may not call")
    module, name = match.groups()
    try:
        found = vars(import_module(module)).get(name)
    except ModuleNotFoundError as error:
        raise CallError(f"`{shown}` calls {target!r}, which needs the module `{error.name}`") from None
    if not _offered(found, module):
        raise CallError(f"`{shown}` calls {target!r}, which this version of trxc_runtime does not offer")
    return cast(Callable[..., object], found)


def _offered(found: object, module: str) -> bool:
    """Whether a recipe may call ``found``: what is declared, in the module that defines it."""
    if getattr(found, "__module__", None) != module:
        return False
    return inspect.isclass(found) and issubclass(found, Declared) and not inspect.isabstract(found)


def _argument(value: object, depth: int) -> object:
    if is_call(value):
        return resolve_call(value, depth)
    if isinstance(value, list):
        if depth > _MAX_DEPTH:
            raise CallError(f"lists are nested more than {_MAX_DEPTH} deep")
        return [_argument(item, depth + 1) for item in cast(list[object], value)]
    return value


def _check_arguments(made: Callable[..., object], shown: str, values: Mapping[str, object]) -> None:
    parameters = inspect.signature(made).parameters
    for name in values:
        if name not in parameters:
            takes = f"it takes {names(parameters)}"
            raise CallError(f"`{shown}` has no argument `{name}`", *nearest(name, parameters), takes)
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in values:
            raise CallError(f"`{shown}` needs the argument `{name}`")
    hints = get_type_hints(made.__init__ if inspect.isclass(made) else made)
    for name, value in values.items():
        if not accepts(hints.get(name, Any), value):
            raise CallError(f"argument `{name}` of `{shown}` cannot be {_shown(value)}", f"it is {_kind(hints[name])}")


def accepts(hint: Any, value: object) -> bool:
    """Whether ``value`` is of the annotated type ``hint``; as in the language, an int is a float and a bool is not."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(accepts(choice, value) for choice in inner)
    if origin in (list, Sequence):
        return isinstance(value, list) and all(accepts(inner[0], item) for item in cast(list[object], value))
    if hint in (None, type(None)):
        return value is None
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint) if inspect.isclass(hint) else True


def _kind(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_kind, get_args(hint)))
    if get_origin(hint) in (list, Sequence):
        return f"a list, each {_kind(get_args(hint)[0])}"
    return _WORDS.get(hint, str(getattr(hint, "__name__", hint)))


_WORDS: dict[Any, str] = {int: "an int", float: "a float", str: "a string", bool: "a bool", type(None): "none"}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
