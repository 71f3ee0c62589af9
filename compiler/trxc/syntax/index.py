"""Where each top-level item of a file begins and ends, without parsing it.

A library file is indexed this way, and only the items that a program uses are parsed.
"""

from __future__ import annotations

import re

from ..frozen import Frozen
from ..source import Source
from .comments import doc_start

_NOT_A_NAME = "(?!(?:and|or|for|if|in|when|else)[^A-Za-z0-9_])"
_ITEM = re.compile(
    r"^(?:(?:layer|model|fn|const|data|train|generate|weights|evaluate|mesh)[ \t]+"
    + _NOT_A_NAME
    + r"(?P<name>[A-Za-z_]\w*)"
    r"|extern[ \t]+[A-Za-z_]\w*[ \t]+(?P<extern>[A-Za-z_]\w*)"
    r'|(?:use|extern)[ \t]+["A-Za-z_])',
    re.MULTILINE | re.ASCII,
)


class ItemChunk(Frozen):
    """Characters `start` up to `end` hold one item, its `##` lines included. `name` is "" for `use`."""

    name: str
    start: int
    end: int


def split_items(source: Source) -> list[ItemChunk]:
    """All items in order. An item begins with its keyword and a name at the beginning of a line.

    No other line can look like that: inside of brackets and blocks a keyword is never followed by a name at
    column 0 of a well-formed file's lines, and strings do not go over lines. So one open bracket costs one item,
    not the rest of the file. What stands before the first item is a chunk of its own.
    """
    text = source.text
    heads = [(found["name"] or found["extern"] or "", doc_start(text, found.start())) for found in _ITEM.finditer(text)]
    if not heads or heads[0][1] > 0:
        heads.insert(0, ("", 0))
    ends = [start for _, start in heads[1:]] + [len(text)]
    return [ItemChunk(name, start, end) for (name, start), end in zip(heads, ends, strict=True)]


def scan_items(source: Source) -> dict[str, ItemChunk]:
    """The chunk of every named item; of two with one name the first."""
    chunks: dict[str, ItemChunk] = {}
    for chunk in split_items(source):
        if chunk.name:
            chunks.setdefault(chunk.name, chunk)
    return chunks
