"""Arguments that are too many, too few, or of another kind."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from trxc.syntax import ast

from .facts import called, definition, in_layer
from .program import Edit, Kinds, Placed, Program

KINDS = Kinds()


def _calls(program: Program) -> Iterator[tuple[Placed, Any]]:
    """Calls of layers, fns and declared things with their definitions."""
    for placed in program.of(ast.Call):
        item = definition(called(placed.node), program)
        inside = in_layer(placed) or isinstance(placed.item, ast.Record)
        if item is not None and inside and not any(p.variadic for p in item.parameters):
            yield placed, item


@KINDS("one argument too many")
def too_many(program: Program, rng: Random) -> Iterator[Edit]:
    """There are more arguments than parameters."""
    for placed, item in _calls(program):
        if item.name.name == "attend":
            continue
        arguments = placed.node.arguments
        extra = ", ".join(["1"] * (len(item.parameters) - len(arguments) + 1))
        at = placed.node.span.end - 1
        if not any(a.name is not None for a in arguments):
            yield Edit(at, at, f", {extra}" if arguments else extra, placed.statement)


@KINDS("missing argument")
def missing(program: Program, rng: Random) -> Iterator[Edit]:
    """The parameter has no default. Fns are left out: with one argument less they wait for it."""
    for placed, item in _calls(program):
        if isinstance(item, ast.Fn):
            continue
        required = [p.name.name for p in item.parameters if p.default is None]
        arguments = placed.node.arguments
        taken = [(a.name.name if a.name else p.name.name) for a, p in zip(arguments, item.parameters, strict=False)]
        last = arguments[-1] if arguments else None
        if last is not None and taken[-1] in required:
            start = arguments[-2].span.end if len(arguments) > 1 else last.span.start
            yield Edit(start, last.span.end, "", placed.statement)


def _typed(program: Program, *kinds: str) -> Iterator[tuple[Placed, Any]]:
    """Positional and named arguments whose parameter is of a kind, with their calls."""
    for placed, item in _calls(program):
        for at, argument in enumerate(placed.node.arguments):
            name = argument.name.name if argument.name else None
            meant = [p for i, p in enumerate(item.parameters) if p.name.name == name or (not name and i == at)]
            type_ = meant[0].type if meant else None
            if type_ is not None and type_.dims is None and type_.name.name in kinds:
                yield placed, argument


@KINDS("string for a number")
def string_for_number(program: Program, rng: Random) -> Iterator[Edit]:
    """The parameter is an int or a float, and a string is neither."""
    for placed, argument in _typed(program, "int", "float"):
        span = argument.value.span
        yield Edit(span.start, span.end, f'"{span.text.replace(chr(34), "")}"', placed.statement)


@KINDS("number for something else")
def number_for_other(program: Program, rng: Random) -> Iterator[Edit]:
    """The parameter is a layer, a bool, a string or a list, and a number is none of these."""
    for placed, argument in _typed(program, "layer", "bool", "string", "list"):
        yield Edit(argument.value.span.start, argument.value.span.end, "3", placed.statement)


@KINDS("fraction for an int")
def fraction_for_int(program: Program, rng: Random) -> Iterator[Edit]:
    """The parameter is an int, and a fraction is none."""
    for placed, argument in _typed(program, "int"):
        if isinstance(argument.value, ast.Number):
            span = argument.value.span
            yield Edit(span.start, span.end, f"{argument.value.value}.5", placed.statement)


SIZED = {"Dense": "out", "Embedding": "vocab", "Conv": "out", "LSTM": "hidden", "GRU": "hidden", "Positions": "context"}


@KINDS("negative size")
def negative_size(program: Program, rng: Random) -> Iterator[Edit]:
    """No dim has fewer than no places, and the argument is a dim of a weight."""
    for placed, item in _calls(program):
        arguments = placed.node.arguments
        if item.name.name in SIZED and arguments and arguments[0].name is None:
            span = arguments[0].span
            yield Edit(span.start, span.end, f"-{rng.randint(1, 64)}", placed.statement)


@KINDS("tensor for a number")
def tensor_for_number(program: Program, rng: Random) -> Iterator[Edit]:
    """Sizes are known before there are tensors: the argument is the layer's own input."""
    for placed, argument in _typed(program, "int"):
        name = _first_input(placed)
        if name is not None:
            yield Edit(argument.value.span.start, argument.value.span.end, name, placed.statement)


@KINDS("tensor for a layer")
def tensor_for_layer(program: Program, rng: Random) -> Iterator[Edit]:
    """`|>` applies a layer, and the layer's own input is a tensor."""
    for placed in program.of(ast.Pipe):
        name, span = _first_input(placed), placed.node.function.span
        if name is not None and not isinstance(placed.node.function, ast.Lambda):
            yield Edit(span.start, span.end, name, placed.statement)


def _first_input(placed: Placed) -> str | None:
    """The name of the first input of the layer around, if that is a tensor that is always there."""
    layer = placed.item
    if not isinstance(layer, ast.Layer) or placed.nearest(ast.Parameter) is not None:
        return None
    signatures = [s for node in layer.body or () if isinstance(node, ast.Input) for s in node.signatures]
    if not signatures or signatures[0].type.optional or signatures[0].type.name.name == "tuple":
        return None
    return signatures[0].name.name
