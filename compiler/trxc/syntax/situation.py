"""Where a parse stopped, as those that explain it see it."""

from __future__ import annotations

from functools import cached_property

from ..frozen import Frozen
from ..source import Source, Span
from .layout import Brackets
from .machine import Machine
from .tokens import END, NEWLINE, WORD, Token


class Situation(Frozen):
    """The parse stopped at `tokens[at]`, in the statement or item that begins at `tokens[begin]`."""

    source: Source
    tokens: list[Token]
    at: int
    begin: int
    brackets: Brackets
    machine: Machine

    @property
    def token(self) -> Token:
        """The token that has no place."""
        return self.tokens[self.at]

    @property
    def before(self) -> Token | None:
        """The token before it, in the same statement or the line that opened its block."""
        return self.tokens[self.at - 1] if self.at else None

    @property
    def first(self) -> Token:
        """The first token of the statement or item."""
        return self.tokens[self.begin]

    @property
    def second(self) -> bool:
        """Whether the parse stopped right after a statement's first word."""
        return self.at == self.begin + 1 and self.first.type == WORD

    @property
    def at_line_end(self) -> bool:
        """Whether something is missing at the end of a line or of the text."""
        return self.token.type in (NEWLINE, END)

    @cached_property
    def expected(self) -> frozenset[str]:
        """The terminals that have a place here."""
        return frozenset(self.machine.expected())

    @cached_property
    def terminal(self) -> str:
        """What the token counts as here."""
        return self.machine.terminal(self.token, self.source.text)

    @property
    def ends_value_block(self) -> bool:
        """Whether only `}` can end what began in the block: it holds one value, as in `if c { a } else { b }`."""
        only = "RBRACE" in self.expected and NEWLINE not in self.expected
        return only and self.tokens[self.begin - 1].type == "LBRACE"

    def span(self, token: Token, last: Token | None = None) -> Span:
        """Where a token is, or all from it to `last`."""
        return Span(self.source, token.start, (last or token).end)

    @property
    def place(self) -> Span:
        """What to underline: the token, or what stands before the end of the line where something is missing."""
        if self.at_line_end and self.before and self.before.type != NEWLINE:
            return self.span(self.before)
        return Span(self.source, self.token.start, self.token.start) if self.at_line_end else self.span(self.token)

    def following(self, distance: int = 1) -> Token:
        """A token further on; the last one where there is none."""
        return self.tokens[min(self.at + distance, len(self.tokens) - 1)]

    def touches(self, left: Token, right: Token) -> bool:
        """Whether nothing stands between two tokens."""
        return left.end == right.start
