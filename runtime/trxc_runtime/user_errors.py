"""Mistakes that a user can mend, in data and in what a recipe calls.

Apart from the data themselves, so that whoever only catches the error need not import them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class DataError(Exception):
    """A user's mistake with data, in one line, with hints on how to mend it.

    ``str(error)`` is the line; ``error.hints`` are further lines, each a change the user can make or a fact
    that helps to find one.
    """

    def __init__(self, message: str, *hints: str) -> None:
        self.message = _one_line(message)
        self.hints: Sequence[str] = tuple(map(_one_line, hints))
        super().__init__(self.message)


def _one_line(text: str) -> str:
    """The text without line ends and control characters, which a file's name or contents may have brought in."""
    return "".join(char if char.isprintable() else "�" for char in text)


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """A "did you mean" hint for a misspelt ``name``, or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return (f"did you mean `{close[0]}`?",) if close else ()


def names(values: Iterable[str]) -> str:
    """Names as a message shows them: "`a`, `b`", or "none"."""
    return ", ".join(f"`{value}`" for value in values) or "none"
