"""From a document to text: decides which groups are broken, and puts comments where they go."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple, TypeAlias

from ..diagnostics.harmless import width
from .document import INDENT, Blank, Comment, Concat, Doc, Group, IfBroken, Line, Nest, OwnLine

WIDTH = 120
"""Columns of a line. Only what cannot be broken, and comments, go beyond."""

COMMENT_GAP = 2
"""Columns between code and the comment beside it, at least."""

_Command: TypeAlias = tuple[int, bool, Doc]
"""Columns of indentation, whether the group around is broken, and the document to write."""


class Row(NamedTuple):
    """A line of the result: code, a comment, both or (an empty line) neither."""

    indent: int
    code: str
    comment: str
    goes_on: bool = False
    """Whether the comment goes on with the one beside the code above."""

    @property
    def beside(self) -> bool:
        """Whether the comment does not stand where code begins."""
        return bool(self.code and self.comment) or self.goes_on

    def text(self, comment_at: int) -> str:
        """The line, with a comment that is beside code at a column."""
        code = " " * self.indent + self.code
        if self.beside:
            return code + " " * (comment_at - width(code)) + self.comment
        return (code + self.comment).rstrip(" ")


def render(doc: Doc) -> str:
    """The text of a document, with a newline at its end unless it is empty."""
    return "".join(line + "\n" for line in _with_comments_aligned(_Rows().write(doc)))


def _with_comments_aligned(rows: list[Row]) -> list[str]:
    """Comments beside adjacent lines of one indentation stand in one column, if they all fit there."""
    lines: list[str] = []
    for (_, beside), run in groupby(rows, key=lambda row: (row.indent, row.beside)):
        together = list(run)
        columns: list[int] = []
        for row in together:
            columns.append(columns[-1] if row.goes_on else row.indent + width(row.code) + COMMENT_GAP)
        shared = max(columns)
        if not beside or any(shared + width(row.comment) > WIDTH for row in together):
            lines += [row.text(column) for row, column in zip(together, columns, strict=True)]
        else:
            lines += [row.text(shared) for row in together]
    return lines


class _Rows:
    """The lines written so far, and the one under way. Documents are deep: what is still to do is a list of ours."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._indent = 0
        self._code: list[str] = []
        self._columns = 0
        self._comment: tuple[str, ...] = ()

    def write(self, doc: Doc) -> list[Row]:
        """All lines of a document."""
        rest: list[_Command] = [(0, True, doc)]
        while rest:
            indent, broken, doc = rest.pop()
            if isinstance(doc, str):
                self._text(doc, indent)
            elif isinstance(doc, Concat):
                rest += [(indent, broken, part) for part in reversed(doc.parts)]
            elif isinstance(doc, Group):
                rest.append((indent, broken and (doc.forced or not self._fits(doc.doc, rest)), doc.doc))
            elif isinstance(doc, Nest):
                rest.append((indent + INDENT, broken, doc.doc))
            else:
                self._leaf(doc, indent, broken)
        self._end_line(0)
        return self._rows

    def _leaf(self, doc: Line | IfBroken | Comment | OwnLine | Blank, indent: int, broken: bool) -> None:
        if isinstance(doc, Line):
            if broken:
                self._end_line(indent)
            else:
                self._text(doc.flat, indent)
        elif isinstance(doc, IfBroken):
            self._text(doc.broken if broken else doc.flat, indent)
        elif isinstance(doc, Comment):
            self._beside(doc.lines, indent)
        elif isinstance(doc, OwnLine):
            self._above(doc, indent)
        else:
            self._blank(indent)

    # ---------------------------------------------------------------- writing

    def _text(self, text: str, indent: int) -> None:
        if self._comment and text != ",":  # a comma goes between what it follows and the comment beside that
            self._end_line(indent)
        if not self._code:
            text = text.lstrip(" ")
        if text:
            self._code.append(text)
            self._columns += width(text)

    def _beside(self, comment: tuple[str, ...], indent: int) -> None:
        if self._comment or not self._code:
            self._end_line(indent)
            self._rows += [Row(indent, "", line) for line in comment]
        else:
            self._comment = comment

    def _above(self, comment: OwnLine, indent: int) -> None:
        self._end_line(indent)
        if comment.blank:
            self._blank(indent)
        self._rows.append(Row(indent, "", comment.text))

    def _blank(self, indent: int) -> None:
        self._end_line(indent)
        self._rows.append(Row(0, "", ""))

    def _end_line(self, indent: int) -> None:
        """Ends the line under way, if anything is on it; the next one begins after `indent` columns."""
        if self._code:
            first, *others = self._comment or ("",)
            self._rows.append(Row(self._indent, "".join(self._code).rstrip(" "), first))
            self._rows += [Row(self._indent, "", line, goes_on=True) for line in others]
            self._code, self._columns, self._comment = [], 0, ()
        self._indent = indent

    # ---------------------------------------------------------------- fitting

    def _fits(self, doc: Doc, rest: list[_Command]) -> bool:
        """Whether `doc` on one line, and what follows it up to the next place for a break, end within the width."""
        left = WIDTH - self._indent - self._columns
        todo: list[tuple[bool, Doc]] = [(False, doc)]
        following = len(rest)
        while left >= 0:
            if not todo:
                if not following:
                    return True
                following -= 1
                todo.append(rest[following][1:])
            broken, doc = todo.pop()
            if isinstance(doc, str):
                left -= width(doc)
            elif isinstance(doc, Concat):
                todo += [(broken, part) for part in reversed(doc.parts)]
            elif isinstance(doc, Group | Nest):
                todo.append((broken or doc.forced, doc.doc))
            elif isinstance(doc, IfBroken):
                left -= len(doc.broken if broken else doc.flat)
            elif isinstance(doc, Line) and not broken:
                left -= len(doc.flat)
            elif isinstance(doc, OwnLine | Blank) and following == len(rest):
                left = WIDTH - self._indent  # it begins with comments: what is tried stands on the line below them
            else:
                return True
        return False
