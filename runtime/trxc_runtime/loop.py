"""The training loop, top to bottom on one page."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .artifact import Artifact, part
from .best import Best, better
from .checkpoint import Checkpoints
from .evaluation import Evaluator
from .interrupts import Interrupts
from .meter import Meter
from .metrics import MetricsLog
from .placement import Placement
from .progress import Pace, Progress, shown
from .recipe_data import batches_of, fields_of
from .run_folder import RunFolder
from .trees import Tree
from .untyped import jax
from .xla_options import compiling


@dataclass
class Training:
    """A run in progress: everything that the loop reads and changes.

    ``tree`` is ``{"params", "state", "opt_state"}`` after ``step`` steps of ``steps``.
    """

    artifact: Artifact
    run: RunFolder
    data: Any
    placement: Placement
    tree: dict[str, Tree]
    step: int
    steps: int
    seed: int
    best: Best | None
    checkpoints: Checkpoints
    log: MetricsLog
    progress: Progress
    interrupts: Interrupts
    on_evaluated: Callable[[Training], None] = lambda training: None
    last: dict[str, float] = field(default_factory=dict[str, float])
    saved: int | None = None
    """The step of the newest checkpoint."""

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe's ``train`` part."""
        return self.artifact.train


def run_loop(training: Training) -> None:
    """Train until the last step or a signal; the newest state is then in a checkpoint."""
    t = training
    evaluation = part(t.recipe, "evaluate")
    checkpoint_every = part(t.recipe, "checkpoint").get("every")
    meter = Meter(every=part(t.recipe, "log").get("every", 10))
    evaluator = Evaluator(t.artifact.program, t.placement)
    pace = _Pacer(t)
    train_step = t.artifact.program.train_step
    batch: dict[str, Any] | None = None
    key, fold = jax.random.key(t.seed), jax.jit(jax.random.fold_in)

    # 1. Batches and keys are functions of the step alone, so that a resumed run sees what it would have seen.
    examples = t.data.only(fields_of(t.artifact.manifest)).split("train")
    t.progress.busy("compiling the training step …")
    stream = examples.stream(int(t.recipe["batch"]), seed=t.seed, start=t.step)
    with stream as batches, contextlib.ExitStack() as first:
        first.enter_context(compiling(t.artifact))
        while t.step < t.steps and t.interrupts.received is None:
            # 2. One step: the three trees are donated, and nothing waits for the loss.
            batch, tree = t.placement.put(next(batches)), t.tree
            tree["params"], tree["state"], tree["opt_state"], metrics = train_step(
                tree["params"], tree["state"], tree["opt_state"], batch, fold(key, t.step)
            )
            first.close()
            t.step += 1
            meter.add(t.step, metrics)

            # 3. Look at what the steps measured, now and then; NaN ends the run before anything is saved.
            evaluates = bool(evaluation) and (t.step % evaluation["every"] == 0 or t.step == t.steps)
            saves = checkpoint_every is not None and t.step % checkpoint_every == 0
            if meter.due or evaluates or saves:
                pace.record(meter.look(), meter.every, batch)

            # 4. Evaluate; the best is kept as a checkpoint of its own.
            if evaluates:
                saves = _evaluate(t, evaluator, evaluation) or saves
                pace.pause()

            # 5. Save, in the background.
            if saves:
                save(t)

        # 6. The last step, or a signal: nothing that was learnt is lost.
        if t.saved != t.step:
            if batch is not None:
                pace.record(meter.look(), meter.every, batch)
            save(t)
    t.checkpoints.finish()


def save(t: Training) -> None:
    """Begin to write a checkpoint of where training stands, and point to it if it is the best."""
    facts = {"seed": t.seed, "best": t.best.facts() if t.best else None, "sha256": t.artifact.sha256}
    t.checkpoints.best = t.best.step if t.best else None
    t.checkpoints.save(t.step, t.tree, facts)
    t.saved = t.step
    if t.best and t.best.step == t.step:
        t.checkpoints.finish()  # the pointer must not name what is not there yet
        t.run.point_to_best(t.step)
    t.run.update(step=t.step, best=facts["best"])


def _evaluate(t: Training, evaluator: Evaluator, evaluation: dict[str, Any]) -> bool:
    """Measure, record and say it; True if it is the best so far."""
    split = evaluation.get("split") or "valid"
    batches = batches_of(t.artifact, t.data, split, evaluation.get("steps"))
    values = evaluator(t.tree["params"], t.tree["state"], batches)
    best = better(t.best, evaluation.get("best"), t.step, values)
    t.best, t.last = best or t.best, values
    t.log.write(t.step, split, values)
    t.progress.say(f"step {t.step:,} · {split} · {shown(values)}{' · best so far' if best else ''}")
    t.on_evaluated(t)
    return best is not None


class _Pacer:
    """Turns measured steps into log lines and a pace; evaluation and compilation do not count as training time."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._schedule = getattr(training.artifact.program, "schedule", None)
        self._since: tuple[int, float] | None = None
        self._rate = 0.0

    def record(self, measured: list[tuple[int, dict[str, float]]], every: int, batch: dict[str, Any]) -> None:
        if not measured:
            return
        self._tick(measured[-1][0])
        for step, metrics in measured:
            if step % every == 0 or step == self._training.steps:
                self._write(step, metrics)
        step, metrics = measured[-1]
        self._training.progress.pace(self._pace(step, metrics["loss"], batch), every)

    def pause(self) -> None:
        """Start counting anew: what just happened was not training."""
        self._since = (self._training.step, time.perf_counter())

    def _tick(self, step: int) -> None:
        now = time.perf_counter()
        if self._since and step > self._since[0]:
            rate = (step - self._since[0]) / max(now - self._since[1], 1e-9)
            self._rate = rate if not self._rate else 0.7 * self._rate + 0.3 * rate
        self._since = (step, now)

    def _write(self, step: int, metrics: dict[str, float]) -> None:
        rate = self._learning_rate(step)
        extra = {} if rate is None else {"learning_rate": rate}
        self._training.log.write(step, "train", {**metrics, **extra})

    def _learning_rate(self, step: int) -> float | None:
        """What step number ``step`` (from 1) was taken with."""
        return None if self._schedule is None else float(self._schedule(step - 1))

    def _pace(self, step: int, loss: float, batch: dict[str, Any]) -> Pace:
        tokens = [value.shape[0] * value.shape[1] for value in batch.values() if _is_tokens(value)]
        size, items = (max(tokens), "tokens") if tokens else (next(iter(batch.values())).shape[0], "examples")
        training = self._training
        return Pace(step, training.steps, loss, self._rate, self._rate * size, items, self._learning_rate(step))


def _is_tokens(value: Any) -> bool:
    return value.ndim == 2 and value.dtype.kind in "iu"
