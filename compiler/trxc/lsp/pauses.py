"""When garbage is collected: not while somebody waits.

Nearly all that reading and checking make lives as long as the version, so that looking for garbage meanwhile finds
none, and looks through everything that is known of every open text: more work than the check itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Generator

IDLE = 2.0
"""Seconds after the last check in which a server has nothing better to do."""

MAX_CHECKS = 40
"""Checks after which garbage is collected even so: each may leave as much as it has made."""


@contextlib.contextmanager
def collecting_later() -> Generator[None]:
    """Collects no garbage within."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class Collector:
    """Collects a server's garbage when nobody has typed for a while, and only then."""

    def __init__(self) -> None:
        self._checks = 0
        self._waiting: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """From now on, garbage is collected when it is told to be; what has been loaded by now is none."""
        gc.disable()
        gc.freeze()

    def checked(self) -> None:
        """A check has ended."""
        self._checks += 1
        if self._waiting is not None:
            self._waiting.cancel()
        if self._checks >= MAX_CHECKS:
            self.collect()
        else:
            self._waiting = asyncio.get_running_loop().call_later(IDLE, self.collect)

    def collect(self) -> None:
        """Collects."""
        self._checks, self._waiting = 0, None
        gc.collect()
