"""Chooses how loops over layers are written: a scan, or every layer by itself, with barriers between.

Before::

    %1: f32[batch, seq, embed] = repeat(%0) {count=6, path=("blocks",)} do …

After, where so many layers are to be written out::

    %1: f32[batch, seq, embed] = repeat(%0) {count=6, path=("blocks",), unrolled=true} do …

Up to which depth, is a choice of the target, which gives the measurement. A loop whose values backward computes again
stays one: written out, it would save no memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module, Op, Region
from ..ir.walk import call_order, callee, repeat_count
from ..plan.targets import DEFAULT, TARGETS, Target
from .base import Pass, Remarks


@dataclass(frozen=True)
class UnrollLayers(Pass):
    """Marks loops of at most `target.unrolled_layers` layers, loops inside of them counted, but none with `remat`."""

    name: ClassVar[str] = "unroll-layers"
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at all loops, inner ones before those around them."""
        copies: dict[str, int] = {}
        for name in call_order(module):
            copies[name] = self._region(module.functions[name].body, copies, remarks)

    def _region(self, region: Region, copies: dict[str, int], remarks: Remarks) -> int:
        """Marks the loops of a region; how many layers are written out where most are, one in another."""
        most = 1
        for op in region.ops:
            inner = max((self._region(part, copies, remarks) for part in op.regions), default=1)
            if op.kind == "call":
                inner = copies[callee(op)]
            elif op.kind == "repeat":
                inner *= self._marked(op, inner, remarks)
            most = max(most, inner)
        return most

    def _marked(self, op: Op, inner: int, remarks: Remarks) -> int:
        """How often the region of a loop is written: once where it stays a scan."""
        count = repeat_count(op)
        if count > 1 and "remat" in op.attributes:
            return 1  # written out, XLA's CPU compiler keeps the values all the same: w4_gpt 452 MB, in a scan 112 MB
        if count == 1 or count * inner <= self.target.unrolled_layers:
            op.attributes["unrolled"] = True
            if count > 1:
                remarks.done(self.name, f"{count} layers are written out: {self.target.unrolled_gain}", op.span)
            return count
        if self.target.unrolled_layers:
            limit = self.target.unrolled_layers
            message = f"{count * inner} layers stay a loop, which compiles faster: up to {limit} are written out"
            remarks.missed(self.name, message, op.span)
        return 1
