"""Renames a symbol everywhere, and only where afterwards every name still means what it meant."""

from __future__ import annotations

import re

from ..syntax.tables import load_tables
from .analysis import analyse
from .answers import Refusal, TextEdit
from .documents import Document
from .edits import Change
from .names import Key, Occurrence
from .navigate import occurrences_of
from .positions import Position, Range
from .reading import Reading

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def prepare_rename(document: Document, position: Position) -> tuple[Range, str]:
    """The name at a position that may be renamed.

    Raises:
        Refusal: there is none, or it is not the user's.
    """
    occurrence = _named(document, position)
    return document.lines.range(occurrence.span.start, occurrence.span.end), occurrence.key.name


def _named(document: Document, position: Position) -> Occurrence:
    occurrence = document.reading.table.at(document.lines.offset(position))
    if occurrence is None:
        raise Refusal("there is no name here that could be renamed")
    name, kind = occurrence.key.name, occurrence.kind
    if occurrence.key.is_library:
        where = "the language itself" if kind in ("op", "builtin", "dtype", "constant") else occurrence.key.home
        raise Refusal(f"`{name}` is a name of {where}, and not of this project")
    if kind == "space" or occurrence.span.text != name:
        raise Refusal(f"`{occurrence.span.text}` is what this file calls something of another: change its `use`")
    return occurrence


def rename(document: Document, position: Position, new: str) -> dict[str, list[TextEdit]]:
    """The edits, by document, that give the symbol at a position another name.

    Raises:
        Refusal: it is no name, it is not the user's to change, or another name would mean something else then.
    """
    occurrence = _named(document, position)
    if not _NAME.fullmatch(new) or new in load_tables().reserved:
        raise Refusal(f"`{new}` is no name: it has letters, digits and `_`, and is no word of the language")
    if new == occurrence.key.name:
        return {}
    taken = next((o for o in document.reading.table.ordered if o.key == occurrence.key._replace(name=new)), None)
    if taken is not None:
        raise Refusal(f"`{new}` means something else already: there is a {taken.kind} of this name here")
    places: dict[str, tuple[Document, list[Occurrence]]] = {}
    for found, place in occurrences_of(document, occurrence.key):
        if place.span.text == occurrence.key.name:  # what a file calls it by an alias, stays
            places.setdefault(found.name, (found, []))[1].append(place)
    for found, within in places.values():
        _check(found, within, occurrence.key, new)
    return {
        name: [TextEdit(found.lines.range(o.span.start, o.span.end), new) for o in within]
        for name, (found, within) in places.items()
    }


def _check(document: Document, places: list[Occurrence], key: Key, new: str) -> None:
    """Reads the document with the new name, and compares what every name means."""
    before = document.reading
    if before.home != key.home:  # it cannot be read with the new name, which the file that it uses has not got yet
        if any(found.span.text == new for found in before.table.ordered):
            raise Refusal(f"`{new}` means something else already in `{document.reading.source.name}`")
        return
    text = document.text
    for place in reversed(places):
        text = Change(place.span.start, place.span.end, new).apply(text)
    trial = Document(document.name, text, document.version, document.path, document.workspace)
    _compare(before, trial.reading, key, new, [place.span.start for place in places], len(new) - len(key.name))
    _compare_diagnostics(document, trial)


def _compare(before: Reading, after: Reading, key: Key, new: str, starts: list[int], by: int) -> None:
    """Every name must be where it was, and mean the same.

    Raises:
        Refusal: one does not.
    """
    wanted = {
        (o.span.start + by * sum(start < o.span.start for start in starts), _renamed(o.key, key, new), o.defines)
        for o in before.table.ordered
    }
    given = {(o.span.start, o.key, o.defines) for o in after.table.ordered}
    if wanted == given:
        return
    at = min(place for place, _, _ in wanted ^ given)
    line = after.source.position(min(at, len(after.source.text)))[0]
    raise Refusal(f"`{new}` means something else already: with it, a name on line {line} would change its meaning")


def _renamed(key: Key, old: Key, new: str) -> Key:
    """What a key becomes: that of the symbol itself, and those of an item's own names where it is one."""
    if key == old:
        return key._replace(name=new)
    if not old.owner and key.home == old.home and key.owner.partition("@")[0] == old.name:
        return key._replace(owner=new + key.owner[len(old.name) :])
    return key


def _compare_diagnostics(document: Document, trial: Document) -> None:
    """What could be checked before, must still be right.

    Raises:
        Refusal: there is an error that was not there.
    """
    reading = document.workspace.read(document)
    known = analyse(reading, 0)
    if known.failed:
        return
    found = analyse(trial.reading, 0)
    error = next((item for item in found.diagnostics if item.severity == "error"), None)
    if error is not None:
        where = f" (line {error.span.line})" if error.span is not None else ""
        raise Refusal(f"with the new name the program would be wrong{where}: {error.message}")


__all__ = ["prepare_rename", "rename"]
