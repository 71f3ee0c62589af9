"""What a run says while it goes: one live line on a terminal, plain lines elsewhere, all of it in ``log.txt``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

BAR = 12
"""Columns that the bar takes."""
PLAIN_LINES = 50
"""About how many lines a whole run prints where there is no terminal."""


@dataclass(frozen=True)
class Pace:
    """How a run is doing: ``items`` is what its rate counts, tokens or examples."""

    step: int
    steps: int
    loss: float
    steps_per_second: float
    items_per_second: float
    items: str
    learning_rate: float | None = None

    @property
    def seconds_left(self) -> float:
        """How long the rest will take at this pace."""
        return (self.steps - self.step) / self.steps_per_second if self.steps_per_second else 0.0

    def fitted(self, width: int) -> str:
        """The state in at most ``width`` columns: what matters least is left out first."""
        rate = [f"lr {self.learning_rate:.2e}"] if self.learning_rate is not None else []
        parts = [
            f"step {self.step:,}/{self.steps:,}",
            f"loss {self.loss:.4f}",
            f"{self.steps_per_second:.4g} steps/s",
            f"{_count(self.items_per_second)} {self.items}/s",
            *rate,
            f"{duration(self.seconds_left)} left",
        ]
        for least in (*rate, parts[2], parts[3]):
            if len(" · ".join(parts)) <= width:
                break
            parts.remove(least)
        return " · ".join(parts)

    def __str__(self) -> str:
        return self.fitted(width=10_000)


class Progress:
    """Says what happens on stderr and in a log file; ``quiet`` keeps it to the file."""

    def __init__(self, log: Path | None, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._log = log.open("a", encoding="utf-8") if log else None
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._live = not quiet and self._stream.isatty()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._write_log(text)
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        """A line that stays and says that something is not as it should be."""
        self.say(f"warning: {text}")

    def busy(self, text: str) -> None:
        """What is being done while no step goes by, such as compiling."""
        if self._live:
            self._show(text, 0, None)
        else:
            self.say(text)

    def pace(self, pace: Pace, every: int) -> None:
        """The state of the run: the live line, or about :data:`PLAIN_LINES` lines in all, at multiples of ``every``."""
        if self._live:
            self._show(pace.fitted(self._columns() - BAR - 2), pace.step, pace.steps)
        gap = max(every, every * -(-pace.steps // (PLAIN_LINES * every)))
        if pace.step % gap == 0 or pace.step == pace.steps:
            if self._live:
                self._write_log(str(pace))
            else:
                self.say(str(pace))

    def close(self) -> None:
        """Take the live line away and close the log."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._log:
            self._log.close()
            self._log = None

    def _write_log(self, text: str) -> None:
        if self._log:
            print(text, file=self._log, flush=True)

    def _columns(self) -> int:
        return (self._bar or self._start()).console.width

    def _show(self, text: str, step: int, steps: int | None) -> None:
        bar = self._bar or self._start()
        bar.update(self._task, description=text, completed=step, total=steps)

    def _start(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        text = TextColumn("{task.description}", markup=False)
        console = Console(file=self._stream)
        self._bar = Bar(BarColumn(bar_width=BAR), text, console=console, transient=True, refresh_per_second=4)
        self._task = self._bar.add_task("", total=None)
        self._bar.start()
        return self._bar


def shown(values: Mapping[str, float]) -> str:
    """Metrics as a line shows them: ``loss 1.2345 · accuracy 0.91``."""
    return " · ".join(f"{name} {value:.4f}" for name, value in values.items())


def duration(seconds: float) -> str:
    """A time as people say it: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def steps_said(number: int) -> str:
    """``1 step``, ``1,200 steps``."""
    return f"{number:,} step{'' if number == 1 else 's'}"


def _count(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
