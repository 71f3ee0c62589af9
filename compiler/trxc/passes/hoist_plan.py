"""What of a loop's body can leave it."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Function, Module, Op, Path, Region, Value
from ..ir.walk import callee, uses
from ..types import TensorType
from .base import Remarks
from .dependence import Dependence, Level, level_of
from .extra_axis import Extra, over_sequences

LEAVES = frozenset({"constant", "size", "parameter", "full", "iota"})
"""Ops that cost nothing where they stand: they leave a loop only for what needs them outside."""

PRODUCTS = frozenset({"matmul", "einsum", "gather"})
"""Ops worth a sequence of results: what they do for one position, they do faster for all at once."""

MAX_INLINED = 400
"""Calls of functions with more ops than this stay calls."""


def is_leaf(op: Op) -> bool:
    """Whether an op stays in a loop unless it is needed outside."""
    if op.kind in LEAVES or all(value.type.rank == 0 for value in (*op.operands, *op.results)):
        return True
    return op.kind == "cast" and narrows(op.operands[0].type, op.result.type)


def narrows(given: TensorType, result: TensorType) -> bool:
    """Whether a cast is to fewer bits."""
    return 0 < result.dtype.bits < given.dtype.bits


class Body:
    """A loop's body, or that of a function called in it: the levels of its values, and what may leave.

    `once` are the ops to compute before the loop, `at_once` those for all positions together; both in order.
    """

    def __init__(
        self, region: Region, arguments: Sequence[Level], knows: Dependence, extra: Extra | None, *, sliced: bool
    ) -> None:
        self.region, self.knows, self.extra, self.sliced = region, knows, extra, sliced
        self.arguments = tuple(arguments)
        self.levels = knows.levels(region, arguments, sliced=sliced)
        self.definer = {value: op for op in region.ops for value in op.results}
        self.uses = uses(region)
        narrowed = self._on_narrowed()
        self.once = [op for op in region.ops if self._is_invariant(op) and op not in narrowed]
        self.mappable = self._mappable()
        self.products = [op for op in region.ops if self._is_product(op)]
        self.at_once = self._at_once()

    def level(self, op: Op) -> Level:
        """The level of an op's results."""
        return level_of(op.results, self.levels)

    def _is_invariant(self, op: Op) -> bool:
        return bool(op.results) and self.level(op) == Level.INVARIANT and not is_leaf(op)

    def _on_narrowed(self) -> set[Op]:
        """Invariant ops on what is cast to fewer bits: the gradients that reach the casts are summed behind them."""
        found: set[Op] = set()
        for op in self.region.ops:
            origins = [self.definer[value] for value in op.operands if value in self.definer]
            if self.level(op) == Level.INVARIANT and any(
                origin in found or (origin.kind == "cast" and narrows(origin.operands[0].type, origin.result.type))
                for origin in origins
            ):
                found.add(op)
        return found

    def _mappable(self) -> set[Op]:
        """The ops on elements that can be computed for all positions at once."""
        found: set[Op] = set()
        new: dict[Value, Value] = {}
        if self.extra is None:
            return found
        for value in self.region.arguments:
            if self.levels[value] == Level.ELEMENT:
                new[value] = Value(self.extra.type(value.type))
        for op in self.region.ops:
            elements = [value for value in op.operands if self.levels.get(value) == Level.ELEMENT]
            if self.level(op) != Level.ELEMENT or any(value not in new for value in elements):
                continue
            if over_sequences(op, new, self.extra) is not None:
                found.add(op)
                new.update((value, Value(self.extra.type(value.type))) for value in op.results)
        return found

    def _is_product(self, op: Op) -> bool:
        """Whether an op multiplies an element with, or looks it up in, what is the same at every position."""
        if op.kind not in PRODUCTS or self.level(op) != Level.ELEMENT:
            return False
        return any(self.levels.get(value, Level.INVARIANT) == Level.INVARIANT for value in op.operands)

    def _at_once(self) -> list[Op]:
        wanted = [op for op in self.products if op in self.mappable]
        chosen = set(wanted)
        while wanted:  # and what they are computed from
            for value in wanted.pop().operands:
                origin = self.definer.get(value)
                if origin is not None and self.level(origin) == Level.ELEMENT and origin not in chosen:
                    chosen.add(origin)
                    wanted.append(origin)
        for op in self.region.ops:
            if op not in chosen and self._follows(op, chosen):
                chosen.add(op)
        return [op for op in self.region.ops if op in chosen]

    def _follows(self, op: Op, chosen: set[Op]) -> bool:
        """Whether an op can go with what it is computed from, and leave no more to be kept than without it."""
        if op not in self.mappable or len(op.results) != 1:
            return False
        elements = [value for value in op.operands if self.levels.get(value) == Level.ELEMENT]
        moved = [value for value in elements if self.definer.get(value) in chosen]
        return (
            any(value.type.same_sizes(op.result.type) for value in moved)
            and all(len(self.uses[value]) == 1 for value in moved)
            and all(value in moved or value not in self.definer for value in elements)
        )


class Loop(Body):
    """A `repeat` or `recur`, and what may leave it. With `projects`, also what depends on elements."""

    def __init__(self, op: Op, knows: Dependence, projects: bool) -> None:
        self.op = op
        region, extra = op.regions[0], None
        self.count = 0
        if op.kind == "recur":
            at, count = op.attributes["axis"], op.attributes["sequences"]
            assert isinstance(at, int) and isinstance(count, int)
            self.count = count
            extra = Extra(at, op.operands[0].type.axes[at]) if projects else None
        arguments = [Level.ELEMENT] * self.count + [Level.CARRIED] * (len(region.arguments) - self.count)
        super().__init__(region, arguments, knows, extra, sliced=op.kind == "repeat")

    @property
    def path(self) -> Path:
        """Where the parameters of the body are, for the region around."""
        return self.op.path()

    @property
    def along(self) -> str:
        """What the loop runs along, for messages."""
        at = self.op.attributes.get("axis")
        name = self.op.operands[0].type.axes[at].public_name if isinstance(at, int) else None
        return f"`{name}`" if name else "its layers" if self.sliced else "its sequence"

    def say(self, source: str, remarks: Remarks) -> None:
        """What leaves, and what looks like it and stays."""
        for op in self._used_inside():
            remarks.done(source, f"{_what(op)} is the same at every step along {self.along}: computed once", op.span)
        if self.extra is None:
            return
        for op in self.products:
            if op in self.mappable:
                message = (
                    f"{_what(op)} does not depend on what the loop carries: computed for all of {self.along} at once"
                )
                remarks.done(source, message, op.span)
            else:
                message = (
                    f"{_what(op)} stays in the loop along {self.along}: no rule for it, or what it is computed from"
                )
                remarks.missed(source, message, op.span)
        for op in _but_for_draws(self):
            message = (
                f"{_what(op)} stays in the loop along {self.along}: what it is computed from is drawn at every step"
            )
            remarks.missed(source, message, op.span)

    def _used_inside(self) -> list[Op]:
        """What leaves the loop and is used in it, not only by what leaves as well."""
        return [op for op in self.once if any(map(self._inside, op.results))]

    def _inside(self, value: Value) -> bool:
        """Whether what stays in the loop uses a value; nothing may, where no pass has looked for that before."""
        return any(use.op is None or use.op not in self.once for use in self.uses.get(value, ()))


def _but_for_draws(loop: Loop) -> list[Op]:
    """The products that could leave if nothing were drawn."""
    levels = loop.knows.levels(loop.region, loop.arguments, sliced=loop.sliced, drawn=False)
    return [
        op
        for op in loop.region.ops
        if op.kind in PRODUCTS and loop.level(op) == Level.CARRIED and level_of(op.results, levels) == Level.ELEMENT
    ]


def _what(op: Op) -> str:
    names = {"matmul": "a product", "einsum": "a product", "gather": "a look-up", "call": "a layer"}
    return names.get(op.kind, f"`{op.kind}`")


def has_something(module: Module, function: Function, call: Op, around: Body) -> bool:
    """Whether something in a function that is called in a loop's body could leave the loop."""
    if sum(1 for _ in function.body.walk()) > MAX_INLINED:
        return False
    arguments = [around.levels.get(value, Level.INVARIANT) for value in call.operands]
    if around.level(call) == Level.INVARIANT and callee(call) in around.knows.plain:
        return False  # leaves as it is
    body = Body(function.body, arguments, around.knows, around.extra, sliced=False)
    if body.once or body.at_once:
        return True
    calls = [op for op in function.body.ops if op.kind == "call"]
    return any(has_something(module, module.functions[callee(op)], op, body) for op in calls)
