"""Metrics of a model over a split: means weighted by batch, summarized once at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .artifact import Artifact, load_artifact
from .compile_cache import use_compile_cache
from .errors import RunError
from .placement import Placement
from .recipe_data import batches_of, data_errors, load_data
from .trees import Tree
from .untyped import jax, jnp
from .xla_options import without_fusion

Batches = Iterable[tuple[Mapping[str, Any], int]]


class Evaluator:
    """``measure`` compiled once, and ``summarize`` over what it gave."""

    def __init__(self, program: ModuleType, placement: Placement | None = None) -> None:
        self._measure = without_fusion(program.measure)
        self._summarize = program.summarize
        self._placement = placement or Placement()

    def __call__(self, params: Tree, state: Tree, batches: Batches) -> dict[str, float]:
        """The metrics over ``batches`` of (fields, how many of their rows count); raises :class:`RunError` if empty."""
        totals: dict[str, float] = {}
        rows = 0
        for means, size in self._means(params, state, batches):
            for name, mean in means.items():
                totals[name] = totals.get(name, 0.0) + float(mean) * size
            rows += size
        if not rows:
            raise RunError("there is nothing to evaluate on: the split is empty")
        means = {name: jnp.float32(total / rows) for name, total in totals.items()}
        return {name: float(value) for name, value in self._summarize(means).items()}

    def _means(self, params: Tree, state: Tree, batches: Batches) -> Iterator[tuple[Mapping[str, Any], int]]:
        """Means of one batch after another, fetched one batch late so that the device does not wait for us."""
        before: tuple[Any, int] | None = None
        for batch, size in batches:
            whole = {name: np.asarray(value)[:size] for name, value in batch.items()}
            now = self._measure(params, state, self._placement.put(whole)), size
            if before:
                yield jax.device_get(before[0]), before[1]
            before = now
        if before:
            yield jax.device_get(before[0]), before[1]


def evaluate(
    artifact: str | Path | Artifact,
    split: str = "valid",
    *,
    root: str | Path | None = None,
    data: Mapping[str, Any] | None = None,
    steps: int | None = None,
    checkpoint: str | int = "best",
    allow_extern: bool = False,
) -> dict[str, float]:
    """The recipe's metrics on a split, with the weights of a run (or the initial ones of an artifact).

    ``steps`` bounds the number of batches; ``data`` takes the place of the recipe's sources, ``root`` is the folder
    that its paths start from. Raises :class:`RunError`.
    """
    from .model import weights_of  # model imports generation, which evaluation does not need

    use_compile_cache()
    if not isinstance(artifact, Artifact):
        artifact = load_artifact(artifact, allow_extern=allow_extern, root=Path(root) if root else None)
    params, state, step = weights_of(artifact, checkpoint)
    if step is None:
        params = artifact.program.init(jax.random.key(int(artifact.train.get("seed", 0))))
    with data_errors():
        batches = batches_of(artifact, load_data(artifact, root=root, arrays=data), split, steps)
        return Evaluator(artifact.program)(params, state, batches)
