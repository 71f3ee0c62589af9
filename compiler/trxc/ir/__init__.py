"""The typed intermediate representation: its data, printer, reader, walks, and (in `verify`) verifier."""

from .ir import Attribute, Function, Initializer, Module, Op, Parameter, Path, Region, Value
from .printer import to_text
from .reader import IRSyntaxError, from_text

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
