"""Masks of attention as conditions: what is a comparison of positions, and what has to be read from a tensor.

``i >= j`` and its relatives, however written (`causal_mask`, `sliding_window_mask`, `iota(n)[:, none] - iota(n) > -1`),
are differences of positions against a number. An integer expression over `iota`s is followed to
``sum(coefficient * position along an axis) + offset``, with the offset a size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..dims import Dim, DimError, dim
from ..ir import Op, Value
from ..ops.definition import Attributes

FLIPPED = {"less": "greater_equal", "less_equal": "greater", "greater": "less_equal", "greater_equal": "less"}
"""What a comparison is when it does not hold."""


@dataclass(frozen=True)
class Condition:
    """A part of a mask: a bool tensor, or its opposite where `negated`."""

    value: Value
    negated: bool = False


@dataclass(frozen=True)
class Positions:
    """An integer tensor as a sum over its axes, counted from the right from 1, and a number."""

    offset: Dim
    along: Mapping[int, int] = field(default_factory=dict[int, int])

    def plus(self, other: Positions, times: int = 1) -> Positions:
        """This and so many times another, broadcast."""
        along = dict(self.along)
        for axis, coefficient in other.along.items():
            along[axis] = along.get(axis, 0) + times * coefficient
        return Positions(self.offset + other.offset * times, {axis: c for axis, c in along.items() if c})


def conditions(value: Value, makers: Mapping[Value, Op], negated: bool = False) -> list[Condition]:
    """The parts of a mask that all have to hold."""
    op = makers.get(value)
    if op is not None and op.kind == "logical_not":
        return conditions(op.operands[0], makers, not negated)
    if op is not None and op.kind == ("logical_or" if negated else "logical_and"):
        return [part for operand in op.operands for part in conditions(operand, makers, negated)]
    return [Condition(value, negated)]


def nonnegative(condition: Condition, makers: Mapping[Value, Op]) -> Positions | None:
    """What is 0 or more where a comparison of positions holds; None for another condition."""
    op = makers.get(condition.value)
    if op is None or op.kind not in FLIPPED:
        return None
    left, right = (positions(value, makers) for value in op.operands)
    if left is None or right is None:
        return None
    kind = FLIPPED[op.kind] if condition.negated else op.kind
    gap = left.plus(right, -1) if kind.startswith("greater") else right.plus(left, -1)
    return gap if kind.endswith("equal") else gap.plus(Positions(dim(-1)))


def positions(value: Value, makers: Mapping[Value, Op]) -> Positions | None:
    """An integer tensor as a sum of positions, if it is one."""
    op = makers.get(value)
    if op is None:
        return None
    if op.kind == "iota":
        return Positions(dim(0), {1: 1})
    if op.kind in ("constant", "size"):
        return _number(op)
    inner = [positions(operand, makers) for operand in op.operands]
    if any(part is None for part in inner):
        return None
    return _combined(op, [part for part in inner if part is not None])


def _number(op: Op) -> Positions | None:
    if op.kind == "size":
        return Positions(Attributes(op.attributes).size("size").size)
    number = op.attributes["value"]
    whole = isinstance(number, int | float) and not isinstance(number, bool) and number == number // 1
    return Positions(dim(int(number))) if whole and isinstance(number, int | float) else None


def _combined(op: Op, parts: list[Positions]) -> Positions | None:
    attributes, rank = Attributes(op.attributes), op.result.type.rank
    match op.kind:
        case "add":
            return parts[0].plus(parts[1])
        case "subtract":
            return parts[0].plus(parts[1], -1)
        case "negate":
            return Positions(dim(0)).plus(parts[0], -1)
        case "broadcast":
            return parts[0]
        case "cast" if op.result.type.dtype.kind != "bool":
            return parts[0]
        case "expand_dims":
            new = rank - attributes.int_("at")
            along = {axis + (axis >= new): c for axis, c in parts[0].along.items()}
            return Positions(parts[0].offset, along)
        case _:
            return None


def window_of(gap: Positions, query: int, key: int, ahead: Dim) -> int | None:
    """How many keys a query sees by a condition ``key - query + n >= 0``, if it is one and `n` is known.

    `query` and `key` are axes of the mask; the last query stands `ahead` places after the last key's index.
    """
    if dict(gap.along) != {query: -1, key: 1}:
        return None
    window = (gap.offset + ahead + 1).value
    return window if window is not None and window > 0 else None


def is_causal(gap: Positions, query: int, key: int, ahead: Dim) -> bool:
    """Whether a condition is ``query + ahead >= key``."""
    try:
        return dict(gap.along) == {query: 1, key: -1} and gap.offset == ahead
    except DimError:
        return False
