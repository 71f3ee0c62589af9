"""Lines of a program, each with the place in the source that it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from ..source import Span


@dataclass(frozen=True)
class Line:
    """A line of the program."""

    text: str
    span: Span | None = None


def plain(text: str) -> list[Line]:
    """Lines that come from no place in the source."""
    return [Line(line) for line in text.rstrip("\n").split("\n")]
