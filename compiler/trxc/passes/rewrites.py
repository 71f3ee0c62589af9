"""The local rewrites of ``simplify``: what an op is, seen together with the ops that made its operands.

A rule looks at one op and gives the value that stands for its result, or changes the op in place and gives ``CHANGED``,
or gives None. Rules never change a result's sizes or dtype. None of them rounds differently in float32, but for
arithmetic on constants, which is done once and in more bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..dims import Dim, dim
from ..ir import Attribute, Op, Region, Value
from ..ops import OPS, Attributes
from ..types import Axis, TensorType
from .folding import folded


@dataclass
class Changed:
    """The op itself was changed; `before` are new ops that it needs."""

    before: list[Op] = field(default_factory=list[Op])


@dataclass
class Known:
    """Which op made each value, as far as a function has been walked."""

    definers: dict[Value, Op] = field(default_factory=dict[Value, Op])

    def maker(self, value: Value, *kinds: str) -> Op | None:
        """The op that made a value, if it is of one of these kinds."""
        op = self.definers.get(value)
        return op if op is not None and op.kind in kinds else None

    def constant(self, value: Value) -> Attribute:
        """The number or truth value of a constant; None for other values."""
        op = self.maker(value, "constant")
        return None if op is None else op.attributes["value"]


Rule: TypeAlias = "Callable[[Op, Known], Value | Changed | None]"


def rewrite(region: Region) -> bool:
    """Applies all rules in a region and those nested in it; whether anything changed."""
    new: dict[Value, Value] = {}
    return _region(region, Known(), new)


def _region(region: Region, known: Known, new: dict[Value, Value]) -> bool:
    ops: list[Op] = []
    changed = False
    for op in region.ops:
        op.operands[:] = [new.get(value, value) for value in op.operands]
        kept = _settle(op, known, ops)
        changed |= kept is not op
        if isinstance(kept, Value):
            new[op.result] = kept
            kept.name = kept.name or op.result.name
            continue
        for inner in op.regions:
            changed |= _region(inner, known, new)
        known.definers.update(dict.fromkeys(op.results, op))
        ops.append(op)
    region.ops[:] = ops
    region.results[:] = [new.get(value, value) for value in region.results]
    return changed


def _settle(op: Op, known: Known, ops: list[Op]) -> Value | Op | None:
    """The op itself if no rule applies, the value that stands for its result, or None where the op was changed."""
    settled: Op | None = op
    while (found := _first(op, known)) is not None:
        if isinstance(found, Value):
            return found
        for made in found.before:
            known.definers.update(dict.fromkeys(made.results, made))
        ops += found.before
        settled = None
    return settled


def _first(op: Op, known: Known) -> Value | Changed | None:
    return next((found for rule in _rules(op) if (found := rule(op, known)) is not None), None)


def _rules(op: Op) -> Iterator[Rule]:
    yield from RULES.get(op.kind, ())
    if op.kind in OPS and OPS[op.kind].elementwise:
        yield from ELEMENTWISE


def _become(op: Op, kind: str, operands: list[Value], **attributes: Attribute) -> Changed:
    op.kind, op.operands[:], op.attributes = kind, operands, attributes
    return Changed()


def _same_type(value: Value, op: Op) -> bool:
    return (value.type.dtype, value.type.sizes) == (op.result.type.dtype, op.result.type.sizes)


# ------------------------------------------------------------------ operands that do nothing

_RIGHT_NEUTRAL = {"add": 0, "subtract": 0, "multiply": 1, "divide": 1, "power": 1}
_LEFT_NEUTRAL = {"add": 0, "multiply": 1}


def neutral(op: Op, known: Known) -> Value | None:
    """`x + 0`, `1 * x`."""
    if len(op.operands) != 2:
        return None
    left, right = op.operands
    for numbers, number, kept in ((_RIGHT_NEUTRAL, right, left), (_LEFT_NEUTRAL, left, right)):
        value = known.constant(number)
        if value is not None and not isinstance(value, bool) and value == numbers.get(op.kind):
            return kept if _same_type(kept, op) else None
    return None


def twice_the_same(op: Op, known: Known) -> Value | None:
    """`maximum(x, x)`, `where(c, x, x)`."""
    first, second = op.operands[-2:]
    return first if first is second and _same_type(first, op) else None


def decided(op: Op, known: Known) -> Value | None:
    """`where(true, x, y)`."""
    condition = known.constant(op.operands[0])
    if condition is None:
        return None
    kept = op.operands[1 if condition else 2]
    return kept if _same_type(kept, op) else None


def undoes_itself(op: Op, known: Known) -> Value | None:
    """`not not x`, `-(-x)`, `reverse(reverse(x))`."""
    inner = known.maker(op.operands[0], op.kind)
    if inner is None or inner.attributes != op.attributes:
        return None
    return inner.operands[0] if _same_type(inner.operands[0], op) else None


def idempotent(op: Op, known: Known) -> Value | None:
    """`stop_gradient(stop_gradient(x))`."""
    return op.operands[0] if known.maker(op.operands[0], op.kind) is not None else None


def keeps_all(op: Op, known: Known) -> Value | None:
    """What moves nothing: a slice of everything, padding of no width, one part, one tensor, the same sizes."""
    return op.operands[0] if len(op.operands) == len(op.results) == 1 and _same_type(op.operands[0], op) else None


def never_drops(op: Op, known: Known) -> Value | None:
    """`dropout(x, 0)`."""
    return op.operands[0] if op.attributes["rate"] == 0 and _same_type(op.operands[0], op) else None


def widened_and_back(op: Op, known: Known) -> Value | None:
    """A cast to more bits, then back: nothing was lost."""
    value = op.operands[0]
    if value.type.dtype == op.attributes["dtype"]:
        return value
    inner = known.maker(value, "cast")
    if inner is None or inner.operands[0].type.dtype != op.attributes["dtype"]:
        return None
    narrow, wide = inner.operands[0].type.dtype, value.type.dtype
    exact = narrow.kind == wide.kind == "float" and not narrow.generic and not wide.generic and narrow.bits < wide.bits
    return inner.operands[0] if exact else None


# ------------------------------------------------------------------------- order and shape

PERMUTATIONS = ("transpose", "swap")
RESHAPES = ("reshape", "flatten", "expand_dims", "squeeze")


def _order(op: Op) -> tuple[int, ...]:
    """Which axis of its operand each axis of a permutation's result is."""
    if op.kind == "transpose":
        return Attributes(op.attributes).ints("order")
    order = list(range(op.operands[0].type.rank))
    first, second = (Attributes(op.attributes).axis(name) for name in ("first", "second"))
    order[first], order[second] = order[second], order[first]
    return tuple(order)


def permuted(op: Op, known: Known) -> Value | Changed | None:
    """A permutation of a permutation is one, or none at all."""
    order = _order(op)
    if order == tuple(range(len(order))):
        return op.operands[0]
    inner = known.maker(op.operands[0], *PERMUTATIONS)
    if inner is None:
        return None
    whole = tuple(_order(inner)[at] for at in order)
    if whole == tuple(range(len(whole))):
        return inner.operands[0]
    return _become(op, "transpose", [inner.operands[0]], order=whole)


def reshaped(op: Op, known: Known) -> Value | Changed | None:
    """Reshapes keep the order of elements: of two, the first does not matter."""
    inner = known.maker(op.operands[0], *RESHAPES)
    if inner is None:
        return None
    if _same_type(inner.operands[0], op):
        return inner.operands[0]
    if op.kind not in ("reshape", "flatten") or inner.kind not in ("reshape", "flatten"):
        return None  # `x[:, None][..., None]` reads better than a reshape
    sizes = tuple((axis.size, axis.name) for axis in op.result.type.axes)
    return _become(op, "reshape", [inner.operands[0]], sizes=sizes)


def rearranged_back(op: Op, known: Known) -> Value | None:
    """A `rearrange` whose pattern is the other way round of the one before."""
    inner = known.maker(op.operands[0], "rearrange")
    if inner is None or not _same_type(inner.operands[0], op):
        return None
    here, there = (_sides(step) for step in (op, inner))
    return inner.operands[0] if here == there[::-1] else None


def _sides(op: Op) -> list[list[str]]:
    text = Attributes(op.attributes).text("pattern")
    return [side.replace("(", " ( ").replace(")", " ) ").split() for side in text.split("->")]


# -------------------------------------------------------------------------------- broadcasts


def broadcast_again(op: Op, known: Known) -> Changed | None:
    """A broadcast of a broadcast is one."""
    inner = known.maker(op.operands[0], "broadcast")
    return None if inner is None else _become(op, "broadcast", [inner.operands[0]], **op.attributes)


def broadcast_anyway(op: Op, known: Known) -> Changed | None:
    """An operand need not be repeated where elementwise maths does it: `x + broadcast(b)`."""
    for at, value in enumerate(op.operands):
        inner = known.maker(value, "broadcast")
        if inner is None:
            continue
        operands = [inner.operands[0] if place == at else other for place, other in enumerate(op.operands)]
        if _joint_sizes(operands) == op.result.type.sizes:
            op.operands[:] = operands
            return Changed()
    return None


def broadcast_later(op: Op, known: Known) -> Changed | None:
    """Maths on repeated numbers alone is done before they are repeated: `exp(broadcast(x))`."""
    makers = [known.maker(value, "broadcast") for value in op.operands]
    if not any(makers) or any(m is None and v.type.rank for m, v in zip(makers, op.operands, strict=True)):
        return None
    operands = [value if m is None else m.operands[0] for m, value in zip(makers, op.operands, strict=True)]
    sizes = _joint_sizes(operands)
    if sizes is None or sizes == op.result.type.sizes:
        return None
    rank = len(sizes)
    axes = tuple(Axis(s, a.name) for s, a in zip(sizes, op.result.type.axes[op.result.type.rank - rank :], strict=True))
    small = Value(TensorType(op.result.type.dtype, axes))
    first = Op(op.kind, operands, dict(op.attributes), [small], span=op.span)
    whole = tuple((axis.size, axis.name) for axis in op.result.type.axes)
    changed = _become(op, "broadcast", [small], sizes=whole)
    changed.before.append(first)
    return changed


def _joint_sizes(operands: list[Value]) -> tuple[Dim, ...] | None:
    """The sizes that operands broadcast to; None where they do not fit."""
    rank = max(value.type.rank for value in operands)
    sizes = [dim(1)] * rank
    for value in operands:
        for at, size in enumerate(value.type.sizes, rank - value.type.rank):
            if size.value != 1 and sizes[at].value != 1 and sizes[at] != size:
                return None
            sizes[at] = size if sizes[at].value == 1 else sizes[at]
    return tuple(sizes)


# --------------------------------------------------------------------------------- constants


def arithmetic(op: Op, known: Known) -> Changed | None:
    """Maths on constants alone."""
    values = [known.constant(value) for value in op.operands]
    if op.kind in ("constant", "size") or not all(isinstance(value, int | float) for value in values):
        return None
    value = folded(op.kind, [value for value in values if isinstance(value, int | float)], op.result.type)
    return None if value is None else _become(op, "constant", [], value=value)


def known_size(op: Op, known: Known) -> Changed | None:
    """A size that is a number."""
    value = Attributes(op.attributes).size("size").size.value
    return None if value is None or abs(value) >= 2**31 else _become(op, "constant", [], value=value)


ELEMENTWISE: tuple[Rule, ...] = (arithmetic, neutral, broadcast_anyway, broadcast_later)
"""The rules of all elementwise ops, after those of their own."""

RULES: dict[str, tuple[Rule, ...]] = {
    "size": (known_size,),
    "cast": (widened_and_back,),
    "where": (decided, twice_the_same),
    "negate": (undoes_itself,),
    "logical_not": (undoes_itself,),
    "stop_gradient": (idempotent,),
    "reverse": (undoes_itself,),
    "dropout": (never_drops,),
    "broadcast": (keeps_all, broadcast_again),
    "rearrange": (rearranged_back,),
    **dict.fromkeys(("maximum", "minimum", "logical_and", "logical_or"), (twice_the_same,)),
    **dict.fromkeys(PERMUTATIONS, (permuted,)),
    **dict.fromkeys(RESHAPES, (keeps_all, reshaped)),
    **dict.fromkeys(("slice", "pad", "split", "concat"), (keeps_all,)),
}
"""The rules of each kind, in the order they are tried."""
