"""Places looked up by number: `gather(x, maximum(iota(seq) - 1, 0), along = 1)`.

The places of `x` are kept, and the chunk's numbers look up among them. That no number is that of a later place is shown
from how it is made of `iota(seq)` and constants.
"""

from __future__ import annotations

from ...ir import Op, Value
from ...ops import Attributes
from .indices import indexed
from .kinds import Indexed, RefusedError, Timed
from .scope import Scope


def looked_up(scope: Scope, op: Op) -> bool:
    """Puts a `gather` from the places of the sequence by numbers of places into the step; whether the op is one.

    Raises:
        RefusedError: it looks up later places, or it is not known that it does not.
    """
    if op.kind != "gather":
        return False
    known, numbers = (scope.of(value) for value in op.operands)
    along = Attributes(op.attributes).axis("along")
    if not (isinstance(known, Timed) and known.axis == along and isinstance(numbers, Indexed) and numbers.axes == (0,)):
        return False
    if op.operands[1].type.rank != 1:
        return False
    chosen = indexed(scope, op.operands[1], {0: "query"}, op.span)
    ahead = latest(scope, op.operands[1])
    if ahead is None:
        raise RefusedError("places are looked up by numbers that are not known to be those of earlier ones", op.span)
    if ahead > 0:
        raise RefusedError(f"places are looked up that are {ahead} later", op.span, ahead=True)
    places = scope.all_places(known.value, along, op.span)
    type_ = scope.chunked(op.result.type)
    result = scope.emit("gather", [places, chosen], type_, op.span, dict(op.attributes), op.result.name)
    scope.known[op.result] = Timed(result, along)
    return True


def latest(scope: Scope, value: Value) -> int | None:
    """How many places later than its own a number of places is at most; None where that is not known."""
    op = scope.maker(value)
    if op is None:
        return None
    match op.kind:
        case "iota":
            return 0
        case "constant":
            return _number(scope, value)
        case "add" | "subtract":
            return _moved(scope, op)
        case "minimum":
            bounds = [latest(scope, each) for each in op.operands]
            return min((each for each in bounds if each is not None), default=None)
        case "maximum":
            left, right = (latest(scope, each) for each in op.operands)
            return None if left is None or right is None else max(left, right)
        case "clip":
            return _clipped(scope, op)
        case "floor_divide":
            inner, divisor = latest(scope, op.operands[0]), _number(scope, op.operands[1])
            return None if inner is None or divisor is None or divisor < 1 else max(inner, 0)
        case "broadcast" | "cast":
            return latest(scope, op.operands[0]) if op.result.type.dtype.kind == "int" else None
        case _:
            return None


def _number(scope: Scope, value: Value) -> int | None:
    """The int that a constant is; as no place has a number below 0, it is at most so much later than any place."""
    op = scope.maker(value)
    if op is not None and op.kind == "broadcast":
        return _number(scope, op.operands[0])
    number = op.attributes["value"] if op is not None and op.kind == "constant" else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _moved(scope: Scope, op: Op) -> int | None:
    """Of a number of places, and so many more or fewer."""
    left, right = op.operands
    by = _number(scope, right)
    if by is None and op.kind == "add":
        left, by = right, _number(scope, left)
    inner = latest(scope, left)
    if inner is None or by is None:
        return None
    return inner + by if op.kind == "add" else inner - by


def _clipped(scope: Scope, op: Op) -> int | None:
    attributes = Attributes(op.attributes)
    low, high = int(attributes.number("low")), int(attributes.number("high"))
    inner = latest(scope, op.operands[0])
    return max(low, high if inner is None else min(inner, high))
