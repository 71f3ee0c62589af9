"""Numbers of places, tables and masks: computed for the places that they are asked for.

What is made of `iota(seq)` alone is the same whatever the sequence holds. A chunk needs it for its own places (the role
``query``), or for all places that are kept (``key``); which, is known only where it meets other values.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...dims import Dim, dim
from ...ir import Attribute, Op, Value
from ...ir.clone import Renaming
from ...ir.walk import attribute_symbols
from ...ops import OPS, Attributes, Instance
from ...source import Span
from ...types import Axis, TensorType
from .kinds import Fixed, Indexed, RefusedError, Role
from .scope import CAPACITY, CHUNK, Scope

LENGTHS: dict[Role, Dim] = {"query": dim(CHUNK), "key": dim(CAPACITY)}


def indexed(scope: Scope, value: Value, roles: Mapping[int, Role], span: Span | None) -> Value:
    """A value of places for the places that each of its axes of time is asked for.

    Raises:
        RefusedError: it is not made place by place, or depends on the length of the whole.
    """
    known = scope.of(value)
    if isinstance(known, Fixed):
        return scope.fixed(value, span)
    assert isinstance(known, Indexed)
    owner = scope.owner(value)
    key = (value, tuple(sorted(roles.items())))
    if key not in owner.indexed:
        owner.indexed[key] = _made(owner, known, dict(roles))
    return owner.indexed[key]


def _made(scope: Scope, known: Indexed, roles: dict[int, Role]) -> Value:
    op = known.op
    missing = [axis for axis in known.axes if axis not in roles]
    if missing or (op.kind == "size"):
        raise RefusedError("the length of the whole sequence plays a part", op.span, ahead=True)
    if op.kind == "iota":
        return _iota(scope, op, roles[0])
    if op.kind == "slice" and isinstance(scope.of(op.operands[0]), Fixed):
        return _table(scope, op, roles)
    if op.kind == "full":
        sized = _sized(op.result.type, roles)
        return scope.emit("full", [], sized, op.span, sized_attributes(scope, op, sized, roles))
    return _place_by_place(scope, op, known.index, roles)


def _iota(scope: Scope, op: Op, role: Role) -> Value:
    if role == "query":
        return scope.places(0, 1, op.span)
    return scope.target.slots


def _table(scope: Scope, op: Op, roles: Mapping[int, Role]) -> Value:
    """`table[:seq]`: the rows of the places; those that the table does not have are not asked for."""
    table = scope.fixed(op.operands[0], op.span)
    ((axis, role),) = roles.items()
    starts = Attributes(op.attributes).sizes("starts")
    if any(start.size != dim(0) for start in starts):
        raise RefusedError("its places are counted from another one than the first", op.span)
    places = scope.places(0, 1, op.span) if role == "query" else scope.target.slots
    return scope.emit(
        "gather", [table, places], _sized(op.result.type, roles), op.span, {"along": axis}, op.result.name
    )


def _place_by_place(scope: Scope, op: Op, index: int, roles: Mapping[int, Role]) -> Value:
    definition = OPS.get(op.kind)
    if definition is None or definition.random:
        raise RefusedError(f"`{op.kind}` of places is not known place by place", op.span)
    use = Instance(
        tuple(v.type for v in op.operands), Attributes(op.attributes), tuple(v.type for v in op.results)
    )  # fmt: skip
    operands: list[Value] = []
    for number, value in enumerate(op.operands):
        known = scope.of(value)
        wanted: dict[int, Role] = {}
        for axis in known.axes if isinstance(known, Indexed) else ():
            along = definition.along(use, number, axis)
            if along is None or along.back != 0 or along.axis not in roles:
                raise RefusedError(f"`{op.kind}` takes all places together, later ones too", op.span, ahead=True)
            wanted[axis] = roles[along.axis]
        operands.append(indexed(scope, value, wanted, op.span))
    results = [Value(_sized(value.type, roles), value.name) for value in op.results]
    attributes = sized_attributes(scope, op, results[0].type, roles)
    scope.step.ops.append(Op(op.kind, operands, attributes, results, span=op.span))
    return results[index]


def _sized(type_: TensorType, roles: Mapping[int, Role]) -> TensorType:
    axes = [Axis(LENGTHS[roles[at]], a.name) if at in roles else a for at, a in enumerate(type_.axes)]
    return type_.with_axes(axes)


def sized_attributes(scope: Scope, op: Op, result: TensorType, roles: Mapping[int, Role]) -> dict[str, Attribute]:
    """An op's attributes, with the lengths of the places where they speak of the whole's."""
    if op.kind in ("broadcast", "reshape", "full"):
        return {**op.attributes, "sizes": tuple((axis.size, axis.name) for axis in result.axes)}
    lengths = {LENGTHS[role] for role in roles.values()}
    if scope.target.time in {name for value in op.attributes.values() for name in attribute_symbols(value)}:
        if len(lengths) > 1:
            raise RefusedError(f"`{op.kind}` speaks of the whole length along two axes", op.span)
        renaming = Renaming(dict.fromkeys([scope.target.time], lengths.pop()))
        return {name: renaming.attribute(value) for name, value in op.attributes.items()}
    return dict(op.attributes)
