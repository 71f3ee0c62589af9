"""Exit statuses, and the exception that ends a command with one of them."""

from __future__ import annotations

DONE = 0
PROGRAM_WRONG = 1
USAGE_WRONG = 2
RUN_FAILED = 3
OUR_FAULT = 70
INTERRUPTED = 130


class CommandError(Exception):
    """Why a command cannot go on: one line, hints on what to do, and the exit status to leave with."""

    def __init__(self, message: str, *, status: int = PROGRAM_WRONG, hints: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.status, self.hints = message, status, hints
