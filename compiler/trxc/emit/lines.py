"""Lines of a program, each with the place in the source that it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from ..source import Span


@dataclass(frozen=True)
class Line:
    """A line of the program: code, the place that it comes from, and the comment at its end."""

    code: str
    span: Span | None = None
    comment: str = ""

    @property
    def text(self) -> str:
        """The line as it stands in the program."""
        return f"{self.code}  # {self.comment}" if self.comment else self.code


def plain(text: str) -> list[Line]:
    """Lines that come from no place in the source."""
    return [Line(line) for line in text.rstrip("\n").split("\n")]
