"""What there is to say about the place under the mouse."""

from __future__ import annotations

from collections.abc import Iterator

from ..elaborate.builtins import BUILTINS
from ..elaborate.fields import RECORDS, FieldSpec
from ..elaborate.values import Size
from ..ir import Value
from ..source import Span
from ..syntax import ast
from ..types import DTYPES, Axis
from .answers import Hover
from .declared import CONSTANTS, PUBLIC_OPS, parameters
from .documents import Document
from .index import Application, Seen
from .names import Occurrence
from .placement import placements
from .positions import Position
from .show import (
    amount_text,
    bytes_text,
    flat,
    literal_text,
    memory_text,
    op_signature,
    signature_of,
    type_text,
    value_text,
)
from .tree import around
from .weights import flops_of, weights_at, weights_of

DTYPE_DOCS = {"float": "a float of the run's precision", "int": "an int of the run's precision", "any": "any dtype"}


def hover(document: Document, position: Position) -> Hover | None:
    """The type, the weights and the documentation of what stands at a position."""
    offset = document.lines.offset(position)
    occurrence = document.reading.table.at(offset)
    if occurrence is not None:
        parts = list(_name(document, occurrence))
        span = occurrence.span
    else:
        nodes = around(document.reading.file, offset)
        field = _field_at(nodes, offset)
        if field is not None:
            parts, span = [_field(field[0])], field[1].span
        else:
            parts, span = _expression(document, nodes)
    text = "\n\n".join(part for part in parts if part)
    return Hover(text, document.lines.range(span.start, span.end)) if text else None


def _code(text: str) -> str:
    return f"```trx\n{text}\n```"


# ---------------------------------------------------------------------- names


def _name(document: Document, occurrence: Occurrence) -> Iterator[str]:
    key, kind, span = occurrence.key, occurrence.kind, occurrence.span
    seen = document.value(span.start, span.end)
    applied = document.application(span.start, span.end) or _call_around(document, occurrence)
    if kind in ("op", "builtin", "dtype", "constant"):
        yield from _built_in(key.name, kind)
    elif not key.owner and kind != "space":
        yield from _item(document, occurrence)
    elif kind in ("dim", "parameter"):
        yield from _dim_or_parameter(document, occurrence)
    elif kind == "space":
        yield _code(f"use … as {key.name}")
    else:
        yield from _local(document, occurrence, seen)
    if applied is not None:
        yield from _application(applied)
    elif seen is not None and isinstance(seen.value, Value) and kind == "parameter":
        yield from _size(document, seen)


def _local(document: Document, occurrence: Occurrence, seen: Seen | None) -> Iterator[str]:
    name, kind = occurrence.key.name, occurrence.kind
    if seen is None and not occurrence.defines:
        seen = _defined_above(document, occurrence)
    text = value_text(seen.value, seen.body) if seen is not None else None
    if text is None:
        yield _code(f"{kind} {name}")
        return
    yield _code(f"{kind} {name}: {text}" if seen and isinstance(seen.value, Value) else f"{kind} {name} = {text}")
    if seen is not None:
        yield from _size(document, seen)


def _defined_above(document: Document, occurrence: Occurrence) -> Seen | None:
    """What the nearest place above that binds a name has bound it to."""
    symbol = document.reading.table.symbols.get(occurrence.key)
    above = [s for s in (symbol.definitions if symbol else ()) if s.start <= occurrence.span.start]
    return document.value(above[-1].start, above[-1].end) if above else None


def _size(document: Document, seen: Seen) -> Iterator[str]:
    if isinstance(seen.value, Value):
        type_ = seen.value.type
        yield f"{amount_text(type_.elements)} numbers, {bytes_text(type_)}"
        yield from placements(document, seen)


def _dim_or_parameter(document: Document, occurrence: Occurrence) -> Iterator[str]:
    key = occurrence.key
    owner = key.owner.partition("@")[0]
    item = document.reading.item(key)
    declared = [p for p in parameters(item.item) if p.name.name == key.name] if item is not None else []
    own = document.body(owner) if key.home == document.reading.home else None
    dim = own.dims.get(key.name) if own is not None else None
    value = own.variables.get(key.name) if own is not None else None
    head = f"({owner}) {flat(declared[0].span)}" if declared else f"dim {key.name}"
    if isinstance(dim, Axis) and str(dim.size) != key.name:
        yield _code(f"{head} = {dim.size}" if not declared else head) + (f"\n\n= {dim.size}" if declared else "")
    elif isinstance(dim, tuple):
        yield _code(f"dims ...{key.name} = [{', '.join(axis.label for axis in dim)}]")
    else:
        yield _code(head)
        if declared and isinstance(value, Size | float | bool | str | Value) and str(value) != key.name:
            yield f"here {value_text(value, own)}"
    if not declared:
        yield f"a dim of `{owner}`"


def _item(document: Document, occurrence: Occurrence) -> Iterator[str]:
    item = document.reading.item(occurrence.key)
    if item is None:
        return
    signature = signature_of(item)
    yield _code(signature.text)
    body = document.body(item.name) if occurrence.key.home == document.reading.home else None
    if isinstance(item.item, ast.Layer) and body is not None:
        weights, flops = weights_of(body), flops_of(body)
        if weights is not None:
            stored = weights.stored.value
            bytes_ = f", {memory_text(stored)}" if stored is not None else ""
            yield f"{amount_text(weights.count)} parameters{bytes_}"
        if flops is not None and flops.value != 0:
            yield f"{amount_text(flops)} FLOPs forward"
    yield signature.doc


def _built_in(name: str, kind: str) -> Iterator[str]:
    if kind == "op":
        signature = op_signature(PUBLIC_OPS[name])
        yield _code(signature.text)
        yield signature.doc
    elif kind == "builtin":
        yield _code(name)
        yield (BUILTINS[name].__doc__ or "").strip()
    elif kind == "dtype":
        bits = DTYPES[name].bits
        yield _code(name)
        yield DTYPE_DOCS.get(name, f"{bits} bits")
    else:
        yield _code(name)
        yield CONSTANTS[name]


# --------------------------------------------------------------- applications


def _call_around(document: Document, occurrence: Occurrence) -> Application | None:
    """The application of a call, asked for at the name of what it calls."""
    nodes = around(document.reading.file, occurrence.span.start)
    for node in reversed(nodes):
        if isinstance(node, ast.Call) and node.function.span.start <= occurrence.span.start < node.function.span.end:
            return document.application(node.span.start, node.span.end)
    return None


def _application(applied: Application) -> Iterator[str]:
    takes = ", ".join(value_text(value, applied.body) or "…" for value in applied.values)
    gives = value_text(applied.result, applied.body) or "…"
    yield _code(f"{value_text(applied.layer) or 'a layer'}\n  : {takes} -> {gives}")
    weights = weights_at(applied)
    if weights is not None and weights.count.value != 0:
        yield f"{amount_text(weights.count)} parameters, {amount_text(weights.stored, in_bytes=True)}"


def _expression(document: Document, nodes: list[ast.Node]) -> tuple[list[str], Span]:
    """The innermost expression around a place that something is known of."""
    for node in reversed(nodes):
        span = node.span
        if isinstance(node, ast.Layer | ast.Record | ast.File):
            break
        applied = document.application(span.start, span.end)
        if applied is not None:
            return list(_application(applied)), span
        seen = document.value(span.start, span.end)
        if seen is not None and isinstance(seen.value, Value):
            return [_code(type_text(seen.value.type, seen.body)), *_size(document, seen)], span
    return [], nodes[-1].span


# --------------------------------------------------------------------- fields


def _field_at(nodes: list[ast.Node], offset: int) -> tuple[FieldSpec, ast.Ident] | None:
    """The field of a record whose name stands at a place."""
    record = next((node for node in nodes if isinstance(node, ast.Record)), None)
    specs = RECORDS.get(record.kind, ()) if record is not None else ()
    for node in nodes:
        if not isinstance(node, ast.Field | ast.SubRecord):
            continue
        for ident in node.path if isinstance(node, ast.Field) else (node.name,):
            spec = next((spec for spec in specs if spec.name == ident.name), None)
            if spec is None:
                return None
            if ident.span.start <= offset <= ident.span.end:
                return spec, ident
            specs = spec.fields
    return None


def field_text(spec: FieldSpec) -> str:
    """A field as a declaration: its kind, and what it is without being given."""
    given = "required" if spec.required else f"default {literal_text(spec.default)}"
    return f"{spec.name}: {spec.kind} ({given})"


def _field(spec: FieldSpec) -> str:
    choices = f"\n\none of {', '.join(f'`{choice}`' for choice in spec.choices)}" if spec.kind == "word" else ""
    inner = f"\n\nfields: {', '.join(f'`{inner.name}`' for inner in spec.fields)}" if spec.fields else ""
    return f"{_code(field_text(spec))}\n\n{spec.doc}{choices}{inner}"


__all__ = ["field_text", "hover"]
