"""One version of a text, read: its tree, what it uses, and what its names refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..diagnostics import Diagnostics
from ..elaborate.remembered import Memory
from ..resolve import ItemRef, Library, Standard, Unit
from ..resources import stdlib_folder
from ..source import Source
from ..syntax import Trees, ast
from .index import Index
from .names import Key, Table
from .pauses import collecting_later
from .positions import Lines

OpenFile = Callable[[Path], str]
"""Gives the text of a file, from an editor that has it open or else from the disk; raises what reading raises."""


@dataclass
class Earlier:
    """What is kept of the versions of one text: its trees, what was right in it, and what a check has found out."""

    trees: Trees = field(default_factory=Trees)
    memory: Memory = field(default_factory=Memory)
    index: Index | None = None
    """That of the version which the memory is of."""
    items: dict[str, ItemRef] = field(default_factory=dict[str, ItemRef])
    """Those of the newest version that has been checked."""


@dataclass
class Reading:
    """A text with all that can be said of it without elaborating anything."""

    source: Source
    unit: Unit
    library: Library
    path: Path | None
    earlier: Earlier = field(default_factory=Earlier)

    @property
    def file(self) -> ast.File:
        """The tree."""
        assert self.unit.file is not None
        return self.unit.file

    def give_way(self, newer: Reading) -> None:
        """Lets go of its trees, for what a check has found out may be kept for long: its items are the newest ones."""
        newest = self.earlier.items
        newest.clear()
        newest.update(newer.unit.items)
        self.unit.items, self.unit.file = newest, None
        self.library.files.clear()
        self.library.files.update(newer.library.files)

    @property
    def home(self) -> str:
        """What the keys of its symbols say for the file."""
        return home_of(self.path) if self.path is not None else self.source.name

    @cached_property
    def lines(self) -> Lines:
        """Its lines."""
        return Lines(self.source.text)

    @cached_property
    def table(self) -> Table:
        """Its names."""
        from .scopes import read_names

        return read_names(self)

    def home_of(self, unit: Unit) -> str:
        """The home of a unit that this text reaches."""
        if unit is self.unit:
            return self.home
        if unit.library:
            return unit.source.name
        return next((home_of(path) for path, found in self.library.files.items() if found is unit), unit.source.name)

    def homes(self) -> Iterator[tuple[str, Source]]:
        """Every file that this text reaches, by home."""
        yield self.home, self.source
        yield from ((home_of(path), unit.source) for path, unit in self.library.files.items())
        yield from ((unit.source.name, unit.source) for unit in list(self.library.standard_units))

    def item(self, key: Key) -> ItemRef | None:
        """The item that a key names, or that it is a name of; None where this text does not reach it."""
        name = key.owner.partition("@")[0] or key.name
        if key.home == self.home:
            return self.unit.own(name)
        if key.home.startswith("std/"):
            return self.library.standard(key.home.removeprefix("std/").removesuffix(".trx")).own(name)
        for path, unit in self.library.files.items():
            if home_of(path) == key.home:
                return unit.own(name)
        return None


def home_of(path: Path) -> str:
    """The home of the file at a path: the library's own files are known by their modules."""
    return f"std/{path.name}" if path.parent == stdlib_folder() else str(path)


def read(
    name: str, text: str, path: Path | None, *, standard: Standard, open_file: OpenFile, earlier: Earlier
) -> Reading:
    """Reads a text; `path` is resolved. What is wrong with it stands in the diagnostics of the library's sink."""
    source = Source(name, text, path.name if path else "")
    root = path.parent if path else None
    library = Library(Diagnostics(), root, standard=standard, read=open_file, trees=earlier.trees)
    with collecting_later():
        return Reading(source, library.program(source, path), library, path, earlier)
