"""The order in which diagnostics are told."""

from __future__ import annotations

from collections.abc import Iterable

from .diagnostic import Diagnostic


def in_source_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those without a place first, then file by file (as the files first come up) from top to bottom."""
    items = list(diagnostics)
    files = list(dict.fromkeys(item.span.source.name for item in items if item.span))
    rank = {name: at for at, name in enumerate(files)}

    def place(item: Diagnostic) -> tuple[int, int, int]:
        span = item.span
        return (rank[span.source.name], span.start, span.end) if span else (-1, 0, 0)

    return sorted(items, key=place)
