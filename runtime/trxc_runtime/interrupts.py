"""Ctrl-C and SIGTERM: the first asks the loop to end after its step, the second leaves at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A context that notes the first signal instead of dying of it; outside the main thread it does nothing."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def status(self) -> int:
        """The exit status that the signal asks for: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.received or signal.SIGINT)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for other in SIGNALS:
            signal.signal(other, signal.SIG_DFL)  # the second ends the process, even in the middle of a compilation
        if number == signal.SIGINT and sys.stderr.isatty():
            os.write(2, b"\x1b[?25h\nfinishing this step and saving; Ctrl-C again leaves at once\n")
