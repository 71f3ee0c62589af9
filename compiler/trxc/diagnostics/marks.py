"""What stands under one source line: carets, dashes and their labels.

A label stands beside its mark where there is room, and hangs below it where there is none::

    x |> residual(Dense(512))
         -------- ^^^^^^^^^^ gives [batch, seq, 512]
         │
         adds x: [batch, seq, 384]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from .harmless import columns, width

Paint = Callable[[str, str], str]
"""Colours a text in a named style: ``paint(style, text)``."""


@dataclass(frozen=True)
class Mark:
    """Columns ``start`` up to ``end`` (from 0) of a shown line, underlined, with a label."""

    start: int
    end: int
    text: str
    style: str
    primary: bool = False

    @property
    def text_end(self) -> int:
        """The column after the label, when the label stands beside the mark."""
        return self.end + 1 + width(self.text)

    @property
    def stroke(self) -> str:
        """The underline itself."""
        return ("^" if self.primary else "-") * (self.end - self.start)


@dataclass
class Row:
    """A line of a terminal, written to at columns; each cell holds its characters and their style."""

    cells: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def put(self, at: int, text: str, style: str) -> None:
        """Writes ``text`` from column ``at`` on, over what is there."""
        self.cells.extend([(" ", "")] * (at + width(text) - len(self.cells)))
        for char in text:
            taken = columns(char)
            if taken == 0 and at > 0:
                self.cells[at - 1] = (self.cells[at - 1][0] + char, style)
            for extra in range(taken):
                self.cells[at + extra] = ("" if extra else char, style)
            at += taken

    def render(self, paint: Paint) -> str:
        """The line as a text."""
        runs = groupby(self.cells, key=lambda cell: cell[1])
        return "".join(paint(style, "".join(char for char, _ in run)) for style, run in runs)


def lay_out(marks: Sequence[Mark]) -> list[Row]:
    """The rows under a line that has these marks: the underlines, then the labels that hang."""
    underlines = Row()
    for mark in sorted(marks, key=lambda mark: mark.primary):
        underlines.put(mark.start, mark.stroke, mark.style)
    hanging: list[Mark] = []
    for mark in (mark for mark in marks if mark.text):
        if _has_room(mark, marks):
            underlines.put(mark.end + 1, mark.text, mark.style)
        else:
            hanging.append(mark)
    return [underlines, *_hang(hanging)]


def _has_room(mark: Mark, marks: Sequence[Mark]) -> bool:
    others = [other for other in marks if other is not mark]
    blocked = any(other.end > mark.end and other.start < mark.text_end + 1 for other in others)
    rivals = [other for other in marks if other.end == mark.end and other.text]
    first = max(rivals, key=lambda rival: rival.primary)
    return not blocked and mark is first


def _hang(marks: list[Mark]) -> list[Row]:
    if not marks:
        return []
    ordered = sorted(marks, key=lambda mark: mark.start, reverse=True)
    rows = [_connectors(ordered)]
    for mark in ordered:
        row = _connectors([other for other in ordered if other.start < mark.start])
        row.put(mark.start, mark.text, mark.style)
        rows.append(row)
    return rows


def _connectors(marks: Sequence[Mark]) -> Row:
    row = Row()
    for mark in marks:
        row.put(mark.start, "│", mark.style)
    return row
