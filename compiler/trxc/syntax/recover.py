"""Parses one chunk of tokens, and goes on after errors at the next statement or item.

A statement that cannot be read is kept with `Malformed` in place of its expression where that makes it whole,
and left out otherwise.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ..frozen import Frozen
from ..source import Span
from . import ast
from .build import Builder, no_parameters
from .expected import ITEM
from .layout import CLOSERS, OPENERS, Brackets
from .machine import Machine, Mark, Unexpected
from .mistakes import explain
from .situation import Situation
from .tables import Tables
from .tokens import END, NEWLINE, WORD, Token

MAX_ERRORS = 50
"""Errors reported for one chunk before the rest of it is left unread."""


class _Border(Frozen):
    """A place where a statement or an item began: its first token, the parse there, and how deep it stands."""

    at: int
    mark: Mark
    depth: int


class Reader:
    """The parse of one chunk: a machine, its tokens, and the places where statements began."""

    def __init__(self, tables: Tables, start: str, tokens: list[Token], brackets: Brackets, builder: Builder) -> None:
        self._tokens = tokens
        self._brackets = brackets
        self._builder = builder
        self._text = builder.source.text
        self._machine = Machine(tables, start, builder.build)
        self._keywords = tables.keywords
        self._borders: list[_Border] = []
        self._depth = 0
        self._errors = 0

    def read(self) -> Any | None:
        """The start rule's value, or None where nothing could be saved."""
        at: int | None = 0
        while at is not None and at < len(self._tokens) and self._errors < MAX_ERRORS:
            token = self._tokens[at]
            if at == 0 or self._tokens[at - 1].type in (NEWLINE, "LBRACE"):
                self._note_border(at)
            try:
                self._machine.feed(token, self._terminal(at))
                self._move(token)
                at += 1
            except Unexpected:
                self._report(at)
                at = self._recover(at)
        return self._machine.result if self._machine.finished else None

    @cached_property
    def _items(self) -> set[str]:
        """The words that begin an item."""
        return {word for word, entries in self._keywords.items() if any(name in ITEM for name, _ in entries)}

    def _terminal(self, at: int) -> str:
        return self._machine.terminal(self._tokens[at], self._text)

    def _move(self, token: Token) -> None:
        """Follows the depth past a token that was taken; brackets that nobody closes do not count."""
        if token.type in CLOSERS and token.start in self._brackets.closed_by:
            self._depth += 1
        elif token.type in OPENERS:
            self._depth -= 1
            while len(self._borders) > 1 and self._borders[-1].depth > self._depth:
                self._borders.pop()

    def _note_border(self, at: int) -> None:
        while self._borders and self._borders[-1].depth >= self._depth:
            self._borders.pop()
        self._borders.append(_Border(at, self._machine.mark(), self._depth))

    def _report(self, at: int) -> None:
        self._errors += 1
        begin = self._borders[-1].at
        situation = Situation(self._builder.source, self._tokens, at, begin, self._brackets, self._machine)
        self._builder.diagnostics.add(explain(situation))

    # --------------------------------------------------------------- recovery

    def _recover(self, at: int) -> int | None:
        """Brings the machine to where reading can go on, and says with which token."""
        if self._tokens[at].type == END and self._close_blocks(at):
            return at
        while self._borders:
            border = self._borders.pop()
            if self._borders and self._is_open_value(border):
                continue
            stop = self._end_of_statement(border)
            resumed = self._patch(border, at, stop)
            if resumed is None:
                resumed = self._drop(border, stop)
            if resumed is not None:
                self._borders.append(border)
                self._depth = border.depth
                return resumed
        return None

    def _is_open_value(self, border: _Border) -> bool:
        """Whether the border is that of a value whose `{` nobody closes: its end is that of the statement around it."""
        before = self._tokens[border.at - 1]
        if before.type != "LBRACE" or before.start not in self._brackets.unclosed:
            return False
        here = self._machine.mark()
        self._machine.back_to(border.mark)
        value = not self._machine.accepts("OUTPUT") and self._machine.accepts("NUMBER")
        self._machine.back_to(here)
        return value

    def _patch(self, border: _Border, at: int, stop: int) -> int | None:
        """Puts a stand-in for the outermost unfinished expression or parameter list; None if that does not help."""
        here = self._machine.mark()
        start, end = self._tokens[at].start, max(self._tokens[at].start, self._tokens[stop].start)
        malformed = ast.Malformed(Span(self._builder.source, start, end))
        block = next((i for i in range(at, stop) if self._tokens[i].type == "LBRACE"), stop)
        for origin, value in (("expr", malformed), ("parameters", no_parameters())):
            if self._machine.complete(origin, value, start, end, border.mark):
                for place in (block, stop):
                    if self._goes_on(place):
                        return place
            self._machine.back_to(here)
        return None

    def _goes_on(self, at: int) -> bool:
        """Whether the machine takes the token, or could once blocks are closed for it at the end."""
        if self._tokens[at].type == END:
            return self._close_blocks(at)
        return self._machine.accepts(self._terminal(at))

    def _drop(self, border: _Border, stop: int) -> int | None:
        """Forgets the statement; None if its block cannot be read on after it."""
        self._machine.back_to(border.mark)
        if self._tokens[stop].type == NEWLINE:
            return stop + 1
        return stop if self._goes_on(stop) else None

    def _close_blocks(self, at: int) -> bool:
        """At the end of the text, adds the `}` that are missing. False if that is not what is missing."""
        here, end = self._machine.mark(), self._tokens[at].start
        while not self._machine.accepts(END):
            if not self._machine.accepts("RBRACE"):
                self._machine.back_to(here)
                return False
            self._machine.feed(Token("RBRACE", "", end, end), "RBRACE")
        return True

    def _end_of_statement(self, border: _Border) -> int:
        """The token that ends the statement: a newline, the end of its block, or the end of the text.

        Lines that are indented more than its first belong to it, and so does everything up to the next item
        where an item could not be read.
        """
        at, column = border.at, self._column(border.at)
        while True:
            at = self._end_of_line(at)
            if self._tokens[at].type != NEWLINE:
                return at
            following = self._tokens[at + 1]
            if border.depth == 0:
                if following.type == WORD and following.text in self._items:
                    return at
            elif self._column(at + 1) <= column:
                return at
            at += 1

    def _end_of_line(self, at: int) -> int:
        """The next newline or closing bracket that belongs to what is around the token."""
        tokens, brackets = self._tokens, self._brackets
        skip_to = -1
        while tokens[at].type != END:
            token = tokens[at]
            if token.start >= skip_to:
                if token.type == NEWLINE or (token.type in OPENERS and token.start not in brackets.stray):
                    return at
                skip_to = brackets.closed_by.get(token.start, -2) + 1
            at += 1
        return at

    def _column(self, at: int) -> int:
        start = self._tokens[at].start
        return start - self._text.rfind("\n", 0, start)
