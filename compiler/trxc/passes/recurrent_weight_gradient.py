"""Marks products in a loop with a weight from around it: its gradient is then one product after the loop.

Backward through `y_t = h_t @ u` over all steps, the gradient of `u` is the sum of `h_t^T @ dy_t`. Taken step by step,
as automatic differentiation does, that is a product of few rows and a pass over all of `u` at every step. Kept for
after the loop, all `h_t` and `dy_t` make one product, which adds up in more bits, too.

Before::

    %1, %2 = recur(x, %0) {path=("cell",), axis=1, sequences=1} do (x_t, h) {
      u = parameter() {path=("u",)}
      %4 = matmul(h, u)
      …
    }

After::

    u = parameter() {path=("cell", "u")}
    %1, %2 = recur(x, %0) {path=("cell",), axis=1, sequences=1} do (x_t, h) {
      %4 = matmul(h, u) {gradient="after loop"}
      …
    }

The weight, and the cast of it if there is one, leave the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Function, Module, Op, Region
from ..ir.clone import inline_call
from ..ir.walk import callee, reachable
from ..plan.targets import DEFAULT, TARGETS, Target
from .base import Pass, Remarks
from .dependence import Dependence, Level
from .hoist_plan import MAX_INLINED, Body, Loop
from .hoist_rewrite import keep_outside

MARK = "after loop"
"""The attribute `gradient` of a product whose weight has its gradient after the loop."""


@dataclass(frozen=True)
class RecurrentWeightGradient(Pass):
    """Marks them in every `recur`, where there is a loss and the target says that it pays."""

    name: ClassVar[str] = "recurrent-weight-gradient"
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at every `recur` of every function, where there is a loss; inference has no use for it, and no cost."""
        if "loss" not in module.roles or not self.target.gradients_after_loops:
            return
        before = reachable(module)
        for function in list(module.functions.values()):
            self._region(module, function, function.body, remarks)
        for name in before - reachable(module):
            del module.functions[name]

    def _region(self, module: Module, function: Function, region: Region, remarks: Remarks) -> None:
        for op in list(region.ops):
            if op.kind == "recur":
                self._loop(module, function, region, op, remarks)
            for inner in op.regions:
                self._region(module, function, inner, remarks)

    def _loop(self, module: Module, function: Function, around: Region, op: Op, remarks: Remarks) -> None:
        while call := _call_with_product(module, Loop(op, Dependence(module), projects=False)):
            inline_call(module, function, call)
        loop = Loop(op, Dependence(module), projects=False)
        found = _products(loop)
        keep_outside(loop, around, {product: product.operands[1] for product in found})
        for product in found:
            product.attributes["gradient"] = MARK
            message = f"the gradient of the weight of a product along {loop.along} is one product after the loop"
            remarks.done(self.name, message, product.span)


def _products(body: Body) -> list[Op]:
    """The products with a weight that is the same at every step, of what is not."""
    return [op for op in body.region.ops if op.kind == "matmul" and _is_deferrable(body, op)]


def _is_deferrable(body: Body, op: Op) -> bool:
    x, w = op.operands
    return (
        "gradient" not in op.attributes
        and w.type.rank == 2
        and body.levels.get(w, Level.INVARIANT) == Level.INVARIANT
        and body.level(op) != Level.INVARIANT
        and x.type.dtype == w.type.dtype == op.result.type.dtype
        and w.type.dtype.kind == "float"
    )


def _call_with_product(module: Module, body: Body) -> Op | None:
    """A call in a loop's body of a function in which there is such a product."""
    calls = (op for op in body.region.ops if op.kind == "call")
    return next((call for call in calls if _holds_product(module, module.functions[callee(call)], call, body)), None)


def _holds_product(module: Module, function: Function, call: Op, around: Body) -> bool:
    arguments = [around.levels.get(value, Level.INVARIANT) for value in call.operands]
    if sum(1 for _ in function.body.walk()) > MAX_INLINED:
        return False
    body = Body(function.body, arguments, around.knows, None, sliced=False)
    return bool(_products(body)) or _call_with_product(module, body) is not None
