"""What an earlier check of a file has found nothing to say about, so that the next one need not look at it again.

An item is not checked again where it, and everything in the file that it may reach, reads as in the last version that
had no error at all. What an item may reach is taken from its words alone, which is more than it does reach. So the
outcome is that of a whole check; `tests/unit/test_lsp_remembered.py` holds it to that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..diagnostics import Diagnostics
from ..frozen import Frozen
from ..resolve import ItemRef, Library, Unit
from ..source import Span
from ..syntax import ast
from .mentions import Readable, dims_of, walk

FOR_MODELS = ("train", "evaluate", "generate")
"""Records that are for a model: for the only one, if they name none."""

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class _Item(Frozen):
    """An item of a version: its text, the words in it, and the dims that its types name."""

    text: str
    kind: str
    words: frozenset[str]
    dims: frozenset[str]
    subject: bool
    """Whether it says which model it is for, if it is for one."""


@dataclass
class Version:
    """The items of a version, and what is the same for all of them: the lines with `use`, and the files used."""

    items: dict[str, _Item] = field(default_factory=dict[str, _Item])
    around: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """What items and dims are called."""
        return {*self.items, *(name for item in self.items.values() for name in item.dims)}

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The names of the items in their order, with their kinds."""
        return [(name, item.kind) for name, item in self.items.items()]

    def reached(self, name: str) -> set[str]:
        """The items that one may speak of; a record that names no model is for the only one."""
        item = self.items[name]
        found = {word for word in item.words if word in self.items}
        if not item.subject:
            found.update(other for other, kind in self.kinds if kind == "model")
        if item.kind in ("model", "train"):  # whether it looks ahead matters where it is generated from
            found.update(other for other, kind in self.kinds if kind == "generate")
        return found


@dataclass
class Memory:
    """The last version of a file that had no error, and the items of it that there was something to say about."""

    good: Version = field(default_factory=Version)
    told: set[str] = field(default_factory=set[str])
    latest: Version = field(default_factory=Version)

    def dims(self, names: frozenset[str]) -> set[str]:
        """The dims that the types of items of the latest version name."""
        return {dim for name in names for dim in self.latest.items[name].dims}

    def unchanged(self, unit: Unit, library: Library) -> frozenset[str]:
        """The items of a version that need not be checked, as nothing would be said about them."""
        now = self.latest = self._read(unit, library)
        if now.around != self.good.around:
            return frozenset()
        different = now.names ^ self.good.names
        others = now.kinds != self.good.kinds
        changed = {
            name
            for name, item in now.items.items()
            if item != self.good.items.get(name)
            or name in self.told
            or item.words & different
            or (others and item.kind not in ("layer", "model", "fn", "const", "extern"))
        }
        return frozenset(now.items) - _reaching(changed, now)

    def keep(self, unit: Unit, diagnostics: Diagnostics) -> None:
        """Takes note of what a check of the latest version has said."""
        if diagnostics.failed:
            return
        places = [item.span for item in (*diagnostics, *diagnostics.allowed)]
        owners = [_owner(place, unit) for place in places]
        self.told = {name for name in owners if name is not None}
        self.good = Version() if None in owners else self.latest

    def _read(self, unit: Unit, library: Library) -> Version:
        uses = [item.span.text for item in unit.file.items if isinstance(item, ast.Use)] if unit.file else []
        files = [f"{path}\n{each.source.text}" for path, each in library.files.items() if each is not unit]
        items = {name: self._item(ref) for name, ref in unit.items.items()}
        return Version(items, (*uses, *files))

    def _item(self, ref: ItemRef) -> _Item:
        text, known = ref.item.span.text, self.good.items.get(ref.name)
        if known is not None and known.text == text:
            return known
        dims = dims_of(list(walk(ref.item))) if isinstance(ref.item, Readable) else ()
        subject = ref.kind not in FOR_MODELS or not isinstance(ref.item, ast.Record) or ref.item.subject is not None
        return _Item(text, ref.kind, frozenset(_WORD.findall(text)), frozenset(dims), subject)


def _reaching(changed: set[str], version: Version) -> set[str]:
    """The items that reach one of those that have changed, and these."""
    users: dict[str, list[str]] = {}
    for name in version.items:
        for other in version.reached(name):
            users.setdefault(other, []).append(name)
    found, waiting = set(changed), list(changed)
    while waiting:
        new = [user for user in users.get(waiting.pop(), ()) if user not in found]
        found.update(new)
        waiting.extend(new)
    return found


def _owner(place: Span | None, unit: Unit) -> str | None:
    """The item of the file that a place stands in."""
    if place is None:
        return None
    return next((name for name, ref in unit.items.items() if place.within(ref.item.span)), None)
