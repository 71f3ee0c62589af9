"""The LALR(1) machine: reads tokens, builds nodes as rules complete, and can say what it would take next.

A loop over explicit stacks, so deep nesting and long chains cost no Python frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .tables import Rule, Tables
from .tokens import END, WORD, Token

Build = Callable[[str, list[Any], int, int], Any]
"""Makes the value of a rule from its name, its children, and the characters it spans."""


class Splice(list[Any]):
    """Children that join those of the rule around them."""


class Mark(NamedTuple):
    """A place in the parse to go back to."""

    states: list[int]
    values: list[Any]
    starts: list[int]
    ends: list[int]
    lengths: list[tuple[Splice, int]]


class Unexpected(Exception):  # noqa: N818 - it carries a fact to the recovery, no user sees it
    """The machine does not take this token here."""

    def __init__(self, token: Token) -> None:
        self.token = token


class Machine:
    """A parse under way from one start rule."""

    def __init__(self, tables: Tables, start: str, build: Build) -> None:
        self._tables = tables
        self._build = build
        self._final = tables.ends[start]
        self.states = [tables.starts[start]]
        self._values: list[Any] = []
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def finished(self) -> bool:
        """Whether the start rule is complete."""
        return self.states[-1] == self._final

    @property
    def result(self) -> Any:
        """The start rule's value, once finished."""
        return self._values[0]

    def mark(self) -> Mark:
        """This place."""
        lengths = [(value, len(value)) for value in self._values if isinstance(value, Splice)]
        return Mark(self.states[:], self._values[:], self._starts[:], self._ends[:], lengths)

    def back_to(self, mark: Mark) -> None:
        """Forgets everything since `mark`."""
        self.states, self._values = mark.states[:], mark.values[:]
        self._starts, self._ends = mark.starts[:], mark.ends[:]
        for splice, length in mark.lengths:  # splices grow in place, and only at their end
            del splice[length:]

    def terminal(self, token: Token, text: str) -> str:
        """The terminal that `token` of the source `text` is here: a word is a keyword where the grammar takes it."""
        if token.type != WORD:
            return token.type
        row = self._tables.states[self.states[-1]]
        for name, pattern in self._tables.keywords.get(token.text, ()):
            if (name in row or token.text in self._tables.reserved) and pattern.match(text, token.start):
                return name
        return "NAME"

    def feed(self, token: Token, terminal: str) -> None:
        """Takes one token.

        Raises:
            Unexpected: where the grammar has no place for it.
        """
        states, table, rules = self.states, self._tables.states, self._tables.rules
        while (action := table[states[-1]].get(terminal)) is not None:
            if action >= 0:
                self._push(action, token, token.start, token.end)
                return
            rule = rules[-action - 1]
            if rule.passes:  # the value goes through, only the state changes
                states[-1] = table[states[-2]][rule.origin]
            else:
                self._reduce(rule, token)
        if terminal == END and self.finished:
            return
        raise Unexpected(token)

    def _push(self, state: int, value: Any, start: int, end: int) -> None:
        self.states.append(state)
        self._values.append(value)
        self._starts.append(start)
        self._ends.append(end)

    def _reduce(self, rule: Rule, token: Token) -> None:
        size = rule.size
        base = len(self._values) - size
        start, end = (self._starts[base], self._ends[-1]) if size else (token.start, token.start)
        children = _flatten(self._values[base:])
        value = _splice(children) if rule.splices else self._build(rule.name, children, start, end)
        del self._values[base:], self._starts[base:], self._ends[base:], self.states[base + 1 :]
        self._push(self._tables.states[self.states[-1]][rule.origin], value, start, end)

    def complete(self, origin: str, value: Any, start: int, end: int, mark: Mark) -> bool:
        """Puts `value` in place of an unfinished `origin`, the outermost begun since `mark`. False if there is none."""
        for size in range(len(mark.states), len(self.states) + 1):
            target = self._tables.states[self.states[size - 1]].get(origin)
            if target is not None:
                del self.states[size:], self._values[size - 1 :], self._starts[size - 1 :], self._ends[size - 1 :]
                self._push(target, value, start, end)
                return True
        return False

    def accepts(self, terminal: str) -> bool:
        """Whether `terminal` would be taken now, without taking it."""
        states, table = self.states[:], self._tables.states
        while (action := table[states[-1]].get(terminal)) is not None:
            if action >= 0:
                return True
            rule = self._tables.rules[-action - 1]
            if rule.size:
                del states[-rule.size :]
            states.append(table[states[-1]][rule.origin])
        return terminal == END and states[-1] == self._final

    def expected(self) -> set[str]:
        """All terminals that would be taken now."""
        names = (name for name in self._tables.states[self.states[-1]] if name in self._tables.terminals or name == END)
        return {name for name in names if self.accepts(name)}


def _splice(children: list[Any]) -> Splice:
    return children if isinstance(children, Splice) else Splice(children)


def _flatten(values: list[Any]) -> list[Any]:
    """Children in order, with splices taken apart. The first splice is reused: lists grow to the right."""
    for value in values:
        if isinstance(value, Splice):
            break
    else:
        return values
    flat: list[Any] = values[0] if isinstance(values[0], Splice) else [values[0]]
    for value in values[1:]:
        if isinstance(value, Splice):
            flat.extend(value)
        else:
            flat.append(value)
    return flat
