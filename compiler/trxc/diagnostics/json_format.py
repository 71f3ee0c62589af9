"""Diagnostics as JSON, for programs: ``check --format json``."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..source import Span
from .diagnostic import Diagnostic
from .order import in_source_order

Json = dict[str, object]


def render_json(diagnostics: Iterable[Diagnostic], *, version: str) -> str:
    """``{"diagnostics": […], "version": …}`` in source order, ASCII only; ``version`` is the compiler's."""
    items = [_diagnostic(item) for item in in_source_order(diagnostics)]
    return json.dumps({"diagnostics": items, "version": version}, indent=2)


def _diagnostic(item: Diagnostic) -> Json:
    """One diagnostic. Where it came from (``in …``) is told among the notes."""
    return {
        "code": item.code,
        "severity": item.severity,
        "message": item.message,
        **_place(item.span),
        "labels": [
            *([{**_place(item.span), "text": item.label}] if item.label else []),
            *({**_place(label.span), "text": label.text} for label in item.labels),
        ],
        "notes": [*item.notes, *(f"in {step}" for step in item.trail)],
        "helps": list(item.helps),
        "edits": [{**_place(edit.span), "replacement": edit.replacement} for edit in item.edits],
    }


def _place(span: Span | None) -> Json:
    """Lines and columns from 1, columns in characters, the end exclusive; all null where there is no place."""
    if span is None:
        return {"file": None, "line": None, "column": None, "end_line": None, "end_column": None}
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }
