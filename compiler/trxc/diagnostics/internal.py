"""A bug in the compiler, as opposed to a mistake in a program."""

from __future__ import annotations

from ..source import Span


class InternalError(Exception):
    """The compiler contradicts itself: in which `phase`, and near which `span` of the source, where that is known."""

    def __init__(self, phase: str, message: str, span: Span | None = None) -> None:
        where = f" near {span}" if span else ""
        super().__init__(f"{phase}{where}: {message}")
        self.phase, self.message, self.span = phase, message, span
