"""What a value of pairs of places holds where the key is later than the query, as far as that is one known number.

Masks are comparisons of positions, so that this is shown for all lengths at once: ``query >= key`` is false there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...ir import Op, Value
from ...ops import OPS
from ..attention_masks import FLIPPED, Condition, nonnegative, positions
from .kinds import Pairs
from .places import instance
from .scope import Scope

INFINITE = (float("inf"), float("-inf"))

UNARY: dict[str, Callable[[float], float]] = {
    "cast": float,
    "negate": lambda x: -x,
    "abs": abs,
    "exp": lambda x: math.exp(x) if x < 700 else math.inf,
    "relu": lambda x: max(x, 0.0),
    "square": lambda x: x * x,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan,
    "logical_not": lambda x: 0.0 if x else 1.0,
}
"""What an op makes of a number."""

UNMOVED = frozenset({"broadcast", "expand_dims", "reshape", "transpose", "swap", "rearrange", "squeeze"})
"""Ops that change no number."""


def later(scope: Scope, value: Value, query: int, key: int) -> float | None:
    """The number that a value holds wherever the place along `key` is later than that along `query`; None if unknown.

    Numbers that others are multiplied with or added to are taken to be finite: what is inf or nan spoils a sequence
    whether it is generated or not.
    """
    known = scope.owner(value).known.get(value)
    if isinstance(known, Pairs):
        return known.hidden if (known.query, known.key) == (query, key) else None
    op = scope.maker(value)
    if op is not None and op.kind in ("constant", "full"):
        number = op.attributes["value"]
        return float(number) if isinstance(number, int | float) else None
    if op is None or op.kind not in OPS:
        return None
    if op.kind in FLIPPED:
        return _compared(scope, op, query, key)
    if op.kind in ("equal", "not_equal"):
        return _equal(scope, op, query, key)
    axes = [operand_axes(op, number, query, key) for number in range(len(op.operands))]
    return combined(op.kind, [later(scope, part, *at) for part, at in zip(op.operands, axes, strict=True)])


def operand_axes(op: Op, number: int, query: int, key: int) -> tuple[int, int]:
    """Which axes of an operand become those of queries and keys of the result; -1 where it has none."""
    definition, use = OPS[op.kind], instance(op)
    places: dict[int, int] = {}
    for axis in range(op.operands[number].type.rank):
        along = definition.along(use, number, axis)
        if along is not None and along.back == 0 and along.axis in (query, key):
            places[along.axis] = axis
    return places.get(query, -1), places.get(key, -1)


def _compared(scope: Scope, op: Op, query: int, key: int) -> float | None:
    """A comparison of positions: ``gap >= 0``, where the gap is a sum over positions; true, false or unknown."""
    gap = nonnegative(Condition(op.result), scope.all_makers())
    rank = op.result.type.rank
    if gap is None or query < 0 or key < 0:
        return None
    offset, along = gap.offset.value, dict(gap.along)
    if offset is not None and along == {rank - query: 1, rank - key: -1} and offset <= 0:
        return 0.0  # query - key is -1 at most
    if offset is not None and along == {rank - query: -1, rank - key: 1} and offset >= -1:
        return 1.0
    return None


def _equal(scope: Scope, op: Op, query: int, key: int) -> float | None:
    """Whether two positions are the same, as far as it is the same for every later key."""
    left, right = (positions(value, scope.all_makers()) for value in op.operands)
    if left is None or right is None or query < 0 or key < 0:
        return None
    rank, gap = op.result.type.rank, left.plus(right, -1)
    offset, ahead = gap.offset.value, gap.along.get(rank - key)
    if offset is None or dict(gap.along) not in ({rank - query: 1, rank - key: -1}, {rank - query: -1, rank - key: 1}):
        return None
    apart = offset >= 0 if ahead == 1 else offset <= 0  # key - query is 1 at least
    return float(op.kind == "not_equal") if apart else None


def combined(kind: str, parts: Sequence[float | None]) -> float | None:
    """What an op gives of numbers, some of them not known."""
    if kind in UNMOVED:
        return parts[0]
    if kind in UNARY:
        return None if parts[0] is None else UNARY[kind](parts[0])
    if kind == "where":
        condition, one, other = parts
        if condition is None:
            return one if one == other else None
        return one if condition else other
    if len(parts) != 2:
        return None
    return _of_two(kind, *parts)


def _of_two(kind: str, one: float | None, other: float | None) -> float | None:
    known = [part for part in (one, other) if part is not None]
    match kind:
        case "multiply" | "logical_and" | "einsum" | "matmul" if 0.0 in known:
            return 0.0
        case "logical_or" if any(known):
            return 1.0
        case "minimum" if -math.inf in known:
            return -math.inf
        case "add" if any(part in INFINITE for part in known):
            return next(part for part in known if part in INFINITE)
        case "subtract" | "divide" if one in INFINITE or (kind == "divide" and one == 0.0):
            return _scaled(kind, one, other)
        case _:
            return _of_known(kind, one, other) if one is not None and other is not None else None


def _scaled(kind: str, one: float | None, other: float | None) -> float | None:
    """inf less anything, inf or 0 by a number that is known to be above 0."""
    return one if kind == "subtract" or one == 0.0 or (other is not None and 0 < other < math.inf) else None


def _of_known(kind: str, one: float, other: float) -> float | None:
    match kind:
        case "add":
            return one + other
        case "subtract":
            return one - other
        case "multiply":
            return one * other
        case "divide":
            return one / other if other else None
        case "minimum" | "maximum":
            return min(one, other) if kind == "minimum" else max(one, other)
        case "logical_and" | "logical_or":
            return float(bool(one and other) if kind == "logical_and" else bool(one or other))
        case _:
            return None
