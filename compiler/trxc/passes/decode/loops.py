"""Calls and loops: a layer becomes its own two functions, a stack of layers keeps a slice for each.

A recurrence along time goes on from where the chunk before ended; one along anything else is done place by place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ...dims import dim
from ...ir import Op, Region, Value
from ...ir.clone import clone_op
from ...ir.walk import callee, captures, collected_count
from ...ops import Attributes
from ...types import BOOL, INT, Axis, TensorType
from .indices import indexed
from .kinds import Fixed, Indexed, RefusedError, Timed
from .scope import CHUNK, Scope

Given = tuple["str | int", ...]
"""What is known of a function's arguments, by kind: `fixed`, `computed`, or the axis of time."""


@dataclass
class Variant:
    """The two functions that one became for arguments of some kinds.

    `step_inputs` and `prepare_inputs` are the original's that each takes; `extras` are the names of `start`, `count`
    and `slots`, as far as the step takes them. `results` are the axes of time, or None for what is fixed.
    """

    step: str
    prepare: str | None
    step_inputs: list[int] = field(default_factory=list[int])
    prepare_inputs: list[int] = field(default_factory=list[int])
    extras: list[str] = field(default_factory=list[str])
    results: list[int | None] = field(default_factory=list["int | None"])


Derive = Callable[[str, Given], Variant]


def given_of(scope: Scope, op: Op) -> Given:
    """The kinds of the operands of a call."""
    kinds: list[str | int] = []
    for value in op.operands:
        known = scope.of(value)
        if isinstance(known, Timed):
            kinds.append(known.axis)
        elif isinstance(known, Fixed):
            kinds.append("computed" if known.computed else "fixed")
        else:
            raise RefusedError("a layer is given places that it cannot be told", op.span)
    return tuple(kinds)


def call(scope: Scope, op: Op, derive: Derive) -> None:
    """A call becomes one of the step, and one of what is done before, if there is anything to do."""
    variant = derive(callee(op), given_of(scope, op))
    extras = [getattr(scope.target, name) for name in variant.extras]
    operands = [_argument(scope, op, at) for at in variant.step_inputs]
    results = [
        Value(scope.chunked(value.type), value.name)
        for value, axis in zip(op.results, variant.results, strict=True)
        if axis is not None
    ]
    attributes = {**op.attributes, "callee": variant.step}
    scope.step.ops.append(Op("call", [*operands, *extras], attributes, results, span=op.span))
    found = iter(results)
    for value, axis in zip(op.results, variant.results, strict=True):
        if axis is None:
            raise RefusedError("a layer gives something that no place of the sequence plays a part in", op.span)
        scope.known[value] = Timed(next(found), axis)
    if variant.prepare is not None:
        before = [scope.before(op.operands[at]) for at in variant.prepare_inputs]
        attributes = {**op.attributes, "callee": variant.prepare}
        scope.prepare.ops.append(Op("call", before, attributes, [], span=op.span))


def _argument(scope: Scope, op: Op, at: int) -> Value:
    known = scope.of(op.operands[at])
    return known.value if isinstance(known, Timed) else scope.fixed(op.operands[at], op.span)


def repeat(scope: Scope, op: Op, run: Callable[[Scope, Region], None]) -> None:
    """A stack of layers: each turn has its own slice of what is kept."""
    region = op.regions[0]
    if collected_count(op):
        raise RefusedError("values of every layer are collected", op.span)
    inner = Scope(scope.target, Region([]), Region([]), scope, scope.root + op.path())
    carries: list[Value] = []
    for argument, operand in zip(region.arguments, op.operands, strict=True):
        known = scope.of(operand)
        if not isinstance(known, Timed):
            raise RefusedError("a stack of layers is given something else than places of the sequence", op.span)
        value = Value(scope.chunked(argument.type), argument.name)
        inner.step.arguments.append(value)
        inner.known[argument] = Timed(value, known.axis)
        carries.append(known.value)
    run(inner, region)
    results: list[Value] = []
    for value, given, result in zip(region.results, op.operands, op.results, strict=True):
        known, outer = inner.of(value), scope.of(given)
        if not isinstance(known, Timed) or not isinstance(outer, Timed) or known.axis != outer.axis:
            raise RefusedError("a stack of layers moves the places of the sequence to another axis", op.span)
        inner.step.results.append(known.value)
        results.append(Value(scope.chunked(result.type), result.name))
        scope.known[result] = Timed(results[-1], known.axis)
    scope.step.ops.append(Op("repeat", carries, dict(op.attributes), results, [inner.step], op.span))
    if inner.prepare.ops:
        scope.prepare.ops.append(Op("repeat", [], dict(op.attributes), [], [inner.prepare], op.span))


def recur(scope: Scope, op: Op) -> None:
    """A recurrence along time: it begins with what the chunk before ended with, and stops at the last real place."""
    attributes = Attributes(op.attributes)
    axis, count = attributes.axis("axis"), attributes.int_("sequences")
    if attributes.flag("reverse"):
        raise RefusedError("a recurrence goes from the last place to the first", op.span, ahead=True)
    sequences = [_sequence(scope, op, value, axis) for value in op.operands[:count]]
    region = op.regions[0]
    values = {value: _own(scope, value, op) for value in captures(region)}
    begins: list[Value] = []
    writes: list[Callable[[Value], None]] = []
    for value, argument in zip(op.operands[count:], region.arguments[count:], strict=True):
        if not isinstance(scope.of(value), Fixed):
            raise RefusedError("a recurrence that begins with places of the sequence", op.span)
        begin = partial(scope.before, value)
        old, write = scope.carried(argument.name or "carry", value.type, op.span, begin)
        begins.append(old)
        writes.append(write)
    cloned = clone_op(op, values)
    cloned.operands[:] = [*sequences, *begins]
    outputs = len(op.results) - len(begins)
    for old, new in zip(op.results[:outputs], cloned.results, strict=False):
        new.type = scope.chunked(new.type)
        scope.known[old] = Timed(new, axis)
    _stop_at_count(scope, cloned, axis, count, outputs)
    scope.step.ops.append(cloned)
    for value, write in zip(cloned.results[outputs:], writes, strict=True):
        write(value)


def _own(scope: Scope, value: Value, op: Op) -> Value:
    if not isinstance(scope.of(value), Fixed):
        raise RefusedError("a recurrence uses places of the sequence other than its own", op.span)
    return scope.fixed(value, op.span)


def _sequence(scope: Scope, op: Op, value: Value, axis: int) -> Value:
    known = scope.of(value)
    if isinstance(known, Timed) and known.axis == axis:
        return known.value
    if isinstance(known, Indexed) and known.axes == (axis,):
        return indexed(scope, value, {axis: "query"}, op.span)
    raise RefusedError("a recurrence along another axis than the places of the sequence", op.span)


def _stop_at_count(scope: Scope, op: Op, axis: int, count: int, outputs: int) -> None:
    """After the last real place of the chunk, carries stay as they are."""
    region = op.regions[0]
    iota = scope.emit("iota", [], TensorType(INT, (Axis(dim(CHUNK), None),)), op.span, {"n": (dim(CHUNK), None)})
    real = scope.emit("less", [iota, scope.target.count], TensorType(BOOL, iota.type.axes), op.span, name="real")
    spread = scope.spread(real, axis, axis + 1, op.span)
    element = Value(spread.type.with_axes(spread.type.axes[:axis]), "real")
    op.operands.insert(count, spread)
    region.arguments.insert(count, element)
    op.attributes["sequences"] = count + 1
    flag = element
    if axis:
        flag = Value(TensorType(BOOL), "real")
        region.ops.append(Op("reshape", [element], {"sizes": ()}, [flag], span=op.span))
    for at, old in enumerate(region.arguments[count + 1 :], outputs):
        kept = Value(old.type)
        region.ops.append(Op("where", [flag, region.results[at], old], {}, [kept], span=op.span))
        region.results[at] = kept
