"""What goes wrong at run time, said so that a user can act on it."""

from __future__ import annotations

import errno

USER_ERROR = 1
RUN_FAILED = 3
INTERNAL_FAULT = 70
INTERRUPTED = 130


class RunError(Exception):
    """A run that cannot start or go on: a one-line message, hints, and an exit status.

    ``status`` is 1 where an input is wrong, 3 where a run failed (NaN, memory, disk), 70 for a fault of ours
    and 130 or 143 after a signal.
    """

    def __init__(self, message: str, *, status: int = USER_ERROR, hints: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.hints = hints

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  = help: {hint}" for hint in self.hints)])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device or the host ran out of memory."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error) or "Out of memory" in str(error)


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception, or what caused it, means that the disk or a quota is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if any(words in str(seen) for words in ("No space left", "quota exceeded", "File too large")):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, with its type where the text alone says nothing."""
    text = str(error).strip().split("\n")[0].strip()
    return text or type(error).__name__
