"""The formatter, as edits."""

from __future__ import annotations

from ..diagnostics import Diagnostics
from ..diagnostics.internal import InternalError
from ..formatter import format_source
from .answers import TextEdit
from .documents import Document
from .edits import Change, between


def format_edits(document: Document) -> list[TextEdit]:
    """The changes that give a document the one layout; none where it has it, or cannot be read.

    What is the same stays untouched, line by line, so that cursors and marks of an editor stay where they are.
    """
    try:
        text = format_source(document.reading.source, Diagnostics())
    except InternalError:  # the formatter has found that it would change what the file says
        return []
    if text is None or text == document.text:
        return []
    lines = document.lines
    return [TextEdit(lines.range(c.start, c.end), c.text) for c in _by_line(document.text, text)]


def _by_line(before: str, after: str) -> list[Change]:
    """The changes of whole lines that make one text of another."""
    from difflib import SequenceMatcher

    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(old) * len(new) > 25_000_000:
        return [between(before, after)]
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [Change(starts[a], starts[b], "".join(new[c:d])) for tag, a, b, c, d in codes if tag != "equal"]
