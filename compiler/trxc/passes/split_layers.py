"""Takes the layers of derived decoding apart: each has weights and caches of its own, not slices of stacked ones.

Before::

    function gpt_decode(tokens: int[batch, chunk], start: int[]) -> (logits) {
      %1: f32[batch, chunk, embed] = repeat(%0) {count=6, path=("blocks",)} do …

After::

    function gpt_decode(tokens: int[batch, chunk], start: int[]) -> (logits) {
      %1: f32[batch, chunk, embed] = repeat(%0) {apart=true, count=6, path=("blocks",), unrolled=true} do …

A step of decoding reads every weight once for a handful of tokens, so that cutting a layer's weights out of a stack
costs as much as using them, and putting its caches back into one as much again. The program gets a function `split`,
which does it once for all steps; what training keeps stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module, Op, Path
from ..ir.parameters import state_tree, stored_loops
from ..ir.walk import call_order, collected_count, repeat_count, stack_count
from ..plan.targets import DEFAULT, TARGETS, Target
from .base import Pass, Remarks
from .decode import PREPARE, STEP

Loops = dict[Path, list[Op]]
"""Loops by where their slices are stored."""


@dataclass(frozen=True)
class SplitLayers(Pass):
    """Marks the loops of `decode`, and those of `prepare` over the same layers, up to `target.split_layers` layers."""

    name: ClassVar[str] = "split-layers"
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at all loops of a decoding that was derived."""
        if STEP not in module.roles:
            return
        loops = [_loops(module, role) for role in (STEP, PREPARE)]
        every = _merged(loops)
        fixed = _loops_of_others(module)
        apart = {path for path in loops[0] if self._fits(every, path) and not _holds_states(module, path)}
        apart = {path for path in apart if all(_simple(op) and id(op) not in fixed for op in every[path])}
        apart = {path for path in apart if all(len(own.get(path, ())) <= 1 for own in loops)}
        while mixed := {path for path in apart if _runs_elsewhere(every, apart, path)}:
            apart -= mixed
        for path in sorted(apart):
            self._mark(every[path], path, remarks)

    def _fits(self, loops: Loops, path: Path) -> bool:
        """Whether so many layers, those of the loops around them counted, are to be written out."""
        around = [ops[0] for other, ops in loops.items() if path[: len(other)] == other]
        return math.prod(map(repeat_count, around)) <= self.target.split_layers

    def _mark(self, ops: list[Op], path: Path, remarks: Remarks) -> None:
        for op in ops:
            if "apart" not in op.attributes:
                op.attributes |= {"unrolled": True, "apart": True}
                count, name = repeat_count(op), ".".join(path)
                remarks.done(self.name, f"each of {count} layers of `{name}` decodes with arrays of its own", op.span)


def _loops(module: Module, role: str) -> Loops:
    found: Loops = {}
    for path, op in stored_loops(module, module.roles[role]):
        found.setdefault(path, []).append(op)
    return found


def _merged(several: list[Loops]) -> Loops:
    paths = dict.fromkeys(path for loops in several for path in loops)
    return {path: [op for loops in several for op in loops.get(path, ())] for path in paths}


def _loops_of_others(module: Module) -> set[int]:
    """The loops that other roles run, too: training has its layers stacked."""
    others = [name for role, name in module.roles.items() if role not in (STEP, PREPARE)]
    functions = (module.functions[name] for name in call_order(module, others))
    return {id(op) for function in functions for op in function.body.walk() if op.kind == "repeat"}


def _holds_states(module: Module, path: Path) -> bool:
    """Whether slices there hold states of the model's own, which are kept as training keeps them."""
    return any(state.path[: len(path)] == path for state in state_tree(module, module.roles["apply"]))


def _simple(op: Op) -> bool:
    return stack_count(op) == repeat_count(op) and not collected_count(op) and "remat" not in op.attributes


def _runs_elsewhere(loops: Loops, apart: set[Path], path: Path) -> bool:
    """Whether a loop is also run on other layers, which stay stacked."""
    mine = {id(op) for op in loops[path]}
    return any(id(op) in mine for other, ops in loops.items() if other not in apart for op in ops)
