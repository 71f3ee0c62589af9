"""The functions of layers: those that are written alike, whatever the shapes of their weights, are written once.

In the IR each shape of a weight makes a function of its own, as types there are exact. JAX's functions take any shape,
so a network with convolutions of many widths needs one `conv` for each way of writing it, not one for each width. The
first of such functions stays; the others are called by its name. Its comments then name the dims that all of them
have, and `_` for those that differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..ir import Function
from .function import Definition, layer_form, write_function
from .lines import Line
from .scope import ProgramContext

_TITLE = re.compile(r"(\w+)\((.*)\)(.*)")
_SHAPE = re.compile(r"(\w+)\[(.*)\]")


def write_layers(program: ProgramContext, functions: Sequence[Function]) -> list[list[Line]]:
    """The lines of each function that differs from those before; callees come before their callers."""
    kept: dict[object, Definition] = {}
    for function in functions:
        written = write_function(program, function, layer_form(program, function))
        first = kept.setdefault(_key(written), written)
        if first is not written:
            program.functions[function.name] = first.name
            first.doc = common_title(first.doc, written.doc)
            first.body = [_common(*lines) for lines in zip(first.body, written.body, strict=True)]
    return [definition.lines for definition in kept.values()]


def _key(written: Definition) -> object:
    """What must be equal in functions that can stand for each other: code, and where each line of it comes from."""
    body = tuple((line.code, line.span) for line in written.body)
    return written.span, tuple(written.parameters), body


def _common(first: Line, second: Line) -> Line:
    """A line with a comment that is true of both."""
    return replace(first, comment=common_shape(first.comment, second.comment))


def common_shape(first: str, second: str) -> str:
    """A comment on the shape of a value, with `_` for dims that differ; none where dtypes or ranks differ.

    >>> common_shape("f32[batch, 32, 64]", "f32[batch, 16, 64]")
    'f32[batch, _, 64]'
    """
    if first == second:
        return first
    one, other = _SHAPE.fullmatch(first), _SHAPE.fullmatch(second)
    if not one or not other or one[1] != other[1]:
        return ""
    dims, others = one[2].split(", "), other[2].split(", ")
    if len(dims) != len(others):
        return ""
    shown = (dim if dim == its else "_" for dim, its in zip(dims, others, strict=True))
    return f"{one[1]}[{', '.join(shown)}]"


def common_title(first: str, second: str) -> str:
    """The first line of a docstring that is true of two instances of a layer.

    >>> common_title("Block(width = 64, stride = 1).", "Block(width = 128, stride = 1).")
    'Block(stride = 1).'
    """
    if first == second:
        return first
    one, other = _TITLE.fullmatch(first), _TITLE.fullmatch(second)
    if not one or not other or (one[1], one[3]) != (other[1], other[3]):
        return ""
    theirs = other[2].split(", ")
    shown = ", ".join(part for part in one[2].split(", ") if part in theirs)
    return f"{one[1]}({shown}){one[3]}" if shown else f"{one[1]}{one[3]}"
