"""Lines and characters as editors count them: from 0, in UTF-16 code units."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple

from ..source import Span

_LINE_END = re.compile(r"\r\n|\n|\r")
_WIDE = 0xFFFF
"""The last character that is one code unit."""


class Position(NamedTuple):
    """A place between two characters."""

    line: int
    character: int


class Range(NamedTuple):
    """From one place up to another."""

    start: Position
    end: Position


class Lines:
    """The lines of a text: positions for offsets (in characters), and back.

    A position outside of the text means the nearest place inside of it, and one inside of a character its beginning.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_END.finditer(self.text))]

    def offset(self, position: Position) -> int:
        """The offset of a position."""
        if position.line < 0:
            return 0
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        line = self._line(position.line)
        if line.isascii():
            return start + max(0, min(position.character, len(line)))
        units = 0
        for at, char in enumerate(line):
            units += _units(char)
            if units > position.character:
                return start + at
        return start + len(line)

    def position(self, offset: int) -> Position:
        """The position of an offset."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return Position(line, len(before) if before.isascii() else sum(map(_units, before)))

    def range(self, start: int, end: int) -> Range:
        """The range between two offsets."""
        return Range(self.position(start), self.position(end))

    def _line(self, number: int) -> str:
        """A line without its end."""
        stop = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
        return self.text[self._starts[number] : stop].rstrip("\r\n")


def range_of(span: Span) -> Range:
    """The range of a span; who asks for many in one text keeps its :class:`Lines`."""
    return Lines(span.source.text).range(span.start, span.end)


def _units(char: str) -> int:
    return 2 if ord(char) > _WIDE else 1
