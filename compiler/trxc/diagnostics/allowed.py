"""`# allow: TRX0213`: a warning that a file says is meant."""

from __future__ import annotations

import re

from ..source import Source, Span

ALLOW = re.compile(r"#\s*allow:\s*(TRX\d{4}(?:\s*,\s*TRX\d{4})*)")


def is_allowed(code: str, span: Span | None) -> bool:
    """Whether the line of a warning, or the comment on the line above it, allows its code."""
    if span is None:
        return False
    line, _ = span.source.position(span.start)
    return code in (_codes(span.source, line) | _codes(span.source, line - 1, alone=True))


def _codes(source: Source, number: int, *, alone: bool = False) -> set[str]:
    """The codes that a line allows; with `alone`, where nothing else stands on it."""
    text = source.line(number) if number > 0 else ""
    found = ALLOW.search(text)
    if found is None or (alone and not text.lstrip().startswith("#")):
        return set()
    return set(re.findall(r"TRX\d{4}", found[1]))
