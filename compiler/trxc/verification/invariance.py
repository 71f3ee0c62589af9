"""Whether ways to train that must make no difference make none: the losses of every step, and the weights at the start.

What trains is given from outside (:class:`Trainer`), so that nothing here needs jax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..ir import Module
from ..ops.arrays import Array
from ..reference import EvaluationError, init_parameters, init_states
from .comparison import FLOOR, Check, Tally, skipped
from .samples import UnverifiableError, draw_inputs, interpret, small_sizes
from .variants import BATCH, Compile, Run, Variant, settings_of, variants
from .verify import Report

TOLERANCES = {"f32": 1e-5, "f16": 1e-2, "mixed_bf16": 2e-2}
"""Allowed between the losses of a step, relative, by the recipe's precision."""

ROUNDING = 4
"""How many times what rounding alone makes of the losses is allowed, where that is more: as of Adam's first steps,
which make a whole step of a gradient that is all rounding."""

MOST = 1e-2
"""Where rounding alone makes more than this of the losses (more than is allowed, in 16 bits), they say nothing."""

LAST_BIT = 2.0**-23


@dataclass(frozen=True)
class Trained:
    """What a training gave: the loss of every step, the norm of the first step's gradient, and a fingerprint of the
    initial weights that does not depend on how they are stored. `error` says why it gave nothing."""

    losses: tuple[float, ...] = ()
    slope: float = 0.0
    start: str = ""
    error: str = ""


class Trainer(Protocol):
    """Trains compiled programs."""

    def train(self, runs: Sequence[Run], batches: Mapping[str, Array], seed: int) -> list[Trained]:
        """Trains each, one step for each of the batches, which are stacked by name."""
        ...


def verify_invariance(compile_: Compile, name: str, trainer: Trainer, *, steps: int = 20, seed: int = 0) -> Report:
    """Trains a recipe in all ways that must make no difference.

    Args:
        compile_: compiles it.
        name: the recipe.
        trainer: trains what was compiled.
        steps: of every training.
        seed: of the data and the weights.

    Raises:
        UnverifiableError: there is no data that it could be trained on.
    """
    base = compile_(settings_of(name), ())
    sizes, batches = _data(base.unoptimised, steps, seed)
    first = {field: stacked[0] for field, stacked in batches.items()}
    found = list(variants(compile_, base, first))
    precision = str(base.manifest["recipe"]["train"]["precision"])
    runs = [Run(base), Run(base, nudge=LAST_BIT), *(variant.run for variant in found if variant.run)]
    return Report(name, precision, {"loss": sizes}, _Rows(precision, found, trainer, runs, batches, seed).checks())


def _data(module: Module, steps: int, seed: int) -> tuple[dict[str, int], dict[str, Array]]:
    """A batch for every step, stacked by field, and the sizes that they have."""
    params, state = init_parameters(module, seed), init_states(module, seed)
    sizes = small_sizes(module, "loss", params, state)
    leading = next((value.type.axes[0].size for value in module.role("loss").inputs if value.type.axes), None)
    if leading is not None and leading.symbol is not None:
        sizes[leading.symbol.name] = BATCH
    rng = np.random.default_rng(seed)
    batches = [draw_inputs(module, "loss", sizes, rng) for _ in range(steps)]
    try:
        interpret(module, "loss", params, state, batches[0])
    except EvaluationError as error:
        raise UnverifiableError(f"the loss of {BATCH} examples cannot be computed: {error}") from error
    return sizes, {field: np.stack([batch[field] for batch in batches]) for field in batches[0]}


class _Rows:
    """The rows of the table, from what every training gave."""

    def __init__(
        self,
        precision: str,
        found: list[Variant],
        trainer: Trainer,
        runs: list[Run],
        batches: Mapping[str, Array],
        seed: int,
    ) -> None:
        self.allowed = TOLERANCES.get(precision, TOLERANCES["mixed_bf16"])
        self.most = max(MOST, self.allowed)
        self.found, self.runs = found, runs
        self.trained = _each_once(trainer, runs, batches, seed)
        self.base, nudged = self.trained[:2]
        self.rounding, _ = _worst(self.base, nudged)

    def checks(self) -> list[Check]:
        """All rows."""
        if self.base.error:
            return [Check("training", "itself", 0, None, None, False, f"it cannot be trained: {self.base.error}")]
        trained = iter(zip(self.runs[2:], self.trained[2:], strict=True))
        rows = [self._row(variant, *next(trained)) if variant.run else _left_out(variant) for variant in self.found]
        return [self._start(), self._rounded(), *rows]

    def _rounded(self) -> Check:
        """What rounding alone makes of the losses: nothing to fail, but what the others are to be read with."""
        notes = [] if self.rounding * ROUNDING <= self.allowed else [f"allowed is {ROUNDING} times what this makes"]
        if wrong := [at for at, loss in enumerate(self.base.losses, 1) if not np.isfinite(loss)]:
            notes.append(f"the loss is not finite from step {wrong[0]} on")
        note = "; ".join(notes)
        error = self.rounding if np.isfinite(self.rounding) else None
        return Check("weights moved by their last bit", "as they are", len(self.base.losses), error, None, True, note)

    def _start(self) -> Check:
        tally = Tally("initial weights of all variants", "as they are", 0.0)
        tally.inputs = len(self.found)
        for variant, trained in zip([v for v in self.found if v.run], self.trained[2:], strict=True):
            if not trained.error and trained.start != self.base.start:
                tally.fail(f"`{variant.what}` starts with other weights")
        return tally.check()

    def _row(self, variant: Variant, run: Run, trained: Trained) -> Check:
        if not self.rounding <= self.most:
            note = f"not compared: rounding alone changes the losses by {self.rounding:.1e}"
            return skipped(variant.what, variant.against, note)
        allowed = max(self.allowed, ROUNDING * self.rounding)
        tally = Tally(variant.what, variant.against, allowed, inputs=len(trained.losses))
        if trained.error:
            tally.fail(f"it cannot be trained: {trained.error}")
            return tally.check()
        tally.number(*_worst(self.base, trained))
        slope = abs(trained.slope - self.base.slope) / (abs(self.base.slope) + FLOOR)
        tally.number(
            slope if np.isfinite(self.base.slope) else 0.0,
            f"the norm of the first gradient is {trained.slope:.7g} instead of {self.base.slope:.7g}",
        )
        if _text(run) == _text(self.runs[0]):
            tally.remark("the same program")
        return tally.check()


def _left_out(variant: Variant) -> Check:
    return skipped(variant.what, variant.against, variant.note)


def _text(run: Run) -> tuple[object, ...]:
    return run.program.source, run.parts, run.devices, run.nudge


def _each_once(trainer: Trainer, runs: list[Run], batches: Mapping[str, Array], seed: int) -> list[Trained]:
    """Trains what is not the same, text for text: a pass that finds nothing to do costs no training."""
    distinct = {_text(run): run for run in runs}
    found = dict(zip(distinct, trainer.train(list(distinct.values()), batches, seed), strict=True))
    return [found[_text(run)] for run in runs]


def _worst(wanted: Trained, found: Trained) -> tuple[float, str]:
    """The largest difference between losses of a step, relative to the loss, and where it is."""
    left, right = np.asarray(wanted.losses), np.asarray(found.losses)
    if left.shape != right.shape or not left.size:
        return float("inf"), f"{right.size} losses instead of {left.size}"
    with np.errstate(invalid="ignore"):
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        errors = np.where(same, 0.0, np.abs(left - right) / (np.abs(left) + FLOOR))
    errors = np.where(np.isfinite(errors), errors, np.inf)
    at = int(np.argmax(errors))
    return float(errors[at]), f"step {at + 1}: the loss is {right[at]:.7g} instead of {left[at]:.7g}"
