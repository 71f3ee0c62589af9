"""Frozen records that cost little to declare.

`dataclass(frozen=True)` writes and compiles six methods for each class, half a millisecond a class: for the hundred
kinds of nodes and values that a check declares, a fifth of its time. Here all classes share the same methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, field
from operator import attrgetter
from typing import Any, ClassVar, cast, dataclass_transform

_set = object.__setattr__


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen:
    """The base of records: what a subclass annotates are its fields, after those of its base.

    As in a frozen dataclass, fields are given in order or by name and are never set again; records of one class are
    equal where their fields are; and `dataclasses.field` leaves one out of that, or of what is printed. There is no
    `__post_init__`, and `dataclasses.replace` and `fields` do not know these classes: `__match_args__` has the names.
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Callable[[], Any]]] = {}
    _compared: ClassVar[tuple[str, ...]] = ()
    _shown: ClassVar[tuple[str, ...]] = ()
    _key: ClassVar[Any] = type

    def __init_subclass__(cls) -> None:
        """Takes note of the fields."""
        for name, annotation in cls.__annotations__.items():
            if not str(annotation).startswith("ClassVar"):
                cls._declare(name, cls.__dict__.get(name, MISSING))
        cls._key = attrgetter(*cls._compared) if cls._compared else type

    @classmethod
    def _declare(cls, name: str, given: Any) -> None:
        """Adds a field: `given` is what stands after its annotation."""
        declared = cast("Field[Any]", given if isinstance(given, Field) else field(default=given))
        cls.__match_args__ = (*cls.__match_args__, name)
        if declared.default_factory is not MISSING:
            cls._defaults = {**cls._defaults, name: declared.default_factory}
        elif declared.default is not MISSING:
            cls._defaults = {**cls._defaults, name: lambda default=declared.default: default}
        if declared.compare:
            cls._compared = (*cls._compared, name)
        if declared.repr:
            cls._shown = (*cls._shown, name)
        if given is not MISSING:
            delattr(cls, name)

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__match_args__
        for name, value in zip(names, values, strict=False):
            _set(self, name, value)  # not through `__dict__`: attributes that are read from one are slow
        if named or len(values) != len(names):
            self._complete(len(values), named)

    def _complete(self, count: int, named: dict[str, Any]) -> None:
        """Adds the fields that were given by name, and the defaults of the rest, to the first `count`."""
        names, kind = self.__match_args__, type(self).__qualname__
        if count > len(names):
            raise TypeError(f"{kind} takes {len(names)} fields, not {count}")
        for name in named:
            if name not in names[count:]:
                raise TypeError(f"{kind} has no field {name!r}, or it is given twice")
        for name in names[count:]:
            if name not in named and name not in self._defaults:
                raise TypeError(f"{kind} needs a field {name!r}")
            _set(self, name, named[name] if name in named else self._defaults[name]())

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        return bool(self._key(self) == self._key(other))

    def __hash__(self) -> int:
        return hash(self._key(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__qualname__}({shown})"

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")
