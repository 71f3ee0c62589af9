"""What stands between tokens and means nothing to the compiler: comments, newlines, empty lines."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..diagnostics.harmless import width
from ..syntax.tokens import Token

_PIECE = re.compile(r"\n|#[^\n]*")


class Above(NamedTuple):
    """A comment on a line of its own; `blank` if an empty line is above it."""

    text: str
    blank: bool


class Before(NamedTuple):
    """What stands before a token: whether a newline does, the comments, whether an empty line is right above it."""

    newline: bool = False
    comments: tuple[Above, ...] = ()
    blank: bool = False


NOTHING = Before()


class Trivia:
    """What stands around the tokens of a file, by where tokens begin."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._before: dict[int, Before] = {}
        self._text = text
        self._beside: dict[int, tuple[str, ...]] = {}
        self.comments: list[str] = []
        """All comments, in order."""
        previous: Token | None = None
        for token in tokens:
            start = previous.end if previous else 0
            if token.start - start > 1 or (start < token.start and text[start] in "\n#"):
                self._note(start, previous, token)
            previous = token

    def before(self, token: Token) -> Before:
        """What stands between a token and the one before it, without a comment beside that one."""
        return self._before.get(token.start, NOTHING)

    def beside(self, token: Token) -> tuple[str, ...]:
        """The comment at the end of the line that the token ends, and the lines right below that go on with it."""
        return self._beside.get(token.start, ())

    def _note(self, start: int, previous: Token | None, token: Token) -> None:
        above: list[Above] = []
        newlines, any_newline, column = 0, False, -1
        for piece in _PIECE.finditer(self._text, start, token.start):
            if piece[0] == "\n":
                newlines, any_newline = newlines + 1, True
                continue
            comment = piece[0].rstrip()
            self.comments.append(comment)
            if previous and (not any_newline or (newlines == 1 and self._column(piece.start()) == column)):
                self._beside[previous.start] = (*self._beside.get(previous.start, ()), comment)
                column = self._column(piece.start())
            else:
                above.append(Above(comment, newlines > 1))
                column = -1
            newlines = 0
        if any_newline or above:
            self._before[token.start] = _before(above, newlines > 1, previous)

    def _column(self, at: int) -> int:
        return width(self._text[self._text.rfind("\n", 0, at) + 1 : at])


def _before(above: list[Above], blank: bool, previous: Token | None) -> Before:
    if previous is None or previous.text in ("{", "(", "["):  # nothing that an empty line could set apart
        blank = blank and bool(above)
        above[:1] = [Above(comment.text, blank=False) for comment in above[:1]]
    return Before(newline=True, comments=tuple(above), blank=blank)
