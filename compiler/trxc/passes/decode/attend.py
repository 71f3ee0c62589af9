"""Attention of a chunk's queries to all keys so far.

Keys and values are kept, heads first: those of the chunk are put behind those before. `chunk_attention` is told where
its first query stands, so that `causal` and `window` hide what they hid; what hides or moves scores otherwise is
computed for the chunk's queries and all keys that are kept. Under a window a ring of places is enough.
"""

from __future__ import annotations

from collections.abc import Callable

from ...dims import dim
from ...ir import Attribute, Op, Value
from ...ops.attention import optional_operands
from ...types import Axis
from .indices import indexed
from .kinds import Fixed, Indexed, RefusedError, Role, Timed
from .places import instance
from .scope import CAPACITY, Scope, ring


def attend(scope: Scope, op: Op) -> None:
    """Puts an attention with timed operands into the step.

    Raises:
        RefusedError: it is not causal, or its keys have places and its queries none.
    """
    q, k, v = (scope.of(value) for value in op.operands[:3])
    axis = op.operands[0].type.rank - 3
    if not isinstance(q, Timed) or q.axis != axis:
        raise RefusedError("attention whose queries are not the places of the sequence", op.span)
    timed = [known for known in (k, v) if not isinstance(known, Fixed)]
    if not timed:
        kept = [_fixed_as_kept(scope, value, op) for value in op.operands[1:3]]
        _emit(scope, op, [q.value, *kept], axis, None)
        return
    if not all(isinstance(known, Timed) and known.axis == axis for known in (k, v)):
        raise RefusedError("attention whose keys or values are not the places of the sequence", op.span)
    if not op.attributes["causal"]:
        raise _not_causal(op)
    assert isinstance(k, Timed) and isinstance(v, Timed)
    window = op.attributes["window"] if _hides_nothing_else(op) else None
    assert window is None or isinstance(window, int)
    places = CAPACITY if window is None else ring(window)
    chunk = [_as_kept(scope, known.value, op) for known in (k, v)]
    kept = [scope.all_places(value, value.type.rank - 2, op.span, places) for value in chunk]
    _emit(scope, op, [q.value, *kept], axis, "key", in_ring=window is not None)


def _hides_nothing_else(op: Op) -> bool:
    """Whether neither mask nor bias tells keys apart, whose places those in a ring are not."""
    extras = (extra for extra in optional_operands(instance(op), op.operands) if extra is not None)
    return all(not extra.type.rank or extra.type.sizes[-1] == dim(1) for extra in extras)


def _as_kept(scope: Scope, value: Value, op: Op) -> Value:
    """Keys or values of the chunk as they are kept: [batch * heads, places, head].

    On a mesh, which splits batch and heads, they stay two dims.
    """
    key = ("kept", value)
    if key not in scope.made:
        first = _heads_first(value, op, scope.emit)
        merge = first.type.rank > 3 and not scope.target.on_mesh
        scope.made[key] = _merged(scope, first, op) if merge else first
    return scope.made[key]


def _fixed_as_kept(scope: Scope, value: Value, op: Op) -> Value:
    """Those that no place of the sequence plays a part in, heads first; what is computed before, is kept so."""
    known = scope.of(value)
    assert isinstance(known, Fixed)
    key = ("kept", value)
    if key not in scope.made and known.computed:
        before = _heads_first(scope.before(value), op, scope.emit_before)
        scope.made[key], _ = scope.carried(value.name or "fixed", before.type, op.span, lambda: before)
        scope.made[key].name = value.name
    elif key not in scope.made:
        scope.made[key] = _heads_first(scope.fixed(value, op.span), op, scope.emit)
    return scope.made[key]


def _heads_first(value: Value, op: Op, emit: Callable[..., Value]) -> Value:
    """[.., places, heads, head] as [.., heads, places, head]."""
    rank = value.type.rank
    order = (*range(rank - 3), rank - 2, rank - 3, rank - 1)
    type_ = value.type.with_axes([value.type.axes[at] for at in order])
    return emit("transpose", [value], type_, op.span, {"order": order}, value.name)


def _merged(scope: Scope, value: Value, op: Op) -> Value:
    """All dims before places as one."""
    type_ = value.type
    first = Axis(type_.with_axes(type_.axes[:-2]).elements, None)
    type_ = type_.with_axes([first, *type_.axes[-2:]])
    sizes = tuple((axis.size, axis.name) for axis in type_.axes)
    return scope.emit("reshape", [value], type_, op.span, {"sizes": sizes}, value.name)


def _not_causal(op: Op) -> RefusedError:
    """What is wrong with attention that sees later places; one that hides them by a number is told of it."""
    fill = op.attributes["fill"]
    if op.attributes["masked"] and fill != float("-inf"):
        reason = f"attention gives hidden places a score of {fill:g}, which does not leave them out"
        return RefusedError(reason, op.span, ahead=True, help="`where(mask, scores, -inf)` leaves them out")
    return RefusedError("attention looks at all places, also at later ones: it is not causal", op.span, ahead=True)


def _emit(scope: Scope, op: Op, operands: list[Value], axis: int, keys: Role | None, *, in_ring: bool = False) -> None:
    """The op of the chunk; `keys` is whose places the scores' last axis has, if it has any."""
    for extra in optional_operands(instance(op), op.operands):
        if extra is not None:
            operands.append(_scores(scope, op, extra, keys))
    if keys is not None:
        operands.append(scope.target.start)
    result = Value(scope.chunked(op.result.type), op.result.name)
    attributes: dict[str, Attribute] = {**op.attributes, "ring": in_ring}
    scope.step.ops.append(Op("chunk_attention", operands, attributes, [result], span=op.span))
    scope.known[op.result] = Timed(result, axis)


def _scores(scope: Scope, op: Op, value: Value, keys: Role | None) -> Value:
    """A mask or bias for the chunk's queries and the keys there are."""
    rank, known = value.type.rank, scope.of(value)
    places: dict[int, Role | None] = {rank - 2: "query", rank - 1: keys}
    if isinstance(known, Timed):
        if places.get(known.axis) == "key":
            return scope.all_places(known.value, known.axis, op.span)
        if places.get(known.axis) == "query":
            return known.value
        raise RefusedError("a mask or bias with places along another axis than queries and keys", op.span)
    roles: dict[int, Role] = {}
    for at in known.axes if isinstance(known, Indexed) else ():
        role = places.get(at)
        if role is None:
            raise RefusedError("a mask or bias with places along another axis than queries and keys", op.span)
        roles[at] = role
    return indexed(scope, value, roles, op.span)
