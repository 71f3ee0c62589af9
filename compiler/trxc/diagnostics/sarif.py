"""Diagnostics as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the source."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from ..source import Span
from .codes import CODES
from .diagnostic import Diagnostic, Edit, Label
from .order import in_source_order

Json = dict[str, object]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render_sarif(diagnostics: Iterable[Diagnostic], *, version: str) -> str:
    """A SARIF log of one run, results in source order; ``version`` is the compiler's."""
    items = in_source_order(diagnostics)
    codes = sorted({item.code for item in items})
    run: Json = {
        "tool": {"driver": {"name": "trxc", "version": version, "rules": [_rule(code) for code in codes]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, codes.index(item.code)) for item in items],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> Json:
    entry = CODES.get(code)
    if entry is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": _message(entry.title),
        "help": _message(f"trxc explain {code}"),
        "defaultConfiguration": {"level": entry.severity},
    }


def _result(item: Diagnostic, rule: int) -> Json:
    result: Json = {
        "ruleId": item.code,
        "ruleIndex": rule,
        "level": item.severity,
        "message": _message(_story(item)),
    }
    if item.span:
        result["locations"] = [{"physicalLocation": _physical(item.span)}]
    if item.labels:
        result["relatedLocations"] = [_related(number, label) for number, label in enumerate(item.labels)]
    if item.edits:
        result["fixes"] = [_fix(item)]
    return result


def _story(item: Diagnostic) -> str:
    """Everything that the terminal would say, as lines of text."""
    said = [item.message, item.label]
    said += [f"help: {text}" for text in item.helps]
    said += [f"note: {text}" for text in item.notes]
    said += [f"in {text}" for text in item.trail]
    return "\n".join(filter(None, said))


def _message(text: str) -> Json:
    """A message object; braces are doubled (3.11.5), as single ones would be placeholders."""
    return {"text": text.replace("{", "{{").replace("}", "}}")}


def _related(number: int, label: Label) -> Json:
    return {"id": number, "physicalLocation": _physical(label.span), "message": _message(label.text)}


def _fix(item: Diagnostic) -> Json:
    by_file: dict[str, list[Edit]] = {}
    for edit in item.edits:
        by_file.setdefault(edit.span.source.name, []).append(edit)
    changes = [
        {"artifactLocation": _artifact(name), "replacements": [_replacement(edit) for edit in edits]}
        for name, edits in by_file.items()
    ]
    return {"description": _message(item.helps[0] if item.helps else item.message), "artifactChanges": changes}


def _replacement(edit: Edit) -> Json:
    return {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.replacement}}


def _physical(span: Span) -> Json:
    return {"artifactLocation": _artifact(span.source.name), "region": _region(span)}


def _artifact(name: str) -> Json:
    path = Path(name)
    return {"uri": path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="replace")}


def _region(span: Span) -> Json:
    """Lines and columns from 1, the end exclusive (3.30)."""
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
