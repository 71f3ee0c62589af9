"""Shapes between the lines: what every binding is, and every step of a pipe that goes over several lines."""

from __future__ import annotations

from collections.abc import Iterator

from ..elaborate.values import Sequence, Size
from ..ir import Value
from ..source import Span
from ..syntax import ast
from .answers import Hint
from .declared import statements
from .documents import Document
from .index import Seen
from .positions import Range
from .show import amount_text, bytes_text, value_text
from .tree import walk

MAX_HINT = 60
"""Characters of a hint; the rest is in what it shows when pointed at."""


def inlay_hints(document: Document, within: Range) -> list[Hint]:
    """The hints between two positions."""
    lines = document.lines
    first, last = lines.offset(within.start), lines.offset(within.end)
    found: list[Hint] = []
    for item in document.reading.file.items:
        if isinstance(item, ast.Layer) and item.span.start <= last and first <= item.span.end:
            for place, seen, written in _places(item, document):
                if first <= place <= last and (hint := _hint(document, place, seen, written)) is not None:
                    found.append(hint)
    return sorted(found, key=lambda hint: hint.position)


def _places(item: ast.Layer, document: Document) -> Iterator[tuple[int, Seen | None, bool]]:
    """Where a hint stands, what it is of, and whether a type is written there already."""
    for node in statements(item.body or ()):
        match node:
            case ast.Bind(names=names, type=type_):
                for ident in names:
                    yield (
                        ident.span.end if type_ is None else type_.span.end,
                        _at(document, ident.span),
                        type_ is not None,
                    )
            case ast.Output(name=None, span=span):
                yield span.start + len("output"), document.value(span.start, span.start + len("output")), False
            case ast.Output(name=ast.Ident(span=span), type=type_):
                yield span.end if type_ is None else type_.span.end, _at(document, span), type_ is not None
            case ast.DimDecl(name=ident):
                yield ident.span.end, _at(document, ident.span), False
            case _:
                pass
        yield from _steps(node, document)


def _steps(node: ast.Statement, document: Document) -> Iterator[tuple[int, Seen | None, bool]]:
    """The ends of a pipe's steps that end a line, but for the last, which the binding tells."""
    if not isinstance(node, ast.Bind | ast.Output):
        return
    last = node.value.span.end
    for inner in walk(node.value):
        if isinstance(inner, ast.Pipe) and inner.span.end < last and _ends_line(inner.span):
            yield inner.span.end, _at(document, inner.span), False


def _ends_line(span: Span) -> bool:
    rest = span.source.text[span.end : span.end + 200].split("\n", 1)[0]
    return not rest.partition("#")[0].strip()


def _at(document: Document, span: Span) -> Seen | None:
    return document.value(span.start, span.end)


def _hint(document: Document, place: int, seen: Seen | None, written: bool) -> Hint | None:
    if seen is None:
        return None
    value = seen.value
    text = value_text(value, seen.body)
    if text is None or (written and isinstance(value, Value) and value.type.sizes and not _tells(value)):
        return None
    if isinstance(value, Value):
        elements = f"{amount_text(value.type.elements)} numbers, {bytes_text(value.type)}"
        return _shown(document, place, f" = {text}" if written else f": {text}", elements)
    if isinstance(value, Size) and not written and text not in document.reading.source.text[place : place + 40]:
        return _shown(document, place, f" is {text}", "known at compile time")
    if isinstance(value, Sequence) and any(isinstance(part, Value) for part in value.items):
        return _shown(document, place, f": {text}", f"{len(value.items)} values")
    return None


def _tells(value: Value) -> bool:
    """Whether a type with sizes says more than one that is written down."""
    return any(size.value is not None for size in value.type.sizes)


def _shown(document: Document, place: int, text: str, detail: str) -> Hint:
    short = text if len(text) <= MAX_HINT else f"{text[: MAX_HINT - 1]}…"
    return Hint(document.lines.position(place), short, detail if short == text else f"{text.strip(': ')}\n\n{detail}")
