"""A run's folder: what lies in it, its status, and the lock that keeps a second trainer out."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .artifact import MANIFEST, PROGRAM, Artifact
from .errors import RunError
from .files import write_json, write_text

RUN = "run.json"
_PROGRESS = ("checkpoints", "events", "best", "metrics.jsonl", "report.html", "log.txt", "tokenizer.json", RUN)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, by the names that its parts have."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, one a step."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """``metrics.jsonl``: one JSON object a line, each with its ``step``."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """The folder that TensorBoard reads."""
        return self.path / "events"

    @property
    def report(self) -> Path:
        """``report.html``, which needs nothing else."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """``log.txt``: what was said on the terminal."""
        return self.path / "log.txt"

    @property
    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return (self.path / RUN).is_file()

    def read(self) -> dict[str, Any]:
        """``run.json``: status, step, versions, times; {} where no run was started."""
        try:
            found: object = json.loads((self.path / RUN).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError):
            raise RunError(f"`{self.path / RUN}` cannot be read", hints=("`--force` starts this run over",)) from None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    def update(self, **facts: Any) -> None:
        """Change some facts of ``run.json``, whole or not at all."""
        write_json(self.path / RUN, {"format": 1, **self.read(), **facts})

    def read_best(self) -> int | None:
        """The step that the ``best`` pointer names, if any."""
        try:
            return int((self.path / "best").read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def point_to_best(self, step: int) -> None:
        """Make ``best`` name a step."""
        write_text(self.path / "best", f"{step}\n")

    def adopt(self, artifact: Artifact) -> None:
        """Copy the artifact in, so that the run needs nothing but its folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / PROGRAM, artifact.program_bytes.decode("utf-8"))
        write_json(self.path / MANIFEST, artifact.manifest)

    def clear(self, *, artifact: bool) -> None:
        """Remove what a run wrote, and nothing else that may lie here; with ``artifact``, the program too."""
        for name in (*_PROGRESS, *((PROGRAM, MANIFEST) if artifact else ())):
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Hold the run while training; raises :class:`RunError` if another process does. A kill lets go of it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            if not _lock(file.fileno()):
                raise RunError(
                    f"another process is training `{self.path}`", hints=("wait for it, or give another `--run`",)
                )
            yield


def _lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows has no such locks; two trainers are then the user's to avoid
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
