"""The way to the runtime, which the compiler knows by name alone: a machine may have no jax."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from .status import OUR_FAULT, RUN_FAILED, USAGE_WRONG, CommandError

PACKAGES = {
    "jax": "jax",
    "jaxlib": "jax",
    "optax": "optax",
    "orbax": "orbax-checkpoint",
    "grain": "grain",
    "safetensors": "safetensors",
    "tensorboardX": "tensorboardX",
    "tokenizers": "tokenizers",
    "rich": "rich",
    "numpy": "numpy",
    "sklearn": '"trxc[sklearn]"',
    "trxc_runtime": "trxc",
}
"""What pip calls the packages that the runtime imports."""


@contextlib.contextmanager
def runtime() -> Generator[Any, None, None]:
    """The module ``trxc_runtime``; what it raises in the context becomes a :class:`CommandError`."""
    try:
        yield import_module("trxc_runtime")
    except (CommandError, click.ClickException, click.exceptions.Exit):
        raise
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    except Exception as error:
        raise _told(error) from error


def _missing(error: ModuleNotFoundError) -> Exception:
    name = (error.name or "").partition(".")[0]
    if name not in PACKAGES:
        return error
    command = getattr(click.get_current_context(silent=True), "command_path", "this command")
    return CommandError(
        f"`{command}` needs the package `{name}`, which is not installed",
        status=USAGE_WRONG,
        hints=(f"`pip install {PACKAGES[name]}`",),
    )


def _told(error: Exception) -> Exception:
    """A failed run as it is to be told; anything else as it was, a fault of ours."""
    errors: Any = import_module("trxc_runtime.errors")
    if isinstance(error, errors.RunError):
        failure: Any = error
        hints: tuple[str, ...] = tuple(failure.hints)
        if failure.status == OUR_FAULT:
            from .faults import ask_to_report

            hints = (ask_to_report(error),)
        return CommandError(failure.message, status=failure.status, hints=hints)
    if errors.is_out_of_memory(error):
        return CommandError("out of memory", status=RUN_FAILED, hints=("try a smaller batch, or shorter inputs",))
    return error


def run_folder(argument: str) -> Path:
    """The folder of a run, or of an artifact, that an argument names; a name that is neither is wrong usage."""
    path = Path(argument)
    if (path / "manifest.json").is_file():
        return path
    if path.is_dir():
        raise click.UsageError(f"`{argument}` is not a run: it holds no manifest.json{_runs_in(path)}", _context())
    what = "is a file, not a run's folder" if path.is_file() else "does not exist"
    raise click.UsageError(f"the run `{argument}` {what}{_similar(path)}", _context())


def _similar(path: Path) -> str:
    """The run whose name is nearest, of those beside it or in `runs/`."""
    found = [run.parent for folder in (path.parent, Path("runs")) for run in _glob(folder, "*/manifest.json")]
    near = get_close_matches(path.name, [run.name for run in found], n=1)
    return next((f"; did you mean `{run}`?" for run in found if near and run.name == near[0]), "")


def _runs_in(path: Path) -> str:
    found = sorted(_glob(path, "*/manifest.json"))
    return f"; did you mean `{found[0].parent}`?" if found else ""


def _glob(folder: Path, pattern: str) -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _context() -> click.Context | None:
    return click.get_current_context(silent=True)
