"""Diagnostics and their mends, as editors show them."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Diagnostic
from ..source import Span
from .analysis import Analysis
from .answers import Action, Location, Problem, Related, TextEdit
from .documents import Document
from .positions import Range, range_of

UNUSED = ("never used", "never taken")
"""Words of a title by which a warning is one of something that might as well not be there."""


def problems(document: Document) -> list[Problem]:
    """The diagnostics of the version that was checked last."""
    analysis = document.analysis
    return [_problem(item, analysis, document) for item in analysis.diagnostics] if analysis is not None else []


def _problem(item: Diagnostic, analysis: Analysis, document: Document) -> Problem:
    return Problem(
        _range(item.span, analysis),
        item.severity,
        item.code,
        _message(item),
        tuple(_related(item, analysis, document)),
        _is_unused(item),
    )


def _range(span: Span | None, analysis: Analysis) -> Range:
    """Where to show something; what stands in no place or in another file is shown at the top."""
    source = analysis.reading.source
    if span is None or span.source is not source:
        return analysis.reading.lines.range(0, 0)
    return analysis.reading.lines.range(span.start, span.end)


def _message(item: Diagnostic) -> str:
    """What the terminal says around the source lines."""
    told = [item.message, item.label]
    told += [f"help: {text}" for text in item.helps]
    told += [f"note: {text}" for text in item.notes]
    told += [f"in {text}" for text in item.trail]
    return "\n".join(text for text in told if text)


def _related(item: Diagnostic, analysis: Analysis, document: Document) -> Iterator[Related]:
    places = [(label.span, label.text) for label in item.labels]
    if item.span is not None and item.span.source is not analysis.reading.source:
        places.insert(0, (item.span, item.message))
    for span, text in places:
        name = _document_of(span, analysis, document)
        if name is not None:
            yield Related(Location(name, range_of(span)), text)


def _document_of(span: Span, analysis: Analysis, document: Document) -> str | None:
    """The name of the document that a span is in."""
    if span.source is analysis.reading.source:
        return document.name
    home = next(
        (home for home, source in analysis.reading.homes() if source is span.source),
        None,
    )
    found = document.workspace.at(home) if home is not None else None
    return found.name if found is not None else None


def _is_unused(item: Diagnostic) -> bool:
    from ..diagnostics.codes import CODES

    entry = CODES.get(item.code)
    return entry is not None and item.severity == "warning" and any(word in entry.title for word in UNUSED)


# ---------------------------------------------------------------------- mends


def actions(document: Document, within: Range) -> list[Action]:
    """The mends of problems that touch a range, if the text is still the one that was checked."""
    analysis = document.analysis
    if analysis is None or analysis.version != document.version:
        return []
    found: list[Action] = []
    for item in analysis.diagnostics:
        problem = _problem(item, analysis, document)
        if item.edits and problem.range.start <= within.end and within.start <= problem.range.end:
            edits = _edits(item, analysis, document)
            if edits is not None:
                found.append(Action(_title(item), problem, edits, preferred=True))
    return found


def _edits(item: Diagnostic, analysis: Analysis, document: Document) -> dict[str, list[TextEdit]] | None:
    """The edits of a diagnostic by document; None where one is in a file that nobody may change."""
    edits: dict[str, list[TextEdit]] = {}
    for edit in item.edits:
        name = _document_of(edit.span, analysis, document)
        if name is None or analysis.reading.library.is_standard(edit.span.source):
            return None
        edits.setdefault(name, []).append(TextEdit(range_of(edit.span), edit.replacement))
    return edits


def _title(item: Diagnostic) -> str:
    """What a mend does."""
    (first, *more) = item.edits
    if more:
        return item.helps[0] if item.helps else "mend this"
    old, new = first.span.text, first.replacement
    if not old:
        return f"insert `{new.strip() or new}`"
    return f"replace `{old}` with `{new.strip()}`" if new.strip() else f"remove `{old.strip()}`"


__all__ = ["actions", "problems"]
