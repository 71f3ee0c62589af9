"""A small document algebra: what a text says, and where it may be broken (Wadler, "A prettier printer", 2003).

A document is a string or one of the classes below. A group is written on one line if it fits there, and broken at
all of its own lines otherwise. Each class works out from its parts, when it is made:

- `forced`: it cannot be on one line;
- `starts`: its first part is a comment on lines of its own, so that it cannot be on one line with what comes before;
- `ends`: its last part is a comment, so that it cannot be on one line with what comes after.
"""

from __future__ import annotations

from typing import TypeAlias

INDENT = 2
"""Columns by which what is inside stands further to the right."""


class Line:
    """A newline where its group is broken, else `flat`."""

    __slots__ = ("ends", "flat", "forced", "starts")

    def __init__(self, flat: str, forced: bool = False) -> None:
        self.flat, self.forced, self.starts, self.ends = flat, forced, False, False


class Blank:
    """One empty line above what follows."""

    __slots__ = ("ends", "forced", "starts")

    def __init__(self) -> None:
        self.forced, self.starts, self.ends = False, True, False


class Comment:
    """A comment beside what stands before it, at the end of the line; its further lines stand right below."""

    __slots__ = ("ends", "forced", "lines", "starts")

    def __init__(self, lines: tuple[str, ...]) -> None:
        self.lines, self.forced, self.starts, self.ends = lines, False, False, True


class OwnLine:
    """A comment on a line of its own, with an empty line above it if `blank`."""

    __slots__ = ("blank", "ends", "forced", "starts", "text")

    def __init__(self, text: str, blank: bool) -> None:
        self.text, self.blank = text, blank
        self.forced, self.starts, self.ends = False, True, False


class Concat:
    """One part after another."""

    __slots__ = ("ends", "forced", "parts", "starts")

    def __init__(self, parts: tuple[Doc, ...]) -> None:
        self.parts = parts
        self.forced = self.starts = self.ends = False
        first = True
        for part in parts:
            if isinstance(part, str):
                self.forced = self.forced or (self.ends and bool(part))
                first, self.ends = first and not part, self.ends and not part
            else:
                self.forced = self.forced or part.forced or self.ends or (part.starts and not first)
                self.starts = self.starts or (part.starts and first)
                first, self.ends = first and isinstance(part, OwnLine | Blank), part.ends


class _Around:
    """What has all its properties from the document in it."""

    __slots__ = ("doc", "ends", "forced", "starts")

    def __init__(self, doc: Doc) -> None:
        self.doc = doc
        if isinstance(doc, str):
            self.forced = self.starts = self.ends = False
        else:
            self.forced, self.starts, self.ends = doc.forced, doc.starts, doc.ends


class Nest(_Around):
    """`doc`, with the lines that begin in it indented further."""

    __slots__ = ()


class Group(_Around):
    """`doc`, on one line if it fits there."""

    __slots__ = ()


class IfBroken:
    """One text where the group around it is broken, another where it is on one line."""

    __slots__ = ("broken", "ends", "flat", "forced", "starts")

    def __init__(self, broken: str, flat: str = "") -> None:
        self.broken, self.flat = broken, flat
        self.forced = self.starts = self.ends = False


Doc: TypeAlias = str | Line | Blank | Comment | OwnLine | Concat | Nest | Group | IfBroken

LINE = Line(" ")
SOFT = Line("")
HARD = Line("", forced=True)
BLANK = Blank()


def cat(*parts: Doc) -> Doc:
    """One part after another."""
    return parts[0] if len(parts) == 1 else Concat(parts)


def fill(*items: Doc) -> Doc:
    """As many items on each line as fit; each brings its comma along. The first one may go to a new line, too."""
    return cat(*(Group(cat(LINE if at else SOFT, item)) for at, item in enumerate(items)))
