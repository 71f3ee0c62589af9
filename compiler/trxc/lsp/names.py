"""What the names of a file refer to: symbols by key, and the places where they occur."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from ..frozen import Frozen
from ..source import Span

SymbolKind: TypeAlias = Literal[
    "layer", "model", "fn", "const", "extern", "record", "space", "parameter", "input", "output", "weight", "state",
    "carry", "dim", "binding", "metric", "axis", "op", "builtin", "dtype", "constant",
]  # fmt: skip

BUILT_IN = "<built in>"
"""The home of ops, dtypes and what else the language itself names."""


class Key(NamedTuple):
    """What makes a symbol the same in every file.

    `home` is its file: a path, `std/NAME.trx`, or :data:`BUILT_IN`; `owner` the item that it is a name of, "" for
    items themselves.
    """

    home: str
    owner: str
    name: str

    @property
    def is_library(self) -> bool:
        """Whether it is not the user's to rename."""
        return self.home == BUILT_IN or self.home.startswith("std/")


@dataclass
class Symbol:
    """A name and where it is introduced; a local that is bound again further down is one symbol with two places."""

    key: Key
    kind: SymbolKind
    definitions: list[Span] = field(default_factory=list[Span])


class Occurrence(Frozen):
    """A place where a symbol is named. `defines`: it is introduced (or bound again) here."""

    span: Span
    key: Key
    kind: SymbolKind
    defines: bool


@dataclass
class Table:
    """The names of one file."""

    home: str
    symbols: dict[Key, Symbol] = field(default_factory=dict[Key, Symbol])
    occurrences: list[Occurrence] = field(default_factory=list[Occurrence])

    def add(self, span: Span, key: Key, kind: SymbolKind, *, defines: bool = False) -> None:
        """Adds a place."""
        self.occurrences.append(Occurrence(span, key, kind, defines))
        if defines:
            self.symbols.setdefault(key, Symbol(key, kind)).definitions.append(span)

    @cached_property
    def ordered(self) -> list[Occurrence]:
        """The occurrences from top to bottom; asked for once all are there."""
        return sorted(self.occurrences, key=lambda found: (found.span.start, found.span.end))

    @cached_property
    def _starts(self) -> list[int]:
        return [found.span.start for found in self.ordered]

    def at(self, offset: int) -> Occurrence | None:
        """The name that an offset is in, or right behind."""
        upto = bisect_right(self._starts, offset)
        held = [o for o in self.ordered[max(0, upto - 2) : upto] if o.span.start <= offset <= o.span.end]
        return held[-1] if held else None

    def of(self, key: Key) -> list[Occurrence]:
        """The places that name a symbol, from top to bottom."""
        return [found for found in self.ordered if found.key == key]

    def locals(self, owner: str, offset: int) -> list[Symbol]:
        """The names that an item has introduced above an offset."""
        return [
            symbol
            for key, symbol in self.symbols.items()
            if key.owner == owner and any(span.start < offset for span in symbol.definitions)
        ]
