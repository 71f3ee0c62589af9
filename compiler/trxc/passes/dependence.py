"""What the values in a loop's body depend on: nothing of the loop, the position alone, or what the loop carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

from ..ir import Module, Op, Region, Value
from ..ir.walk import call_order, callee
from ..ops import OPS


class Level(IntEnum):
    """How often a value has to be computed anew."""

    INVARIANT = 0
    """Once: it depends on nothing that changes from one position to the next."""
    ELEMENT = 1
    """For every position, in any order: it depends on elements of the sequences."""
    CARRIED = 2
    """Step after step: it depends on a carry, draws, or has to do with states."""


Levels = Mapping[Value, Level]
"""Values that are missing come from around the loop, and are invariant."""

_STAYING = frozenset({"state", "set_state", "require", "extern"})


def level_of(values: Sequence[Value], levels: Levels) -> Level:
    """The level of what is computed from values."""
    return max((levels.get(value, Level.INVARIANT) for value in values), default=Level.INVARIANT)


class Dependence:
    """Tells the levels of values; knows which functions of a module are plain: without draws and states."""

    def __init__(self, module: Module) -> None:
        self.plain: set[str] = set()
        self.weightless: set[str] = set()
        for name in call_order(module):
            ops = list(module.functions[name].body.walk())
            if all(map(self.is_plain, ops)):
                self.plain.add(name)
            if all(map(self.is_weightless, ops)):
                self.weightless.add(name)

    def is_plain(self, op: Op) -> bool:
        """Whether an op gives the same for the same operands, and does nothing else."""
        if op.kind == "call":
            return callee(op) in self.plain
        return op.kind not in _STAYING and not (op.kind in OPS and OPS[op.kind].random)

    def is_weightless(self, op: Op) -> bool:
        """Whether an op reads no weights, nor does what it calls."""
        return op.kind != "parameter" and (op.kind != "call" or callee(op) in self.weightless)

    def levels(self, region: Region, arguments: Sequence[Level], *, sliced: bool, drawn: bool = True) -> Levels:
        """The level of every value that a region defines itself.

        Args:
            region: the body of a loop, or of a function that is called in one.
            arguments: the levels of its arguments.
            sliced: each turn has weights of its own, as in `repeat`.
            drawn: draws and states count as what they are: new at every step.
        """
        found = dict(zip(region.arguments, arguments, strict=True))
        for op in region.ops:
            level = level_of(op.operands, found)
            stays = (drawn and not self.is_plain(op)) or (sliced and not self.is_weightless(op))
            if op.regions or stays:
                level = Level.CARRIED
            found.update(dict.fromkeys(op.results, level))
        return found
