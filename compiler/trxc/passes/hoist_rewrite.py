"""Moving ops out of a loop's body, and sums into the order in which most of them can leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..ir import Op, Region, Value
from ..ir.clone import clone_op
from ..ir.walk import replace, uses
from ..ops import OPS, Attributes, Instance
from .dependence import Level
from .extra_axis import over_sequences
from .hoist_plan import Loop

PROJECTED = "projected"
"""What a sequence is called that a pass has made and nobody has named."""


def move_out(loop: Loop, around: Region) -> None:
    """Puts what can leave a loop into the region around it, before the loop."""
    outside = Outside(loop)
    for op in loop.once:
        outside.move(op)
    for op in loop.at_once:
        outside.compute_for_all(op)
    if loop.at_once:
        outside.hand_in()
    at = around.ops.index(loop.op)
    around.ops[at:at] = outside.ops
    _drop_unused(loop.region, outside.touched)


def keep_outside(loop: Loop, around: Region, wanted: Mapping[Op, Value]) -> None:
    """Has ops of a loop's body use invariant values from outside, with all that these are computed from."""
    outside = Outside(loop)
    for op, value in wanted.items():
        kept = outside.invariant(value)
        op.operands[:] = [kept if operand is value else operand for operand in op.operands]
    at = around.ops.index(loop.op)
    around.ops[at:at] = outside.ops
    _drop_unused(loop.region, outside.touched)


class Outside:
    """The ops that are put before a loop."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.ops: list[Op] = []
        self.touched: set[Op] = set()
        self._copies: dict[Value, Value] = {}
        self._sequences = dict(zip(loop.region.arguments, loop.op.operands[: loop.count], strict=False))

    def move(self, op: Op) -> None:
        """Moves an op as it is; the body then uses its results from outside."""
        self.loop.region.ops.remove(op)
        op.operands[:] = [self.invariant(value) for value in op.operands]
        if "path" in op.attributes:
            op.attributes["path"] = self.loop.path + op.path()
        self.ops.append(op)

    def invariant(self, value: Value) -> Value:
        """A value as it can be had outside: copies are made of ops that stay in the body as well."""
        origin = self.loop.definer.get(value)
        if origin is None or origin in self.ops:
            return value
        if value not in self._copies:
            operands = {operand: self.invariant(operand) for operand in origin.operands}
            copy = clone_op(origin, operands)
            if "path" in copy.attributes:
                copy.attributes["path"] = self.loop.path + copy.path()
            self.ops.append(copy)
            self.touched.add(origin)
            self._copies.update(zip(origin.results, copy.results, strict=True))
        return self._copies[value]

    def compute_for_all(self, op: Op) -> None:
        """Computes an op for all positions; the body gets what it uses of that as elements of sequences."""
        extra = self.loop.extra
        assert extra is not None, "only loops along an axis have elements"
        elements = {value: self._sequences[value] for value in op.operands if value in self._sequences}
        others = {value: self.invariant(value) for value in op.operands if value not in elements}
        plain = Op(op.kind, [others.get(v, v) for v in op.operands], op.attributes, op.results, span=op.span)
        made = over_sequences(plain, elements, extra)
        assert made is not None, "what is planned to leave has a rule"
        self.ops += made
        self.loop.region.ops.remove(op)
        self._sequences.update(zip(op.results, made[-1].results, strict=True))

    def hand_in(self) -> None:
        """Gives the loop the sequences that its body uses, and takes from it those that it does not."""
        loop, region = self.loop, self.loop.region
        used = uses(region)
        given = [value for value in self._sequences if value in used]
        if not given:
            given = [region.arguments[0]]
        new: dict[Value, Value] = {}
        for value in given:
            if value not in region.arguments:
                new[value] = Value(value.type, value.name, value.lent)
                self._sequences[value].name = value.name or PROJECTED
        carries = region.arguments[loop.count :]
        replace(region, new)
        region.arguments[:] = [new.get(value, value) for value in given] + carries
        loop.op.operands[:] = [self._sequences[value] for value in given] + loop.op.operands[loop.count :]
        loop.op.attributes["sequences"] = len(given)


def _drop_unused(region: Region, candidates: Iterable[Op]) -> None:
    """Removes those of some ops whose results nothing in a region uses any more."""
    waiting = set(candidates)
    while gone := {op for op in waiting if not any(value in uses(region) for value in op.results)}:
        region.ops[:] = [op for op in region.ops if op not in gone]
        waiting -= gone


# ---------------------------------------------------------------------- sums


def regroup_sums(loop: Loop) -> bool:
    """Takes the sum of what leaves a loop and what could before that with what stays: `(p + h) + b` is `(p + b) + h`.

    Whether there was one; the loop must be looked at anew then.
    """
    leaving = {value for op in loop.at_once for value in op.results}
    for op in loop.region.ops:
        if not _is_sum(op) or loop.level(op) != Level.CARRIED:
            continue
        for inner, late in ((0, 1), (1, 0)):
            if _regrouped(loop, op, op.operands[inner], op.operands[late], leaving):
                return True
    return False


def _is_sum(op: Op) -> bool:
    return op.kind == "add" and len({value.type.dtype for value in (*op.operands, op.result)}) == 1


def _regrouped(loop: Loop, outer: Op, sum_: Value, late: Value, leaving: set[Value]) -> bool:
    inner = loop.definer.get(sum_)
    if inner is None or not _is_sum(inner) or sum_.type.dtype.kind != "float" or len(loop.uses[sum_]) != 1:
        return False
    early = next((value for value in inner.operands if value in leaving), None)
    can_leave = late in leaving or loop.levels.get(late, Level.INVARIANT) == Level.INVARIANT
    if early is None or not can_leave or len(loop.uses[early]) != 1:
        return False
    use = Instance((early.type, late.type), Attributes())
    (type_,) = OPS["add"].infer(use)
    if not type_.same_sizes(early.type):
        return False
    other = inner.operands[1 - inner.operands.index(early)]
    together = Op("add", [early, late], {}, [Value(type_)], span=outer.span)
    loop.region.ops.remove(inner)
    loop.region.ops.insert(loop.region.ops.index(outer), together)
    outer.operands[:] = [together.result, other]
    return True
