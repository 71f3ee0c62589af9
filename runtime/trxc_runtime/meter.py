"""Losses of steps that may still be running: fetched now and then, so that the device never waits for us."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import RUN_FAILED, RunError
from .untyped import jax

MAX_PENDING = 64
"""The most steps that run ahead of what was looked at."""
SECONDS = 0.5
LOSS_SCALE_PATIENCE = 20
"""How many overflowing steps in a row a run with loss scaling may take; each halves the scale."""

Measured = tuple[int, dict[str, float]]


@dataclass
class Meter:
    """Collects metrics as they are dispatched and looks at each of them, a little later."""

    every: int
    clock: Callable[[], float] = time.perf_counter
    last_finite: float | None = None
    _pending: list[tuple[int, Any]] = field(default_factory=list[tuple[int, Any]])
    _overflows: int = 0
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self._looked = self.clock()

    def add(self, step: int, metrics: Any) -> None:
        """Note what step number ``step`` (from 1) will have measured."""
        self._pending.append((step, metrics))

    @property
    def due(self) -> bool:
        """Whether it is time to look: at a step that is logged, after half a second, or with too many ahead."""
        if not self._pending:
            return False
        late = self.clock() - self._looked >= SECONDS
        return self._pending[-1][0] % self.every == 0 or late or len(self._pending) >= MAX_PENDING

    def look(self) -> list[Measured]:
        """Wait for the pending steps and return what they measured; NaN or Inf raises :class:`RunError` (status 3)."""
        pending, self._pending = self._pending, []
        fetched = jax.device_get([metrics for _, metrics in pending])
        measured = [
            (step, {name: float(value) for name, value in metrics.items()})
            for (step, _), metrics in zip(pending, fetched, strict=True)
        ]
        for step, metrics in measured:
            self._check(step, metrics)
        self._looked = self.clock()
        return measured

    def _check(self, step: int, metrics: dict[str, float]) -> None:
        bad = [name for name in ("loss", "grad_norm") if not math.isfinite(metrics.get(name, 0.0))]
        if not bad:
            self.last_finite, self._overflows = metrics["loss"], 0
            return
        self._overflows += 1
        if "loss_scale" in metrics and self._overflows <= LOSS_SCALE_PATIENCE:
            return
        what = "loss" if "loss" in bad else "norm of the gradients"
        before = (
            "it was never finite" if self.last_finite is None else f"the last finite loss was {self.last_finite:.4g}"
        )
        raise RunError(
            f"the {what} became {metrics[bad[0]]} at step {step:,}; {before}",
            status=RUN_FAILED,
            hints=(
                "lower the peak learning rate or lengthen its warmup; put `clip_by_global_norm(1.0) >>` first",
                "look for log, sqrt or a division of zero, and for a row that is masked everywhere",
            ),
        )
