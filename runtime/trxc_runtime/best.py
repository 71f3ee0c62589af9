"""Which evaluation was the best so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Best:
    """The best value of a metric, and the step that reached it."""

    metric: str
    mode: str
    step: int
    value: float

    @classmethod
    def read(cls, facts: object) -> Best | None:
        """What :meth:`facts` gave; None for anything else."""
        try:
            return cls(**facts)  # pyright: ignore[reportCallIssue] - the TypeError is the check
        except TypeError:
            return None

    def facts(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def better(best: Best | None, rule: Mapping[str, Any] | None, step: int, values: Mapping[str, float]) -> Best | None:
    """The new best, if ``values`` beat ``best`` by the recipe's rule; what is not finite never does."""
    if not rule or not math.isfinite(values.get(rule["metric"], math.nan)):
        return None
    value, mode = values[rule["metric"]], rule["mode"]
    if best is not None and not (value < best.value if mode == "min" else value > best.value):
        return None
    return Best(rule["metric"], mode, step, value)
