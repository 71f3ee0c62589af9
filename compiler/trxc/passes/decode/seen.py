"""Whether a query sees a later key for certain: a search for two places at which it does.

:mod:`.later` shows for all lengths that later keys are hidden. Where it cannot, that may be for want of knowledge:
masks come in more forms than it knows. Only what is seen at two places that can be named is said to look ahead, so
what positions alone decide is computed here, place by place, for the first few.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import combinations

from ...dims import dim
from ...ir import Op, Value
from ...ops import OPS, Attributes
from .kinds import Pairs
from .later import UNARY, UNMOVED, combined, operand_axes
from .scope import Scope

PLACES = 6
"""How many places are tried; also the sequence's length."""


class Unknown(Enum):
    """What is not known of a number: it comes from tensors alone (`CONTENT`), or how it is made (`FORM`)."""

    CONTENT = auto()
    FORM = auto()


Found = float | Unknown


def _floored(x: float, y: float) -> float:
    return x // y


NUMBERS: dict[str, Callable[..., float]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "floor_divide": _floored,
    "remainder": operator.mod,
    "power": math.pow,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "log": math.log,
    "stop_gradient": float,
}
"""Ops of numbers that are of use where the places are known."""

OF_NUMBERS = UNARY.keys() | UNMOVED | {
    *("where", "add", "subtract", "multiply", "divide", "minimum", "maximum"),
    *("logical_and", "logical_or", "einsum", "matmul"),
}  # fmt: skip
"""Ops of which :func:`.later.combined` says what they give."""


def certainly_seen(scope: Scope, value: Value, query: int, key: int) -> bool:
    """Whether there are a place and a later one at which a value of the original holds what tensors hold there."""
    places = combinations(range(PLACES), 2)
    return any(_Trial(scope, *pair).found(value, query, key) is Unknown.CONTENT for pair in places)


@dataclass
class _Trial:
    """Values at one query and one later key."""

    scope: Scope
    query: int
    key: int
    known: dict[tuple[Value, int, int], Found] = field(default_factory=dict[tuple[Value, int, int], Found])

    def found(self, value: Value, query: int, key: int) -> Found:
        """The number that a value holds here, its axes of queries and keys being these; -1 where it has none."""
        at = (value, query, key)
        if at not in self.known:
            self.known[at] = self._found(value, query, key)
        return self.known[at]

    def _found(self, value: Value, query: int, key: int) -> Found:
        pairs = self.scope.owner(value).known.get(value)
        if isinstance(pairs, Pairs) and pairs.hidden is not None:
            return pairs.hidden if (pairs.query, pairs.key) == (query, key) else Unknown.FORM
        op = self.scope.maker(value)
        if op is None or (op.kind not in OPS and op.kind not in ("constant", "size")):
            return Unknown.CONTENT
        if op.kind in ("constant", "full"):
            number = op.attributes["value"]
            return float(number) if isinstance(number, int | float) else Unknown.FORM
        if op.kind == "size":
            return self._size(op)
        if op.kind == "iota":
            return {query: float(self.query), key: float(self.key)}.get(0, Unknown.FORM)
        axes = [operand_axes(op, number, query, key) for number in range(len(op.operands))]
        return _made(op.kind, [self.found(value, *at) for value, at in zip(op.operands, axes, strict=True)])

    def _size(self, op: Op) -> Found:
        size = Attributes(op.attributes).size("size").size.substitute({self.scope.target.time: dim(PLACES)})
        return Unknown.FORM if size.value is None else float(size.value)


def _made(kind: str, parts: list[Found]) -> Found:
    """What an op makes of numbers, and of what is not known."""
    if all(part is Unknown.CONTENT for part in parts):
        return Unknown.CONTENT
    numbers = [part for part in parts if not isinstance(part, Unknown)]
    if kind in NUMBERS and len(numbers) == len(parts):
        return _computed(kind, numbers)
    if kind not in OF_NUMBERS:
        return Unknown.CONTENT if kind in NUMBERS and Unknown.FORM not in parts else Unknown.FORM
    if kind == "where" and not isinstance(parts[0], Unknown):
        return parts[1] if parts[0] else parts[2]
    result = combined(kind, [None if isinstance(part, Unknown) else part for part in parts])
    if result is not None:
        return result
    return Unknown.CONTENT if Unknown.CONTENT in parts and Unknown.FORM not in parts else Unknown.FORM


def _computed(kind: str, numbers: Sequence[float]) -> Found:
    try:
        return float(NUMBERS[kind](*numbers))
    except (ArithmeticError, ValueError):
        return Unknown.FORM
