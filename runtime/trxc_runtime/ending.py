"""How a run's end is told: the summary with what to do next, or the failure with what to try."""

from __future__ import annotations

from .artifact import Artifact
from .errors import INTERNAL_FAULT, RUN_FAILED, RunError, first_line, is_disk_full, is_out_of_memory
from .loop import Training
from .progress import duration, shown, steps_said
from .report import write_report
from .sample_text import sample_text
from .traceback_map import explain_exception
from .user_errors import DataError


def conclude(training: Training, status: str, seconds: float) -> None:
    """Write the final report and say how the run ended and what can be done with it."""
    progress, path = training.progress, training.run.path
    if status == "interrupted":
        write_report(training.run)
        progress.say(f"stopped after step {training.step:,} of {training.steps:,}, and saved")
        progress.say("start the same command again and it goes on from there")
        return
    sample = sample_text(training) if training.artifact.recipe.get("generate") else None
    write_report(training.run, sample)
    progress.say(f"finished {steps_said(training.step)} in {duration(seconds)}" + _measured(training))
    for line in _next(training, sample is not None):
        progress.say(f"  {line}")
    progress.say(f"  {path / 'report.html'} has the curves")


def describe_failure(error: BaseException, artifact: Artifact) -> RunError:
    """The failure as a :class:`RunError`: memory, disk, files, the data, or a fault of ours at its ``.trx`` line."""
    if isinstance(error, RunError):
        return error
    if isinstance(error, DataError):
        return RunError(error.message, hints=tuple(error.hints))
    if is_out_of_memory(error):
        return RunError(
            "out of memory while training",
            status=RUN_FAILED,
            hints=_memory_hints(artifact),
        )
    if is_disk_full(error):
        return RunError(
            f"the disk is full: {first_line(error)}",
            status=RUN_FAILED,
            hints=("free some space and start the same command again: it goes on from its newest checkpoint",),
        )
    if isinstance(error, OSError):  # the run's folder was removed, or may no longer be written
        return RunError(
            f"a file cannot be read or written: {first_line(error)}",
            status=RUN_FAILED,
            hints=("see that the run's folder and the data are still there, and start the same command again",),
        )
    explained = explain_exception(error, artifact.manifest)
    return RunError(
        f"training failed inside the program\n{explained}" if explained else f"training failed: {first_line(error)}",
        status=INTERNAL_FAULT,
        hints=("the file passed its checks, so that this is a fault of ours: please report it with the .trx file",),
    )


def _memory_hints(artifact: Artifact) -> tuple[str, ...]:
    train = artifact.train
    batch, parts = int(train["batch"]), int(train.get("accumulate") or 1)
    hints = [f"`accumulate = {parts * 2}` halves what is held at once and changes no result"] if batch > parts else []
    if batch > 1:
        hints.append(f"`batch = {max(1, batch // 2)}`, or shorter examples")
    if train.get("precision") == "f32":
        hints.append("`precision = mixed_bf16` halves the activations")
    return tuple(hints)


def _measured(training: Training) -> str:
    best = training.best
    text = f" · {shown(training.last)}" if training.last else ""
    return text + (f" · best {best.metric} {best.value:.4f} at step {best.step:,}" if best else "")


def _next(training: Training, generates: bool) -> list[str]:
    path, arrays = training.run.path, bool(training.run.read().get("arrays"))
    lines = [f'trxc generate {path} --prompt "…"'] if generates else []
    evaluation = training.recipe.get("evaluate") and not arrays
    return lines + ([f"trxc eval {path}"] if evaluation else [])
