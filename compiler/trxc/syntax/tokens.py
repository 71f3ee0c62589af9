"""From text to tokens. Words stay words here: the parser decides which of them are keywords."""

from __future__ import annotations

from dataclasses import dataclass

from .tables import Tables

BAD = "BAD"
"""The type of a token that no terminal matches: a character, or an unterminated string."""

WORD = "WORD"
NEWLINE = "_NL"
END = "$END"


@dataclass(frozen=True, slots=True)
class Token:
    """A terminal's occurrence: characters `start` up to `end` of the source."""

    type: str
    text: str
    start: int
    end: int


def tokenize(text: str, start: int, end: int, tables: Tables) -> list[Token]:
    """The tokens of `text[start:end]`, without blanks and comments, newlines included."""
    scan, ignored = tables.scanner.match, tables.ignored
    tokens: list[Token] = []
    at = start
    while at < end:
        found = scan(text, at, end)
        if found is None:
            token = _bad(text, at, end)
            tokens.append(token)
            at = token.end
            continue
        kind = found.lastgroup or BAD
        if kind not in ignored:
            tokens.append(Token(kind, found[0], at, found.end()))
        at = found.end()
    return tokens


def _bad(text: str, at: int, end: int) -> Token:
    """The rest of the line for an unterminated string, else one character."""
    stop = at + 1
    if text[at] == '"':
        while stop < end and text[stop] not in "\r\n":
            stop += 1
    return Token(BAD, text[at:stop], at, stop)
