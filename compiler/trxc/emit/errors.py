"""What the emitter refuses."""

from __future__ import annotations

from ..source import Span


class EmitError(Exception):
    """A module cannot be written as a program; `span` is the place in the source to blame, where there is one."""

    def __init__(self, message: str, span: Span | None = None) -> None:
        super().__init__(message)
        self.message, self.span = message, span
