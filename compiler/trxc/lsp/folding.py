"""What of a text may be folded away, and what is selected with what around it."""

from __future__ import annotations

import re
from itertools import pairwise

from ..syntax import split_items
from ..syntax.layout import CLOSERS, OPENERS
from ..syntax.tables import load_tables
from ..syntax.tokens import tokenize
from .answers import Fold
from .documents import Document
from .positions import Position, Range
from .tree import around

_COMMENTS = re.compile(r"^[ \t]*#[^\n]*(?:\n[ \t]*#[^\n]*)+", re.MULTILINE)


def folds(document: Document) -> list[Fold]:
    """Blocks, brackets over several lines, and blocks of comments."""
    lines, text = document.lines, document.text
    found: dict[int, Fold] = {}
    for comments in _COMMENTS.finditer(text):
        first, last = lines.range(comments.start(), comments.end())
        found.setdefault(first.line, Fold(first.line, last.line, "comment"))
    for start, end in _brackets(document):
        first, last = lines.range(start, end)
        if last.line - 1 > first.line:
            found.setdefault(first.line, Fold(first.line, last.line - 1, "region"))
    return sorted(found.values(), key=lambda fold: fold.first)


def _brackets(document: Document) -> list[tuple[int, int]]:
    """The brackets of each item that belong together; one that is not closed takes no other item with it."""
    found: list[tuple[int, int]] = []
    source = document.reading.source
    for chunk in split_items(source):
        waiting: list[int] = []
        for token in tokenize(source.text, chunk.start, chunk.end, load_tables()):
            if token.type in CLOSERS:
                waiting.append(token.start)
            elif token.type in OPENERS and waiting:
                found.append((waiting.pop(), token.start))
    return sorted(found)


def selection_ranges(document: Document, position: Position) -> list[Range]:
    """What stands around a position, the smallest first; each holds those before it."""
    offset = document.lines.offset(position)
    spans = [(node.span.start, node.span.end) for node in around(document.reading.file, offset)]
    kept = spans[:1] + [inner for outer, inner in pairwise(spans) if inner != outer]
    return [document.lines.range(start, end) for start, end in reversed(kept)] or [Range(position, position)]
