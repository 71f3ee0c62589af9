"""Moves out of a loop what does not depend on what it carries.

What depends on nothing of the loop is computed once before it. What depends on the elements of its sequences alone,
and contains a product with a weight or a look-up in a table, is computed for all positions at once, and its result
is one more sequence. The call of a cell is written out where something in it can leave the loop.

Before::

    %1, %2 = recur(x, %0) {path=("cell",), axis=1, sequences=1} do (x_t, h) {
      w = parameter() {path=("w",)}
      u = parameter() {path=("u",)}
      %3 = matmul(x_t, w)
      %4 = matmul(h, u)
      %5 = add(%3, %4)
      %6 = tanh(%5)
      yield %6, %6
    }

After::

    w = parameter() {path=("cell", "w")}
    projected = matmul(x, w)
    %1, %2 = recur(projected, %0) {path=("cell",), axis=1, sequences=1} do (x_t, h) {
      u = parameter() {path=("u",)}
      %4 = matmul(h, u)
      %5 = add(x_t, %4)
      %6 = tanh(%5)
      yield %6, %6
    }

A sum is put in another order where that lets more leave: `(x @ w + h @ u) + b` becomes `(x @ w + b) + h @ u`.

Random draws and states stay, as does what has no rule in :mod:`.extra_axis`. So do casts to fewer bits, unless what
leaves needs them: the gradient of a weight is then summed over the steps in the bits that the weight has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Function, Module, Op, Region
from ..ir.clone import inline_call
from ..ir.walk import callee, reachable
from ..plan.targets import DEFAULT, TARGETS, Target
from .base import Pass, Remarks
from .dependence import Dependence
from .hoist_plan import Loop, has_something
from .hoist_rewrite import move_out, regroup_sums


@dataclass(frozen=True)
class HoistLoopInvariants(Pass):
    """Inner loops first: what leaves them may leave the loop around them, too."""

    name: ClassVar[str] = "hoist-loop-invariants"
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at every loop of every function."""
        before = reachable(module)
        for function in list(module.functions.values()):
            self._region(module, function, function.body, remarks)
        for name in before - reachable(module):
            del module.functions[name]

    def _region(self, module: Module, function: Function, region: Region, remarks: Remarks) -> None:
        for op in list(region.ops):
            for inner in op.regions:
                self._region(module, function, inner, remarks)
            if op.kind in ("repeat", "recur"):
                self._loop(module, function, region, op, remarks)

    def _loop(self, module: Module, function: Function, around: Region, op: Op, remarks: Remarks) -> None:
        projects = self.target.projects_sequences
        while call := _call_with_something(module, op, projects):
            inline_call(module, function, call)
        loop = Loop(op, Dependence(module), projects)
        while regroup_sums(loop):
            loop = Loop(op, Dependence(module), projects)
        loop.say(self.name, remarks)
        move_out(loop, around)


def _call_with_something(module: Module, op: Op, projects: bool) -> Op | None:
    """A call in a `recur` of a function in which there is something to move out."""
    if op.kind != "recur":
        return None
    loop = Loop(op, Dependence(module), projects)
    calls = (inner for inner in op.regions[0].ops if inner.kind == "call")
    return next((call for call in calls if has_something(module, module.functions[callee(call)], call, loop)), None)
