"""What a run measured: ``metrics.jsonl`` for programs, event files for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

from .files import finite, write_text

Line = dict[str, Any]


class MetricsLog:
    """Appends to a run's metrics; lines beyond ``start`` are dropped first, so that no step is there twice."""

    def __init__(self, path: Path, events: Path, start: int) -> None:
        truncate(path, start)
        self._path, self._events, self._start = path, events, start
        self._file: TextIOWrapper | None = None
        self._writer: Any = None

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Record ``values`` measured on ``split`` after ``step`` steps; numbers that are not finite become null."""
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(json.dumps(finite({"step": step, "split": split, **values})) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events_writer().add_scalar(f"{split}/{name}", value, step)

    def _events_writer(self) -> Any:
        if self._writer is None:
            from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingTypeStubs] - it has none

            purge = self._start + 1 if self._start else None
            self._writer = SummaryWriter(str(self._events), purge_step=purge, write_to_disk=True)
        return self._writer

    def close(self) -> None:
        """Flush and close both."""
        if self._file is not None:
            self._file.close()
        if self._writer is not None:
            self._writer.close()


def read(path: Path) -> list[Line]:
    """The lines of a ``metrics.jsonl``; a last line that was cut off by a kill is left out."""
    if not path.is_file():
        return []
    lines: list[Line] = []
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            found: object = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(cast("Line", found).get("step"), int):
            lines.append(cast("Line", found))
    return lines


def truncate(path: Path, step: int) -> None:
    """Keep only the lines up to and including ``step``."""
    if path.exists():
        kept = [json.dumps(line) + "\n" for line in read(path) if line["step"] <= step]
        write_text(path, "".join(kept))
