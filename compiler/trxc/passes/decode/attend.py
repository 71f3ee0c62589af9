"""Attention of a chunk's queries to all keys so far.

Keys and values are kept: those of the chunk are put behind those before. `chunk_attention` is told where its first
query stands, so that `causal` and `window` hide what they hid; what hides or moves scores otherwise is computed for the
chunk's queries and all keys that are kept.
"""

from __future__ import annotations

from ...ir import Op, Value
from ...ops.attention import optional_operands
from .indices import indexed
from .kinds import Fixed, Indexed, RefusedError, Role, Timed
from .places import instance
from .scope import Scope


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
        _emit(scope, op, [q.value, *(scope.fixed(value, op.span) for value in op.operands[1:3])], axis, None)
        return
    if not all(isinstance(known, Timed) and known.axis == axis for known in (k, v)):
        raise RefusedError("attention whose keys or values are not the places of the sequence", op.span)
    if not op.attributes["causal"]:
        raise _not_causal(op)
    assert isinstance(k, Timed) and isinstance(v, Timed)
    kept = [scope.all_places(known.value, axis, op.span) for known in (k, v)]
    _emit(scope, op, [q.value, *kept], axis, "key")


def _not_causal(op: Op) -> RefusedError:
    """What is wrong with attention that sees later places; one that hides them by a number is told of it."""
    fill = op.attributes["fill"]
    if op.attributes["masked"] and fill != float("-inf"):
        reason = f"attention gives hidden places a score of {fill:g}, which does not leave them out"
        return RefusedError(reason, op.span, ahead=True, help="`where(mask, scores, -inf)` leaves them out")
    return RefusedError("attention looks at all places, also at later ones: it is not causal", op.span, ahead=True)


def _emit(scope: Scope, op: Op, operands: list[Value], axis: int, keys: Role | None) -> None:
    """The op of the chunk; `keys` is whose places the scores' last axis has, if it has any."""
    for extra in optional_operands(instance(op), op.operands):
        if extra is not None:
            operands.append(_scores(scope, op, extra, keys))
    kind = op.kind
    if keys is not None:
        operands.append(scope.target.start)
        kind = "chunk_attention"
    result = Value(scope.chunked(op.result.type), op.result.name)
    scope.step.ops.append(Op(kind, operands, dict(op.attributes), [result], span=op.span))
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
