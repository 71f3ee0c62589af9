"""What each name is, for editors that colour by meaning."""

from __future__ import annotations

from ..elaborate.fields import RECORDS
from ..frozen import Frozen
from ..source import Span
from ..syntax import ast
from .documents import Document
from .names import Occurrence, SymbolKind
from .positions import Position, Range
from .tree import walk

TYPES = (
    "namespace", "class", "function", "parameter", "variable", "property", "typeParameter", "type", "enumMember",
    "struct", "macro",
)  # fmt: skip
MODIFIERS = ("declaration", "readonly", "defaultLibrary")

_OF_KIND: dict[SymbolKind, str] = {
    "layer": "class", "model": "class", "fn": "function", "const": "variable", "extern": "function",
    "record": "struct", "space": "namespace", "parameter": "parameter", "input": "parameter", "output": "variable",
    "weight": "property", "state": "property", "carry": "property", "dim": "typeParameter", "binding": "variable",
    "metric": "variable", "axis": "enumMember", "op": "function", "builtin": "macro", "dtype": "type",
    "constant": "variable",
}  # fmt: skip


class Colour(Frozen):
    """A piece of one line: UTF-16 units, one of :data:`TYPES`, and bits of :data:`MODIFIERS`."""

    line: int
    character: int
    length: int
    type: int
    modifiers: int


def semantic_tokens(document: Document, within: Range | None = None) -> list[Colour]:
    """What the names of a document (or of a part of it) are, from top to bottom."""
    lines = document.lines
    first, last = (lines.offset(within.start), lines.offset(within.end)) if within else (0, len(document.text))
    found: dict[int, Colour] = {}
    for occurrence in document.reading.table.ordered:
        if first <= occurrence.span.start < last or first < occurrence.span.end <= last:
            found.setdefault(occurrence.span.start, _colour(document, occurrence.span, *_meaning(occurrence)))
    for span, type_ in _plain(document):
        if first <= span.start < last:
            found.setdefault(span.start, _colour(document, span, type_, 0))
    ordered = [found[at] for at in sorted(found)]
    return [colour for colour in ordered if colour.length > 0]


def _meaning(occurrence: Occurrence) -> tuple[str, int]:
    kind = occurrence.kind
    bits = (occurrence.defines, kind in ("const", "constant"), occurrence.key.is_library and not occurrence.key.owner)
    return _OF_KIND[kind], sum(1 << at for at, bit in enumerate(bits) if bit)


def _plain(document: Document) -> list[tuple[Span, str]]:
    """Names that refer to nothing: dtypes in types, fields, words that a field chooses from."""
    found: list[tuple[Span, str]] = []
    for node in walk(document.reading.file):
        if isinstance(node, ast.TypeExpr):
            found.append((node.name.span, "type"))
        elif isinstance(node, ast.SubRecord):
            found.append((node.name.span, "property"))
        elif isinstance(node, ast.Field):
            found.extend((ident.span, "property") for ident in node.path)
            words = {
                word for specs in RECORDS.values() for s in specs if s.name == node.path[0].name for word in s.choices
            }
            if isinstance(node.value, ast.Name) and node.value.name in words:
                found.append((node.value.span, "enumMember"))
        elif isinstance(node, ast.Argument) and node.name is not None:
            found.append((node.name.span, "parameter"))
    return found


def _colour(document: Document, span: Span, type_: str, modifiers: int) -> Colour:
    start, end = document.lines.range(span.start, span.end)
    length = end.character - start.character if start.line == end.line else 0
    return Colour(start.line, start.character, length, TYPES.index(type_), modifiers)


def encode(colours: list[Colour]) -> list[int]:
    """As the protocol wants them: five ints each, places relative to the one before."""
    data: list[int] = []
    before = Position(0, 0)
    for colour in colours:
        line = colour.line - before.line
        data += [
            line,
            colour.character - (0 if line else before.character),
            colour.length,
            colour.type,
            colour.modifiers,
        ]
        before = Position(colour.line, colour.character)
    return data
