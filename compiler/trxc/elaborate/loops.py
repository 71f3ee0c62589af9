"""`repeat` and `recur`: loops of the IR where every turn is the same, copies one by one where they differ."""

from __future__ import annotations

import itertools
from dataclasses import replace

from ..ir import Op, Parameter, Path, Region, Value
from ..ir.parameters import storage_key
from ..source import Span
from ..types import Axis, TensorType
from . import apply, axes, calls, functions
from .body import MAX_UNROLL, Body, Carried, Frame, Namer, RecurContext
from .declared import initializer
from .faults import Fault, Silent
from .values import (
    Closure,
    Composition,
    Conditional,
    CValue,
    LayerInstance,
    LayerRef,
    Poison,
    Recurrent,
    Repeated,
    Sequence,
    same_value,
    whole,
)

_roots = itertools.count(1)


class Unreachable(Exception):  # noqa: N818 - it is caught: the loop is written out
    """A layer inside a rolled loop has weights outside of it; the loop is written out instead."""

    def __init__(self, instance: LayerInstance) -> None:
        super().__init__(instance.item.name)
        self.instance = instance


class _DifferenceError(Exception):
    """A turn of the loop gives another type than it takes."""


def apply_repeated(repeated: Repeated, values: list[CValue], body: Body, span: Span) -> CValue:
    """`repeat(n, f)` on values."""
    if repeated.count == 0:
        return values[0] if len(values) == 1 else Sequence(tuple(values))
    layers = _layers(repeated, body)
    namer = repeated.namer
    if namer.frame is not body.frame or namer.depth != body.frame.depth:
        namer = Namer(namer.prefix, body.frame, body.frame.depth)
    if repeated.name is None:
        repeated.name = namer.claim(_stem(layers[0]))
    path = (*namer.prefix, repeated.name)
    if len(layers) > 1 and all(same_value(layers[0], layer) for layer in layers[1:]):
        tensors = [v for v in values if isinstance(v, Value)]
        if len(tensors) == len(values):
            rolled = _try_rolled(layers, tensors, path, body, span)
            if rolled is not None:
                return rolled
    return _unrolled(layers, values, path, body, span)


def _layers(repeated: Repeated, body: Body) -> list[CValue]:
    """The layer of each turn."""
    if not isinstance(repeated.layer, Closure):
        return [repeated.layer] * repeated.count
    if repeated.count > MAX_UNROLL:
        raise Fault("TRX0402", f"more than {MAX_UNROLL:,} different copies", repeated.span)
    local = [apply.apply_closure(repeated.layer, [whole(turn)], body, repeated.span) for turn in range(repeated.count)]
    return [apply.as_layer(layer, repeated.span) for layer in local]


def _stem(layer: CValue) -> str:
    if isinstance(layer, LayerInstance):
        return layer.name or plural(calls.stem_of(layer))
    if isinstance(layer, LayerRef):
        return plural(calls.snake(layer.item.name))
    return "layers"


def plural(word: str) -> str:
    """`block` → `blocks`, `dense` → `denses`, `branch` → `branches`, `entry` → `entries`."""
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


# ------------------------------------------------------------------ rolled


def _try_rolled(layers: list[CValue], tensors: list[Value], path: Path, body: Body, span: Span) -> CValue:
    """The loop as one `repeat` op; None (and nothing changed) where that cannot be."""
    frame, session = body.frame, body.session
    parameters = dict(frame.function.parameters)
    carries, arguments = len(frame.carries), len(frame.function.body.arguments)
    recurring = [len(context.carries) for context in frame.recurs]
    errors = len(session.diagnostics)
    region = Region([Value(v.type, v.name) for v in tensors])
    try:
        result = _turn(layers, region, path, body, span)
        if len(frame.carries) > carries or [len(c.carries) for c in frame.recurs] != recurring:
            raise _DifferenceError
        region.results = functions.flatten(result, span)
        if [(v.type.dtype, v.type.sizes) for v in region.results] != [(v.type.dtype, v.type.sizes) for v in tensors]:
            raise _DifferenceError
    except (Unreachable, _DifferenceError):
        frame.function.parameters.clear()
        frame.function.parameters.update(parameters)
        del frame.carries[carries:]
        del frame.function.body.arguments[arguments:]
        for context, count in zip(frame.recurs, recurring, strict=True):
            del context.carries[count:], context.arguments[count:], context.following[count:]
        del session.diagnostics.items[errors:]
        return None
    op = Op("repeat", tensors, {"count": len(layers), "path": path}, [Value(v.type) for v in tensors], [region], span)
    frame.regions[-1].ops.append(op)
    return op.results[0] if not isinstance(result, Sequence) else Sequence(tuple(op.results))


def _turn(layers: list[CValue], region: Region, path: Path, body: Body, span: Span) -> CValue:
    frame, base = body.frame, body.frame.base
    frame.regions.append(region)
    frame.roots.append(next(_roots))
    frame.base = (*base, *path)
    try:
        namer = Namer((), frame, frame.depth)
        layer = rehome(layers[0], namer, rooted=True)
        with body.session.within(f"instance 1 of {len(layers)}", span):
            return apply.apply(layer, list(region.arguments), body, span)
    finally:
        frame.regions.pop()
        frame.roots.pop()
        frame.base = base


def _unrolled(layers: list[CValue], values: list[CValue], path: Path, body: Body, span: Span) -> CValue:
    if len(layers) > MAX_UNROLL:
        raise Fault("TRX0402", f"more than {MAX_UNROLL:,} copies that cannot be one loop", span)
    for turn, layer in enumerate(layers):
        namer = Namer((*path[:-1], f"{path[-1]}[{turn}]"), body.frame, body.frame.depth)
        with body.session.within(f"instance {turn + 1} of {len(layers)}", span):
            result = apply.apply(rehome(layer, namer, rooted=True), values, body, span)
        if isinstance(result, Poison):
            raise Silent
        values = [result]
    return values[0]


def rehome(layer: CValue, namer: Namer, *, rooted: bool = False, force: bool = True) -> CValue:
    """A copy of a layer whose weights stand with `namer`; `rooted`: directly at its prefix, if it is one layer.

    Layers among its arguments move along unless they have a name already: those are shared, and stay.
    """
    if isinstance(layer, LayerRef | Closure | Poison):
        return layer
    if isinstance(layer, LayerInstance):
        if not force and layer.name is not None:
            return layer
        arguments = {name: rehome(value, namer, force=False) for name, value in layer.arguments.items()}
        takes_layers = any(arguments[name] is not layer.arguments[name] for name in arguments)
        return replace(layer, namer=namer, arguments=arguments, name=None, rooted=rooted and not takes_layers)
    if isinstance(layer, Composition):
        return Composition(tuple(rehome(part, namer, force=False) for part in layer.parts))
    if isinstance(layer, Sequence):
        return Sequence(tuple(rehome(item, namer, force=False) for item in layer.items))
    if isinstance(layer, Repeated):
        return replace(layer, namer=namer, layer=rehome(layer.layer, namer, force=False), name=None)
    if isinstance(layer, Recurrent):
        return replace(layer, namer=namer, cell=rehome(layer.cell, namer, force=False), name=None)
    return layer


# -------------------------------------------------------------------- cond


def apply_conditional(conditional: Conditional, values: list[CValue], body: Body, span: Span) -> CValue:
    """`cond(p, f, g)` on values: both are elaborated, one runs."""
    frame = body.frame
    regions: list[Region] = []
    results: list[CValue] = []
    for layer in (conditional.then, conditional.otherwise):
        region = Region([])
        frame.regions.append(region)
        try:
            results.append(apply.apply(layer, values, body, span))
        finally:
            frame.regions.pop()
        region.results = functions.flatten(results[-1], span)
        regions.append(region)
    then, otherwise = ([(v.type.dtype, v.type.sizes) for v in region.results] for region in regions)
    if then != otherwise:
        raise Fault("TRX0204", "the two sides of `cond` give different types", conditional.span)
    types = [v.type for v in regions[0].results]
    op = Op("cond", [conditional.predicate], {}, [Value(t) for t in types], regions, span)
    frame.regions[-1].ops.append(op)
    return op.results[0] if not isinstance(results[0], Sequence) else Sequence(tuple(op.results))


# ------------------------------------------------------------------- recur


def apply_recurrent(recurrent: Recurrent, values: list[CValue], body: Body, span: Span) -> CValue:
    """`recur(cell, over = …)` on one sequence: the cell's outputs, step by step."""
    sequences = functions.flatten(Sequence(tuple(values)), span)
    if not sequences:
        raise Fault("TRX0413", "`recur` needs a sequence, and is given none", span)
    along = axes.resolve_axes(recurrent.over, sequences[0].type, recurrent.span)
    if len(along) != 1:
        raise Fault("TRX0208", f"`recur` goes over one dim, and this is {len(along)}", recurrent.span)
    (axis,) = along
    walked = sequences[0].type.axes[axis]
    frame = body.frame
    region = Region([Value(_without(v.type, axis), v.name) for v in sequences])
    context = RecurContext()
    frame.recurs.append(context)
    frame.regions.append(region)
    try:
        with body.session.within("each step", span):
            result = apply.apply(recurrent.cell, list(region.arguments), body, span)
    finally:
        frame.regions.pop()
        frame.recurs.pop()
    outputs = functions.flatten(result, span)
    if len(context.following) != len(context.carries):
        raise Fault("TRX0415", "a carry is never given its next value", span)
    initial = [_initial(carried, frame, body) for carried in context.carries]
    region.arguments.extend(context.arguments)
    region.results = [*outputs, *context.following]
    stacked = [_with(v.type, axis, walked) for v in outputs]
    names = tuple(carried.name for carried in context.carries)
    op = Op(
        "recur", [*sequences, *initial],
        {"path": (), "axis": axis, "reverse": recurrent.reverse, "sequences": len(sequences), "carries": names},
        [Value(t) for t in [*stacked, *(c.type for c in context.carries)]], [region], recurrent.span,
    )  # fmt: skip
    frame.regions[-1].ops.append(op)
    return op.results[0] if not isinstance(result, Sequence) else Sequence(tuple(op.results[: len(outputs)]))


def _without(type_: TensorType, axis: int) -> TensorType:
    return type_.with_axes(type_.axes[:axis] + type_.axes[axis + 1 :])


def _with(type_: TensorType, axis: int, walked: Axis) -> TensorType:
    return type_.with_axes((*type_.axes[:axis], walked, *type_.axes[axis:]))


def _initial(carried: Carried, frame: Frame, body: Body) -> Value:
    """What a carry starts from, made outside the loop."""
    start = initializer(carried.initial, body, carried.span)
    numbers = {"zeros": 0.0, "ones": 1.0}
    number = numbers.get(start.name, dict(start.arguments).get("value"))
    if not isinstance(number, int | float):
        message = f"a carry starts from zeros, ones or a number, and this is `{start}`"
        raise Fault("TRX0405", message, carried.span)
    sizes = tuple((a.size, a.public_name) for a in carried.type.axes)
    attributes = {"sizes": sizes, "value": number, "dtype": carried.type.dtype}
    return frame.add("full", [], attributes, [carried.type], carried.span).result


__all__ = ["Parameter", "Unreachable", "apply_recurrent", "apply_repeated", "plural", "rehome", "storage_key"]
