"""Marks the layers whose inner values backward computes again, to save memory.

Before::

    %1: f32[batch, seq, embed] = repeat(%0) {count=24, path=("blocks",)} do …

After, with `remat = dots`::

    %1: f32[batch, seq, embed] = repeat(%0) {count=24, path=("blocks",), remat="dots"} do …

A layer is a loop over layers, or where a model has none, a call of a function with weights that stands in a sequence
of such, on targets where that saves memory. It changes no value. It costs time, but on targets where a scan is faster
the less it keeps: there loops that stay scans are marked with `dots` where nothing else is asked for, and so are those
that would be written out, should that need more than the recipe's `memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..diagnostics import Diagnostic
from ..ir import Function, Module, Op
from ..ir.parameters import Trees
from ..ir.walk import callee, repeat_count
from ..ops import OPS
from ..ops.control import RECOMPUTED
from ..plan.memory import NO_RECOMPUTATION, Estimate, Step, UnknownSizeError, estimate, in_units
from ..plan.targets import DEFAULT, TARGETS, Target
from .base import Pass, Remarks

CHOICES = (NO_RECOMPUTATION, *RECOMPUTED)
"""What may be computed again, from nothing to most."""

_WHAT = {
    NO_RECOMPUTATION: "no values",
    "dots": "all values but products with weights and attention",
    "full": "all values",
}


@dataclass(frozen=True)
class Remat(Pass):
    """Marks layers as `remat` says: `none`, `dots`, `full`, or `auto`, which takes the least that fits the budget.

    `step` is what the recipe says of sizes and memory; None where there is no recipe.
    """

    name: ClassVar[str] = "remat"
    remat: str = NO_RECOMPUTATION
    step: Step | None = None
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Marks the layers of the loss."""
        if "loss" not in module.roles:
            return
        layers = layers_of(module)
        if not self.target.remat_in_sequence:
            layers = [op for op in layers if op.kind == "repeat"]
        chosen = self._chosen(module, layers, remarks)
        if chosen == NO_RECOMPUTATION:
            self._mark_scans(layers, remarks)
            return
        if not layers:
            message = "there is no loop over layers whose values could be computed again"
            if self.target.remat_in_sequence:
                message = "the model is no sequence of layers: there is none whose values could be computed again alone"
            remarks.missed(self.name, message, module.role("loss").span)
        for op in layers:
            op.attributes["remat"] = chosen
            many = f"of {repeat_count(op)} layers " if op.kind == "repeat" else "of this layer "
            remarks.done(self.name, f"backward computes {_WHAT[chosen]} {many}again, which saves memory", op.span)

    def _chosen(self, module: Module, layers: Sequence[Op], remarks: Remarks) -> str:
        """The choice, with what it is estimated to need where a budget is given."""
        step = self.step
        if step is None or step.budget is None:
            return self.remat
        choices = self._choices(layers)
        try:
            estimates = {choice: self._estimate(module, step, layers, choice) for choice in choices}
        except UnknownSizeError as error:
            message = f"the size of `{error}` is not known, so nothing can be said of the memory of a step"
            remarks.warn(_warning(message, step, ("`fields` in the data say sizes",)))
            return choices[-1] if self.remat == "auto" else self.remat
        chosen = next((choice for choice, found in estimates.items() if found.total <= step.budget), choices[-1])
        needs = in_units(estimates[chosen].total)
        if estimates[chosen].total > step.budget:
            remarks.warn(_too_large(estimates[chosen], step, self.remat))
        elif self.remat == "auto":
            message = f"`{chosen}` is chosen: a step needs about {needs} of {in_units(step.budget)}"
            if chosen != NO_RECOMPUTATION:
                message += f", and about {in_units(estimates[NO_RECOMPUTATION].total)} with nothing computed again"
            remarks.done(self.name, message, step.span)
        return chosen

    def _choices(self, layers: Sequence[Op]) -> tuple[str, ...]:
        """What there is to choose from: where scans keep products alone anyway, a scan is no choice of the recipe's."""
        if self.remat == "auto":
            return CHOICES
        if self.remat == NO_RECOMPUTATION and layers and self.target.scans_keep_products:
            return (NO_RECOMPUTATION, "dots")
        return (self.remat,)

    def _estimate(self, module: Module, step: Step, layers: Sequence[Op], choice: str) -> Estimate:
        if choice == NO_RECOMPUTATION:
            return estimate(module, step, self._scans(layers), "dots")
        return estimate(module, step, layers, choice)

    def _scans(self, layers: Sequence[Op]) -> list[Op]:
        """The loops that keep products alone though nothing is asked for: those that are not written out."""
        if not self.target.scans_keep_products:
            return []
        return [op for op in layers if op.kind == "repeat" and repeat_count(op) > self.target.unrolled_layers]

    def _mark_scans(self, layers: Sequence[Op], remarks: Remarks) -> None:
        for op in self._scans(layers):
            op.attributes["remat"] = "dots"
            what = f"{_WHAT['dots']} of {repeat_count(op)} layers"
            remarks.done(self.name, f"backward computes {what} again: a scan is faster the less it keeps", op.span)


def _too_large(found: Estimate, step: Step, remat: str) -> Diagnostic:
    assert step.budget is not None
    message = f"a step needs about {in_units(found.total)} of memory, and there are {in_units(step.budget)}"
    parts = {
        "weights": found.weights,
        "their gradients": found.gradients,
        "the optimizer": found.optimizer,
        "values kept for backward": found.kept,
        "one layer at work": found.working,
    }
    notes = (", ".join(f"{what} {in_units(size)}" for what, size in parts.items() if size),)
    less = "a smaller `batch`, or a larger `accumulate`, needs less"
    helps = (less,) if remat in ("auto", "full") else ("`remat = auto` computes as much again as it must", less)
    return _warning(message, step, helps, notes)


def _warning(message: str, step: Step, helps: tuple[str, ...], notes: tuple[str, ...] = ()) -> Diagnostic:
    return Diagnostic("TRX0515", message, step.span, severity="warning", notes=notes, helps=helps)


def layers_of(module: Module) -> list[Op]:
    """The layers of the loss whose values can be computed again, in order."""
    return _Layers(module).of(module.role("loss"))


class _Layers:
    """Finds layers from the loss inwards."""

    def __init__(self, module: Module) -> None:
        self.module, self.trees = module, Trees(module)

    def of(self, function: Function) -> list[Op]:
        """The loops over layers that a function reaches; where there are none, its calls of layers."""
        if loops := self._loops(function):
            return loops
        calls = [op for op in function.body.ops if op.kind == "call" and self.trees.of(callee(op))[0]]
        if len(calls) == 1:
            return self.of(self._callee(calls[0]))
        return [op for op in calls if self._keeps(self._callee(op))]

    def _callee(self, op: Op) -> Function:
        return self.module.functions[callee(op)]

    def _loops(self, function: Function) -> list[Op]:
        found: dict[Op, None] = {}
        for op in function.body.ops:
            if op.kind == "repeat":
                found[op] = None
            elif op.kind == "call":
                found |= dict.fromkeys(self._loops(self._callee(op)))
        return list(found)

    def _keeps(self, function: Function) -> bool:
        """Whether a function has inner values that backward needs: more than a product with its weights."""
        for op in function.body.walk():
            if op.kind == "call" and self._keeps(self._callee(op)):
                return True
            if op.kind in OPS and OPS[op.kind].keeps != "nothing" and not OPS[op.kind].product:
                return True
        return False
