"""From a name to where it is introduced, and to all places that speak of it."""

from __future__ import annotations

from collections.abc import Iterator

from ..resolve import Unit
from ..resources import stdlib_folder
from ..source import Span
from ..syntax import ast
from .answers import Location
from .documents import Document
from .names import BUILT_IN, Key, Occurrence
from .positions import Position, Range, range_of
from .tree import around


def definition(document: Document, position: Position) -> list[Location]:
    """Where the name at a position is introduced: the nearest place above it, where it is bound several times."""
    offset = document.lines.offset(position)
    used = _used_file(document, offset)
    if used is not None:
        return [used]
    occurrence = document.reading.table.at(offset)
    if occurrence is None or occurrence.key.home == BUILT_IN:
        return []
    if occurrence.kind == "space":
        unit = document.reading.unit.spaces.get(occurrence.key.name)
        return _top(document, unit) if unit is not None else []
    home = document.workspace.at(occurrence.key.home)
    if home is None:
        return []
    symbol = home.reading.table.symbols.get(occurrence.key)
    if symbol is None:
        return []
    places = symbol.definitions
    if home is document and len(places) > 1:
        above = [span for span in places if span.start <= occurrence.span.start]
        places = [_meant(document, above, occurrence)] if above else places[:1]
    return [_location(home, span) for span in places[:1]]


def _meant(document: Document, above: list[Span], occurrence: Occurrence) -> Span:
    """Of the places that bind a name, the last above another; a name in the value of its own binding means the one
    before (`x = x |> f`)."""
    last = above[-1]
    if last.start == occurrence.span.start or len(above) == 1:
        return last
    binding = next((n for n in around(document.reading.file, last.start) if isinstance(n, ast.Bind | ast.Output)), None)
    inside = binding is not None and binding.span.start <= occurrence.span.start < binding.span.end
    return above[-2] if inside else last


def _used_file(document: Document, offset: int) -> Location | None:
    """The file that a `use` names, asked for at its path."""
    for item in document.reading.file.items:
        if isinstance(item, ast.Use) and item.span.start <= offset <= item.span.end:
            stop = min((name.span.start for name in item.names), default=item.span.end)
            if offset >= stop:
                return None
            if isinstance(item.path, str):
                known = {unit.source.name: unit for unit in document.reading.library.files.values()}
                found = _top(document, known[item.path]) if item.path in known else []
            else:
                unit = {u.source.name: u for u in document.reading.library.standard_units}.get(
                    f"std/{item.path[-1]}.trx"
                )
                found = _top(document, unit) if unit is not None else []
            return found[0] if found else None
    return None


def _top(document: Document, unit: Unit) -> list[Location]:
    home = document.workspace.at(document.reading.home_of(unit))
    return [_location(home, Span(unit.source, 0, 0))] if home is not None else []


def _location(document: Document, span: Span) -> Location:
    return Location(document.name, range_of(span))


# ------------------------------------------------------------------ references


def references(document: Document, position: Position, *, declaration: bool = True) -> list[Location]:
    """Every place of the project that names what stands at a position."""
    occurrence = document.reading.table.at(document.lines.offset(position))
    if occurrence is None:
        return []
    return [
        _location(found, place.span)
        for found, place in occurrences_of(document, occurrence.key)
        if declaration or not place.defines
    ]


def occurrences_of(document: Document, key: Key) -> Iterator[tuple[Document, Occurrence]]:
    """The places of a symbol: in this document alone, where no other can reach it."""
    for found in [document] if _is_private(document, key) else _all(document, key):
        yield from ((found, place) for place in found.reading.table.of(key))


def _all(document: Document, key: Key) -> Iterator[Document]:
    seen: set[str] = set()
    own = document.workspace.at(key.home) if key.home != BUILT_IN else None
    for found in [*([own] if own is not None else []), document, *document.workspace.project()]:
        if found.name not in seen and (found.path is None or found.path.parent != stdlib_folder() or found is own):
            seen.add(found.name)
            yield found


def _is_private(document: Document, key: Key) -> bool:
    """Whether a name can be spoken of in its own file only: a binding, or what is inside an expression."""
    if key.home != document.reading.home or not key.owner:
        return False
    symbol = document.reading.table.symbols.get(key)
    return symbol is not None and symbol.kind in ("binding", "metric", "axis", "carry", "dim")


def highlights(document: Document, position: Position) -> list[tuple[Range, bool]]:
    """The places in the document itself, and whether each binds the name."""
    table = document.reading.table
    occurrence = table.at(document.lines.offset(position))
    if occurrence is None:
        return []
    lines = document.lines
    return [(lines.range(o.span.start, o.span.end), o.defines) for o in table.of(occurrence.key)]
