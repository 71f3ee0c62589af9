"""Source texts and places in them.

A :class:`Source` is a named text; a :class:`Span` is a half-open range of character offsets in one.
Everything that the compiler says, it says about a span.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, eq=False)
class Source:
    """A text with a name: a file's path as the user wrote it, or ``<memory>``.

    ``key`` is what artifacts call it, wherever it was compiled: its path from the folder of the main file.
    """

    name: str
    text: str = field(repr=False)
    path: str = ""

    @property
    def key(self) -> str:
        """Its path from the folder of the main file, or its name where it is no file."""
        return self.path or self.name

    @cached_property
    def line_starts(self) -> list[int]:
        """Offsets at which lines begin; line ``n`` (from 1) begins at ``line_starts[n - 1]``."""
        starts = [0]
        starts.extend(at + 1 for at, char in enumerate(self.text) if char == "\n")
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1; columns count characters."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line ``number`` (from 1), without its line ending."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@dataclass(frozen=True)
class Span:
    """Characters ``start`` up to, but not including, ``end`` of ``source``."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """The line that the span begins on, from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """The column that the span begins at, from 1."""
        return self.source.position(self.start)[1]

    def within(self, other: Span) -> bool:
        """Whether all of it stands in another span."""
        return self.source is other.source and other.start <= self.start and self.end <= other.end

    def to(self, other: Span) -> Span:
        """The span from the beginning of this one to the end of ``other``."""
        return Span(self.source, self.start, max(self.end, other.end))

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"
