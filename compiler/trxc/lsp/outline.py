"""The symbols of a document and of the project."""

from __future__ import annotations

from collections.abc import Iterator

from ..source import Span
from ..syntax import ast
from .answers import Found, Location, Outline
from .declared import parameters, statements
from .documents import Document, Workspace
from .positions import Lines
from .show import flat

MAX_FOUND = 200


def document_symbols(document: Document) -> list[Outline]:
    """The items of a document, with what they declare."""
    lines = document.lines
    return [_item(item, lines) for item in document.reading.file.items if not isinstance(item, ast.Use)]


def _item(item: ast.Const | ast.Fn | ast.Layer | ast.Extern | ast.Record, lines: Lines) -> Outline:
    kind = item.kind.name if isinstance(item, ast.Extern) else getattr(item, "kind", type(item).__name__.lower())
    children = _record(item.fields, lines) if isinstance(item, ast.Record) else _layer(item, lines)
    return _outline(item.name, str(kind), "", item.span, lines, tuple(children))


def _outline(
    name: ast.Ident, kind: str, detail: str, span: Span, lines: Lines, children: tuple[Outline, ...] = ()
) -> Outline:
    start, end = min(span.start, name.span.start), max(span.end, name.span.end)
    return Outline(
        name.name, kind, detail, lines.range(start, end), lines.range(name.span.start, name.span.end), children
    )


def _layer(item: ast.Const | ast.Fn | ast.Layer | ast.Extern, lines: Lines) -> Iterator[Outline]:
    for parameter in parameters(item):
        yield _outline(parameter.name, "parameter", flat(parameter.span), parameter.span, lines)
    body = item.body if isinstance(item, ast.Layer | ast.Extern) else None
    for node in statements(body or ()):
        for name, kind, detail, span in _declared(node):
            yield _outline(name, kind, detail, span, lines)


def _declared(node: ast.Statement) -> Iterator[tuple[ast.Ident, str, str, Span]]:
    match node:
        case ast.Input(signatures=signatures):
            for signature in signatures:
                yield signature.name, "input", flat(signature.type.span), signature.span
        case ast.Output(name=ast.Ident() as name, type=type_):
            yield name, "output", flat(type_.span) if type_ is not None else "", node.span
        case ast.Param(name=name, type=type_):
            yield name, "weight", flat(type_.span), node.span
        case ast.State(name=name, type=type_) | ast.Carry(name=name, type=type_):
            yield name, "state", flat(type_.span), node.span
        case ast.DimDecl(name=name):
            yield name, "dim", flat(node.size.span), node.span
        case ast.Bind(names=names):
            for name in names:
                yield name, "binding", "", node.span
        case _:
            return


def _record(fields: tuple[ast.RecordField, ...], lines: Lines) -> list[Outline]:
    found: list[Outline] = []
    for node in fields:
        if isinstance(node, ast.SubRecord):
            found.append(_outline(node.name, "field", "", node.span, lines, tuple(_record(node.fields, lines))))
        elif isinstance(node, ast.Field):
            found.append(_outline(node.path[-1], "field", flat(node.value.span), node.span, lines))
    return found


def workspace_symbols(workspace: Workspace, query: str) -> list[Found]:
    """The items of the project whose names hold the letters of a query in their order."""
    found: list[Found] = []
    seen: set[str] = set()
    for document in workspace.project():
        home = str(document.path or document.name)
        if home in seen:
            continue
        seen.add(home)
        for symbol in document_symbols(document):
            if _matches(query, symbol.name):
                found.append(Found(symbol.name, symbol.kind, Location(document.name, symbol.selection)))
            if len(found) >= MAX_FOUND:
                return found
    return found


def _matches(query: str, name: str) -> bool:
    letters = iter(name.lower())
    return all(letter in letters for letter in query.lower())
