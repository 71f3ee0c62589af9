"""The source lines that a diagnostic speaks of, with what is marked on each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..source import Source, Span
from .harmless import columns, harmless, visible
from .marks import Mark, Row, lay_out

TAB = 4
"""Columns between tab stops."""

WIDEST = 240
"""Characters of one source line that are shown; of a longer one, those around its first mark."""

_LEAD = 60
_MOST_LINES = 4


@dataclass(frozen=True)
class Piece:
    """The part of a marked span that lies on one line: characters ``start`` up to ``end``, from 0."""

    line: int
    start: int
    end: int
    text: str
    style: str
    primary: bool
    goes_on: bool = False
    """Whether lines of the same span are left out below this one."""


def pieces(span: Span, text: str, style: str, primary: bool) -> list[Piece]:
    """A span line by line, its label on the last; of a span of many lines, the first and the last."""
    source = span.source
    start = min(span.start, len(source.text))
    first, column = source.position(start)
    last, end = source.position(max(start, min(span.end, len(source.text)) - 1))
    if first == last:
        return [Piece(first, column - 1, max(end, column), text, style, primary)]
    whole = last - first < _MOST_LINES
    head = Piece(first, column - 1, len(source.line(first)), "", style, primary, not whole)
    tail = Piece(last, _indent(source, last), end, text, style, primary)
    between = range(first + 1, last) if whole else ()
    body = [Piece(n, _indent(source, n), len(source.line(n)), "", style, primary) for n in between]
    return [head, *(piece for piece in body if piece.end > piece.start), tail]


def _indent(source: Source, number: int) -> int:
    line = source.line(number)
    return len(line) - len(line.lstrip())


def excerpt(source: Source, found: Sequence[Piece]) -> Iterator[tuple[int | None, Row, bool]]:
    """Rows from top to bottom: the line's number (of source lines), the row, whether lines are left out after it."""
    wanted = sorted({piece.line for piece in found})
    context = _line_above(source, wanted[0])
    if context is not None:
        yield context, _plain(_Shown.of(source.line(context), 0).text), False
    for number in wanted:
        here = [piece for piece in found if piece.line == number]
        shown = _Shown.of(source.line(number), min(piece.start for piece in here))
        rows = lay_out([shown.mark(piece) for piece in here])
        yield number, _plain(shown.text), False
        for at, row in enumerate(rows, 1):
            yield None, row, at == len(rows) and any(piece.goes_on for piece in here)


def _line_above(source: Source, number: int) -> int | None:
    """Where a blank line is marked (the end of a file, mostly): the last line before it that says something."""
    if source.line(number).strip():
        return None
    return next((above for above in range(number - 1, 0, -1) if source.line(above).strip()), None)


def _plain(text: str) -> Row:
    row = Row()
    row.put(0, text.rstrip(), "")
    return row


@dataclass(frozen=True)
class _Shown:
    """A source line as a terminal shows it, and the column of each of its characters."""

    text: str
    stops: list[int]
    skipped: int

    @classmethod
    def of(cls, line: str, near: int) -> _Shown:
        """The line, or the part of it around character ``near``."""
        skipped = max(0, near - _LEAD) if len(line) > WIDEST else 0
        part = line[skipped : skipped + WIDEST]
        shown = ["…"] if skipped else []
        stops: list[int] = []
        at = len(shown)
        for char in part:
            stops.append(at)
            shown.append(" " * (TAB - at % TAB) if char == "\t" else visible(char))
            at += len(shown[-1]) if char == "\t" else sum(map(columns, shown[-1]))
        if skipped + WIDEST < len(line):
            shown.append("…")
        return cls("".join(shown), [*stops, at], skipped)

    def mark(self, piece: Piece) -> Mark:
        """The piece in columns; an empty one is one column wide."""
        start, end = self._column(piece.start), self._column(piece.end)
        return Mark(start, max(end, start + 1), harmless(piece.text), piece.style, piece.primary)

    def _column(self, at: int) -> int:
        return self.stops[min(max(at - self.skipped, 0), len(self.stops) - 1)]
