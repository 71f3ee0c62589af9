"""Names that mean nothing, that mean something else, or that are given twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from trxc.diagnostics import Diagnostics
from trxc.ops import OPS
from trxc.resolve import Library, library
from trxc.syntax import ast
from trxc.types import DTYPES

from .program import Edit, Kinds, Placed, Program, instead
from .words import misspelt

KINDS = Kinds()
_LIBRARY = Library(Diagnostics())
_OFFERED = {
    name: ref.kind for module in library.standard_modules() for name in _LIBRARY.standard(module).names()
    if (ref := _LIBRARY.standard(module).own(name)) is not None
}  # fmt: skip
"""What kind of thing the library means by a name."""

AXES = frozenset({"over", "along", "axis"})


def in_type(placed: Placed) -> bool:
    """Whether a node stands in a type, where a new name is a new dim."""
    return placed.nearest(ast.TypeExpr) is not None


def callee(placed: Placed) -> bool:
    """Whether a node is what is called or applied."""
    parent = placed.around[-1]
    return (isinstance(parent, ast.Call) and parent.function is placed.node) or isinstance(
        parent, ast.Compose | ast.Pipe
    )


def local_names(item: Any) -> set[str]:
    """What a layer's or fn's own text calls by a name."""
    if not isinstance(item, ast.Layer | ast.Fn):
        return set()
    names = {p.name.name for p in item.parameters}
    for node in item.body if isinstance(item.body, tuple) else ():
        if isinstance(node, ast.Input):
            names |= {s.name.name for s in node.signatures}
        elif isinstance(node, ast.Bind):
            names |= {ident.name for ident in node.names}
        elif isinstance(node, ast.Param | ast.State | ast.Carry | ast.DimDecl):
            names.add(node.name.name)
    return names


def _misspell(placed: Placed, program: Program, rng: Random) -> Edit:
    return instead(placed, misspelt(placed.node.name, program, rng))


def _names(program: Program, wanted: Callable[[Placed], bool]) -> Iterator[Placed]:
    yield from (placed for placed in program.of(ast.Name) if not in_type(placed) and wanted(placed))


def _of_kind(*kinds: str) -> Callable[[Placed], bool]:
    return lambda placed: _OFFERED.get(placed.node.name) in kinds and placed.nearest(ast.Rule) is None


@KINDS("misspelt local name")
def misspelt_local(program: Program, rng: Random) -> Iterator[Edit]:
    """The word is new to the file and to the library, so nothing can have bound it. Types are left out: they bind."""
    for placed in _names(program, lambda p: p.node.name in local_names(p.item) and not callee(p)):
        argument = placed.nearest(ast.Argument)
        if argument is None or argument.name is None or argument.name.name not in AXES:
            yield _misspell(placed, program, rng)


@KINDS("misspelt layer")
def misspelt_layer(program: Program, rng: Random) -> Iterator[Edit]:
    """The word is new to the file and to the library: no layer, fn or op is called so."""
    own = {item.name.name for item in program.tree.items if isinstance(item, ast.Layer | ast.Fn)}
    for placed in _names(program, lambda p: p.node.name in own or _OFFERED.get(p.node.name) in ("layer", "fn")):
        if placed.node.name not in local_names(placed.item):
            yield _misspell(placed, program, rng)


@KINDS("misspelt op")
def misspelt_op(program: Program, rng: Random) -> Iterator[Edit]:
    """As for layers."""
    for placed in _names(program, lambda p: p.node.name in OPS and p.node.name not in _OFFERED and callee(p)):
        yield _misspell(placed, program, rng)


@KINDS("misspelt initializer")
def misspelt_initializer(program: Program, rng: Random) -> Iterator[Edit]:
    """As for layers."""
    yield from (_misspell(p, program, rng) for p in _names(program, _of_kind("initializer")) if not _local(p))


@KINDS("misspelt optimizer")
def misspelt_optimizer(program: Program, rng: Random) -> Iterator[Edit]:
    """As for layers."""
    yield from (_misspell(p, program, rng) for p in _names(program, _of_kind("optimizer")) if not _local(p))


@KINDS("misspelt schedule")
def misspelt_schedule(program: Program, rng: Random) -> Iterator[Edit]:
    """As for layers."""
    yield from (_misspell(p, program, rng) for p in _names(program, _of_kind("schedule")) if not _local(p))


@KINDS("misspelt source, transform or sampler")
def misspelt_stage(program: Program, rng: Random) -> Iterator[Edit]:
    """As for layers."""
    kinds = _of_kind("source", "transform", "tokenizer", "sampler")
    for placed in _names(program, kinds):
        if not _local(placed) and isinstance(placed.item, ast.Record) and callee(placed):
            yield _misspell(placed, program, rng)


def _local(placed: Placed) -> bool:
    return placed.node.name in local_names(placed.item)


@KINDS("misspelt argument")
def misspelt_argument(program: Program, rng: Random) -> Iterator[Edit]:
    """No parameter of anything in the library or in the file is called so."""
    for placed in program.of(ast.Argument):
        name = placed.node.name
        if name is not None and not isinstance(placed.item, ast.Extern):
            yield Edit(name.span.start, name.span.end, misspelt(name.name, program, rng), placed.statement)


@KINDS("misspelt axis")
def misspelt_axis(program: Program, rng: Random) -> Iterator[Edit]:
    """No dim is called so, and an axis is chosen by its name."""
    for placed in program.of(ast.Argument):
        node = placed.node
        if node.name is not None and node.name.name in AXES and isinstance(node.value, ast.Name):
            span = node.value.span
            yield Edit(span.start, span.end, misspelt(span.text, program, rng), placed.statement)


@KINDS("misspelt dtype")
def misspelt_dtype(program: Program, rng: Random) -> Iterator[Edit]:
    """No dtype is called so. Types in the inputs of other languages' layers are left out."""
    for placed in program.of(ast.TypeExpr):
        name = placed.node.name
        if name.name in DTYPES and placed.node.dims is not None and not isinstance(placed.item, ast.Extern):
            yield Edit(name.span.start, name.span.end, misspelt(name.name, program, rng), placed.statement)


@KINDS("misspelt import")
def misspelt_import(program: Program, rng: Random) -> Iterator[Edit]:
    """No library, and nothing in one, is called so."""
    for placed in program.of(ast.Use):
        for name in placed.node.names:
            yield Edit(name.span.start, name.span.end, misspelt(name.name, program, rng), placed.statement)
        if not isinstance(placed.node.path, str):
            start = program.text.index(placed.node.path[-1], placed.node.span.start)
            word = placed.node.path[-1]
            yield Edit(start, start + len(word), misspelt(word, program, rng), placed.statement)


@KINDS("misspelt method or weight")
def misspelt_attribute(program: Program, rng: Random) -> Iterator[Edit]:
    """No layer has a weight of this name, no fn stands beside it, and tensors know `shape`, `rank` and `dtype` only."""
    for placed in program.of(ast.Attribute):
        name = placed.node.name
        if placed.nearest(ast.Rule) is None:
            yield Edit(name.span.start, name.span.end, misspelt(name.name, program, rng), placed.statement)


@KINDS("misspelt state or carry")
def misspelt_next(program: Program, rng: Random) -> Iterator[Edit]:
    """`next` speaks of a state or a carry of its layer, and none is called so."""
    for placed in program.of(ast.Next, ast.NextValue):
        name = placed.node.name
        yield Edit(name.span.start, name.span.end, misspelt(name.name, program, rng), placed.statement)


@KINDS("output of an undeclared name")
def undeclared_output(program: Program, rng: Random) -> Iterator[Edit]:
    """The output is a word that nothing binds."""
    for placed in program.of(ast.Output):
        span = placed.node.value.span
        yield Edit(span.start, span.end, misspelt("result", program, rng), placed.statement)


@KINDS("item defined twice")
def item_twice(program: Program, rng: Random) -> Iterator[Edit]:
    """A name means one thing at the top of a file."""
    items = [item for item in program.tree.items if isinstance(item, ast.Layer | ast.Fn | ast.Record | ast.Const)]
    for first, second in itertools.pairwise(items):
        span, start = second.name.span, program.statement_at(second.name.span.start)
        uses = [p for p in program.of(ast.Name, ast.Ident) if p.node.name == second.name.name]
        if first.name.name != second.name.name and len(uses) == 1:
            yield Edit(span.start, span.end, first.name.name, start)


@KINDS("parameter twice")
def parameter_twice(program: Program, rng: Random) -> Iterator[Edit]:
    """Two parameters of one name cannot both be given."""
    for placed in program.of(ast.Layer, ast.Fn):
        parameters = placed.node.parameters
        if parameters and not parameters[-1].variadic:
            last, first = parameters[-1], rng.choice(parameters)
            start, end = last.span.end, last.span.end
            yield Edit(start, end, f", {first.span.text}", (last.span.start, last.span.end))


@KINDS("weight bound twice")
def weight_twice(program: Program, rng: Random) -> Iterator[Edit]:
    """Two weights of one layer cannot have one name: a checkpoint knows them by it."""
    for placed in program.of(ast.Param, ast.State):
        if getattr(placed.node, "condition", None) is None:
            line = placed.node.span.text
            at = placed.node.span.end
            yield Edit(at, at, f"\n  {line}", placed.statement)


@KINDS("output given twice")
def output_twice(program: Program, rng: Random) -> Iterator[Edit]:
    """Outputs are known by their names, and two have one."""
    for placed in program.of(ast.Output):
        at = placed.node.span.end
        if isinstance(placed.around[-1], ast.Layer):
            yield Edit(at, at, f"\n  {placed.node.span.text}", placed.statement)


@KINDS("input declared twice")
def input_twice(program: Program, rng: Random) -> Iterator[Edit]:
    """A name means one thing where it is declared, and two inputs have one."""
    for placed in program.of(ast.Signature):
        if isinstance(placed.around[-1], ast.Input):
            at = placed.node.span.end
            yield Edit(at, at, f", {placed.node.span.text}", placed.statement)


@KINDS("argument given twice")
def argument_twice(program: Program, rng: Random) -> Iterator[Edit]:
    """A parameter has one value."""
    for placed in program.of(ast.Argument):
        if placed.node.name is not None and not isinstance(placed.item, ast.Extern):
            at = placed.node.span.end
            yield Edit(at, at, f", {placed.node.span.text}", placed.statement)


@KINDS("dim's or argument's name bound anew")
def shadowed(program: Program, rng: Random) -> Iterator[Edit]:
    """A binding may not take the name of a dim or of an argument of its layer.

    The new line stands at the end of the inputs, where both are known.
    """
    for placed in program.of(ast.Input):
        layer = placed.item
        dims = [d.name for s in placed.node.signatures for d in s.type.dims or () if isinstance(d, ast.Name)]
        names = [*dims, *(p.name.name for p in layer.parameters)] if isinstance(layer, ast.Layer) else []
        if names:
            line, at = f"\n  {rng.choice(names)} = {placed.node.signatures[0].name.name}", placed.node.span.end
            yield Edit(at, at, line, (at, at))


@KINDS("layer made of itself")
def made_of_itself(program: Program, rng: Random) -> Iterator[Edit]:
    """A layer that applies itself would never end. Layers that need no argument are put in place of another."""
    for placed in _names(program, lambda p: callee(p) and isinstance(p.item, ast.Layer)):
        parent, layer = placed.around[-1], placed.item
        single = isinstance(parent, ast.Compose | ast.Pipe) and parent.span.text != placed.node.name
        inside = placed.nearest(ast.Argument) is None and placed.nearest(ast.Lambda) is None
        ready = layer.body is not None and all(p.default is not None for p in layer.parameters)
        value = isinstance(parent, ast.Pipe) and parent.value is placed.node
        if single and inside and ready and not value and not _local(placed):
            yield instead(placed, layer.name.name)


@KINDS("used before it is bound")
def used_before_bound(program: Program, rng: Random) -> Iterator[Edit]:
    """A name has its meaning from its binding on, and this one is used in the line above."""
    for placed in program.of(ast.Layer):
        body = placed.node.body or ()
        for first, second in itertools.pairwise(body):
            if _binds_for(first, second, body):
                gap = program.text[first.span.end : second.span.start]
                text = f"{second.span.text}{gap}{first.span.text}"
                yield Edit(first.span.start, second.span.end, text, (first.span.start, second.span.end))


def _binds_for(first: Any, second: Any, body: tuple[Any, ...]) -> bool:
    """Whether a statement binds, for the only time, a name that the next one uses."""
    if not isinstance(first, ast.Bind) or not isinstance(second, ast.Bind | ast.Output):
        return False
    name = first.names[0].name
    bound = sum(name in {i.name for i in node.names} for node in body if isinstance(node, ast.Bind))
    uses = Program("second", f"layer L {{ {second.span.text} }}").of(ast.Name)
    return bound == 1 and any(placed.node.name == name and not in_type(placed) for placed in uses)
