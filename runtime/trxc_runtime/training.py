"""``train``: opens a run, brings it to where it was, runs the loop, and says how it ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact import Artifact, load_artifact, part
from .beginning import begin, forms
from .best import Best
from .checkpoint import Checkpoints, Restored
from .compile_cache import use_compile_cache
from .ending import conclude, describe_failure
from .errors import RunError
from .identity import identity, refuse_other
from .interrupts import Interrupts
from .loop import Training, run_loop
from .metrics import MetricsLog
from .metrics import read as read_metrics
from .placement import Placement
from .progress import Progress, steps_said
from .recipe_data import load_data, root_of, steps_of
from .report import write_report
from .run_folder import RunFolder
from .storage import layout_of
from .trees import Tree
from .untyped import jax
from .versions import now, versions
from .xla_options import use_xla_options


@dataclass(frozen=True)
class Result:
    """How a run stands: ``status`` is "finished" or "interrupted"; ``exit_status`` is what a command leaves with.

    ``metrics`` are those of the last evaluation, ``best`` of the best one.
    """

    run: Path
    status: str
    exit_status: int
    step: int
    steps: int
    metrics: dict[str, float]
    best: dict[str, Any] | None


def train(
    artifact: str | Path | Artifact,
    run: str | Path | None = None,
    *,
    root: str | Path | None = None,
    resume: bool = True,
    steps: int | None = None,
    data: Mapping[str, Any] | None = None,
    quiet: bool = False,
    force: bool = False,
    allow_extern: bool = False,
    xla_options: bool = False,
) -> Result:
    """Train an artifact in the folder ``run`` (``runs/NAME``), going on from its newest checkpoint if it has one.

    ``root`` is the folder that the recipe's paths start from; ``steps`` replaces the recipe's number; ``data`` holds
    arrays by field for a recipe whose source is `arrays()`; ``force`` starts over in a folder that holds a run;
    ``xla_options`` sets those of XLA's options that make the program's steps faster on CPUs, in `XLA_FLAGS`: for a
    process that is there to train, in which jax has compiled nothing yet.
    Raises :class:`RunError` with the exit status that a command should leave with.
    """
    use_compile_cache()
    where = Path(root) if root else None
    loaded = (
        artifact if isinstance(artifact, Artifact) else load_artifact(artifact, allow_extern=allow_extern, root=where)
    )
    folder = _folder(loaded, run)
    with folder.locked():
        started_here = _open(folder, loaded, resume=resume, force=force)
        with contextlib.closing(Progress(folder.log, quiet=quiet)) as progress:
            if xla_options:
                use_xla_options(loaded, progress.say)
            examples = load_data(loaded, root=root, arrays=data)
            total = steps or steps_of(loaded.train, len(examples.split("train")))
            if not started_here and (done := _already_done(folder, total, progress)):
                return done
            folder.adopt(loaded)
            examples.save(folder.path)
            facts = {"root": str(root_of(loaded, root).absolute()), "arrays": data is not None}
            return _Trainer(loaded, folder, examples, total, progress, facts).run()


def _folder(artifact: Artifact, run: str | Path | None) -> RunFolder:
    """The run's folder: the one given, the artifact's own if that is a run, or ``runs/NAME``."""
    own = RunFolder(artifact.folder)
    return RunFolder(Path(run)) if run else own if own.exists else RunFolder(Path("runs") / artifact.name)


def _open(folder: RunFolder, artifact: Artifact, *, resume: bool, force: bool) -> bool:
    """Make the folder ready for this artifact; True if the run starts here, False if there is one to go on with."""
    if force:
        folder.clear(artifact=artifact.folder.resolve() != folder.path.resolve())
    if not folder.exists:
        return True
    if not resume:
        raise RunError(
            f"`{folder.path}` already holds a run", hints=("`--force` starts it over; `--run` names another",)
        )
    refuse_other(folder, artifact)
    return False


def _already_done(folder: RunFolder, steps: int, progress: Progress) -> Result | None:
    facts = folder.read()
    if facts.get("status") != "finished" or int(facts.get("step", 0)) < steps:
        return None
    done = int(facts["step"])
    progress.say(f"`{folder.path}` is finished, with {steps_said(done)} done. More `--steps` train it further;")
    progress.say("`--force` starts it over")
    return Result(folder.path, "finished", 0, done, steps, facts.get("metrics") or {}, facts.get("best"))


@dataclass
class _Trainer:
    """One call of :func:`train` after its checks."""

    artifact: Artifact
    folder: RunFolder
    data: Any
    steps: int
    progress: Progress
    facts: dict[str, Any]

    def run(self) -> Result:
        began = time.perf_counter()
        with Interrupts() as interrupts:
            try:
                training = self._train(interrupts)
            except Exception as error:
                failure = describe_failure(error, self.artifact)
                with contextlib.suppress(OSError, RunError):  # a full disk must not hide what happened
                    self.folder.update(status="failed", finished=now(), failure=failure.message)
                    write_report(self.folder)
                raise failure from error
            return self._finish(training, time.perf_counter() - began)

    def _train(self, interrupts: Interrupts) -> Training:
        placement = Placement.of(self.artifact.program, self.progress.warn)
        with placement.context():
            training = self._start(int(self.artifact.train.get("seed") or 0), placement, interrupts)
            with contextlib.closing(training.log), contextlib.closing(training.checkpoints):
                run_loop(training)
        return training

    def _start(self, seed: int, placement: Placement, interrupts: Interrupts) -> Training:
        """Fresh weights, or the newest checkpoint's, and everything else that follows from the step."""
        artifact, folder = self.artifact, self.folder
        keep = part(artifact.train, "checkpoint").get("keep") or 1
        checkpoints = Checkpoints(folder.checkpoints, keep, layout=layout_of(artifact.manifest))
        like = forms(artifact.program, placement)
        restored = checkpoints.restore_newest(like, self.progress.warn)
        if restored is None:
            restored = Restored(begin(artifact.program, placement, seed), {"step": 0})
        best = Best.read(restored.facts.get("best"))
        checkpoints.best = best.step if best else None
        checkpoints.discard_after(restored.step)
        self._announce(restored.step, like, seed)
        log = MetricsLog(folder.metrics, folder.events, restored.step)
        return Training(
            artifact=artifact,
            run=folder,
            data=self.data,
            placement=placement,
            tree=restored.tree,
            step=restored.step,
            steps=self.steps,
            seed=seed,
            best=best,
            checkpoints=checkpoints,
            log=log,
            progress=self.progress,
            interrupts=interrupts,
            on_evaluated=lambda training: write_report(folder),
            last=_last_evaluation(folder),
            saved=restored.step or None,
        )

    def _announce(self, step: int, tree: dict[str, Tree], seed: int) -> None:
        before = self.folder.read()
        examples = len(self.data.split("train"))
        if before.get("examples") not in (None, examples):
            self.progress.warn(
                f"the training split had {before['examples']:,} examples and has {examples:,} now: "
                "what follows is not what an uninterrupted run would have done"
            )
        self.folder.update(
            **self.facts,
            status="running",
            name=self.artifact.name,
            model=self.artifact.manifest["model"],
            step=step,
            steps=self.steps,
            seed=seed,
            examples=examples,
            identity=identity(self.artifact.manifest),
            versions=versions(self.artifact.manifest),
            started=before.get("started") or now(),
            finished=None,
            failure=None,
        )
        size = sum(leaf.size for leaf in jax.tree.leaves(tree["params"]))
        device = f"{jax.device_count()} × {jax.devices()[0].device_kind}"
        self.progress.say(f"training {self.artifact.name} ({size:,} parameters) in `{self.folder.path}` on {device}")
        if step:
            self.progress.say(f"going on from step {step:,} of {self.steps:,}")

    def _finish(self, training: Training, seconds: float) -> Result:
        received = training.interrupts.received if training.step < self.steps else None
        status = "interrupted" if received is not None else "finished"
        best = training.best.facts() if training.best else None
        before = float(self.folder.read().get("seconds") or 0.0)
        self.folder.update(
            status=status,
            step=training.step,
            finished=now(),
            seconds=before + seconds,
            best=best,
            metrics=training.last,
        )
        conclude(training, status, seconds)
        exit_status = training.interrupts.status if received is not None else 0
        return Result(self.folder.path, status, exit_status, training.step, self.steps, training.last, best)


def _last_evaluation(folder: RunFolder) -> dict[str, float]:
    """The newest recorded metrics that are not the training loss's."""
    lines = [line for line in read_metrics(folder.metrics) if line.get("split") != "train"]
    return {k: v for k, v in lines[-1].items() if k not in ("step", "split") and v is not None} if lines else {}
