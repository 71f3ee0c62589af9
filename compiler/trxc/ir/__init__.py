"""The typed intermediate representation: its data, printer, reader, walks, and (in `verify`) verifier.

The reader, which only tools and tests need, is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ir import Attribute, Function, Initializer, Module, Op, Parameter, Path, Region, Value
from .printer import to_text

if TYPE_CHECKING:
    from .nodes import IRSyntaxError
    from .reader import from_text

__all__ = [
    "Attribute",
    "Function",
    "IRSyntaxError",
    "Initializer",
    "Module",
    "Op",
    "Parameter",
    "Path",
    "Region",
    "Value",
    "from_text",
    "to_text",
]


def __getattr__(name: str) -> Any:
    if name not in ("IRSyntaxError", "from_text"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import reader

    return getattr(reader, name)
